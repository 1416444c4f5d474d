"""Give composed intensities the distribution that a real scanner shows, class by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.scene.recipe import Transfer


def transferred(cloud: PointCloud, transfers: Mapping[str, Transfer]) -> PointCloud:
    """Map the intensities of each class from its composed quantiles to its real ones, at its range, straight between them.

    Histogram matching on a few quantiles (Gonzalez and Woods, Digital Image Processing, section 3.3); what lies beyond the
    outer ones changes by the factor that they do. Between the ranges of two rows both maps are mixed; nearer than the first and
    farther than the last, where no real point told what the scanner does, what is black stays black.
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
    maps = np.stack([_matched(values, *rows) for rows in zip(transfer.composed, transfer.real, strict=True)])
    place = np.interp(far, transfer.ranges, np.arange(len(maps)))
    low = place.astype(np.int64)
    high, which = np.minimum(low + 1, len(maps) - 1), np.arange(len(values))
    mixed: NDArray[np.float64] = maps[low, which] + (place - low) * (maps[high, which] - maps[low, which])
    unknown = (len(maps) > 1) & ((far < transfer.ranges[0]) | (far > transfer.ranges[-1]))
    return np.where(unknown & (values == 0), 0, mixed)


def _matched(values: NDArray[np.float64], old: Sequence[float], new: Sequence[float]) -> NDArray[np.float64]:
    """Values (N,) mapped from these quantiles to those."""
    below = np.minimum(values / old[0], 1) if old[0] > 0 else 1.0
    above = np.maximum(values / old[-1], 1) if old[-1] > 0 else 1.0
    return np.interp(values, old, new) * below * above
