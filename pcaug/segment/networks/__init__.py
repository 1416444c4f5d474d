"""Networks: ``(xyz (B, P, 3), features (B, P, F)) -> logits (B, P, K)``, float32, in plain torch."""

from __future__ import annotations

from inspect import Parameter, signature
from typing import Any

from torch import nn

from pcaug.segment.networks.pillars import Pillars
from pcaug.segment.networks.pointnet import PointNet
from pcaug.segment.networks.randla import RandLA
from pcaug.segment.networks.zoo import Zoo

NETWORKS: dict[str, type[nn.Module]] = {"pointnet": PointNet, "pillars": Pillars, "randla": RandLA, "torch-pointcloud": Zoo}
FOREST = "trees"
"""The baseline of ``pcaug.segment.trees``: what a recipe may name in place of a network."""
MODELS = (*NETWORKS, FOREST)


def arguments_of(network: str) -> dict[str, Any] | None:
    """What a recipe may say under ``arguments``, with its defaults; None of a network that hands all of it on, and of trees."""
    if network not in NETWORKS:
        return None
    found = list(signature(NETWORKS[network]).parameters.values())[2:]  # after features and classes
    handed_on = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in found)
    return None if handed_on else {parameter.name: parameter.default for parameter in found}
