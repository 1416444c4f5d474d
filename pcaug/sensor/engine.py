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
PASSES = 6
"""How often a beam may go on behind a porous surface."""
SKIN = 0.02
"""Metres behind a porous surface at which a beam goes on."""

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
class Hits:
    """What each ray met first; one row a ray.

    Attributes:
        distance: (N,) float32, metres; infinite for a miss.
        placement: (N,) int32 index into the scene's placements; -1 for a miss.
        face: (N,) int32 index of the asset's face; -1 for a miss.
        cosine: (N,) float32, |cos| of the angle of incidence.
    """

    distance: NDArray[np.float32]
    placement: NDArray[np.int32]
    face: NDArray[np.int32]
    cosine: NDArray[np.float32]


_structures: dict[int, tuple[Asset, Any]] = {}


def _structure(asset: Asset, *, keep: bool) -> Any:
    """Acceleration structure of an asset; kept for assets that occur again (the library's variants)."""
    if id(asset) in _structures:
        return _structures[id(asset)][1]
    o3d = open3d()
    scene = o3d.t.geometry.RaycastingScene()
    vertices = asset.triangles.reshape(-1, 3).astype(np.float32)
    faces = np.arange(len(vertices), dtype=np.uint32).reshape(-1, 3)
    scene.add_triangles(o3d.core.Tensor.from_numpy(vertices), o3d.core.Tensor.from_numpy(faces))
    if keep:
        if len(_structures) > 2000:
            _structures.clear()
        _structures[id(asset)] = (asset, scene)
    return scene


class Caster:
    """Casts rays into a scene. Positions are taken off ``centre`` before they become float32."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        placements = scene.placements
        self.structures = [_structure(p.asset, keep=p.instance != 0 or i > 0) for i, p in enumerate(placements)]
        centres, radii = [], []
        for p in placements:
            low, high = p.asset.bounds
            scale = float(np.linalg.norm(p.world_from_asset[:3, 0]))
            centres.append(p.world_from_asset[:3, :3] @ ((low + high) / 2) + p.world_from_asset[:3, 3])
            radii.append(float(np.linalg.norm(high - low)) / 2 * scale)
        self.centres, self.radii = np.array(centres), np.array(radii)
        self.asset_from_world = [np.linalg.inv(p.world_from_asset) for p in placements]

    def cast(self, origin: NDArray[np.float64], direction: NDArray[np.float64], bundle: NDArray[np.int64]) -> Hits:
        """First hits of rays (N, 3) each; rays of one bundle must be neighbours in space and direction."""
        count = len(direction)
        distance = np.full(count, np.inf, np.float32)
        placement, face = np.full(count, -1, np.int32), np.full(count, -1, np.int32)
        cosine = np.zeros(count, np.float32)
        if not count:
            return Hits(distance, placement, face, cosine)
        order = np.argsort(bundle, kind="stable")
        starts = np.flatnonzero(np.diff(bundle[order], prepend=bundle[order[0]] - 1))
        near, gap = self._candidates(origin[order], direction[order], starts)
        ends = np.append(starts[1:], count)
        groups = [order[a:b] for a, b in zip(starts, ends, strict=True)]
        for step, index in enumerate(np.flatnonzero(near.any(axis=1))):
            blocks = np.flatnonzero(near[index])
            if not len(blocks):
                continue
            rows = order if len(blocks) == len(starts) else np.concatenate([groups[b] for b in blocks])
            rows = rows[distance[rows] > gap[index, blocks].min()]  # what has already met something nearer cannot meet this
            if len(rows):
                self._cast_one(int(index), rows, origin, direction, distance, placement, face, cosine)
            if step == 0:  # the first placement is the ground and the houses, which hide most of the rest
                near &= gap < np.maximum.reduceat(distance[order], starts)[None]
        return Hits(distance, placement, face, cosine)

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
        towards = self.centres[:, None] - apex[None]
        distance = np.linalg.norm(towards, axis=2)
        reach = self.radii[:, None] + spread[None]
        angle = np.arccos(np.clip(np.einsum("pbk,bk->pb", towards, axis) / np.maximum(distance, 1e-9), -1, 1))
        inside = distance <= reach
        seen = inside | (angle <= half[None] + np.arcsin(np.clip(reach / np.maximum(distance, 1e-9), 0, 1)))
        return seen, distance - reach

    def _cast_one(
        self,
        index: int,
        rows: NDArray[np.intp],
        origin: NDArray[np.float64],
        direction: NDArray[np.float64],
        distance: NDArray[np.float32],
        placement: NDArray[np.int32],
        face: NDArray[np.int32],
        cosine: NDArray[np.float32],
    ) -> None:
        """Cast some rays at one placement; directions are scaled with it, so distances stay in world metres."""
        o3d = open3d()
        matrix = self.asset_from_world[index]
        rays = np.zeros((len(rows), 6), np.float32)
        rays[:, :3] = np.einsum("ij,kj->ik", origin[rows], matrix[:3, :3]) + matrix[:3, 3]  # not BLAS: see PointCloud.moved
        rays[:, 3:] = np.einsum("ij,kj->ik", direction[rows], matrix[:3, :3])
        found = self.structures[index].cast_rays(o3d.core.Tensor.from_numpy(rays))
        hit = found["t_hit"].numpy()
        nearer = np.flatnonzero(hit < distance[rows])
        if not len(nearer):
            return
        target = rows[nearer]
        distance[target] = hit[nearer]
        placement[target] = index
        face[target] = found["primitive_ids"].numpy()[nearer].astype(np.int32)
        normal = found["primitive_normals"].numpy()[nearer]
        along = np.einsum("ij,ij->i", normal, rays[nearer, 3:])
        scale = np.linalg.norm(rays[nearer, 3:], axis=1) * np.maximum(np.linalg.norm(normal, axis=1), 1e-9)
        cosine[target] = np.abs(along) / scale
