"""Pillars: PointNets pooled in the cells of a plan, a dense U-Net over the plan, and both beside each other at every point.

The pooling is PointPillars' (Lang et al., CVPR 2019), the U-Net Ronneberger et al.'s (MICCAI 2015). No neighbour search: what
lies around a point is seen by dense convolutions, the fastest thing that a CPU does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pcaug.segment.networks.pointnet import ChannelDropout, layer

AT_ONCE = 16_384
"""Points that a network sees together in prediction: more is no faster and takes memory."""


class Pillars(nn.Module):
    """Plan-view context for every point. Where a point lies in its block is not seen, only what lies around it, so that a plan of
    any size can be labelled at once; heights come with the features.

    Args:
        features: F, features a point beside its position.
        classes: K.
        grid: Cells along an edge of the block; must be divisible by 2 ** depth.
        width: Channels of a point, and of the U-Net's finest level.
        depth: Times that the plan is halved.
        dropout: Before the last layer.

    Attributes:
        step: Cells that a plan's edges are a multiple of.
        reach: Cells beyond which nothing bears on a point (4 * 2 ** depth - 3), to the next multiple of ``step``.
    """

    def __init__(
        self, features: int, classes: int, grid: int = 64, width: int = 32, depth: int = 3, dropout: float = 0.2
    ) -> None:
        super().__init__()
        if grid % 2**depth:
            raise TypeError(f"a grid of {grid} cells cannot be halved {depth} times")
        self.grid, self.width = grid, width
        self.step = 2**depth
        self.reach = 4 * self.step
        self.point = nn.Sequential(layer(2 + features, 2 * width), layer(2 * width, width))
        self.plan = UNet(2 * width + 1, width, depth)
        self.head = layer(2 * width, 2 * width)
        self.last = nn.Sequential(ChannelDropout(dropout), nn.Linear(2 * width, classes))

    def forward(self, xyz: Tensor, features: Tensor) -> Tensor:
        """Logits (B, P, K) of positions (B, P, 3) in units of half a block and features (B, P, F)."""
        blocks, points, _ = xyz.shape
        place = (xyz[..., :2] + 1) * (self.grid / 2)
        cell = place.floor().clamp(0, self.grid - 1)
        block = torch.arange(blocks, device=xyz.device)[:, None] * self.grid**2
        index = (block + cell[..., 0].long() * self.grid + cell[..., 1].long()).reshape(-1)
        rows = torch.cat([place - cell - 0.5, features], dim=2).reshape(blocks * points, -1)
        own = self.point(rows).float()  # sums of many points in bfloat16 would stop growing
        seen = self._around(own, index, (blocks, self.grid, self.grid))[index]
        joined = self.head(torch.cat([own, seen], dim=1)).view(blocks, points, -1)
        logits: Tensor = self.last(joined)
        return logits

    def plane(self, place: Tensor, features: Callable[[slice], Tensor]) -> Tensor:
        """Logits (P, K) of a plan of any size. For prediction: points may be millions.

        The same function as ``forward``, but that around all points lie empty cells, not a plan's edge.

        Args:
            place: (P, 2) in cells; the plan begins at a multiple of ``step``.
            features: Gives those of a slice of the points (p, F).
        """
        place = place - (place.amin(dim=0) / self.step).floor() * self.step
        cell = place.floor()
        column, row = (cell.long() + self.reach).T
        high, wide = (-(-(int(last.max()) + 1 + self.reach) // self.step) * self.step for last in (column, row))
        index = column * wide + row
        parts = [slice(start, start + AT_ONCE) for start in range(0, len(place), AT_ONCE)]
        own = place.new_empty(len(place), self.width)
        for part in parts:
            own[part] = self.point(torch.cat([place[part] - cell[part] - 0.5, features(part)], dim=1))
        around = self._around(own, index, (1, high, wide))
        return torch.cat([self.last(self.head(torch.cat([own[part], around[index[part]]], dim=1))) for part in parts])

    def _around(self, own: Tensor, index: Tensor, shape: tuple[int, int, int]) -> Tensor:
        """What the U-Net makes of B x G x H cells, (B G H, C), from points (N, C) in cells ``index`` (N,)."""
        around: Tensor = self.plan(pooled(own, index, shape))
        return around.permute(0, 2, 3, 1).reshape(-1, around.shape[1])


def pooled(own: Tensor, index: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Maximum, mean and log count of the points of each cell, (B, 2 C + 1, G, H); zeros in empty cells."""
    cells = shape[0] * shape[1] * shape[2]
    count = own.new_zeros(cells, 1).index_add_(0, index, torch.ones_like(own[:, :1]))
    mean = own.new_zeros(cells, own.shape[1]).index_add_(0, index, own) / count.clamp(min=1)
    most = own.new_zeros(cells, own.shape[1]).scatter_reduce(0, index[:, None].expand_as(own), own, "amax")
    table = torch.cat([most, mean, count.log1p()], dim=1)
    return table.view(*shape, -1).permute(0, 3, 1, 2)


class UNet(nn.Module):
    """A U-Net over images (B, C, G, G) that gives (B, width, G, G)."""

    def __init__(self, channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.inside = block(channels, width)
        self.below = UNet(width, width * 2, depth - 1) if depth else None
        self.down = nn.MaxPool2d(2)
        self.up = nn.ConvTranspose2d(width * 2, width, 2, stride=2)
        self.out = block(width * 2, width)

    def forward(self, image: Tensor) -> Tensor:
        """As many cells as came in."""
        inside: Tensor = self.inside(image)
        if self.below is None:
            return inside
        joined: Tensor = self.out(torch.cat([inside, self.up(self.below(self.down(inside)))], dim=1))
        return joined


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Convolution over 3 x 3 cells, batch norm, ReLU."""
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
