"""The road of a procedural street and the ground beside it: zones from its middle outwards, kerbs, crossfall, side streets."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.scene.asset import MATERIAL_NAMES, Builder, Placement, placed
from pcaug.scene.library import Library
from pcaug.scene.ranges import draw
from pcaug.scene.recipe import Street
from pcaug.scene.shapes import Points, grid, noise

Rng = np.random.Generator
OUTER = 75.0
"""Half the width of the world, metres."""
OPEN = ("country", "motorway")
"""Kinds of street without pavements."""
DENSE = ("urban", "narrow")
"""Kinds whose houses stand in rows, most of them at the pavement."""
CLEARANCE = {"tree": 1.2, "conifer": 1.2, "bush": 0.8, "car": 1.1, "lorry": 1.5}
"""Metres between the middle of an object and a house: crowns reach over, trunks and shrubs stand off."""
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
class Side:
    """One side of the street (sign +1 is left): its zones, and where things stand."""

    sign: int
    zones: list[_Zone]
    road_edge: float
    walk: tuple[float, float]
    house_line: float
    junction: tuple[float, float] | None
    drives: list[float] = field(default_factory=list)


class World:
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
        self.houses: list[tuple[int, float, float, float, float]] = []  # sign of the side, then along and out, each from and to
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

    def height(self, side: Side, x: float, out: float) -> float:
        """Of the ground, ``out`` metres from the road's middle."""
        raised = self.kerb if out > side.road_edge else 0.0
        return float(self.base(np.array(x), np.array(out * side.sign), np.array(side.road_edge))) + raised

    def at(self, side: Side, x: float, out: float) -> tuple[float, float, float]:
        """Place on the ground, ``out`` metres from the road's middle."""
        px, py = self.curve(np.array(x), np.array(out * side.sign))
        return float(px), float(py), self.height(side, x, out)

    def clear(self, side: Side, x: float, out: float, margin: float) -> bool:
        """Whether a place is in no house, nor nearer to one than a margin."""
        return not any(
            sign == side.sign and low - margin < x < high + margin and front - margin < out < back + margin
            for sign, low, high, front, back in self.houses
        )

    def put(self, name: str, x: float, y: float, yaw: float, z: float, scale: float = 1.0, *, thing: bool = True) -> None:
        """Place an object at straight coordinates."""
        self.instance += thing
        px, py = self.curve(np.array(x), np.array(y))
        asset = self.library.pick(name, self.rng)
        number = self.instance if thing else 0
        self.placements.append(placed(asset, (float(px), float(py), z), yaw + self.bend * x, scale, number))

    def stand(self, name: str, side: Side, x: float, out: float, yaw: float, scale: float = 1.0, *, thing: bool = True) -> None:
        """Place an object on the ground, ``out`` metres from the road's middle; none where a house stands."""
        if self.clear(side, x, out, CLEARANCE.get(name, 0.3) * scale):
            self.put(name, x, out * side.sign, yaw, self.height(side, x, out), scale, thing=thing)


def on_lane(lane: float, rng: Rng) -> float:
    """Distance from the road's middle of what drives on a side whose lanes are so wide together."""
    return lane / 2 if lane < 6 else float(rng.uniform(1.8, lane - 1.8))


def side_of(world: World, lane: float, sign: int) -> Side:
    """A side of the street with zones drawn for its kind."""
    recipe, rng, kind = world.recipe, world.rng, world.kind
    zones = [_Zone(LINE, "road", "marking", raised=False), _Zone(lane - LINE, "road", "asphalt", raised=False)]
    if world.open:
        shoulder = rng.uniform(0.2, 1.2 if kind == "country" else 3.0)
        zones.append(_Zone(shoulder, "road", "asphalt", raised=False))
        walk = (lane + shoulder + 0.1, lane + shoulder + 0.6)
        zones.append(_Zone(rng.uniform(1.0, 4.0), "terrain", "grass", raised=False))
    else:
        if rng.random() < recipe.parking * (0.3 if kind == "narrow" else 1.0):
            zones.append(_Zone(rng.uniform(1.9, 2.5), "road", "pavers" if rng.random() < 0.3 else "asphalt", raised=False))
        verge_first = kind == "suburban" and rng.random() < 0.4
        if verge_first:
            zones.append(_Zone(rng.uniform(0.8, 2.5), "terrain", "grass", raised=True))
        start = sum(z.width for z in zones)
        width = draw(recipe.sidewalk, rng) * {"urban": 1.4, "narrow": 0.4}.get(kind, 1.0)
        zones.append(_Zone(width, "sidewalk", "pavers" if rng.random() < 0.6 else "asphalt", raised=True))
        walk = (start, start + width)
        if kind not in DENSE and not verge_first:
            zones.append(_Zone(max(draw(recipe.verge, rng), 0.1), "terrain", "grass", raised=True))
    edge = next((sum(z.width for z in zones[:i]) for i, z in enumerate(zones) if z.label != "road"), sum(z.width for z in zones))
    setback = 0.0 if kind in DENSE and rng.random() < 0.7 else draw(recipe.setback, rng)
    line = sum(z.width for z in zones) + setback
    rest = "terrain" if kind not in DENSE or rng.random() < 0.5 else "sidewalk"
    zones.append(
        _Zone(OUTER - sum(z.width for z in zones), rest, "grass" if rest == "terrain" else "pavers", raised=not world.open)
    )
    junction = world.crossroads
    if junction is None and kind != "motorway" and rng.random() < recipe.junction:
        middle, half = rng.uniform(-0.8, 0.8) * world.half, rng.uniform(2.6, 4.0)
        junction = (middle - half, middle + half)
    side = Side(sign, zones, edge, walk, line, junction)
    if not world.open:
        side.drives = list(rng.uniform(-world.half, world.half, int(rng.integers(1, 7))))
    return side


def ground(world: World, side: Side) -> None:
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


def _stations(side: Side, *, fine: bool) -> tuple[Points, NDArray[np.int64]]:
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


def _lowered(world: World, side: Side, xs: Points) -> Points:
    """How far the kerb is lowered (0 none, 1 all) along the street: at side streets, drives and crossings."""
    cut = np.zeros(len(xs))
    for x in (*side.drives, *world.crossings):
        cut = np.maximum(cut, np.clip(2.2 - np.abs(xs - x), 0, 0.7) / 0.7 * 0.8)
    if side.junction:
        low, high = side.junction
        cut = np.maximum(cut, np.clip(np.minimum(xs - low, high - xs) / STEP + 1, 0, 1))
    return cut


def _surface(
    world: World, side: Side, xs: Points, stations: Points, zone_of: NDArray[np.int64]
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


def _paint(world: World, material: NDArray[np.uint8], middle: Points, zone_of: NDArray[np.int64]) -> None:
    """Line in the middle of the road, and the stripes of crossings: every second cell of the lane, 3.4 m long."""
    inner = np.flatnonzero(zone_of[:-1] == zone_of[1:])
    line, lane = inner[zone_of[inner] == 0], inner[zone_of[inner] == 1]
    gaps = {"none": middle < np.inf, "dashed": middle % 9.0 > 3.0, "solid": middle == np.inf}[world.line]
    material[np.ix_(gaps, line)] = MATERIAL_NAMES.index("asphalt")
    for x in world.crossings:
        material[np.ix_(np.abs(middle - x) < 1.7, lane[::2])] = MATERIAL_NAMES.index("marking")


def free(side: Side, x: float, margin: float = 1.0) -> bool:
    """Whether a place along a side is on no side street, nor nearer to one than a margin."""
    return not (side.junction and side.junction[0] - margin < x < side.junction[1] + margin)
