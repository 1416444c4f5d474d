"""A procedural piece of town for airborne scanners: terrain, streets, plots with houses, gardens, trees and cars."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.scene.asset import MATERIAL_NAMES, Asset, Builder, Placement, Scene, placed
from pcaug.scene.buildings import house, place
from pcaug.scene.library import Library
from pcaug.scene.lines import pylon, pylon_arms, wire
from pcaug.scene.ranges import draw, draw_size
from pcaug.scene.recipe import Town
from pcaug.scene.shapes import Points, box, grid, height_on, moved, noise

Rng = np.random.Generator
CELL = 0.8
"""Edge of a ground cell, metres."""
DEEPEST = 15.0
"""Depth that houses do not exceed, since rooms want windows, metres."""
BLOCKS = 2.2
"""How much larger the blocks of a town's middle are than the houses around it."""


@dataclass(frozen=True)
class _Brook:
    """Running water along y.

    Attributes:
        x, swing, wave, phase: Where its middle lies: x + swing sin(y / wave + phase), metres.
        width: Of the water, metres.
        depth: Of its bed below the banks, metres.
    """

    x: float
    swing: float
    wave: float
    phase: float
    width: float
    depth: float

    @classmethod
    def drawn(cls, size: float, rng: Rng) -> _Brook:
        """A brook somewhere in the middle of the square."""
        values = rng.uniform((0.25 * size, 1.0, 8.0, 0.0, 3.0, 1.6), (0.75 * size, 6.0, 20.0, 2 * np.pi, 10.0, 2.6))
        return cls(*(float(v) for v in values))

    def middle(self, y: Points) -> Points:
        """x of its middle."""
        found: Points = self.x + self.swing * np.sin(y / self.wave + self.phase)
        return found


class _Land:
    """The terrain: its grid, and a brook's bed in it."""

    def __init__(self, size: float, relief: float, rng: Rng) -> None:
        self.low = -8.0
        axis = np.arange(self.low, size + 8 + CELL, CELL)
        self.x, self.y = np.meshgrid(axis, axis, indexing="ij")
        tilt = rng.normal(0, 0.015, 2)
        self.z = relief * 0.5 * noise(self.x, self.y, 35.0, rng) + 0.05 * noise(self.x, self.y, 2.0, rng)
        self.z = self.z + tilt[0] * self.x + tilt[1] * self.y
        self.brook: _Brook | None = None

    def dig(self, brook: _Brook) -> None:
        """Cut a brook's bed into the ground."""
        self.brook = brook
        away = np.abs(self.x - brook.middle(self.y))
        self.z = self.z - brook.depth * np.clip((brook.width / 2 + 2.0 - away) / 2.0, 0, 1)

    def height(self, x: float, y: float) -> float:
        """Of the ground at a plan position."""
        return float(height_on(self.z, (np.array([[x, y]]) - self.low) / CELL)[0])


class _World:
    """What has been built so far, and what it is built from."""

    def __init__(self, recipe: Town, rng: Rng, library: Library) -> None:
        self.recipe, self.rng, self.library = recipe, rng, library
        self.land = _Land(recipe.size, draw(recipe.relief, rng), rng)
        self.static, self.placements, self.instance = Builder(), list[Placement](), 0

    def stand(self, what: str | Asset, x: float, y: float, turn: float, scale: float = 1.0, *, thing: bool = True) -> None:
        """Place an object, or one of a kind, on the ground."""
        asset = self.library.pick(what, self.rng) if isinstance(what, str) else what
        self.instance += thing
        number = self.instance if thing else 0
        self.placements.append(placed(asset, (x, y, self.land.height(x, y)), turn, scale, number))

    def free(self, x: float, y: float, margin: float) -> bool:
        """Whether a place is dry."""
        return self.land.brook is None or abs(x - float(self.land.brook.middle(np.array(y)))) > self.land.brook.width / 2 + margin


def _of_blocks(recipe: Town) -> Town:
    """The same town's middle: large plots with long, high blocks, more flat roofs, and groups of trees."""
    twice = {key: tuple(BLOCKS * v for v in getattr(recipe, key)) for key in ("plot", "house", "eaves", "trees")}
    return recipe.model_copy(update=twice | {"flat": min(1.0, BLOCKS * recipe.flat)})


def build_town(recipe: Town, name: str, rng: Rng, library: Library) -> Scene:
    """Rows of plots between parallel streets, seen from the air; a brook with bridges and a power line may cross it."""
    if rng.random() < recipe.blocks:
        recipe = _of_blocks(recipe)
    world = _World(recipe, rng, library)
    roads = _rows(recipe, rng)
    if rng.random() < recipe.water:
        world.land.dig(_Brook.drawn(recipe.size, rng))
    _terrain(world.static, world.land, roads)
    for low, high in _between(roads, recipe.size):
        x = -4.0
        while x < recipe.size + 4:
            width = draw(recipe.plot, rng)
            _plot(world, (x, low, x + width, high))
            x += width
    for low, high in roads:
        _street(world, low, high)
    if world.land.brook:
        _bridges(world, roads)
    if rng.random() < recipe.power_line:
        _power_line(world)
    everything = (Placement(world.static.asset("terrain and houses"), np.eye(4), 0), *world.placements)
    middle = recipe.size / 2
    viewpoint = np.array([middle, middle, world.land.height(middle, middle)])
    return Scene(everything, name, viewpoint, 0.0, np.array([[0.0, 0.0], [recipe.size, recipe.size]]))


def _rows(recipe: Town, rng: Rng) -> list[tuple[float, float]]:
    """Lower and upper edge of each street that runs along x."""
    roads = []
    y = rng.uniform(-10, 20)
    while y < recipe.size:
        width = draw(recipe.road, rng)
        roads.append((y, y + width))
        y += width + 2 * draw(recipe.plot, rng) + rng.uniform(0, 8)
    return roads


def _between(roads: list[tuple[float, float]], size: float) -> list[tuple[float, float]]:
    edges = [-14.0, *(edge for road in roads for edge in road), size + 14.0]
    strips = zip(edges[::2], edges[1::2], strict=True)
    halves = []
    for low, high in strips:
        if high - low > 24:
            halves += [(low, (low + high) / 2), ((low + high) / 2, high)]
        elif high - low > 6:
            halves.append((low, high))
    return halves


def _terrain(static: Builder, land: _Land, roads: list[tuple[float, float]]) -> None:
    taxonomy = catalogue.taxonomy()
    middle = (land.y[0, :-1] + land.y[0, 1:]) / 2
    on_road = np.zeros(len(middle), dtype=bool)
    on_walk = np.zeros(len(middle), dtype=bool)
    for low, high in roads:
        on_road |= (middle > low) & (middle < high)
        on_walk |= ((middle > low - 1.6) & (middle <= low)) | ((middle >= high) & (middle < high + 1.6))
    label = np.where(on_road, taxonomy.id("road"), np.where(on_walk, taxonomy.id("sidewalk"), taxonomy.id("terrain")))
    asphalt, pavers, grass = (MATERIAL_NAMES.index(m) for m in ("asphalt", "pavers", "grass"))
    material = np.where(on_road, asphalt, np.where(on_walk, pavers, grass))
    rows = len(land.x) - 1
    labels = np.repeat(np.tile(label, rows), 2).astype(np.uint16)
    materials = np.repeat(np.tile(material, rows), 2).astype(np.uint8)
    ground = grid(land.x, land.y, land.z)
    if land.brook:
        wet = np.abs(ground[:, :, 0].mean(axis=1) - land.brook.middle(ground[:, :, 1].mean(axis=1))) < land.brook.width / 2 + 2.0
        labels[wet], materials[wet] = taxonomy.id("terrain"), MATERIAL_NAMES.index("soil")
        _water(static, land)
    static.add_faces(ground, labels, materials)


def _water(static: Builder, land: _Land) -> None:
    """The surface of the brook, half a metre deep, falling with its banks."""
    brook = land.brook
    assert brook is not None
    y = land.y[0]
    middle = brook.middle(y)
    level = np.array([land.height(x, v) for x, v in zip(middle, y, strict=True)]) + 0.25 * brook.depth
    level = np.minimum.accumulate(level[::-1])[::-1] if level[0] < level[-1] else np.minimum.accumulate(level)
    reach = brook.width / 2 + 0.8
    sides = np.stack([middle - reach, middle + reach], axis=1)
    static.add(grid(sides, np.stack([y, y], axis=1), np.stack([level, level], axis=1)), "water", "water")


def _plot(world: _World, edges: tuple[float, float, float, float]) -> None:
    """One plot: a house, its shed, trees, bushes, a hedge or fence around, a car."""
    x0, y0, x1, y1 = edges
    recipe, rng = world.recipe, world.rng
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + rng.normal(0, 1.0, 2)
    yaw = float(rng.choice([0.0, np.pi / 2])) + rng.normal(0, 0.05)
    room = float(min(x1 - x0, y1 - y0)) - 3.0
    radius = _house(world, middle, room, yaw) if rng.random() > recipe.empty and room > 7 else 3.0
    if radius > 3.0 and rng.random() < 0.5:
        roof = "gable" if rng.random() < 0.6 else "flat"
        shed = house(rng, rng.uniform(2.5, 6), rng.uniform(2.5, 4), 2.3, roof=roof, pitch=20, facade=False)
        at = rng.uniform(x0 + 3, x1 - 3), float(rng.choice([y0 + 3, y1 - 3]))
        if world.free(*at, 4):
            place(world.static, shed, (*at, world.land.height(*at)), yaw)
    grove = recipe.grove if radius == 3.0 else 1.0
    for _ in range(rng.poisson(draw(recipe.trees, rng) * grove)):
        x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
        asset = world.library.pick("conifer" if rng.random() < 0.2 else "tree", rng)
        if np.hypot(x - middle[0], y - middle[1]) > radius * 0.8 and world.free(x, y, 0.5):
            height = float(np.ptp(asset.bounds[:, 2]))
            world.stand(asset, x, y, rng.uniform(0, 2 * np.pi), draw_size(recipe.tree_height, rng) / height)
    for _ in range(rng.poisson(draw(recipe.bushes, rng))):
        x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
        if world.free(x, y, 0):
            world.stand("bush", x, y, rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 1.6))
    _border(world, edges)
    for _ in range(rng.poisson(draw(recipe.cars, rng))):
        x, y = rng.uniform(x0 + 2, x1 - 2), float(rng.choice([y0 + 3.5, y1 - 3.5]))
        if world.free(x, y, 2):
            world.stand("car", x, y, np.pi / 2)


def _house(world: _World, middle: NDArray[np.float64], room: float, yaw: float) -> float:
    """A house in a plot; the radius that it takes, or what an empty plot has where it would stand in the water."""
    recipe, rng = world.recipe, world.rng
    width, depth = (min(draw(recipe.house, rng), room * 1.1) for _ in range(2))
    if not world.free(middle[0], middle[1], max(width, depth) * 0.7):
        return 3.0
    roof = "flat" if rng.random() < recipe.flat else "hip" if rng.random() < recipe.hipped else "gable"
    if roof == "gable" and rng.random() < recipe.other_roofs:
        roof = str(rng.choice(["mono", "mansard"]))
    long, short = max(width, depth), min(width, depth, DEEPEST)
    eaves, pitch = draw(recipe.eaves, rng), draw(recipe.pitch, rng)
    built = house(rng, long, short, eaves, roof=roof, pitch=pitch, facade=False)
    at = (middle[0], middle[1], world.land.height(*middle))
    place(world.static, built, at, yaw)
    if roof in ("gable", "hip", "flat") and rng.random() < recipe.wings:  # an L or a T
        wing = house(rng, short * 1.3, long * rng.uniform(0.35, 0.5), eaves, roof=roof, pitch=pitch, facade=False)
        turned = moved(np.array([[[rng.uniform(-0.25, 0.25) * long, 0.45 * short, 0.0]]]), at, yaw)[0, 0]
        place(world.static, wing, (turned[0], turned[1], at[2]), yaw + np.pi / 2)
    return long / 2 + 1.0


def _border(world: _World, edges: tuple[float, float, float, float]) -> None:
    """A hedge or a fence along the lower edge of a plot and, for a fence, along its left one."""
    x0, y0, _, y1 = edges
    chance = world.rng.random()
    if chance > world.recipe.hedge + world.recipe.fence:
        return
    what, length = ("hedge", 2.0) if chance < world.recipe.hedge else ("fence", 2.5)
    panel = world.library.pick(what, world.rng)
    rows = [(x, y0 + 0.3, 0.0) for x in np.arange(x0, edges[2], length)]
    if what == "fence":
        rows += [(x0, y, np.pi / 2) for y in np.arange(y0 + length / 2, y1, length)]
    for x, y, turn in rows:
        if world.free(x, y, 0.5):
            world.stand(panel, x, y, turn, thing=False)


def _street(world: _World, low: float, high: float) -> None:
    """Parked cars and lamps along a street."""
    rng = world.rng
    for x in np.arange(0, world.recipe.size, 6.5):
        for y, side in ((low + 1.1, 1), (high - 1.1, -1)):
            if rng.random() < 0.3 and world.free(x, y, 4):
                world.stand("lorry" if rng.random() < 0.04 else "car", x, y, 0.0 if side > 0 else np.pi)
        if rng.random() < 0.15 and world.free(x, low, 4):
            world.stand("lamp", x, low - 1.0, np.pi / 2)


def _bridges(world: _World, roads: list[tuple[float, float]]) -> None:
    """A deck with parapets wherever a street meets the brook."""
    brook = world.land.brook
    assert brook is not None
    for low, high in roads:
        y = (low + high) / 2
        if not -6 < y < world.recipe.size + 6:
            continue
        x, half = float(brook.middle(np.array(y))), brook.width / 2 + 2.5
        level = max(world.land.height(x - half - 1, y), world.land.height(x + half + 1, y)) + 0.05
        ends = (x - half, low - 1.6), (x + half, high + 1.6)
        world.static.add(box((*ends[0], level - 0.6), (*ends[1], level)), "bridge", "concrete")
        for edge in (ends[0][1], ends[1][1]):
            world.static.add(box((ends[0][0], edge - 0.12, level), (ends[1][0], edge + 0.12, level + 1.0)), "bridge", "concrete")


def _power_line(world: _World) -> None:
    """Pylons on a line across the square, with three sagging conductors on either side."""
    rng, size = world.rng, world.recipe.size
    angle, height = rng.uniform(0, np.pi), rng.uniform(16, 26)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    start = np.array([size / 2, size / 2]) + across * rng.uniform(-0.35, 0.35) * size
    span = rng.uniform(45, 70)
    offset = rng.uniform(0, span)
    feet = [start + along * (offset + span * k) for k in range(-3, 3)]
    tower = pylon(height)
    for x, y in feet:
        world.stand(tower, x, y, angle)
    for a, b in pairwise(feet):
        for level, reach in pylon_arms(height):
            for side in (-1, 1):
                ends = [np.array([*(p + across * side * reach), world.land.height(*p) + level]) for p in (a, b)]
                world.static.add(wire(ends[0], ends[1], sag=0.03 * span), "wire", "metal")
