"""Triangles of simple shapes, vectorised: all return (M, 3, 3) float64 in metres, z up."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pcaug.cloud import about_z
from pcaug.scene.asset import Triangles

Points = NDArray[np.float64]

_BOX = np.array([
    [0, 1, 5], [0, 5, 4], [1, 3, 7], [1, 7, 5], [3, 2, 6], [3, 6, 7],
    [2, 0, 4], [2, 4, 6], [4, 5, 7], [4, 7, 6], [0, 2, 3], [0, 3, 1],
])  # fmt: skip


def quad(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> Triangles:
    """A flat quadrilateral a-b-c-d."""
    a, b, c, d = (np.asarray(p, dtype=np.float64) for p in (a, b, c, d))
    return np.array([[a, b, c], [a, c, d]])


def box(low: ArrayLike, high: ArrayLike) -> Triangles:
    """An axis-aligned box between two corners."""
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")).reshape(3, -1).T[:, ::-1]
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    points: Points = low + corners * (high - low)
    triangles: Triangles = points[_BOX]
    return triangles


def boxes(low: Points, high: Points) -> Triangles:
    """Many boxes: corners (K, 3) each -> (12 K, 3, 3)."""
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")).reshape(3, -1).T[:, ::-1]
    points = low[:, None] + corners[None] * (high - low)[:, None]
    return points[:, _BOX].reshape(-1, 3, 3)


def loft(sections: Points) -> Triangles:
    """Surface through S rings of P points each, (S, P, 3), with both ends closed by fans."""
    rings = np.asarray(sections, dtype=np.float64)
    turned = np.roll(rings, -1, axis=1)
    a, b, c, d = rings[:-1], turned[:-1], turned[1:], rings[1:]
    sides = np.concatenate([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)]).reshape(-1, 3, 3)
    ends = []
    for ring in (rings[0], rings[-1]):
        middle = np.broadcast_to(ring.mean(axis=0), ring.shape)
        ends.append(np.stack([ring, np.roll(ring, -1, axis=0), middle], axis=1))
    return np.concatenate([sides, *ends])


def tube(start: ArrayLike, end: ArrayLike, r0: float, r1: float | None = None, sides: int = 6) -> Triangles:
    """A cylinder or cone frustum between two points, radii in metres, ends closed."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    axis = end - start
    axis = axis / max(float(np.linalg.norm(axis)), 1e-9)
    helper = np.array([1.0, 0, 0]) if abs(axis[0]) < 0.9 else np.array([0, 1.0, 0])
    u = np.cross(axis, helper)
    u /= np.linalg.norm(u)
    v = np.cross(axis, u)
    angle = np.linspace(0, 2 * np.pi, sides, endpoint=False)
    ring = np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * v
    return loft(np.stack([start + ring * r0, end + ring * (r0 if r1 is None else r1)]))


def leaves(centres: Points, size: float, rng: np.random.Generator) -> Triangles:
    """One randomly turned triangle of about ``size`` metres at each centre (K, 3)."""
    corners = rng.normal(0, size * 0.6, (len(centres), 3, 3))
    triangles: Triangles = centres[:, None] + corners - corners.mean(axis=1, keepdims=True)
    return triangles


def grid(x: Points, y: Points, z: Points) -> Triangles:
    """A surface over a plan grid given by arrays (I, J): 2 (I-1)(J-1) triangles, two a cell, cell by cell."""
    p = np.stack([x, y, z], axis=-1)
    a, b, c, d = p[:-1, :-1], p[1:, :-1], p[1:, 1:], p[:-1, 1:]
    cells = np.stack([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)], axis=2)
    triangles: Triangles = cells.reshape(-1, 3, 3)
    return triangles


def height_on(z: Points, at: Points) -> Points:
    """Height (N,) of the triangles of ``grid`` over a square (I, I), at plan positions (N, 2) counted in its cells; beyond it,
    that of its edge."""
    at = np.clip(at, 0, len(z) - 1)
    i, j = np.minimum(at.astype(np.intp), len(z) - 2).T
    u, v = (at - np.stack([i, j], axis=1)).T
    low, high = z[i, j], z[i + 1, j + 1]
    found: Points = low + np.where(
        u >= v, u * (z[i + 1, j] - low) + v * (high - z[i + 1, j]), v * (z[i, j + 1] - low) + u * (high - z[i, j + 1])
    )
    return found


def moved(triangles: Triangles, shift: ArrayLike = (0, 0, 0), yaw: float = 0.0, scale: ArrayLike = 1.0) -> Triangles:
    """Scaled, then turned about z by radians, then shifted."""
    out: Triangles = (triangles * np.asarray(scale)) @ about_z(yaw).T + np.asarray(shift, dtype=np.float64)
    return out


def noise(x: Points, y: Points, grain: float, rng: np.random.Generator) -> Points:
    """Smooth value noise in about +-1 at plan positions, features of ``grain`` metres, two octaves."""
    total = np.zeros(np.shape(x))
    for octave, weight in ((1.0, 0.7), (0.4, 0.3)):
        step = grain * octave
        low = np.array([np.min(x), np.min(y)])
        i, j = (np.asarray(x) - low[0]) / step, (np.asarray(y) - low[1]) / step
        table = rng.uniform(-1, 1, (int(np.max(i)) + 3, int(np.max(j)) + 3))
        i0, j0 = i.astype(int), j.astype(int)
        u, v = i - i0, j - j0
        u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
        total += weight * (
            table[i0, j0] * (1 - u) * (1 - v)
            + table[i0 + 1, j0] * u * (1 - v)
            + table[i0, j0 + 1] * (1 - u) * v
            + table[i0 + 1, j0 + 1] * u * v
        )
    return total
