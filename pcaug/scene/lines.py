"""Overhead lines: pylons and the sagging wires between them."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from pcaug.scene.asset import Asset, Builder, Triangles
from pcaug.scene.shapes import Points, loft, tube


def wire(start: Points, end: Points, sag: float, radius: float = 0.015, pieces: int = 10) -> Triangles:
    """A wire between two points (3,), metres: a parabola, which a catenary is to within its sag's share of the span."""
    t = np.linspace(0, 1, pieces + 1)
    line = start + t[:, None] * (end - start) - (4 * sag * t * (1 - t))[:, None] * (0, 0, 1)
    along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
    side = np.array([-along[1], along[0], 0.0]) * radius
    ring = np.stack([side, -side, np.array([0, 0, radius * 1.6])])
    return loft(line[:, None] + ring[None])


def pylon_arms(height: float) -> tuple[tuple[float, float], ...]:
    """(level, reach) of a pylon's arms, metres."""
    return (0.7 * height, 0.16 * height), (0.83 * height, 0.2 * height), (0.96 * height, 0.13 * height)


@lru_cache(maxsize=32)
def pylon(height: float) -> Asset:
    """A lattice pylon, its arms along y."""
    out = Builder()
    foot, waist = 0.09 * height, 0.02 * height
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    levels = np.linspace(0, 1, 8)
    width = foot + (waist - foot) * levels**0.7
    for a, b in corners:
        out.add(tube((a * foot, b * foot, -0.3), (a * waist, b * waist, height), 0.09, 0.05, 4), "pole", "metal")
    for (z0, w0), (z1, w1) in pairwise(zip(levels * height, width, strict=True)):
        for (a, b), (c, d) in pairwise((*corners, corners[0])):
            out.add(tube((a * w0, b * w0, z0), (c * w1, d * w1, z1), 0.035, sides=3), "pole", "metal")
    for level, reach in pylon_arms(height):
        out.add(tube((0, -reach, level), (0, reach, level), 0.07, sides=4), "pole", "metal")
        for side in (-1, 1):
            out.add(tube((0, side * waist, level + 0.06 * height), (0, side * reach, level), 0.04, sides=3), "pole", "metal")
    return out.asset("pylon")
