"""A procedural wood or mountain side: a slope with rock faces, a track, trees that keep their distance, undergrowth, stones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pcaug import catalogue
from pcaug.scene.asset import MATERIAL_NAMES, Builder, Placement, Scene, placed
from pcaug.scene.library import Library
from pcaug.scene.ranges import draw
from pcaug.scene.recipe import Wood
from pcaug.scene.shapes import Points, grid, height_on, noise, quad

Rng = np.random.Generator
CELL = 0.8
"""Edge of a ground cell, metres."""
MARGIN = 6.0
"""How far the ground reaches beyond the square, metres."""
FACE = 4.0
"""A face takes one part in so many of the width of its step."""
CLIMB = 1.2
"""Steeper than this no soil stays, rise over run."""


class _Slope:
    """The ground: a tilted plane with hollows, rock faces, small unevenness, a track cut along a line, water at the foot."""

    def __init__(self, recipe: Wood, rng: Rng) -> None:
        self.size = recipe.size
        axis = np.arange(-MARGIN, recipe.size + MARGIN + CELL, CELL)
        self.x, self.y = np.meshgrid(axis, axis, indexing="ij")
        fall, way = draw(recipe.slope, rng), rng.uniform(0, 2 * np.pi)
        plane = fall * (np.cos(way) * self.x + np.sin(way) * self.y)
        land = plane + draw(recipe.relief, rng) * noise(self.x, self.y, 14.0, rng)
        self.z = _broken(land, draw(recipe.faces, rng)) + draw(recipe.roughness, rng) * noise(self.x, self.y, 1.6, rng)
        self.rock = np.hypot(*np.gradient(self.z, CELL)) > CLIMB
        patches = noise(self.x, self.y, 8.0, rng)
        self.rock |= patches < np.quantile(patches, draw(recipe.rock, rng))
        self.z = self.z + np.where(self.rock, draw(recipe.ledges, rng), 0.0) * noise(self.x, self.y, 2.2, rng)
        self.water = float(np.quantile(self.z, rng.uniform(0.1, 0.5))) if rng.random() < recipe.water else -np.inf
        self.track: tuple[NDArray[np.float64], float, float] | None = None
        if rng.random() < recipe.track:
            angle = rng.uniform(0, np.pi)
            across = np.array([-np.sin(angle), np.cos(angle)])
            self.track = across, float(across @ rng.uniform(0.3, 0.7, 2) * recipe.size), rng.uniform(1.2, 2.0)

    def beside(self, xy: Points) -> Points:
        """Distance from the track's middle in its half widths; infinite without a track."""
        if self.track is None:
            return np.full(len(xy), np.inf)
        across, offset, half = self.track
        away: Points = np.abs(xy[:, 0] * across[0] + xy[:, 1] * across[1] - offset) / half
        return away

    def height(self, xy: Points) -> Points:
        """Of the ground at plan positions (N, 2)."""
        return height_on(self.z, (xy + MARGIN) / CELL)

    def free(self, xy: Points, *, soil: bool) -> NDArray[np.bool_]:
        """Whether plan positions (N, 2) are dry, off the track and, where asked, on soil."""
        bare = self.rock[self._cell(xy)] & soil
        dry: NDArray[np.bool_] = (self.beside(xy) > 1) & (self.height(xy) > self.water) & ~bare
        return dry

    def _cell(self, xy: Points) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        i, j = np.clip(((xy + MARGIN) / CELL).astype(np.intp), 0, len(self.z) - 1).T
        return i, j


def _broken(land: Points, height: float) -> Points:
    """Ground that rises in steps of a height, each with a face and a ledge; as it was for a height of zero."""
    if height <= 0:
        return land
    step = np.floor(land / height)
    share = np.clip((land / height - step - 0.5) * FACE + 0.5, 0, 1)
    broken: Points = height * (step + 0.7 * share) + 0.3 * (land - height * step)  # ledges slope a little
    return broken


def build_wood(recipe: Wood, name: str, rng: Rng, library: Library) -> Scene:
    """A square of wood; the scanner stands in a gap near its middle."""
    land = _Slope(recipe, rng)
    static = Builder()
    _ground(static, land)
    placements: list[Placement] = [Placement(static.asset("ground"), np.eye(4), 0)]
    trees = _spread(land, draw(recipe.trees, rng), draw(recipe.spacing, rng), rng, soil=True)
    viewpoint = _gap(trees, recipe.size, rng)
    share = draw(recipe.conifers, rng)
    for x, y, z in np.column_stack([trees, land.height(trees)]):
        asset = library.pick("spruce" if rng.random() < share else "broadleaf", rng)
        scale = draw(recipe.tree_height, rng) * rng.uniform(0.8, 1.1) / float(np.ptp(asset.bounds[:, 2]))
        placements.append(placed(asset, (x, y, z), rng.uniform(0, 2 * np.pi), scale, len(placements)))
    for kind, low_high, (small, large) in (
        ("bush", recipe.bushes, (0.5, 1.6)), ("herbs", recipe.herbs, (0.5, 1.5)), ("log", recipe.logs, (0.6, 1.2)),
        ("stone", recipe.stones, (0.5, 1.8)),
    ):  # fmt: skip
        spots = _spread(land, draw(low_high, rng), 0.3, rng, soil=kind != "stone")
        for x, y, z in np.column_stack([spots, land.height(spots)]):
            number = len(placements) if kind in ("bush", "log") else 0
            placements.append(
                placed(library.pick(kind, rng), (x, y, z), rng.uniform(0, 2 * np.pi), rng.uniform(small, large), number)
            )
    at = np.array([*viewpoint, max(float(land.height(viewpoint[None])[0]), land.water)])
    extent = np.array([[0.0, 0.0], [recipe.size, recipe.size]])
    return Scene(tuple(placements), name, at, float(rng.uniform(0, 2 * np.pi)), extent)


def _ground(static: Builder, land: _Slope) -> None:
    triangles = grid(land.x, land.y, land.z)
    material = np.full(len(triangles), MATERIAL_NAMES.index("soil"), np.uint8)
    middle = triangles.mean(axis=1)[:, :2]
    material[~land.free(middle, soil=True)] = MATERIAL_NAMES.index("gravel")  # as bright as rock and the water's bed
    static.add_faces(triangles, np.full(len(triangles), catalogue.taxonomy().id("terrain"), np.uint16), material)
    if np.isfinite(land.water):
        low, high = land.x[0, 0], land.x[-1, -1]
        static.add(quad(*((x, y, land.water) for x, y in ((low, low), (high, low), (high, high), (low, high)))), "water", "water")


def _spread(land: _Slope, per_hectare: float, apart: float, rng: Rng, *, soil: bool) -> Points:
    """(N, 2) random places that are free, none nearer than ``apart`` metres to an earlier one (Matern's second process)."""
    edge = land.size + 8
    spots = rng.uniform(-4, land.size + 4, (int(rng.poisson(per_hectare * edge * edge / 10_000)), 2))
    spots = spots[land.free(spots, soil=soil)]
    late = {int(max(pair)) for pair in cKDTree(spots).query_pairs(apart)} if len(spots) else set()
    found: Points = np.delete(spots, sorted(late), axis=0)
    return found


def _gap(trees: Points, size: float, rng: Rng) -> Points:
    """The place near the middle that is farthest from any trunk, of twenty tries."""
    tries = rng.uniform(0.4, 0.6, (20, 2)) * size
    if not len(trees):
        return np.asarray(tries[0])
    return np.asarray(tries[int(np.argmax(cKDTree(trees).query(tries)[0]))])
