"""Paste labelled objects of one cloud, or of an object bank, into another: on the ground, in free space, hiding and hidden.

Real x real and real x synthetic alike. After Fang et al., "Augmented LiDAR Simulator", RA-L 2020 (occlusion), and the
rotate-pasting of PolarMix (Xiao et al., NeurIPS 2022): in a scan, an object is turned about the sensor, so that its range,
density and visible side stay true; in a map it may stand anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pcaug import catalogue
from pcaug.augment.attributes import kept, moved
from pcaug.augment.instances import Ground, objects, outermost
from pcaug.augment.mixing import Classes, alike, foreign, join, members
from pcaug.augment.naive import Length, Rng, Share, turn
from pcaug.augment.sight import DepthImage, View, why_not_spinning
from pcaug.cloud import HEIGHT, PointCloud

STANDS_ON = {"vehicle": ("paved",)}
"""Class -> what its objects stand on, where the cloud has it; all else stands on any ground."""
PLAN_CELL = 0.5
"""Edge of a cell of the view from above, metres."""


@dataclass(frozen=True)
class Pasted:
    """A cloud with pasted objects, and what became of every point: after = before - hidden + pasted.

    Attributes:
        cloud: The result.
        objects: Objects that found a place.
        pasted: Their points that are seen.
        lost: Their points that something of the cloud hides.
        hidden: Points of the cloud that they hide.
    """

    cloud: PointCloud
    objects: int = 0
    pasted: int = 0
    lost: int = 0
    hidden: int = 0


class _Site:
    """The cloud before anything was pasted: how it is seen, the ground that objects stand on, and its beams where the objects are
    of another scanner."""

    def __init__(self, cloud: PointCloud, other: PointCloud) -> None:
        self.cloud, self.beams = cloud, foreign(cloud, other)
        self.view: View = "sensor" if why_not_spinning(cloud) is None else "above"
        self._grounds: dict[Classes, Ground] = {}

    def surface(self, name: str) -> Ground:
        """What objects of a class stand on: the class that suits them where the cloud has it, else any ground."""
        taxonomy = catalogue.taxonomy()
        suits = [on for upper, on in STANDS_ON.items() if taxonomy.covers(taxonomy.id(upper), taxonomy.id(name))]
        for classes in [*suits, ("ground",)]:
            if classes not in self._grounds:
                self._grounds[classes] = Ground(self.cloud, members(self.cloud, classes))
            if len(self._grounds[classes].points):
                break
        return self._grounds[classes]


@dataclass(frozen=True)
class PasteObjects:
    """Paste objects of the other cloud where there is ground and room, the classes that are rare in this one first.

    Attributes:
        classes: Of the objects.
        number: Objects to paste.
        tries: Places to try for each.
        least: Points that an object needs.
        margin: Free space around an object, metres.
        seen: Least share of an object's points that must be seen at its new place.
        cell: Edge of a cell of the depth images, degrees: about the spacing of the sensor's beams.
    """

    classes: Classes = ("vehicle", "person", "pole_like")
    number: Annotated[int, Field(ge=1)] = 8
    tries: Annotated[int, Field(ge=1)] = 12
    least: Annotated[int, Field(ge=1)] = 20
    margin: Length = 0.3
    seen: Share = 0.5
    cell: Annotated[float, Field(ge=0.01, le=10)] = 0.42

    def __call__(self, cloud: PointCloud, other: PointCloud, rng: Rng) -> PointCloud:
        return self.apply(cloud, other, rng).cloud

    def apply(self, cloud: PointCloud, other: PointCloud, rng: Rng) -> Pasted:
        """As calling it, with an account of the points."""
        site, other = _Site(cloud, other), alike(cloud, other)
        ground = Ground(other, members(other, ("ground",)))
        donors = [(name, thing) for name in outermost(self.classes) for thing in objects(other, name, ground, self.least)]
        result = Pasted(cloud)
        if not donors or not len(cloud):
            return result
        for index in _by_rarity(cloud, [thing for _, thing in donors], rng)[: self.number]:
            name, thing = donors[int(index)]
            result = self._place(result, site, name, thing, rng)
        return result

    def _place(self, so_far: Pasted, site: _Site, name: str, thing: PointCloud, rng: Rng) -> Pasted:
        """Try places until the object stands, is free and is seen; else leave the cloud as it is."""
        cloud, ground = so_far.cloud, site.surface(name)
        grounds = members(cloud, ("ground",))
        for _ in range(self.tries if len(ground.points) else 0):
            angle, place = rng.uniform(0, 2 * np.pi), ground.points[rng.integers(len(ground.points))]
            stood = _stand(moved(thing, turn(angle)), ground, None if site.view == "sensor" else place)
            if stood is None or not self._free(cloud, grounds, stood):
                continue
            hides, seen = self._occlusion(cloud, grounds, stood, site.view)
            if seen.mean() < self.seen:
                continue
            shown = kept(stood, seen) if site.beams is None else site.beams.numbered(kept(stood, seen))
            shared = shown if HEIGHT in cloud else shown.with_fields(**{HEIGHT: None})
            return Pasted(
                join(kept(cloud, ~hides), shared),
                so_far.objects + 1,
                so_far.pasted + len(shown),
                so_far.lost + len(stood) - len(shown),
                so_far.hidden + int(hides.sum()),
            )
        return so_far

    def _free(self, cloud: PointCloud, grounds: NDArray[np.bool_], thing: PointCloud) -> bool:
        """Whether nothing but ground is in the box around the object's main plan axes, grown by the margin."""
        middle = thing.xyz[:, :2].mean(axis=0)
        plan = thing.xyz[:, :2] - middle
        axes = np.linalg.eigh(plan.T @ plan)[1]
        low, high = (plan @ axes).min(axis=0) - self.margin, (plan @ axes).max(axis=0) + self.margin
        reach = float(np.linalg.norm(np.maximum(-low, high)))
        near = np.flatnonzero(
            (np.abs(cloud.xyz[:, 0] - middle[0]) < reach) & (np.abs(cloud.xyz[:, 1] - middle[1]) < reach) & ~grounds
        )
        local = (cloud.xyz[near, :2] - middle) @ axes
        bottom, top = thing.bounds[:, 2]
        height = cloud.xyz[near, 2]
        return not bool(
            (((local >= low) & (local <= high)).all(axis=1) & (height > bottom - 0.5) & (height < top + self.margin)).any()
        )

    def _occlusion(
        self, cloud: PointCloud, grounds: NDArray[np.bool_], thing: PointCloud, view: View
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which points of the cloud the object hides (N,), and which of its own are seen (M,).

        Ground hides nothing of what stands on it: in a flat cell it would be nearer than the object's foot.
        """
        cell = np.radians(self.cell) if view == "sensor" else PLAN_CELL
        hides = DepthImage(thing.xyz, view, cell, close=True).behind(cloud.xyz, 0.2)
        obstacles = cloud.xyz[~grounds]
        if not len(obstacles):
            return hides, np.ones(len(thing), dtype=bool)
        return hides, ~DepthImage(obstacles, view, cell, close=True).behind(thing.xyz, self.margin)


def _by_rarity(cloud: PointCloud, things: list[PointCloud], rng: Rng) -> NDArray[np.intp]:
    """An order of objects, each drawn with a weight of 1 / sqrt(points of its class in the cloud + 1), without putting back."""
    counts = np.bincount(cloud["label"], minlength=256)
    own = np.array([int(np.bincount(thing["label"]).argmax()) for thing in things])
    alike = np.bincount(own, minlength=256)[own]
    weight = 1 / np.sqrt(counts[own] + 1.0) / alike
    return np.argsort(-np.log(np.maximum(rng.random(len(things)), 1e-12)) / weight)  # exponential clocks: the first to ring


def _stand(thing: PointCloud, ground: Ground, place: NDArray[np.float64] | None) -> PointCloud | None:
    """The object with its foot on the ground, at a place or where it is; None where there is no ground."""
    middle = thing.bounds.mean(axis=0)
    offset = np.zeros(3) if place is None else np.append(place[:2] - middle[:2], 0.0)
    reach = float(np.ptp(thing.bounds[:, :2], axis=0).max()) / 2 + 0.5
    level = ground.under(middle + offset, reach)
    if level is None:
        return None
    foot = float(np.median(thing.xyz[:, 2] - thing[HEIGHT]))
    matrix = np.eye(4)
    matrix[:3, 3] = offset + (0, 0, level - foot)
    return moved(thing, matrix)
