"""Regions: what a network sees at once, and how a cloud is covered by them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import RecipeError
from pcaug.segment.voxel import voxels

if TYPE_CHECKING:
    from pcaug.segment.blocks import GridIndex
    from pcaug.segment.recipe import TrainRecipe

Xyz = NDArray[np.floating]
STRIDE = {"block": 0.7, "column": 0.7, "sphere": 0.57}
"""Distance of regions over their width: neighbours overlap and vote, and no corner is left out (1 / sqrt 2, 1 / sqrt 3)."""
SHIFT = 0.25
"""Share of its width by which a drawn region's centre is off the point that it was drawn for, at most."""


def check(recipe: TrainRecipe, frame: str, where: Path | None = None) -> None:
    """Raise RecipeError for whole scans of what is no scan."""
    if recipe.region == "scan" and frame != "sensor":
        raise RecipeError("region=scan sees one sweep at once, and this is a map", where, "set region=block, column or sphere")


def drawn(xyz: Xyz, seed: int, recipe: TrainRecipe, rng: np.random.Generator) -> NDArray[np.float64]:
    """Centre (3,) of a region with a point in it, off by up to a quarter of its width; the scanner's place for whole scans."""
    if recipe.region == "scan":
        return np.zeros(3)
    centre = np.array(xyz[seed], np.float64)
    axes = 3 if recipe.region == "sphere" else 2
    centre[:axes] += rng.uniform(-SHIFT, SHIFT, axes) * recipe.block
    return centre


def rows(xyz: Xyz, grid: GridIndex, centre: NDArray[np.float64], recipe: TrainRecipe) -> NDArray[np.int32]:
    """Points (V, 3) inside the region around a centre (3,): a square or a disc of ground, a ball, or all there is."""
    if recipe.region == "scan":
        return np.arange(len(xyz), dtype=np.int32)
    inside = grid.square(xyz[:, :2], centre[:2], recipe.block)
    if recipe.region == "block":
        return inside
    axes = 2 if recipe.region == "column" else 3
    near: NDArray[np.int32] = inside[np.linalg.norm(xyz[inside, :axes] - centre[:axes], axis=1) <= recipe.block / 2]
    return near


def covering(xyz: Xyz, recipe: TrainRecipe) -> NDArray[np.float64]:
    """Centres (R, 3) of overlapping regions that hold every point (V, 3)."""
    if recipe.region == "scan":
        return np.zeros((min(1, len(xyz)), 3))
    step = recipe.block * STRIDE[recipe.region]
    places = np.array(xyz, np.float64)
    if recipe.region != "sphere":
        places[:, 2] = 0  # regions that reach from the ground to the sky
    one_of_each, _ = voxels(places, step)
    return (np.floor(places[one_of_each] / step) + 0.5) * step
