"""What a corpus is like: class shares, and per class its heights, ranges, density, local shape and intensity, from a sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pcaug.cloud import PointCloud
from pcaug.corpus.manifest import Tile
from pcaug.corpus.read import Corpus
from pcaug.errors import PcaugError
from pcaug.labels import IGNORE, ClassSet

PER_TILE = 6_000
"""Points sampled of a tile for the statistics."""
TILES = 60
"""Most tiles that are read, drawn evenly."""
NEIGHBOURS = 12
CELL = 2.0
"""Edge of the plan cells whose lowest point stands for the ground, metres."""

QUANTITIES = {
    "height above ground": "m",
    "range": "m",
    "point spacing": "m",
    "roughness": "m",
    "flatness": "",
    "verticality": "",
    "intensity": "of the 95th percentile",
    "returns": "",
}
"""Name -> unit of what is compared."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """Sampled points of a corpus.

    Attributes:
        values: (M, Q) float64, columns as QUANTITIES; NaN where a set has no such thing.
        label: (M,) class index, 255 ignored.
        group: (M,) what halves are made of: units where there are two, else tiles, else the two sides of the one tile.
        normal: (M, 3) absolute components of the local surface's direction.
        twin: (M,) whether another point lies at the very same place.
        rise: Median over tiles of the height between the 2nd and the 98th percentile, metres.
        groups: (G, K) points of each class in each group, from the manifest (of the sides of an only tile: estimated).
        points: Points of the corpus.
    """

    values: NDArray[np.float64]
    label: NDArray[np.uint8]
    group: NDArray[np.int64]
    normal: NDArray[np.float64]
    twin: Mask
    rise: float
    groups: NDArray[np.float64]
    points: int

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of each class (K,)."""
        return to_shares(self.groups.sum(axis=0))

    def halves(self, count: int, rng: np.random.Generator) -> Iterator[tuple[Mask, Mask, Mask]]:
        """Cut the sample in two by whole groups, up to ``count`` times.

        Yields:
            Masks of the points (M,) of the one and the other half, and of the groups (G,) of the first.
        """
        number = len(self.groups)
        seen: set[bytes] = set()
        for _ in range(4 * count):
            chosen = np.zeros(number, dtype=bool)
            chosen[rng.permutation(number)[: number // 2]] = True
            chosen ^= bool(chosen[0] and number % 2 == 0)  # a half and its other half are one cut
            if chosen.tobytes() not in seen and len(seen) < count:
                seen.add(chosen.tobytes())
                first = chosen[self.group]
                yield first, ~first, chosen


def to_shares(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Counts (K,) as shares of their sum."""
    shares: NDArray[np.float64] = numbers / max(float(numbers.sum()), 1.0)
    return shares


def sample(corpus: Corpus, classes: ClassSet, rng: np.random.Generator) -> Sample:
    """Sample a corpus; memory is bounded by one tile and PER_TILE points of each.

    Raises:
        PcaugError: If it holds no points.
    """
    tiles = [tile for tile in corpus.tiles if tile.points and tile.split != "buffer"]
    if not tiles:
        raise PcaugError("holds no points to compare", corpus.folder)
    group_of = _groups(tiles)
    chosen = sorted(rng.choice(len(tiles), min(TILES, len(tiles)), replace=False).tolist())
    parts = []
    for number in chosen:
        cloud = corpus.read(tiles[number])
        rows = np.sort(rng.choice(len(cloud), min(PER_TILE, len(cloud)), replace=False))
        values, normal, twin = describe(cloud, rows, corpus.manifest.frame)
        group = _sides(cloud.xyz[rows]) if len(tiles) == 1 else np.full(len(rows), group_of[number])
        rise = float(np.subtract(*np.percentile(cloud.xyz[:, 2], [98, 2])))
        parts.append((values, classes.index(cloud["label"][rows]), group, normal, twin, rise))
    values, label, group, normal, twin = (np.concatenate([part[i] for part in parts]) for i in range(5))
    table = _counts(tiles, classes, group_of, int(group_of.max()) + 1)
    if len(tiles) == 1:
        halves = [np.bincount(label[(group == g) & (label != IGNORE)], minlength=len(classes.groups)) for g in (0, 1)]
        table = np.array(halves, float) * table.sum() / max(len(label), 1)
    rise = float(np.median([part[5] for part in parts]))
    return Sample(values, label, group.astype(np.int64), normal, twin, rise, table, corpus.points)


def _groups(tiles: list[Tile]) -> NDArray[np.int64]:
    """Number of the group of each tile: its unit, or itself where all are of one unit."""
    units = sorted({tile.unit for tile in tiles})
    return np.array([units.index(tile.unit) for tile in tiles]) if len(units) > 1 else np.arange(len(tiles))


def _sides(xyz: NDArray[np.float64]) -> NDArray[np.int64]:
    """0 or 1: on which side of the middle of the longer plan axis."""
    axis = int(np.argmax(np.ptp(xyz[:, :2], axis=0)))
    return (xyz[:, axis] > np.median(xyz[:, axis])).astype(np.int64)


def _counts(tiles: list[Tile], classes: ClassSet, group_of: NDArray[np.int64], number: int) -> NDArray[np.float64]:
    """Points of each class in each group (G, K), from the manifest."""
    total = np.zeros((number, len(classes.groups)))
    for group, tile in zip(group_of, tiles, strict=True):
        nodes = np.array([int(node) for node in tile.counts], dtype=np.int64)
        for index, count in zip(classes.index(nodes), tile.counts.values(), strict=True):
            if index != IGNORE:
                total[group, index] += count
    return total


def describe(
    cloud: PointCloud, rows: NDArray[np.intp], frame: str
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """QUANTITIES (R, Q), directions (R, 3) and twins (R,) of some points, their neighbourhoods taken from the whole cloud.

    Roughness is the root of the smallest eigenvalue of the neighbourhood's covariance, flatness the difference of the
    two smallest over the largest, verticality one minus the vertical part of the normal (Weinmann et al. 2015).
    """
    xyz = cloud.xyz
    tree = cKDTree(xyz, balanced_tree=False, compact_nodes=False)
    k = min(NEIGHBOURS, len(xyz))
    distance, index = tree.query(xyz[rows], k=k, workers=-1)
    distance, index = distance.reshape(len(rows), -1), index.reshape(len(rows), -1)
    near = xyz[index] - xyz[index].mean(axis=1, keepdims=True)
    eigen, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", near, near) / k)
    root = np.sqrt(np.maximum(eigen, 0))
    nothing = np.full(len(rows), np.nan)
    values = np.column_stack([
        xyz[rows, 2] - _ground(xyz)[rows],
        np.linalg.norm(xyz[rows], axis=1) if frame == "sensor" else nothing,
        np.median(distance[:, 1:], axis=1) if k > 1 else nothing,
        root[:, 0],
        (root[:, 1] - root[:, 0]) / np.maximum(root[:, 2], 1e-9),
        1 - np.abs(axes[:, 2, 0]),
        _intensity(cloud, rows),
        cloud["number_of_returns"][rows].astype(float) if "number_of_returns" in cloud else nothing,
    ])  # fmt: skip
    return values, np.abs(axes[:, :, 0]), distance[:, 1] == 0 if k > 1 else np.zeros(len(rows), bool)


def _intensity(cloud: PointCloud, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    """Intensity over the cloud's 95th percentile; NaN where there is none, or always the same."""
    if "intensity" in cloud:
        level = cloud["intensity"].astype(np.float64)
        known = level[np.isfinite(level)]
        if len(known) and np.ptp(known) > 0:
            found: NDArray[np.float64] = level[rows] / max(float(np.percentile(known, 95)), 1e-9)
            return found
    return np.full(len(rows), np.nan)


def _ground(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lowest point of each point's plan cell: a ground good enough to compare sets with."""
    cells = np.floor(xyz[:, :2] / CELL).astype(np.int64)
    cells -= cells.min(axis=0)
    _, inverse = np.unique(cells[:, 0] * (int(cells[:, 1].max()) + 1) + cells[:, 1], return_inverse=True)
    low = np.full(int(inverse.max()) + 1, np.inf)
    np.minimum.at(low, inverse.reshape(-1), xyz[:, 2])
    ground: NDArray[np.float64] = low[inverse.reshape(-1)]
    return ground
