"""What a study is made of: real data, synthetic sources, arms, budgets, draws and seeds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from pcaug import catalogue
from pcaug.catalogue import Strict
from pcaug.errors import RecipeError
from pcaug.segment.networks import MODELS

SAMPLE = "sample"
"""Source that stands for the embedded sample."""


class Real(Strict):
    """Labelled real data, and what of it is the test.

    Attributes:
        source: A corpus, or a file or folder to convert into one; "sample" is the embedded sample. "" where the user names it
            (``pcaug study --real``).
        card: How to read it, where the path alone does not tell.
        files: Of a folder, only the files of these names in it.
        split: Shares train/val/test of spatial blocks (a map) or of units (scans), or "official"; "" where ``test_units`` names
            the test, or the corpus has its split.
        block: Edge of a block, metres.
        buffer: Points nearer than this to a block of another split are neither trained on nor scored, metres.
        test_units: Units (drives, tiles) that are the test; all others may be trained on.
        scans: At most so many scans of each unit, evenly spread, so that the full download of a set takes no longer than a part;
            0 takes all. Maps stay whole.
        unit: "tile" counts each scan or tile as a unit of its own, by its name: for a set of a single drive or site, whose
            scans are less independent than units are.
    """

    source: str = ""
    card: str | None = None
    files: tuple[str, ...] = ()
    split: str = ""
    block: float = 50.0
    buffer: float = 1.0
    test_units: tuple[str, ...] = ()
    scans: int = Field(default=0, ge=0)
    unit: Literal["unit", "tile"] = "unit"


class Synthetic(Strict):
    """A synthetic source: one of ``recipe``, ``corpus``, ``augment``, ``generate`` and ``copies`` says how it is made.

    What is made out of real clouds (``like``, ``augment``, ``generate``, ``copies``) is made anew for every draw of a budget, out
    of the clouds of that draw alone.

    Attributes:
        name: What arms call it; its folder's name, so letters, digits, ``_``, ``.`` and ``-``.
        recipe: Name or path of a scene recipe, to compose.
        set: ``key=value`` changes of that recipe, or of the augmentation recipe.
        like: Fit the scene recipe to the real clouds first.
        corpus: A corpus, or an off-the-shelf set (a file or folder) to convert into one.
        card: How to read that set, where the path alone does not tell.
        augment: Name or path of an augmentation recipe: mixed, pasted and changed copies of the real clouds.
        generate: Learn objects of the real clouds, and paste samples of them into copies of these clouds: "shape" (statistical
            shape model) or "flow" (flow matching).
        classes: Of the objects to learn; those with too few objects are left out.
        objects: Samples of each class.
        fit_steps: Optimiser steps of a flow.
        copies: Copies of the real clouds as they are, for a null study: they can teach nothing.
        number: Scenes to compose, or copies of each real cloud.
        noise: Share of the points whose labels are exchanged among themselves: what wrong labels cost.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    recipe: str | None = None
    set: tuple[str, ...] = ()
    like: bool = False
    corpus: str | None = None
    card: str | None = None
    augment: str | None = None
    generate: Literal["shape", "flow"] | None = None
    classes: tuple[str, ...] = ("car", "person", "pole", "tree")
    objects: int = Field(default=60, ge=1)
    fit_steps: int = Field(default=2000, ge=1)
    copies: bool = False
    number: int = Field(default=20, ge=1)
    noise: float = Field(default=0.0, ge=0, le=1)

    @model_validator(mode="after")
    def _made_in_one_way(self) -> Synthetic:
        ways = [self.recipe, self.corpus, self.augment, self.generate, self.copies or None]
        if sum(way is not None for way in ways) != 1:
            raise ValueError(f"synthetic source {self.name!r} needs one of recipe, corpus, augment, generate and copies")
        if self.like and self.recipe is None:
            raise ValueError(f"synthetic source {self.name!r}: like goes with a scene recipe")
        return self

    @property
    def of_real(self) -> bool:
        """Whether it is made out of the real clouds of a draw."""
        return self.like or self.copies or self.augment is not None or self.generate is not None


class Arm(Strict):
    """One mix of training data.

    Attributes:
        name: Its name in the report.
        real: Whether the real data of the budget is in it.
        synthetic: Names of synthetic sources in it.
        augment: Whether the training recipe's augmentations are on.
        pretrain: Train on the synthetic sources alone for half of the steps, then on the real data alone; networks only.
        set: Further ``key=value`` changes of the training recipe.
        full: Part of the full grid alone; else trained where it is asked for by name.
    """

    name: str
    real: bool = True
    synthetic: tuple[str, ...] = ()
    augment: bool = True
    pretrain: bool = False
    set: tuple[str, ...] = ()
    full: bool = False

    @property
    def slug(self) -> str:
        """Its name as part of a file's."""
        return "".join(c if c.isalnum() else "-" for c in self.name)


class StudyRecipe(Strict):
    """A study: every arm gets the same steps and the same schedule on the same budgets, draws and seeds.

    Attributes:
        title: Heading of the report.
        real: The real data.
        synthetic: Synthetic sources.
        arms: The mixes to compare.
        baseline: Name of the arm that the others are measured against.
        train: Name or path of the training recipe.
        models: Networks to train; "trees" is extra trees on geometric features. ``arguments`` of the training recipe, and in
            ``set``, are for its own network; another model has those of the recipe of its own name.
        set: ``key=value`` changes of the training recipe, for all arms. Classes "cut" are the finest that the real data and every
            source can label, for all arms alike.
        model_set: Further changes for one of the models, by its name.
        budgets: Numbers of real training units (drives, tiles); 0 means all.
        draws: How many times a budget smaller than all is drawn.
        seeds: How many times each is trained.
        seed: Seed of composing, drawing and training.
        threads: Threads of a training. Other numbers of threads round differently, so the same study has the same number.
        full: ``key=value`` changes that make the full grid out of this reduced one: ``pcaug study --full``.
    """

    title: str
    real: Real
    synthetic: tuple[Synthetic, ...] = ()
    arms: tuple[Arm, ...]
    baseline: str
    train: str = "pointnet"
    models: tuple[str, ...] = Field(default=("pointnet",), min_length=1)
    set: tuple[str, ...] = ()
    model_set: dict[str, tuple[str, ...]] = {}
    budgets: tuple[Annotated[int, Field(ge=0)], ...] = Field(default=(0,), min_length=1)
    draws: int = Field(default=1, ge=1)
    seeds: int = Field(default=3, ge=1)
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=1, ge=1)
    full: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_exist(self) -> StudyRecipe:
        arms, sources = [arm.name for arm in self.arms], {source.name for source in self.synthetic}
        if len({arm.slug for arm in self.arms}) != len(arms):
            raise ValueError("two arms share a name, or differ in no letter or digit of it")
        if len(sources) != len(self.synthetic):
            raise ValueError("two synthetic sources share a name")
        if strange := set(self.models) - {*MODELS}:
            raise ValueError(f"models names no network: {sorted(strange)}, choose from {', '.join(MODELS)}")
        if strange := self.model_set.keys() - {*MODELS}:
            raise ValueError(f"model_set names no model: {sorted(strange)}")
        if self.baseline not in arms:
            raise ValueError(f"baseline {self.baseline!r} is not among the arms {arms}")
        real = {arm.name: arm.real for arm in self.arms}
        if not real[self.baseline] and any(real.values()):
            raise ValueError(f"baseline {self.baseline!r} has no real data, but other arms have: no draw of both compares")
        if any(arm.full for arm in self.arms if arm.name == self.baseline):
            raise ValueError(f"baseline {self.baseline!r} is part of every grid: leave full out")
        for arm in self.arms:
            unknown = set(arm.synthetic) - sources
            if unknown:
                raise ValueError(f"arm {arm.name!r} names unknown sources {sorted(unknown)}")
            if not arm.real and not arm.synthetic:
                raise ValueError(f"arm {arm.name!r} has no data")
            if arm.pretrain and not (arm.real and arm.synthetic):
                raise ValueError(f"arm {arm.name!r}: pretrain needs real and synthetic data")
            of_real = {source.name for source in self.synthetic if source.of_real} & set(arm.synthetic)
            if of_real and not arm.real:
                raise ValueError(f"arm {arm.name!r} has no real data, but {sorted(of_real)} is made out of it")
        return self


def load_recipe(name: str | Path, changes: Sequence[str] = (), *, full: bool = False) -> StudyRecipe:
    """A study by name or path, with ``key=value`` changes and the ``full`` grid or the reduced one.

    Raises:
        RecipeError, NotFound: As ``pcaug.catalogue``.
    """
    path = catalogue.find("models/studies", name)
    recipe = catalogue.load(path, StudyRecipe, changes)
    return catalogue.load(path, StudyRecipe, [*recipe.full, *changes]) if full else recipe


def narrowed(
    recipe: StudyRecipe,
    arms: Sequence[str] = (),
    train_set: Sequence[str] = (),
    where: Path | None = None,
    *,
    full: bool = False,
) -> StudyRecipe:
    """A study of some of its arms beside the baseline (for none named those of its grid), with further changes of every training.

    Args:
        recipe: The study.
        arms: Names of arms.
        train_set: ``key=value`` changes.
        where: The recipe's file, for errors.
        full: Whether the grid is the full one.

    Raises:
        RecipeError: For an arm that it does not have.
    """
    if strange := set(arms) - {arm.name for arm in recipe.arms}:
        named = "; ".join(arm.name for arm in recipe.arms)
        raise RecipeError(f"no arm is called {', '.join(sorted(strange))}", where, f"choose from: {named}")
    kept = tuple(
        arm.model_copy(update={"set": (*arm.set, *train_set)})  # after what an arm or a model changes
        for arm in recipe.arms
        if (arm.name in (*arms, recipe.baseline) if arms else full or not arm.full)
    )
    needed = {name for arm in kept for name in arm.synthetic}
    sources = tuple(source for source in recipe.synthetic if source.name in needed)
    return recipe.model_copy(update={"arms": kept, "synthetic": sources})
