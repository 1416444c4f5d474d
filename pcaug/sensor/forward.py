"""Scanners that look ahead: a raster, and a rosette that never repeats."""

from __future__ import annotations

import numpy as np

from pcaug.scene.asset import Scene
from pcaug.scene.scanner import SensorRow
from pcaug.sensor.motion import Sweep, carried

CELL = np.radians(8.0)
"""Edge of the cells of azimuth and elevation that bundle rays."""
RUNNING = 3600.0
"""Seconds that a rosette has been running at most when it is looked at."""


def raster(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> Sweep:
    """One frame of a solid-state scanner: rows from the top, each from left to right, all angles evenly spaced."""
    azimuth = -np.radians(np.linspace(*sensor.azimuth, sensor.columns))
    elevation = np.radians(np.linspace(*sensor.elevation[::-1], sensor.rows))
    row, column = (grid.reshape(-1) for grid in np.meshgrid(np.arange(sensor.rows), np.arange(sensor.columns), indexing="ij"))
    time = (row * sensor.columns + column) / (sensor.rate * sensor.rows * sensor.columns)
    return _sent(scene, sensor, azimuth[column], elevation[row], time, row.astype(np.uint16), rng)


def rosette(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> Sweep:
    """One frame of a scanner whose beam passes two wedge prisms that rotate at different speeds (Risley).

    Thin prisms deflect by vectors of constant length that turn with them, and the deflections add up (Marshall, "Risley
    prism scan patterns", Proc. SPIE 3787, 1999, first order): here two of equal length, half the field of view's radius.
    """
    time = np.arange(sensor.columns) * sensor.period * 1e-6
    clock = rng.uniform(0, RUNNING) + time
    phase = 2 * np.pi / 60 * np.outer(sensor.prisms, clock) + rng.uniform(0, 2 * np.pi, (2, 1))
    middle, radius = sum(sensor.elevation) / 2, (sensor.elevation[1] - sensor.elevation[0]) / 2
    deflection = np.radians(radius / 2) * np.stack([np.cos(phase).sum(axis=0), np.sin(phase).sum(axis=0)])
    return _sent(scene, sensor, deflection[0], deflection[1] + np.radians(middle), time, np.zeros(len(time), np.uint16), rng)


def _sent(
    scene: Scene,
    sensor: SensorRow,
    azimuth: np.ndarray,
    elevation: np.ndarray,
    time: np.ndarray,
    ring: np.ndarray,
    rng: np.random.Generator,
) -> Sweep:
    cos = np.cos(elevation)
    local = np.stack([cos * np.cos(azimuth), cos * np.sin(azimuth), np.sin(elevation)], axis=1)
    bundle = np.floor(azimuth / CELL).astype(np.int64) * 1000 + np.floor(elevation / CELL).astype(np.int64)
    return carried(scene, sensor, local, time, ring, bundle, rng)
