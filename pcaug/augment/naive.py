"""The classic augmentations that move points: one frozen dataclass each, ``(cloud, rng) -> cloud``.

Angles in degrees, lengths in metres. They keep every point and its labels; what depends on position goes along
(``pcaug.augment.attributes``). ``about`` says what is held still: "centre", the mean of the plan positions at z = 0, or
"origin", where the sensor stands in a scan of its own frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from pcaug.augment.attributes import bent, displaced, moved
from pcaug.augment.sight import origins
from pcaug.cloud import HEIGHT, Kind, PointCloud, about_z, kind_of

Rng = np.random.Generator
Matrix = NDArray[np.float64]
About = Literal["centre", "origin"]
Share = Annotated[float, Field(ge=0, le=1)]
Length = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
GRID = 128
"""Most cells of an elastic grid along an axis, whatever the extent."""


def mean(cloud: PointCloud) -> NDArray[np.float64]:
    """Mean position (3,): it moves with the points, so that consecutive matrices can be multiplied."""
    return np.array([column.mean() for column in cloud.xyz.T]) if len(cloud) else np.zeros(3)


def codes(shape: int | tuple[int, ...], rng: Rng) -> NDArray[np.uint16]:
    """Uniform random numbers of 16 bits, four of each 64 that the generator draws: twice as fast as drawing them singly."""
    count = int(np.prod(shape))
    drawn = rng.integers(1 << 64, size=-(-count // 4), dtype=np.uint64)
    return drawn.astype("<u8", copy=False).view("<u2")[:count].reshape(shape)


class Affine:
    """An augmentation that one matrix describes; a pipeline multiplies consecutive ones before it touches the points."""

    about: About = "origin"

    def middle(self, cloud: PointCloud) -> NDArray[np.float64]:
        """What ``matrix`` takes for a cloud: the mean only where it is needed."""
        return np.append(mean(cloud)[:2], 0.0) if self.about == "centre" else np.zeros(3)

    def matrix(self, middle: NDArray[np.float64], rng: Rng) -> Matrix:
        """Draw the transform (4, 4) of a cloud whose plan centre is ``middle`` (3,), z = 0."""
        raise NotImplementedError

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        return moved(cloud, self.matrix(self.middle(cloud), rng))


def turn(angle: float) -> Matrix:
    """Turn (4, 4) about the vertical axis by radians."""
    matrix = np.eye(4)
    matrix[:3, :3] = about_z(angle)
    return matrix


def _about(linear: Matrix, about: About, middle: NDArray[np.float64]) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, :3] = linear
    if about == "centre":
        matrix[:3, 3] = middle - linear @ middle
    return matrix


@dataclass(frozen=True)
class RotateZ(Affine):
    """Turn about the vertical axis by a uniform angle in +-``degrees``."""

    degrees: Length = 180.0
    about: About = "centre"

    def matrix(self, middle: NDArray[np.float64], rng: Rng) -> Matrix:
        angle = np.radians(rng.uniform(-self.degrees, self.degrees))
        return _about(about_z(angle), self.about, middle)


@dataclass(frozen=True)
class Tilt(Affine):
    """Lean by a normal angle of deviation ``degrees`` about a random level axis: slopes, and a sensor that is not level.

    Rodrigues' formula; the angle is clipped at three deviations.
    """

    degrees: Annotated[float, Field(ge=0, le=15)] = 1.0
    about: About = "centre"

    def matrix(self, middle: NDArray[np.float64], rng: Rng) -> Matrix:
        heading, angle = rng.uniform(0, 2 * np.pi), np.radians(self.degrees * np.clip(rng.standard_normal(), -3, 3))
        x, y = np.cos(heading), np.sin(heading)
        cross = np.array([[0.0, 0.0, y], [0.0, 0.0, -x], [-y, x, 0.0]])
        return _about(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross, self.about, middle)


@dataclass(frozen=True)
class Flip(Affine):
    """Mirror x and y, each with a probability."""

    probability: Share = 0.5
    about: About = "centre"

    def matrix(self, middle: NDArray[np.float64], rng: Rng) -> Matrix:
        signs = np.where(rng.random(2) < self.probability, -1.0, 1.0)
        return _about(np.diag([signs[0], signs[1], 1.0]), self.about, middle)


@dataclass(frozen=True)
class Scale(Affine):
    """Scale by one factor, or with ``anisotropic`` by one per axis, uniform in [low, high]."""

    low: Positive = 0.95
    high: Positive = 1.05
    anisotropic: bool = False
    about: About = "centre"

    def matrix(self, middle: NDArray[np.float64], rng: Rng) -> Matrix:
        factors = rng.uniform(self.low, self.high, 3)
        return _about(np.diag(factors if self.anisotropic else factors[[0, 0, 0]]), self.about, middle)


@dataclass(frozen=True)
class Shift(Affine):
    """Move the whole cloud by a uniform offset in +-``xy`` and +-``z`` metres."""

    xy: Length = 0.2
    z: Length = 0.1

    def matrix(self, middle: NDArray[np.float64], rng: Rng) -> Matrix:
        matrix = np.eye(4)
        matrix[:3, 3] = rng.uniform(-1, 1, 3) * (self.xy, self.xy, self.z)
        return matrix


@dataclass(frozen=True)
class Jitter:
    """Add Gaussian noise of ``sigma`` metres to each coordinate, clipped at ``clip`` metres."""

    sigma: Length = 0.01
    clip: Length = 0.05

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        offset = _noise(self.sigma, self.clip).take(codes(cloud.xyz.shape, rng))
        return displaced(cloud, offset, into=offset)


@lru_cache(maxsize=16)
def _noise(sigma: float, clip: float) -> NDArray[np.float64]:
    """65,536-quantiles of clipped normal noise: picking one at random is four times as fast as drawing a normal number."""
    from scipy.special import ndtri

    return np.asarray(np.clip(sigma * ndtri((np.arange(1 << 16) + 0.5) / (1 << 16)), -clip, clip))


@dataclass(frozen=True)
class RangeNoise:
    """Move points along their beams by Gaussian noise whose deviation grows with range: ``sigma`` + ``per_metre`` x range.

    Needs a scan in its sensor's frame, or the field ``sensor_origin``.
    """

    sigma: Length = 0.01
    per_metre: Length = 0.0005

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        beam = cloud.xyz - origins(cloud, "range_noise")
        distance = np.maximum(np.linalg.norm(beam, axis=1), 1e-9)
        noise = rng.standard_normal(len(cloud)) * (self.sigma + self.per_metre * distance)
        return displaced(cloud, beam * (noise / distance)[:, None])


@dataclass(frozen=True)
class Elastic:
    """Smooth distortion: displacements of ``sigma`` metres on a grid of ``grain`` metres, blurred and interpolated.

    After Simard et al. 2003, as used for scans by Choy et al. 2019 (MinkowskiNet). The grid is coarser where the cloud is
    more than 128 grains wide. Normals turn by the slopes of the displacements.
    """

    grain: Positive = 2.0
    sigma: Length = 0.15

    def __call__(self, cloud: PointCloud, rng: Rng) -> PointCloud:
        from scipy.ndimage import gaussian_filter, map_coordinates

        if not len(cloud):
            return cloud
        low, high = cloud.bounds
        foot = _feet(cloud)
        low[2] = min(low[2], foot[:, 2].min()) if foot is not None else low[2]
        grain = max(self.grain, float((high - low).max()) / GRID)
        fields = [gaussian_filter(rng.normal(size=tuple(np.ceil((high - low) / grain).astype(int) + 3)), 1.0) for _ in range(3)]
        fields = [field * (self.sigma / max(field.std(), 1e-12)) for field in fields]
        at = ((cloud.xyz - low) / grain + 1).T
        offset = np.stack([map_coordinates(field, at, order=1, output=np.float32) for field in fields], axis=1)
        if any(kind_of(name, values) is Kind.DIRECTION for name, values in cloud.fields.items()):
            cloud = bent(cloud, _slopes(fields, at) / grain)
        if foot is None:
            return displaced(cloud, offset)
        return displaced(cloud, offset, map_coordinates(fields[2], ((foot - low) / grain + 1).T, order=1))


def _slopes(fields: list[NDArray[np.float64]], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Derivatives (N, 3, 3) of interpolated fields (row) along the axes of their grid, at its coordinates (3, N)."""
    from scipy.ndimage import map_coordinates

    slopes = np.empty((at.shape[1], 3, 3))
    for axis in range(3):
        cell = at.copy()
        cell[axis] = np.floor(at[axis])  # between two nodes a field is linear
        for row, field in enumerate(fields):
            slopes[:, row, axis] = map_coordinates(np.diff(field, axis=axis), cell, order=1)
    return slopes


def _feet(cloud: PointCloud) -> NDArray[np.float64] | None:
    """The ground below each point (N, 3), where heights above it are known."""
    if HEIGHT not in cloud:
        return None
    feet = cloud.xyz.copy()
    feet[:, 2] -= cloud[HEIGHT]
    return feet
