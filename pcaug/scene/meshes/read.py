"""Read one mesh file, whatever its format, and check it: broken files are refused by name, dubious ones reported."""

from __future__ import annotations

import importlib.util
import io
import logging
import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import FileError, MissingExtra, PcaugError
from pcaug.scene.meshes.bundle import MAX_BYTES, Bundle
from pcaug.scene.meshes.dae import read_dae
from pcaug.scene.meshes.gltf import read_gltf
from pcaug.scene.meshes.obj import read_obj
from pcaug.scene.meshes.part import MeshFile, Part, gather, placed_in, resolver

UNITS = {"micron": 1e-6, "millimeter": 1e-3, "centimeter": 1e-2, "inch": 0.0254, "foot": 0.3048, "meter": 1.0}
"""Units of 3MF (core specification 1.3, section 3.4)."""


def _other(bundle: Bundle, name: str) -> MeshFile:
    """PLY, STL, OFF and 3MF, which trimesh reads whole."""
    import trimesh

    data, suffix = bundle.read(name), PurePosixPath(name).suffix[1:].lower()
    if suffix == "3mf":
        if importlib.util.find_spec("lxml") is None:
            raise MissingExtra("3MF needs lxml", bundle.where(name), "pip install 'pcaug[assets]'")
        _bounded(data)
    scene: Any = trimesh.load_scene(io.BytesIO(data), file_type=suffix, resolver=resolver(bundle, name), process=False)
    parts: list[Part] = []
    for node in scene.graph.nodes_geometry:
        matrix, key = scene.graph[node]
        mesh = scene.geometry[key]
        if isinstance(mesh, trimesh.Trimesh) and len(mesh.faces):
            if mesh.faces.max() >= len(mesh.vertices) or mesh.faces.min() < 0:
                raise FileError("points at vertices that do not exist", bundle.where(name), "export it again")
            gather(parts, Part(placed_in(matrix, mesh.triangles), mesh=str(mesh.metadata.get("name") or "")))
    unit = UNITS.get(str(scene.units).removesuffix("s"), 0.001) if suffix == "3mf" else None
    return MeshFile(parts, unit=unit, up="z" if suffix == "3mf" else None)


def _bounded(data: bytes) -> None:
    """Refuse an archive that unpacks to more than is read."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if (size := sum(info.file_size for info in archive.infolist())) > MAX_BYTES:
            raise FileError(f"unpacks to {size >> 20:,} MiB", do=f"split it below {MAX_BYTES >> 20} MiB")


READERS: dict[str, Callable[[Bundle, str], MeshFile]] = {
    ".obj": read_obj, ".gltf": read_gltf, ".glb": read_gltf, ".dae": read_dae,
    ".ply": _other, ".stl": _other, ".off": _other, ".3mf": _other,
}  # fmt: skip


def read_mesh(bundle: Bundle, name: str) -> MeshFile:
    """Read and check one mesh of a folder or archive.

    Returns:
        Parts with finite vertices, without repeated or flat triangles, turned outward; and what was wrong.

    Raises:
        FileError: It cannot be read, has no faces, infinite vertices, no extent, or too many triangles.
        MissingExtra: It needs a library that is not installed.
    """
    where = bundle.where(name)
    reader = READERS.get(PurePosixPath(name).suffix.lower())
    if reader is None:
        raise FileError(f"is of no known mesh format ({', '.join(READERS)})", where, "export it as GLB or OBJ")
    try:
        with _warnings() as heard:
            found = reader(bundle, name)
    except MissingExtra:
        raise
    except PcaugError as error:
        raise error if error.where else FileError(error.what, where, error.do) from None
    except (Exception, struct.error) as error:  # the loaders raise whatever they stumble over
        raise FileError(f"cannot be read as a mesh ({type(error).__name__}: {error})", where, "export it as GLB or OBJ") from None
    if undecoded := [text for text in heard if "placeholder" in text]:
        raise FileError(f"was not decoded ({undecoded[0]})", where, "export it uncompressed")
    found.problems += heard
    if not found.parts:
        raise FileError("mesh without faces", where, "export it with triangles")
    if not all(np.isfinite(part.triangles).all() for part in found.parts):
        raise FileError("has vertices that are not finite", where, "repair it")
    _clean(found, where)
    return found


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """What trimesh says at level WARNING while it reads: it goes on after damage that must not be overlooked."""
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(" ".join(record.getMessage().split()))

    logger, listener = logging.getLogger("trimesh"), Listener(logging.WARNING)
    logger.addHandler(listener)
    before, logger.propagate = logger.propagate, False
    try:
        yield heard
    finally:
        logger.propagate = before
        logger.removeHandler(listener)


def _clean(found: MeshFile, where: str) -> None:
    """Leave out flat and repeated triangles, turn what is inside out; each is reported."""
    triangles = np.concatenate([part.triangles for part in found.parts])
    owner = np.repeat(np.arange(len(found.parts)), [len(part.triangles) for part in found.parts])
    points = triangles.reshape(-1, 3)
    low, extent = points.min(axis=0), float(np.ptp(points, axis=0).max())
    if extent < 1e-9:
        raise FileError(
            "has no extent: its vertices were not decoded (a compressed glTF?) or coincide", where, "export it uncompressed"
        )
    corners = _corner_ids(triangles, low, extent)
    solid = (corners[:, 0] != corners[:, 1]) & (corners[:, 1] != corners[:, 2]) & (corners[:, 0] != corners[:, 2])
    area = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    solid &= area > 0
    if not solid.any():
        raise FileError("mesh without faces: all its triangles are flat", where, "export it with triangles")
    kept = np.flatnonzero(solid)
    _, first, inverse = np.unique(np.sort(corners[kept], axis=1), axis=0, return_index=True, return_inverse=True)
    twins = len(kept) - len(first)
    if (~solid).any():
        found.problems.append(f"{int((~solid).sum())} flat triangles left out")
    if twins:
        clash = int((owner[kept] != owner[kept[first]][inverse.reshape(-1)]).sum())
        also = f", {clash} of them of another part than their twin (the first counts)" if clash else ""
        found.problems.append(f"{twins} repeated triangles left out{also}")
    kept = kept[np.sort(first)]
    if _inside_out(triangles[kept]):
        triangles = triangles[:, ::-1]
        found.problems.append("inside out, turned")
    parts = []
    for index, part in enumerate(found.parts):
        part.triangles = triangles[kept[owner[kept] == index]]
        if len(part.triangles):
            parts.append(part)
    found.parts = parts
    _strays(found, extent)


def _corner_ids(triangles: NDArray[np.float64], low: NDArray[np.float64], extent: float) -> NDArray[np.int64]:
    """(M, 3) one number per place, equal for corners closer than a millionth of the extent or so."""
    steps = np.round((triangles - low) / extent * ((1 << 21) - 1)).astype(np.int64)
    return (steps[..., 0] << 42) | (steps[..., 1] << 21) | steps[..., 2]


def _inside_out(triangles: NDArray[np.float64]) -> bool:
    """Whether the volume that the surface bounds is clearly negative: most of it shows its back to the world."""
    low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
    a, b, c = (triangles[:, i] - (low + high) / 2 for i in range(3))
    signed = float(np.einsum("ij,ij->i", a, np.cross(b, c)).sum()) / 6
    thick = np.maximum(high - low, 0.05 * float((high - low).max()))
    return signed < -0.05 * float(np.prod(thick))


def _strays(found: MeshFile, extent: float) -> None:
    """Report a part that is far larger than all the others together: a ground sheet, a sky."""
    if len(found.parts) < 2:
        return
    sizes = [float(np.ptp(part.triangles.reshape(-1, 3), axis=0).max()) for part in found.parts]
    index = int(np.argmax(sizes))
    rest = np.concatenate([p.triangles for i, p in enumerate(found.parts) if i != index]).reshape(-1, 3)
    other = float(np.ptp(rest, axis=0).max())
    if sizes[index] > 10 * max(other, extent * 1e-6):
        found.problems.append(
            f"{found.parts[index].name} is {sizes[index] / max(other, 1e-9):.0f} times as large as all the rest"
        )
