"""A beam of finite width: sub-rays with a Gaussian share of its energy, and the echoes that their hits add up to.

As in HELIOS++ (Winiwarter et al., "Virtual laser scanning with HELIOS++", Remote Sensing of Environment 269, 2022, section
3.3): sub-rays lie on rings about the beam's axis, 1 + 6 + 12 ..., and each has the energy of its piece of a Gaussian profile.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcaug.sensor.engine import Rays

Array = NDArray[np.float64]
LIGHT = 0.299792458
"""Speed of light, metres a nanosecond."""
RINGS = {1: 1, 7: 2, 19: 3}


def sub_beams(number: int) -> tuple[Array, Array]:
    """Places (K, 2) of sub-rays in radii of the beam, and their shares (K,) of its energy, which add up to 1.

    Ring i of n stands for the annulus from (i - 1/2) / (n - 1/2) to (i + 1/2) / (n - 1/2) of the radius w at which intensity
    is down to 1/e2. I = I0 exp(-2 r^2 / w^2) (Carlsson et al., FOI-R-0163-SE, 2001), so the annulus from a to b has
    exp(-2 a^2) - exp(-2 b^2) of the energy, relative to the 1 - exp(-2) within w.
    """
    rings = RINGS[number]
    places, shares = [np.zeros((1, 2))], []
    for ring in range(rings):
        inner, outer = max(ring - 0.5, 0) / (rings - 0.5), (ring + 0.5) / (rings - 0.5)
        count = max(6 * ring, 1)
        shares += [(np.exp(-2 * inner**2) - np.exp(-2 * outer**2)) / (1 - np.exp(-2)) / count] * count
        if ring:
            angle = 2 * np.pi * np.arange(count) / count
            places.append(ring / (rings - 0.5) * np.stack([np.cos(angle), np.sin(angle)], axis=1))
    return np.concatenate(places), np.array(shares)


def split(rays: Rays, number: int, divergence: float, rng: np.random.Generator) -> tuple[Array, Array, NDArray[np.int64]]:
    """Sub-rays of all beams: origin (N K, 3), direction (N K, 3), bundle (N K,); beam by beam, each turned at random.

    Args:
        rays: The beams.
        number: K, sub-rays a beam.
        divergence: Full angle between the 1/e2 points, radians.
        rng: Turns the rings.
    """
    places, _ = sub_beams(number)
    axis = rays.direction
    steep = np.abs(axis[:, 2:]) > 0.7
    right = np.cross(axis, np.where(steep, [[1.0, 0, 0]], [[0, 0, 1.0]]))
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    up = np.cross(right, axis)
    roll = rng.uniform(0, 2 * np.pi, len(axis))[:, None]
    radius = np.linalg.norm(places, axis=1) * np.tan(divergence / 2)
    angle = np.arctan2(places[:, 1], places[:, 0]) + roll
    direction = axis[:, None] + radius[:, None] * (
        np.cos(angle)[..., None] * right[:, None] + np.sin(angle)[..., None] * up[:, None]
    )
    direction /= np.linalg.norm(direction, axis=2, keepdims=True)
    origin = np.repeat(np.broadcast_to(rays.origin, axis.shape), number, axis=0)
    return origin, direction.reshape(-1, 3), np.repeat(rays.bundle, number)


@dataclass(frozen=True)
class Merged:
    """Echoes of hits that came in together.

    Attributes:
        ray: (M,) int64 beam.
        distance: (M,) mean over the hits, weighted by what each sends back.
        strongest: (M,) int64 index of the hit that sends back most.
        first: (M,) int64 where each echo's hits begin in ``order``.
        order: (H,) int64 hits by beam and distance.
    """

    ray: NDArray[np.int64]
    distance: Array
    strongest: NDArray[np.int64]
    first: NDArray[np.int64]
    order: NDArray[np.int64]


def merged(ray: NDArray[np.int64], distance: Array, power: Array, pulse: float) -> Merged:
    """Echoes of hits (H,): those of one beam that follow each other within half a pulse length are one.

    Two scatterers nearer than c tau / 2 cannot be told apart (Wagner et al., ISPRS Journal 60(2), 2006, section 2): their
    echo lies at the mean of both, which at the edge of an object is where nothing is: a mixed pixel.

    Args:
        ray: Beam of each hit.
        distance: Metres.
        power: What each sends back.
        pulse: Length tau of the pulse, ns.
    """
    order = np.lexsort((distance, ray))
    ray, distance, power = ray[order], distance[order], power[order]
    apart = (np.diff(ray, prepend=-1) > 0) | (np.diff(distance, prepend=-np.inf) > LIGHT * pulse / 2)
    first = np.flatnonzero(apart)
    if not len(first):
        return Merged(ray, distance, order, first, order)
    middle = np.add.reduceat(power * distance, first) / np.add.reduceat(power, first)
    echo = np.cumsum(apart) - 1
    by_power = np.lexsort((power, echo))
    last = np.append(first[1:], len(order)) - 1
    return Merged(ray[first], middle, order[by_power[last]], first, order)
