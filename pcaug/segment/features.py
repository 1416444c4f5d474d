"""Features of points: the same code in training and prediction.

A cloud is thinned to one point a voxel; features are computed there; every original point knows its voxel, so that
predictions go back to all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.corpus.cells import numbered
from pcaug.errors import FileError
from pcaug.labels import IGNORE
from pcaug.scales import bright, colour_scale
from pcaug.segment.ground import height_above_ground
from pcaug.segment.shapes import EDGES, SCALES, SHARED, neighbourhoods, surroundings
from pcaug.segment.voxel import voxels

Features = NDArray[np.float32]
VERSION = 12
"""Raised whenever ``prepare`` makes something else: tiles in the cache and runs of another version are not used."""
CELLS = (1.0, 4.0, 10.0)
"""Edges of the plan cells in which heights are compared, metres."""
COMMON = 20.0
"""A multiple of all of them."""
ON_THE_EDGE = 1e-6
"""Metres that a map's points are moved by: one on a cell's edge, as surveys round them, lies in the same cell from any origin."""
FARTHEST = 10_000.0
"""Metres from its origin at which no scanner sees anything, and from which float32 would round millimetres away."""


@dataclass(frozen=True)
class Prepared:
    """A cloud as training and prediction see it.

    Attributes:
        xyz: (V, 3) float32, metres, relative to ``origin``.
        features: (V, F) float32.
        label: (V,) uint16 taxonomy node of each voxel (the majority's), 255 where unlabelled.
        voxel_of: (N,) int32 voxel of each original point.
        origin: (3,) float64.
    """

    xyz: Features
    features: Features
    label: NDArray[np.uint16]
    voxel_of: NDArray[np.int32]
    origin: NDArray[np.float64]


@dataclass(frozen=True)
class Setting:
    """What features need beside the thinned points: frame, voxel's edge, intensity that counts as one, points a voxel (V,), and
    where the points' origin lies in the cells of CELLS (2,), so that pieces of a map are divided as the whole is."""

    frame: str
    voxel: float = 0.15
    bright: float = 1.0
    points: NDArray[np.intp] = field(default_factory=lambda: np.zeros(0, np.intp))
    corner: NDArray[np.float64] = field(default_factory=lambda: np.zeros(2))


def prepare(cloud: PointCloud, groups: tuple[str, ...], voxel: float, frame: str, bright: float | None = None) -> Prepared:
    """Thin a cloud and describe its voxels.

    Args:
        cloud: Any number of points.
        groups: Names of GROUPS, in order.
        voxel: Edge, metres; the grid is anchored at multiples of it.
        frame: "sensor" or "map": in a map, height and range say nothing and are left at zero.
        bright: Intensity that counts as one, where the cloud is a piece of a larger one; else its own 95th percentile.

    Raises:
        FileError: If a scanner's frame is said of what lies too far from its origin.
    """
    if frame == "sensor" and is_far(cloud):
        do = 'its coordinates are a map\'s: its card or corpus must say frame = "map"'
        raise FileError(f"lies more than {FARTHEST:g} m from its scanner", cloud.source.file or None, do)
    in_map = len(cloud) > 0 and frame == "map"  # there on the grid, so that a piece is divided as the whole is
    grid = (EDGES[-1] if "cells" in groups else SHARED) * voxel
    corner = np.floor(cloud.xyz.mean(axis=0) / grid) * grid if in_map else np.zeros(3)
    origin = corner - ON_THE_EDGE * in_map
    local = cloud.xyz - origin
    representative, voxel_of = voxels(local, voxel)
    if bright is None:
        bright = brightness(cloud)
    thin = cloud.take(representative)
    label = (
        _majority(cloud["label"], voxel_of, len(representative)) if "label" in cloud else np.full(len(thin), IGNORE, np.uint16)
    )
    xyz = local[representative]
    setting = Setting(frame, voxel, bright, np.bincount(voxel_of, minlength=len(representative)), corner[:2] % COMMON)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        parts = list(threads.map(lambda name: GROUPS[name].of(thin, xyz, setting).astype(np.float32), groups))
    table = np.concatenate(parts, axis=1) if parts else np.zeros((len(thin), 0), np.float32)
    return Prepared(xyz.astype(np.float32), table, label, voxel_of.astype(np.int32), origin)


def is_far(cloud: PointCloud) -> bool:
    """Whether a cloud has points that no scanner at the origin would see."""
    return len(cloud) > 0 and max(cloud.xyz.max(), -cloud.xyz.min()) > FARTHEST


def _majority(label: NDArray[np.uint16], voxel_of: NDArray[np.intp], count: int) -> NDArray[np.uint16]:
    """Most frequent label of each voxel; the smallest id among equals."""
    pairs, numbers = np.unique(voxel_of * 65536 + label, return_counts=True)
    order = np.lexsort((pairs, -numbers, pairs // 65536))
    owner, first = np.unique(pairs[order] // 65536, return_index=True)
    result = np.zeros(count, np.uint16)
    result[owner] = (pairs[order][first] % 65536).astype(np.uint16)
    return result


def _plan(cloud: PointCloud, xyz: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """Per cell size: height above the cell's lowest point, depth below its highest, log count; (V, 9)."""
    columns = []
    for edge in CELLS:
        cells, _, _ = numbered(xyz[:, :2] + setting.corner, edge)
        _, inverse, counts = np.unique(cells, return_inverse=True, return_counts=True)
        inverse = inverse.reshape(-1)
        low, high = np.full(len(counts), np.inf), np.full(len(counts), -np.inf)
        np.minimum.at(low, inverse, xyz[:, 2])
        np.maximum.at(high, inverse, xyz[:, 2])
        columns += [xyz[:, 2] - low[inverse], high[inverse] - xyz[:, 2], np.log(counts[inverse])]
    return np.stack(columns, axis=1)


def _geometry(cloud: PointCloud, xyz: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """Shape of the nearest neighbours; (V, 27)."""
    return neighbourhoods(xyz, setting.voxel)


def _cells(cloud: PointCloud, xyz: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """Shape of what lies in the cells around; (V, 36)."""
    return surroundings(xyz, setting.voxel)


def _position(cloud: PointCloud, xyz: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """Height and range in the scanner's frame; zeros in a map; (V, 2)."""
    if setting.frame != "sensor":
        return np.zeros((len(xyz), 2))
    return np.stack([xyz[:, 2], np.linalg.norm(xyz, axis=1) / 10], axis=1)


def _intensity(cloud: PointCloud, xyz: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """Intensity over the one that counts as bright in this source, clipped at 2; zeros where there is none, or NaN; (V, 1)."""
    if "intensity" not in cloud or not len(cloud):
        return np.zeros((len(xyz), 1))
    return np.clip(np.nan_to_num(cloud["intensity"].astype(np.float64)) / setting.bright, 0, 2)[:, None]


def brightness(cloud: PointCloud) -> float:
    """The intensity that counts as bright in a cloud, so that sources with other units look alike; 1 where it has none."""
    return bright(cloud["intensity"]) if "intensity" in cloud else 1.0


def _returns(cloud: PointCloud, xyz: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """Return number and number of returns; ones where there are none; (V, 2)."""
    names = ("return_number", "number_of_returns")
    found = [np.nan_to_num(cloud[name].astype(float)) if name in cloud else np.ones(len(xyz)) for name in names]
    table: NDArray[np.float64] = np.maximum(np.stack(found, axis=1), 1)  # LAS counts from 1; what nobody measured is 0 there
    return table


def _ground(cloud: PointCloud, xyz: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """Height above ground; (V, 1)."""
    return height_above_ground(xyz)[:, None]


def _colour(cloud: PointCloud, xyz: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """Red, green, blue from 0 to 1, of 8 or 16 bits, whichever the cloud uses; zeros where there are none; (V, 3)."""
    if "rgb" not in cloud:
        return np.zeros((len(xyz), 3))
    rgb: NDArray[Any] = np.nan_to_num(cloud["rgb"])
    scaled: NDArray[np.float64] = rgb.astype(np.float64) / colour_scale(rgb)
    return scaled


def _density(cloud: PointCloud, xyz: NDArray[np.float64], setting: Setting) -> NDArray[np.float64]:
    """Log of the points that were measured in the voxel, which thinning hides from all other features; (V, 1)."""
    return np.log(np.maximum(setting.points, 1.0))[:, None]


class Follow(Enum):
    """What becomes of a feature when an augmentation changes the points that it was computed from."""

    STAY = "stay"
    LENGTH = "length"
    LOG_LENGTH = "log length"
    INTENSITY = "intensity"
    COLOUR = "colour"


@dataclass(frozen=True)
class Group:
    """Features that belong together.

    Attributes:
        of: (thinned cloud, positions (V, 3), setting) -> (V, F).
        columns: Names of the F columns, and what becomes of each under augmentation.
    """

    of: Callable[[PointCloud, NDArray[np.float64], Setting], NDArray[np.float64]]
    columns: dict[str, Follow]


_PLAN = {"height above the lowest": Follow.LENGTH, "depth below the highest": Follow.LENGTH, "points": Follow.STAY}
_SHAPE = {
    "scatter": Follow.STAY,
    "planarity's width": Follow.STAY,
    "length": Follow.STAY,
    "verticality of the normal": Follow.STAY,
    "verticality of the axis": Follow.STAY,
    "size": Follow.LOG_LENGTH,
    "spacing": Follow.LOG_LENGTH,
    "height spread": Follow.LENGTH,
    "height above the neighbours": Follow.LENGTH,
}

_AROUND = {{"spacing": "points"}.get(name, name): Follow.STAY if name == "spacing" else follow for name, follow in _SHAPE.items()}

GROUPS: dict[str, Group] = {
    "plan": Group(_plan, {f"{name} in {edge:g} m": follow for edge in CELLS for name, follow in _PLAN.items()}),
    "geometry": Group(_geometry, {f"{name} of {k} neighbours": follow for k in SCALES for name, follow in _SHAPE.items()}),
    "cells": Group(_cells, {f"{name} in cells of {edge} voxels": follow for edge in EDGES for name, follow in _AROUND.items()}),
    "position": Group(_position, {"height of the point in the scanner's frame": Follow.LENGTH, "range": Follow.LENGTH}),
    "ground": Group(_ground, {"height above ground": Follow.LENGTH}),
    "intensity": Group(_intensity, {"intensity": Follow.INTENSITY}),
    "returns": Group(_returns, {"return number": Follow.STAY, "number of returns": Follow.STAY}),
    "colour": Group(_colour, {"red": Follow.COLOUR, "green": Follow.COLOUR, "blue": Follow.COLOUR}),
    "density": Group(_density, {"points in the voxel": Follow.STAY}),
}


def names(groups: tuple[str, ...]) -> tuple[str, ...]:
    """Names of all columns of some groups, in order."""
    return tuple(name for group in groups for name in GROUPS[group].columns)


def follows(groups: tuple[str, ...]) -> tuple[Follow, ...]:
    """What becomes of each column of some groups under augmentation, in order."""
    return tuple(follow for group in groups for follow in GROUPS[group].columns.values())
