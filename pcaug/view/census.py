"""Clouds too large to hold: what all of a cloud counts is tallied while it is read, and an even sample of it is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud, concatenate
from pcaug.errors import counted
from pcaug.labels import tally
from pcaug.view.colours import CATEGORIES, agreement

SLACK = 1.25
"""How many times as many points as are wanted are held while reading: the more, the more seldom they are thinned."""
Ranked = tuple[PointCloud, NDArray[np.float64]]


@dataclass(frozen=True)
class Census:
    """What all of a cloud counts, whatever part of it is shown.

    Attributes:
        points: How many.
        ids: Field of CATEGORIES that it has -> points of each id.
        agreement: Points whose prediction is right, wrong, or unknown; zeros where it has no labels or no predictions.
    """

    points: int = 0
    ids: Mapping[str, Counter[int]] = field(default_factory=dict)
    agreement: tuple[int, int, int] = (0, 0, 0)

    @classmethod
    def of(cls, cloud: PointCloud) -> Census:
        """Of a cloud, or of a piece of one."""
        ids = {name: tally(cloud[name]) for name in CATEGORIES.values() if name in cloud}
        both = "label" in cloud and "prediction" in cloud
        right, wrong, unknown = np.bincount(agreement(cloud), minlength=3).tolist() if both else (0, 0, 0)
        return cls(len(cloud), ids, (right, wrong, unknown))

    def __add__(self, other: Census) -> Census:
        names = [*self.ids, *(name for name in other.ids if name not in self.ids)]
        right, wrong, unknown = (a + b for a, b in zip(self.agreement, other.agreement, strict=True))
        return Census(
            self.points + other.points,
            {name: self.ids.get(name, Counter()) + other.ids.get(name, Counter()) for name in names},
            (right, wrong, unknown),
        )


def told(shown: int, points: int) -> str:
    """How many points there are, and how many of them are shown where that is not all."""
    return (f"{shown:,} of " if shown < points else "") + counted(points, "point")


def thinned(chunks: Iterable[PointCloud], most: int) -> tuple[PointCloud, Census]:
    """The cloud that chunks make, or ``most`` of its points where it has more, and the census of all of it.

    Every point draws a rank from a fixed seed, and the lowest ranks stay: any point as likely as any other, and the same ones
    whatever the size of the chunks. Memory is that of about three times ``most`` points.
    """
    rng = np.random.default_rng(0)
    kept: list[Ranked] = []
    bound, whole = np.inf, Census()
    for chunk in chunks:
        whole += Census.of(chunk)
        rank = rng.random(len(chunk))
        kept.append(_up_to(chunk, rank, bound))
        if sum(len(cloud) for cloud, _ in kept) > SLACK * most:
            kept, bound = _lowest(kept, most)
    if whole.points > most:
        kept, _ = _lowest(kept, most)
    clouds = [cloud for cloud, _ in kept]
    return concatenate([cloud for cloud in clouds if len(cloud)] or clouds), whole


def _lowest(ranked: list[Ranked], most: int) -> tuple[list[Ranked], float]:
    """The ``most`` points of the lowest ranks, of clouds that hold no fewer, and the rank that none of them exceeds."""
    bound = float(np.partition(np.concatenate([rank for _, rank in ranked]), most - 1)[most - 1])
    return [_up_to(cloud, rank, bound) for cloud, rank in ranked], bound


def _up_to(cloud: PointCloud, rank: NDArray[np.float64], bound: float) -> Ranked:
    rows = np.flatnonzero(rank <= bound)
    return cloud.take(rows), rank[rows]
