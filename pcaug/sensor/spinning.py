"""Spinning multi-beam scanners, by the tables of their makers (``datasets/sensors``)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcaug.scene.asset import Scene
from pcaug.scene.scanner import SensorRow
from pcaug.sensor.motion import Sweep, carried

SECTORS, BEAMS = 128, 16
"""Bundles of rays: sectors of a turn, and beams of neighbouring elevation."""


def survey(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> Sweep:
    """One turn from the scene's viewpoint on, clockwise, starting anywhere between ahead and one column on.

    The beams of a column fire one after the other, at the times of ``sensor.firing``, while the rotor turns on.
    """
    beams, steps = len(sensor.elevations), sensor.columns
    elevation = np.radians(sensor.elevations + rng.normal(0, sensor.mounting, beams))
    ahead = (np.asarray(sensor.azimuths) if sensor.azimuths else 0.0) + rng.normal(0, sensor.mounting, beams)
    delay = np.asarray(sensor.firing) * 1e-6 if sensor.firing else np.zeros(beams)
    column, ring = (grid.reshape(-1) for grid in np.meshgrid(np.arange(steps), np.arange(beams), indexing="ij"))
    time = column / (steps * sensor.rate) + delay[ring]
    azimuth = -2 * np.pi * (time * sensor.rate + rng.uniform(0, 1) / steps) - np.radians(ahead)[ring]
    cos = np.cos(elevation)[ring]
    local = np.stack([cos * np.cos(azimuth), cos * np.sin(azimuth), np.sin(elevation)[ring]], axis=1)
    seen = ~_hidden(sensor, azimuth, elevation[ring])
    rank = np.argsort(np.argsort(-elevation, kind="stable"), kind="stable")
    bundle = column // max(1, steps // SECTORS) * (beams // BEAMS + 1) + rank[ring] // BEAMS
    lift = np.asarray(sensor.lift)[ring] if sensor.lift else None
    lift = lift[seen] if lift is not None else None
    return carried(scene, sensor, local[seen], time[seen], ring[seen].astype(np.uint16), bundle[seen].astype(np.int64), rng, lift)


def _hidden(sensor: SensorRow, azimuth: NDArray[np.float64], elevation: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which beams (N,) the carrier hides, by their angles (N,) in radians: azimuth to the left, elevation up."""
    right = (180 - np.degrees(azimuth)) % 360 - 180
    hidden = np.zeros(len(azimuth), np.bool_)
    for start, end, below in sensor.hidden:
        hidden |= (right >= start) & (right < end) & (np.degrees(elevation) < below)
    return hidden
