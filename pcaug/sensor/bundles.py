"""Bundles of rays that leave side by side, and which boxes each of them may meet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
WIDE = 0.5
"""Least cosine between a bundle's axis and its rays up to which it has sides that can miss a box."""


class Bundles:
    """Rays sorted by bundle, and a cone and a pyramid about each bundle.

    Attributes:
        order: (N,) int64 index of the ray in each row.
        direction: (N, 3) float64 of the rows, unit vectors.
        starts: (B,) int64 first row of each bundle.
        sizes: (B,) int64 rows of each bundle.
    """

    def __init__(self, origin: Array, direction: Array, bundle: NDArray[np.int64]) -> None:
        self.order = np.argsort(bundle, kind="stable")
        self.starts = np.flatnonzero(np.diff(bundle[self.order], prepend=bundle[self.order[0]] - 1))
        self.sizes = np.diff(np.append(self.starts, len(self.order)))
        origin, self.direction = origin[self.order], direction[self.order]
        axis = np.add.reduceat(self.direction, self.starts)
        self._axis = axis / np.maximum(np.linalg.norm(axis, axis=1, keepdims=True), 1e-9)
        self._apex = np.add.reduceat(origin, self.starts) / self.sizes[:, None]
        off = origin - np.repeat(self._apex, self.sizes, axis=0)
        self._spread = np.sqrt(np.maximum.reduceat(np.einsum("ij,ij->i", off, off), self.starts))
        self._enclose()

    def _enclose(self) -> None:
        """Half angle of each cone, and the four sides of each pyramid: least and largest slopes off its axis."""
        upright = np.abs(self._axis[:, 2:]) > 0.9
        right = np.cross(self._axis, np.where(upright, [[1.0, 0, 0]], [[0, 0, 1.0]]))
        right /= np.maximum(np.linalg.norm(right, axis=1, keepdims=True), 1e-9)
        self._basis = np.stack([right, np.cross(right, self._axis), self._axis], axis=1)
        local = np.einsum("nij,nj->ni", np.repeat(self._basis, self.sizes, axis=0), self.direction)
        narrow = np.minimum.reduceat(local[:, 2], self.starts)
        self._half = np.arccos(np.clip(narrow, -1, 1))
        slope = local[:, :2] / np.maximum(local[:, 2:], 1e-9)
        self._least, self._most = np.minimum.reduceat(slope, self.starts), np.maximum.reduceat(slope, self.starts)
        self._sided = narrow > WIDE

    def rows(self, bundles: NDArray[np.intp]) -> NDArray[np.intp]:
        """Rows of some bundles, one bundle after the other."""
        sizes = self.sizes[bundles]
        ends = np.cumsum(sizes)
        return np.asarray(np.arange(ends[-1]) + np.repeat(self.starts[bundles] - ends + sizes, sizes))

    def near(self, corners: Array) -> tuple[NDArray[np.bool_], Array]:
        """(boxes, bundles): whether a ray of a bundle may meet a box, and at what distance at least.

        A bundle misses a box whose sphere its cone misses, or whose eight corners lie beyond one side of its pyramid.

        Args:
            corners: (P, 8, 3) of the boxes.
        """
        centre = corners.mean(axis=1)
        radius = np.linalg.norm(corners - centre[:, None], axis=2).max(axis=1)
        towards = centre[:, None] - self._apex[None]
        distance = np.sqrt(np.einsum("pbk,pbk->pb", towards, towards))
        reach = radius[:, None] + self._spread[None]
        across = np.maximum(distance, 1e-9)
        angle = np.arccos(np.clip(np.einsum("pbk,bk->pb", towards, self._axis) / across, -1, 1))
        seen = (distance <= reach) | (angle <= self._half + np.arcsin(np.clip(reach / across, 0, 1)))
        box, bundle = np.nonzero(seen & self._sided)
        local = np.einsum("qij,qcj->qci", self._basis[bundle], corners[box] - self._apex[bundle, None])
        plan, ahead = local[..., :2], local[..., 2:]
        least, most, spread = self._least[bundle, None], self._most[bundle, None], self._spread[bundle, None, None]
        beyond = (plan > most * ahead + spread * (1 + np.abs(most))).all(axis=1)
        beyond |= (plan < least * ahead - spread * (1 + np.abs(least))).all(axis=1)
        missed = beyond.any(axis=1)
        seen[box[missed], bundle[missed]] = False
        return seen, distance - reach
