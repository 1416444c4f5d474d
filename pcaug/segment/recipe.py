"""Training recipes: network, features, blocks, blend, optimiser. What is not said has its default."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, field_validator

from pcaug import augment
from pcaug.catalogue import Strict
from pcaug.errors import RecipeError
from pcaug.segment.features import GROUPS


class TrainRecipe(Strict):
    """How to train a segmenter.

    Attributes:
        network: A name of ``pcaug.segment.networks.NETWORKS``, or "trees" (extra trees on the features).
        arguments: Of the network.
        classes: A preset of the taxonomy, or "cut": the finest classes that all real and synthetic sources share.
        features: Groups of ``pcaug.segment.features.GROUPS``, in order.
        voxel: Edge of the voxels that thin a cloud before anything else, metres; every original point is scored all the same.
        reach: Points farther than this from a spinning scanner are not trained on, metres.
        block: Edge of the square of ground that the network sees at once, metres.
        points: Points drawn from a block.
        batch: Blocks a step.
        steps: Optimiser steps.
        learning_rate: Highest, of a one-cycle schedule.
        weight_decay: Of AdamW.
        label_smoothing: Of the cross-entropy.
        rare: Share of blocks that are centred on a point of a class drawn uniformly, rarest as often as commonest.
        real_share: Share of the blocks of a batch that are real, where there are synthetic ones too.
        augment: Augmentations, in order; [] for none.
        precision: "float32", "bfloat16", or "auto": bfloat16 where a short timing says that it is faster.
        checkpoint: Steps between checkpoints.
        trees, trees_points: Number of trees, and points each of the real and the synthetic pool that they are fitted on.
        seed: Of everything.
    """

    network: str = "pointnet"
    arguments: dict[str, Any] = {}
    classes: str = "cut"
    features: tuple[str, ...] = ("plan", "geometry")
    voxel: float = Field(default=0.15, gt=0)
    reach: float = Field(default=60.0, gt=0)
    block: float = Field(default=12.0, gt=0)
    points: int = Field(default=1024, ge=16)
    batch: int = Field(default=16, ge=1)
    steps: int = Field(default=400, ge=1)
    learning_rate: float = Field(default=0.002, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    rare: float = Field(default=0.5, ge=0, le=1)
    real_share: float = Field(default=0.5, ge=0, le=1)
    augment: tuple[dict[str, Any], ...] = (
        {"name": "rotate_z"},
        {"name": "flip"},
        {"name": "scale", "low": 0.95, "high": 1.05},
        {"name": "jitter", "sigma": 0.01},
    )
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoint: int = Field(default=100, ge=1)
    trees: int = Field(default=60, ge=1)
    trees_points: int = Field(default=40_000, ge=100)
    seed: int = 0

    @field_validator("features")
    @classmethod
    def _known(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in features if name not in GROUPS]
        if unknown:
            raise ValueError(f"unknown features {unknown}; choose from {', '.join(GROUPS)}")
        return features

    @field_validator("augment")
    @classmethod
    def _buildable(cls, tables: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        try:
            augment.pipeline(tables)
        except RecipeError as error:
            raise ValueError(str(error)) from None
        return tables
