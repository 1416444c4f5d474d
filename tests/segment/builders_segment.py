"""A small world whose classes shape alone tells apart, and a recipe that learns it in seconds."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter

TREE = catalogue.taxonomy()
SMALL = {"steps": 24, "points": 128, "batch": 4, "block": 8.0, "voxel": 0.3, "checkpoint": 8, "precision": "float32"}


def garden(seed: int, n: int = 6000) -> PointCloud:
    """Flat ground, a tree of scattered points, and a house of walls: classes that shape alone tells apart."""
    rng = np.random.default_rng(seed)
    ground = np.column_stack([rng.uniform(0, 30, (n, 2)), rng.normal(0, 0.02, n)])
    tree = rng.normal((8, 8, 4), (1.5, 1.5, 1.0), (n // 3, 3))
    wall = np.column_stack(
        [rng.uniform(16, 26, n // 3), np.full(n // 3, 20.0) + rng.normal(0, 0.01, n // 3), rng.uniform(0, 5, n // 3)]
    )
    labels = np.repeat([TREE.id("ground"), TREE.id("tree"), TREE.id("building")], [n, n // 3, n // 3]).astype(np.uint16)
    return PointCloud(np.concatenate([ground, tree, wall]) + (650_000, 6_860_000, 100), {"label": labels}, TREE)


def gardens(folder: Path, splits: tuple[str, ...] = ("train", "train", "test")) -> Corpus:
    """A corpus of gardens, one a split."""
    with CorpusWriter(folder) as writer:
        for seed, split in enumerate(splits):
            writer.add(garden(seed), f"g{seed}", f"g{seed}", split)
    return Corpus.open(folder)
