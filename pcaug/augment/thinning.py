"""The classic augmentations that leave points out: whole points with all their fields, at least one of which stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pcaug.augment.attributes import kept, pulses
from pcaug.augment.naive import Positive, Rng, Share, codes
from pcaug.augment.sight import rings
from pcaug.cloud import PointCloud

Count = Annotated[int, Field(ge=1)]


def _some(cloud: PointCloud, keep: NDArray[np.bool_]) -> PointCloud:
    """Keep a mask of points, the first one where it keeps none."""
    if len(cloud) and not keep.any():
        keep[0] = True
    return kept(cloud, keep)


ECHOES = 15
"""Most echoes of a pulse, where a cloud does not tell: what four bits of LAS hold."""


@dataclass(frozen=True)
class Drop:
    """Drop a uniform share of the points, up to ``most`` of them."""

    most: Share = 0.2

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        least = int(rng.uniform(0.0, self.most) * 0xFFFF)
        return _some(cloud, codes(len(cloud), rng) >= least)


@dataclass(frozen=True)
class DropBlocks:
    """Drop all points of up to ``most`` upright blocks of ``edge`` metres, each around a random point: what stands in the way."""

    most: Annotated[int, Field(ge=0, le=1000)] = 4
    edge: Positive = 2.0

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        if not len(cloud):
            return cloud
        keep = np.ones(len(cloud), dtype=bool)
        for seed in rng.integers(len(cloud), size=rng.integers(self.most + 1)):
            keep &= (np.abs(cloud.xyz[:, :2] - cloud.xyz[seed, :2]) > self.edge / 2).any(axis=1)
        return _some(cloud, keep)


@dataclass(frozen=True)
class DropRings:
    """Drop whole rings (laser channels) of a spinning scan, each with a probability. ``beams``: see ``FewerBeams``."""

    probability: Share = 0.1
    beams: Count = 64

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        ring = rings(cloud, self.beams)
        gone = rng.random(int(ring.max(initial=0)) + 1) < self.probability
        return _some(cloud, ~gone[ring])


@dataclass(frozen=True)
class DropBeams:
    """Drop whole laser pulses with all their echoes, up to a share of ``most``.

    Points of one ``time`` (and ``ring``) are echoes of a pulse, unless they are more than a pulse has: then each counts as one.
    """

    most: Share = 0.2

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        share = rng.uniform(0.0, self.most)
        pulse = pulses(cloud, np.arange(len(cloud))) if "time" in cloud else np.arange(len(cloud))
        echoes = int(cloud["number_of_returns"].max(initial=1)) if "number_of_returns" in cloud else ECHOES
        several = np.flatnonzero(np.bincount(pulse)[pulse] > echoes)
        pulse[several] = len(cloud) + np.arange(len(several))
        lost = rng.random(int(pulse.max(initial=-1)) + 1) < share
        return _some(cloud, ~lost[pulse])


@dataclass(frozen=True)
class FewerBeams:
    """See with a smaller sensor: ``to`` of the rings stay, evenly chosen from a random one on; a scan of no more stays whole.

    Rings come from the field ``ring``, else from ``beams`` equal bins of inclination, which is exact only for sensors whose
    beams are evenly spaced. With the field, ``beams`` is of no account, and kept rings are numbered anew from 0.
    """

    beams: Count = 64
    to: Count = 32

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        ring = rings(cloud, self.beams)
        count = int(ring.max(initial=-1)) + 1 if "ring" in cloud else self.beams
        first = int(rng.integers(max(1, -(-count // self.to))))
        if count <= self.to:
            return cloud
        chosen = first + np.arange(self.to) * count // self.to
        thinner = _some(cloud, np.isin(ring, chosen))
        if "ring" not in cloud or not len(thinner):
            return thinner
        values = np.unique(thinner["ring"], return_inverse=True)[1]
        return thinner.with_fields(ring=values.astype(cloud["ring"].dtype))


@dataclass(frozen=True)
class Crop:
    """Keep an upright square of ``edge`` metres around a random point."""

    edge: Positive = 40.0

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        if not len(cloud):
            return cloud
        seed = cloud.xyz[rng.integers(len(cloud)), :2]
        return kept(cloud, np.asarray((np.abs(cloud.xyz[:, :2] - seed) <= self.edge / 2).all(axis=1)))
