"""What stands beside the road of a procedural street, and on it: houses, greenery, furniture, vehicles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pcaug.scene.asset import Builder, placed
from pcaug.scene.buildings import house, place
from pcaug.scene.lines import wire
from pcaug.scene.ranges import draw
from pcaug.scene.road import DENSE, OUTER, Side, World, free, on_lane

LENGTH, WIDTH = 13.0, 2.6
"""Of the longest and widest that drives, with some room, metres."""
LUSH = {"country": 2.2, "suburban": 1.4, "residential": 1.0, "urban": 0.35, "narrow": 0.35, "motorway": 1.8}
"""How green each kind of street is."""


def _spots(world: World, low_high: tuple[float, float], side: Side) -> list[float]:
    """Places along the street for a density in objects per 100 m."""
    count = world.rng.poisson(draw(low_high, world.rng) * world.recipe.length / 100)
    return [x for x in world.rng.uniform(-world.half, world.half, count) if free(side, x)]


def houses(world: World, side: Side) -> None:
    """Houses along a side, in a row or apart, with garages between them."""
    rng, kind = world.rng, world.kind
    if kind == "motorway" or (kind == "country" and rng.random() < 0.7):
        return
    x = -world.half + rng.uniform(0, 6)
    row = kind in DENSE or rng.random() < 0.2
    eaves = rng.uniform(6, 12) if kind == "urban" else rng.uniform(2.8, 6.5)
    while x < world.half - 6:
        width, depth = rng.uniform(8, 15), rng.uniform(8, 12)
        front = side.house_line + (0.0 if row else rng.uniform(0, 3))
        if free(side, x + width / 2, width / 2 + 2):
            height = eaves + rng.uniform(-0.8, 0.8)
            roof = str(rng.choice(["gable", "hip", "flat", "mansard"], p=[0.55, 0.22, 0.15, 0.08]))
            built = house(
                rng, width, depth, height, roof=roof, pitch=rng.uniform(25, 45), facade=rng.random() > world.recipe.plain
            )
            _erect(world, side, built, x + width / 2, front, (width, depth))
        gap = 0.05 if row else rng.uniform(2, 12)
        if gap > 4.5 and rng.random() < world.recipe.garages and free(side, x + width + gap / 2, gap / 2 + 2):
            _garage(world, side, x + width + gap / 2, min(gap - 0.6, rng.uniform(2.9, 6.5)))
        x += width + gap


def _garage(world: World, side: Side, x: float, width: float) -> None:
    """A low box with a plain front between two houses, a little before or behind them."""
    rng = world.rng
    front = max(side.walk[1] + 0.5, side.house_line + rng.uniform(-3, 5))
    depth = rng.uniform(5.5, 7)
    built = house(rng, width, depth, rng.uniform(2.3, 3.0), roof="flat", pitch=0.0, facade=False)
    _erect(world, side, built, x, front, (width, depth))


def _erect(world: World, side: Side, built: Builder, x: float, front: float, size: tuple[float, float]) -> None:
    """Put up a building that faces the street, its front at ``front``, metres; its foot, a metre deep, is nowhere in the air."""
    width, depth = size
    px, py, _ = world.at(side, x, front + depth / 2)
    corners = [world.height(side, x + dx, front + dy) for dx in (-width / 2, width / 2) for dy in (0, depth)]
    z = min(world.height(side, x, front) - 0.05, min(corners) + 0.9)
    place(world.static, built, (px, py, z), world.bend * x + (np.pi if side.sign < 0 else 0.0))
    world.houses.append((side.sign, x - width / 2, x + width / 2, front, front + depth))


def greenery(world: World, side: Side) -> None:
    """Trees, bushes, thickets, herbs; hedges, fences and walls of the front gardens."""
    rng, recipe = world.rng, world.recipe
    lush = LUSH[world.kind]
    near = side.walk[1] + 0.4
    for x in _spots(world, recipe.trees, side):
        behind = rng.random() < 0.55
        out = side.house_line + rng.uniform(-2, 22) if behind else near + rng.uniform(0, 2.5)
        if world.kind in DENSE and not behind:
            out = side.walk[0] + 0.7
        what = "conifer" if rng.random() < 0.15 else "tree"
        world.stand(what, side, x, out, rng.uniform(0, 6.3), rng.uniform(0.6, 1.25))
    for _ in range(int(rng.poisson(draw(recipe.bushes, rng) * lush * recipe.length / 100))):
        x, scale = rng.uniform(-world.half, world.half), rng.uniform(0.6, 1.5)
        out = near + 0.8 * scale + rng.gamma(1.5, 4.0)
        if free(side, x) and out < OUTER - 1:
            world.stand("bush", side, x, out, rng.uniform(0, 6.3), scale)
            if rng.random() < recipe.cover:
                _low(world, side, "herbs", x + rng.normal(0, 0.8), out + rng.normal(0, 0.8))
    if rng.random() < recipe.thicket * min(lush, 1.5):
        _thicket(world, side, near + rng.gamma(2.0, 5.0))
    if rng.random() < recipe.backdrop:
        _thicket(world, side, rng.uniform(25.0, OUTER - 15.0))
    if world.open or world.kind == "suburban":
        for x in rng.uniform(-world.half, world.half, 60):
            _low(world, side, "grass", x, near + rng.gamma(1.5, 2.5))
    if world.kind not in DENSE and rng.random() < recipe.cover:
        _cover(world, side, near)
    if world.kind == "motorway":
        return
    border = side.walk[1] + rng.uniform(0.2, 0.6)
    for start in np.arange(-world.half, world.half, 15.0):
        chance = rng.random()
        bounds = np.cumsum([recipe.hedge, recipe.fence, recipe.wall])
        if world.kind == "urban" or chance > bounds[-1]:
            continue
        what, length = (("hedge", 2.0), ("fence", 2.5), ("wall", 2.5))[int(np.searchsorted(bounds, chance))]
        panel = world.library.pick(what, rng)
        overgrown = what != "hedge" and rng.random() < recipe.overgrown
        for x in np.arange(start, start + rng.uniform(6, 14), length):
            if free(side, x, 2) and all(abs(x - d) > 2 for d in side.drives) and world.clear(side, x, border, 0.3):
                world.placements.append(placed(panel, world.at(side, x, border), world.bend * x))
                if overgrown:
                    scale = rng.uniform(0.6, 1.3)
                    world.stand("bush", side, x + rng.normal(0, 0.5), border + 0.7 * scale, rng.uniform(0, 6.3), scale)


def _low(world: World, side: Side, what: str, x: float, out: float) -> None:
    """A patch of herbs or of high grass."""
    rng = world.rng
    if free(side, x):
        world.stand(what, side, x, out, rng.uniform(0, 6.3), rng.uniform(0.6, 1.8), thing=False)


def _cover(world: World, side: Side, near: float) -> None:
    """A bed of herbs and ground cover beside the pavement, along a stretch of the street."""
    rng = world.rng
    low, width, spacing = rng.uniform(-world.half, world.half / 2), rng.uniform(0.5, 4.0), rng.uniform(0.7, 1.5)
    for x in np.arange(low, min(low + rng.uniform(10, 80), world.half), spacing):
        if free(side, x):
            for out in np.arange(near + 0.5, near + 0.6 + width, 1.5):
                _low(world, side, "herbs", x + rng.normal(0, 0.3), out + rng.normal(0, 0.2))


def _thicket(world: World, side: Side, start: float) -> None:
    """A belt of shrubs and trees along a stretch of the street, dense enough to hide what lies behind."""
    rng = world.rng
    rows, spacing = int(rng.integers(1, 4)), rng.uniform(0.9, 2.2)
    low, trees = rng.uniform(-world.half, 0), rng.uniform(0.05, 0.4)
    for row in range(rows):
        for x in np.arange(low, min(low + rng.uniform(30, 130), world.half), spacing):
            out = start + 2.2 * row + rng.normal(0, 0.5)
            if free(side, x) and out < OUTER - 1:
                what = "tree" if rng.random() < trees else "bush"
                scale = rng.uniform(0.6, 1.3) if what == "tree" else rng.uniform(1.0, 2.2)
                world.stand(what, side, x, out, rng.uniform(0, 6.3), scale)


def furniture(world: World, side: Side) -> None:
    """Lamps, signs, direction boards, wires, guard rails, benches, people, bicycles."""
    rng, recipe = world.rng, world.recipe
    edge = side.road_edge + 0.45
    inwards = -np.pi / 2 * side.sign
    for x in _spots(world, recipe.lamps, side):
        name = "utility_pole" if world.open or rng.random() < 0.15 else "lamp"
        world.stand(name, side, x, edge, inwards)
    facing = np.pi if side.sign < 0 else 0.0
    for x in _spots(world, recipe.signs, side):
        if rng.random() < (0.4 if world.open else 0.12):
            world.stand("board", side, x, edge + rng.uniform(1.5, 3.0), facing + rng.normal(0, 0.1))
            continue
        name = "signal" if side.junction and rng.random() < 0.25 else "sign"
        world.stand(name, side, x, edge, facing + rng.normal(0, 0.2))
    for x in world.crossings:
        name = "signal" if world.kind == "urban" else "sign"
        world.put(name, x - 2.2 * side.sign, edge * side.sign, facing, world.height(side, x, edge))
    if world.kind != "urban" and rng.random() < recipe.wires:
        _overhead(world, side)
    if world.open:
        if rng.random() < (0.8 if world.kind == "motorway" else 0.4):
            for x in np.arange(-world.half, world.half, 4.0):
                if free(side, x, 3):
                    world.put("guard_rail", x, (edge + 0.4) * side.sign, 0, world.height(side, x, edge), thing=False)
        return
    for x in _spots(world, recipe.furniture, side):
        name = str(rng.choice(["bin", "bench", "cabinet", "bollard", "bollard"]))
        out = side.walk[1] - 0.3 if name != "bollard" else edge
        world.stand(name, side, x, out, inwards)
    for x in _spots(world, recipe.people, side):
        out = rng.uniform(*side.walk)
        world.stand("person", side, x, out, rng.uniform(0, 6.3))
    for x in _spots(world, recipe.bicycles, side):
        out = side.walk[1] - 0.4
        world.stand("bicycle", side, x, out, rng.normal(0, 0.4))


def _overhead(world: World, side: Side) -> None:
    """A line of equal poles behind the pavement, at its edge where houses stand there; three wires from crossarm to crossarm."""
    rng = world.rng
    pole, span = world.library.pick("utility_pole", rng), rng.uniform(28, 42)
    out = min(side.walk[1] + 0.5, side.house_line - 0.4)
    tops = []
    for x in np.arange(-world.half + rng.uniform(0, span), world.half, span):
        if not world.clear(side, x, out, 0.3):
            continue
        at = np.array(world.at(side, x, out))
        world.instance += 1
        world.placements.append(placed(pole, at.tolist(), world.bend * x, 1.0, world.instance))
        tops.append((at + (0, 0, float(pole.bounds[1, 2]) - 0.4), world.bend * x))
    for (a, yaw_a), (b, yaw_b) in pairwise(tops):
        for reach in (-0.9, -0.35, 0.9):
            ends = [top + reach * np.array([-np.sin(yaw), np.cos(yaw), 0]) for top, yaw in ((a, yaw_a), (b, yaw_b))]
            world.static.add(wire(ends[0], ends[1], sag=rng.uniform(0.4, 0.9), radius=0.012), "wire", "metal")


def vehicles(world: World, side: Side, lane: float) -> None:
    """Parked and moving cars and lorries."""
    rng, recipe = world.rng, world.recipe
    lanes = [z for z in side.zones if z.label == "road"]
    if len(lanes) > 2 and not world.open:  # a parking lane
        out = lane + lanes[2].width / 2
        x = -world.half
        share = draw(recipe.parked, rng) / 14
        while x < world.half:
            length = rng.uniform(5.0, 6.5)
            if rng.random() < share and free(side, x, 4) and all(abs(x - d) > 3.5 for d in (*side.drives, *world.crossings)):
                name = "lorry" if rng.random() < 0.04 else "car"
                yaw = (np.pi if side.sign > 0 else 0.0) + (np.pi if rng.random() < 0.2 else 0.0) + rng.normal(0, 0.02)
                world.put(name, x, (out + rng.normal(0, 0.1)) * side.sign, yaw, world.height(side, x, out - 0.5))
            x += length
    for x in side.drives:
        if rng.random() < 0.5:
            out = side.walk[1] + 2.8
            if out + 2.5 < side.house_line and world.clear(side, x, out, 2.4):
                world.stand("car", side, x, out, np.pi / 2 * side.sign)
    driven: list[tuple[float, float]] = []
    for x in _spots(world, recipe.moving, side):
        if abs(x) > 7:
            name, out = "lorry" if rng.random() < 0.1 else "car", on_lane(lane, rng)
            if all(abs(x - along) > LENGTH or abs(out - beside) > WIDTH for along, beside in driven):
                world.stand(name, side, x, out, np.pi if side.sign > 0 else 0.0)
                driven.append((x, out))
    if rng.random() < 0.15:
        x = rng.uniform(-40, 40)
        if abs(x) > 6:
            world.stand("bicycle", side, x, lane * 0.8, np.pi if side.sign > 0 else 0.0)
            world.put("person", x, lane * 0.8 * side.sign, 0.0, world.height(side, x, lane * 0.8) + 0.35)
