"""Training recipes: network, features, blocks, blend, optimiser. What is not said has its default."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pcaug import augment, catalogue
from pcaug.catalogue import Strict
from pcaug.errors import RecipeError, counted
from pcaug.segment.features import GROUPS
from pcaug.segment.networks import FOREST, arguments_of

FROM_THE_SCANNER = {"fog", "rain", "snow", "range_noise"}
"""Augmentations that start from the scanner's place, which a block does not know."""
RECIPES = "*/recipe.toml"
"""Training recipes, in folders named by them."""
KINDS = {bool: "true or false", int: "a whole number", float: "a number"}
"""Types of a network's arguments, in words."""


class TrainRecipe(Strict):
    """How to train a segmenter.

    Attributes:
        network: A name of ``pcaug.segment.networks.MODELS``; "trees" are extra trees on the features.
        arguments: Of the network; see the class of its name for those that it has.
        classes: A preset of the taxonomy, or "cut": the finest classes that all real and synthetic sources share.
        features: Groups of ``pcaug.segment.features.GROUPS``, in order.
        voxel: Edge of the voxels that thin a cloud before anything else, metres; every original point is scored all the same.
        reach: Points farther than this from a spinning scanner are not trained on, metres.
        region: What the network sees at once: "block", a square of ground with all that is above it; "column", the disc in it;
            "sphere", a ball; "scan", a whole sweep of a spinning scanner.
        block: Width of that, metres; of a whole sweep what counts as its width: points beyond are at its border.
        points: Points drawn from a region.
        batch: Blocks a step.
        steps: Optimiser steps.
        learning_rate: Highest, of a one-cycle schedule.
        weight_decay: Of AdamW.
        loss: "cross_entropy", "focal", or "lovasz": cross-entropy and Lovász-softmax together.
        balance: Exponent of a class's weight 1 / (share + 0.002) ** balance in the loss; 0 for none.
        label_smoothing: Of the cross-entropy.
        rare: Share of blocks that are centred on a point of a class drawn uniformly, rarest as often as commonest.
        real_share: Share of the blocks that are real, where there are synthetic ones too; None: by the number of real
            units (drives, sites), see ``pcaug.segment.blend.share_of``.
        real_start, anneal: Curriculum: that share at the start (None: the same), and the part of the training over which it
            runs from there to ``real_share``.
        synthetic_shares: How often each synthetic source is drawn; () for equally often.
        synthetic_weight: What a synthetic point counts in the loss against a real one.
        synthetic_smoothing: Added to the label smoothing of synthetic points.
        cutmix: Share of the blocks, where there are synthetic ones too, that are one half of a real and one of a synthetic block;
            None: by the number of real units, see ``pcaug.segment.blend.cutmix_of``.
        source_norms: Whether real and synthetic blocks have batch-norm statistics of their own; prediction uses the real ones'.
        augment: Augmentations, in order; [] for none.
        accumulate: Batches whose gradients make one step.
        clip: Longest gradient.
        ema: Decay a step of the running average of the weights that is kept as the result; 0 for none.
        validate_every, patience: Steps between scores of the real split "val" (0: never), and how many of them may pass without a
            better one before training stops (0: all). The best weights are the run's, the last are kept beside them.
        compile: Whether to compile the network with ``torch.compile``, which needs a C++ compiler and a minute.
        precision: "float32", "bfloat16", or "auto": bfloat16 where the machine has instructions for it.
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
    region: Literal["block", "column", "sphere", "scan"] = "block"
    block: float = Field(default=12.0, gt=0, le=10_000)
    points: int = Field(default=1024, ge=16, le=10_000_000)
    batch: int = Field(default=16, ge=1)
    steps: int = Field(default=400, ge=1)
    learning_rate: float = Field(default=0.002, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    loss: Literal["cross_entropy", "focal", "lovasz"] = "cross_entropy"
    balance: float = Field(default=0.5, ge=0)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    rare: float = Field(default=0.5, ge=0, le=1)
    real_share: float | None = Field(default=None, ge=0, le=1)
    real_start: float | None = Field(default=None, ge=0, le=1)
    anneal: float = Field(default=0.7, ge=0, le=1)
    synthetic_shares: tuple[Annotated[float, Field(gt=0)], ...] = ()
    synthetic_weight: float = Field(default=1.0, gt=0)
    synthetic_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    cutmix: float | None = Field(default=None, ge=0, le=1)
    source_norms: bool = False
    augment: tuple[dict[str, Any], ...] = (
        {"name": "rotate_z"},
        {"name": "flip"},
        {"name": "scale", "low": 0.95, "high": 1.05},
        {"name": "jitter", "sigma": 0.01},
    )
    accumulate: int = Field(default=1, ge=1)
    clip: float = Field(default=5.0, gt=0)
    ema: float = Field(default=0.0, ge=0, lt=1)
    validate_every: int = Field(default=0, ge=0)
    patience: int = Field(default=0, ge=0)
    compile: bool = False
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    checkpoint: int = Field(default=100, ge=1)
    trees: int = Field(default=60, ge=1, le=10_000)
    trees_points: int = Field(default=40_000, ge=100)
    seed: int = Field(default=0, ge=0)

    @field_validator("features", "synthetic_shares", "augment", mode="before")
    @classmethod
    def _lists(cls, value: Any) -> Any:
        return tuple(value) if isinstance(value, list) else value  # a list is what a notebook says

    @field_validator("features")
    @classmethod
    def _known(cls, features: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [name for name in features if name not in GROUPS]
        if unknown:
            raise ValueError(f"unknown features {unknown}; choose from {', '.join(GROUPS)}")
        return features

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> TrainRecipe:
        if self.is_forest and not self.features:
            raise ValueError("trees need features, they do not see positions")
        return self

    @model_validator(mode="after")
    def _norms_of_whole_blocks(self) -> TrainRecipe:
        if self.source_norms and self.cutmix:
            raise ValueError("source_norms needs blocks of one source each: set cutmix=0")
        return self

    @model_validator(mode="after")
    def _true_class_stays_up(self) -> TrainRecipe:
        if self.label_smoothing + self.synthetic_smoothing >= 1:  # from there on the loss would push the true class down
            raise ValueError("label_smoothing and synthetic_smoothing must be less than 1 together")
        return self

    @model_validator(mode="after")
    def _built_of(self) -> TrainRecipe:
        known = arguments_of(self.network)
        if known is None:
            return self
        for key, value in self.arguments.items():
            if key not in known:
                raise ValueError(f"network {self.network!r} has no argument {key!r}, it has {', '.join(known)}")
            kinds = (float, int) if isinstance(known[key], float) else (type(known[key]),)
            if type(value) not in kinds:
                raise ValueError(f"arguments.{key} must be {KINDS[kinds[0]]}")
            if key == "dropout" and not 0 <= value < 1:
                raise ValueError("dropout must be a share below 1")
            if key != "dropout" and type(value) is int and value < 1:
                raise ValueError(f"{key} must be 1 or more")
        return self

    @field_validator("augment")
    @classmethod
    def _buildable(cls, tables: tuple[dict[str, Any], ...]) -> tuple[dict[str, Any], ...]:
        try:
            augment.pipeline(tables)
        except RecipeError as error:
            raise ValueError(str(error)) from None
        if blind := FROM_THE_SCANNER & {str(table["name"]) for table in tables}:
            raise ValueError(f"{', '.join(sorted(blind))}: a block does not know where its scanner was, use pcaug augment before")
        return tables

    @property
    def is_forest(self) -> bool:
        """Whether it is one of trees, not of a network."""
        return self.network == FOREST

    def check_shares(self, sources: int, where: str | None = None) -> None:
        """Raise RecipeError, which names ``where``, if ``synthetic_shares`` is for another number of sources."""
        if self.synthetic_shares and len(self.synthetic_shares) != sources:
            raise RecipeError(
                f"synthetic_shares has {len(self.synthetic_shares)} values for {counted(sources, 'source')}",
                where,
                "give one for each",
            )


def load_recipe(name: str | Path, changes: Sequence[str] = ()) -> TrainRecipe:
    """A recipe by name or path, changed by ``key=value``. Another ``network`` brings the arguments of the recipe named like it.

    Raises:
        RecipeError, NotFound: See ``pcaug.catalogue.load``.
    """
    path = catalogue.find("models", name, RECIPES)
    said = catalogue.read_toml(path)
    own = {"network": said.get("network", TrainRecipe.model_fields["network"].default)}
    wanted = dict(own)
    for change in changes:
        if change.partition("=")[0].strip() == "network":
            catalogue.override(wanted, change)
    if wanted != own:
        said["arguments"] = _default_arguments(wanted["network"])
    return catalogue.decode(said, path, TrainRecipe, changes)


def _default_arguments(network: str) -> dict[str, Any]:
    """Arguments of the recipe that is named as a network is; none where there is no such recipe."""
    return load_recipe(network).arguments if network in catalogue.names("models", RECIPES) else {}
