"""Scanners that map from the ground: a profile scanner on a car, a dome scanner on a tripod."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcaug.scene.asset import Scene
from pcaug.scene.ground import ground_of, height_at
from pcaug.scene.ranges import draw
from pcaug.scene.scanner import SensorRow, check_rays
from pcaug.sensor.engine import Rays

APART = (8.0, 14.0)
"""Metres between neighbouring stations."""
PAUSE = 600.0
"""Seconds from one station to the next."""
CLEAR = 0.7
"""Metres that a tripod keeps from objects."""
TALL = 2.5
"""Height of a scanner on its tripod, with room above it, metres."""


def drive(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> Rays:
    """Profiles across a drive along the scene's heading, ``track`` metres long with the viewpoint in its middle.

    The profile's plane holds the vertical; it is turned by ``profile`` from square to the drive, so that faces across the
    drive are seen too. The mirror turns on while the car drives, so profiles are turns of a screw. The car keeps the height
    that it has at the viewpoint.
    """
    speed = draw(sensor.speed, rng)
    steps, turns = sensor.columns, max(1, int(sensor.track / speed * sensor.rate))
    check_rays(steps * turns)
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
    scan_angle = 180 - (np.degrees(angle) + 180) % 360  # the mirror turns to the left first, see Rays.scan_angle
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
    """The viewpoint, then places ahead of it and behind in turn, all on the ground, where no object stands. Of more stations than
    the ground has room for the rest are left out."""
    ahead = np.array([np.cos(scene.heading), np.sin(scene.heading), 0.0])
    ground = ground_of(scene)
    low, high = scene.extent if ground is None else (f(ground[..., :2], axis=(0, 1)) for f in (np.min, np.max))

    def stand(at: NDArray[np.float64]) -> NDArray[np.float64]:
        return at if ground is None else np.array([*at[:2], height_at(ground, at[0], at[1])])

    gone = {1: 0.0, -1: 0.0}
    found = [stand(np.asarray(scene.viewpoint))]
    for index in range(1, number):
        sign = 1 if index % 2 else -1
        for _ in range(20):
            away = gone[sign] + rng.uniform(*APART)
            at = stand(scene.viewpoint + sign * away * ahead)
            if (at[:2] >= low).all() and (at[:2] <= high).all() and not _occupied(scene, at):
                gone[sign] = away
                found.append(at)
                break
    return found


def _occupied(scene: Scene, at: NDArray[np.float64]) -> bool:
    """Whether some face of an object lies where a tripod would stand; what is above it, such as a crown, is none."""
    for p in scene.placements:
        if not p.instance:
            continue
        low, high = p.asset.bounds
        inside = np.linalg.inv(p.world_from_asset) @ np.append(at, 1.0)
        if (inside[:2] > low[:2] - CLEAR).all() and (inside[:2] < high[:2] + CLEAR).all():
            lows, highs = p.asset.triangles.min(axis=1), p.asset.triangles.max(axis=1)
            beside = (highs[:, :2] > inside[:2] - CLEAR) & (lows[:, :2] < inside[:2] + CLEAR)
            if (beside.all(axis=1) & (lows[:, 2] < inside[2] + TALL)).any():
                return True
    return False
