"""A procedural room: floor, ceiling and walls with doors and windows, then what stands along the walls and in the middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pcaug.scene.asset import Builder, Placement, Scene, Triangles, placed
from pcaug.scene.library import Library
from pcaug.scene.ranges import draw
from pcaug.scene.recipe import Room
from pcaug.scene.shapes import box, moved

Rng = np.random.Generator
THICK = 0.2
"""Thickness of walls, metres."""


@dataclass(frozen=True)
class _Opening:
    """A hole in a wall, metres along it and above the floor; a door starts at the floor."""

    start: float
    end: float
    low: float
    high: float

    @property
    def door(self) -> bool:
        return self.low == 0


class _World:
    """Size of the room, and what stands where."""

    def __init__(self, recipe: Room, rng: Rng, library: Library) -> None:
        self.recipe, self.rng, self.library = recipe, rng, library
        self.size = np.array([draw(recipe.edge, rng), draw(recipe.edge, rng)])
        self.height = draw(recipe.height, rng)
        self.static, self.placements = Builder(), list[Placement]()
        self.taken: list[tuple[float, float, float, float]] = []
        self.instance = 0

    def stand(self, kind: str, x: float, y: float, yaw: float, z: float = 0.0, margin: float = 0.05) -> Placement | None:
        """Place an object if it fits: inside the walls and clear of all that stands. Returns None if it does not."""
        asset = self.library.pick(kind, self.rng)
        (x0, y0, z0), (x1, y1, z1) = asset.bounds
        corners = moved(np.array([[(x0, y0, z0), (x1, y0, z0), (x0, y1, z1), (x1, y1, z1)]]), (x, y, z), yaw)[0]
        low, high = corners.min(axis=0), corners.max(axis=0)
        if (low[:2] < -0.01).any() or (high > (*self.size + 0.01, self.height + 0.01)).any():
            return None
        others = np.array(self.taken).reshape(-1, 4)
        if ((low[:2] - margin <= others[:, 2:]) & (high[:2] + margin >= others[:, :2])).all(axis=1).any():
            return None
        if z == 0:
            self.taken.append((*low[:2], *high[:2]))
        self.instance += 1
        self.placements.append(placed(asset, (x, y, z), yaw, 1.0, self.instance))
        return self.placements[-1]


def build_room(recipe: Room, name: str, rng: Rng, library: Library) -> Scene:
    """A rectangular room from (0, 0) to its size, the scanner somewhere in the free middle."""
    world = _World(recipe, rng, library)
    _shell(world)
    middle = world.size * rng.uniform(0.35, 0.65, 2)
    world.taken.append((*(middle - 0.35), *(middle + 0.35)))
    _furnish(world)
    placements = (Placement(world.static.asset("walls"), np.eye(4), 0), *world.placements)
    viewpoint = np.array([middle[0], middle[1], 0.0])
    return Scene(placements, name, viewpoint, float(rng.uniform(0, 2 * np.pi)), np.stack([np.zeros(2), world.size]))


def _shell(world: _World) -> None:
    """Floor, ceiling, four walls with skirting, the openings' frames, panes and leaves."""
    (w, d), h, rng = world.size, world.height, world.rng
    out = world.static
    out.add(box((-THICK, -THICK, -0.1), (w + THICK, d + THICK, 0)), "floor", "wood" if rng.random() < 0.6 else "pavers")
    out.add(box((-THICK, -THICK, h), (w + THICK, d + THICK, h + 0.1)), "ceiling", "plaster")
    doors = rng.permutation(4)[: int(rng.integers(1, 3))]
    for wall, (length, yaw, corner) in enumerate(_walls(world)):
        openings = _openings(world, length, door=wall in doors)
        for triangles, label, material in _wall(openings, length, h):
            out.add(moved(triangles, (*corner, 0), yaw), label, material)
        for opening in openings:
            if opening.door:  # keep the way free, a metre into the room
                ends = np.array([[opening.start, 0.0, 0.0], [opening.end, 1.0, 0.0]])
                (x0, y0, _), (x1, y1, _) = moved(ends[None], (*corner, 0), yaw)[0]
                world.taken.append((min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))


def _walls(world: _World) -> list[tuple[float, float, tuple[float, float]]]:
    """(length, yaw, corner) of each wall: along its own x, the room on its left."""
    w, d = float(world.size[0]), float(world.size[1])
    return [(w, 0.0, (0.0, 0.0)), (d, np.pi / 2, (w, 0.0)), (w, np.pi, (w, d)), (d, -np.pi / 2, (0.0, d))]


def _openings(world: _World, length: float, *, door: bool) -> list[_Opening]:
    """A door or windows along a wall, apart from each other and from the corners."""
    rng = world.rng
    if door:
        start = rng.uniform(0.3, length - 1.3)
        return [_Opening(start, start + rng.uniform(0.8, 0.95), 0.0, min(2.05, world.height - 0.2))]
    out = []
    if rng.random() < world.recipe.windows:
        width, low = rng.uniform(0.8, 1.6), rng.uniform(0.75, 1.0)
        for start in np.arange(rng.uniform(0.4, 0.9), length - width - 0.3, width + rng.uniform(0.6, 1.5)):
            out.append(_Opening(float(start), float(start + width), low, min(low + rng.uniform(1.1, 1.4), world.height - 0.2)))
    return out


def _wall(openings: list[_Opening], length: float, height: float) -> list[tuple[Triangles, str, str]]:
    """Pieces of a wall along x from 0 to its length, its face at y = 0, the room at y > 0."""
    parts: list[tuple[Triangles, str, str]] = []
    edge = -THICK
    for hole in openings:
        parts.append((box((edge, -THICK, 0), (hole.start, 0, height)), "interior_wall", "plaster"))
        parts.append((box((edge, 0, 0), (hole.start, 0.015, 0.08)), "interior_wall", "wood"))
        parts.append((box((hole.start, -THICK, hole.high), (hole.end, 0, height)), "interior_wall", "plaster"))
        if not hole.door:
            parts.append((box((hole.start, -THICK, 0), (hole.end, 0, hole.low)), "interior_wall", "plaster"))
            parts.append((box((hole.start, -0.12, hole.low), (hole.end, -0.1, hole.high)), "opening", "glass"))
            parts.append((box((hole.start - 0.05, -0.05, hole.low - 0.03), (hole.end + 0.05, 0.12, hole.low)), "opening", "wood"))
        else:
            parts.append((box((hole.start, -0.08, 0), (hole.end, -0.04, hole.high)), "opening", "wood"))
        for x in (hole.start, hole.end - 0.06, (hole.start + hole.end) / 2 - 0.03)[: 2 if hole.door else 3]:
            parts.append((box((x, -0.14, hole.low), (x + 0.06, 0.01, hole.high)), "opening", "wood"))
        parts.append((box((hole.start, -0.14, hole.high - 0.06), (hole.end, 0.01, hole.high)), "opening", "wood"))
        edge = hole.end
    parts.append((box((edge, -THICK, 0), (length + THICK, 0, height)), "interior_wall", "plaster"))
    parts.append((box((edge, 0, 0), (length, 0.015, 0.08)), "interior_wall", "wood"))
    return parts


def _furnish(world: _World) -> None:
    """Things against the walls first, then tables with chairs, clutter on them, a lamp, people."""
    recipe, rng = world.recipe, world.rng
    for kind, low_high in (
        ("bed", recipe.beds), ("sofa", recipe.sofas), ("desk", recipe.desks), ("cupboard", recipe.cupboards),
        ("shelf", recipe.shelves), ("radiator", recipe.radiators),
    ):  # fmt: skip
        for _ in range(_count(low_high, rng)):
            for _ in range(8):
                length, yaw, corner = _walls(world)[int(rng.integers(4))]
                at = moved(np.array([[[rng.uniform(0.4, length - 0.4), 0.03, 0.0]]]), (*corner, 0), yaw)[0, 0]
                if (item := world.stand(kind, at[0], at[1], yaw + np.pi / 2)) is not None:
                    if kind == "desk":
                        front = item.world_from_asset[:3, :3] @ (0.95, 0, 0) + at
                        world.stand("chair", front[0], front[1], yaw - np.pi / 2 + rng.normal(0, 0.4), margin=-0.3)
                    break
    for _ in range(_count(recipe.tables, rng)):
        _dining(world)
    for kind, low_high, z in (
        ("clutter", recipe.clutter, 0.0),
        ("person", recipe.people, 0.0),
        ("ceiling_lamp", (1, 1), world.height),
    ):
        for _ in range(_count(low_high, rng)):
            x, y = rng.uniform(0.5, world.size - 0.5) if z == 0 else world.size / 2
            world.stand(kind, float(x), float(y), rng.uniform(0, 6.3), z)


def _dining(world: _World) -> None:
    """A table with chairs around and things on it."""
    rng = world.rng
    for _ in range(8):
        x, y = rng.uniform(0.9, world.size - 0.9)
        yaw = float(rng.choice([0.0, np.pi / 2]))
        item = world.stand("table", x, y, yaw, margin=0.45)
        if item is None:
            continue
        low, high = item.asset.bounds
        for side in (-1, 1):
            for along in np.arange(low[1] + 0.35, high[1] - 0.2, 0.6):
                if rng.random() < world.recipe.chairs:
                    place = item.world_from_asset[:3, :3] @ (side * (high[0] + rng.uniform(0.05, 0.3)), along, 0)
                    turn = yaw + (np.pi if side > 0 else 0.0) + rng.normal(0, 0.15)
                    world.stand("chair", x + place[0], y + place[1], turn, margin=-0.25)
        for _ in range(int(rng.integers(0, 3))):
            shift = item.world_from_asset[:3, :3] @ (0.0, rng.uniform(low[1] + 0.25, high[1] - 0.25), 0.0)
            world.stand("clutter", x + shift[0], y + shift[1], rng.uniform(0, 6.3), float(high[2]), margin=-9.0)
        return


def _count(low_high: tuple[float, float], rng: Rng) -> int:
    return int(rng.integers(int(low_high[0]), int(low_high[1]) + 1))
