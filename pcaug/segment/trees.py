"""The baseline: extra trees on the features (Geurts et al. 2006). No position, no context, hard to beat with few labels.

A forest is kept as the points that it was fitted on and its seed: fitting them again gives the same forest, and no pickle.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from pcaug.files import write_bytes
from pcaug.parallel import in_batches
from pcaug.segment.blend import share_of
from pcaug.segment.blocks import TilePool
from pcaug.segment.features import Prepared
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import WEIGHTS, Run

BATCH = 65_536
"""Points that a thread labels at once."""


def fit(run: Run, pools: Sequence[TilePool], path: Path) -> None:
    """Draw the training points: ``trees_points`` of each pool, weighted so that the pools have the recipe's shares,
    and synthetic points count ``synthetic_weight`` times."""
    recipe = run.recipe
    rng = np.random.default_rng((recipe.seed, 0, 0))
    shares = _shares(recipe, len(pools) - 1)
    features, labels, weights = [], [], []
    for pool, share in zip(pools, shares, strict=True):
        x, y = _draw(pool, recipe.trees_points, len(run.classes.groups), rng)
        counts = np.bincount(y, minlength=len(run.classes.groups)) / len(y)
        weight = 1 / np.sqrt(counts + 0.002)
        features.append(x)
        labels.append(y)
        weights.append(weight[y] / weight[y].sum() * share)
    arrays = {
        "features": np.concatenate(features),
        "label": np.concatenate(labels),
        "weight": np.concatenate(weights).astype(np.float32),
    }
    write_bytes(path, save(arrays))


def _shares(recipe: TrainRecipe, others: int) -> list[float]:
    """What the points of each pool weigh in all, the real one first."""
    if not others:
        return [1.0]
    real, parts = share_of(recipe), recipe.synthetic_shares or (1.0,) * others
    return [real] + [(1 - real) * part / sum(parts) * recipe.synthetic_weight for part in parts]


def _draw(pool: TilePool, count: int, classes: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Points of all tiles that have one class, about the same number of each tile."""
    features, codes = pool.sample(count, rng)
    return features[codes < classes], codes[codes < classes].astype(np.int64)


def load(run: Run) -> Any:
    """The forest of a run, fitted again from its points and seed."""
    from sklearn.ensemble import ExtraTreesClassifier

    arrays = load_file(run.folder / WEIGHTS)
    forest = ExtraTreesClassifier(
        run.recipe.trees, min_samples_leaf=3, max_features=0.5, n_jobs=-1, random_state=run.recipe.seed % (1 << 32)
    )
    weight = arrays["weight"].astype(np.float64)
    with warnings.catch_warnings():  # scikit-learn's threads may leave the filters empty behind them, and then warn of that
        return forest.fit(arrays["features"], arrays["label"], sample_weight=weight / weight.mean())


def votes(run: Run, forest: Any, tile: Prepared, views: int = 1) -> NDArray[np.float32]:
    """Class probabilities (V, K) of a cloud's voxels, from every view the same: trees see no positions.

    They are summed up in the order of the trees, so that threads change no digit.
    """
    result = np.zeros((len(tile.features), len(run.classes.groups)), np.float32)

    def vote(rows: slice) -> None:
        seen = np.ascontiguousarray(tile.features[rows], np.float32)
        summed = sum(tree.predict_proba(seen, check_input=False) for tree in forest.estimators_)
        result[rows, forest.classes_] = summed / len(forest.estimators_)

    in_batches(vote, len(result), BATCH, torch.get_num_threads())
    return result
