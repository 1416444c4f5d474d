"""A procedural street: ground with kerbs, crossfall and verges first, then what stands on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.scene.asset import MATERIAL_NAMES, Builder, Placement, Scene, placed
from pcaug.scene.buildings import house, place
from pcaug.scene.library import Library
from pcaug.scene.lines import wire
from pcaug.scene.ranges import draw
from pcaug.scene.recipe import Street
from pcaug.scene.shapes import Points, grid, noise

Rng = np.random.Generator
OUTER = 75.0
"""Half the width of the world, metres."""
LUSH = {"country": 2.2, "suburban": 1.4, "residential": 1.0, "urban": 0.35, "motorway": 1.8}
"""How green each kind of street is."""
OPEN = ("country", "motorway")
"""Kinds of street without pavements."""
LINE = 0.07
"""Half the width of the line in the road's middle, metres."""
STEP = 0.6
"""Length of a ground cell along the street, metres."""


@dataclass
class _Zone:
    """A strip of ground along the street, from the road's middle outwards."""

    width: float
    label: str
    material: str
    raised: bool


@dataclass
class _Side:
    """One side of the street (sign +1 is left): its zones, and where things stand."""

    sign: int
    zones: list[_Zone]
    road_edge: float
    walk: tuple[float, float]
    house_line: float
    junction: tuple[float, float] | None
    drives: list[float] = field(default_factory=list)


class _World:
    """Heights of the ground, and the scene that grows on it."""

    def __init__(self, recipe: Street, rng: Rng, library: Library) -> None:
        self.recipe, self.rng, self.library = recipe, rng, library
        names, weights = zip(*recipe.kinds.items(), strict=True)
        self.kind = str(rng.choice(names, p=np.array(weights) / sum(weights)))
        self.half = recipe.length / 2
        self.slope, self.cross = draw(recipe.slope, rng), draw(recipe.crossfall, rng)
        self.open = self.kind in OPEN
        self.rough = draw(recipe.roughness, rng) * (1.6 if self.open else 1.0)
        self.kerb = 0.0 if self.open else draw(recipe.kerb, rng)
        self.bend = rng.uniform(-recipe.bend, recipe.bend)
        self.fine = int(rng.integers(1 << 62))
        self.bank = {sign: rng.uniform(-0.22, 0.22) * (rng.random() < 0.7) for sign in (-1, 1)}
        marked = 0.25 if self.kind == "residential" else 0.9
        self.line = str(rng.choice(["solid", "dashed"])) if rng.random() < recipe.markings * marked else "none"
        crossed = not self.open and rng.random() < recipe.crossing
        self.crossings = list(rng.uniform(-0.9, 0.9, int(rng.integers(1, 4))) * self.half) if crossed else []
        middle, half = rng.uniform(-0.35, 0.35) * self.half, rng.uniform(3.0, 6.0)
        crossroads = self.kind != "motorway" and rng.random() < recipe.crossroads
        self.crossroads = (middle - half, middle + half) if crossroads else None
        self.placements: list[Placement] = []
        self.instance = 0
        self.static = Builder()

    def curve(self, x: Points, y: Points) -> tuple[Points, Points]:
        """Plan position on the bent street of straight coordinates (x along, y left)."""
        angle = self.bend * x
        return x - np.sin(angle) * y, 0.5 * self.bend * x**2 + np.cos(angle) * y

    def base(self, x: Points, y: Points, road_edge: Points) -> Points:
        """Height of the ground without kerbs: slope, crossfall to the gutter, a bank beyond the verge."""
        away = np.minimum(np.abs(y), road_edge)
        beyond = np.maximum(np.abs(y) - road_edge - 3.0, 0)
        bank = np.where(y > 0, self.bank[1], self.bank[-1])
        height: Points = self.slope * x - self.cross * away + np.minimum(beyond, 12.0) * bank
        return height

    def stand(self, name: str, x: float, y: float, yaw: float, z: float, scale: float = 1.0, *, thing: bool = True) -> None:
        """Place an object at straight coordinates."""
        self.instance += thing
        px, py = self.curve(np.array(x), np.array(y))
        asset = self.library.pick(name, self.rng)
        number = self.instance if thing else 0
        self.placements.append(placed(asset, (float(px), float(py), z), yaw + self.bend * x, scale, number))


def build_street(recipe: Street, name: str, rng: Rng, library: Library) -> Scene:
    """A street along x, bent a little, the scanner's place on its right lane at x = 0."""
    world = _World(recipe, rng, library)
    lane = draw(recipe.lane, rng) * (1.25 if world.kind == "country" else 1.0)
    if world.kind == "motorway" or (world.kind == "urban" and rng.random() < recipe.wide):
        lane *= float(rng.integers(2, 4))  # several lanes each way
    sides = [_side(world, lane, sign) for sign in (1, -1)]
    for side in sides:
        _ground(world, side)
    for side in sides:
        _houses(world, side)
        _greenery(world, side)
        _furniture(world, side)
        _vehicles(world, side, lane)
    at = np.array([0.0, -_on_lane(lane, rng)])
    ground = float(world.base(np.array(0.0), np.array(at[1]), np.array(sides[1].road_edge)))
    placements = (Placement(world.static.asset("ground and houses"), np.eye(4), 0), *world.placements)
    extent = np.array([[-world.half, -OUTER], [world.half, OUTER]])
    return Scene(placements, name, np.array([at[0], at[1], ground]), 0.0, extent)


def _on_lane(lane: float, rng: Rng) -> float:
    """Distance from the road's middle of what drives on a side whose lanes are so wide together."""
    return lane / 2 if lane < 6 else float(rng.uniform(1.8, lane - 1.8))


def _side(world: _World, lane: float, sign: int) -> _Side:
    recipe, rng, kind = world.recipe, world.rng, world.kind
    zones = [_Zone(LINE, "road", "marking", raised=False), _Zone(lane - LINE, "road", "asphalt", raised=False)]
    if world.open:
        zones.append(_Zone(rng.uniform(0.2, 1.2 if kind == "country" else 3.0), "road", "asphalt", raised=False))
        walk = (lane + 0.5, lane + 1.5)
        zones.append(_Zone(rng.uniform(1.0, 4.0), "terrain", "grass", raised=False))
    else:
        if rng.random() < recipe.parking:
            zones.append(_Zone(rng.uniform(1.9, 2.5), "road", "pavers" if rng.random() < 0.3 else "asphalt", raised=False))
        verge_first = kind == "suburban" and rng.random() < 0.4
        if verge_first:
            zones.append(_Zone(rng.uniform(0.8, 2.5), "terrain", "grass", raised=True))
        start = sum(z.width for z in zones)
        width = draw(recipe.sidewalk, rng) * (1.4 if kind == "urban" else 1.0)
        zones.append(_Zone(width, "sidewalk", "pavers" if rng.random() < 0.6 else "asphalt", raised=True))
        walk = (start, start + width)
        if kind != "urban" and not verge_first:
            zones.append(_Zone(max(draw(recipe.verge, rng), 0.1), "terrain", "grass", raised=True))
    edge = next((sum(z.width for z in zones[:i]) for i, z in enumerate(zones) if z.label != "road"), sum(z.width for z in zones))
    setback = 0.0 if kind == "urban" and rng.random() < 0.7 else draw(recipe.setback, rng)
    line = sum(z.width for z in zones) + setback
    rest = "terrain" if kind != "urban" or rng.random() < 0.5 else "sidewalk"
    zones.append(
        _Zone(OUTER - sum(z.width for z in zones), rest, "grass" if rest == "terrain" else "pavers", raised=not world.open)
    )
    junction = world.crossroads
    if junction is None and kind != "motorway" and rng.random() < recipe.junction:
        middle, half = rng.uniform(-0.8, 0.8) * world.half, rng.uniform(2.6, 4.0)
        junction = (middle - half, middle + half)
    side = _Side(sign, zones, edge, walk, line, junction)
    if not world.open:
        side.drives = list(rng.uniform(-world.half, world.half, int(rng.integers(1, 7))))
    return side


def _ground(world: _World, side: _Side) -> None:
    """Strips of ground, finer near the road, a vertical face at the kerb; side streets and drives cut through the kerb."""
    xs = np.arange(-world.half, world.half + STEP, STEP)
    stations, zone_of = _stations(side, fine=bool(world.crossings))
    y = stations[None, :] * side.sign
    x = np.broadcast_to(xs[:, None], (len(xs), len(stations)))
    y = np.broadcast_to(y, x.shape)
    cut = _lowered(world, side, xs)
    raised = np.array([side.zones[z].raised for z in zone_of], dtype=np.float64)
    z = world.base(x, y, np.array(side.road_edge)) + raised[None, :] * world.kerb * (1 - cut)[:, None]
    natural = np.array([side.zones[i].label == "terrain" for i in zone_of], dtype=np.float64)
    far = np.clip((stations - side.walk[1]) / 4.0, 0, 1)
    z = z + natural * (0.35 + 0.65 * far) * world.rough * noise(x, y, 2.2, np.random.default_rng((world.fine, side.sign + 1)))
    z = z + 0.012 * noise(x, y, 3.0, np.random.default_rng((world.fine, side.sign + 5)))
    px, py = world.curve(x, y)
    triangles = grid(px, py, z) if side.sign > 0 else grid(px, py, z)[:, ::-1]
    labels, materials = _surface(world, side, xs, stations, zone_of)
    world.static.add_faces(triangles, np.repeat(labels.ravel(), 2), np.repeat(materials.ravel(), 2))


def _stations(side: _Side, *, fine: bool) -> tuple[Points, NDArray[np.int64]]:
    """Distances from the road's middle at which the ground is sampled, and the zone that each belongs to.

    A zone's border is sampled twice, once for each zone, which makes the kerb a vertical face. ``fine`` makes the cells of
    the lane as narrow as the stripes of a crossing.
    """
    values: list[float] = []
    zones: list[int] = []
    start = 0.0
    for index, zone in enumerate(side.zones):
        step = 0.5 if fine and index == 1 else 1.0 if zone.width < 8 else 1.4
        inner = np.linspace(start, start + zone.width, max(2, int(np.ceil(zone.width / step)) + 1))
        if zone.width > 40:  # far away a coarser ground will do
            inner = np.concatenate([inner[inner < start + 30], np.arange(start + 30, start + zone.width - 2, 4.0), inner[-1:]])
        values += inner.tolist()
        zones += [index] * len(inner)
        start += zone.width
    return np.array(values), np.array(zones)


def _lowered(world: _World, side: _Side, xs: Points) -> Points:
    """How far the kerb is lowered (0 none, 1 all) along the street: at side streets, drives and crossings."""
    cut = np.zeros(len(xs))
    for x in (*side.drives, *world.crossings):
        cut = np.maximum(cut, np.clip(2.2 - np.abs(xs - x), 0, 0.7) / 0.7 * 0.8)
    if side.junction:
        low, high = side.junction
        cut = np.maximum(cut, np.clip(np.minimum(xs - low, high - xs) / STEP + 1, 0, 1))
    return cut


def _surface(
    world: _World, side: _Side, xs: Points, stations: Points, zone_of: NDArray[np.int64]
) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    """Label and material of each cell (I-1, J-1)."""
    taxonomy = catalogue.taxonomy()
    outer = np.maximum(zone_of[:-1], zone_of[1:])
    labels = np.array([taxonomy.id(z.label) for z in side.zones], np.uint16)[outer]
    materials = np.array([MATERIAL_NAMES.index(z.material) for z in side.zones], np.uint8)[outer]
    raised = np.array([zone.raised for zone in side.zones])
    kerb = raised[zone_of[1:]] & ~raised[zone_of[:-1]]
    labels[kerb], materials[kerb] = taxonomy.id("sidewalk"), MATERIAL_NAMES.index("concrete")
    label, material = np.tile(labels, (len(xs) - 1, 1)), np.tile(materials, (len(xs) - 1, 1))
    middle, out = (xs[:-1] + xs[1:]) / 2, (stations[:-1] + stations[1:]) / 2
    _paint(world, material, middle, zone_of)
    beyond = out[None, :] > side.road_edge
    for x in side.drives:
        drive = (np.abs(middle - x) < 1.5)[:, None] & beyond & (out < side.house_line)[None, :] & (out > side.walk[1])[None, :]
        label[drive], material[drive] = taxonomy.id("sidewalk"), MATERIAL_NAMES.index("pavers")
    if side.junction:
        inside = ((middle > side.junction[0]) & (middle < side.junction[1]))[:, None] & beyond
        label[inside], material[inside] = taxonomy.id("road"), MATERIAL_NAMES.index("asphalt")
        for x0, x1 in ((side.junction[0] - 1.8, side.junction[0]), (side.junction[1], side.junction[1] + 1.8)):
            if not world.open:  # the side street's own pavements
                walk = ((middle > x0) & (middle < x1))[:, None] & beyond
                label[walk], material[walk] = taxonomy.id("sidewalk"), MATERIAL_NAMES.index("pavers")
    return label, material


def _paint(world: _World, material: NDArray[np.uint8], middle: Points, zone_of: NDArray[np.int64]) -> None:
    """Line in the middle of the road, and the stripes of crossings: every second cell of the lane, 3.4 m long."""
    inner = np.flatnonzero(zone_of[:-1] == zone_of[1:])
    line, lane = inner[zone_of[inner] == 0], inner[zone_of[inner] == 1]
    gaps = {"none": middle < np.inf, "dashed": middle % 9.0 > 3.0, "solid": middle == np.inf}[world.line]
    material[np.ix_(gaps, line)] = MATERIAL_NAMES.index("asphalt")
    for x in world.crossings:
        material[np.ix_(np.abs(middle - x) < 1.7, lane[::2])] = MATERIAL_NAMES.index("marking")


def _free(side: _Side, x: float, margin: float = 1.0) -> bool:
    return not (side.junction and side.junction[0] - margin < x < side.junction[1] + margin)


def _height(world: _World, side: _Side, x: float, out: float) -> float:
    raised = world.kerb if out > side.road_edge else 0.0
    return float(world.base(np.array(x), np.array(out * side.sign), np.array(side.road_edge))) + raised


def _spots(world: _World, low_high: tuple[float, float], side: _Side) -> list[float]:
    """Places along the street for a density in objects per 100 m."""
    count = world.rng.poisson(draw(low_high, world.rng) * world.recipe.length / 100)
    return [x for x in world.rng.uniform(-world.half, world.half, count) if _free(side, x)]


def _houses(world: _World, side: _Side) -> None:
    rng, kind = world.rng, world.kind
    if kind == "motorway" or (kind == "country" and rng.random() < 0.7):
        return
    x = -world.half + rng.uniform(0, 6)
    row = kind == "urban" or rng.random() < 0.2
    eaves = rng.uniform(6, 12) if kind == "urban" else rng.uniform(2.8, 6.5)
    while x < world.half - 6:
        width, depth = rng.uniform(8, 15), rng.uniform(8, 12)
        front = side.house_line + (0.0 if row else rng.uniform(0, 3))
        if _free(side, x + width / 2, width / 2 + 2):
            height = eaves + rng.uniform(-0.8, 0.8)
            roof = str(rng.choice(["gable", "hip", "flat", "mansard"], p=[0.55, 0.22, 0.15, 0.08]))
            built = house(
                rng, width, depth, height, roof=roof, pitch=rng.uniform(25, 45), facade=rng.random() > world.recipe.plain
            )
            px, py = world.curve(np.array(x + width / 2), np.array((front + depth / 2) * side.sign))
            z = _height(world, side, x + width / 2, front) - 0.05
            yaw = world.bend * x + (np.pi if side.sign < 0 else 0.0)
            place(world.static, built, (float(px), float(py), z), yaw)
        gap = 0.05 if row else rng.uniform(2, 12)
        if gap > 4.5 and rng.random() < world.recipe.garages and _free(side, x + width + gap / 2, gap / 2 + 2):
            _garage(world, side, x + width + gap / 2, min(gap - 0.6, rng.uniform(2.9, 6.5)))
        x += width + gap


def _garage(world: _World, side: _Side, x: float, width: float) -> None:
    """A low box with a plain front between two houses, a little before or behind them."""
    rng = world.rng
    front = max(side.walk[1] + 0.5, side.house_line + rng.uniform(-3, 5))
    built = house(rng, width, rng.uniform(5.5, 7), rng.uniform(2.3, 3.0), roof="flat", pitch=0.0, facade=False)
    px, py = world.curve(np.array(x), np.array((front + 3) * side.sign))
    z = _height(world, side, x, front) - 0.05
    place(world.static, built, (float(px), float(py), z), world.bend * x + (np.pi if side.sign < 0 else 0.0))


def _greenery(world: _World, side: _Side) -> None:
    rng, recipe = world.rng, world.recipe
    lush = LUSH[world.kind]
    near = side.walk[1] + 0.4
    for x in _spots(world, recipe.trees, side):
        behind = rng.random() < 0.55
        out = side.house_line + rng.uniform(-2, 22) if behind else near + rng.uniform(0, 2.5)
        if world.kind == "urban" and not behind:
            out = side.walk[0] + 0.7
        what = "conifer" if rng.random() < 0.15 else "tree"
        world.stand(what, x, out * side.sign, rng.uniform(0, 6.3), _height(world, side, x, out), rng.uniform(0.6, 1.25))
    for _ in range(int(rng.poisson(draw(recipe.bushes, rng) * lush * recipe.length / 100))):
        x = rng.uniform(-world.half, world.half)
        out = near + rng.gamma(1.5, 4.0)
        if _free(side, x) and out < OUTER - 1:
            world.stand("bush", x, out * side.sign, rng.uniform(0, 6.3), _height(world, side, x, out), rng.uniform(0.6, 1.5))
    if rng.random() < recipe.thicket * min(lush, 1.5):
        _thicket(world, side, near)
    if world.open or world.kind == "suburban":
        for x in rng.uniform(-world.half, world.half, 60):
            out = near + rng.gamma(1.5, 2.5)
            world.stand(
                "herbs", x, out * side.sign, rng.uniform(0, 6.3), _height(world, side, x, out), rng.uniform(0.6, 1.8), thing=False
            )
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
        for x in np.arange(start, start + rng.uniform(6, 14) * (2 if what == "wall" else 1), length):
            if _free(side, x, 2) and all(abs(x - d) > 2 for d in side.drives):
                px, py = world.curve(np.array(x), np.array(border * side.sign))
                z = _height(world, side, x, border)
                world.placements.append(placed(panel, (float(px), float(py), z), world.bend * x))


def _thicket(world: _World, side: _Side, near: float) -> None:
    """A belt of shrubs and trees along a stretch of the street, dense enough to hide what lies behind."""
    rng = world.rng
    start, rows, spacing = near + rng.gamma(2.0, 5.0), int(rng.integers(1, 4)), rng.uniform(0.9, 2.2)
    low, trees = rng.uniform(-world.half, 0), rng.uniform(0.05, 0.4)
    for row in range(rows):
        for x in np.arange(low, min(low + rng.uniform(30, 130), world.half), spacing):
            out = start + 2.2 * row + rng.normal(0, 0.5)
            if _free(side, x) and out < OUTER - 1:
                what = "tree" if rng.random() < trees else "bush"
                scale = rng.uniform(0.6, 1.3) if what == "tree" else rng.uniform(1.0, 2.2)
                world.stand(what, x, out * side.sign, rng.uniform(0, 6.3), _height(world, side, x, out), scale)


def _furniture(world: _World, side: _Side) -> None:
    rng, recipe = world.rng, world.recipe
    edge = side.road_edge + 0.45
    inwards = -np.pi / 2 * side.sign
    for x in _spots(world, recipe.lamps, side):
        name = "utility_pole" if world.open or rng.random() < 0.15 else "lamp"
        world.stand(name, x, edge * side.sign, inwards, _height(world, side, x, edge))
    facing = np.pi if side.sign < 0 else 0.0
    for x in _spots(world, recipe.signs, side):
        name = "signal" if side.junction and rng.random() < 0.25 else "sign"
        world.stand(name, x, edge * side.sign, facing + rng.normal(0, 0.2), _height(world, side, x, edge))
    for x in world.crossings:
        name = "signal" if world.kind == "urban" else "sign"
        world.stand(name, x - 2.2 * side.sign, edge * side.sign, facing, _height(world, side, x, edge))
    if world.kind != "urban" and rng.random() < recipe.wires:
        _overhead(world, side)
    if world.open:
        if rng.random() < (0.8 if world.kind == "motorway" else 0.4):
            for x in np.arange(-world.half, world.half, 4.0):
                if _free(side, x, 3):
                    world.stand("guard_rail", x, (edge + 0.4) * side.sign, 0, _height(world, side, x, edge), thing=False)
        return
    for x in _spots(world, recipe.furniture, side):
        name = str(rng.choice(["bin", "bench", "cabinet", "bollard", "bollard"]))
        out = side.walk[1] - 0.3 if name != "bollard" else edge
        world.stand(name, x, out * side.sign, inwards, _height(world, side, x, out))
    for x in _spots(world, recipe.people, side):
        out = rng.uniform(*side.walk)
        world.stand("person", x, out * side.sign, rng.uniform(0, 6.3), _height(world, side, x, out))
    for x in _spots(world, recipe.bicycles, side):
        out = side.walk[1] - 0.4
        world.stand("bicycle", x, out * side.sign, rng.normal(0, 0.4), _height(world, side, x, out))


def _overhead(world: _World, side: _Side) -> None:
    """A line of equal poles behind the pavement, three wires from crossarm to crossarm."""
    rng = world.rng
    pole, span, out = world.library.pick("utility_pole", rng), rng.uniform(28, 42), side.walk[1] + 0.5
    tops = []
    for x in np.arange(-world.half + rng.uniform(0, span), world.half, span):
        px, py = world.curve(np.array(x), np.array(out * side.sign))
        at = np.array([float(px), float(py), _height(world, side, x, out)])
        world.instance += 1
        world.placements.append(placed(pole, at.tolist(), world.bend * x, 1.0, world.instance))
        tops.append((at + (0, 0, float(pole.bounds[1, 2]) - 0.4), world.bend * x))
    for (a, yaw_a), (b, yaw_b) in pairwise(tops):
        for reach in (-0.9, -0.35, 0.9):
            ends = [top + reach * np.array([-np.sin(yaw), np.cos(yaw), 0]) for top, yaw in ((a, yaw_a), (b, yaw_b))]
            world.static.add(wire(ends[0], ends[1], sag=rng.uniform(0.4, 0.9), radius=0.012), "wire", "metal")


def _vehicles(world: _World, side: _Side, lane: float) -> None:
    rng, recipe = world.rng, world.recipe
    lanes = [z for z in side.zones if z.label == "road"]
    if len(lanes) > 2 and not world.open:  # a parking lane
        out = lane + lanes[2].width / 2
        x = -world.half
        share = draw(recipe.parked, rng) / 14
        while x < world.half:
            length = rng.uniform(5.0, 6.5)
            if rng.random() < share and _free(side, x, 4) and all(abs(x - d) > 3.5 for d in (*side.drives, *world.crossings)):
                name = "lorry" if rng.random() < 0.04 else "car"
                yaw = (np.pi if side.sign > 0 else 0.0) + (np.pi if rng.random() < 0.2 else 0.0) + rng.normal(0, 0.02)
                world.stand(name, x, (out + rng.normal(0, 0.1)) * side.sign, yaw, _height(world, side, x, out - 0.5))
            x += length
    for x in side.drives:
        if rng.random() < 0.5:
            out = side.walk[1] + 2.8
            if out + 2.5 < side.house_line + 3:
                world.stand("car", x, out * side.sign, np.pi / 2 * side.sign, _height(world, side, x, out))
    for x in _spots(world, recipe.moving, side):
        if abs(x) > 7:
            name, out = "lorry" if rng.random() < 0.1 else "car", _on_lane(lane, rng)
            world.stand(name, x, out * side.sign, np.pi if side.sign > 0 else 0.0, _height(world, side, x, out))
    if rng.random() < 0.15:
        x = rng.uniform(-40, 40)
        if abs(x) > 6:
            world.stand(
                "bicycle", x, lane * 0.8 * side.sign, np.pi if side.sign > 0 else 0.0, _height(world, side, x, lane * 0.8)
            )
            world.stand("person", x, lane * 0.8 * side.sign, 0.0, _height(world, side, x, lane * 0.8) + 0.35)
