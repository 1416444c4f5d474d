"""What a corpus is like: class shares, and per class its heights, ranges, density, local shape and intensity, from a sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
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


@dataclass(frozen=True)
class Sample:
    """Sampled points of a corpus.

    Attributes:
        values: (M, Q) float64, columns as QUANTITIES; NaN where a set has no such thing.
        label: (M,) class index, 255 ignored.
        tile: (M,) number of the tile.
        shares: (K,) share of each class over all points of the corpus.
        points: Points of the corpus.
    """

    values: NDArray[np.float64]
    label: NDArray[np.uint8]
    tile: NDArray[np.int64]
    shares: NDArray[np.float64]
    points: int


def sample(corpus: Corpus, classes: ClassSet, rng: np.random.Generator) -> Sample:
    """Sample a corpus; memory is bounded by one tile and PER_TILE points of each."""
    tiles = [tile for tile in corpus.tiles if tile.points and tile.split != "buffer"]
    chosen = sorted(rng.choice(len(tiles), min(TILES, len(tiles)), replace=False).tolist())
    values, labels, owner = [], [], []
    for number in chosen:
        cloud = corpus.read(tiles[number])
        rows = np.sort(rng.choice(len(cloud), min(PER_TILE, len(cloud)), replace=False))
        values.append(describe(cloud, rows, corpus.manifest.frame))
        labels.append(classes.index(cloud["label"][rows]))
        owner.append(np.full(len(rows), number))
    return Sample(
        np.concatenate(values), np.concatenate(labels), np.concatenate(owner), class_shares(corpus, classes), corpus.points
    )


def class_shares(corpus: Corpus, classes: ClassSet) -> NDArray[np.float64]:
    """Share of each class (K,) among the points that have one, from the manifest."""
    total = np.zeros(len(classes.groups))
    for tile in corpus.tiles:
        for node, count in tile.counts.items():
            index = int(classes.index(np.array([int(node)]))[0])
            if index != IGNORE:
                total[index] += count
    shares: NDArray[np.float64] = total / max(total.sum(), 1)
    return shares


def describe(cloud: PointCloud, rows: NDArray[np.intp], frame: str) -> NDArray[np.float64]:
    """QUANTITIES (len(rows), Q) of some points of a cloud, their neighbourhoods taken from the whole cloud."""
    xyz = cloud.xyz
    tree = cKDTree(xyz, balanced_tree=False, compact_nodes=False)
    k = min(NEIGHBOURS, len(xyz))
    distance, index = tree.query(xyz[rows], k=k, workers=-1)
    distance, index = distance.reshape(len(rows), -1), index.reshape(len(rows), -1)
    near = xyz[index] - xyz[index].mean(axis=1, keepdims=True)
    eigen, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", near, near) / k)
    root = np.sqrt(np.maximum(eigen, 0))
    nothing = np.full(len(rows), np.nan)
    intensity = nothing
    if "intensity" in cloud:
        level = cloud["intensity"].astype(np.float64)
        intensity = level[rows] / max(float(np.percentile(level, 95)), 1e-9)
    return np.column_stack([
        xyz[rows, 2] - _ground(xyz)[rows],
        np.linalg.norm(xyz[rows], axis=1) if frame == "sensor" else nothing,
        np.median(distance[:, 1:], axis=1) if k > 1 else nothing,
        root[:, 0],
        (root[:, 1] - root[:, 0]) / np.maximum(root[:, 2], 1e-9),
        1 - np.abs(axes[:, 2, 0]),
        intensity,
        cloud["number_of_returns"][rows].astype(float) if "number_of_returns" in cloud else nothing,
    ])  # fmt: skip


def _ground(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lowest point of each point's plan cell: a ground good enough to compare sets with."""
    cells = np.floor(xyz[:, :2] / CELL).astype(np.int64)
    cells -= cells.min(axis=0)
    _, inverse = np.unique(cells[:, 0] * (int(cells[:, 1].max()) + 1) + cells[:, 1], return_inverse=True)
    low = np.full(int(inverse.max()) + 1, np.inf)
    np.minimum.at(low, inverse.reshape(-1), xyz[:, 2])
    ground: NDArray[np.float64] = low[inverse.reshape(-1)]
    return ground
