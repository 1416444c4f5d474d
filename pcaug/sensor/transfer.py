"""Give composed intensities the distribution that a real scanner shows, class by class."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.scene.recipe import Transfer


def transferred(cloud: PointCloud, transfers: Mapping[str, Transfer]) -> PointCloud:
    """Map the intensities of each class from its composed quantiles to its real ones, at its range, straight between them.

    Histogram matching on a few quantiles (Gonzalez and Woods, Digital Image Processing, section 3.3); what lies beyond the
    outer ones becomes the outer real one. Between the ranges of two rows both maps are mixed.
    """
    if not transfers or "intensity" not in cloud or cloud.taxonomy is None:
        return cloud
    intensity = cloud["intensity"].astype(np.float64)
    far = np.linalg.norm(cloud.xyz, axis=1)
    for name, transfer in transfers.items():
        mine = cloud["label"] == cloud.taxonomy.id(name)
        intensity[mine] = _mapped(intensity[mine], far[mine], transfer)
    return cloud.with_fields(intensity=intensity.astype(np.float32))


def _mapped(values: NDArray[np.float64], far: NDArray[np.float64], transfer: Transfer) -> NDArray[np.float64]:
    maps = np.stack([np.interp(values, old, new) for old, new in zip(transfer.composed, transfer.real, strict=True)])
    place = np.interp(far, transfer.ranges, np.arange(len(maps)))
    low = place.astype(np.int64)
    high, which = np.minimum(low + 1, len(maps) - 1), np.arange(len(values))
    mixed: NDArray[np.float64] = maps[low, which] + (place - low) * (maps[high, which] - maps[low, which])
    return mixed
