"""What a study is made of: real data, synthetic sources, arms, budgets, draws and seeds."""

from __future__ import annotations

from pydantic import Field, model_validator

from pcaug.catalogue import Strict


class Real(Strict):
    """Labelled real data, and what of it is the test.

    Attributes:
        source: A corpus, or a file or folder to convert into one; "sample" is the embedded sample.
        card: How to read it, where the path alone does not tell.
        files: Of a folder, only files of these names.
        split: Shares train/val/test of spatial blocks; "" where units are split or the corpus has its split.
        block: Edge of a block, metres.
        buffer: Points nearer than this to a block of another split are neither trained on nor scored, metres.
        test_units: Units (drives, tiles) that are the test; all others may be trained on.
    """

    source: str
    card: str | None = None
    files: tuple[str, ...] = ()
    split: str = ""
    block: float = 50.0
    buffer: float = 1.0
    test_units: tuple[str, ...] = ()


class Synthetic(Strict):
    """A synthetic source: a recipe to compose, or a corpus that exists.

    Attributes:
        name: What arms call it.
        recipe: Name or path of a scene recipe.
        number: Scenes to compose.
        set: ``key=value`` changes of the recipe.
        corpus: Path of a corpus, instead of a recipe.
    """

    name: str
    recipe: str | None = None
    number: int = Field(default=20, ge=1)
    set: tuple[str, ...] = ()
    corpus: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Synthetic:
        if (self.recipe is None) == (self.corpus is None):
            raise ValueError(f"synthetic source {self.name!r} needs either a recipe or a corpus")
        return self


class Arm(Strict):
    """One mix of training data.

    Attributes:
        name: Its name in the report.
        real: Whether the real data of the budget is in it.
        synthetic: Names of synthetic sources in it.
        augment: Whether the training recipe's augmentations are on.
        set: Further ``key=value`` changes of the training recipe.
    """

    name: str
    real: bool = True
    synthetic: tuple[str, ...] = ()
    augment: bool = True
    set: tuple[str, ...] = ()


class StudyRecipe(Strict):
    """A study: every arm gets the same steps and the same schedule on the same budgets, draws and seeds.

    Attributes:
        title: Heading of the report.
        real: The real data.
        synthetic: Synthetic sources.
        arms: The mixes to compare.
        baseline: Name of the arm that the others are measured against.
        train: Name or path of the training recipe.
        models: Networks to train; "trees" is extra trees on geometric features.
        set: ``key=value`` changes of the training recipe, for all arms.
        budgets: Numbers of real training units (drives, tiles); 0 means all.
        draws: How many times a budget smaller than all is drawn.
        seeds: How many times each is trained.
        seed: Seed of composing, drawing and training.
    """

    title: str
    real: Real
    synthetic: tuple[Synthetic, ...] = ()
    arms: tuple[Arm, ...]
    baseline: str
    train: str = "pointnet"
    models: tuple[str, ...] = ("pointnet",)
    set: tuple[str, ...] = ()
    budgets: tuple[int, ...] = (0,)
    draws: int = Field(default=1, ge=1)
    seeds: int = Field(default=3, ge=1)
    seed: int = 0

    @model_validator(mode="after")
    def _names_exist(self) -> StudyRecipe:
        arms, sources = [arm.name for arm in self.arms], {source.name for source in self.synthetic}
        if len(set(arms)) != len(arms):
            raise ValueError("two arms share a name")
        if self.baseline not in arms:
            raise ValueError(f"baseline {self.baseline!r} is not among the arms {arms}")
        for arm in self.arms:
            unknown = set(arm.synthetic) - sources
            if unknown:
                raise ValueError(f"arm {arm.name!r} names unknown sources {sorted(unknown)}")
            if not arm.real and not arm.synthetic:
                raise ValueError(f"arm {arm.name!r} has no data")
        return self
