"""Losses, on labels that may be coarser than the classes.

A point known only as "ground" where the classes are road, sidewalk and terrain trains the sum of their probabilities
(a partial label: Cour et al., JMLR 12, 2011), so it says what it knows and nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pcaug.labels import IGNORE, ClassSet
from pcaug.segment import distributed
from pcaug.segment.recipe import TrainRecipe

FOCUS = 2.0
"""Exponent of the focal loss."""


@dataclass(frozen=True)
class Targets:
    """What each taxonomy node asks of a network: a class, one of several classes, or nothing.

    Attributes:
        classes: K classes.
        members: (C, K) bool, the classes that each code allows; the first K codes are the classes themselves.
        table: Node id -> code, uint8, 255 ignored.
    """

    classes: ClassSet
    members: NDArray[np.bool_]
    table: NDArray[np.uint8]

    @classmethod
    def of(cls, classes: ClassSet) -> Targets:
        """Codes of a class set: a node above two or more classes, but not above all, is a set of them."""
        taxonomy, count = classes.taxonomy, len(classes.groups)
        table = _table(classes)
        sets: dict[frozenset[int], int] = {}
        for node in taxonomy.nodes:
            if table[node] != IGNORE:
                continue
            below = frozenset(int(table[leaf]) for leaf in taxonomy.leaves() if taxonomy.covers(node, leaf)) - {IGNORE}
            if 1 < len(below) < count:
                table[node] = sets.setdefault(below, count + len(sets))
        members = np.eye(count + len(sets), count, dtype=bool)
        for allowed, code in sets.items():
            members[code, list(allowed)] = True
        return cls(classes, members, table)

    def code(self, labels: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Codes (N,) uint8 of node ids (N,)."""
        codes: NDArray[np.uint8] = self.table[labels]
        return codes


def untaught(classes: ClassSet, points: Mapping[str, int]) -> dict[str, int]:
    """Of labelled points, by the names of their nodes, those of which no class, nor set of classes, is said: they are ignored."""
    taxonomy, table = classes.taxonomy, Targets.of(classes).table
    return {name: number for name, number in points.items() if (node := taxonomy.id(name)) != IGNORE and table[node] == IGNORE}


def _table(classes: ClassSet) -> NDArray[np.uint8]:
    nodes = np.array(sorted(classes.taxonomy.nodes))
    table = np.full(max(int(nodes.max()), IGNORE) + 1, IGNORE, np.uint8)
    table[nodes] = classes.index(nodes)
    return table


class Loss(nn.Module):
    """The recipe's loss of logits against codes.

    Args:
        recipe: ``loss``, ``label_smoothing``.
        targets: What the codes mean.
        weights: (K,) of the classes; a set of classes weighs their mean.
    """

    members: Tensor
    weights: Tensor

    def __init__(self, recipe: TrainRecipe, targets: Targets, weights: Tensor) -> None:
        super().__init__()
        self.kind, self.smoothing = recipe.loss, recipe.label_smoothing
        members = torch.from_numpy(targets.members)
        self.register_buffer("members", members)
        self.register_buffer("weights", (members * weights).sum(1) / members.sum(1))

    def forward(self, logits: Tensor, code: Tensor, trust: Tensor | None = None, smoothing: Tensor | None = None) -> Tensor:
        """Weighted mean over the points, of all processes where there are several.

        Args:
            logits: (N, K) float32.
            code: (N,) int64, 255 ignored.
            trust: (N,) weight of each point's source, 1 without.
            smoothing: (N,) added to the recipe's label smoothing.
        """
        known = (code != IGNORE).nonzero()[:, 0]
        code, log_p = code[known], logits.index_select(0, known).log_softmax(1)
        each = -log_p.masked_fill(~self.members[code], -torch.inf).logsumexp(1)
        if self.kind == "focal":
            each = each * (1 - torch.exp(-each)) ** FOCUS
        smooth = self.smoothing + (0.0 if smoothing is None else smoothing[known])
        each = (1 - smooth) * each - smooth * log_p.mean(1)
        weight = self.weights[code] * (1.0 if trust is None else trust[known])
        loss = (each * weight).sum() / distributed.total(weight.sum()).clamp(min=1e-9) * distributed.world()
        if self.kind != "lovasz":
            return loss
        return loss + lovasz_softmax(log_p.exp(), code, None if trust is None else trust[known])


def lovasz_softmax(probability: Tensor, label: Tensor, trust: Tensor | None = None) -> Tensor:
    """Lovász extension of 1 - IoU, mean over the classes that occur (Berman et al., CVPR 2018, algorithm 1).

    Args:
        probability: (N, K).
        label: (N,) int64; values of K and above (sets of classes) are left out.
        trust: (N,) what each point counts in intersection and union, 1 without; a class counts as its most trusted point does.
    """
    classes, where = probability.shape[1], probability.device
    one = (label < classes).nonzero()[:, 0]
    if not len(one):
        return (probability * 0).sum()
    truth = (label[one] == torch.arange(classes, device=where)[:, None]).to(probability.dtype)
    weight = torch.ones_like(truth[0]) if trust is None else trust[one] / trust[one].max().clamp(min=1e-9)
    error = (truth - probability.index_select(0, one).T).abs()
    order = _descending(error.detach())  # a class is a row: sums along columns take a GPU six times as long as the rest of a step
    error, weight = error.gather(1, order), weight[order]
    truth = truth.gather(1, order) * weight
    size, found = truth.sum(1, keepdim=True), truth.cumsum(1)
    jaccard = 1 - (size - found) / (size + weight.cumsum(1) - found).clamp(min=1e-9)
    slope = jaccard.diff(dim=1, prepend=jaccard.new_zeros(classes, 1))
    present = truth.amax(1)
    return ((error * slope).sum(1) * present).sum() / present.sum().clamp(min=1)


def _descending(values: Tensor) -> Tensor:
    """Order (K, N) of each row, largest first; on a CPU numpy sorts four times as fast as torch does."""
    if values.device.type != "cpu":
        return values.argsort(1, descending=True)
    return torch.from_numpy(np.argsort(-values.numpy(), axis=1))


def class_weights(shares: NDArray[np.float64], balance: float) -> Tensor:
    """Weights 1 / (share + 0.002) ** balance of mean 1 over the classes that occur, 0 for the others; (K,) float32."""
    weights = np.where(shares > 0, 1 / (shares + 0.002) ** balance, 0)
    return torch.tensor(weights / weights[weights > 0].mean(), dtype=torch.float32)
