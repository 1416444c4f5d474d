"""Mixing: new clouds out of two real ones. ``(cloud, other, rng) -> cloud``; no label is invented."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud, common_fields, concatenate
from pcaug.errors import PcaugError

Rng = np.random.Generator


def _join(first: PointCloud, second: PointCloud) -> PointCloud:
    a, b = common_fields([first, second])
    return concatenate([a, PointCloud(b.xyz, b.fields, a.taxonomy, a.crs, a.source)])


def _same_taxonomy(first: PointCloud, second: PointCloud) -> None:
    if first.taxonomy is None or second.taxonomy is None or first.taxonomy.name != second.taxonomy.name:
        raise PcaugError("mixing needs two clouds labelled in one taxonomy", second.source.file or None)


@dataclass(frozen=True)
class PolarMix:
    """Swap one azimuth sector of two spinning scans (scene-level part of Xiao et al., NeurIPS 2022, eq. 1-2).

    Both clouds must be in their sensor's frame. The sector's width is uniform in [least, most] degrees.
    """

    least: float = 90.0
    most: float = 180.0

    def __call__(self, cloud: PointCloud, other: PointCloud, rng: Rng) -> PointCloud:
        _same_taxonomy(cloud, other)
        start, width = rng.uniform(0, 360), rng.uniform(self.least, self.most)
        return _join(cloud.take(~_in_sector(cloud, start, width)), other.take(_in_sector(other, start, width)))


@dataclass(frozen=True)
class LaserMix:
    """Interleave inclination bands of two spinning scans (Kong et al., CVPR 2023): odd bands from one, even from the other.

    Both clouds must be in their sensor's frame. ``low`` and ``high`` are inclinations in degrees.
    """

    bands: tuple[int, ...] = (3, 4, 5, 6)
    low: float = -25.0
    high: float = 3.0

    def __call__(self, cloud: PointCloud, other: PointCloud, rng: Rng) -> PointCloud:
        _same_taxonomy(cloud, other)
        count = int(rng.choice(self.bands))
        odd = rng.random() < 0.5
        return _join(cloud.take(self._band(cloud, count) % 2 == odd), other.take(self._band(other, count) % 2 != odd))

    def _band(self, cloud: PointCloud, count: int) -> NDArray[np.int64]:
        inclination = np.degrees(np.arctan2(cloud.xyz[:, 2], np.hypot(cloud.xyz[:, 0], cloud.xyz[:, 1])))
        return np.clip((inclination - self.low) / (self.high - self.low) * count, 0, count - 1).astype(np.int64)


@dataclass(frozen=True)
class Mix3D:
    """Lay two clouds over each other, plan centres and ground levels aligned (Nekrasov et al., 3DV 2021)."""

    def __call__(self, cloud: PointCloud, other: PointCloud, rng: Rng) -> PointCloud:
        _same_taxonomy(cloud, other)
        if not len(cloud) or not len(other):
            return cloud if len(cloud) else other
        shift = _foot(cloud) - _foot(other)
        return _join(cloud, PointCloud(other.xyz + shift, other.fields, other.taxonomy, other.crs, other.source))


@dataclass(frozen=True)
class PasteObjects:
    """Paste labelled objects of the other cloud: copies stand where they stood, turned about the sensor, and the
    points of this cloud that they hide (same direction, farther away) are dropped.

    The instance-level part of PolarMix with the occlusion test of Fang et al. (RA-L 2020). Both clouds must be in
    their sensor's frame.

    Attributes:
        classes: Names of classes (nodes) to paste.
        turns: Copies of the whole set, each turned by its own uniform angle.
        bin: Angular width in degrees inside which a nearer pasted point hides a farther one.
    """

    classes: tuple[str, ...] = ("vehicle", "person", "pole_like")
    turns: int = 2
    bin: float = 0.4

    def __call__(self, cloud: PointCloud, other: PointCloud, rng: Rng) -> PointCloud:
        _same_taxonomy(cloud, other)
        assert other.taxonomy is not None
        uppers = [other.taxonomy.id(name) for name in self.classes]
        nodes = [n for n in other.taxonomy.nodes if any(other.taxonomy.covers(upper, n) for upper in uppers)]
        objects = other.take(np.isin(other["label"], nodes))
        for _ in range(self.turns):
            angle = rng.uniform(0, 2 * np.pi)
            turn = np.eye(4)
            turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
            turned = objects.moved(turn)
            cloud = _join(cloud.take(~_hidden(cloud, turned, np.radians(self.bin))), turned)
        return cloud


Mixer = Callable[[PointCloud, PointCloud, Rng], PointCloud]


def _in_sector(cloud: PointCloud, start: float, width: float) -> NDArray[np.bool_]:
    azimuth = np.degrees(np.arctan2(cloud.xyz[:, 1], cloud.xyz[:, 0]))
    inside: NDArray[np.bool_] = (azimuth - start) % 360 < width
    return inside


def _foot(cloud: PointCloud) -> NDArray[np.float64]:
    """Plan centre (3,) at the 2nd percentile of height: the ground, whatever hangs below it."""
    return np.append(cloud.xyz[:, :2].mean(axis=0), np.percentile(cloud.xyz[:, 2], 2))


def _hidden(cloud: PointCloud, before: PointCloud, width: float) -> NDArray[np.bool_]:
    """Mask (N,) of points that stand behind a point of ``before`` in the same angular bin (radians), from the origin."""

    def bins(xyz: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        azimuth = np.arctan2(xyz[:, 1], xyz[:, 0]) + np.pi
        elevation = np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])) + np.pi / 2
        columns = int(2 * np.pi / width) + 1
        return (elevation / width).astype(np.int64) * columns + (azimuth / width).astype(np.int64), np.linalg.norm(xyz, axis=1)

    if not len(before) or not len(cloud):
        return np.zeros(len(cloud), dtype=bool)
    keys, ranges = bins(before.xyz)
    nearest = np.full(int(keys.max()) + 1, np.inf)
    np.minimum.at(nearest, keys, ranges)
    own, distance = bins(cloud.xyz)
    hidden: NDArray[np.bool_] = distance > nearest[np.minimum(own, len(nearest) - 1)]
    return hidden & (own < len(nearest))
