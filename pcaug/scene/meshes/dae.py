"""COLLADA through pycollada: its unit, its up axis, its material names and all its polygons, none of which trimesh keeps."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from pcaug.errors import FileError, MissingExtra
from pcaug.scene.meshes.bundle import Bundle
from pcaug.scene.meshes.part import MeshFile, Part, gather


def read_dae(bundle: Bundle, name: str) -> MeshFile:
    """Parts by geometry and material, node transforms applied; the number of ``<unit meter>`` counts, not its name."""
    try:
        import collada
        from defusedxml.ElementTree import fromstring
    except ImportError:
        raise MissingExtra("COLLADA needs pycollada and defusedxml", bundle.where(name), "pip install 'pcaug[assets]'") from None
    data = bundle.read(name)
    tree = fromstring(data)  # refuses entities before pycollada's own parser sees them
    missing = collada.common.DaeError
    document = collada.Collada(io.BytesIO(data), ignore=[missing], aux_file_loader=lambda _: None)
    problems = [f"left out: {error}" for error in document.errors[:3]]
    promised = sum(1 for element in tree.iter() if element.tag.endswith("}geometry"))
    if promised > len(document.geometries):
        why = next((e for e in map(str, document.errors) if "array" in e or "eometry" in e), "")
        text = f"has {promised - len(document.geometries)} of {promised} geometries that cannot be read"
        raise FileError(f"{text} ({why})" if why else text, bundle.where(name), "export it again")
    if document.scene is None:
        raise FileError("has no scene", bundle.where(name), "export it again")
    parts: list[Part] = []
    loose, unused = 0, {str(geometry.id) for geometry in document.geometries}
    skinned = [bound.geometry for bound in document.scene.objects("controller") if hasattr(bound, "geometry")]
    if skinned:
        problems.append(f"{len(skinned)} skinned shapes stand in the pose in which they were bound to their skeleton")
    for bound in (*document.scene.objects("geometry"), *skinned):
        unused.discard(str(bound.original.id))
        for primitive in bound.primitives():
            triangles = _triangles(primitive)
            loose += triangles is None
            if triangles is not None and len(triangles):
                mesh = bound.original.name or bound.original.id or ""
                gather(parts, Part(triangles, mesh=str(mesh), material=_name(getattr(primitive, "material", None))))
    if unused:
        problems.append(f"not placed in the scene, left out: {', '.join(sorted(unused)[:5])}")
    if not parts:
        raise FileError("mesh without faces: nothing of it is placed in its scene", bundle.where(name), "export it again")
    if loose:
        problems.append(f"{loose} sets of lines or unknown primitives are left out: they have no surface")
    unit = document.assetInfo.unitmeter
    up = str(document.assetInfo.upaxis or "Y_UP")[0].lower()
    forward = {"y": "z", "z": "-y", "x": "z"}[up]
    return MeshFile(parts, unit=float(unit) if unit else 1.0, up=up, forward=forward, problems=problems)


def _triangles(primitive: Any) -> Any:
    """(M, 3, 3) of triangles, polygon lists and polygons; None for lines."""
    if hasattr(primitive, "triangleset"):
        primitive = primitive.triangleset()
    if not hasattr(primitive, "vertex_index") or not type(primitive).__name__.endswith("TriangleSet"):
        return None
    if primitive.vertex is None or primitive.vertex_index is None or not len(primitive.vertex_index):
        return np.zeros((0, 3, 3))
    return np.asarray(primitive.vertex, np.float64)[primitive.vertex_index]


def _name(material: Any) -> str:
    return str(getattr(material, "name", None) or getattr(material, "id", None) or material or "")
