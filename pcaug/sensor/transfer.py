"""Give composed intensities the distribution that a real scanner shows, class by class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pcaug.cloud import PointCloud
from pcaug.scene.recipe import Transfer


def transferred(cloud: PointCloud, transfers: Mapping[str, Transfer]) -> PointCloud:
    """Map the intensities of each class from its composed quantiles to its real ones, straight between them.

    Histogram matching on five quantiles (Gonzalez and Woods, Digital Image Processing, section 3.3). Beyond the outer
    quantiles values follow the line of the outer pair, and stay above 0.
    """
    if not transfers or "intensity" not in cloud or cloud.taxonomy is None:
        return cloud
    intensity = cloud["intensity"].astype(np.float64)
    for name, transfer in transfers.items():
        mine = cloud["label"] == cloud.taxonomy.id(name)
        intensity[mine] = _mapped(intensity[mine], np.asarray(transfer.composed), np.asarray(transfer.real))
    return cloud.with_fields(intensity=np.maximum(intensity, 0).astype(np.float32))


def _mapped(values: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    old = np.maximum.accumulate(old + np.arange(len(old)) * 1e-9)  # strictly rising, for equal quantiles
    inside: np.ndarray = np.interp(values, old, new)
    low, high = values < old[0], values > old[-1]
    inside[low] = new[0] - (old[0] - values[low]) * _slope(old[0], old[1], new[0], new[1])
    inside[high] = new[-1] + (values[high] - old[-1]) * _slope(old[-2], old[-1], new[-2], new[-1])
    return inside


def _slope(x0: float, x1: float, y0: float, y1: float) -> float:
    return float((y1 - y0) / (x1 - x0)) if x1 - x0 > 1e-6 else 0.0
