"""Voxels: points that share a cell of a grid."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


def voxels(xyz: NDArray[np.float64], edge: float) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First point of each occupied voxel (V,), in order of voxels, and the voxel of each point (N,)."""
    if not len(xyz):
        return np.zeros(0, np.intp), np.zeros(0, np.intp)
    cells = np.floor(xyz / edge).astype(np.int64)
    cells -= cells.min(axis=0)
    size = cells.max(axis=0) + 1
    return grouped((cells[:, 0] * size[1] + cells[:, 1]) * size[2] + cells[:, 2])


def grouped(keys: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First place of each value (V,), in order of values, and the value of each place (N,); twice as fast as np.unique."""
    order = torch.argsort(torch.from_numpy(keys), stable=True).numpy()
    new = np.append(True, np.diff(keys[order]) != 0)
    value_of = np.empty(len(keys), np.intp)
    value_of[order] = np.cumsum(new) - 1
    return order[new], value_of
