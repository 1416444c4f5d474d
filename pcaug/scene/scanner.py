"""The scanner of a recipe: what a model's file in ``datasets/sensors`` says, and what the recipe says instead."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from pcaug import catalogue
from pcaug.catalogue import Strict
from pcaug.errors import RecipeError
from pcaug.scene.ranges import Amounts, Counts, Range, at_least

SCANNERS = {
    "spinning": "HDL-64E",
    "solid": "solid-state",
    "rosette": "Mid-40",
    "mobile": "mobile",
    "terrestrial": "VZ-400",
    "airborne": "airborne",
}
"""The scanner of each kind where a recipe names none."""

MOST_RAYS = 50_000_000
"""Of a turn, a frame, a profile, a set-up, a drive or a flight."""
SLOWEST = 0.1
"""Speed of a car with a profile scanner, m/s."""


Near = Annotated[float, Field(ge=0)]
"""How near a beam sees well, metres."""


def check_rays(number: float) -> None:
    """Raise RecipeError for more rays than are cast."""
    if number > MOST_RAYS:
        do = "see speed, track, rate, azimuth_steps, density, pulses, or the size of the scene"
        raise RecipeError(f"a scan of {number:,.0f} rays, at most {MOST_RAYS:,}", do=do)


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
        lift: Spinning: metres above the scanner's origin from which each beam comes, or none.
        hidden: Spinning: azimuths from, to, and an elevation: between them the carrier hides what lies below.
        mounting: Spinning: standard deviation of a beam's direction from the table.
        rate: Turns, frames or profiles a second.
        period: Microseconds from one firing to the next.
        azimuth_steps: Columns of a turn, points of a profile; by default what rate and period give.
        azimuth: Solid: field of view to the sides.
        elevation: Solid, rosette, terrestrial: field of view up and down.
        rows: Solid, terrestrial: points of a column.
        prisms: Rosette: revolutions a minute of its two prisms.
        speed, turn: Of the platform, m/s and degrees/s to the left.
        tilt: Standard deviation of roll and pitch of the platform.
        deskewed: Points of a moving scanner are in its frame at the start of the sweep; else each in that of its own time.
        drift: Mobile, airborne, terrestrial: standard deviation of the trajectory's slow error, metres.
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
        intensity_full: Reflectance that shows as full scale: by default that of the whitest paint, so that retroreflectors,
            which send back ten times as much, do not stand out.
        intensity_range, intensity_fall: Intensity is divided by 1 + (range / intensity_range)^intensity_fall; 0 for none.
        intensity_power: Power (see ``threshold``) of an echo that shows half of its intensity; weaker ones show less. 0 for none.
        intensity_near: Intensity is multiplied by 1 - exp(-(range / intensity_near)^4), metres, of all beams or (spinning) of
            each, as they are focused; 0 for none.
        intensity_noise: Standard deviation of the logarithm of the intensity.
        intensity_floor: Share of the brightest echo below which the scanner reports 0.
        intensity_gamma: Exponent of the scanner's curve above the floor: below 1 it compresses.
        beam_gain: Spinning: standard deviation of the logarithm of each beam's sensitivity.
        beam_bias: Spinning: standard deviation of the error that all ranges of a beam have in common, metres (Glennie and
            Lichti, Remote Sensing 2010).
        blooming: Standard deviation of the halo around retroreflectors, degrees; 0 for none.
        pattern: Airborne: of the lines on the ground.
        density: Airborne: pulses per square metre of a strip.
        scan_angle: Airborne: half the swath's angle.
        overlap: Airborne: share of a strip that the next covers too.
        strips: Airborne: number of strips, lowest and highest; at most as many as can see the scene with their overlap.
        legs: Airborne: flight lines in the scene's coordinates, x, y, z of start and end. They are flown as they stand, with
            ``pulses``, ``rate`` and ``speed``, in place of strips that density and height would give.
        pulses: Airborne, with legs: a second.
    """

    model: str = ""
    kind: Literal["spinning", "solid", "rosette", "mobile", "terrestrial", "airborne"] = "spinning"
    title: str = ""
    source: str = ""
    height: Annotated[Range, at_least(0)] = (1.7, 1.76)
    range_min: float = 2.5
    range_max: float = Field(default=80.0, gt=0)
    elevations: tuple[float, ...] = ()
    azimuths: tuple[float, ...] = ()
    firing: tuple[float, ...] = ()
    lift: tuple[float, ...] = ()
    hidden: tuple[tuple[float, float, float], ...] = ()
    mounting: float = Field(default=0.0, ge=0)
    rate: float = Field(default=10.0, gt=0, le=10_000)
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
    track: float = Field(default=40.0, gt=0, le=2000)
    profile: float = 0.0
    stations: Annotated[Counts, at_least(1)] = (1, 1)
    noise: float = Field(default=0.018, ge=0, le=10)
    angle_noise: float = Field(default=0.0, ge=0)
    dropout: float = Field(default=0.04, ge=0, lt=1)
    threshold: float = Field(default=0.001, ge=0)
    returns: Literal["all", "first", "strongest", "last"] = "strongest"
    divergence: float = Field(default=0.0004, ge=0)
    sub_rays: Literal[1, 7, 19] = 1
    pulse: float = Field(default=5.0, gt=0)
    incidence: float = Field(default=1.0, ge=0)
    intensity_full: float = Field(default=0.85, gt=0)
    intensity_range: float = Field(default=0.0, ge=0)
    intensity_fall: float = Field(default=2.0, gt=0)
    intensity_power: float = Field(default=0.0, ge=0)
    intensity_near: Near | tuple[Near, ...] = 0.0
    intensity_noise: float = Field(default=0.0, ge=0)
    intensity_floor: float = Field(default=0.0, ge=0, lt=1)
    intensity_gamma: float = Field(default=1.0, gt=0)
    beam_gain: float = Field(default=0.0, ge=0)
    beam_bias: float = Field(default=0.0, ge=0, le=10)
    blooming: float = Field(default=0.0, ge=0)
    pattern: Literal["oscillating", "polygon", "palmer"] = "oscillating"
    density: Annotated[Amounts, at_least(0.001)] = (8.0, 20.0)
    scan_angle: float = Field(default=20.0, gt=0, lt=90)
    overlap: float = Field(default=0.3, ge=0, lt=1)
    strips: Annotated[Counts, at_least(1)] = (1, 2)
    legs: tuple[tuple[float, float, float, float, float, float], ...] = ()
    pulses: float = Field(default=300_000.0, gt=0)

    @model_validator(mode="before")
    @classmethod
    def _of_model(cls, row: Any) -> Any:
        """What the recipe does not say, the scanner's file says; raises NotFound."""
        if not isinstance(row, dict):
            return row
        name = row.get("model") or SCANNERS.get(row.get("kind", "spinning"), "")
        if not name or not isinstance(name, str):
            return row
        merged = {**catalogue.read_toml(catalogue.find("datasets/sensors", name)), **row}
        return {key: _tuples(value) for key, value in merged.items()}

    @model_validator(mode="after")
    def _fits(self) -> SensorRow:
        if fault := self._fault():
            raise ValueError(self._of_another_kind() or fault)
        return self

    def _of_another_kind(self) -> str:
        """That the model's file describes a scanner of another kind, and which model is of this one; "" where it does not."""
        name = self.model or SCANNERS[self.kind]
        theirs = catalogue.read_toml(catalogue.find("datasets/sensors", name)).get("kind", self.kind)
        if theirs == self.kind:
            return ""
        return f"the model {name} is {theirs}, not {self.kind}: take one that is, --set sensor.model={SCANNERS[self.kind]}"

    def _fault(self) -> str:
        """What does not go together; "" where all does."""
        if self.kind == "spinning" and not self.elevations:
            return "a spinning scanner needs elevations of its beams"
        rays = self.columns * {"spinning": len(self.elevations), "solid": self.rows, "terrestrial": self.rows}.get(self.kind, 1)
        if rays > MOST_RAYS:
            return f"a scan of {rays:,} rays, at most {MOST_RAYS:,}: see rate, period, azimuth_steps, rows"
        if self.kind == "mobile" and self.speed[0] < SLOWEST:
            return f"a mobile scanner needs a speed of {SLOWEST:g} m/s or more"
        if any(leg[:3] == leg[3:] for leg in self.legs):
            return "a leg begins where it ends"
        for name in ("azimuths", "firing", "lift", "intensity_near"):
            value = getattr(self, name)
            if isinstance(value, tuple) and value and len(value) != len(self.elevations):
                return f"{name} needs as many values as elevations, {len(self.elevations)}"
        if isinstance(self.intensity_near, tuple) and self.kind != "spinning":
            return "intensity_near of each beam needs a spinning scanner, others have one for all"
        return ""

    def nearest(self, up: ArrayLike) -> NDArray[np.intp]:
        """The beam (N,) that looks most like each of some elevations (N,), degrees."""
        order = np.argsort(self.elevations)
        table = np.asarray(self.elevations)[order]
        return np.asarray(order[np.searchsorted((table[1:] + table[:-1]) / 2, up)])

    @property
    def columns(self) -> int:
        """Firings of a turn, a frame or a profile."""
        return self.azimuth_steps or max(8, round(1e6 / (self.rate * self.period)))


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
