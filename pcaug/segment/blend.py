"""Blending: which source each block of a training comes from, and what its labels count."""

from __future__ import annotations

import math

import numpy as np

from pcaug.segment.recipe import TrainRecipe

LEAST_REAL, MOST_REAL = 0.5, 0.75
"""Shares of real blocks between which one is chosen for a recipe that names none."""


def share_of(recipe: TrainRecipe, units: int = 1) -> float:
    """Share of the blocks that are real: the recipe's, or n / (n + 2) of n independent real units, from LEAST_REAL to MOST_REAL.

    Many drives know most of what there is, and then composed streets that take half of the blocks cost some classes.
    """
    return min(MOST_REAL, max(LEAST_REAL, units / (units + 2))) if recipe.real_share is None else recipe.real_share


def real_blocks(number: int, blocks: int, recipe: TrainRecipe) -> float:
    """How many of the first ``number`` of a training's ``blocks`` are to be real.

    The share runs from ``real_start`` to that of ``share_of`` in a straight line over the first ``anneal`` of the training, and
    stays there.
    """
    share = share_of(recipe)
    start = share if recipe.real_start is None else recipe.real_start
    ramp = max(recipe.anneal * blocks, 1e-9)
    done = min(number, ramp)
    return start * done + (share - start) * done**2 / (2 * ramp) + share * (number - done)


def source_of(number: int, blocks: int, sources: int, recipe: TrainRecipe, rng: np.random.Generator) -> int:
    """Source of a block: 0 is real, the others synthetic. Real ones come exactly as often as they should, evenly spread.

    Args:
        number: Of the block, in the order of training.
        blocks: Of the whole training.
        sources: Corpora, the real one first.
        recipe: Its shares.
        rng: Draws among the synthetic ones by ``synthetic_shares``.
    """
    if sources == 1 or math.floor(real_blocks(number + 1, blocks, recipe)) > math.floor(real_blocks(number, blocks, recipe)):
        return 0
    shares = np.asarray(recipe.synthetic_shares or [1.0] * (sources - 1))
    return 1 + int(rng.choice(sources - 1, p=shares / shares.sum()))
