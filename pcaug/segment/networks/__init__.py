"""Networks: ``(xyz (B, P, 3), features (B, P, F)) -> logits (B, P, K)``, float32, in plain torch."""

from __future__ import annotations

from torch import nn

from pcaug.segment.networks.pillars import Pillars
from pcaug.segment.networks.pointnet import PointNet
from pcaug.segment.networks.randla import RandLA
from pcaug.segment.networks.zoo import Zoo

NETWORKS: dict[str, type[nn.Module]] = {"pointnet": PointNet, "pillars": Pillars, "randla": RandLA, "torch-pointcloud": Zoo}
FOREST = "trees"
"""The baseline of ``pcaug.segment.trees``: what a recipe may name in place of a network."""
MODELS = (*NETWORKS, FOREST)
