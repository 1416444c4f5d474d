"""A run's network: built from its card, and asked for probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pcaug.errors import RecipeError
from pcaug.segment.blocks import Block
from pcaug.segment.dataset import normalised
from pcaug.segment.networks import NETWORKS
from pcaug.segment.networks.pillars import AT_ONCE
from pcaug.segment.run import Run


def build(run: Run) -> nn.Module:
    """The run's network, its weights at random.

    Raises:
        RecipeError: For arguments that the network does not have, or cannot be built with.
    """
    try:
        return NETWORKS[run.recipe.network](len(run.mean), len(run.classes.groups), **run.recipe.arguments)
    except (TypeError, ValueError, IndexError, ArithmeticError, RuntimeError) as error:
        raise RecipeError(f"network {run.recipe.network!r}: {error}", do="correct [arguments]") from None


def probabilities(run: Run, network: nn.Module, blocks: Sequence[Block]) -> Iterator[NDArray[np.float32]]:
    """Class probabilities (P, K) of each block, in float32 whatever the training's precision was. All have P points."""
    where = next(network.parameters()).device
    together = max(1, AT_ONCE // len(blocks[0].xyz)) if blocks else 1
    with torch.inference_mode():
        for start in range(0, len(blocks), together):
            part = blocks[start : start + together]
            xyz = torch.from_numpy(np.stack([b.xyz for b in part]) / np.float32(run.recipe.block / 2)).to(where)
            features = torch.from_numpy(np.stack([normalised(b.features, run.mean, run.spread) for b in part])).to(where)
            yield from network(xyz, features).softmax(2).cpu().numpy()
