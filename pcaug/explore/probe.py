"""What a cheap model learns from each set: the shortest way to ask whether a set is of use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.explore.statistics import QUANTITIES, Sample, at_most
from pcaug.labels import IGNORE
from pcaug.segment.evaluate import confusion, miou

SHAPE = ("height above ground", "roughness", "flatness", "verticality")
"""What the forest sees: what depends on the things themselves more than on the scanner."""
FOREST_POINTS = 10_000
"""Most points that a forest is fitted to."""
LEAST_POINTS = 30
"""Points of a class below which it is left out."""


@dataclass(frozen=True)
class Probe:
    """What a cheap model (extra trees on heights and local shape) learns from each set, tested on real points it has not seen.

    Attributes:
        real: mIoU of the model fitted to one half of the real set, on the other; mean over both ways.
        synthetic: mIoU of the model fitted to the synthetic set, on the same points.
        both: mIoU of the model fitted to half of the real set and the synthetic set together, on the other half.
        confusion: (K, K) synthetic points of each class (rows) as the real model calls them.
        control: (2, K, K) the same of the unseen real points, one table a way.
    """

    real: float
    synthetic: float
    both: float
    confusion: NDArray[np.int64]
    control: NDArray[np.int64]


def probe(a: Sample, b: Sample, count: int, rng: np.random.Generator) -> Probe:
    """Fit forests to each half of the real sample, to the synthetic sample, and to both.

    Args:
        a: Of the real set.
        b: Of the synthetic set.
        count: Classes.
        rng: Decides the half, the points and the trees.
    """
    columns = [list(QUANTITIES).index(name) for name in SHAPE]
    first = next(a.halves(1, rng))[a.group]
    halves = [at_most(FOREST_POINTS, np.flatnonzero(mask & (a.label != IGNORE)), rng) for mask in (first, ~first)]
    rows = at_most(FOREST_POINTS, np.flatnonzero(b.label != IGNORE), rng)
    control, taken = np.zeros((2, count, count), np.int64), np.zeros((count, count), np.int64)
    scores: list[tuple[float, ...]] = []
    if all(map(len, (*halves, rows))):
        x, y = b.values[rows][:, columns], b.label[rows]
        made = _forest(x, y, rng)
        for way, (train, test) in enumerate((halves, halves[::-1])):
            near, truth = a.values[test][:, columns], a.label[test]
            mine, own = a.values[train][:, columns], a.label[train]
            real, mixed = _forest(mine, own, rng), _forest(np.concatenate([mine, x]), np.concatenate([own, y]), rng)
            tables = [confusion(truth, model.predict(near), count) for model in (real, made, mixed)]
            control[way] = tables[0]
            taken += confusion(y, real.predict(x), count)
            scores.append(tuple(miou(table, LEAST_POINTS) for table in tables))
    found = np.mean(scores, axis=0).tolist() if scores else [float("nan")] * 3
    return Probe(found[0], found[1], found[2], taken, control)


def _forest(x: NDArray[np.float64], y: NDArray[np.uint8], rng: np.random.Generator) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(30, min_samples_leaf=4, class_weight="balanced", random_state=int(rng.integers(1 << 31)))
    return forest.fit(x, y)
