"""What is plainly wrong with a synthetic set: units, axes, doubled points, labels that stand for another class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.explore.statistics import QUANTITIES, Sample
from pcaug.labels import IGNORE, ClassSet

UNITS = {1000.0: "millimetres", 100.0: "centimetres", 0.001: "kilometres", 0.01: "hundreds of metres"}
"""How many times too large a set is -> what its numbers probably are."""
SHAPE = ("height above ground", "roughness", "flatness", "verticality")
"""What the probe's forest sees: what depends on the things themselves more than on the scanner."""
TWINS = 0.02
"""Share of doubled points from which it is said."""
SURE = 0.6
"""Share of a class that must look like it in the real set, and like another in the synthetic one, to call it mislabelled."""
PROBE = 15_000
"""Most points that the probe's forest is fitted to."""
FEW = 30
"""Points of a class below which the probe leaves it out."""


@dataclass(frozen=True)
class Probe:
    """What a cheap model (extra trees on heights and local shape) learns from each set, tested on real points it has not seen.

    Attributes:
        real: mIoU of the model fitted to one half of the real set, on the other.
        synthetic: mIoU of the model fitted to the synthetic set, on the same points.
        confusion: (K, K) synthetic points of each class (rows) as the real model calls them.
        control: (K, K) the same of the unseen real points.
    """

    real: float
    synthetic: float
    confusion: NDArray[np.int64]
    control: NDArray[np.int64]


def probe(a: Sample, b: Sample, count: int, rng: np.random.Generator) -> Probe:
    """Fit a forest to half of the real sample, and one to the synthetic sample.

    Args:
        a: Of the real set.
        b: Of the synthetic set.
        count: Classes.
        rng: Decides the half, the points and the trees.
    """
    columns = [list(QUANTITIES).index(name) for name in SHAPE]
    first, second, _ = next(a.halves(1, rng))
    rows_a, rows_t, rows_b = (
        _drawn(mask, rng) for mask in (first & (a.label != IGNORE), second & (a.label != IGNORE), b.label != IGNORE)
    )
    if not (len(rows_a) and len(rows_t) and len(rows_b)):
        nothing = np.zeros((count, count), np.int64)
        return Probe(float("nan"), float("nan"), nothing, nothing)
    real = _forest(a.values[rows_a][:, columns], a.label[rows_a], rng)
    made = _forest(b.values[rows_b][:, columns], b.label[rows_b], rng)
    test, truth = a.values[rows_t][:, columns], a.label[rows_t]
    control = _confusion(truth, real.predict(test), count)
    return Probe(
        miou(control),
        miou(_confusion(truth, made.predict(test), count)),
        _confusion(b.label[rows_b], real.predict(b.values[rows_b][:, columns]), count),
        control,
    )


def _drawn(mask: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    rows = np.flatnonzero(mask)
    return rows if len(rows) <= PROBE else np.sort(rng.choice(rows, PROBE, replace=False))


def _forest(x: NDArray[np.float64], y: NDArray[np.uint8], rng: np.random.Generator) -> Any:
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(
        40, min_samples_leaf=4, class_weight="balanced", n_jobs=2, random_state=int(rng.integers(1 << 31))
    )
    return forest.fit(x, y)


def _confusion(truth: NDArray[np.uint8], found: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    table: NDArray[np.int64] = np.bincount(truth.astype(np.int64) * count + found, minlength=count * count).reshape(count, count)
    return table


def miou(confusion: NDArray[np.int64]) -> float:
    """Mean intersection over union of the classes with FEW points or more in truth (rows)."""
    hit = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hit
    known = confusion.sum(axis=1) >= FEW
    return float((hit[known] / union[known]).mean()) if known.any() else float("nan")


def faults(a: Sample, b: Sample, found: Probe, classes: ClassSet) -> list[str]:
    """What is plainly wrong with the synthetic set ``b`` as seen beside the real set ``a``; empty where nothing is."""
    said = [text for text in (_unit(a, b), _axis(a, b), _twins(a, b)) if text]
    if not said:  # what follows means nothing in the wrong unit or with the wrong axis
        said += _mislabelled(found, classes)
    return said


def density(a: Sample, b: Sample) -> float:
    """How many times as dense (points on a surface) the synthetic set ``b`` is as the real one ``a``."""
    return (_median(a, "point spacing") / _median(b, "point spacing")) ** 2


def _median(sample: Sample, quantity: str) -> float:
    values = sample.values[:, list(QUANTITIES).index(quantity)]
    known = values[np.isfinite(values) & (values > 0)]
    return float(np.median(known)) if len(known) else float("nan")


def _unit(a: Sample, b: Sample) -> str:
    ratios = np.array([b.rise / max(a.rise, 1e-9), _median(b, "point spacing") / _median(a, "point spacing")])
    for factor, name in UNITS.items():
        if np.all(np.abs(np.log(np.maximum(ratios, 1e-12) / factor)) < np.log(4)):
            return f"the synthetic set is about {factor:g} times the size of the real one: are these {name} read as metres?"
    return ""


def _axis(a: Sample, b: Sample) -> str:
    """Level surfaces are the most common of all: the axis that most normals point along is up."""
    up = [int(np.argmax((s.normal > 0.9).mean(axis=0))) for s in (a, b)]
    if up[0] == 2 and up[1] != 2 and (b.normal[:, up[1]] > 0.9).mean() > 1.5 * (b.normal[:, 2] > 0.9).mean():
        return f"most surfaces of the synthetic set face along {'xyz'[up[1]]}: is {'xyz'[up[1]]} its up axis?"
    return ""


def _twins(a: Sample, b: Sample) -> str:
    share = float(b.twin.mean())
    if share > TWINS + 2 * float(a.twin.mean()):
        return f"{100 * share:.0f} % of the synthetic points lie exactly on another point: are points doubled?"
    return ""


def _mislabelled(found: Probe, classes: ClassSet) -> list[str]:
    """Classes whose synthetic points all look like another class, though the real ones look like themselves."""
    taken: dict[int, int] = {}
    for index in range(len(classes.groups)):
        rows = [found.confusion[index], found.control[index]]
        if min(int(row.sum()) for row in rows) < FEW:
            continue
        made, real = (row / row.sum() for row in rows)
        looks = int(np.argmax(made))
        if looks != index and made[looks] > SURE and real[index] > SURE and made[index] < 0.5 * real[index]:
            taken[index] = looks
    said = []
    for index, looks in taken.items():
        one, other = classes.groups[index].name, classes.groups[looks].name
        if taken.get(looks) == index:
            if index < looks:
                said.append(f"the labels {one} and {other} look swapped in the synthetic set")
        else:
            said.append(f"what the synthetic set calls {one} looks like {other}: is its label right?")
    return said
