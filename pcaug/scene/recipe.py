"""Scene recipes: what a composed world is made of, as numbers that a user can read and change."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pcaug import catalogue
from pcaug.catalogue import Strict
from pcaug.errors import RecipeError
from pcaug.scene.asset import Scene
from pcaug.scene.meshes.card import AssetCard

Range = tuple[float, float]
"""Lowest and highest value of a uniform draw."""
WORLDS = ("street", "town", "wood", "room", "helios")
"""What a recipe can make: the table of that name, and a builder in ``compose``."""
SCANNERS = {
    "spinning": "HDL-64E",
    "solid": "solid-state",
    "rosette": "Mid-40",
    "mobile": "mobile",
    "terrestrial": "VZ-400",
    "airborne": "airborne",
}
"""The scanner of each kind where a recipe names none."""


class Street(Strict):
    """A street along x with the scanner on it. Lengths in metres, densities in objects per 100 m of one side.

    Attributes:
        kinds: Weight of each kind of street: "residential", "urban", "suburban", "country".
        length: Of the street, both ways from the scanner together.
        lane: Width of one of two lanes.
        crossfall: Slope of the road away from its middle, share.
        slope: Slope along the street, share.
        roughness: Height of the unevenness of natural ground.
        kerb: Height of the kerb.
        sidewalk: Width of the pavement.
        verge: Width of the grass between pavement and gardens.
        setback: Distance of houses from the pavement.
        junction: Probability of a side street on each side.
        parked, moving, trees, bushes, lamps, signs, people, bicycles, furniture: Objects per 100 m of a side.
        parking: Probability that a side has a parking lane.
        hedge, fence: Probability that a front garden is bounded by one.
        markings: Probability of a line in the road's middle (a quarter of it in residential streets).
        crossing: Probability of zebra crossings, in streets with pavements.
        wires: Probability that a side, if not urban, has an overhead line.
        bend: Largest curvature, 1/m.
    """

    kinds: dict[str, float] = {"residential": 0.4, "urban": 0.2, "suburban": 0.25, "country": 0.15}
    length: float = Field(default=150.0, gt=20)
    lane: Range = (2.7, 3.6)
    crossfall: Range = (0.01, 0.03)
    slope: Range = (-0.04, 0.04)
    roughness: Range = (0.03, 0.15)
    kerb: Range = (0.04, 0.16)
    sidewalk: Range = (1.2, 3.0)
    verge: Range = (0.0, 3.0)
    setback: Range = (1.0, 8.0)
    junction: float = 0.35
    parked: Range = (2.0, 9.0)
    moving: Range = (0.0, 2.0)
    trees: Range = (1.0, 8.0)
    bushes: Range = (2.0, 14.0)
    lamps: Range = (1.0, 3.5)
    signs: Range = (0.5, 3.0)
    people: Range = (0.0, 2.5)
    bicycles: Range = (0.0, 2.0)
    furniture: Range = (0.0, 3.0)
    parking: float = 0.5
    hedge: float = 0.35
    fence: float = 0.35
    markings: float = 0.7
    crossing: float = 0.35
    wires: float = 0.15
    bend: float = 0.004


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
        trees, bushes: Objects per plot.
        tree_height: Height of trees.
        hedge: Probability that a plot is hedged.
        fence: Probability that it is fenced instead.
        cars: Cars per plot.
        water: Probability of a brook, with bridges where streets cross it.
        power_line: Probability of a power line on pylons.
    """

    size: float = Field(default=80.0, gt=10)
    plot: Range = (16.0, 26.0)
    relief: Range = (0.0, 3.0)
    road: Range = (6.0, 9.0)
    house: Range = (8.0, 14.0)
    eaves: Range = (2.6, 6.5)
    pitch: Range = (18.0, 45.0)
    flat: float = 0.15
    hipped: float = 0.3
    other_roofs: float = 0.15
    wings: float = 0.35
    empty: float = 0.12
    trees: Range = (0.5, 3.0)
    bushes: Range = (1.0, 6.0)
    tree_height: Range = (4.0, 17.0)
    hedge: float = 0.4
    fence: float = 0.2
    cars: Range = (0.0, 1.2)
    water: float = 0.2
    power_line: float = 0.2


class Wood(Strict):
    """A piece of wood, for scanners in it or above it. Lengths in metres, densities in objects per hectare.

    Attributes:
        size: Edge of the square.
        slope: Fall of the ground, share.
        relief: Height of hollows and humps.
        roughness: Height of the small unevenness.
        track: Probability of a track through it.
        trees: Trees per hectare before those too near to another are taken out.
        spacing: Least distance between two trees.
        tree_height: Height of trees.
        conifers: Share of conifers.
        bushes, herbs, logs, stones: Undergrowth, fallen trunks and boulders per hectare.
    """

    size: float = Field(default=50.0, gt=10)
    slope: Range = (0.0, 0.35)
    relief: Range = (0.2, 1.6)
    roughness: Range = (0.04, 0.15)
    track: float = 0.4
    trees: Range = (250.0, 900.0)
    spacing: Range = (1.2, 3.0)
    tree_height: Range = (10.0, 28.0)
    conifers: Range = (0.0, 1.0)
    bushes: Range = (50.0, 700.0)
    herbs: Range = (100.0, 900.0)
    logs: Range = (0.0, 80.0)
    stones: Range = (0.0, 80.0)


class Room(Strict):
    """A furnished room with the scanner in it. Lengths in metres, furniture in pieces; what does not fit is left out.

    Attributes:
        edge: Length of its walls.
        height: Of the ceiling.
        windows: Probability that a wall without a door has windows.
        tables, desks, beds, sofas, cupboards, shelves, radiators, clutter, people: Pieces, lowest and highest.
        chairs: Probability that a place at a table has a chair.
    """

    edge: Range = (3.2, 8.0)
    height: Range = (2.4, 3.2)
    windows: float = 0.6
    tables: Range = (0, 2)
    desks: Range = (0, 2)
    beds: Range = (0, 1)
    sofas: Range = (0, 2)
    cupboards: Range = (0, 3)
    shelves: Range = (0, 3)
    radiators: Range = (0, 2)
    clutter: Range = (0, 4)
    people: Range = (0, 2)
    chairs: float = 0.75


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
        share: With a kind: probability that an object of it is one of these; 1 replaces the kind, less adds to it.
        count: Without a kind: how many, lowest and highest.
        distance: Without a kind: range of distances from the viewpoint, metres.
    """

    path: str
    only: str = "*"
    kind: str | None = None
    share: float = Field(default=1.0, gt=0, le=1)
    count: tuple[int, int] = (1, 3)
    distance: Range = (4.0, 30.0)


class SensorRow(Strict):
    """The scanner, and how it moves. Angles in degrees, azimuth clockwise from ahead, elevation up from the horizon.

    Attributes:
        model: A scanner of ``datasets/sensors`` (or a TOML file) whose keys hold where the recipe says nothing.
        kind: Way of scanning; without a model, that of ``SCANNERS``.
        title, source: What it is, and where its figures come from.
        height: Above the ground: of the scanner's origin, or of the flight.
        range_min, range_max: Metres.
        elevations: Spinning: of each beam, which is its ring.
        azimuths: Spinning: by which each beam looks ahead of the rotor, or none.
        firing: Spinning: microseconds after the column's start at which each beam fires, or none.
        mounting: Spinning: standard deviation of a beam's direction from the table.
        rate: Turns, frames or profiles a second.
        period: Microseconds from one firing to the next.
        azimuth_steps: Columns of a turn, points of a profile; by default what rate and period give.
        azimuth, elevation: Solid, rosette, terrestrial: field of view.
        rows: Solid, terrestrial: points of a column.
        prisms: Rosette: revolutions a minute of its two prisms.
        speed, turn: Of the platform, m/s and degrees/s to the left.
        tilt: Standard deviation of roll and pitch of the platform.
        deskewed: Points of a moving scanner are in its frame at the start of the sweep; else each in that of its own time.
        drift: Mobile, airborne: standard deviation of the trajectory's slow error, metres.
        track: Mobile: length of the drive, metres.
        profile: Mobile: angle of the profile's plane from square to the drive.
        stations: Terrestrial: number of set-ups, lowest and highest, 8 to 14 m apart.
        noise: Standard deviation of the range, metres.
        angle_noise: Standard deviation of the direction.
        dropout: Share of returns that is lost at random.
        threshold: Echoes weaker than this (reflectance x cos x range law, 1 = a white wall at 10 m) may be lost.
        returns: Which echoes of a pulse are kept.
        divergence: Full angle of the beam, radians (1/e2).
        sub_rays: Rays that stand for a beam: 1 is a line (or, with all returns, a footprint that porous surfaces share).
        pulse: Length of the pulse, ns: echoes nearer to each other than half of it are one.
        incidence: Exponent of cos in the intensity: 1 Lambert, 0 calibrated to the surface.
        intensity_range, intensity_fall: Intensity is divided by 1 + (range / intensity_range)^intensity_fall; 0 for none.
        intensity_noise: Standard deviation of the intensity, relative.
        blooming: Standard deviation of the halo around retroreflectors, degrees; 0 for none.
        pattern: Airborne: of the lines on the ground.
        density: Airborne: pulses per square metre of a strip.
        scan_angle: Airborne: half the swath's angle.
        overlap: Airborne: share of a strip that the next covers too.
        strips: Airborne: number of strips, lowest and highest.
    """

    model: str = ""
    kind: Literal["spinning", "solid", "rosette", "mobile", "terrestrial", "airborne"] = "spinning"
    title: str = ""
    source: str = ""
    height: Range = (1.7, 1.76)
    range_min: float = 2.5
    range_max: float = 80.0
    elevations: tuple[float, ...] = ()
    azimuths: tuple[float, ...] = ()
    firing: tuple[float, ...] = ()
    mounting: float = Field(default=0.0, ge=0)
    rate: float = Field(default=10.0, gt=0)
    period: float = Field(default=50.0, gt=0)
    azimuth_steps: int | None = Field(default=None, ge=8)
    azimuth: Range = (-60.0, 60.0)
    elevation: Range = (-12.5, 12.5)
    rows: int = Field(default=128, ge=1)
    prisms: tuple[float, float] = (7294.0, -4664.0)
    speed: Range = (0.0, 0.0)
    turn: Range = (0.0, 0.0)
    tilt: float = Field(default=0.0, ge=0)
    deskewed: bool = True
    drift: float = Field(default=0.0, ge=0)
    track: float = Field(default=40.0, gt=0)
    profile: float = 0.0
    stations: tuple[int, int] = (1, 1)
    noise: float = Field(default=0.018, ge=0)
    angle_noise: float = Field(default=0.0, ge=0)
    dropout: float = Field(default=0.04, ge=0, lt=1)
    threshold: float = Field(default=0.001, ge=0)
    returns: Literal["all", "first", "strongest", "last"] = "strongest"
    divergence: float = Field(default=0.0004, ge=0)
    sub_rays: Literal[1, 7, 19] = 1
    pulse: float = Field(default=5.0, gt=0)
    incidence: float = Field(default=1.0, ge=0)
    intensity_range: float = Field(default=0.0, ge=0)
    intensity_fall: float = Field(default=2.0, gt=0)
    intensity_noise: float = Field(default=0.0, ge=0)
    blooming: float = Field(default=0.0, ge=0)
    pattern: Literal["oscillating", "polygon", "palmer"] = "oscillating"
    density: Range = (8.0, 20.0)
    scan_angle: float = 20.0
    overlap: float = 0.3
    strips: tuple[int, int] = (1, 2)

    @model_validator(mode="before")
    @classmethod
    def _of_model(cls, row: Any) -> Any:
        """What the recipe does not say, the scanner's file says; raises NotFound."""
        if not isinstance(row, dict):
            return row
        name = row.get("model") or SCANNERS.get(row.get("kind", "spinning"), "")
        if not name:
            return row
        merged = {**catalogue.read_toml(catalogue.find("datasets/sensors", name)), **row}
        return {key: tuple(value) if isinstance(value, list) else value for key, value in merged.items()}

    @model_validator(mode="after")
    def _of_beams(self) -> SensorRow:
        if self.kind == "spinning" and not self.elevations:
            raise ValueError("a spinning scanner needs elevations of its beams")
        for name in ("azimuths", "firing"):
            if getattr(self, name) and len(getattr(self, name)) != len(self.elevations):
                raise ValueError(f"{name} needs as many values as elevations, {len(self.elevations)}")
        return self

    @property
    def columns(self) -> int:
        """Firings of a turn, a frame or a profile."""
        return self.azimuth_steps or max(8, round(1e6 / (self.rate * self.period)))


class Into(Strict):
    """What ``compose --into`` places into a real scan.

    Attributes:
        objects: How many, lowest and highest; those that find no free place are left out.
        kinds: Weight of each kind of object (``pcaug.scene.library.MAKERS``, or of the user's own meshes).
    """

    objects: tuple[int, int] = (4, 14)
    kinds: dict[str, float] = {
        "car": 3.0, "person": 2.0, "bicycle": 2.0, "lorry": 0.7, "tree": 1.0, "bush": 1.0, "lamp": 1.0, "sign": 1.0,
        "signal": 0.3, "bollard": 0.5, "bin": 0.5, "bench": 0.3,
    }  # fmt: skip


class Transfer(Strict):
    """Intensities of a class: the 5, 25, 50, 75 and 95 % quantiles that the scanner's model gives, and the real ones."""

    composed: tuple[float, float, float, float, float]
    real: tuple[float, float, float, float, float]


class SceneRecipe(Strict):
    """A world and who looks at it.

    Attributes:
        name: Name of the recipe.
        title: One line on it.
        street, town, wood, room, helios: The world, one of them.
        assets: The user's own meshes.
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
    sensor: SensorRow = Field(default_factory=SensorRow)
    transfer: dict[str, Transfer] = {}
    into: Into = Into()
    folder: str = "."

    @property
    def worlds(self) -> list[str]:
        """Names of the worlds that it has; a valid recipe has one."""
        return [name for name in WORLDS if getattr(self, name) is not None]


def load_recipe(name: str | Path, changes: Sequence[str] = ()) -> SceneRecipe:
    """A recipe by name or path, with ``key=value`` changes; raises RecipeError, NotFound."""
    path = catalogue.find("datasets/recipes", name)
    recipe = catalogue.load(path, SceneRecipe, changes)
    if len(recipe.worlds) != 1:
        raise RecipeError(f"needs one world: {', '.join(f'[{name}]' for name in WORLDS[:-1])} or [{WORLDS[-1]}]", path)
    return recipe.model_copy(update={"folder": str(path.parent)})


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
    (world,) = recipe.worlds
    scene: Scene = builders[world](getattr(recipe, world), recipe.name, rng, library)
    return library.scattered(scene, rng)


def draw(low_high: Range, rng: np.random.Generator) -> float:
    """One value of a range."""
    return float(rng.uniform(*low_high))


def save_recipe(recipe: SceneRecipe, path: Path) -> None:
    """Write a recipe as TOML to read and edit; what has its default's value is written too."""
    import tomli_w

    table = recipe.model_dump(mode="json", exclude={"folder"}, exclude_none=True)
    partial = path.with_name(f".{path.name}.tmp")
    partial.write_text(tomli_w.dumps(table), encoding="utf-8")
    partial.replace(path)
