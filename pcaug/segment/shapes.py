"""Local shape: what the covariances of a point's surroundings say, of its nearest neighbours or of the cells around it."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pcaug.parallel import in_batches
from pcaug.segment.voxel import grouped, voxels

SCALES = (10, 24, 48)
"""Neighbours at which the local geometry is described."""
SHARED = 2
"""Edge of the cells in which points share one neighbourhood, voxels."""
EDGES = (1, 2, 4, 8)
"""Edges of the cells by whose surroundings the local geometry is described without a search, voxels."""
HEIGHT = 8
"""Column of a scale that tells the point's height above its neighbours, which no point shares."""
TRIANGLE = np.triu_indices(3)
"""Rows and columns of a symmetric matrix's six entries: xx, xy, xz, yy, yz, zz."""
BATCH = 8_000
"""Points whose neighbourhoods one thread holds in memory at once."""


def neighbourhoods(xyz: NDArray[np.float64], voxel: float) -> NDArray[np.float64]:
    """Shape of the nearest neighbours at each of SCALES; (V, 27). After Weinmann et al., ISPRS Journal 105, 2015.

    Neighbours are sought once for each cell of SHARED voxels, around the first of its points; all points in it share them.

    Args:
        xyz: (V, 3) one point a voxel, metres.
        voxel: Edge of the voxels, metres.
    """
    columns = 9 * len(SCALES)
    if len(xyz) < 4:
        return np.zeros((len(xyz), columns))
    first, cell = voxels(xyz, SHARED * voxel)
    asked = xyz[first]
    result = np.zeros((len(asked), columns))
    tree, axes = cKDTree(xyz, balanced_tree=False, compact_nodes=False), np.ascontiguousarray(xyz.T)

    def describe(rows: slice) -> None:
        distance, index = tree.query(asked[rows], k=min(SCALES[-1], len(xyz)))
        near = np.take(axes, index.T, axis=1) - asked[rows].T[:, None]
        result[rows] = _described(near, distance.T)

    in_batches(describe, len(asked), BATCH, torch.get_num_threads())
    own = result[cell]
    own[:, HEIGHT :: columns // len(SCALES)] += (xyz[:, 2] - asked[cell, 2])[:, None]
    return own


def _described(near: NDArray[np.float64], distance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Descriptions (N, 9 S) of neighbours (3, K, N), relative to their point and nearest first, and their distances (K, N).

    At each scale: normalised roots of the covariance's eigenvalues (3), verticality of normal and main axis, size, reach,
    spread of the heights, height. Neighbours are summed up once: a scale adds those that the one before had not.
    """
    columns, known = [], 0
    sums, products = np.zeros((3, near.shape[2])), np.zeros((6, near.shape[2]))
    for scale in SCALES:
        k = min(scale, near.shape[1])
        added, known = near[:, known:k], k
        sums += added.sum(axis=1)
        for entry, i, j in zip(products, *TRIANGLE, strict=True):
            entry += np.einsum("kn,kn->n", added[i], added[j])
        columns += _scale(sums / k, products / k, np.log(distance[k - 1] + 1e-3), 1e-3)
    return np.stack(columns, axis=1)


def surroundings(xyz: NDArray[np.float64], voxel: float) -> NDArray[np.float64]:
    """Shape of all points in the 27 cells around a point's own, in cells of each of EDGES; (V, 36).

    Without a search: moments are summed up once a cell, and moved to where they are asked for. Forests learn more from these
    than from nearest neighbours, networks with a plan of their own do not.

    Args:
        xyz: (V, 3) one point a voxel, metres.
        voxel: Edge of the voxels, metres.
    """
    if not len(xyz):
        return np.zeros((0, 9 * len(EDGES)))
    return np.concatenate([_around(xyz, edge * voxel) for edge in EDGES], axis=1)


def _around(xyz: NDArray[np.float64], edge: float) -> NDArray[np.float64]:
    """Description (V, 9) by cells of one edge: as at a scale of ``neighbourhoods``, with the number of points for the reach."""
    cells = np.floor(xyz / edge).astype(np.int64)
    x, y = (xyz[:, :2] - (cells[:, :2] + 0.5) * edge).T  # from the middle of the own cell: no digits are lost in squares
    z = xyz[:, 2]
    cells -= cells.min(axis=0) - 1  # a border of empty cells, so that a neighbour's number is never another cell's
    _, wide, high = cells.max(axis=0) + 2
    keys = (cells[:, 0] * wide + cells[:, 1]) * high + cells[:, 2]
    first, cell_of = grouped(keys)
    known = keys[first]
    columns = (np.ones(len(z)), x, y, z, x * x, x * y, x * z, y * y, y * z, z * z)
    moments = np.stack([np.bincount(cell_of, values, len(known) + 1) for values in columns])
    result = np.empty((len(known), 9))

    def describe(rows: slice) -> None:
        sums = np.zeros((10, len(known[rows])))
        for i, j in product((-1, 0, 1), repeat=2):
            column = known[rows] + (i * wide + j) * high
            low, end = np.searchsorted(known, column - 1), np.searchsorted(known, column + 2)
            three = np.add.reduceat(moments, np.stack([low, end], axis=1).ravel(), axis=1)[:, ::2]
            sums += _moved(three * (low < end), i * edge, j * edge)
        result[rows] = np.stack(_scale(sums[1:4] / sums[0], sums[4:] / sums[0], np.log(sums[0]), 1e-2), axis=1)

    in_batches(describe, len(known), BATCH, torch.get_num_threads())
    own = result[cell_of]
    own[:, HEIGHT] += z
    return own


def _moved(moments: NDArray[np.float64], a: float, b: float) -> NDArray[np.float64]:
    """Sums (10, N) of 1, x, y, z, xx, xy, xz, yy, yz, zz, as they are for points that are moved by a in x and b in y."""
    n, x, y, z, xx, xy, xz, yy, yz, zz = moments
    xy = xy + a * y + b * x + a * b * n
    squares = (xx + 2 * a * x + a * a * n, xy, xz + a * z, yy + 2 * b * y + b * b * n, yz + b * z, zz)
    return np.stack([n, x + a * n, y + b * n, z, *squares])


def _scale(
    mean: NDArray[np.float64], squares: NDArray[np.float64], extent: NDArray[np.float64], least: float
) -> list[NDArray[np.float64]]:
    """The nine columns (N,) of one scale.

    Args:
        mean: (3, N) of the points around.
        squares: (6, N) means of their products, entries of TRIANGLE.
        extent: (N,) how far, or how many, they are.
        least: Metres that are added to the size, whose logarithm is taken.
    """
    covariance = squares - mean[TRIANGLE[0]] * mean[TRIANGLE[1]]
    values, upright = principal(covariance)
    roots = np.sqrt(np.maximum(values, 0))
    size = np.maximum(roots.sum(axis=0), 1e-9)
    spread = np.sqrt(np.maximum(covariance[5], 0))
    return [*(roots / size), upright[0], upright[2], np.log(size + least), extent, spread, -mean[2]]


def principal(covariance: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues (3, N) of symmetric matrices, smallest first, and |z| of their unit eigenvectors (3, N).

    Eigenvalues by Smith, Comm. ACM 4(4), 1961; |z| from them and those of the matrix without its last row and column alone
    (Denton et al., Bull. AMS 59, 2022): many times as fast as a decomposition each. Where eigenvalues are equal the vectors
    are anybody's choice.

    Args:
        covariance: (6, N), entries of TRIANGLE.
    """
    xx, xy, xz, yy, yz, zz = covariance
    middle = (xx + yy + zz) / 3
    a, b, c = xx - middle, yy - middle, zz - middle
    off = xy * xy + xz * xz + yz * yz
    radius = np.sqrt(np.maximum((a * a + b * b + c * c + 2 * off) / 6, 1e-30))
    determinant = a * (b * c - yz * yz) - xy * (xy * c - yz * xz) + xz * (xy * yz - b * xz)
    angle = np.arccos(np.clip(determinant / (2 * radius * radius * radius), -1, 1)) / 3
    high, low = middle + 2 * radius * np.cos(angle), middle + 2 * radius * np.cos(angle + 2 * np.pi / 3)
    values = np.stack([low, 3 * middle - high - low, high])
    minors = (values - xx) * (values - yy) - xy * xy
    gaps = (values - values[[1, 0, 0]]) * (values - values[[2, 2, 1]])
    square = minors / np.where(np.abs(gaps) > 1e-30, gaps, 1e-30)
    return values, np.sqrt(np.clip(square, 0, 1))
