"""Fog, rain and snow as a laser scanner meets them: the physics as plain functions, and augmentations that apply it to a scan.

Power is relative to a white wall at 10 m that fills the beam, as in ``pcaug.sensor.physics``: P = i exp(-2 a R) (10 / R)^2
with the intensity i (0..1, the reflectance that the sensor reports), extinction a in 1/m and range R in m.

Fog: Hahner et al., "Fog Simulation on Real LiDAR Point Clouds for 3D Object Detection in Adverse Weather", ICCV 2021.
Rain and snow: Kilic et al., "Lidar Light Scattering Augmentation (LISA)", 2021: particles in the beam of a size distribution,
of which the strongest echo competes with the target's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pcaug.augment.attributes import displaced, kept, scattered
from pcaug.augment.naive import Length, Positive, Rng, Share
from pcaug.augment.sight import origins
from pcaug.augment.values import limit
from pcaug.cloud import PointCloud

Array = NDArray[np.float64]
LIGHT = 299_792_458.0
R0 = 10.0
"""Range in metres at which a white wall has power 1."""
PULSE = 20e-9
"""Half-power width of a pulse, seconds (Hahner et al.)."""
OVERLAP = (0.9, 1.0)
"""Ranges in metres between which transmitted and received beam begin to overlap (Hahner et al.)."""
DIVERGENCE = 0.003
"""Full angle of a beam, radians (Velodyne HDL-64E; LISA)."""
BACKSCATTER, TARGET = 0.046, 1e-6 / np.pi
"""Hahner et al.: backscattering coefficient of fog times its MOR, and the differential reflectivity of the target."""
FAINT = 0.02
"""Least intensity of a target: what a sensor measured in clear air reflects a little, though it may report 0."""
STEP, FAR = 0.1, 200.0
"""Spacing and end of the tables over range, metres."""


def fog_extinction(visibility: float) -> float:
    """Extinction in 1/m of fog with a meteorological optical range in metres: ln 20 / MOR."""
    return float(np.log(20) / visibility)


@cache
def fog_echo(extinction: float) -> tuple[Array, Array]:
    """Strongest echo of fog before a target, tabulated every 0.1 m of the target's range up to 200 m.

    The integral of Hahner et al.: I(R) = int_0^{2 tau} sin^2(pi t / 2 tau) exp(-2 a r) / r^2 xi(r) dt with r = R - c t / 2
    and the overlap xi, by Simpson's rule; its running maximum over R up to the target.

    Returns:
        The maximum (s / m^2), and the range in metres at which it lies.
    """
    from scipy.integrate import simpson

    ranges = np.arange(STEP, FAR, STEP)
    time = np.linspace(0, 2 * PULSE, 201)
    r = ranges[:, None] - LIGHT * time[None] / 2
    ahead = np.maximum(r, OVERLAP[0])
    overlap = np.clip((r - OVERLAP[0]) / (OVERLAP[1] - OVERLAP[0]), 0, 1)
    power = np.sin(np.pi * time / (2 * PULSE)) ** 2 * np.exp(-2 * extinction * ahead) / ahead**2 * overlap
    total = simpson(power, x=time, axis=1)
    best = np.maximum.accumulate(total)
    where = np.maximum.accumulate(np.where(total >= best, np.arange(len(total)), 0))
    return best, ranges[where]


@dataclass(frozen=True)
class Precipitation:
    """Particles in the air with diameters of density N0 exp(-slope D).

    Attributes:
        number: N0, 1/(m^3 mm).
        slope: 1/mm.
        reflectance: Of a particle.
    """

    number: float
    slope: float
    reflectance: float

    @property
    def extinction(self) -> float:
        """1/m: twice the geometric cross-section (van de Hulst 1957), 2 int pi/4 D^2 N(D) dD = pi N0 / slope^3, mm^2 to m^2."""
        return float(np.pi * self.number / self.slope**3 * 1e-6)


def rain(rate: float) -> Precipitation:
    """Rain of ``rate`` mm/h: Marshall and Palmer 1948. Water reflects ((1.33 - 1) / (1.33 + 1))^2 at right angles."""
    return Precipitation(8000.0, 4.1 * rate**-0.21, (0.33 / 2.33) ** 2)


def snow(rate: float) -> Precipitation:
    """Snow of ``rate`` mm/h of melted water: Gunn and Marshall 1958 (N0 3800 R^-0.87, slope 2.55 R^-0.48)."""
    return Precipitation(3800.0 * rate**-0.87, 2.55 * rate**-0.48, 0.9)


def smallest_seen(falling: Precipitation, distance: Array, least: float) -> Array:
    """Diameter in mm that a particle needs at a distance in metres for an echo of power ``least``.

    A particle fills (D / (divergence r))^2 of the beam: P = rho min(1, fill) exp(-2 a r) (10 / r)^2 >= least.
    """
    whole = falling.reflectance * np.exp(-2 * falling.extinction * distance) * (R0 / distance) ** 2
    fill = least / np.maximum(whole, 1e-300)
    return np.where(fill > 1, np.inf, np.sqrt(np.minimum(fill, 1)) * DIVERGENCE * distance * 1e3)


@cache
def expected_echoes(falling: Precipitation, least: float) -> Array:
    """Expected number of particles before each tabulated range whose echo alone has power ``least`` or more.

    int A(r) N0 / slope exp(-slope D_min(r)) dr with the beam's cross-section A = pi/4 (divergence r)^2: the particles that
    could be noticed are a Poisson process, so the many that could not need not be drawn.
    """
    ranges = np.arange(STEP, FAR, STEP)
    area = np.pi / 4 * (DIVERGENCE * ranges) ** 2
    rate = area * falling.number / falling.slope * np.exp(-falling.slope * smallest_seen(falling, ranges, least))
    return np.cumsum(np.where(ranges >= OVERLAP[0], rate, 0)) * STEP


def particle_echoes(falling: Precipitation, distance: Array, least: float, rng: Rng) -> tuple[Array, Array]:
    """Draw the strongest noticeable particle echo before each target.

    Args:
        falling: What falls.
        distance: (N,) range of the targets, metres.
        least: Power below which nothing is noticed.
        rng: Draws number, place and size.

    Returns:
        Power (N,), 0 where there is none, and range (N,) in metres.
    """
    table = expected_echoes(falling, least)
    before = table[_row(distance)]
    count = rng.poisson(before)
    power, where = np.zeros(len(distance)), np.zeros(len(distance))
    for step in range(int(count.max(initial=0))):
        beam = np.flatnonzero(count > step)
        r: Array = (np.searchsorted(table, rng.random(len(beam)) * before[beam]) + 1) * np.float64(STEP)
        diameter = smallest_seen(falling, r, least) + rng.exponential(1 / falling.slope, len(beam))
        fill = np.minimum(1, (diameter * 1e-3 / (DIVERGENCE * r)) ** 2)
        drawn = falling.reflectance * fill * np.exp(-2 * falling.extinction * r) * (R0 / r) ** 2
        stronger = drawn > power[beam]
        power[beam[stronger]], where[beam[stronger]] = drawn[stronger], r[stronger]
    return power, where


def _row(distance: Array) -> NDArray[np.int64]:
    return np.clip((distance / STEP).astype(np.int64) - 1, 0, int(FAR / STEP) - 2)


@dataclass(frozen=True)
class _Beams:
    """The echoes of a scan as power over range."""

    vector: Array
    distance: Array
    intensity: Array
    scale: float


def _beams(cloud: PointCloud, what: str) -> _Beams:
    vector = cloud.xyz - origins(cloud, what)
    distance = np.maximum(np.linalg.norm(vector, axis=1), 1e-3)
    if "intensity" not in cloud:
        return _Beams(vector, distance, np.full(len(cloud), 0.3), 1.0)  # a middling surface
    scale = limit(cloud["intensity"])
    return _Beams(vector, distance, np.maximum(cloud["intensity"] / scale, FAINT), scale)


def _answered(cloud: PointCloud, beams: _Beams, distance: Array, intensity: Array, air: NDArray[np.bool_]) -> PointCloud:
    """The scan with other ranges and intensities; echoes of the air belong to no class."""
    out = displaced(cloud, beams.vector * ((distance / beams.distance) - 1)[:, None])
    if "intensity" in cloud:
        value = np.clip(intensity, 0, 1) * beams.scale
        out = out.with_fields(intensity=value.astype(cloud["intensity"].dtype))
    return scattered(out, air)


@dataclass(frozen=True)
class Fog:
    """Fog of a meteorological optical range uniform in [``nearest``, ``farthest``] metres, after Hahner et al.

    The target is dimmed by exp(-2 a R); where the fog's own echo is stronger, the point moves there and loses its class.
    Echoes weaker than ``least`` (power, 1 = a white wall at 10 m) are lost.
    """

    nearest: Positive = 50.0
    farthest: Positive = 300.0
    least: Length = 0.0002

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        visibility = rng.uniform(self.nearest, max(self.nearest, self.farthest))
        beams = _beams(cloud, "fog")
        extinction = round(fog_extinction(visibility), 4)
        best, where = fog_echo(extinction)
        row = _row(beams.distance)
        hard = beams.intensity * np.exp(-2 * extinction * beams.distance)
        soft = beams.intensity * beams.distance**2 * BACKSCATTER / visibility / TARGET * best[row]
        air = soft > hard
        depth = 10 * rng.beta(2, 20, len(cloud))  # the published code's spread of fog echoes in depth, metres
        distance = np.where(air, np.minimum(where[row] + depth, beams.distance), beams.distance)
        intensity = np.where(air, np.minimum(soft, 1), hard)
        out = _answered(cloud, beams, distance, intensity, air)
        return kept(out, intensity * (R0 / distance) ** 2 >= self.least)


@dataclass(frozen=True)
class _Falling:
    """Rain or snow: what of a beam is noticed, the target's echo or a particle's."""

    low: Positive
    high: Positive
    least: Positive = 0.0002
    noise: Length = 0.02
    scatter: Share = 1.0

    def _through(self, cloud: PointCloud, falling: Precipitation, what: str, rng: Rng) -> PointCloud:
        beams = _beams(cloud, what)
        power = beams.intensity * np.exp(-2 * falling.extinction * beams.distance) * (R0 / beams.distance) ** 2
        echo, where = particle_echoes(falling, beams.distance, self.least, rng)
        air = (echo > power) & (rng.random(len(cloud)) < self.scatter)
        # range noise grows as the echo fades: sigma / sqrt(2 SNR) (LISA)
        blur = self.noise / np.sqrt(2 * np.maximum(power / self.least, 0.5)) * rng.standard_normal(len(cloud))
        distance = np.where(air, where, np.maximum(beams.distance + blur, 1e-3))
        intensity = np.where(air, echo * (np.maximum(where, STEP) / R0) ** 2, power * (beams.distance / R0) ** 2)
        return kept(_answered(cloud, beams, distance, intensity, air), np.where(air, echo, power) >= self.least)


@dataclass(frozen=True)
class Rain(_Falling):
    """Rain of a rate uniform in [``low``, ``high``] mm/h.

    ``least``: power of the weakest echo that is noticed; ``noise``: metres; ``scatter``: share of drop echoes that are kept.
    """

    low: Positive = 2.0
    high: Positive = 50.0

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        return self._through(cloud, rain(round(rng.uniform(self.low, max(self.low, self.high)), 1)), "rain", rng)


@dataclass(frozen=True)
class Snow(_Falling):
    """Snow of a rate uniform in [``low``, ``high``] mm/h of melted water; the rest as for rain."""

    low: Positive = 0.5
    high: Positive = 2.5

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        return self._through(cloud, snow(round(rng.uniform(self.low, max(self.low, self.high)), 2)), "snow", rng)
