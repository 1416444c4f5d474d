"""Makers of furniture. Each returns an asset standing on z = 0, its front along +x and its back at x <= 0."""

from __future__ import annotations

import numpy as np

from pcaug.scene.asset import Asset, Builder
from pcaug.scene.shapes import box, boxes, moved, tube

Rng = np.random.Generator


def _legs(out: Builder, low: tuple[float, float], high: tuple[float, float], top: float, label: str, material: str) -> None:
    """Four legs below a plate."""
    for x in (low[0] + 0.05, high[0] - 0.05):
        for y in (low[1] + 0.05, high[1] - 0.05):
            out.add(box((x - 0.025, y - 0.025, 0), (x + 0.025, y + 0.025, top)), label, material)


def table(rng: Rng) -> Asset:
    """A dining table."""
    x, y, h = rng.uniform(0.4, 0.55), rng.uniform(0.5, 1.1), rng.uniform(0.71, 0.77)
    out = Builder()
    out.add(box((-x, -y, h - 0.04), (x, y, h)), "table", "wood")
    _legs(out, (-x, -y), (x, y), h - 0.04, "table", "wood")
    return out.asset("table")


def desk(rng: Rng) -> Asset:
    """A desk with drawers and a screen."""
    y, h = rng.uniform(0.6, 0.9), 0.74
    out = Builder()
    out.add(box((0, -y, h - 0.03), (0.75, y, h)), "table", "wood")
    _legs(out, (0, -y), (0.75, y), h - 0.03, "table", "metal")
    out.add(box((0.05, y - 0.45, 0.05), (0.7, y - 0.05, h - 0.06)), "table", "wood")
    if rng.random() < 0.7:
        out.add(box((0.2, -0.3, h + 0.12), (0.24, 0.3, h + 0.48)), "object", "plastic")
        out.add(box((0.15, -0.1, h), (0.3, 0.1, h + 0.14)), "object", "plastic")
    return out.asset("desk")


def chair(rng: Rng) -> Asset:
    """A chair with a back, or an office chair."""
    w, seat, top = rng.uniform(0.2, 0.25), rng.uniform(0.43, 0.48), rng.uniform(0.8, 1.0)
    out = Builder()
    out.add(box((-w, -w, seat - 0.04), (w, w, seat)), "seating", "cloth")
    if rng.random() < 0.35:
        out.add(tube((0, 0, 0.1), (0, 0, seat), 0.03, sides=6), "seating", "metal")
        for angle in np.arange(5) * 2 * np.pi / 5:
            out.add(tube((0, 0, 0.1), (0.28 * np.cos(angle), 0.28 * np.sin(angle), 0.05), 0.02, sides=4), "seating", "plastic")
    else:
        _legs(out, (-w, -w), (w, w), seat - 0.04, "seating", "wood")
    slats = np.arange(3)
    low = np.stack([np.full(3, -w), np.full(3, -w), seat + 0.08 + slats * (top - seat - 0.08) / 3], axis=1)
    out.add(boxes(low, low + (0.03, 2 * w, (top - seat) / 4.5)), "seating", "wood")
    for y in (-w, w - 0.03):
        out.add(box((-w, y, seat), (-w + 0.03, y + 0.03, top)), "seating", "wood")
    return out.asset("chair")


def sofa(rng: Rng) -> Asset:
    """A sofa or an armchair."""
    y = rng.uniform(0.4, 0.5) if rng.random() < 0.35 else rng.uniform(0.8, 1.1)
    out = Builder()
    out.add(box((0.05, -y, 0.08), (0.88, y, 0.42)), "seating", "cloth")
    out.add(box((0.0, -y, 0.08), (0.22, y, rng.uniform(0.75, 0.92))), "seating", "cloth")
    for side in (-1, 1):
        edges = sorted((side * (y - 0.16), side * y))
        out.add(box((0.05, edges[0], 0.08), (0.9, edges[1], 0.6)), "seating", "cloth")
    return out.asset("sofa")


def bed(rng: Rng) -> Asset:
    """A bed, its head at the wall."""
    y = rng.choice([0.45, 0.7, 0.9])
    out = Builder()
    out.add(box((0.04, -y, 0.1), (2.05, y, 0.32)), "other_furniture", "wood")
    out.add(box((0.08, -y + 0.03, 0.32), (2.0, y - 0.03, 0.52)), "other_furniture", "cloth")
    out.add(box((0.0, -y, 0.0), (0.05, y, rng.uniform(0.7, 1.1))), "other_furniture", "wood")
    for side in (-1, 1) if y > 0.6 else (0,):
        out.add(box((0.12, side * y / 2 - 0.3, 0.52), (0.52, side * y / 2 + 0.3, 0.62)), "other_furniture", "cloth")
    return out.asset("bed")


def shelf(rng: Rng) -> Asset:
    """A shelf with books."""
    y, h = rng.uniform(0.35, 0.9), rng.uniform(1.2, 2.1)
    out = Builder()
    out.add(box((0.0, -y, 0), (0.02, y, h)), "other_furniture", "wood")
    for side in (-y, y - 0.02):
        out.add(box((0.0, side, 0), (0.3, side + 0.02, h)), "other_furniture", "wood")
    for z in np.arange(0.05, h, 0.36):
        out.add(box((0.0, -y, z), (0.3, y, z + 0.02)), "other_furniture", "wood")
        filled = rng.uniform(0.2, 1.0) * 2 * y
        edges = np.arange(-y + 0.02, -y + filled - 0.04, 0.05)
        if z < h - 0.3 and len(edges):
            low = np.stack([np.full(len(edges), 0.03), edges, np.full(len(edges), z + 0.02)], axis=1)
            size = np.stack(
                [rng.uniform(0.13, 0.24, len(edges)), np.full(len(edges), 0.045), rng.uniform(0.17, 0.3, len(edges))], 1
            )
            out.add(boxes(low, low + size), "object", "cloth")
    return out.asset("shelf")


def cupboard(rng: Rng) -> Asset:
    """A cupboard, a wardrobe or a sideboard with doors and handles."""
    y, h, d = rng.uniform(0.4, 1.0), rng.choice([0.8, 1.2, 2.0, 2.2]), rng.uniform(0.4, 0.6)
    out = Builder()
    out.add(box((0, -y, 0.06), (d, y, h)), "other_furniture", "wood")
    doors = np.arange(-y, y - 0.1, 0.5)
    for edge in doors:
        out.add(box((d, edge + 0.01, 0.08), (d + 0.018, min(edge + 0.48, y), h - 0.02)), "other_furniture", "wood")
        out.add(box((d + 0.02, edge + 0.4, h / 2), (d + 0.05, edge + 0.42, h / 2 + 0.15)), "other_furniture", "metal")
    return out.asset("cupboard")


def radiator(rng: Rng) -> Asset:
    """A radiator: a panel with ribs."""
    y, h = rng.uniform(0.3, 0.9), 0.6
    out = Builder()
    out.add(box((0.05, -y, 0.12), (0.09, y, 0.12 + h)), "other_furniture", "metal")
    edges = np.arange(-y, y, 0.06)
    low = np.stack([np.full(len(edges), 0.09), edges, np.full(len(edges), 0.14)], axis=1)
    out.add(boxes(low, low + (0.025, 0.03, h - 0.04)), "other_furniture", "metal")
    return out.asset("radiator")


def clutter(rng: Rng) -> Asset:
    """A few small things: books, a cup, a box."""
    out = Builder()
    for _ in range(int(rng.integers(2, 5))):
        size, at = rng.uniform(0.04, 0.13, 3), (*rng.uniform(-0.2, 0.2, 2), 0.0)
        if rng.random() < 0.4:
            out.add(tube(at, (at[0], at[1], size[2] * 1.8), size[0] / 2, sides=8), "object", "plastic")
        else:
            out.add(moved(box(-size * (1, 1, 0), size), at, rng.uniform(0, 6.3)), "object", "cloth")
    return out.asset("clutter")


def ceiling_lamp(rng: Rng) -> Asset:
    """A lamp that hangs by its cable; z = 0 is the ceiling."""
    drop, radius = rng.uniform(0.3, 0.8), rng.uniform(0.12, 0.25)
    out = Builder()
    out.add(tube((0, 0, -drop), (0, 0, 0), 0.008, sides=4), "object", "plastic")
    out.add(tube((0, 0, -drop - radius), (0, 0, -drop), radius, radius * 0.3, 10), "object", "plastic")
    return out.asset("ceiling lamp")
