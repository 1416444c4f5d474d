"""Scanners that map from the ground: a profile scanner on a car, a dome scanner on a tripod."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcaug.scene.asset import Scene
from pcaug.scene.ranges import draw
from pcaug.scene.scanner import SensorRow
from pcaug.sensor.engine import Rays

APART = (8.0, 14.0)
"""Metres between neighbouring stations."""
PAUSE = 600.0
"""Seconds from one station to the next."""
CLEAR = 0.7
"""Metres that a tripod keeps from objects."""


def drive(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> Rays:
    """Profiles across a drive along the scene's heading, ``track`` metres long with the viewpoint in its middle.

    The profile's plane holds the vertical; it is turned by ``profile`` from square to the drive, so that faces across the
    drive are seen too. The mirror turns on while the car drives, so profiles are turns of a screw. The car keeps the height
    that it has at the viewpoint.
    """
    speed = max(draw(sensor.speed, rng), 0.1)
    steps, turns = sensor.columns, max(1, int(sensor.track / speed * sensor.rate))
    turn, step = (grid.reshape(-1) for grid in np.meshgrid(np.arange(turns), np.arange(steps), indexing="ij"))
    time = (turn * steps + step) / (steps * sensor.rate)
    angle = 2 * np.pi * step / steps  # from straight down
    across = scene.heading + np.pi / 2 + np.radians(sensor.profile)
    side = np.sin(angle)
    direction = np.stack([side * np.cos(across), side * np.sin(across), -np.cos(angle)], axis=1)
    ahead = np.array([np.cos(scene.heading), np.sin(scene.heading), 0.0])
    start = scene.viewpoint + np.array([0, 0, draw(sensor.height, rng)]) - ahead * sensor.track / 2
    origin = start + (speed * time)[:, None] * ahead
    bundle = (turn // max(1, int(2 * sensor.rate / speed))) * 64 + step * 32 // steps  # two metres of the drive
    scan_angle = (np.degrees(angle) + 180) % 360 - 180
    return Rays(origin, direction, time, np.zeros(len(time), np.uint16), scan_angle.astype(np.float32), bundle)


def dome(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> Rays:
    """Full turns from one or several stations: columns of ``rows`` points from the highest elevation to the lowest."""
    number = int(rng.integers(sensor.stations[0], sensor.stations[1] + 1))
    elevation = np.radians(np.linspace(*sensor.elevation[::-1], sensor.rows))
    column, row = (grid.reshape(-1) for grid in np.meshgrid(np.arange(sensor.columns), np.arange(sensor.rows), indexing="ij"))
    cos = np.cos(elevation)[row]
    within = (column * sensor.rows + row) / (sensor.rate * sensor.columns * sensor.rows)
    cell = column * 64 // sensor.columns * 16 + row * 12 // sensor.rows
    parts = []
    for index, at in enumerate(_stations(scene, number, rng)):
        azimuth = rng.uniform(0, 2 * np.pi) - 2 * np.pi * column / sensor.columns
        direction = np.stack([cos * np.cos(azimuth), cos * np.sin(azimuth), np.sin(elevation)[row]], axis=1)
        origin = np.broadcast_to(at + np.array([0, 0, draw(sensor.height, rng)]), direction.shape)
        parts.append((origin, direction, within + index * PAUSE, np.degrees(elevation)[row], cell + index * 1024))
    origin, direction, time, angle, bundle = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Rays(origin, direction, time, np.zeros(len(time), np.uint16), angle.astype(np.float32), bundle)


def _stations(scene: Scene, number: int, rng: np.random.Generator) -> list[NDArray[np.float64]]:
    """The viewpoint, then places ahead of it and behind in turn, where no object stands."""
    ahead = np.array([np.cos(scene.heading), np.sin(scene.heading), 0.0])
    gone = {1: 0.0, -1: 0.0}
    found = [np.asarray(scene.viewpoint)]
    while len(found) < number:
        sign = 1 if len(found) % 2 else -1
        for _ in range(20):
            at = scene.viewpoint + sign * (gone[sign] + rng.uniform(*APART)) * ahead
            if not _occupied(scene, at):
                break
        gone[sign] = float(np.linalg.norm(at - scene.viewpoint))
        found.append(at)
    return found


def _occupied(scene: Scene, at: NDArray[np.float64]) -> bool:
    for p in scene.placements:
        if not p.instance:
            continue
        low, high = p.asset.bounds
        inside = np.linalg.inv(p.world_from_asset) @ np.append(at, 1.0)
        if (inside[:2] > low[:2] - CLEAR).all() and (inside[:2] < high[:2] + CLEAR).all():
            return True
    return False
