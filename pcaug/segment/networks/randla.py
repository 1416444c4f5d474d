"""A light RandLA-Net (Hu et al., CVPR 2020): random sampling, attentive pooling over neighbours, and the way back up.

Neighbours are found inside a block by the distances of all pairs, so the network takes positions alone, runs anywhere torch
does, and can be exported; blocks of more than some 4,000 points take memory.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from pcaug.segment.networks.pointnet import layer


class RandLA(nn.Module):
    """Local features at four resolutions.

    Args:
        features: F, features a point beside its position.
        classes: K.
        width: Channels of the finest level; each further one has twice as many.
        levels: Times that the points are thinned to a quarter.
        neighbours: Of each point.
        dropout: Before the last layer.
    """

    def __init__(
        self, features: int, classes: int, width: int = 16, levels: int = 3, neighbours: int = 12, dropout: float = 0.2
    ) -> None:
        super().__init__()
        self.neighbours = neighbours
        widths = [width * 2**level for level in range(levels + 1)]
        self.first = layer(3 + features, width)
        self.down = nn.ModuleList(Aggregate(a, b) for a, b in itertools.pairwise(widths))
        self.up = nn.ModuleList(layer(2 * b, a) for a, b in itertools.pairwise(widths))
        self.head = nn.Sequential(layer(width, 2 * width), nn.Dropout(dropout), nn.Linear(2 * width, classes))

    def forward(self, xyz: Tensor, features: Tensor) -> Tensor:
        """Logits (B, P, K) of positions (B, P, 3) and features (B, P, F); the points of a block come in random order."""
        here = per_point(self.first, torch.cat([xyz, features], dim=2))
        kept: list[Tensor] = []
        ways: list[Tensor] = []
        for aggregate in self.down:
            near = nearest(xyz, xyz, min(self.neighbours, xyz.shape[1]))
            fine = aggregate(xyz, here, near)
            coarse = xyz[:, : max(1, xyz.shape[1] // 4)]  # the order is random: the first quarter is a random sample
            kept.append(fine)
            ways.append(nearest(xyz, coarse, 1))
            xyz, here = coarse, gather(fine, near[:, : coarse.shape[1]]).amax(dim=2)
        for index in range(len(self.up) - 1, -1, -1):
            above = gather(here, ways[index])[:, :, 0]
            here = per_point(self.up[index], torch.cat([above, kept[index]], dim=2))
        return per_point(self.head, here)


class Aggregate(nn.Module):
    """Local spatial encoding and attentive pooling, twice, with a way past them (their figure 3)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = outputs // 2
        self.enter = layer(inputs, half)
        self.place = layer(10, half)
        self.first, self.second = Attend(2 * half, half), Attend(2 * half, outputs)
        self.past = nn.Linear(inputs, outputs)

    def forward(self, xyz: Tensor, features: Tensor, near: Tensor) -> Tensor:
        """Features (B, P, outputs) of positions, features (B, P, inputs) and neighbours (B, P, k)."""
        other = gather(xyz, near)
        centre = xyz[:, :, None].expand_as(other)
        offset = centre - other
        place = per_point(self.place, torch.cat([offset.norm(dim=3, keepdim=True), offset, centre, other], dim=3))
        inner = self.first(torch.cat([gather(per_point(self.enter, features), near), place], dim=3))
        outer = self.second(torch.cat([gather(inner, near), place], dim=3))
        joined: Tensor = outer + self.past(features)
        return nn.functional.leaky_relu(joined, 0.2)


class Attend(nn.Module):
    """Weighted sum over neighbours, a weight each channel."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.score, self.out = nn.Linear(inputs, inputs, bias=False), layer(inputs, outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(B, P, outputs) of (B, P, k, inputs)."""
        return per_point(self.out, (features * self.score(features).softmax(dim=2)).sum(dim=2))


def nearest(points: Tensor, among: Tensor, count: int) -> Tensor:
    """Indices (B, P, count) of the nearest of (B, M, 3) to each of (B, P, 3)."""
    with torch.no_grad():
        points, among = points.float(), among.float()
        closer = 2 * points @ among.transpose(1, 2) - (among**2).sum(2)[:, None]  # minus the squared distance, but for |p|^2
        return closer.topk(count).indices


def gather(values: Tensor, index: Tensor) -> Tensor:
    """Rows (B, P, k, C) of values (B, M, C)."""
    blocks, points, count = index.shape
    flat = index.reshape(blocks, points * count, 1).expand(-1, -1, values.shape[2])
    return values.gather(1, flat).view(blocks, points, count, values.shape[2])


def per_point(rows: nn.Module, values: Tensor) -> Tensor:
    """A network on rows (N, C), applied to the last dimension of any tensor."""
    made: Tensor = rows(values.reshape(-1, values.shape[-1]))
    return made.view(*values.shape[:-1], -1)
