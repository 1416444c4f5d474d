"""A spinning multi-beam scanner: the Velodyne HDL-64E of the KITTI car."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcaug.scene.asset import Scene
from pcaug.scene.recipe import SensorRow, draw
from pcaug.sensor.engine import Rays

HDL64E = np.concatenate([np.linspace(2.0, -8.33, 32), np.linspace(-8.83, -24.33, 32)])
"""Elevations in degrees, upper then lower block: 1/3 and 1/2 degree apart (Velodyne HDL-64E S2 manual, 2011)."""
PERIOD = 0.1
"""Seconds of a turn."""
SPREAD = 0.03
"""Degrees by which a beam's mounting differs from the table, standard deviation."""


def survey(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> Rays:
    """One turn at the scene's viewpoint. Azimuth runs clockwise from ahead; column by column, all beams of a column at once."""
    steps = sensor.azimuth_steps
    elevation = np.radians(HDL64E + rng.normal(0, SPREAD, 64))
    offset = np.radians(rng.normal(0, SPREAD, 64))
    column, ring = np.meshgrid(np.arange(steps), np.arange(64), indexing="ij")
    azimuth = scene.heading - 2 * np.pi * (column + rng.uniform(0, 1)) / steps + offset[ring]
    cos = np.cos(elevation)[ring]
    direction = np.stack(
        [cos * np.cos(azimuth), cos * np.sin(azimuth), np.broadcast_to(np.sin(elevation)[ring], cos.shape)], axis=-1
    )
    origin = scene.viewpoint + np.array([0, 0, draw(sensor.height, rng)])
    count = steps * 64
    width = max(1, steps // 128)
    bundle = (column // width) * 4 + ring // 16
    return Rays(
        np.broadcast_to(origin, (count, 3)),
        direction.reshape(count, 3),
        (column * (PERIOD / steps)).reshape(count).astype(np.float64),
        ring.reshape(count).astype(np.uint16),
        np.degrees(azimuth).reshape(count).astype(np.float32),
        bundle.reshape(count).astype(np.int64),
    )


def sensor_from_world(scene: Scene, rays: Rays) -> NDArray[np.float64]:
    """(4, 4) into the scanner's frame: origin at the scanner, x ahead, z up."""
    cos, sin = np.cos(scene.heading), np.sin(scene.heading)
    matrix = np.eye(4)
    matrix[:3, :3] = [[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]
    matrix[:3, 3] = -matrix[:3, :3] @ rays.origin[0]
    return matrix
