"""Who looks: scanners, the only room that casts rays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from pcaug.scene.asset import Scene
from pcaug.scene.scanner import SensorRow
from pcaug.sensor import airborne, forward, mapping, spinning
from pcaug.sensor.engine import Rays

SENSORS: dict[str, Callable[[Scene, SensorRow, np.random.Generator], Rays]] = {
    "spinning": spinning.survey,
    "solid": forward.raster,
    "rosette": forward.rosette,
    "mobile": mapping.drive,
    "terrestrial": mapping.dome,
    "airborne": airborne.survey,
}


def frame_of(sensor: SensorRow) -> Literal["sensor", "map"]:
    """Frame of a sensor's clouds: its own where it makes one sweep, the scene's where it maps."""
    return "sensor" if sensor.kind in ("spinning", "solid", "rosette") else "map"
