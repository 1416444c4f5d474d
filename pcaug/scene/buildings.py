"""Houses: walls with windows and doors, and roofs."""

from __future__ import annotations

import numpy as np

from pcaug.scene.asset import Builder, Triangles
from pcaug.scene.shapes import box, boxes, loft, moved, quad

Rng = np.random.Generator
REVEAL = 0.28
"""Thickness of a front wall, metres: how deep its windows are."""


def house(rng: Rng, width: float, depth: float, eaves: float, *, roof: str, pitch: float, facade: bool = True) -> Builder:
    """A house around the origin: its front along x at y = -depth / 2.

    Args:
        rng: Shapes windows, chimney, balcony, dormers.
        width: Along x, metres.
        depth: Along y, metres.
        eaves: Height of the walls, metres.
        roof: "gable", "hip", "mono" (one slope), "mansard" or "flat".
        pitch: Roof slope, degrees.
        facade: Whether the front has windows, a door and a plinth (not worth it from the air).
    """
    out = Builder()
    w, d = width / 2, depth / 2
    wall = "plaster" if rng.random() < 0.6 else "brick"
    out.add(box((-w, -d + (REVEAL if facade else 0.0), -1.0), (w, d, eaves)), "building", wall)
    out.add(_roof(w, d, eaves, roof, pitch, 0.35), "building", "roof_tile" if roof != "flat" else "gravel")
    if roof == "flat":
        rim = [((-w, -d), (w, -d + 0.2)), ((-w, d - 0.2), (w, d)), ((-w, -d), (-w + 0.2, d)), ((w - 0.2, -d), (w, d))]
        for (x0, y0), (x1, y1) in rim:
            out.add(box((x0, y0, eaves), (x1, y1, eaves + 0.4)), "building", wall)
    elif rng.random() < 0.7:
        x, top = rng.uniform(-w * 0.6, w * 0.6), eaves + np.tan(np.radians(min(pitch, 15.0) if roof == "mono" else pitch)) * d
        out.add(box((x - 0.3, -0.3, eaves), (x + 0.3, 0.3, top + 0.8)), "building", "brick")
    if roof in ("gable", "mansard") and rng.random() < 0.4:
        z = eaves + 0.25 * np.tan(np.radians(pitch)) * d
        for x in rng.uniform(-0.6, 0.6, int(rng.integers(1, 3))) * w:
            side = float(rng.choice([-1, 1]))
            out.add(moved(_dormer(d * 0.75, 1.4), (x, 0, z), 0.0 if side < 0 else np.pi), "building", "roof_tile")
    if facade:
        _front(out, rng, w, d, eaves, wall)
    return out


def _roof(w: float, d: float, eaves: float, kind: str, pitch: float, over: float) -> Triangles:
    """Roof surfaces with ``over`` metres of overhang; the ridge runs along x."""
    if kind == "flat":
        return quad((-w, -d, eaves), (w, -d, eaves), (w, d, eaves), (-w, d, eaves)) + (0, 0, 0.02)
    if kind == "mono":
        rise = np.tan(np.radians(min(pitch, 15.0)))
        x, y = w + over, d + over
        top, low = eaves + (d + y) * rise, eaves - over * rise
        plane = quad((-x, -y, low), (x, -y, low), (x, y, top), (-x, y, top))
        back = quad((-w, d, eaves), (w, d, eaves), (w, d, eaves + 2 * d * rise), (-w, d, eaves + 2 * d * rise))
        cheeks = [[(side, -d, eaves), (side, d, eaves), (side, d, eaves + 2 * d * rise)] for side in (-w, w)]
        return np.concatenate([plane, back, np.array(cheeks)])
    if kind == "mansard":
        ring = np.array([(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)])
        foot, head = ring * (w + 0.2, d + 0.2), ring * (w - 0.9, d - 0.9)
        steep = loft(np.stack([np.column_stack([foot, np.full(4, eaves)]), np.column_stack([head, np.full(4, eaves + 2.2)])]))
        return np.concatenate([steep, _roof(w - 0.9, d - 0.9, eaves + 2.2, "hip", 15.0, 0.0)])
    rise = np.tan(np.radians(pitch))
    x, y, low, top = w + over, d + over, eaves - over * rise, eaves + d * rise
    inset = y if kind == "hip" and w > d else 0.0
    ridge = x - inset
    a, b, c, e = (-x, -y, low), (x, -y, low), (x, y, low), (-x, y, low)
    r0, r1 = (-ridge, 0, top), (ridge, 0, top)
    sides = [quad(a, b, r1, r0), quad(c, e, r0, r1)]
    ends = np.array([[b, c, r1], [e, a, r0]], dtype=np.float64)
    if not inset:  # gables stand in the walls, not at the overhang
        ends[0, :, 0], ends[1, :, 0] = w, -w
    return np.concatenate([*sides, ends])


def _dormer(reach: float, height: float) -> Triangles:
    """A dormer around x = 0 that comes out towards -y, with a small gable of its own."""
    body = box((-0.9, -reach, -0.6), (0.9, 0.0, height))
    front, back, ridge = -reach - 0.15, 0.4, height + 0.6
    slopes = [
        quad((side * 1.1, front, height - 0.1), (0, front, ridge), (0, back, ridge), (side * 1.1, back, height - 0.1))
        for side in (-1, 1)
    ]
    gable = np.array([[(-0.9, -reach, height), (0.9, -reach, height), (0, -reach, ridge - 0.05)]])
    return np.concatenate([body, *slopes, gable])


def _front(out: Builder, rng: Rng, w: float, d: float, eaves: float, wall: str) -> None:
    """The front wall with windows and a door set back into it, sometimes balconies and a porch."""
    width, tall, spacing = rng.uniform(0.9, 1.5), rng.uniform(1.2, 1.6), rng.uniform(2.2, 3.6)
    xs = np.arange(-w + spacing / 2, w - width / 2 - 0.3, spacing)
    floors = np.arange(0.9, max(eaves - tall - 0.2, 1.0), 2.8)
    door = int(rng.integers(len(xs)))
    edges = np.concatenate([[-w], np.column_stack([xs - width / 2, xs + width / 2]).ravel(), [w]])
    low, high = [(a, -1.0) for a in edges[::2]], [(b, eaves) for b in edges[1::2]]  # piers between the windows
    for index, x in enumerate(xs):
        sills = np.concatenate([[-1.0], floors + tall])
        heads = np.concatenate([floors, [eaves]])
        if index == door:
            sills[1], heads[0] = 2.1, 0.0
        low += [(x - width / 2, z) for z in sills]
        high += [(x + width / 2, z) for z in heads]
    a, b = np.array(low), np.array(high)
    front = np.full(len(a), -d)
    out.add(
        boxes(np.column_stack([a[:, 0], front, a[:, 1]]), np.column_stack([b[:, 0], front + REVEAL, b[:, 1]])), "building", wall
    )
    panes = np.array([(x - width / 2, -d + 0.12, z) for z in floors for i, x in enumerate(xs) if i != door or z > floors[0]])
    if len(panes):
        out.add(boxes(panes, panes + (width, 0.02, tall)), "building", "glass")
        bars = [boxes(panes + (width / 2 - 0.03, -0.02, 0), panes + (width / 2 + 0.03, 0.03, tall))]
        bars.append(boxes(panes - (0.08, 0.2, 0.06), panes + (width + 0.08, 0.0, 0.0)))
        out.add(np.concatenate(bars), "building", "concrete")
    x = float(xs[door])
    out.add(box((x - width / 2, -d + 0.15, 0), (x + width / 2, -d + 0.2, 2.1)), "building", "wood")
    out.add(box((x - 0.8, -d - 1.0, -0.5), (x + 0.8, -d, 0.1)), "building", "concrete")
    if rng.random() < 0.3:
        out.add(box((x - 1.0, -d - 1.1, 2.3), (x + 1.0, -d, 2.42)), "building", "concrete")
    if eaves > 5 and rng.random() < 0.5:
        for z in floors[1:]:
            _balcony(out, float(rng.choice(xs)), -d, z - 0.9)


def _balcony(out: Builder, x: float, y: float, z: float) -> None:
    """A slab with a railing of bars on three sides."""
    out.add(box((x - 1.3, y - 1.1, z - 0.15), (x + 1.3, y, z)), "building", "concrete")
    out.add(box((x - 1.3, y - 1.1, z + 0.95), (x + 1.3, y - 1.05, z + 1.0)), "building", "metal")
    bars = np.array([(x + s, y - 1.09, z) for s in np.arange(-1.3, 1.31, 0.13)])
    sides = np.array([(x + side, y - s, z) for side in (-1.3, 1.28) for s in np.arange(0.1, 1.05, 0.13)])
    low = np.concatenate([bars, sides])
    out.add(boxes(low, low + (0.02, 0.02, 1.0)), "building", "metal")


def place(builder: Builder, house_: Builder, at: tuple[float, float, float], yaw: float) -> None:
    """Add a house to a builder, its middle at a point, turned by yaw."""
    for triangles, labels, materials in zip(house_.triangles, house_.labels, house_.materials, strict=True):
        builder.add_faces(moved(triangles, at, yaw), labels, materials)
