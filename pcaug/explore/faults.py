"""What is plainly wrong with a synthetic set: units, axes, doubled points, labels that stand for another class."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from pcaug.explore.distances import jensen_shannon
from pcaug.explore.probe import LEAST_POINTS, Probe
from pcaug.explore.statistics import QUANTITIES, Sample, to_shares
from pcaug.labels import ClassSet

UNITS = {1000.0: "millimetres", 100.0: "centimetres", 0.001: "kilometres", 0.01: "hundreds of metres"}
"""How many times too large a set is -> what its numbers probably are."""
COUNTED = 4
"""Points on a square metre from which densities are compared by counting."""
TWINS = 0.02
"""Share of doubled points from which it is said."""
STRANGE = 0.08
"""Bits between what a forest takes a synthetic class for and what it takes the real one for, from which it may be another."""
SURE = 0.6
"""Share of a class that must look like it in the real set, and like another in the synthetic one, to call it mislabelled."""


def faults(a: Sample, b: Sample, found: Probe, classes: ClassSet) -> list[str]:
    """What is plainly wrong with the synthetic set ``b`` as seen beside the real set ``a``; empty where nothing is."""
    said = [text for text in (_unit(a, b), _axis(a, b), _twins(a, b)) if text]
    if not said:  # what follows means nothing in the wrong unit or with the wrong axis
        said += _mislabelled(found, classes)
    return said


def density(a: Sample, b: Sample) -> float:
    """How many times as dense (points on a plan square metre) the synthetic set ``b`` is as the real one ``a``.

    Scans thin out with range, so ranges are compared alike: the median over bins of range with points enough to count. The
    spacing of points would not do: on a scan the nearest ones lie on one beam, where half the spacing is twice the points.
    """
    counts = [[np.concatenate(bins) for bins in zip(*(part.density for part in s.parts), strict=True)] for s in (a, b)]
    if len(counts[0]) == len(counts[1]):
        middles = [[float(np.median(v)) if len(v) >= 20 else 0.0 for v in bins] for bins in counts]
        known = [made / real for real, made in zip(*middles, strict=True) if min(real, made) >= COUNTED]
        if known:
            return float(np.median(known))
    return (spacing(a) / spacing(b)) ** 2


def spacing(sample: Sample) -> float:
    """Median point spacing in metres; NaN where no point has one."""
    values = sample.values[:, list(QUANTITIES).index("point spacing")]
    known = np.isfinite(values) & (values > 0)
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
    rings = _rings(found)
    said = [
        f"the labels {' and '.join(names[i] for i in ring)} look swapped in the synthetic set"
        if len(ring) == 2
        else f"the labels {', '.join(names[i] for i in ring)} of the synthetic set look shifted among each other"
        for ring in rings
    ]
    known = {index for ring in rings for index in ring}
    for index, looks in _taken(found).items():
        if not known & {index, looks} and not _both_ground(classes, index, looks):
            said.append(f"what the synthetic set calls {names[index]} looks like {names[looks]}: is its label right?")
    return said


def _rings(found: Probe) -> list[list[int]]:
    """Classes that stand for each other in a ring, two or more.

    A class is known by what a forest takes its points for, right or wrong: that tells classes apart that no forest can name.
    """
    real = found.control.sum(axis=0)
    known = [i for i in range(len(real)) if min(found.confusion[i].sum(), *found.control[:, i].sum(axis=1)) >= LEAST_POINTS]
    away = np.array([[_apart(found.confusion[i], real[j]) for j in known] for i in known]).reshape(len(known), len(known))
    own = np.diag(away)
    floor = np.array([_apart(*found.control[:, i]) for i in known])
    looks = (own > STRANGE)[:, None] & (own > STRANGE)[None] & (away < 0.4 * own[:, None])
    cost = np.where(looks | np.eye(len(known), dtype=bool), away, 1e3)
    rows, stands_for = linear_sum_assignment(cost)  # the permutation of classes under which the two sets are most alike
    edges = csr_array((np.ones(len(rows)), (rows, stands_for)), shape=cost.shape)
    owner = connected_components(edges, directed=False)[1]
    rings = [np.flatnonzero(owner == number) for number in np.unique(owner)]
    return [[known[i] for i in ring] for ring in rings if len(ring) > 1 and own[ring].sum() > floor[ring].sum()]


def _apart(x: NDArray[np.int64], y: NDArray[np.int64]) -> float:
    return jensen_shannon(to_shares(x.astype(np.float64)), to_shares(y.astype(np.float64)))


def _taken(found: Probe) -> dict[int, int]:
    """Class -> the other class that a forest takes it for, where it takes the real one for itself."""
    taken: dict[int, int] = {}
    for index, rows in enumerate(zip(found.confusion, found.control.sum(axis=0), strict=True)):
        if min(int(row.sum()) for row in rows) < LEAST_POINTS:
            continue
        made, real = (row / row.sum() for row in rows)
        looks = int(np.argmax(made))
        if looks != index and made[looks] > SURE and real[index] > SURE and made[index] < 0.5 * real[index]:
            taken[index] = looks
    return taken


def _both_ground(classes: ClassSet, one: int, other: int) -> bool:
    """Kinds of ground differ too little in shape to say that one is called another."""
    tree = classes.taxonomy
    return all(tree.covers(tree.id("ground"), classes.groups[index].nodes[0]) for index in (one, other))
