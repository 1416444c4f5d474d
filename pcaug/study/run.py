"""Run a study: prepare data once, train every arm on every budget, draw and seed, keep each result on disk.

A study folder holds ``real/`` and ``synthetic/<name>/`` (corpora; ``<name>_b1_d0`` where one is made for a draw of a budget),
``runs/<job>/`` (trainings), ``results/<job>.json`` (one a training), and at the end ``results.parquet``, ``summary.json`` and
``report.html``. What is there is not done again, so a killed study goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Lock

import numpy as np

from pcaug import __version__, catalogue
from pcaug.corpus.convert import convert
from pcaug.corpus.read import Corpus
from pcaug.corpus.sample import extract
from pcaug.corpus.split import Split
from pcaug.errors import NotFound, PcaugError, RecipeError
from pcaug.files import to_jsonable, write_text
from pcaug.labels import ClassSet
from pcaug.parallel import Progress, completed, silent
from pcaug.segment.dataset import class_set
from pcaug.segment.evaluate import evaluate, miou
from pcaug.segment.features import VERSION
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import Run
from pcaug.segment.train import train
from pcaug.study.recipe import Arm, StudyRecipe, Synthetic
from pcaug.study.results import ArmSummary, Result, summarise, verdicts, write_parquet
from pcaug.study.sources import cost, made_by, make

Making = tuple[Synthetic, Corpus, Path, int]
"""A source, the real clouds of a draw, its folder, and the seed."""
ALONE = Lock()


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


@dataclass(frozen=True)
class Study:
    """A study, or what is done of it: what the report is made of. ``planned`` counts the trainings of the whole."""

    recipe: StudyRecipe
    folder: Path
    real: Corpus
    synthetic: dict[str, Corpus]
    jobs: list[Job]
    results: list[Result]
    summaries: list[ArmSummary]
    cost: dict[str, dict[str, float]]
    planned: int


def run_study(
    recipe: StudyRecipe,
    folder: Path,
    progress: Progress = silent,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    so_far: bool = False,
    force: bool = False,
) -> Study:
    """Run a study, or what is left of it.

    Args:
        recipe: What to compare.
        folder: Study folder; an earlier, interrupted study of the same recipe goes on.
        progress: Called as ``progress(text, done, total)``.
        workers: Trainings side by side; the numbers are the same for any number.
        scheduler: Address of a Dask scheduler whose workers see the same files instead.
        so_far: Train nothing, and take what is done: of a study that runs elsewhere, or was stopped.
        force: Start over in a folder that holds another study.

    Raises:
        PcaugError: If the folder holds a study of another recipe, a source cannot be read, or nothing is done ``so_far``.
    """
    _check_arms(recipe)
    if force or not (folder / "recipe.json").is_file():
        _check_real(recipe)
    if force:
        start_over(folder)
    if so_far and not any((folder / "results").glob("*.json")):
        raise PcaugError("holds no finished training yet", folder, "wait, or run the study without --so-far")
    new = not (folder / "recipe.json").is_file()
    _same_recipe(recipe, folder)
    try:
        real, real_cost = _real(recipe, folder)
    except PcaugError:
        if new:
            (folder / "recipe.json").unlink()  # the corrected command shall find no other study here
        raise
    real = real.by_tile() if recipe.real.unit == "tile" else real
    jobs = plan(recipe, trainable_units(recipe, real))
    planned = len(jobs)
    if so_far:
        jobs = [job for job in jobs if _result(job, folder).is_file()]
    synthetic = _sources(recipe, jobs, real, folder, progress, workers, scheduler)
    classes = class_set("cut", [real, *synthetic.values()]) if not so_far and _by_cut(recipe) else None
    left = [(job, recipe, real, synthetic, classes, folder) for job in jobs if not _result(job, folder).is_file()]
    progress("trainings", len(jobs) - len(left), len(jobs))
    work = partial(_train, progress=progress) if workers == 1 and scheduler is None else _train
    for done, _ in enumerate(completed(work, left, workers=workers, scheduler=scheduler), start=1):
        progress("trainings", len(jobs) - len(left) + done, len(jobs))
    results = [_read(job, folder) for job in jobs]
    summaries = summarise(results, recipe.baseline)
    costs = {"real": real_cost} | _costs(recipe, jobs, synthetic)
    study = Study(recipe, folder, real, synthetic, jobs, results, summaries, costs, planned)
    write_parquet(results, folder / "results.parquet")
    _write_json(folder / "summary.json", summary(study))
    return study


def _check_real(recipe: StudyRecipe) -> None:
    """Raise RecipeError or NotFound where there is no real data, before the folder becomes this study's."""
    source = recipe.real.source
    if not source:
        raise RecipeError("names no real data", recipe.title, "say where it is: --real PATH")
    if source != "sample" and not Path(source).exists():
        raise NotFound("no such file or folder", source, "say where the real data is: --real PATH")


def _check_arms(recipe: StudyRecipe) -> None:
    """Raise RecipeError for a mistake in an arm's own settings, before anything is made or trained."""
    for job, how in _ways(recipe):
        how.check_shares(len(job.arm.synthetic), f"arm {job.arm.name!r}")


def _by_cut(recipe: StudyRecipe) -> bool:
    """Whether some training tells apart what its corpora can label: then all of the study must, or their scores mean nothing."""
    return any(how.classes == "cut" for _, how in _ways(recipe))


def _ways(recipe: StudyRecipe) -> list[tuple[Job, TrainRecipe]]:
    """How each model is trained in each arm, whatever the budget, draw and seed."""
    jobs = [Job(model, arm, 0, (), 0, 0) for model in recipe.models for arm in recipe.arms]
    return [(job, train_recipe(job, recipe)) for job in jobs]


def start_over(folder: Path) -> None:
    """Remove what an earlier study left in a folder, and nothing else.

    Raises:
        PcaugError: If the folder holds something that is not a study.
    """
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / "recipe.json").is_file():
        raise PcaugError("is not empty and holds no study", folder, "choose another folder")
    for name in ("real", "synthetic", "runs", "results", "sample"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for pattern in ("recipe.json", "*.cost.json", "results.parquet", "summary.json", "report.html"):
        for path in folder.glob(pattern):
            path.unlink()


def plan(recipe: StudyRecipe, units: Sequence[str]) -> list[Job]:
    """All trainings of a study. Draws of one budget are the same for every arm; larger draws contain the smaller ones, and the
    smallest begin each with another unit while there are others."""
    first = np.random.default_rng((recipe.seed, 1)).permutation(len(units))
    jobs: dict[str, Job] = {}
    for model in recipe.models:
        for budget in recipe.budgets:
            size = budget or len(units)
            if size > len(units):
                raise RecipeError(f"budget {size} exceeds the {len(units)} training units {', '.join(units)}")
            for draw in range(recipe.draws if size < len(units) else 1):
                order = np.random.default_rng((recipe.seed, 1, draw)).permutation(len(units)).tolist()
                order.insert(0, order.pop(order.index(first[draw % len(units)])))
                chosen = tuple(sorted(units[i] for i in order[:size]))
                for arm in recipe.arms:
                    for seed in range(recipe.seeds):
                        if arm.pretrain and model == "trees":
                            continue  # a forest cannot be trained further
                        job = Job(model, arm, size, chosen, draw, seed) if arm.real else Job(model, arm, 0, (), 0, seed)
                        jobs.setdefault(job.name, job)
    return list(jobs.values())


def trainable_units(recipe: StudyRecipe, real: Corpus) -> list[str]:
    """Units of the real corpus that arms may train on; raises RecipeError where the test names unknown units."""
    unknown = set(recipe.real.test_units) - set(real.units)
    if unknown:
        raise RecipeError(f"test units {sorted(unknown)} are not in the corpus", do=f"it has {', '.join(real.units)}")
    left = {tile.unit for tile in real.tiles if tile.unit not in recipe.real.test_units and tile.split in ("train", None)}
    if not left:
        raise PcaugError(
            "no training data is left beside the test", recipe.real.source, "name fewer test units or change the split"
        )
    return sorted(left)


def summary(study: Study) -> dict[str, object]:
    """The study as one JSON object."""
    return {
        "title": study.recipe.title,
        "pcaug": __version__,
        "recipe": study.recipe.model_dump(mode="json"),
        "verdict": verdicts(study.summaries),
        "arms": [asdict(row) for row in study.summaries],
        "cost": study.cost,
        "trainings": len(study.results),
        "planned": study.planned,
    }


def test_corpus(recipe: StudyRecipe, real: Corpus) -> Corpus:
    """The part of the real corpus that is scored."""
    if recipe.real.test_units:
        return real.only(units=recipe.real.test_units)
    return real.only(split="test")


def _sources(
    recipe: StudyRecipe, jobs: Sequence[Job], real: Corpus, folder: Path, progress: Progress, workers: int, scheduler: str | None
) -> dict[str, Corpus]:
    """The corpora of the synthetic sources that jobs train on, by folder name; sources of real clouds for every draw anew."""
    by_name = {source.name: source for source in recipe.synthetic}
    wanted: dict[str, Making] = {}
    for job in jobs:
        for name in job.arm.synthetic:
            key = folder_of(by_name[name], job)
            if key not in wanted:
                clouds = real.only(units=job.units, split="train") if job.units else real
                wanted[key] = (by_name[name], clouds, folder / "synthetic" / key, recipe.seed)
    keys, made = list(wanted), dict.fromkeys(wanted, real)
    alone = workers == 1 and scheduler is None
    work = partial(_make, threads=recipe.threads, progress=progress if alone else silent)
    for done, (index, corpus) in enumerate(completed(work, list(wanted.values()), workers=workers, scheduler=scheduler), start=1):
        made[keys[index]] = corpus
        if not alone:
            progress("sources", done, len(keys))
    return made


def _make(task: Making, threads: int, progress: Progress = silent) -> Corpus:
    with _on(threads):
        return make(*task, progress)


def folder_of(source: Synthetic, job: Job) -> str:
    """Folder of the corpus of a source that a job trains on."""
    return f"{source.name}_b{job.budget}_d{job.draw}" if source.of_real else source.name


def corpora_of(source: Synthetic, jobs: Sequence[Job], synthetic: dict[str, Corpus]) -> list[Corpus]:
    """The corpora of a source that jobs train on, one for each draw where it is made of real clouds."""
    keys = dict.fromkeys(folder_of(source, job) for job in jobs if source.name in job.arm.synthetic)
    return [synthetic[key] for key in keys]


def _costs(recipe: StudyRecipe, jobs: Sequence[Job], synthetic: dict[str, Corpus]) -> dict[str, dict[str, float]]:
    """Of each source, the mean over the draws that it was made for."""
    found: dict[str, dict[str, float]] = {}
    for source in recipe.synthetic:
        rows = [cost(corpus) for corpus in corpora_of(source, jobs, synthetic)]
        if rows:
            found[source.name] = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return found


def _result(job: Job, folder: Path) -> Path:
    return folder / "results" / f"{job.name}.json"


def _read(job: Job, folder: Path) -> Result:
    raw = json.loads(_result(job, folder).read_text())
    return Result(**raw | {"units": tuple(raw["units"])})


@contextmanager
def _on(threads: int) -> Iterator[None]:
    """Inside, torch works on some threads, and nobody else in this process: a worker of Dask gives several jobs to one, but the
    seed and the number of threads are the whole process's."""
    import torch

    with ALONE:
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def _train(task: tuple[Job, StudyRecipe, Corpus, dict[str, Corpus], ClassSet | None, Path], progress: Progress = silent) -> None:
    """One training and its score, kept as a result."""
    job, recipe, real, synthetic, classes, folder = task
    with _on(recipe.threads):
        started = time.perf_counter()
        run = _trained(job, recipe, real, synthetic, classes, folder / "runs" / job.name, progress)
        trained = time.perf_counter()
        test = test_corpus(recipe, real)
        scores = evaluate(run, test)
    result = Result(
        job.model,
        job.arm.name,
        job.budget,
        job.units,
        job.draw,
        job.seed,
        scores.miou,
        scores.accuracy,
        scores.iou,
        trained - started,
        time.perf_counter() - trained,
        {name: miou(table) for name, table in zip(scores.clouds, scores.per_cloud, strict=True)} if len(test.units) > 1 else {},
    )
    _write_json(_result(job, folder), asdict(result))


def _trained(
    job: Job,
    recipe: StudyRecipe,
    real: Corpus,
    synthetic: dict[str, Corpus],
    cut: ClassSet | None,
    folder: Path,
    progress: Progress,
) -> Run:
    by_name = {source.name: source for source in recipe.synthetic}
    sources = [synthetic[folder_of(by_name[name], job)] for name in job.arm.synthetic]
    how = train_recipe(job, recipe)
    classes = cut if how.classes == "cut" else None
    if not job.arm.real:
        return train(_without_real(how, len(sources)), sources[0], sources[1:], folder, progress, classes=classes)
    clouds = real.only(units=job.units, split="train")
    if not job.arm.pretrain:
        return train(how, clouds, sources, folder, progress, classes=classes)
    half = how.steps // 2
    before = _without_real(how, len(sources)).model_copy(update={"steps": half})
    first = train(before, sources[0], sources[1:], folder / "pretrained", progress, classes=classes)
    after = how.model_copy(update={"steps": how.steps - half, "synthetic_shares": ()})
    return train(after, clouds, (), folder, progress, start=first, classes=classes)


def _without_real(how: TrainRecipe, sources: int) -> TrainRecipe:
    """The recipe where the first of some sources stands for the real clouds: drawn as often as the shares of all say. It has no
    split to validate on."""
    shares = how.synthetic_shares or (1.0,) * sources
    return how.model_copy(update={"real_share": shares[0] / sum(shares), "synthetic_shares": shares[1:], "validate_every": 0})


def train_recipe(job: Job, recipe: StudyRecipe) -> TrainRecipe:
    """The training recipe of a job: the same for every arm but for what the arm itself changes."""
    seed = recipe.seed * 1000 + job.draw * 100 + job.seed
    changes = [*recipe.set, *recipe.model_set.get(job.model, ()), f"seed={seed}", f"network={job.model}", *job.arm.set]
    if not job.arm.augment:
        changes.append("augment=[]")
    return catalogue.load(catalogue.find("models", recipe.train, "*/recipe.toml"), TrainRecipe, changes)


def _real(recipe: StudyRecipe, folder: Path) -> tuple[Corpus, dict[str, float]]:
    started = time.perf_counter()
    made = folder / "real"
    real = recipe.real
    if (Path(real.source) / "manifest.json").is_file():
        return Corpus.open(Path(real.source)), {"seconds": 0.0, "gigabytes": 0.0}
    if not (made / "manifest.json").is_file():
        source = Path(real.source)
        if real.source == "sample":
            source = folder / "sample"
            extract(source)
        convert(
            [source / name for name in real.files] or source,
            made,
            card=real.card,
            split=Split(real.split or None, real.block, real.buffer, recipe.seed),
        )
    return Corpus.open(made), _cost(made, time.perf_counter() - started)


def _cost(corpus: Path, seconds: float) -> dict[str, float]:
    """Seconds to build and gigabytes of a corpus; the seconds of the first build are kept beside it."""
    kept = corpus.with_name(f"{corpus.name}.cost.json")
    if not kept.is_file():
        size = sum(path.stat().st_size for path in corpus.rglob("*") if path.is_file()) / 1e9
        _write_json(kept, {"seconds": seconds, "gigabytes": size})
    found: dict[str, float] = json.loads(kept.read_text())
    return found


def _same_recipe(recipe: StudyRecipe, folder: Path) -> None:
    trained = {job.name: how.model_dump(mode="json") for job, how in _ways(recipe)}
    made = {source.name: how for source in recipe.synthetic if (how := made_by(source))}
    path, told = folder / "recipe.json", recipe.model_dump(mode="json") | {"trained": trained, "made": made, "features": VERSION}
    manifest = Path(recipe.real.source, "manifest.json")
    told |= {"real_data": hashlib.sha256(manifest.read_bytes()).hexdigest() if manifest.is_file() else None}
    kept = json.loads(path.read_text()) if path.is_file() else told
    if kept | {"features": VERSION} != told:
        do = "choose another folder, or repeat its --set and --full"
        raise PcaugError("holds a study of another recipe, or of other data", folder, do)
    if kept != told:
        raise PcaugError("holds a study of features that are computed otherwise now", folder, "choose another, or pass --force")
    _write_json(path, told)


def _write_json(path: Path, value: object) -> None:
    write_text(path, json.dumps(to_jsonable(value), indent=2) + "\n")
