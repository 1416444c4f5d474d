"""Mixing: new clouds out of two labelled ones. ``(cloud, other, rng) -> cloud``; no point and no label is invented.

A method that makes no sense for some data refuses it with the reason (``pcaug.augment.sight``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pcaug.augment.attributes import kept
from pcaug.augment.naive import Positive, Rng, Share, turn
from pcaug.augment.sight import Beams, inclination, require_spinning, why_not_spinning
from pcaug.cloud import PointCloud, common_fields, concatenate
from pcaug.errors import PcaugError, RecipeError
from pcaug.scales import bright, colour_scale, on_scale

Angle = Annotated[float, Field(ge=-90, le=360)]
Classes = tuple[str, ...]
SCALED: dict[str, Callable[[NDArray[Any]], float]] = {"intensity": bright, "rgb": colour_scale}
INSTEAD = "mix maps and airborne tiles with mix3d, cutmix or paste"


def join(first: PointCloud, second: PointCloud) -> PointCloud:
    """Both clouds' points with the fields that both have, in the wider of their types; objects keep numbers of their own."""
    a, b = common_fields([first, second])
    types = {name: np.promote_types(a[name].dtype, b[name].dtype) for name in a.fields}
    fields = {name: b[name].astype(types[name], copy=False) for name in a.fields}
    if "instance" in a and len(a):
        there, own = (cloud["instance"].astype(np.int64) for cloud in (a, b))
        if max(there.max(), 0) + max(own.max(initial=0), 0) > np.iinfo(np.int32).max:  # hashed or packed numbers
            there, own = _renumbered(there), _renumbered(own)
            a = a.with_fields(None, instance=there)
        fields["instance"] = np.where(own > 0, own + max(int(there.max()), 0), own).astype(np.int32)
        types["instance"] = np.dtype(np.int32)
    a = a.with_fields(None, **{name: a[name].astype(types[name], copy=False) for name in a.fields})
    return concatenate([a, PointCloud(b.xyz, fields, a.taxonomy, a.crs, a.source)])


def _renumbered(instances: NDArray[np.int64]) -> NDArray[np.int64]:
    """Objects numbered from 1, and 0 for none."""
    number: NDArray[np.int64] = np.unique(np.append(0, np.maximum(instances, 0)), return_inverse=True)[1].reshape(-1)
    return number[1:]


def alike(first: PointCloud, second: PointCloud) -> PointCloud:
    """The second cloud with intensities and colours on the scale of the first's, and with its rings, to be mixed with it: one
    scan has the beams of one scanner.

    Points of another scanner get the ring of the first's that looks nearest to them. Where that cannot be told, as in a map, they
    have none if they count more rings.

    Raises:
        PcaugError: For what is not labelled in one taxonomy.
    """
    if first.taxonomy is None or second.taxonomy is None or first.taxonomy.name != second.taxonomy.name:
        raise PcaugError(
            "mixing needs two clouds labelled in one taxonomy", second.source.file or None, "convert them with cards"
        )
    both = {name: scale for name, scale in SCALED.items() if name in first and name in second}
    if (beams := foreign(first, second)) is not None:
        second = beams.numbered(second)
    elif _more_rings(first, second):
        second = second.with_fields(ring=None)
    return second.with_fields(None, **{name: on_scale(second[name], first[name], scale) for name, scale in both.items()})


def foreign(first: PointCloud, second: PointCloud) -> Beams | None:
    """The beams of the first cloud, a spinning scan, where the rings of the second are those of another scanner; else None."""
    if "ring" not in first or "ring" not in second or not len(first) or not len(second) or why_not_spinning(first):
        return None
    beams = Beams.of(first)
    return None if beams.saw(second) else beams


def _more_rings(first: PointCloud, second: PointCloud) -> bool:
    """Whether a map is mixed with points of a scanner of more beams."""
    if "ring" not in first or "ring" not in second or why_not_spinning(first) is None:
        return False
    return bool(second["ring"].max(initial=0) > first["ring"].max(initial=0))


def members(cloud: PointCloud, classes: Classes) -> NDArray[np.bool_]:
    """Mask (N,) of the points of some classes and what stands below them in the taxonomy; raises LabelError for unknown names."""
    assert cloud.taxonomy is not None
    return np.isin(cloud["label"], cloud.taxonomy.subtree(*classes))


@dataclass(frozen=True)
class PolarMix:
    """Swap an azimuth sector of two spinning scans, and paste turned copies of the other's objects (Xiao et al., NeurIPS 2022).

    As in the paper, pasted objects neither hide nor are hidden; ``paste`` does it with ground, free space and occlusion. Unlike
    there, an object in the sector that is swapped comes once, not with the sector and again as its copy that stays.

    Attributes:
        swap: Probability of the scene-level swap.
        least, most: Width of the sector, uniform, degrees.
        classes: Of the objects that are pasted; () for none.
        turns: Their turned copies beside the one that stays where it stood; each is turned into another part of the circle.
    """

    swap: Share = 0.5
    least: Angle = 180.0
    most: Angle = 180.0
    classes: Classes = ("vehicle", "person")
    turns: Annotated[int, Field(ge=0, le=8)] = 2

    def __call__(self, cloud: PointCloud, other: PointCloud, rng: Rng) -> PointCloud:
        other = alike(cloud, other)
        for one in (cloud, other):
            require_spinning(one, "polarmix", INSTEAD)
        swaps, start, width = rng.random() < self.swap, rng.uniform(0, 360), rng.uniform(self.least, self.most)
        offsets = rng.random(self.turns)
        mixed, things = cloud, members(other, self.classes) if self.classes else np.zeros(len(other), dtype=bool)
        if swaps:
            sector = in_sector(other, start, width) & ~things  # these stay where they stood, and come whole below
            mixed = join(kept(cloud, ~in_sector(cloud, start, width)), kept(other, sector))
        objects = other.take(things)
        if not len(objects):
            return mixed
        angles = [0.0, *((np.arange(self.turns) + offsets) * 2 * np.pi / (self.turns + 1))]
        for angle in angles:
            mixed = join(mixed, objects.moved(turn(angle)))
        return mixed


@dataclass(frozen=True)
class LaserMix:
    """Interleave inclination bands of two spinning scans (Kong et al., CVPR 2023): odd bands from one, even from the other.

    ``low`` and ``high`` are inclinations in degrees; the number of equally wide bands is drawn from ``bands``.
    """

    bands: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)] = (3, 4, 5, 6)
    low: Angle = -25.0
    high: Angle = 3.0

    def __post_init__(self) -> None:
        if self.low == self.high:
            raise RecipeError("lasermix: low and high are the same, bands have no width")

    def __call__(self, cloud: PointCloud, other: PointCloud, rng: Rng) -> PointCloud:
        other = alike(cloud, other)
        for one in (cloud, other):
            require_spinning(one, "lasermix", INSTEAD)
        count = int(rng.choice(self.bands))
        odd = rng.random() < 0.5
        return join(kept(cloud, self.band(cloud, count) % 2 == odd), kept(other, self.band(other, count) % 2 != odd))

    def band(self, cloud: PointCloud, count: int) -> NDArray[np.int64]:
        """Band of each point (N,), 0 the lowest of ``count``."""
        angle = np.degrees(inclination(cloud.xyz))
        return np.clip((angle - self.low) / (self.high - self.low) * count, 0, count - 1).astype(np.int64)


@dataclass(frozen=True)
class Mix3D:
    """Lay two clouds over each other, plan centres and ground levels aligned (Nekrasov et al., 3DV 2021).

    Scans in their sensors' frames are aligned at the sensor instead, which keeps ranges.
    """

    def __call__(self, cloud: PointCloud, other: PointCloud, rng: Rng) -> PointCloud:
        beams, other = foreign(cloud, other), alike(cloud, other)
        if not len(cloud) or not len(other):
            return cloud if len(cloud) else other
        shift = foot(cloud) - foot(other)
        if why_not_spinning(cloud) is None and why_not_spinning(other) is None:
            shift[:2] = 0
        laid = shifted(other, shift)
        return join(cloud, laid if beams is None else beams.numbered(laid))


@dataclass(frozen=True)
class CutMix:
    """Replace upright square blocks of a map by blocks of another, each ground aligned (after Yun et al., ICCV 2019).

    Attributes:
        blocks: How many.
        edge: Of a block, metres.
    """

    blocks: Annotated[int, Field(ge=1)] = 3
    edge: Positive = 12.0

    def __call__(self, cloud: PointCloud, other: PointCloud, rng: Rng) -> PointCloud:
        other = alike(cloud, other)
        if why_not_spinning(cloud) is None and len(cloud):
            reason = "cutmix moves blocks, and a spinning scan's density and shadows belong to their range"
            raise PcaugError(reason, cloud.source.file or None, "mix scans with polarmix, lasermix or paste")
        other = replace(other, crs=cloud.crs)
        for _ in range(self.blocks if len(cloud) and len(other) else 0):
            hole = cloud.xyz[rng.integers(len(cloud)), :2]
            seed = other.xyz[rng.integers(len(other)), :2]
            old, new = self._block(cloud, hole), self._block(other, seed)
            patch = other.take(new)
            shift = np.append(hole - seed, 0.0)
            shift[2] = foot(cloud.take(old))[2] - foot(patch)[2]
            cloud = join(kept(cloud, ~old), shifted(patch, shift))
        return cloud

    def _block(self, cloud: PointCloud, middle: NDArray[np.float64]) -> NDArray[np.bool_]:
        return np.asarray((np.abs(cloud.xyz[:, :2] - middle) <= self.edge / 2).all(axis=1))


def in_sector(cloud: PointCloud, start: float, width: float) -> NDArray[np.bool_]:
    """Mask (N,) of points whose azimuth lies within ``width`` degrees counter-clockwise of ``start``."""
    azimuth = np.degrees(np.arctan2(cloud.xyz[:, 1], cloud.xyz[:, 0]))
    inside: NDArray[np.bool_] = (azimuth - start) % 360 < width
    return inside


def shifted(cloud: PointCloud, offset: NDArray[np.float64]) -> PointCloud:
    """Move a cloud by an offset (3,) metres."""
    matrix = np.eye(4)
    matrix[:3, 3] = offset
    return cloud.moved(matrix)


def foot(cloud: PointCloud) -> NDArray[np.float64]:
    """Plan centre (3,) at the ground: the median height of ground points, else the 2nd percentile of all."""
    ground = cloud.take(members(cloud, ("ground",)))
    level = np.median(ground.xyz[:, 2]) if len(ground) else np.percentile(cloud.xyz[:, 2], 2)
    return np.append(cloud.xyz[:, :2].mean(axis=0), level)
