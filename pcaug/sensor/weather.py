"""Fog, rain and snow as a laser scanner meets them: published models as plain functions, and a scan's echoes through them.

Power is relative to a white wall at 10 m that fills the beam, as in ``pcaug.sensor.physics``: P = i exp(-2 a R) (10 / R)^2
with the intensity i (0..1, the reflectance that the sensor reports), extinction a in 1/m and range R in m.

Fog: Hahner et al., "Fog Simulation on Real LiDAR Point Clouds for 3D Object Detection in Adverse Weather", ICCV 2021.
Rain and snow: Kilic et al., "Lidar Light Scattering Augmentation (LISA)", 2021: particles in the beam of a size distribution,
of which the strongest echo competes with the target's.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray

from pcaug.scene.air import Air
from pcaug.scene.asset import MATERIALS
from pcaug.scene.scanner import SensorRow
from pcaug.sensor.engine import Caster
from pcaug.sensor.physics import R0, Echoes

Array = NDArray[np.float64]
LIGHT = 299_792_458.0
PULSE = 20e-9
"""Half-power width of a pulse, seconds (Hahner et al.)."""
OVERLAP = (0.9, 1.0)
"""Ranges in metres between which transmitted and received beam begin to overlap (Hahner et al.)."""
DIVERGENCE = 0.003
"""Full angle of a beam, radians, where nothing better is known (Velodyne HDL-64E; LISA)."""
REFRACTION = 1.33
"""Refractive index of water."""
BACKSCATTER, TARGET = 0.046, 1e-6 / np.pi
"""Hahner et al.: backscattering coefficient of fog times its MOR, and the differential reflectivity of the target."""
LEAST = 1e-4
"""Least power of a particle's echo that is drawn."""
STEP, RANGE_END = 0.1, 200.0
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

    ranges = np.arange(STEP, RANGE_END, STEP)
    time = np.linspace(0, 2 * PULSE, 201)
    r = ranges[:, None] - LIGHT * time[None] / 2
    ahead = np.maximum(r, OVERLAP[0])
    overlap = np.clip((r - OVERLAP[0]) / (OVERLAP[1] - OVERLAP[0]), 0, 1)
    power = np.sin(np.pi * time / (2 * PULSE)) ** 2 * np.exp(-2 * extinction * ahead) / ahead**2 * overlap
    total = simpson(power, x=time, axis=1)
    best = np.maximum.accumulate(total)
    where = np.maximum.accumulate(np.where(total >= best, np.arange(len(total)), 0))
    return best, ranges[where]


def fog_power(visibility: float, distance: Array) -> tuple[Array, Array]:
    """Strongest echo of fog of a meteorological optical range before targets at distances (N,), both in metres.

    Returns:
        Power (N,) as of a scanner to which a white wall at 10 m has power 1, and range (N,) in metres.
    """
    best, where = fog_echo(round(fog_extinction(visibility), 4))
    row = _row(distance)
    return R0**2 * BACKSCATTER / visibility / TARGET * best[row], where[row]


def fog_depth(count: int, rng: np.random.Generator) -> Array:
    """(N,) metres by which echoes of fog lie deeper, after the code that Hahner et al. published."""
    return 10 * rng.beta(2, 20, count)


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


def smallest_seen(falling: Precipitation, distance: Array, least: float, divergence: float = DIVERGENCE) -> Array:
    """Diameter in mm that a particle needs at a distance in metres for an echo of power ``least``.

    A particle fills (D / (divergence r))^2 of the beam: P = rho min(1, fill) exp(-2 a r) (10 / r)^2 >= least.
    """
    whole = falling.reflectance * np.exp(-2 * falling.extinction * distance) * (R0 / distance) ** 2
    fill = least / np.maximum(whole, 1e-300)
    return np.where(fill > 1, np.inf, np.sqrt(np.minimum(fill, 1)) * divergence * distance * 1e3)


@lru_cache(maxsize=256)
def expected_echoes(falling: Precipitation, least: float, divergence: float = DIVERGENCE) -> Array:
    """Expected number of particles before each tabulated range whose echo alone has power ``least`` or more.

    int A(r) N0 / slope exp(-slope D_min(r)) dr with the beam's cross-section A = pi/4 (divergence r)^2: the particles that
    could be noticed are a Poisson process, so the many that could not need not be drawn.
    """
    ranges = np.arange(STEP, RANGE_END, STEP)
    area = np.pi / 4 * (divergence * ranges) ** 2
    seen = np.exp(-falling.slope * smallest_seen(falling, ranges, least, divergence))
    rate = area * falling.number / falling.slope * seen
    return np.cumsum(np.where(ranges >= OVERLAP[0], rate, 0)) * STEP


def particle_echoes(
    falling: Precipitation, distance: Array, least: float, rng: np.random.Generator, divergence: float = DIVERGENCE
) -> tuple[Array, Array]:
    """Draw the strongest noticeable particle echo before each target.

    Args:
        falling: What falls.
        distance: (N,) range of the targets, metres.
        least: Power below which nothing is noticed.
        rng: Draws number, place and size.
        divergence: Full angle of the beam, radians.

    Returns:
        Power (N,), 0 where there is none, and range (N,) in metres.
    """
    table = expected_echoes(falling, least, divergence)
    before = table[_row(distance)]
    count = rng.poisson(before)
    power, where = np.zeros(len(distance)), np.zeros(len(distance))
    for step in range(int(count.max(initial=0))):
        beam = np.flatnonzero(count > step)
        r: Array = (np.searchsorted(table, rng.random(len(beam)) * before[beam]) + 1) * np.float64(STEP)
        diameter = smallest_seen(falling, r, least, divergence) + rng.exponential(1 / falling.slope, len(beam))
        fill = np.minimum(1, (diameter * 1e-3 / (divergence * r)) ** 2)
        drawn = falling.reflectance * fill * np.exp(-2 * falling.extinction * r) * (R0 / r) ** 2
        stronger = drawn > power[beam]
        power[beam[stronger]], where[beam[stronger]] = drawn[stronger], r[stronger]
    return power, where


def wetted(reflectance: Array) -> Array:
    """Reflectance of a rough surface under a film of water: a / (a + n^2 (1 - a)) (Angstrom, Geogr. Ann. 7, 1925)."""
    return reflectance / (reflectance + REFRACTION**2 * (1 - reflectance))


_DRY = np.array([material.reflectance for material in MATERIALS.values()])
WET = np.where([material.relief > 0 for material in MATERIALS.values()], wetted(_DRY) / _DRY, 1.0)
"""By material: what rain leaves of its reflectance. Only ground is wetted: walls stand dry, and leaves shed it."""


def through(caster: Caster, echoes: Echoes, beams: int, air: Air, sensor: SensorRow, rng: np.random.Generator) -> Echoes:
    """Echoes of a number of beams as the air lets them through, and its own before them, which are of no face: -1."""
    falling = None if air.kind == "fog" else {"rain": rain, "snow": snow}[air.kind](air.amount)
    extinction = fog_extinction(air.amount) if falling is None else falling.extinction
    left = np.exp(-2 * extinction * echoes.distance)
    if air.kind == "rain":
        left *= WET[caster.material[echoes.face]]
    free = np.full(beams, min(sensor.range_max, RANGE_END))
    np.minimum.at(free, echoes.ray, echoes.distance)
    if falling is None:
        power, where = fog_power(air.amount, free)
        where = np.minimum(where + fog_depth(beams, rng), free)
    else:
        power, where = particle_echoes(falling, free, max(sensor.threshold / 4, LEAST), rng, sensor.divergence)
    ray = np.flatnonzero(power)
    bright = (power * (np.maximum(where, STEP) / R0) ** 2)[ray].astype(np.float32)
    strength, shown = (np.append((values * left).astype(np.float32), bright) for values in (echoes.strength, echoes.shown))
    face = np.append(echoes.face, np.full(len(ray), -1))
    out = Echoes(np.append(echoes.ray, ray), np.append(echoes.distance, where[ray]), face, strength, shown)
    return out.take(np.lexsort((out.distance, out.ray)))


def _row(distance: Array) -> NDArray[np.int64]:
    return np.clip((distance / STEP).astype(np.int64) - 1, 0, int(RANGE_END / STEP) - 2)
