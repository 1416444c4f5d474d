"""Small worlds with known truth, written as corpora."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter

Change = Callable[[PointCloud, np.random.Generator], PointCloud]


def world(rng: np.random.Generator, density: float = 7.0) -> PointCloud:
    """40 x 40 m: level ground, four walls with roofs, trees; points per square metre as given."""
    parts, labels = [], []

    def put(xyz: np.ndarray, name: str) -> None:
        parts.append(xyz + rng.normal(0, 0.015, xyz.shape))
        labels.append(np.full(len(xyz), catalogue.taxonomy().id(name), np.uint16))

    n = int(1600 * density)
    ground = np.column_stack([rng.uniform(0, 40, (n, 2)), np.zeros(n)])
    put(ground, "terrain")
    for _ in range(4):
        x, y, height, k = *rng.uniform(5, 30, 2), rng.uniform(4, 7), int(70 * density)
        side = rng.uniform(0, 10, k)
        put(np.column_stack([np.where(rng.random(k) < 0.5, x, x + 10), y + side, rng.uniform(0, height, k)]), "building")
    for _ in range(8):
        centre, k = np.append(rng.uniform(3, 37, 2), rng.uniform(3, 5)), int(60 * density)
        put(centre + rng.normal(0, 1.0, (k, 3)), "tree")
    label = np.concatenate(labels)
    bright = np.choose(np.searchsorted([2, 5, 7], label), [0.4, 0.6, 0.2]) + rng.normal(0, 0.05, len(label))
    return PointCloud(np.concatenate(parts), {"label": label, "intensity": bright.astype(np.float32)}, catalogue.taxonomy())


def corpus(folder: Path, seed: int, scans: int = 4, change: Change | None = None, **written: object) -> Corpus:
    """A corpus of worlds, each a unit, each changed."""
    rng = np.random.default_rng(seed)
    with CorpusWriter(folder, frame="map", **written) as writer:  # type: ignore[arg-type]
        for index in range(scans):
            cloud = world(rng)
            writer.add(change(cloud, rng) if change else cloud, f"w{index}", f"u{index}")
    return Corpus.open(folder)
