"""Features of a trained network, for the Fréchet distance: what goes into its last layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pcaug.corpus.read import Corpus
from pcaug.errors import PcaugError
from pcaug.explore.distances import Grouped
from pcaug.explore.statistics import stratified

TILES = 8
"""Tiles of each set that the network sees."""
ROWS = 2_000
"""Points of each tile whose features are kept."""


def features_of(folder: Path) -> Callable[[Corpus], Grouped]:
    """A function that gives the features (N, F) of some points of a corpus, grouped by tile.

    Raises:
        PcaugError: If the run is of trees, which have no features of their own.
    """
    from torch import Tensor, nn

    from pcaug.segment.distributed import on_threads
    from pcaug.segment.predict import Segmenter
    from pcaug.segment.run import Run

    run = Run.open(folder)
    if run.recipe.is_forest:
        raise PcaugError("holds trees, which have no features of their own", folder, "give a run of a network")
    segmenter = Segmenter.load(run)
    last = [module for module in segmenter.model.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[Tensor] = []
    last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].detach().float().flatten(0, -2).cpu()))

    def features(corpus: Corpus) -> Grouped:
        rng = np.random.default_rng(run.recipe.seed)
        chosen = stratified([tile.unit for tile in corpus.tiles], TILES, rng)
        rows = []
        for number in chosen:
            seen.clear()
            with on_threads(1):  # sums round differently with the number of threads
                segmenter.label(corpus.read(corpus.tiles[number]), corpus.manifest.frame)
            found = np.concatenate([part.numpy() for part in seen]).astype(np.float64)
            rows.append(found[rng.choice(len(found), min(ROWS, len(found)), replace=False)])
        return Grouped(np.concatenate(rows), np.repeat(np.arange(len(rows)), [len(part) for part in rows]))

    return features
