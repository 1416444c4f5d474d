"""Platforms that carry a scanner through its sweep, and what their errors do to a map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import about_z
from pcaug.scene.asset import Scene
from pcaug.scene.ranges import draw
from pcaug.scene.scanner import SensorRow
from pcaug.sensor.engine import Rays

Array = NDArray[np.float64]
SLOW = 5.0
"""Seconds in which the error of a trajectory changes."""


@dataclass(frozen=True)
class Sweep(Rays):
    """Rays of one turn or frame of a scanner on a platform.

    Attributes:
        local: (N, 3) float64, the directions in the scanner's own frame when each left: x ahead, y left, z up.
        lift: (N,) float64, metres above the scanner's origin at which each leaves.
        sensor_from_world: (4, 4), into the scanner's frame at the start of the sweep.
    """

    local: Array
    lift: Array
    sensor_from_world: Array


def carried(
    scene: Scene,
    sensor: SensorRow,
    local: Array,
    time: Array,
    ring: NDArray[np.uint16],
    bundle: NDArray[np.int64],
    rng: np.random.Generator,
    lift: Array | None = None,
) -> Sweep:
    """Send rays from a platform that drives from the scene's viewpoint on.

    It moves on an arc of constant speed and yaw rate: after t seconds it has turned by w t, and stands v t sinc(w t / 2)
    from where it was, in the direction half turned. Its roll and pitch stay what they are for the sweep.

    Args:
        scene: Whose viewpoint and heading it starts with.
        sensor: Gives height, speed, turn and tilt.
        local: (N, 3) unit vectors in the scanner's frame.
        time: (N,) seconds since the start of the sweep.
        ring: (N,) beam.
        bundle: (N,) see ``Rays``.
        rng: Draws what the recipe gives as ranges.
        lift: (N,) metres above the scanner's origin at which they leave; none by default.
    """
    start = scene.viewpoint + np.array([0, 0, draw(sensor.height, rng)])
    speed, turn = draw(sensor.speed, rng), np.radians(draw(sensor.turn, rng))
    level = _rotation(*np.radians(rng.normal(0, 1, 2) * sensor.tilt))
    origin = np.broadcast_to(start, local.shape)
    if speed:
        half = scene.heading + turn * time / 2
        gone = speed * time * np.sinc(turn * time / 2 / np.pi)
        origin = start + np.stack([gone * np.cos(half), gone * np.sin(half), np.zeros(len(time))], axis=1)
    upright = local if sensor.tilt == 0 else np.einsum("ij,nj->ni", level, local)
    yaw = scene.heading + turn * time if turn else scene.heading
    cos, sin = np.cos(yaw), np.sin(yaw)
    x, y, z = upright.T
    direction = np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=1)
    azimuth = np.degrees(np.arctan2(*local[:, 1::-1].T.astype(np.float32)))
    frame = _frame(start, scene.heading, level)
    if lift is None:
        lift = np.zeros(len(time))
    else:
        origin = origin + lift[:, None] * frame[2, :3]
    return Sweep(origin, direction, time, ring, azimuth, bundle, local, lift, frame)


def _rotation(roll: float, pitch: float) -> Array:
    """(3, 3) world from scanner for a heading of 0: pitch about y after roll about x."""
    cr, sr, cp, sp = np.cos(roll), np.sin(roll), np.cos(pitch), np.sin(pitch)
    return np.asarray(np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]]) @ np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]]))


def _frame(start: Array, heading: float, level: Array) -> Array:
    matrix = np.eye(4)
    matrix[:3, :3] = (about_z(heading) @ level).T
    matrix[:3, 3] = -matrix[:3, :3] @ start
    return matrix


def drifted(xyz: Array, time: Array, spread: float, rng: np.random.Generator) -> Array:
    """A map with the slow error of its trajectory: a Gaussian walk of knots, each ``SLOW`` seconds and every strip anew.

    Args:
        xyz: (N, 3) metres.
        time: (N,) seconds.
        spread: Standard deviation of the error in x, y and z, metres.
        rng: Draws the knots.
    """
    if not spread or not len(xyz):
        return xyz
    knots = np.arange(np.floor(time.min() / SLOW), np.ceil(time.max() / SLOW) + 2)
    errors = rng.normal(0, spread, (len(knots), 3))
    return np.asarray(xyz + np.stack([np.interp(time / SLOW, knots, error) for error in errors.T], axis=1))
