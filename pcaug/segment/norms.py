"""Batch-norm statistics of each source by itself (after Chang et al., Domain-Specific Batch Normalization, CVPR 2019).

Real and synthetic blocks go through the network separately, so each is normalised by the moments of its own kind, and the running
moments that prediction uses are those of the real ones alone. All weights are shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


def per_domain(network: nn.Module, forward: Callable[..., Tensor], xyz: Tensor, features: Tensor, synthetic: Tensor) -> Tensor:
    """Logits (B, P, K) of a batch whose real and synthetic blocks (``synthetic`` (B,), 0 or 1) share no norm."""
    made = synthetic > 0
    if not made.any():
        return forward(xyz, features)
    with frozen_moments(network):
        of_made = forward(xyz[made], features[made])
    if made.all():
        return of_made
    of_real = forward(xyz[~made], features[~made])
    logits = of_real.new_empty(len(made), *of_real.shape[1:])
    where = torch.arange(len(made), device=made.device)
    return logits.index_copy(0, where[~made], of_real).index_copy(0, where[made], of_made)


@contextmanager
def frozen_moments(network: nn.Module) -> Iterator[None]:
    """Inside, batch norms normalise by their batch as ever, and their running moments stay."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    before = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = 0.0
        yield
    finally:
        for norm, momentum in zip(norms, before, strict=True):
            norm.momentum = momentum
