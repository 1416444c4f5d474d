"""Ray casting: Embree through Open3D, one acceleration structure an asset, rays moved into its frame.

Small things are merged with the ground into one structure a scene, which costs less than a cast of each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import open3d
from pcaug.errors import PcaugError
from pcaug.scene.asset import MATERIALS, Asset, Scene
from pcaug.sensor.bundles import Bundles

Vectors = NDArray[np.float32]
TWICE = 1e-4
"""Metres within which two crossings of one placement are one: a ray through the edge that two faces share meets both."""
SMALL = 600
"""Faces of an asset up to which its placements are merged into one structure: building it costs less than a cast of each."""
MERGED = 1_000_000
"""Faces that are merged at most."""
FAR = 1000.0
"""Metres from its origin from which on float32 would round millimetres of an asset away."""

REFLECTANCE = np.array([m.reflectance for m in MATERIALS.values()], np.float32)
TRANSMISSION = np.array([m.transmission for m in MATERIALS.values()], np.float32)
RETRO = np.array([m.retro for m in MATERIALS.values()])


@dataclass(frozen=True)
class Rays:
    """Beams that leave a scanner.

    Attributes:
        origin: (N, 3) float64 or (3,), metres.
        direction: (N, 3) float64, unit vectors.
        time: (N,) float64, seconds.
        ring: (N,) uint16, beam number (spinning), or 0.
        scan_angle: (N,) float32, degrees from nadir (airborne, mobile), as LAS counts them (1.4 R16, table 10: to the left of the
            direction of travel negative), or elevation.
        bundle: (N,) int64, rays with equal numbers leave close to each other in similar directions.
    """

    origin: NDArray[np.float64]
    direction: NDArray[np.float64]
    time: NDArray[np.float64]
    ring: NDArray[np.uint16]
    scan_angle: NDArray[np.float32]
    bundle: NDArray[np.int64]

    def part(self, some: slice) -> Rays:
        """Some of the beams."""
        origin, direction = np.broadcast_to(self.origin, self.direction.shape)[some], self.direction[some]
        return Rays(origin, direction, self.time[some], self.ring[some], self.scan_angle[some], self.bundle[some])


@dataclass(frozen=True)
class Surfaces:
    """What rays cross; rows sorted by ray, then by distance.

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
    """Triangles ready for casting: Embree's structure, corners (M, 3, 3) and transmission (M,)."""

    embree: Any
    corners: Vectors
    through: NDArray[np.float32]


_structures: dict[int, tuple[Asset, _Structure]] = {}  # the asset is kept, so that its id stays its own


def _built(corners: Vectors, material: NDArray[np.uint8]) -> _Structure:
    o3d = open3d()
    scene = o3d.t.geometry.RaycastingScene()
    faces = np.arange(3 * len(corners), dtype=np.uint32).reshape(-1, 3)
    scene.add_triangles(o3d.core.Tensor.from_numpy(corners.reshape(-1, 3)), o3d.core.Tensor.from_numpy(faces))
    return _Structure(scene, corners, TRANSMISSION[material])


def _middle(asset: Asset) -> NDArray[np.float64]:
    """Where the frame lies in which an asset is cast (3,): its own origin, or its middle where it has a map's coordinates."""
    middle: NDArray[np.float64] = asset.bounds.mean(axis=0)
    return middle if np.abs(middle).max() > FAR else np.zeros(3)


def _structure(asset: Asset) -> _Structure:
    """Acceleration structure of an asset that occurs again (the library's variants)."""
    if id(asset) not in _structures:
        if len(_structures) > 2000:
            _structures.clear()
        _structures[id(asset)] = asset, _built((asset.triangles - _middle(asset)).astype(np.float32), asset.face_material)
    return _structures[id(asset)][1]


@dataclass(frozen=True)
class _Part:
    """What is cast into at once: a placement, or several that were merged.

    Attributes:
        structure: Its triangles.
        asset_from_world: (4, 4) similarity.
        face: (M,) int64 its faces among those of the scene.
    """

    structure: _Structure
    asset_from_world: NDArray[np.float64]
    face: NDArray[np.int64]


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
        if not placements:
            raise PcaugError("a scene of nothing", do="place something in it")
        sizes = np.array([len(p.asset.triangles) for p in placements])
        self.first_face = np.cumsum(sizes) - sizes
        self.material = np.concatenate([p.asset.face_material for p in placements])
        self._world = np.array([p.world_from_asset for p in placements])
        self._asset_from_world = np.linalg.inv(self._world)
        bounds = np.array([p.asset.bounds for p in placements])
        corners = np.stack([bounds[:, [x, y, z], [0, 1, 2]] for x in (0, 1) for y in (0, 1) for z in (0, 1)], axis=1)
        self._corners = np.einsum("pij,pcj->pci", self._world[:, :3, :3], corners) + self._world[:, None, :3, 3]
        times = Counter(id(p.asset) for p in placements)
        own = np.array([p.instance == 0 and times[id(p.asset)] == 1 for p in placements])
        small = sizes <= SMALL
        self._merges = own | (small & (np.cumsum(sizes * small) <= MERGED))

    def surfaces(
        self,
        origin: NDArray[np.float64],
        direction: NDArray[np.float64],
        bundle: NDArray[np.int64],
        stop: np.random.Generator | None = None,
    ) -> Surfaces:
        """What rays (N, 3) each cross up to the first opaque surface.

        Args:
            origin: Metres.
            direction: Unit vectors.
            bundle: (N,) see ``Rays``.
            stop: Decides at each porous surface whether a ray stops there, with probability 1 - transmission. Then at most
                one surface a ray is told: the one that stops it.
        """
        if not len(direction):
            return NOTHING
        bundles = Bundles(origin, direction, bundle)
        cast = _Cast(origin, bundles, stop)
        near, gap = bundles.near(self._corners)
        merged = np.flatnonzero(self._merges & near.any(axis=1))
        if len(merged):
            cast.meet(self._merged(merged), bundles.rows(np.flatnonzero(near[merged].any(axis=0))))
        near[self._merges] = False
        near &= gap < np.maximum.reduceat(cast.ends, bundles.starts)  # the ground and the houses hide most of the rest
        nearest = np.where(near, gap, np.inf).min(axis=1)
        for index in np.argsort(nearest, kind="stable")[: np.count_nonzero(np.isfinite(nearest))]:
            seen = np.flatnonzero(near[index])
            rows = bundles.rows(seen)
            rows = rows[cast.ends[rows] > np.repeat(gap[index, seen], bundles.sizes[seen])]
            if len(rows):
                cast.meet(self._placed(int(index)), rows)
        return cast.surfaces()

    def owner(self, face: NDArray[np.int64]) -> NDArray[np.intp]:
        """Index of the placement of each face (M,)."""
        return np.searchsorted(self.first_face, face, side="right") - 1

    def _placed(self, index: int) -> _Part:
        asset = self.scene.placements[index].asset
        face = np.arange(len(asset.triangles)) + self.first_face[index]
        shift = np.eye(4)
        shift[:3, 3] = -_middle(asset)
        return _Part(_structure(asset), shift @ self._asset_from_world[index], face)

    def _merged(self, indices: NDArray[np.intp]) -> _Part:
        """Placements as one part, in a frame of the scene's axes near them."""
        middle = self._corners[indices].mean(axis=(0, 1))
        corners, faces, materials = [], [], []
        for index in indices:
            asset, world = self.scene.placements[index].asset, self._world[index]
            points = np.einsum("nki,ji->nkj", asset.triangles, world[:3, :3]) + (world[:3, 3] - middle)
            corners.append(points.astype(np.float32))
            faces.append(np.arange(len(points)) + self.first_face[index])
            materials.append(asset.face_material)
        shift = np.eye(4)
        shift[:3, 3] = -middle
        return _Part(_built(np.concatenate(corners), np.concatenate(materials)), shift, np.concatenate(faces))


class _Cast:
    """Rays on their way.

    Attributes:
        ends: (N,) float32 distance at which each row's ray ends so far; infinite while it is free.
    """

    def __init__(self, origin: NDArray[np.float64], bundles: Bundles, stop: np.random.Generator | None) -> None:
        self._bundles, self._stop = bundles, stop
        self._centre = origin.mean(axis=0)
        self._rays = np.stack([(origin - self._centre)[bundles.order], bundles.direction], axis=1).astype(np.float32)
        count = len(self._rays)
        self.ends = np.full(count, np.inf, np.float32)
        self._face = np.zeros(count, np.int64)
        self._cosine = np.zeros(count, np.float32)
        self._crossed: list[Surfaces] = []

    def meet(self, part: _Part, rows: NDArray[np.intp]) -> None:
        """Cross a part with some of the rays. Directions are scaled with it, so distances stay in world metres."""
        rays, structure = self._seen_from(part.asset_from_world, rows), part.structure
        tensor = open3d().core.Tensor.from_numpy
        met = structure.embree.cast_rays(tensor(rays))
        distance, face, normal = (met[k].numpy() for k in ("t_hit", "primitive_ids", "primitive_normals"))
        nearer = np.flatnonzero(distance < self.ends[rows])
        stops = self._stopped(structure, face[nearer])
        on, nearer = nearer[~stops], nearer[stops]
        self._end(rows[nearer], distance[nearer], part.face[face[nearer]], _cosine(normal[nearer], rays[nearer]))
        if len(on):
            first = distance
            every = structure.embree.list_intersections(tensor(rays[on]))
            which, distance, face = (every[k].numpy() for k in ("ray_ids", "t_hit", "primitive_ids"))
            which = on[which]
            if self._stop is not None:  # what lets the ray pass is behind it
                further = np.flatnonzero((distance > first[which] + TWICE) & (distance < self.ends[rows[which]]))
                which, distance, face = which[further], distance[further], face[further]
            self._cross(part, rows[which], rays[which], distance, face)

    def _seen_from(self, matrix: NDArray[np.float64], rows: NDArray[np.intp]) -> Vectors:
        """Rays (n, 6), origin and direction, in the frame of a part."""
        rays = self._rays[rows] if len(rows) < len(self._rays) else self._rays.copy()
        turn = matrix[:3, :3].astype(np.float32)
        if not np.array_equal(turn, np.eye(3, dtype=np.float32)):
            rays = np.einsum("nki,ji->nkj", rays, turn)  # not BLAS: see PointCloud.moved
        rays[:, 0] += matrix[:3, :3] @ self._centre + matrix[:3, 3]
        return rays.reshape(-1, 6)

    def _cross(
        self, part: _Part, row: NDArray[np.intp], rays: Vectors, distance: NDArray[np.float32], face: NDArray[np.uint32]
    ) -> None:
        """All that rays meet in a part, in any order."""
        stops = self._stopped(part.structure, face)
        cosine = _cosine(_normals(part.structure.corners[face]), rays)
        faces = part.face[face]
        np.minimum.at(self.ends, row[stops], distance[stops])
        last = stops & (distance <= self.ends[row])
        self._end(row[last], distance[last], faces[last], cosine[last])
        if self._stop is None:
            before = ~stops & (distance <= self.ends[row])
            self._crossed.append(Surfaces(row[before], distance[before], faces[before], cosine[before]))

    def _stopped(self, structure: _Structure, face: NDArray[np.uint32]) -> NDArray[np.bool_]:
        through = structure.through[face]
        return through <= 0 if self._stop is None else self._stop.random(len(face), np.float32) >= through

    def _end(
        self, row: NDArray[np.intp], distance: NDArray[np.float32], face: NDArray[np.int64], cosine: NDArray[np.float32]
    ) -> None:
        self.ends[row], self._face[row], self._cosine[row] = distance, face, cosine

    def surfaces(self) -> Surfaces:
        """What was met, by ray and distance, each once."""
        order = self._bundles.order
        if not self._crossed:
            place = np.empty(len(order), np.int64)
            place[order] = np.arange(len(order))
            place = place[np.isfinite(self.ends[place])]
            return Surfaces(order[place], self.ends[place], self._face[place], self._cosine[place])
        ended = np.flatnonzero(np.isfinite(self.ends))
        self._crossed.append(Surfaces(ended, self.ends[ended], self._face[ended], self._cosine[ended]))
        row, distance, face, cosine = (
            np.concatenate([getattr(s, k) for s in self._crossed]) for k in ("ray", "distance", "face", "cosine")
        )
        seen = np.flatnonzero(distance <= self.ends[row])
        distance = np.maximum(distance[seen], 0)  # so that its bits sort as it does
        key = (order[row[seen]].astype(np.int64) << 32) | distance.view(np.int32)
        sort = np.argsort(key, kind="stable")
        seen, distance, ray = seen[sort], distance[sort], key[sort] >> 32
        once = np.ones(len(ray), np.bool_)
        once[1:] = (np.diff(ray) > 0) | (np.diff(distance) > TWICE)
        return Surfaces(ray[once], distance[once], face[seen[once]], cosine[seen[once]])


def _normals(corners: Vectors) -> Vectors:
    """(n, 3) normals of triangles (n, 3, 3), of any length; np.cross takes longer."""
    (ax, ay, az), (bx, by, bz) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    return np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx], axis=1)


def _cosine(normal: Vectors, rays: Vectors) -> NDArray[np.float32]:
    """(n,) |cos| between normals (n, 3) and directions of rays (n, 6), of any length."""
    along = rays[:, 3:]
    square = np.einsum("ij,ij->i", normal, normal) * np.einsum("ij,ij->i", along, along)
    return np.asarray(np.abs(np.einsum("ij,ij->i", normal, along)) / np.sqrt(np.maximum(square, 1e-30)))
