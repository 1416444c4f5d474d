"""Where the ground is: below each point, below the scanner, and how uneven it is. No labels needed but where said."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

CELL = 2.0
"""Edge of the plan cells whose lowest point may be ground, metres."""
WINDOW = 11
"""Cells along the edge of the window that must be wider than the things that stand on the ground (22 m)."""
MOST = 1500
"""Most cells along an edge: wider clouds get wider cells."""
NEAR = 15.0
"""Metres around a scanner in which the ground counts as a plane."""
PATCH = 1.0
"""Edge of the patches that unevenness is measured on, metres."""


def height_above_ground(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Metres (N,) above the ground of points (N, 3).

    The ground is the morphological opening of the lowest points of plan cells, as in the simple morphological filter
    (Pingel et al., ISPRS Journal 77, 2013): planes and slopes stay, what is narrower than WINDOW is taken off. Within half a
    window of the cloud's edge slopes are off by what they rise there.
    """
    if not len(xyz):
        return np.zeros(0)
    edge = max(CELL, float(np.ptp(xyz[:, :2], axis=0).max()) / MOST)
    cells = np.floor((xyz[:, :2] - xyz[:, :2].min(axis=0)) / edge).astype(np.int64)
    lowest = np.full(cells.max(axis=0) + 1, np.inf)
    np.minimum.at(lowest, (cells[:, 0], cells[:, 1]), xyz[:, 2])
    eroded = ndimage.minimum_filter(lowest, WINDOW, mode="constant", cval=np.inf)
    ground = ndimage.maximum_filter(np.where(np.isinf(eroded), -np.inf, eroded), WINDOW, mode="constant", cval=-np.inf)
    height: NDArray[np.float64] = xyz[:, 2] - np.minimum(ground, lowest)[cells[:, 0], cells[:, 1]]
    return height


def height_of_scanner(xyz: NDArray[np.float64], ground: NDArray[np.bool_] | None = None) -> float | None:
    """Metres of a scanner at the origin above the plane of the ground around it; None where too little of it is seen.

    Args:
        xyz: (N, 3) in the scanner's frame.
        ground: (N,) which points are labelled as ground; without it the lowest points of plan cells are taken.
    """
    near = np.hypot(xyz[:, 0], xyz[:, 1]) < NEAR
    around = xyz[near & ground] if ground is not None and (near & ground).sum() >= 100 else _lowest(xyz[near])
    terms = np.column_stack([around[:, :2], np.ones(len(around))])
    kept = np.full(len(around), True)
    height = None
    for far in (0.3, 0.1, 0.1):  # metres from the plane before: what stands on it drops out
        if kept.sum() < 20:
            return None
        plane = np.linalg.lstsq(terms[kept], around[kept, 2], rcond=None)[0]
        kept = np.asarray(np.abs(around[:, 2] - terms @ plane) < far)
        height = -float(plane[2])
    return height


def _lowest(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points (M, 3) that are the lowest of their plan cell and close to the ground."""
    if not len(xyz):
        return xyz
    return xyz[height_above_ground(xyz) < 0.05]


def unevenness(xyz: NDArray[np.float64]) -> float | None:
    """Root mean square distance in metres of points (N, 3) from the plane of their patch, median over patches; None for few."""
    if len(xyz) < 10:
        return None
    cells = np.floor((xyz[:, :2] - xyz[:, :2].min(axis=0)) / PATCH).astype(np.int64)
    _, owner, counts = np.unique(cells[:, 0] * (cells[:, 1].max() + 1) + cells[:, 1], return_inverse=True, return_counts=True)
    owner = owner.reshape(-1)
    full = counts >= 10
    if not full.any():
        return None
    centre = np.column_stack([np.bincount(owner, xyz[:, i]) for i in range(3)]) / counts[:, None]
    local = xyz - centre[owner]
    covariance = np.stack([np.bincount(owner, local[:, i] * local[:, j]) for i in range(3) for j in range(3)], axis=1)
    smallest = np.linalg.eigvalsh(covariance[full].reshape(-1, 3, 3) / counts[full, None, None])[:, 0]
    return float(np.median(np.sqrt(np.maximum(smallest, 0))))
