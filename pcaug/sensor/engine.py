"""Ray casting: Embree through Open3D, one acceleration structure an asset, rays moved into its frame."""

from __future__ import annotations

import ctypes
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import MissingExtra
from pcaug.scene.asset import MATERIALS, Asset, Scene

Vectors = NDArray[np.float32]
TWICE = 1e-4
"""Metres within which two crossings of one placement are one: a ray through the edge that two faces share meets both."""

REFLECTANCE = np.array([m.reflectance for m in MATERIALS.values()], np.float32)
TRANSMISSION = np.array([m.transmission for m in MATERIALS.values()], np.float32)
RETRO = np.array([m.retro for m in MATERIALS.values()])


@cache
def open3d() -> ModuleType:
    """Import Open3D, with the libusb of the ``libusb-package`` wheel where the system has none.

    Raises:
        MissingExtra: With the line that installs what is missing.
    """
    spec = importlib.util.find_spec("libusb_package")
    if spec and spec.origin:
        library = Path(spec.origin).with_name("libusb-1.0.so")
        if library.exists():
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    try:
        import open3d
    except (ImportError, OSError) as error:
        do = "pip install open3d-cpu; on Debian also: sudo apt install libegl1 libgl1 libusb-1.0-0 libgomp1"
        raise MissingExtra(f"Open3D cannot be imported ({error})", do=do) from None
    module: ModuleType = open3d
    return module


@dataclass(frozen=True)
class Rays:
    """Beams that leave a scanner.

    Attributes:
        origin: (N, 3) float64 or (3,), metres.
        direction: (N, 3) float64, unit vectors.
        time: (N,) float64, seconds.
        ring: (N,) uint16, beam number (spinning), or 0.
        scan_angle: (N,) float32, degrees from nadir (airborne), or azimuth.
        bundle: (N,) int64, rays with equal numbers leave close to each other in similar directions.
    """

    origin: NDArray[np.float64]
    direction: NDArray[np.float64]
    time: NDArray[np.float64]
    ring: NDArray[np.uint16]
    scan_angle: NDArray[np.float32]
    bundle: NDArray[np.int64]


@dataclass(frozen=True)
class Surfaces:
    """What rays cross up to the first opaque surface; rows sorted by ray, then by distance.

    Attributes:
        ray: (M,) int64 index of the ray.
        distance: (M,) float32, metres.
        face: (M,) int64 index into the faces of the whole scene, see ``Caster``.
        cosine: (M,) float32, |cos| of the angle of incidence.
    """

    ray: NDArray[np.int64]
    distance: NDArray[np.float32]
    face: NDArray[np.int64]
    cosine: NDArray[np.float32]


NOTHING = Surfaces(np.zeros(0, np.int64), np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32))


@dataclass(frozen=True)
class _Structure:
    """An asset ready for casting: Embree's structure, unit normals (M, 3) and porosity (M,) of its faces."""

    asset: Asset
    embree: Any
    normal: Vectors
    porous: NDArray[np.bool_]


_structures: dict[int, _Structure] = {}


def _structure(asset: Asset, *, keep: bool) -> _Structure:
    """Acceleration structure of an asset; kept for assets that occur again (the library's variants)."""
    if id(asset) in _structures:
        return _structures[id(asset)]
    o3d = open3d()
    scene = o3d.t.geometry.RaycastingScene()
    corners = asset.triangles.astype(np.float32)
    faces = np.arange(3 * len(corners), dtype=np.uint32).reshape(-1, 3)
    scene.add_triangles(o3d.core.Tensor.from_numpy(corners.reshape(-1, 3)), o3d.core.Tensor.from_numpy(faces))
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    made = _Structure(asset, scene, normal, TRANSMISSION[asset.face_material] > 0)
    if keep:
        if len(_structures) > 2000:
            _structures.clear()
        _structures[id(asset)] = made
    return made


class Caster:
    """Casts rays into a scene.

    Attributes:
        scene: The scene.
        first_face: (P,) int64: faces of the whole scene are those of its placements, one after the other; where each begins.
        material: (F,) uint8 material of each of them.
    """

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        placements = scene.placements
        self._structures = [_structure(p.asset, keep=p.instance != 0 or i > 0) for i, p in enumerate(placements)]
        world = np.array([p.world_from_asset for p in placements])
        bounds = np.array([p.asset.bounds for p in placements])
        scale = np.linalg.norm(world[:, :3, 0], axis=1)
        self._centres = np.einsum("pij,pj->pi", world[:, :3, :3], bounds.mean(axis=1)) + world[:, :3, 3]
        self._radii = np.linalg.norm(bounds[:, 1] - bounds[:, 0], axis=1) / 2 * scale
        self._asset_from_world = np.linalg.inv(world)
        sizes = [len(p.asset.triangles) for p in placements]
        self.first_face = np.cumsum([0, *sizes[:-1]])
        self.material = np.concatenate([p.asset.face_material for p in placements])

    def surfaces(self, origin: NDArray[np.float64], direction: NDArray[np.float64], bundle: NDArray[np.int64]) -> Surfaces:
        """What rays (N, 3) each cross; rays of one bundle must be neighbours in space and direction."""
        if not len(direction):
            return NOTHING
        order = np.argsort(bundle, kind="stable")
        starts = np.flatnonzero(np.diff(bundle[order], prepend=bundle[order[0]] - 1))
        ends = np.append(starts[1:], len(order))
        near, gap = self._candidates(origin[order], direction[order], starts)
        centre = origin.mean(axis=0)
        rays = np.stack([origin - centre, direction], axis=1).astype(np.float32)[order]
        opaque = np.full(len(rays), np.inf, np.float32)
        every = np.arange(len(rays))
        found = []
        for step, index in enumerate(np.flatnonzero(near.any(axis=1))):
            blocks = np.flatnonzero(near[index])
            if not len(blocks):
                continue
            rows = every if len(blocks) == len(starts) else np.concatenate([every[starts[b] : ends[b]] for b in blocks])
            rows = rows[opaque[rows] > gap[index, blocks].min()]  # what has already met something nearer cannot meet this
            if len(rows):
                found += self._meet(int(index), rows, rays[rows], centre, opaque)
            if step == 0:  # the first placement is the ground and the houses, which hide most of the rest
                near &= gap < np.maximum.reduceat(opaque, starts)[None]
        return _in_order(found, opaque, order)

    def _candidates(
        self, origin: NDArray[np.float64], direction: NDArray[np.float64], starts: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """(placements, bundles): whether a bundle's cone may meet a placement's sphere, and at what distance at least."""
        sizes = np.diff(np.append(starts, len(direction)))
        axis = np.add.reduceat(direction, starts) / sizes[:, None]
        axis /= np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-9)
        apex = np.add.reduceat(origin, starts) / sizes[:, None]
        owner = np.repeat(np.arange(len(starts)), sizes)
        narrow = np.minimum.reduceat(np.einsum("ij,ij->i", direction, axis[owner]), starts)
        half = np.arccos(np.clip(narrow, -1, 1))
        spread = np.maximum.reduceat(np.linalg.norm(origin - apex[owner], axis=1), starts)
        towards = self._centres[:, None] - apex[None]
        distance = np.linalg.norm(towards, axis=2)
        reach = self._radii[:, None] + spread[None]
        angle = np.arccos(np.clip(np.einsum("pbk,bk->pb", towards, axis) / np.maximum(distance, 1e-9), -1, 1))
        inside = distance <= reach
        seen = inside | (angle <= half[None] + np.arcsin(np.clip(reach / np.maximum(distance, 1e-9), 0, 1)))
        return seen, distance - reach

    def _meet(
        self, index: int, rows: NDArray[np.intp], rays: Vectors, centre: NDArray[np.float64], opaque: NDArray[np.float32]
    ) -> list[Surfaces]:
        """Cross one placement with rays (n, 2, 3): origin off ``centre``, direction.

        Lowers ``opaque``, the distance of each ray's nearest opaque surface. Directions are scaled with the asset, so
        distances stay in world metres.
        """
        structure, matrix = self._structures[index], self._asset_from_world[index]
        rays = np.einsum("nki,ji->nkj", rays, matrix[:3, :3].astype(np.float32))  # not BLAS: see PointCloud.moved
        rays[:, 0] += matrix[:3, :3] @ centre + matrix[:3, 3]
        rays = rays.reshape(-1, 6)
        tensor = open3d().core.Tensor.from_numpy
        met = structure.embree.cast_rays(tensor(rays))
        distance, face = met["t_hit"].numpy(), met["primitive_ids"].numpy()
        nearer = np.flatnonzero(distance < opaque[rows])
        porous = structure.porous[face[nearer]]
        several, nearer = nearer[porous], nearer[~porous]
        out = []
        if len(nearer):
            opaque[rows[nearer]] = distance[nearer]
            out.append(self._surfaces(index, rays, rows, nearer, distance[nearer], face[nearer]))
        if len(several):
            all_met = structure.embree.list_intersections(tensor(rays[several]))
            which, distance, face = (all_met[k].numpy() for k in ("ray_ids", "t_hit", "primitive_ids"))
            which = several[which]
            solid = ~structure.porous[face]
            np.minimum.at(opaque, rows[which[solid]], distance[solid])
            kept = distance <= opaque[rows[which]]
            out.append(self._surfaces(index, rays, rows, which[kept], distance[kept], face[kept]))
        return out

    def _surfaces(
        self,
        index: int,
        rays: Vectors,
        rows: NDArray[np.intp],
        which: NDArray[np.intp],
        distance: NDArray[np.float32],
        face: NDArray[np.uint32],
    ) -> Surfaces:
        along = rays[which, 3:]
        scale = np.linalg.norm(self._asset_from_world[index, :3, 0])
        cosine = np.abs(np.einsum("ij,ij->i", self._structures[index].normal[face], along)) / np.float32(scale)
        return Surfaces(rows[which], distance, self.first_face[index] + face.astype(np.int64), cosine)


def _in_order(found: list[Surfaces], opaque: NDArray[np.float32], order: NDArray[np.intp]) -> Surfaces:
    """All surfaces up to the opaque ones, by ray and distance, each once; ``order`` maps rows to rays."""
    if not found:
        return NOTHING
    row, distance, face, cosine = (np.concatenate([getattr(f, k) for f in found]) for k in ("ray", "distance", "face", "cosine"))
    seen = np.flatnonzero(distance <= opaque[row])
    distance = np.maximum(distance[seen], 0)  # so that its bits sort as it does
    key = (order[row[seen]].astype(np.int64) << 32) | distance.view(np.int32)
    sort = np.argsort(key, kind="stable")
    seen, distance, ray = seen[sort], distance[sort], key[sort] >> 32
    once = np.ones(len(ray), np.bool_)
    once[1:] = (np.diff(ray) > 0) | (np.diff(distance) > TWICE)
    return Surfaces(ray[once], distance[once], face[seen[once]], cosine[seen[once]])
