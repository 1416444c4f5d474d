"""Does a scan look like the training data? Feature by feature, by quantiles that the run keeps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pcaug.segment.blocks import TilePool
from pcaug.segment.features import names
from pcaug.segment.run import Run

LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
SAMPLE = 20_000
"""Voxels of each corpus that the quantiles are taken of."""
DIFFERENT = 0.35
"""Kolmogorov-Smirnov distance from which a feature counts as another, where training clouds are not farther from all of them."""
FEW = 100
"""Voxels of a training cloud from which its distance is taken."""
CHANCE = 0.05
"""Distance that samples of one cloud have by chance."""
OF_CLOUD, OF_PIECES = 5_000, 100_000
"""Voxels of a cloud that are compared with the training data, and of all pieces of a cloud that is labelled by tiles."""


class Seen:
    """A sample of the features of clouds, which does not grow with them."""

    def __init__(self) -> None:
        self.tables: list[NDArray[np.float32]] = []
        self.every = 1

    def add(self, features: NDArray[np.float32]) -> None:
        """Keep some rows of a cloud's features (V, F)."""
        step = self.every * (1 + len(features) // OF_CLOUD)
        self.tables.append(features[::step].copy())  # a view would keep the whole table alive
        if sum(len(table) for table in self.tables) > OF_PIECES:
            self.every *= 2
            self.tables = [table[::2].copy() for table in self.tables]

    def warnings(self, run: Run) -> list[str]:
        """What to tell a user whose scan does not look like the training data; nothing if it does."""
        seen = np.concatenate(self.tables or [np.zeros((0, 0), np.float32)])
        usual = dict(zip(names(run.recipe.features), run.usual.tolist(), strict=False))
        far = [
            f"{name} ({distance:.2f})"
            for name, distance in distances(run, seen).items()
            if distance > max(DIFFERENT, usual.get(name, 0.0) + CHANCE)
        ]
        more = " and more" if len(far) > 3 else ""
        return [f"the scan does not look like the training data: {', '.join(far[:3])}{more} differ"] if far else []


def learned(pools: Sequence[TilePool], seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Quantiles (9, F) of the features over a sample of each corpus, and how far (F,) the farthest of its clouds lies off."""
    tables = [table for pool in pools for table, _ in pool.samples(SAMPLE, np.random.default_rng((seed, 0, 1)))]
    found: NDArray[np.float32] = np.quantile(np.concatenate(tables), LEVELS, axis=0).astype(np.float32)
    usual = [_distances(found, table) for table in tables if len(table) >= FEW]
    return found, np.max([np.zeros(found.shape[1]), *usual], axis=0).astype(np.float32)


def distances(run: Run, features: NDArray[np.float32]) -> dict[str, float]:
    """Kolmogorov-Smirnov distance of a scan's features (V, F) from the training data's, by name, largest first.

    It is taken at the kept quantiles, so it is a lower bound of the exact one.
    """
    if not len(features) or not len(run.quantiles):
        return {}
    found = dict(zip(names(run.recipe.features), _distances(run.quantiles, features).tolist(), strict=True))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _distances(quantiles: NDArray[np.float32], features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distance (F,) of features (V, F) from quantiles (9, F)."""
    levels, found = np.array(LEVELS), np.zeros(features.shape[1])
    for column, values in enumerate(np.sort(features, axis=0).T):
        at_most, below = (np.searchsorted(values, quantiles[:, column], side=s) / len(values) for s in ("right", "left"))
        found[column] = np.maximum(levels - at_most, below - levels).max()
    return found
