"""How single objects of a class compare: coverage and the nearest-neighbour test of shape generators."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcaug.cloud import PointCloud
from pcaug.corpus.parts import spread
from pcaug.explore.statistics import Mask
from pcaug.generate.score import coverage, mmd, one_nna, pairwise, unsquared_chamfer

LEAST_OBJECTS = 6
"""Objects of each set below which nothing is said."""
MOST_OBJECTS = 24
"""Objects of each set that are compared: the cost grows with the square."""


@dataclass(frozen=True)
class ObjectGap:
    """Chamfer distances between single objects as far as they were seen (definitions: ``pcaug.generate.score``).

    Attributes:
        real, synthetic: Objects compared.
        mmd: Mean over real objects of the distance to the nearest synthetic one, metres.
        coverage: Share of real objects that are some synthetic one's nearest.
        one_nna: Accuracy of the nearest-neighbour test: 0.5 cannot tell them apart.
        floor: The same between two halves of the real objects; NaN for too few.
    """

    real: int
    synthetic: int
    mmd: float
    coverage: float
    one_nna: float
    floor: float


def object_gap(
    real: Sequence[tuple[int, PointCloud]], synthetic: Sequence[tuple[int, PointCloud]], cuts: Sequence[Mask]
) -> ObjectGap | None:
    """Compare (group, object) pairs of two sets; None where either has fewer than LEAST_OBJECTS.

    Equal numbers are compared, evenly drawn: the test counts neighbours.
    """
    count = min(len(real), len(synthetic), MOST_OBJECTS)
    if count < LEAST_OBJECTS:
        return None
    mine, theirs = spread(real, count), spread(synthetic, count)
    a, b = [cloud.xyz for _, cloud in mine], [cloud.xyz for _, cloud in theirs]
    across, within = pairwise(b, a, unsquared_chamfer), pairwise(a, a, unsquared_chamfer)
    floors = []
    for half in cuts:
        one, two = (np.flatnonzero([bool(half[g]) == side for g, _ in mine]) for side in (True, False))
        size = min(len(one), len(two))
        if size >= LEAST_OBJECTS // 2:
            one, two = one[:size], two[:size]
            floors.append(one_nna(within[np.ix_(one, one)], within[np.ix_(one, two)], within[np.ix_(two, two)]))
    return ObjectGap(
        real=count,
        synthetic=count,
        mmd=mmd(across),
        coverage=coverage(across),
        one_nna=one_nna(pairwise(b, b, unsquared_chamfer), across, within),
        floor=float(np.mean(floors)) if floors else float("nan"),
    )
