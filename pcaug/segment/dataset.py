"""Blocks as a torch dataset, for our loop or anybody's: block ``n`` of a seed is always the same, whoever asks.

``Blocks.of([corpus], recipe)`` goes into a ``torch.utils.data.DataLoader`` and trains any network.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, default_collate

from pcaug import augment, catalogue
from pcaug.corpus.read import Corpus, opened
from pcaug.errors import RecipeError
from pcaug.labels import IGNORE, ClassSet, common_cut, cut_shares
from pcaug.parallel import Progress, map_ahead, silent
from pcaug.segment import distributed
from pcaug.segment.blend import cut_together, cutmix_of, is_cut, partner_of, share_of, source_of
from pcaug.segment.blocks import Block, TilePool
from pcaug.segment.follow import augmented
from pcaug.segment.recipe import TrainRecipe, load_recipe

Sample = dict[str, Tensor]
AHEAD = 2
"""Batches that are made while the network works, by each thread that makes them."""
FEEDERS = {"cpu": 1, "cuda": 4}
"""Threads that make batches: a GPU is done with one before a thread has made the next."""


def class_set(name: str, corpora: Sequence[Corpus]) -> ClassSet:
    """The classes of a preset, or for "cut" those that every corpus can label.

    Raises:
        RecipeError: If the corpora share no class.
    """
    taxonomy = catalogue.taxonomy()
    if name != "cut":
        return ClassSet(taxonomy, taxonomy.preset(name))
    used = [corpus.used_nodes for corpus in corpora]
    if blank := next((corpus for corpus, nodes in zip(corpora, used, strict=True) if not nodes), None):
        raise RecipeError("has no point with a class", blank.folder, "label it first, with pcaug predict or by hand")
    shared, _ = cut_shares(taxonomy, common_cut(taxonomy, used), used)
    if len(shared) < 2:
        raise RecipeError("the corpora share fewer than two classes", do="choose a preset with --set classes=coarse8")
    return ClassSet.of_cut(taxonomy, sorted(shared))


@dataclass(frozen=True)
class Blocks(Dataset[Sample]):
    """All blocks of a training, in order: one pass is the whole of it, ``steps`` batches, and another pass gives the same blocks.

    Attributes:
        recipe: What a block is, and how sources blend; its ``real_share`` and ``cutmix`` are settled.
        classes: What labels mean.
        pools: One a corpus, the real one first.
        mean, spread: (F,) of the features: what they are moved and divided by.
    """

    recipe: TrainRecipe
    classes: ClassSet
    pools: tuple[TilePool, ...]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        corpora: Corpus | str | Path | Iterable[Corpus | str | Path],
        recipe: TrainRecipe | str | Path,
        progress: Progress = silent,
        classes: ClassSet | None = None,
    ) -> Blocks:
        """Blocks of the split "train" of corpora, the real one first, with the recipe's classes unless others are given.

        Raises:
            RecipeError: If there are none, they share no class, or ``synthetic_shares`` names another number of sources.
        """
        corpora = opened(corpora)
        if not corpora:
            raise RecipeError("no corpus to train on")
        recipe = recipe if isinstance(recipe, TrainRecipe) else load_recipe(recipe)
        recipe.check_shares(len(corpora) - 1)
        parts = [corpus.only(split="train") for corpus in corpora]
        units = len(parts[0].units)
        recipe = recipe.model_copy(update={"real_share": share_of(recipe, units), "cutmix": cutmix_of(recipe, units)})
        classes = classes or class_set(recipe.classes, parts)
        pools = tuple(TilePool(part, classes, recipe, progress) for part in parts)
        mean, spread = (np.mean([pool.moments[i] for pool in pools], axis=0).astype(np.float32) for i in (0, 1))
        return cls(recipe, classes, pools, mean, spread)

    def __len__(self) -> int:
        return self.recipe.steps * self.recipe.accumulate * self.recipe.batch

    def __getitem__(self, number: int) -> Sample:
        """Block ``number``.

        Returns:
            ``xyz`` (P, 3) float32 in units of half a block; ``features`` (P, F) float32, normalised; ``label`` (P,) int64
            class index, 255 ignored; ``code`` (P,) int64, as ``label`` but with sets of classes for coarser labels (see
            ``pcaug.segment.loss.Targets``); ``synthetic`` (P,) float32, 0 or 1.
        """
        if not 0 <= number < len(self):
            raise IndexError(number)
        recipe = self.recipe
        rng = np.random.default_rng((recipe.seed, number // recipe.batch, number % recipe.batch))
        source = source_of(number, len(self), len(self.pools), recipe, rng)
        block, synthetic = self._drawn(source, rng), np.full(recipe.points, source > 0)
        if is_cut(number, len(self), len(self.pools), recipe, rng):
            other = self._drawn(partner_of(source, len(self.pools), recipe, rng), rng)
            block, theirs = cut_together(block, other, recipe, rng)
            synthetic ^= theirs
        code = block.label.astype(np.int64)
        return {
            "xyz": torch.from_numpy(block.xyz / np.float32(recipe.block / 2)),
            "features": torch.from_numpy(normalised(block.features, self.mean, self.spread)),
            "label": torch.from_numpy(np.where(code < len(self.classes.groups), code, IGNORE)),
            "code": torch.from_numpy(code),
            "synthetic": torch.from_numpy(synthetic.astype(np.float32)),
        }

    def _drawn(self, source: int, rng: np.random.Generator) -> Block:
        return augmented(self.pools[source].draw(rng), self.recipe.features, augment.pipeline(self.recipe.augment), rng)

    def batch(self, number: int) -> Sample:
        """Batch ``number``: several processes share its blocks in turn."""
        first = number * self.recipe.batch
        mine = range(first + distributed.rank(), first + self.recipe.batch, distributed.world())
        collated: Sample = default_collate([self[n] for n in mine])
        return collated

    def batches(self, first: int) -> Generator[Sample]:
        """Batches from one on to the end, made by threads while the network works; the same for any number of them."""
        threads = FEEDERS[distributed.device().type]
        return map_ahead(self.batch, range(first, self.recipe.steps * self.recipe.accumulate), AHEAD * threads, threads)


def normalised(features: NDArray[np.float32], mean: NDArray[np.float32], spread: NDArray[np.float32]) -> NDArray[np.float32]:
    """Features (P, F) as networks see them: of mean 0 and spread 1 over the training data, clipped at 5."""
    table: NDArray[np.float32] = np.clip((features - mean) / spread, -5, 5).astype(np.float32)
    return table
