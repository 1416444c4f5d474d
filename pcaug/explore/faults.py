"""What is plainly wrong with a synthetic set: units, axes, doubled points, labels that stand for another class."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pcaug.explore.probe import FEW, Probe
from pcaug.explore.statistics import QUANTITIES, Sample
from pcaug.labels import ClassSet

UNITS = {1000.0: "millimetres", 100.0: "centimetres", 0.001: "kilometres", 0.01: "hundreds of metres"}
"""How many times too large a set is -> what its numbers probably are."""
TWINS = 0.02
"""Share of doubled points from which it is said."""
SURE = 0.6
"""Share of a class that must look like it in the real set, and like another in the synthetic one, to call it mislabelled."""


def faults(a: Sample, b: Sample, found: Probe, classes: ClassSet) -> list[str]:
    """What is plainly wrong with the synthetic set ``b`` as seen beside the real set ``a``; empty where nothing is."""
    said = [text for text in (_unit(a, b), _axis(a, b), _twins(a, b)) if text]
    if not said:  # what follows means nothing in the wrong unit or with the wrong axis
        said += _mislabelled(found, classes)
    return said


def density(a: Sample, b: Sample) -> float:
    """How many times as dense (points on a surface) the synthetic set ``b`` is as the real one ``a``.

    Scans thin out with range, so ranges are compared alike: the median over bins of range that both have.
    """
    edges = [0, 5, 10, 15, 20, 30, 50, 80]
    ratios = [spacing(a, low, high) / spacing(b, low, high) for low, high in pairwise(edges)]
    known = [ratio for ratio in ratios if ratio == ratio]
    return float(np.median(known) if known else spacing(a) / spacing(b)) ** 2


def spacing(sample: Sample, low: float = 0.0, high: float = np.inf) -> float:
    """Median point spacing in metres, of all points or of those in a bin of range; NaN for fewer than 200."""
    names = list(QUANTITIES)
    values, reach = sample.values[:, names.index("point spacing")], sample.values[:, names.index("range")]
    known = np.isfinite(values) & (values > 0)
    if (low, high) != (0.0, np.inf):
        known &= (reach >= low) & (reach < high)
        if known.sum() < 200:
            return float("nan")
    return float(np.median(values[known])) if known.any() else float("nan")


def _unit(a: Sample, b: Sample) -> str:
    ratios = np.array([b.rise / max(a.rise, 1e-9), spacing(b) / spacing(a)])
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
    names = classes.names
    taken: dict[int, int] = {}
    for index in range(len(names)):
        rows = [found.confusion[index], found.control[index]]
        if min(int(row.sum()) for row in rows) < FEW:
            continue
        made, real = (row / row.sum() for row in rows)
        looks = int(np.argmax(made))
        if looks != index and made[looks] > SURE and real[index] > SURE and made[index] < 0.5 * real[index]:
            taken[index] = looks
    if len(taken) > 2:
        pairs = ", ".join(f"{names[one]} looks like {names[other]}" for one, other in taken.items())
        return [f"the labels of the synthetic set look shifted: what it calls {pairs}"]
    swapped = {one for one, other in taken.items() if taken.get(other) == one}
    said = [
        f"the labels {names[one]} and {names[taken[one]]} look swapped in the synthetic set"
        for one in swapped
        if one < taken[one]
    ]
    single = {one: other for one, other in taken.items() if one not in swapped and not _both_ground(classes, one, other)}
    return said + [
        f"what the synthetic set calls {names[one]} looks like {names[two]}: is its label right?" for one, two in single.items()
    ]


def _both_ground(classes: ClassSet, one: int, other: int) -> bool:
    """Kinds of ground differ too little in shape to say that one is called another."""
    tree = classes.taxonomy
    return all(tree.covers(tree.id("ground"), classes.groups[index].nodes[0]) for index in (one, other))
