"""The classic augmentations of what was measured at a point: intensity and colour. A cloud without them passes as it is.

Values stay in the range of their type: integers up to its largest value (of colours: 255 or 65535, whichever the cloud
uses), floats from 0, or the least if that is negative (decibels), up to the largest that occurs, at least 1. A change is a share
of their scale, which of intensities ends where 99 % of them do: an instrument of 12 bits seldom fills the 16 of a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.augment.naive import Length, Positive, Rng, Share
from pcaug.cloud import PointCloud
from pcaug.scales import colour_scale, full_scale, in_type, intensity_scale

SCALES = {"intensity": intensity_scale, "rgb": colour_scale}
"""Where the scale of a field ends."""
ENDS = {"intensity": full_scale, "rgb": colour_scale}
"""Above what none of its values may lie."""


def _set(cloud: PointCloud, name: str, unit: NDArray[Any]) -> PointCloud:
    """Set a field from values of its scale, which ends at 1: stray echoes lie above."""
    old = cloud[name]
    low = _least(old)
    scaled = np.clip(low + np.maximum(unit, 0) * (SCALES[name](old) - low), low, ENDS[name](old))
    return cloud.with_fields(None, **{name: in_type(scaled, old.dtype)})


def _unit(cloud: PointCloud, name: str) -> NDArray[np.float32]:
    values = cloud[name]
    low = _least(values)
    return (values.astype(np.float32) - low) / np.float32(SCALES[name](values) - low)


def _least(values: NDArray[Any]) -> np.float32:
    return np.float32(np.fmin.reduce(values, axis=None, initial=0))


@dataclass(frozen=True)
class IntensityShift:
    """Multiply intensity by a factor in 1 +- ``gain`` and add up to +- ``shift`` of its scale: another sensor's calibration."""

    gain: Share = 0.1
    shift: Share = 0.05

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        factor, offset = rng.uniform(1 - self.gain, 1 + self.gain), rng.uniform(-self.shift, self.shift)
        if "intensity" not in cloud:
            return cloud
        return _set(cloud, "intensity", _unit(cloud, "intensity") * np.float32(factor) + np.float32(offset))


@dataclass(frozen=True)
class IntensityGamma:
    """Raise intensity (0..1 of its scale) to a power, log-uniform in [1 / ``most``, ``most``]."""

    most: Positive = 1.5

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        power = np.exp(rng.uniform(-1, 1) * np.log(self.most))
        if "intensity" not in cloud:
            return cloud
        return _set(cloud, "intensity", _unit(cloud, "intensity") ** np.float32(power))


@dataclass(frozen=True)
class IntensityDrop:
    """Set all intensities to zero, or to the least where that is negative (decibels), with a probability: a model must not lean
    on them alone."""

    probability: Share = 0.1

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        drops = rng.random() < self.probability
        if not drops or "intensity" not in cloud:
            return cloud
        return cloud.with_fields(intensity=np.full_like(cloud["intensity"], _least(cloud["intensity"])))


@dataclass(frozen=True)
class ColourJitter:
    """Change contrast, brightness and balance of all colours, and add noise to each; all as shares of the scale.

    contrast: factor about the mean colour in 1 +- ``contrast``. brightness, balance: an offset of all channels, and of each.
    """

    contrast: Share = 0.2
    brightness: Share = 0.1
    balance: Share = 0.05
    noise: Length = 0.02

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        factor = rng.uniform(1 - self.contrast, 1 + self.contrast)
        offset = rng.uniform(-self.brightness, self.brightness) + rng.uniform(-self.balance, self.balance, 3)
        noise = rng.standard_normal((len(cloud), 3), dtype=np.float32) * np.float32(self.noise)
        if "rgb" not in cloud or not len(cloud):
            return cloud
        colour = _unit(cloud, "rgb")
        mean = colour.mean(axis=0)
        return _set(cloud, "rgb", (colour - mean) * np.float32(factor) + mean + offset.astype(np.float32) + noise)


@dataclass(frozen=True)
class ColourDrop:
    """Take the colour away with a probability: grey of the same luma (ITU-R BT.601)."""

    probability: Share = 0.2

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        drops = rng.random() < self.probability
        if not drops or "rgb" not in cloud:
            return cloud
        grey = _unit(cloud, "rgb") @ np.array([0.299, 0.587, 0.114], np.float32)
        return _set(cloud, "rgb", np.repeat(grey[:, None], 3, axis=1))
