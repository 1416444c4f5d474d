"""An airborne scanner with an oscillating mirror, flying strips over a scene."""

from __future__ import annotations

import numpy as np

from pcaug.scene.asset import Scene
from pcaug.scene.recipe import SensorRow, draw
from pcaug.sensor.engine import Rays

SPEED = 60.0
"""Flight speed, m/s."""
BUNDLE = 4.0
"""Edge in metres of the plan cells that bundle rays."""


def survey(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> Rays:
    """Parallel strips in a random direction; each crosses the scene's extent at a random place of its swath.

    Points of a strip lie on zigzag lines (a triangle wave of the mirror), their spacing along and across the flight
    equal, so that ``density`` pulses fall on a square metre.
    """
    low, high = scene.extent
    middle, radius = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    altitude, density = draw(sensor.height, rng), draw(sensor.density, rng)
    course = rng.uniform(0, 2 * np.pi)
    swath = 2 * altitude * np.tan(np.radians(sensor.scan_angle))
    strips = int(rng.integers(sensor.strips[0], sensor.strips[1] + 1))
    first = rng.uniform(-0.5, 0.5) * max(swath - 2 * radius, 0.0)
    parts = []
    for strip in range(strips):
        offset = first + strip * swath * (1 - sensor.overlap)
        while strip and abs(offset) > swath / 2 + radius * 0.2:  # a strip that misses the scene flies the other way round
            offset -= np.sign(offset) * swath * 0.5
        turned = course + np.pi * (strip % 2) + (rng.normal(0, 0.1) if strip else 0.0)
        parts.append(_strip(middle, radius, scene, altitude, density, swath, offset, turned, strip * 600.0, rng))
    joined = [np.concatenate(values) for values in zip(*parts, strict=True)]
    origin, direction, time, angle, cell = joined
    return Rays(origin, direction, time, np.zeros(len(time), np.uint16), angle.astype(np.float32), cell.astype(np.int64))


def _strip(
    middle: np.ndarray,
    radius: float,
    scene: Scene,
    altitude: float,
    density: float,
    swath: float,
    offset: float,
    course: float,
    start: float,
    rng: np.random.Generator,
) -> tuple[np.ndarray, ...]:
    """Rays of one strip that aim at the scene: origin, direction, time, scan angle, bundle."""
    spacing = 1 / np.sqrt(density)
    along = np.array([np.cos(course), np.sin(course)])
    across = np.array([-along[1], along[0]])
    lines = np.arange(-radius, radius, spacing)
    reach = np.arange(-radius, radius, spacing)
    line, place = np.meshgrid(lines, reach, indexing="ij")
    forth = (np.arange(len(lines)) % 2 == 0)[:, None]
    position = line + np.where(forth, place + radius, radius - place) / (2 * radius) * spacing
    jitter = rng.normal(0, 0.08 * spacing, (*line.shape, 2))
    side = place + jitter[..., 1]
    ground = middle + (position + jitter[..., 0])[..., None] * along + side[..., None] * across
    inside = ((ground >= scene.extent[0]) & (ground <= scene.extent[1])).all(axis=-1)
    z0 = scene.viewpoint[2]
    flight = middle + position[..., None] * along + offset * across
    origin = np.concatenate([flight, np.full((*line.shape, 1), z0 + altitude)], axis=-1)[inside]
    target = np.concatenate([ground, np.full((*line.shape, 1), z0)], axis=-1)[inside]
    direction = target - origin
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    angle = np.degrees(np.arctan2((side - offset)[inside], altitude))
    kept = np.abs(angle) <= np.degrees(np.arctan(swath / 2 / altitude)) + 1e-9
    cells = np.floor(target[:, :2] / BUNDLE).astype(np.int64)
    bundle = cells[:, 0] * 100_003 + cells[:, 1] + int(start) * 10_000_019
    time = start + (position[inside] + radius) / SPEED
    return origin[kept], direction[kept], time[kept], angle[kept], bundle[kept]
