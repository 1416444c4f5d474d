"""Houses: walls with windows and doors, and roofs."""

from __future__ import annotations

import numpy as np

from pcaug.scene.asset import Builder, Triangles
from pcaug.scene.shapes import box, boxes, moved, quad

Rng = np.random.Generator


def house(rng: Rng, width: float, depth: float, eaves: float, *, roof: str, pitch: float, facade: bool = True) -> Builder:
    """A house around the origin: its front along x at y = -depth / 2.

    Args:
        rng: Shapes windows, chimney, balcony, dormers.
        width: Along x, metres.
        depth: Along y, metres.
        eaves: Height of the walls, metres.
        roof: "gable", "hip" or "flat".
        pitch: Roof slope, degrees.
        facade: Whether the front has windows, a door and a plinth (not worth it from the air).
    """
    out = Builder()
    w, d = width / 2, depth / 2
    wall = "plaster" if rng.random() < 0.6 else "brick"
    out.add(box((-w, -d, -1.0), (w, d, eaves)), "building", wall)
    out.add(_roof(w, d, eaves, roof, pitch, 0.35), "building", "roof_tile" if roof != "flat" else "gravel")
    if roof == "flat":
        rim = [((-w, -d), (w, -d + 0.2)), ((-w, d - 0.2), (w, d)), ((-w, -d), (-w + 0.2, d)), ((w - 0.2, -d), (w, d))]
        for (x0, y0), (x1, y1) in rim:
            out.add(box((x0, y0, eaves), (x1, y1, eaves + 0.4)), "building", wall)
    elif rng.random() < 0.7:
        x, top = rng.uniform(-w * 0.6, w * 0.6), eaves + np.tan(np.radians(pitch)) * d
        out.add(box((x - 0.3, -0.3, eaves), (x + 0.3, 0.3, top + 0.8)), "building", "brick")
    if roof == "gable" and rng.random() < 0.25:
        x, z = rng.uniform(-w * 0.5, w * 0.5), eaves + 0.25 * np.tan(np.radians(pitch)) * d
        out.add(box((x - 1.0, -d * 0.8, z), (x + 1.0, 0, z + 1.4)), "building", "plaster")
    if facade:
        _front(out, rng, w, d, eaves)
    return out


def _roof(w: float, d: float, eaves: float, kind: str, pitch: float, over: float) -> Triangles:
    """Roof surfaces with ``over`` metres of overhang; the ridge runs along x."""
    if kind == "flat":
        return quad((-w, -d, eaves), (w, -d, eaves), (w, d, eaves), (-w, d, eaves)) + (0, 0, 0.02)
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


def _front(out: Builder, rng: Rng, w: float, d: float, eaves: float) -> None:
    """Windows set back into the front and the sides, a door, sometimes a balcony and a bay."""
    storey = 2.8
    spacing = rng.uniform(2.2, 3.6)
    xs = np.arange(-w + spacing / 2, w - 0.6, spacing)
    floors = np.arange(0.9, max(eaves - 1.2, 1.0), storey)
    for z in floors:
        low = np.stack([xs - 0.55, np.full(len(xs), -d - 0.02), np.full(len(xs), z)], axis=1)
        high = low + (1.1, 0.0, 1.35)
        out.add(boxes(low, high + (0, 0.01, 0)), "building", "glass")
        frame = np.concatenate(
            [boxes(low - (0.08, 0.06, 0.1), low + (1.18, 0.0, 0.0)), boxes(low + (0.5, -0.03, 0), high - (0.55, -0.01, 0))]
        )
        out.add(frame, "building", "concrete")
    x = float(rng.uniform(-w * 0.6, w * 0.6))
    out.add(box((x - 0.5, -d - 0.05, 0), (x + 0.5, -d, 2.1)), "building", "wood")
    out.add(box((x - 0.8, -d - 1.0, -0.5), (x + 0.8, -d, 0.15)), "building", "concrete")
    if eaves > 5 and rng.random() < 0.5:
        for z in floors[1:]:
            b = float(rng.uniform(-w * 0.5, w * 0.5))
            out.add(box((b - 1.3, -d - 1.1, z - 0.95), (b + 1.3, -d, z - 0.8)), "building", "concrete")
            for y0, y1, x0, x1 in ((-d - 1.1, -d - 1.05, b - 1.3, b + 1.3),):
                out.add(box((x0, y0, z - 0.8), (x1, y1, z + 0.1)), "building", "metal")


def place(builder: Builder, house_: Builder, at: tuple[float, float, float], yaw: float) -> None:
    """Add a house to a builder, its middle at a point, turned by yaw."""
    for triangles, labels, materials in zip(house_.triangles, house_.labels, house_.materials, strict=True):
        builder.add_faces(moved(triangles, at, yaw), labels, materials)
