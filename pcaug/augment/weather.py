"""Fog, rain and snow put on a scan that was taken in clear air, by the models of ``pcaug.sensor.weather``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcaug.augment.attributes import displaced, kept, scattered
from pcaug.augment.naive import Length, Positive, Rng, Share
from pcaug.augment.sight import origins
from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.scales import in_type, intensity_scale
from pcaug.scene.air import LEAST
from pcaug.sensor.physics import R0
from pcaug.sensor.weather import STEP, Precipitation, fog_depth, fog_extinction, fog_power, particle_echoes, rain, snow

Array = NDArray[np.float64]
FAINT = 0.02
"""Least intensity that a target's echo has: what a sensor measured in clear air reflects a little, though it may report 0."""


@dataclass(frozen=True)
class _Beams:
    """The echoes of a scan as power over range: intensities 0..1, as they are taken to be and as the sensor reported them."""

    vector: Array
    distance: Array
    intensity: Array
    told: Array
    scale: float


def _beams(cloud: PointCloud, what: str) -> _Beams:
    vector = cloud.xyz - origins(cloud, what)
    distance = np.maximum(np.linalg.norm(vector, axis=1), 1e-3)
    if "intensity" not in cloud:
        middling = np.full(len(cloud), 0.3)  # a surface between dark and bright
        return _Beams(vector, distance, middling, middling, 1.0)
    if (cloud["intensity"] < 0).any():
        do = "weather dims power: make intensities linear, or leave the step out"
        raise PcaugError(f"{what} does not know intensities below zero (decibels)", cloud.source.file or None, do)
    scale = intensity_scale(cloud["intensity"])
    told = cloud["intensity"] / scale
    return _Beams(vector, distance, np.maximum(told, FAINT), told, scale)


def _answered(cloud: PointCloud, beams: _Beams, distance: Array, intensity: Array, air: NDArray[np.bool_]) -> PointCloud:
    """The scan with other ranges and intensities; echoes of the air belong to no class."""
    out = displaced(cloud, beams.vector * ((distance / beams.distance) - 1)[:, None])
    if "intensity" in cloud:
        bright = np.maximum(1, beams.told)  # a stray echo stays above the scale
        faint = ~air & (beams.told < beams.intensity)  # dimmed as much, but not brighter than it was told
        value = np.clip(np.where(faint, intensity * (beams.told / beams.intensity), intensity), 0, bright) * beams.scale
        out = out.with_fields(intensity=in_type(value, cloud["intensity"].dtype))
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
        power, where = fog_power(visibility, beams.distance)
        hard = beams.intensity * np.exp(-2 * fog_extinction(visibility) * beams.distance)
        soft = beams.intensity * power * (beams.distance / R0) ** 2
        air = soft > hard
        distance = np.where(air, np.minimum(where + fog_depth(len(cloud), rng), beams.distance), beams.distance)
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

    def _rate(self, rng: Rng) -> float:
        """mm/h, in the steps in which a scene's weather is drawn."""
        return max(round(float(rng.uniform(self.low, max(self.low, self.high))), 2), LEAST)

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
        return self._through(cloud, rain(self._rate(rng)), "rain", rng)


@dataclass(frozen=True)
class Snow(_Falling):
    """Snow of a rate uniform in [``low``, ``high``] mm/h of melted water; the rest as for rain."""

    low: Positive = 0.5
    high: Positive = 2.5

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        return self._through(cloud, snow(self._rate(rng)), "snow", rng)
