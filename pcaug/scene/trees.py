"""Makers of what grows and lies in a wood. Trees are 20 m high, to be scaled."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pcaug.scene.asset import Asset, Builder
from pcaug.scene.shapes import leaves, loft, tube

Rng = np.random.Generator


def broadleaf(rng: Rng) -> Asset:
    """A forest tree of 20 m: a long bole with a bend, branches of two orders towards the light, leaves at their ends."""
    h, radius, base = 20.0, rng.uniform(0.14, 0.3), rng.uniform(0.35, 0.55)
    out = Builder()
    stem = np.cumsum(np.concatenate([np.zeros((1, 2)), rng.normal(0, 0.16, (6, 2))]), axis=0)
    line = np.column_stack([stem, np.linspace(-0.3, 0.93 * h, 7)])
    widths = radius * np.linspace(1, 0.2, 7) * np.array([1.35, 1, 1, 1, 1, 1, 1])
    for (a, ra), (b, rb) in pairwise(zip(line, widths, strict=True)):
        out.add(tube(a, b, ra, rb, 8), "tree", "bark")
    ends = []
    for s in rng.uniform(base, 0.97, int(rng.integers(14, 22))):
        start = np.array([np.interp(s * h, line[:, 2], line[:, i]) for i in range(3)])
        reach = rng.uniform(0.6, 1.0) * 0.2 * h * np.sqrt(np.clip((1.02 - s) / (1 - base), 0.05, 1))
        angle = rng.uniform(0, 2 * np.pi)
        end = start + reach * np.array([np.cos(angle), np.sin(angle), rng.uniform(0.25, 0.9)])
        out.add(tube(start, end, radius * 0.3, radius * 0.08, 5), "tree", "bark")
        for f in (0.45, 0.7, 1.0):
            twig = start + f * (end - start)
            tip = twig + rng.normal(0, 0.25 * reach, 3) + (0, 0, 0.1 * reach)
            out.add(tube(twig, tip, radius * 0.08, 0.01, 3), "tree", "bark")
            ends += [twig + g * (tip - twig) for g in (0.5, 1.0)]
    each = int(rng.integers(28, 44))
    centres = np.repeat(np.array(ends), each, axis=0) + rng.normal(0, 0.5, (len(ends) * each, 3))
    out.add(leaves(centres, rng.uniform(0.2, 0.3), rng), "tree", "leaves")
    return out.asset("broadleaf")


def spruce(rng: Rng) -> Asset:
    """A forest conifer of 20 m: dead twigs below, whorls of drooping branches above, denser to the top."""
    h, base = 20.0, rng.uniform(0.25, 0.5)
    out = Builder()
    out.add(tube((0, 0, -0.3), (0, 0, 0.97 * h), rng.uniform(0.14, 0.24), 0.02, 8), "tree", "bark")
    centres = []
    for z in np.arange(1.5, 0.98 * h, 0.42):
        live = z > base * h
        reach = (1.02 - z / h) / (1.02 - base) * 0.15 * h if live else rng.uniform(0.3, 1.2)
        for angle in rng.uniform(0, 2 * np.pi, 4 if live else 2):
            tip = np.array([np.cos(angle) * reach, np.sin(angle) * reach, z - 0.3 * reach])
            out.add(tube((0, 0, z), tip, 0.025, 0.006, 3), "tree", "bark")
            if live:
                centres.append(np.array([0, 0, z]) + np.linspace(0.25, 1, 6)[:, None] * (tip - (0, 0, z)))
    points = np.repeat(np.concatenate(centres), 4, axis=0)
    out.add(leaves(points + rng.normal(0, 0.14, points.shape), 0.26, rng), "tree", "leaves")
    return out.asset("spruce")


def log(rng: Rng) -> Asset:
    """A fallen trunk along x."""
    half, radius = rng.uniform(1.5, 5.0), rng.uniform(0.08, 0.25)
    out = Builder()
    out.add(tube((-half, 0, radius * 0.8), (half, 0, radius * 0.7), radius, radius * 0.6, 8), "low_vegetation", "bark")
    return out.asset("log")


def stone(rng: Rng) -> Asset:
    """A boulder, half in the ground."""
    angle = np.linspace(0, 2 * np.pi, 9, endpoint=False)
    size = rng.uniform(0.2, 0.7, 3)
    rings = []
    for tilt in np.radians([-50, -20, 15, 50, 80]):
        r = np.cos(tilt) * rng.uniform(0.75, 1.1, 9)
        rings.append(np.stack([size[0] * r * np.cos(angle), size[1] * r * np.sin(angle), np.full(9, size[2] * np.sin(tilt))], 1))
    out = Builder()
    out.add(loft(np.array(rings)) + (0, 0, 0.3 * size[2]), "terrain", "concrete")
    return out.asset("stone")
