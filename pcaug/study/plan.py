"""The plan of a study: which trainings it has, and how each of them is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pcaug.catalogue import taxonomy
from pcaug.corpus.read import Corpus
from pcaug.errors import PcaugError, RecipeError, counted, first_few
from pcaug.segment.networks import FOREST
from pcaug.segment.recipe import TrainRecipe, load_recipe
from pcaug.study.recipe import Arm, StudyRecipe, Synthetic

OWN = ("seed", "network")
"""Keys of a training recipe that a study sets itself."""


@dataclass(frozen=True)
class Job:
    """One training of a study."""

    model: str
    arm: Arm
    budget: int
    units: tuple[str, ...]
    draw: int
    seed: int

    @property
    def name(self) -> str:
        """Folder name: readable and unique within the study."""
        return f"{self.model}_{self.arm.slug}_b{self.budget}_d{self.draw}_s{self.seed}"


def plan(recipe: StudyRecipe, units: Sequence[str]) -> list[Job]:
    """All trainings of a study. Draws of one budget are the same for every arm; larger draws contain the smaller ones, and the
    smallest begin each with another unit while there are others."""
    first = np.random.default_rng((recipe.seed, 1)).permutation(len(units))
    jobs: dict[str, Job] = {}
    for model in recipe.models:
        for budget in recipe.budgets:
            size = budget or len(units)
            if size > len(units):
                what = f"budget {size} exceeds the {counted(len(units), 'training unit')} {', '.join(units)}"
                raise RecipeError(what, recipe.real.source or None, "choose smaller ones, or 0 for all: --set budgets=[1,0]")
            for draw in range(recipe.draws if size < len(units) else 1):
                order = np.random.default_rng((recipe.seed, 1, draw)).permutation(len(units)).tolist()
                order.insert(0, order.pop(order.index(first[draw % len(units)])))
                chosen = tuple(sorted(units[i] for i in order[:size]))
                for arm in recipe.arms:
                    for seed in range(recipe.seeds):
                        if arm.pretrain and model == FOREST:
                            continue  # a forest cannot be trained further
                        job = Job(model, arm, size, chosen, draw, seed) if arm.real else Job(model, arm, 0, (), 0, seed)
                        jobs.setdefault(job.name, job)
    return list(jobs.values())


def trainable_units(recipe: StudyRecipe, real: Corpus) -> list[str]:
    """Units of the real corpus that arms may train on; raises RecipeError where the test names unknown units."""
    unknown = set(recipe.real.test_units) - set(real.units)
    if unknown:
        do = f"it has {first_few(real.units, 12)}: choose the test among them with --test (real.test_units)"
        raise RecipeError(f"test units {', '.join(sorted(unknown))} are not in the data", recipe.real.source, do)
    left = {tile.unit for tile in real.tiles if tile.unit not in recipe.real.test_units and tile.split in ("train", None)}
    if not left:
        raise PcaugError(
            "no training data is left beside the test", recipe.real.source, "name fewer test units or change the split"
        )
    return sorted(left)


def test_corpus(recipe: StudyRecipe, real: Corpus) -> Corpus:
    """The part of the real corpus that is scored; raises RecipeError where the recipe leaves nothing to score."""
    if recipe.real.test_units:
        return real.only(units=recipe.real.test_units)
    if "test" not in real.splits:
        do = "name units with --test, or split it: --set real.split=0.7/0.1/0.2"
        raise RecipeError("has no test", recipe.real.source, do)
    return real.only(split="test")


def train_recipe(job: Job, recipe: StudyRecipe) -> TrainRecipe:
    """The training recipe of a job: the same for every arm but for what the arm itself changes.

    ``arguments`` are those of the recipe's own network, there and where ``set`` changes them. Another model takes those of the
    recipe that is named like it, as ``model_set`` changes them.
    """
    seed = recipe.seed * 1000 + job.draw * 100 + job.seed
    shared, of_arm = recipe.set, job.arm.set
    if job.model != load_recipe(recipe.train).network:
        shared, of_arm = _for_all(shared), _for_all(of_arm)
    changes = [*shared, *recipe.model_set.get(job.model, ()), f"seed={seed}", f"network={job.model}", *of_arm]
    if not job.arm.augment:
        changes.append("augment=[]")
    return load_recipe(recipe.train, changes)


def _for_all(changes: Sequence[str]) -> tuple[str, ...]:
    """The changes that any network can follow: all but those of ``arguments``."""
    return tuple(change for change in changes if change.partition("=")[0].strip().partition(".")[0] != "arguments")


def ways(recipe: StudyRecipe) -> list[tuple[Job, TrainRecipe]]:
    """How each model is trained in each arm, whatever the budget, draw and seed."""
    jobs = [Job(model, arm, 0, (), 0, 0) for model in recipe.models for arm in recipe.arms]
    return [(job, train_recipe(job, recipe)) for job in jobs]


def check_arms(recipe: StudyRecipe) -> None:
    """Raise RecipeError for a mistake in the settings of trainings, before anything is made or trained."""
    changes = [*recipe.set, *(c for own in recipe.model_set.values() for c in own), *(c for arm in recipe.arms for c in arm.set)]
    for change in changes:
        if change.partition("=")[0].strip() in OWN:
            what = f"{change!r} among the changes of trainings: each has a seed of its own, and the network of its model"
            raise RecipeError(what, do='--set seed=..., --set seeds=..., --set "models=[...]"')
    for own in ((), *(arm.set for arm in recipe.arms)):
        load_recipe(recipe.train, [*recipe.set, *own])  # also what no model of the study follows must be right
    for job, how in ways(recipe):
        if how.validate_every:
            do = "choose the settings with pcaug train first; a study trains all arms alike, for the same number of steps"
            raise RecipeError(f"arm {job.arm.name!r} has validate_every={how.validate_every}, a study has no validation", do=do)
        how.check_shares(len(job.arm.synthetic), f"arm {job.arm.name!r}")
        if how.classes != "cut":
            taxonomy().preset(how.classes)
    _check_steps(recipe)


def _check_steps(recipe: StudyRecipe) -> None:
    """Raise RecipeError where an arm of a network is trained for longer or shorter than the baseline."""
    blocks = {(job.model, job.arm.name): how.steps * how.accumulate * how.batch for job, how in ways(recipe) if not how.is_forest}
    for (model, arm), number in blocks.items():
        if number != (usual := blocks[model, recipe.baseline]):
            what = f"arm {arm!r} sees {number:,} blocks (steps x batch x accumulate), and {recipe.baseline!r} {usual:,}"
            raise RecipeError(what, do="change steps for all arms alike: in set, or with --train-set steps=...")


def by_cut(recipe: StudyRecipe) -> bool:
    """Whether some training predicts the classes of a cut: then all must, or scores do not compare."""
    return any(how.classes == "cut" for _, how in ways(recipe))


def folder_of(source: Synthetic, job: Job) -> str:
    """Folder of the corpus of a source that a job trains on."""
    return f"{source.name}_b{job.budget}_d{job.draw}" if source.of_real else source.name


def corpora_of(source: Synthetic, jobs: Sequence[Job], synthetic: dict[str, Corpus]) -> list[Corpus]:
    """The corpora of a source that jobs train on, as far as they are there: one for each draw where it is made of real clouds."""
    keys = dict.fromkeys(folder_of(source, job) for job in jobs if source.name in job.arm.synthetic)
    return [synthetic[key] for key in keys if key in synthetic]
