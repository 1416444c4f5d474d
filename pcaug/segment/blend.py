"""Blending: which source each block of a training comes from, and what its labels count."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.segment.blocks import Block
from pcaug.segment.recipe import TrainRecipe

LEAST_REAL, MOST_REAL = 0.5, 0.75
"""Shares of real blocks between which one is chosen for a recipe that names none."""
OFF_MIDDLE = 0.05
"""Share of its width by which a block is cut beside its middle, at most."""


def share_of(recipe: TrainRecipe, units: int = 1) -> float:
    """Share of the blocks that are real: the recipe's, or n / (n + 2) of n independent real units, from LEAST_REAL to MOST_REAL.

    Many drives know most of what there is, and then composed streets that take half of the blocks cost some classes.
    """
    return _by_units(units) if recipe.real_share is None else recipe.real_share


def _by_units(units: int) -> float:
    return min(MOST_REAL, max(LEAST_REAL, units / (units + 2)))


def cutmix_of(recipe: TrainRecipe, units: int = 1) -> float:
    """Share of the blocks that are cut together: the recipe's, or none for one or two real units, up to half of them for six.

    With six drives it gained, with one it did not. Batch norms by source need whole blocks.
    """
    if recipe.cutmix is not None:
        return recipe.cutmix
    return 0.0 if recipe.source_norms else 2 * _by_units(units) - 1


def real_blocks(number: int, blocks: int, recipe: TrainRecipe) -> float:
    """How many of the first ``number`` of a training's ``blocks`` are to be real.

    The share runs from ``real_start`` to that of ``share_of`` in a straight line over the first ``anneal`` of the training, and
    stays there.
    """
    start, share = _ends(recipe)
    ramp = max(recipe.anneal * blocks, 1e-9)
    done = min(number, ramp)
    return start * done + (share - start) * done**2 / (2 * ramp) + share * (number - done)


def _ends(recipe: TrainRecipe) -> tuple[float, float]:
    """The share of real blocks at the start of a training and at its end."""
    share = share_of(recipe)
    return share if recipe.real_start is None else recipe.real_start, share


def is_cut(number: int, blocks: int, sources: int, recipe: TrainRecipe, rng: np.random.Generator) -> bool:
    """Whether a block is to be cut together with one of the other kind: never while all are to be of one kind."""
    start, share = _ends(recipe)
    now = share + (start - share) * max(0.0, 1 - number / max(recipe.anneal * blocks, 1e-9))
    return sources > 1 and 0 < now < 1 and rng.random() < cutmix_of(recipe)


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
    return _synthetic(sources, recipe, rng)


def partner_of(source: int, sources: int, recipe: TrainRecipe, rng: np.random.Generator) -> int:
    """Source of the block that one of ``source`` is cut together with: real for a synthetic one, synthetic for a real one."""
    return 0 if source else _synthetic(sources, recipe, rng)


def _synthetic(sources: int, recipe: TrainRecipe, rng: np.random.Generator) -> int:
    shares = np.asarray(recipe.synthetic_shares or [1.0] * (sources - 1))
    return 1 + int(rng.choice(sources - 1, p=shares / shares.sum()))


def cut_together(one: Block, other: Block, recipe: TrainRecipe, rng: np.random.Generator) -> tuple[Block, NDArray[np.bool_]]:
    """A block of as many points (P) on one side of a vertical plane as one block and on the other side as another.

    The network then cannot tell from what surrounds a point whether it is real. After Yun et al., CutMix, ICCV 2019. The plane
    stands anywhere near the middle; where neither block has a point on its side, the first is taken as it is.

    Returns:
        The block, and which of its points (P,) come from the other.
    """
    angle, off = rng.uniform(0, 2 * np.pi), rng.uniform(-OFF_MIDDLE, OFF_MIDDLE) * recipe.block
    away = np.array([np.cos(angle), np.sin(angle)])
    own, theirs = np.flatnonzero(one.xyz[:, :2] @ away > off), np.flatnonzero(other.xyz[:, :2] @ away <= off)
    count = len(one.xyz)
    if not len(own) + len(theirs):
        return one, np.zeros(count, bool)
    rows = rng.choice(len(own) + len(theirs), count, replace=len(own) + len(theirs) < count)
    parts = (np.concatenate([mine[own], yours[theirs]])[rows] for mine, yours in zip(_arrays(one), _arrays(other), strict=True))
    return Block(*parts), rows >= len(own)


def _arrays(block: Block) -> tuple[NDArray[Any], ...]:
    return block.xyz, block.features, block.label
