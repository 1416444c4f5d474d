"""The ground around a scanner: how far below it lies, and how uneven it is. No labels needed but where said."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcaug.corpus.cells import own_cells
from pcaug.segment.ground import height_above_ground

NEAR = 15.0
"""Metres around a scanner in which the ground counts as a plane."""
PATCH = 1.0
"""Edge of the patches that unevenness is measured on, metres."""


def height_of_scanner(xyz: NDArray[np.float64], ground: NDArray[np.bool_] | None = None) -> float | None:
    """Metres of a scanner at the origin above the plane of the ground around it; None where too little of it is seen.

    Args:
        xyz: (N, 3) in the scanner's frame.
        ground: (N,) which points are labelled as ground; without it those close to the ground's surface are taken.
    """
    near = np.hypot(xyz[:, 0], xyz[:, 1]) < NEAR
    around = xyz[near & ground] if ground is not None and (near & ground).sum() >= 100 else _low(xyz[near])
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


def _low(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points (M, 3) that lie close to the ground, or below it."""
    return xyz[height_above_ground(xyz) < 0.05]


def unevenness(xyz: NDArray[np.float64]) -> float | None:
    """Root mean square distance in metres of points (N, 3) from the plane of their patch, median over patches; None for few."""
    if len(xyz) < 10:
        return None
    _, owner, counts = np.unique(own_cells(xyz, PATCH), return_inverse=True, return_counts=True)
    owner = owner.reshape(-1)
    full = counts >= 10
    if not full.any():
        return None
    centre = np.column_stack([np.bincount(owner, xyz[:, i]) for i in range(3)]) / counts[:, None]
    local = xyz - centre[owner]
    covariance = np.stack([np.bincount(owner, local[:, i] * local[:, j]) for i in range(3) for j in range(3)], axis=1)
    smallest = np.linalg.eigvalsh(covariance[full].reshape(-1, 3, 3) / counts[full, None, None])[:, 0]
    return float(np.median(np.sqrt(np.maximum(smallest, 0))))
