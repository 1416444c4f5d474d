"""The classic augmentations: one frozen dataclass each, ``(cloud, rng) -> cloud``.

Angles in degrees, lengths in metres. Every one keeps labels as they are; those that drop points drop whole
points with all their fields. Directions (normals) turn with the points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud

Rng = np.random.Generator


def _centre(cloud: PointCloud) -> NDArray[np.float64]:
    """Plan centre of a cloud (3,), z = 0: what it is turned and scaled about."""
    if not len(cloud):
        return np.zeros(3)
    middle = cloud.bounds.mean(axis=0)
    return np.array([middle[0], middle[1], 0.0])


def _about(cloud: PointCloud, linear: NDArray[np.float64], centre: NDArray[np.float64]) -> PointCloud:
    transform = np.eye(4)
    transform[:3, :3] = linear
    transform[:3, 3] = centre - linear @ centre
    return cloud.moved(transform)


@dataclass(frozen=True)
class RotateZ:
    """Turn about the vertical axis by a uniform angle in +-``degrees``, about the cloud's plan centre or its origin."""

    degrees: float = 180.0
    about: str = "centre"

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        angle = np.radians(rng.uniform(-self.degrees, self.degrees))
        cos, sin = np.cos(angle), np.sin(angle)
        turn = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
        return _about(cloud, turn, _centre(cloud) if self.about == "centre" else np.zeros(3))


@dataclass(frozen=True)
class Flip:
    """Mirror x and y, each with a probability, about the cloud's plan centre."""

    probability: float = 0.5

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        signs = np.where(rng.random(2) < self.probability, -1.0, 1.0)
        return _about(cloud, np.diag([signs[0], signs[1], 1.0]), _centre(cloud))


@dataclass(frozen=True)
class Scale:
    """Scale by one factor, or with ``anisotropic`` by one per axis, uniform in [low, high]."""

    low: float = 0.95
    high: float = 1.05
    anisotropic: bool = False

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        factors = rng.uniform(self.low, self.high, 3)
        return _about(cloud, np.diag(factors if self.anisotropic else factors[[0, 0, 0]]), _centre(cloud))


@dataclass(frozen=True)
class Shift:
    """Move the whole cloud by a uniform offset in +-``xy`` and +-``z`` metres."""

    xy: float = 0.2
    z: float = 0.1

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        transform = np.eye(4)
        transform[:3, 3] = rng.uniform(-1, 1, 3) * (self.xy, self.xy, self.z)
        return cloud.moved(transform)


@dataclass(frozen=True)
class Jitter:
    """Add Gaussian noise of ``sigma`` metres to each coordinate, clipped at ``clip`` metres."""

    sigma: float = 0.01
    clip: float = 0.05

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        noise = np.clip(rng.normal(0.0, self.sigma, cloud.xyz.shape), -self.clip, self.clip)
        return PointCloud(cloud.xyz + noise, cloud.fields, cloud.taxonomy, cloud.crs, cloud.source)


@dataclass(frozen=True)
class Drop:
    """Drop a uniform share of the points, up to ``most`` of them; at least one stays."""

    most: float = 0.2

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        keep = rng.random(len(cloud)) >= rng.uniform(0.0, self.most)
        return cloud.take(keep) if keep.any() else cloud.take(slice(0, 1))


@dataclass(frozen=True)
class DropRings:
    """Drop whole scan rings, each with a probability: a scanner with fewer beams. Needs the field ``ring``."""

    probability: float = 0.2

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        if "ring" not in cloud:
            return cloud
        rings = np.unique(cloud["ring"])
        kept = rings[rng.random(len(rings)) >= self.probability]
        return cloud.take(np.isin(cloud["ring"], kept)) if len(kept) else cloud


@dataclass(frozen=True)
class IntensityShift:
    """Multiply intensity by a factor in [1 - gain, 1 + gain] and, with ``drop_probability``, set it to zero."""

    gain: float = 0.1
    drop_probability: float = 0.0

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        factor = rng.uniform(1 - self.gain, 1 + self.gain) * (rng.random() >= self.drop_probability)
        if "intensity" not in cloud:
            return cloud
        values = cloud["intensity"]
        limit = np.iinfo(values.dtype).max if np.issubdtype(values.dtype, np.integer) else np.inf
        return cloud.with_fields(intensity=np.clip(values * factor, 0, limit).astype(values.dtype))


@dataclass(frozen=True)
class Elastic:
    """Smooth distortion: displacements of ``sigma`` metres on a grid of ``grain`` metres, blurred and interpolated.

    After Simard et al. 2003, as used for scans by Choy et al. 2019 (MinkowskiNet).
    """

    grain: float = 2.0
    sigma: float = 0.15

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        from scipy.ndimage import gaussian_filter, map_coordinates

        if not len(cloud):
            return cloud
        low, high = cloud.bounds
        grain = max(self.grain, float((high - low).max()) / 128)  # a bounded grid, whatever the extent
        shape = tuple(np.ceil((high - low) / grain).astype(int) + 3)
        at = ((cloud.xyz - low) / grain + 1).T
        moves = []
        for _ in range(3):
            field = gaussian_filter(rng.normal(size=shape), 1.0)
            moves.append(map_coordinates(field * (self.sigma / max(field.std(), 1e-12)), at, order=1))
        return PointCloud(cloud.xyz + np.stack(moves, axis=1), cloud.fields, cloud.taxonomy, cloud.crs, cloud.source)
