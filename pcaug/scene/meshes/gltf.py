"""glTF 2.0 and GLB: what trimesh would drop or leave as zeros in silence is refused by name."""

from __future__ import annotations

import importlib.util
import io
import json
import struct
from typing import Any

import numpy as np

from pcaug.errors import FileError, MissingExtra
from pcaug.scene.meshes.bundle import Bundle
from pcaug.scene.meshes.part import MAX_TRIANGLES, OPAQUE, MeshFile, Part, cut_out, gather, image_alpha, placed_in, resolver

DRACO = "KHR_draco_mesh_compression"
UNDECODED = ("EXT_meshopt_compression", "KHR_meshopt_compression")
"""Extensions that hold vertices in a form that no Python library here decodes."""
INSTANCED = "EXT_mesh_gpu_instancing"
FLOAT, JSON = 5126, 0x4E4F534A
"""Component type of 32-bit floats, and type of the chunk that holds the tree (glTF 2.0, sections 3.6.2.2 and 4.4.3)."""
MODES = {0: "points", 1: "lines", 2: "lines", 3: "lines", 5: "triangle strips", 6: "triangle fans"}


def read_gltf(bundle: Bundle, name: str) -> MeshFile:
    """Parts by node and primitive, metres, y up, z ahead (glTF 2.0, section 3.4)."""
    import trimesh

    data = bundle.read(name)
    tree = _tree(bundle, name, data)
    problems = _checked(bundle.where(name), tree)
    binary, materials = data[:4] == b"glTF", tree.get("materials", [])
    data = _with_numbers(data, tree)
    loaded: Any = trimesh.load_scene(
        io.BytesIO(data),
        file_type="glb" if binary else "gltf",
        resolver=resolver(bundle, name),
        process=False,
        ignore_broken=False,
    )
    parts: list[Part] = []
    for node in loaded.graph.nodes_geometry:
        matrix, key = loaded.graph[node]
        mesh = loaded.geometry[key]
        if not isinstance(mesh, trimesh.Trimesh) or not len(mesh.faces):
            continue
        if mesh.faces.max() >= len(mesh.vertices):
            raise FileError(f"mesh {key!r} points at vertices that do not exist", bundle.where(name), "export it again")
        if not np.any(mesh.vertices):
            raise FileError(f"mesh {key!r} was not decoded: all its vertices are 0", bundle.where(name), "export it uncompressed")
        number = str(getattr(getattr(mesh.visual, "material", None), "name", None) or "")
        material = materials[int(number)] if number.isdigit() and int(number) < len(materials) else {}
        part = Part(placed_in(matrix, mesh.triangles), node=str(node), mesh=str(key), material=str(material.get("name") or ""))
        gather(parts, _dressed(part, material, mesh, problems))
    if unused := set(map(str, loaded.geometry)) - {part.mesh for part in parts}:
        problems.append(f"not placed in the scene, without faces or lines, left out: {', '.join(sorted(unused)[:5])}")
    asset = tree.get("asset", {})
    extras = asset.get("extras") if isinstance(asset.get("extras"), dict) else {}
    licence = str(extras.get("license") or asset.get("copyright") or "")
    return MeshFile(parts, unit=1.0, up="y", forward="z", licence=licence, problems=problems)


def _with_numbers(data: bytes, tree: dict[str, Any]) -> bytes:
    """The file with its materials named by their numbers: names may be absent or shared, and trimesh tells no number."""
    numbered = {**tree, "materials": [{**entry, "name": str(i)} for i, entry in enumerate(tree.get("materials", []))]}
    if not numbered["materials"]:
        return data
    text = json.dumps(numbered).encode()
    if data[:4] != b"glTF":
        return text
    (length,) = struct.unpack_from("<I", data, 12)
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    return struct.pack("<4sIIII", b"glTF", 2, 20 + len(text) + len(rest), len(text), JSON) + text + rest


def _tree(bundle: Bundle, name: str, data: bytes) -> dict[str, Any]:
    """The JSON of either form."""
    try:
        if data[:4] == b"glTF":
            (length,) = struct.unpack_from("<I", data, 12)
            data = data[20 : 20 + length]
        tree = json.loads(data)
    except (struct.error, ValueError, RecursionError) as error:
        raise FileError(f"cannot be read as a mesh: no glTF JSON ({error})", bundle.where(name), "export it as GLB") from None
    if not isinstance(tree, dict) or not str(tree.get("asset", {}).get("version", "")).startswith("2"):
        raise FileError("is not glTF 2.0", bundle.where(name), "export it as glTF 2.0")
    return tree


def _checked(where: str, tree: dict[str, Any]) -> list[str]:
    """Problems of the declared content; raises for surfaces that would be lost."""
    primitives = [p for mesh in tree.get("meshes", []) for p in mesh.get("primitives", [])]
    extensions = {e for p in primitives for e in p.get("extensions", {})} | set(tree.get("extensionsRequired", []))
    extensions |= {e for view in tree.get("bufferViews", []) for e in view.get("extensions", {})}
    if DRACO in extensions and importlib.util.find_spec("DracoPy") is None:
        raise MissingExtra(f"{where} is compressed with Draco", do="pip install 'pcaug[assets]'")
    if found := extensions & set(UNDECODED):
        raise FileError(f"is compressed with {', '.join(sorted(found))}", where, "export it uncompressed")
    most = max((int(a.get("count", 0)) for a in tree.get("accessors", [])), default=0)
    if most > 3 * MAX_TRIANGLES:
        raise FileError(f"announces {most:,} numbers in one place", where, f"simplify it below {MAX_TRIANGLES:,} triangles")
    _check_vertices(where, tree, primitives)
    modes = [int(p.get("mode", 4)) for p in primitives]
    if 6 in modes:
        raise FileError("holds triangle fans, which would be lost", where, "export it as triangles")
    loose = sorted({MODES[m] for m in modes if m in (0, 1, 2, 3)})
    problems = [f"{' and '.join(loose)} are left out: they have no surface"] if loose else []
    if any("skin" in node for node in tree.get("nodes", [])):
        problems.append("skinned meshes stand as their nodes do: joints and poses are not applied")
    return problems


def _check_vertices(where: str, tree: dict[str, Any], primitives: list[dict[str, Any]]) -> None:
    """Raise FileError for vertices that trimesh would misread or place once in many places."""
    if any(INSTANCED in node.get("extensions", {}) for node in tree.get("nodes", [])):
        raise FileError(f"places meshes with {INSTANCED}, which would be lost", where, "export it with a node for each")
    accessors = tree.get("accessors", [])
    for primitive in primitives:
        used = (primitive.get("indices"), primitive.get("attributes", {}).get("POSITION"))
        found = [accessors[i] for i in used if isinstance(i, int) and 0 <= i < len(accessors)]
        if any("sparse" in accessor for accessor in found):
            raise FileError("holds sparse vertices, whose changes would be lost", where, "export it without sparse accessors")
        if any(accessor.get("normalized") and accessor.get("componentType") != FLOAT for accessor in found):
            raise FileError("holds normalised whole numbers as vertices", where, "export it with vertices as floats")


def _dressed(part: Part, entry: dict[str, Any], mesh: Any, problems: list[str]) -> Part:
    """A part with the transmission that its material states or its texture cuts."""
    pbr = entry.get("pbrMetallicRoughness", {})
    stated = entry.get("extensions", {}).get("KHR_materials_transmission", {}).get("transmissionFactor")
    factor = (pbr.get("baseColorFactor") or [1, 1, 1, 1])[-1]
    mode = entry.get("alphaMode", "OPAQUE")
    if stated:
        part.transmission = float(stated)
    if mode == "OPAQUE":
        return part
    if mode == "BLEND" and factor < 1:
        part.transmission = 1 - float(factor)
    image = getattr(getattr(mesh.visual, "material", None), "baseColorTexture", None)
    uv = getattr(mesh.visual, "uv", None)
    alpha = image_alpha(image) if image is not None else None
    if alpha is not None and uv is not None:
        cutoff = float(entry.get("alphaCutoff", OPAQUE)) if mode == "MASK" else OPAQUE
        part.transmission = cut_out(part.triangles, np.asarray(uv)[mesh.faces], alpha, cutoff)
        problems.append(f"{part.name} is cut out by a texture: a beam passes with probability {part.transmission:.2f}")
    elif "baseColorTexture" in pbr and image is None:
        part.transmission = 0.5
        problems.append(f"{part.name} is cut out by a texture that cannot be read: a beam passes with probability 0.50")
    return part
