"""Fog, rain and snow put on a scan that was taken in clear air, by the models of ``pcaug.sensor.weather``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcaug.augment.attributes import displaced, kept, scattered
from pcaug.augment.naive import Length, Positive, Rng, Share
from pcaug.augment.sight import origins
from pcaug.cloud import PointCloud, full_scale
from pcaug.sensor.physics import R0
from pcaug.sensor.weather import STEP, Precipitation, fog_depth, fog_extinction, fog_power, particle_echoes, rain, snow

Array = NDArray[np.float64]
FAINT = 0.02
"""Least intensity of a target: what a sensor measured in clear air reflects a little, though it may report 0."""


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
    scale = full_scale(cloud["intensity"])
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
