"""A procedural piece of town for airborne scanners: terrain, streets, plots with houses, gardens, trees and cars."""

from __future__ import annotations

import numpy as np

from pcaug import catalogue
from pcaug.scene.asset import MATERIAL_NAMES, Builder, Placement, Scene, placed
from pcaug.scene.buildings import house, place
from pcaug.scene.recipe import Town, draw
from pcaug.scene.shapes import grid, noise
from pcaug.scene.street import VARIANTS, variant

Rng = np.random.Generator
CELL = 0.8
"""Edge of a ground cell, metres."""


class _Land:
    """The terrain's height anywhere, by interpolation in its grid."""

    def __init__(self, size: float, relief: float, rng: Rng) -> None:
        self.low = -8.0
        axis = np.arange(self.low, size + 8 + CELL, CELL)
        self.x, self.y = np.meshgrid(axis, axis, indexing="ij")
        tilt = rng.normal(0, 0.015, 2)
        self.z = relief * 0.5 * noise(self.x, self.y, 35.0, rng) + 0.05 * noise(self.x, self.y, 2.0, rng)
        self.z = self.z + tilt[0] * self.x + tilt[1] * self.y

    def height(self, x: float, y: float) -> float:
        """Of the ground at a plan position."""
        i = int(np.clip((x - self.low) / CELL, 0, len(self.z) - 1))
        j = int(np.clip((y - self.low) / CELL, 0, len(self.z) - 1))
        return float(self.z[i, j])


def build_town(recipe: Town, name: str, rng: Rng) -> Scene:
    """Rows of plots between parallel streets, seen from the air."""
    land = _Land(recipe.size, draw(recipe.relief, rng), rng)
    static, placements = Builder(), list[Placement]()
    roads = _rows(recipe, rng)
    _terrain(static, land, roads)
    instance = 0
    for low, high in _between(roads, recipe.size):
        x = -4.0
        while x < recipe.size + 4:
            width = draw(recipe.plot, rng)
            instance = _plot(recipe, land, static, placements, (x, low, x + width, high), instance, rng)
            x += width
    for low, high in roads:
        instance = _street_trees_and_cars(land, placements, low, high, recipe.size, instance, rng)
    everything = (Placement(static.asset("terrain and houses"), np.eye(4), 0), *placements)
    middle = recipe.size / 2
    viewpoint = np.array([middle, middle, land.height(middle, middle)])
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
    static.add_faces(grid(land.x, land.y, land.z), labels, np.repeat(np.tile(material, rows), 2).astype(np.uint8))


def _plot(
    recipe: Town,
    land: _Land,
    static: Builder,
    placements: list[Placement],
    edges: tuple[float, float, float, float],
    instance: int,
    rng: Rng,
) -> int:
    """One plot: a house, its shed, trees, bushes, a hedge around, a car. Returns the last instance number."""
    x0, y0, x1, y1 = edges
    middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2]) + rng.normal(0, 1.0, 2)
    room = np.array([x1 - x0, y1 - y0]) - 3.0
    yaw = float(rng.choice([0.0, np.pi / 2])) + rng.normal(0, 0.05)
    radius = 3.0
    if rng.random() > recipe.empty and room.min() > 7:
        width, depth = (min(draw(recipe.house, rng), float(room.min()) * 1.1) for _ in range(2))
        roof = "flat" if rng.random() < recipe.flat else "hip" if rng.random() < recipe.hipped else "gable"
        built = house(
            rng,
            max(width, depth),
            min(width, depth),
            draw(recipe.eaves, rng),
            roof=roof,
            pitch=draw(recipe.pitch, rng),
            facade=False,
        )
        place(static, built, (middle[0], middle[1], land.height(*middle)), yaw)
        radius = max(width, depth) / 2 + 1.0
        if rng.random() < 0.5:
            shed = house(
                rng,
                rng.uniform(2.5, 6),
                rng.uniform(2.5, 4),
                2.3,
                roof="gable" if rng.random() < 0.6 else "flat",
                pitch=20,
                facade=False,
            )
            at = np.array([rng.uniform(x0 + 3, x1 - 3), rng.choice([y0 + 3, y1 - 3])])
            place(static, shed, (at[0], at[1], land.height(*at)), yaw)

    def stand(what: str, x: float, y: float, scale: float = 1.0, turn: float | None = None) -> None:
        nonlocal instance
        instance += 1
        angle = rng.uniform(0, 2 * np.pi) if turn is None else turn
        shape = variant(what, int(rng.integers(VARIANTS)))
        placements.append(placed(shape, (x, y, land.height(x, y)), angle, scale, instance))

    for _ in range(rng.poisson(draw(recipe.trees, rng))):
        x, y = rng.uniform(x0, x1), rng.uniform(y0, y1)
        what = "conifer" if rng.random() < 0.2 else "tree"
        height = float(np.ptp(variant(what, 0).bounds[:, 2]))
        if np.hypot(x - middle[0], y - middle[1]) > radius * 0.8:
            stand(what, x, y, draw(recipe.tree_height, rng) / height)
    for _ in range(rng.poisson(draw(recipe.bushes, rng))):
        stand("bush", rng.uniform(x0, x1), rng.uniform(y0, y1), rng.uniform(0.6, 1.6))
    if rng.random() < recipe.hedge:
        kind = int(rng.integers(VARIANTS))
        for x in np.arange(x0, x1, 2.0):
            placements.append(placed(variant("hedge", kind), (x, y0 + 0.3, land.height(x, y0)), 0.0))
    for _ in range(rng.poisson(draw(recipe.cars, rng))):
        stand("car", rng.uniform(x0 + 2, x1 - 2), float(rng.choice([y0 + 3.5, y1 - 3.5])), turn=np.pi / 2)
    return instance


def _street_trees_and_cars(
    land: _Land, placements: list[Placement], low: float, high: float, size: float, instance: int, rng: Rng
) -> int:
    for x in np.arange(0, size, 6.5):
        for y, side in ((low + 1.1, 1), (high - 1.1, -1)):
            if rng.random() < 0.3:
                instance += 1
                shape = variant("car", int(rng.integers(VARIANTS)))
                placements.append(placed(shape, (x, y, land.height(x, y)), 0.0 if side > 0 else np.pi, 1.0, instance))
        if rng.random() < 0.15:
            instance += 1
            y = low - 1.0
            placements.append(
                placed(variant("lamp", int(rng.integers(VARIANTS))), (x, y, land.height(x, y)), np.pi / 2, 1.0, instance)
            )
    return instance
