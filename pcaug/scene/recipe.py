"""Scene recipes: what a composed world is made of, as numbers that a user can read and change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from pcaug import catalogue
from pcaug.catalogue import Strict
from pcaug.errors import RecipeError
from pcaug.files import write_text
from pcaug.scene.air import Weather
from pcaug.scene.asset import Scene
from pcaug.scene.meshes.card import AssetCard
from pcaug.scene.ranges import Amounts, Counts, Lengths, Range, Share, Shares, Weights, at_least
from pcaug.scene.scanner import SensorRow
from pcaug.scene.weathering import Surfaces, weathered

WORLDS = ("street", "town", "wood", "room", "helios")
"""What a recipe can make: the table of that name, and a builder in ``compose``."""

StreetKind = Literal["residential", "urban", "narrow", "suburban", "country", "motorway"]


class Street(Strict):
    """A street along x with the scanner on it. Lengths in metres, densities in objects per 100 m of one side.

    Attributes:
        kinds: Weight of each kind of street: "residential", "urban", "narrow" (an old town's or a village's, houses at its edge),
            "suburban", "country", "motorway".
        length: Of the street, both ways from the scanner together.
        lane: Width of one of two lanes.
        crossfall: Slope of the road away from its middle, share.
        slope: Slope along the street, share.
        roughness: Height of the unevenness of natural ground.
        kerb: Height of the kerb.
        sidewalk: Width of the pavement.
        verge: Width of the grass between pavement and gardens.
        setback: Distance of houses from the pavement.
        plain: Share of houses with a front without windows and door, as the side of a house has.
        garages: Probability of a garage in a gap between two houses.
        junction: Probability of a side street on each side.
        crossroads: Probability of a street that crosses near the scanner.
        wide: Probability that an urban street has several lanes each way; a motorway always has.
        thicket: Probability of a belt of shrubs and trees along a side.
        backdrop: Probability of another one farther away, from 25 m on.
        cover: Probability of a bed of herbs and ground cover along a side outside of town, and of herbs at the foot of a bush.
        parked, moving, trees, bushes, lamps, signs, people, bicycles, furniture: Objects per 100 m of a side.
        parking: Probability that a side has a parking lane.
        hedge, fence, wall: Probability that a front garden is bounded by one.
        overgrown: Share of the fences and walls that bushes stand behind.
        markings: Probability of a line in the road's middle (a quarter of it in residential streets).
        crossing: Probability of zebra crossings, in streets with pavements.
        wires: Probability that a side, if not urban, has an overhead line.
        bend: Largest curvature, 1/m.
    """

    kinds: Weights[StreetKind] = {"residential": 0.3, "urban": 0.15, "suburban": 0.25, "country": 0.22, "motorway": 0.08}
    length: float = Field(default=150.0, gt=20, le=2000)
    lane: Lengths = (2.7, 3.6)
    crossfall: Range = (0.01, 0.03)
    slope: Range = (-0.04, 0.04)
    roughness: Lengths = (0.03, 0.15)
    kerb: Lengths = (0.04, 0.16)
    sidewalk: Lengths = (1.2, 3.0)
    verge: Lengths = (0.0, 3.0)
    setback: Lengths = (1.0, 8.0)
    plain: Share = 0.45
    garages: Share = 0.5
    junction: Share = 0.35
    crossroads: Share = 0.3
    wide: Share = 0.3
    thicket: Share = 0.5
    backdrop: Share = 0.5
    cover: Share = 0.5
    parked: Amounts = (2.0, 9.0)
    moving: Amounts = (0.0, 2.0)
    trees: Amounts = (1.0, 8.0)
    bushes: Amounts = (2.0, 14.0)
    lamps: Amounts = (1.0, 3.5)
    signs: Amounts = (0.5, 3.0)
    people: Amounts = (0.0, 2.5)
    bicycles: Amounts = (0.0, 2.0)
    furniture: Amounts = (0.0, 3.0)
    parking: Share = 0.5
    hedge: Share = 0.35
    fence: Share = 0.25
    wall: Share = 0.15
    overgrown: Share = 0.4
    markings: Share = 0.7
    crossing: Share = 0.35
    wires: Share = 0.15
    bend: float = Field(default=0.004, ge=0, le=0.02)


class Town(Strict):
    """A piece of town seen from the air. Lengths in metres.

    Attributes:
        size: Edge of the square.
        plot: Edge of a plot of land.
        relief: Height of the terrain's hills.
        road: Width of the streets between rows of plots.
        house: Footprint edges.
        eaves: Height of the eaves.
        pitch: Roof slope, degrees.
        flat: Share of flat roofs.
        hipped: Share of hipped roofs among the others.
        other_roofs: Share of roofs with one slope or a mansard among the rest.
        wings: Share of houses with a wing at right angles.
        empty: Share of plots without a house.
        blocks: Probability that the piece lies in the town's middle, with plots, buildings and groups of trees twice as large.
        trees, bushes: Objects per plot.
        tree_height: Height of trees; more are low than high.
        grove: How many times more trees stand on plots without a house.
        hedge: Probability that a plot is hedged.
        fence: Probability that it is fenced instead.
        cars: Cars per plot.
        water: Probability of a brook, with bridges where streets cross it.
        power_line: Probability of a power line on pylons.
    """

    size: float = Field(default=80.0, gt=10, le=2000)
    plot: Annotated[Lengths, at_least(4)] = (16.0, 26.0)
    relief: Lengths = (0.0, 3.0)
    road: Lengths = (6.0, 9.0)
    house: Lengths = (8.0, 14.0)
    eaves: Lengths = (2.6, 6.5)
    pitch: Range = (18.0, 45.0)
    flat: Share = 0.15
    hipped: Share = 0.3
    other_roofs: Share = 0.15
    wings: Share = 0.35
    empty: Share = 0.12
    blocks: Share = 0.35
    grove: float = Field(default=4.0, ge=1, le=20)
    trees: Amounts = (1.0, 5.0)
    bushes: Amounts = (1.0, 6.0)
    tree_height: Annotated[Lengths, at_least(0.5)] = (4.0, 20.0)
    hedge: Share = 0.4
    fence: Share = 0.2
    cars: Amounts = (0.0, 1.2)
    water: Share = 0.2
    power_line: Share = 0.2


class Wood(Strict):
    """A piece of wood or mountain side, for scanners in it or above it. Lengths in metres, densities in objects per hectare.

    Attributes:
        size: Edge of the square.
        slope: Fall of the ground, share.
        relief: Height of hollows and humps.
        roughness: Height of the small unevenness.
        faces: Height of the steps in which the slope breaks off; 0 for none.
        rock: Share of the ground that is bare rock, beside what is too steep for soil.
        ledges: Height of the rock's unevenness.
        water: Probability that a lake or the sea stands at the foot.
        track: Probability of a track through it.
        trees: Trees per hectare before those too near to another are taken out.
        spacing: Least distance between two trees.
        tree_height: Height of trees.
        conifers: Share of conifers.
        bushes, herbs, logs, stones: Undergrowth, fallen trunks and boulders per hectare.
    """

    size: float = Field(default=50.0, gt=10, le=2000)
    slope: Range = (0.0, 0.35)
    relief: Lengths = (0.2, 1.6)
    roughness: Lengths = (0.04, 0.15)
    faces: Lengths = (0.0, 0.0)
    rock: Shares = (0.0, 0.0)
    ledges: Lengths = (0.0, 0.0)
    water: Share = 0.0
    track: Share = 0.4
    trees: Amounts = (250.0, 900.0)
    spacing: Lengths = (1.2, 3.0)
    tree_height: Annotated[Lengths, at_least(0.5)] = (10.0, 28.0)
    conifers: Shares = (0.0, 1.0)
    bushes: Amounts = (50.0, 700.0)
    herbs: Amounts = (100.0, 900.0)
    logs: Amounts = (0.0, 80.0)
    stones: Amounts = (0.0, 80.0)


class Room(Strict):
    """A furnished room with the scanner in it. Lengths in metres, furniture in pieces; what does not fit is left out.

    Attributes:
        edge: Length of its walls.
        height: Of the ceiling.
        windows: Probability that a wall without a door has windows.
        tables, desks, beds, sofas, cupboards, shelves, radiators, clutter, people: Pieces, lowest and highest.
        chairs: Probability that a place at a table has a chair.
    """

    edge: Annotated[Lengths, at_least(2)] = (3.2, 8.0)
    height: Annotated[Lengths, at_least(2)] = (2.4, 3.2)
    windows: Share = 0.6
    tables: Amounts = (0, 2)
    desks: Amounts = (0, 2)
    beds: Amounts = (0, 1)
    sofas: Amounts = (0, 2)
    cupboards: Amounts = (0, 3)
    shelves: Amounts = (0, 3)
    radiators: Amounts = (0, 2)
    clutter: Amounts = (0, 4)
    people: Amounts = (0, 2)
    chairs: Share = 0.75


class Helios(Strict):
    """A scene of HELIOS++ as it stands; its classes are those of its materials.

    Attributes:
        path: The scene's XML file, below the recipe's folder or absolute.
    """

    path: str


class AssetRow(AssetCard):
    """Meshes of the user's own. The keys of an asset card may be given here too, and win over those beside the meshes.

    Attributes:
        path: A mesh, a folder of them, a zip, a Sweet Home 3D library or a HELIOS++ scene; relative paths are below the
            recipe's folder.
        only: Pattern on names, files and tags: which of them.
        kind: Object of the world that they stand in for ("car", "tree", ...: ``pcaug.scene.library.MAKERS``); without it
            they are placed around the viewpoint.
        share: With a kind: probability that an object of it is one of these; 1 replaces the kind, less adds to it. Of several
            rows of a kind each has its share, of their sum where that is above 1.
        count: Without a kind: how many, lowest and highest.
        distance: Without a kind: range of distances from the viewpoint, metres.
    """

    path: str
    only: str = "*"
    kind: str | None = None
    share: float = Field(default=1.0, gt=0, le=1)
    count: Counts = (1, 3)
    distance: Amounts = (4.0, 30.0)

    @model_validator(mode="after")
    def _of_use(self) -> Self:
        without, only = ("without", ("share",)) if self.kind is None else ("with", ("count", "distance"))
        if idle := [key for key in only if key in self.model_fields_set]:
            raise ValueError(f"{' and '.join(idle)} of meshes {without} a kind would do nothing: leave it out")
        return self


class Into(Strict):
    """What ``compose --into`` places into a real scan.

    Attributes:
        objects: How many, lowest and highest; those that find no free place are left out.
        kinds: Weight of each kind of object (``pcaug.scene.library.MAKERS``, or of the user's own meshes).
    """

    objects: Counts = (4, 14)
    kinds: Weights[str] = {
        "car": 3.0, "person": 2.0, "bicycle": 2.0, "lorry": 0.7, "tree": 1.0, "bush": 1.0, "lamp": 1.0, "sign": 1.0,
        "signal": 0.3, "bollard": 0.5, "bin": 0.5, "bench": 0.3,
    }  # fmt: skip


class Transfer(Strict):
    """Intensities of a class: quantiles that the scanner's model gives, and the real ones at the same levels, by range.

    Attributes:
        ranges: (n,) metres, rising; a map has one row, whatever its range.
        composed, real: (n, k) quantiles, each row rising.
    """

    ranges: tuple[float, ...] = Field(min_length=1)
    composed: tuple[tuple[float, ...], ...]
    real: tuple[tuple[float, ...], ...]

    @model_validator(mode="after")
    def _fits(self) -> Self:
        rows = [*self.composed, *self.real]
        if not len(self.ranges) == len(self.composed) == len(self.real) or len({len(row) for row in rows}) != 1 or not rows[0]:
            raise ValueError("a transfer needs a row of quantiles for each range, all of one length")
        if any(sorted(row) != list(row) for row in [self.ranges, *rows]):
            raise ValueError("the ranges and each row of quantiles of a transfer must rise")
        return self


class SceneRecipe(Strict):
    """A world and who looks at it.

    Attributes:
        name: Name of the recipe.
        title: One line on it.
        street, town, wood, room, helios: The world, one of them.
        assets: The user's own meshes.
        surfaces: How much their reflectances vary, and how rough ground is; HELIOS++'s scenes stay as they stand.
        weather: The air that scans are taken in; clear without it.
        sensor: The scanner.
        into: What is placed into real scans.
        transfer: By class, to what its intensities are mapped; written by ``compose --like``.
        folder: Where relative paths start; set on loading.
    """

    name: str
    title: str = ""
    street: Street | None = None
    town: Town | None = None
    wood: Wood | None = None
    room: Room | None = None
    helios: Helios | None = None
    assets: tuple[AssetRow, ...] = ()
    surfaces: Surfaces = Surfaces()
    weather: Weather = Weather()
    sensor: SensorRow = Field(default_factory=SensorRow)
    transfer: dict[str, Transfer] = {}
    into: Into = Into()
    folder: str = "."

    @model_validator(mode="after")
    def _grounded(self) -> Self:
        if self.weather.kinds and self.sensor.kind == "airborne":
            raise ValueError("surveys are flown in clear air: leave [weather] out for an airborne scanner")
        return self

    @property
    def worlds(self) -> list[str]:
        """Names of the worlds that it has; a valid recipe has one."""
        return [name for name in WORLDS if getattr(self, name) is not None]


def load_recipe(name: str | Path, changes: Sequence[str] = ()) -> SceneRecipe:
    """A recipe by name or path, with ``key=value`` changes; raises RecipeError, NotFound."""
    path = catalogue.find("datasets/recipes", name)
    recipe = catalogue.load(path, SceneRecipe, changes)
    check_world(recipe, path)
    return recipe.model_copy(update={"folder": str(path.parent)})


def check_world(recipe: SceneRecipe, where: Path | None = None) -> str:
    """The name of the recipe's world; raises RecipeError unless it has one."""
    if len(recipe.worlds) != 1:
        raise RecipeError(f"needs one world: {', '.join(f'[{name}]' for name in WORLDS[:-1])} or [{WORLDS[-1]}]", where)
    return recipe.worlds[0]


def compose(recipe: SceneRecipe, rng: np.random.Generator) -> Scene:
    """Build one world of a recipe; the same generator state gives the same world."""
    from pcaug.scene.library import Library, build_helios
    from pcaug.scene.room import build_room
    from pcaug.scene.street import build_street
    from pcaug.scene.town import build_town
    from pcaug.scene.wood import build_wood

    builders: dict[str, Any] = {
        "street": build_street, "town": build_town, "wood": build_wood, "room": build_room, "helios": build_helios,
    }  # fmt: skip
    library = Library(recipe.assets, Path(recipe.folder))
    world = check_world(recipe)
    scene: Scene = builders[world](getattr(recipe, world), recipe.name, rng, library)
    scene = library.scattered(scene, rng)
    if not recipe.helios:  # HELIOS++'s scenes say what they reflect
        scene = weathered(scene, recipe.surfaces, rng)
    return replace(scene, air=recipe.weather.draw(rng))


def save_recipe(recipe: SceneRecipe, path: Path) -> None:
    """Write a recipe as TOML to read, edit and use from anywhere: its paths are absolute. What has its default's value is
    written too, but for meshes: it would win over the cards beside them."""
    import tomli_w

    table = recipe.model_dump(mode="json", exclude={"folder"}, exclude_none=True)
    table["assets"] = [row.model_dump(mode="json", exclude_unset=True, exclude_none=True) for row in recipe.assets]
    for row in [*table["assets"], *([table["helios"]] if recipe.helios else [])]:
        row["path"] = str(Path(recipe.folder).resolve() / row["path"])
    if recipe.sensor.model.endswith(".toml"):
        table["sensor"]["model"] = str(Path(recipe.sensor.model).resolve())
    write_text(path, tomli_w.dumps(table))
