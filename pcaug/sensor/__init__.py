"""Who looks: scanners, the only room that casts rays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pcaug.scene.asset import Scene
from pcaug.scene.recipe import SensorRow
from pcaug.sensor import airborne, spinning
from pcaug.sensor.engine import Rays

SENSORS: dict[str, Callable[[Scene, SensorRow, np.random.Generator], Rays]] = {
    "spinning": spinning.survey,
    "airborne": airborne.survey,
}
