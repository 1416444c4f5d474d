"""The ground of a scene: how high it lies, and where on it something more may stand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.scene.asset import Asset, Placement, Scene, Triangles

EDGE = 1e-9
"""What a place may lie off a face's edge and be on it."""
STEP = 0.1
"""Height above the ground from which a face stands in the way, metres."""


def ground_of(scene: Scene) -> Triangles | None:
    """(M, 3, 3) faces of ground as they stand in a scene, those of stones too; None where it has none."""
    nodes = catalogue.taxonomy().subtree("ground")
    found = [p.standing(which) for p in scene.placements if (which := np.isin(p.asset.face_label, nodes)).any()]
    return np.concatenate(found) if found else None


def level_on(ground: Triangles, x: float, y: float) -> float | None:
    """Height of the highest face above or below a plan position, metres; None beside the ground."""
    a, (p, q) = ground[:, 0], (ground[:, 1:] - ground[:, :1]).swapaxes(0, 1)
    dx, dy = x - a[:, 0], y - a[:, 1]
    area = p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]
    flat = np.where(area == 0, np.inf, area)  # upright faces are no ground to stand on
    u, v = (dx * q[:, 1] - dy * q[:, 0]) / flat, (dy * p[:, 0] - dx * p[:, 1]) / flat
    within = (area != 0) & (u >= -EDGE) & (v >= -EDGE) & (u + v <= 1 + EDGE)
    return float((a[:, 2] + u * p[:, 2] + v * q[:, 2])[within].max()) if within.any() else None


def height_at(ground: Triangles, x: float, y: float) -> float:
    """As ``level_on``; beside the ground that of the nearest corner."""
    if (level := level_on(ground, x, y)) is not None:
        return level
    corners = ground.reshape(-1, 3)
    away = np.hypot(corners[:, 0] - x, corners[:, 1] - y)
    return float(corners[away <= away.min() + EDGE, 2].max())


def plan_radius(asset: Asset) -> float:
    """Of the circle about an asset's origin that holds it, however it is turned, metres."""
    return float(np.hypot(asset.triangles[..., 0], asset.triangles[..., 1]).max())


class Site:
    """Where in a scene something more may stand: on its ground, clear of what stands there, in no building.

    Args:
        scene: As it is before anything is added.
    """

    def __init__(self, scene: Scene) -> None:
        tree = catalogue.taxonomy()
        self.ground, self.beside = ground_of(scene), float(scene.viewpoint[2])
        self.grounds, self.buildings = tree.subtree("ground"), tree.subtree("building")
        self.standing = [(p, *_plan_box(p)) for p in scene.placements]

    def level(self, x: float, y: float, radius: float, height: float) -> float | None:
        """Height of the ground where something may stand, metres; None off the ground and where it is taken.

        Args:
            x, y: Plan position, metres.
            radius: Of the circle that it needs, metres.
            height: Room that it needs above the ground, metres; crowns and ceilings may be above that, roofs may not.
        """
        level = self.beside if self.ground is None else level_on(self.ground, x, y)
        if level is None:
            return None
        for placement, low, high in self.standing:
            if (low <= (x + radius, y + radius)).all() and (high >= (x - radius, y - radius)).all():
                triangles = self._in_the_way(placement, level, level + height)
                if (plan_distance(triangles, x, y) <= radius).any():
                    return None
        return level

    def _in_the_way(self, placement: Placement, level: float, top: float) -> Triangles:
        """(M, 3, 3) faces of a placement that reach above the ground's level and begin below a top, roofs at any height."""
        faces = ~np.isin(placement.asset.face_label, self.grounds)
        triangles, label = placement.standing(faces), placement.asset.face_label[faces]
        low, high = triangles[..., 2].min(axis=1), triangles[..., 2].max(axis=1)
        blocking: Triangles = triangles[(high > level + STEP) & ((low < top) | np.isin(label, self.buildings))]
        return blocking


def _plan_box(placement: Placement) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lowest and highest plan corner, (2,) each, of an asset's box where it stands, metres."""
    (x0, y0, z0), (x1, y1, z1) = placement.asset.bounds
    corners = np.array([(x, y, z, 1.0) for x in (x0, x1) for y in (y0, y1) for z in (z0, z1)])
    plan = (corners @ placement.world_from_asset.T)[:, :2]
    return plan.min(axis=0), plan.max(axis=0)


def plan_distance(triangles: Triangles, x: float, y: float) -> NDArray[np.float64]:
    """Distance (M,) of a plan position to triangles seen from above, metres; 0 on them."""
    start = triangles[..., :2] - (x, y)
    edge = np.roll(start, -1, axis=1) - start
    along = np.clip(-(start * edge).sum(axis=2) / np.maximum((edge**2).sum(axis=2), EDGE**2), 0, 1)
    away = np.linalg.norm(start + along[..., None] * edge, axis=2).min(axis=1)
    side = edge[..., 1] * start[..., 0] - edge[..., 0] * start[..., 1]
    return np.asarray(np.where((side > 0).all(axis=1) | (side < 0).all(axis=1), 0.0, away))
