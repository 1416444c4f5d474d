"""PointNet for segmentation (Qi et al., CVPR 2017, figure 2 and appendix C)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PointNet(nn.Module):
    """PointNet on rows: every per-point layer is a Linear over (B * P, C).

    The head's first layer, published as one layer on the concatenation of local (64) and global (1024) features, is split:
    W [f; g] = W_f f + W_g g, with W_g g computed once a block. Same function, no 1088-wide copy a point.

    Args:
        features: F, features a point beside its position.
        classes: K.
        tnets: Whether the published input and feature transforms are learned too.
        width: Factor on all layer widths.
        dropout: Before the last layer.
    """

    def __init__(self, features: int, classes: int, tnets: bool = False, width: float = 1.0, dropout: float = 0.3) -> None:
        super().__init__()
        w = [max(8, int(n * width)) for n in (64, 64, 64, 128, 1024, 512, 256, 128)]
        inputs = 3 + features
        self.input_tnet = TNet(3, width) if tnets else None
        self.feature_tnet = TNet(w[1], width) if tnets else None
        self.local = nn.Sequential(layer(inputs, w[0]), layer(w[0], w[1]))
        self.deep = nn.Sequential(layer(w[1], w[2]), layer(w[2], w[3]), layer(w[3], w[4])[:2])
        self.head_local = nn.Linear(w[1], w[5], bias=False)
        self.head_global = nn.Linear(w[4], w[5], bias=False)
        self.head_norm = nn.Sequential(nn.BatchNorm1d(w[5]), nn.ReLU(inplace=True))
        self.head = nn.Sequential(layer(w[5], w[6]), layer(w[6], w[7]))
        self.last = nn.Sequential(ChannelDropout(dropout), nn.Linear(w[7], classes))

    def forward(self, xyz: Tensor, features: Tensor) -> Tensor:
        """Logits (B, P, K) of positions (B, P, 3) and features (B, P, F)."""
        blocks, points, _ = xyz.shape
        if self.input_tnet is not None:
            xyz = torch.bmm(xyz, self.input_tnet(xyz))
        rows = torch.cat([xyz, features], dim=2).reshape(blocks * points, -1)
        local = self.local(rows)
        if self.feature_tnet is not None:
            grouped = local.view(blocks, points, -1)
            local = torch.bmm(grouped, self.feature_tnet(grouped)).reshape(blocks * points, -1)
        whole = highest(self.deep(local).view(blocks, points, -1)).relu()
        joined = self.head_local(local).view(blocks, points, -1) + self.head_global(whole)[:, None]
        seen = self.head(self.head_norm(joined.reshape(blocks * points, -1))).view(blocks, points, -1)
        logits: Tensor = self.last(seen)
        return logits


class TNet(nn.Module):
    """A learned (C, C) transform of a block's points, starting at the identity."""

    def __init__(self, channels: int, width: float) -> None:
        super().__init__()
        w = [max(8, int(n * width)) for n in (64, 128, 1024, 512, 256)]
        self.channels = channels
        self.points = nn.Sequential(layer(channels, w[0]), layer(w[0], w[1]), layer(w[1], w[2]))
        self.block = nn.Sequential(
            nn.Linear(w[2], w[3]), nn.ReLU(), nn.Linear(w[3], w[4]), nn.ReLU(), nn.Linear(w[4], channels**2)
        )
        last = self.block[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.eye(channels).flatten())

    def forward(self, points: Tensor) -> Tensor:
        """Transforms (B, C, C) of points (B, P, C)."""
        blocks, count, channels = points.shape
        pooled = highest(self.points(points.reshape(blocks * count, channels)).view(blocks, count, -1))
        matrix: Tensor = self.block(pooled)
        return matrix.view(blocks, channels, channels)


def layer(inputs: int, outputs: int) -> nn.Sequential:
    """Linear, batch norm, ReLU on rows; the norm has the bias."""
    return nn.Sequential(nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True))


def highest(rows: Tensor) -> Tensor:
    """Maximum (B, C) over the points of rows (B, P, C). ``amax`` is faster alone, and four times slower with its gradient."""
    return rows.max(dim=1).values if rows.requires_grad else rows.amax(dim=1)


class ChannelDropout(nn.Module):
    """Drops channels of whole blocks (B, P, C), as Tompson et al., CVPR 2015, do of images: neighbours say the same, and a draw
    a point is a tenth of a training step.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, rows: Tensor) -> Tensor:
        """The same in evaluation."""
        if not self.training:
            return rows
        return rows * nn.functional.dropout(rows.new_ones(rows.shape[0], 1, rows.shape[2]), self.share)
