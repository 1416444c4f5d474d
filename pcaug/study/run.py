"""Run a study: prepare data once, train every arm on every budget, draw and seed, keep each result on disk.

A study folder holds ``real/`` and ``synthetic/<name>/`` (corpora; ``<name>_b1_d0`` where one is made for a draw of a budget),
``runs/<job>/`` (trainings), ``results/<job>.json`` (one a training), and at the end ``results.parquet``, ``summary.json`` and
``report.html``. What is there is not done again, so a killed study goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pcaug import __version__
from pcaug.corpus.read import Corpus
from pcaug.errors import NotFound, PcaugError, RecipeError
from pcaug.files import claim, is_taken, to_jsonable
from pcaug.parallel import Progress, completed, silent
from pcaug.segment.dataset import class_set
from pcaug.segment.distributed import on_threads
from pcaug.segment.features import VERSION
from pcaug.study.plan import Job, by_cut, check_arms, corpora_of, folder_of, plan, test_corpus, trainable_units, ways
from pcaug.study.recipe import StudyRecipe, Synthetic
from pcaug.study.results import ArmSummary, Result, summarise, verdicts, write_parquet
from pcaug.study.sources import COST, cost, made_by, make, real_corpus, state_of
from pcaug.study.training import Task, read_result, result_file, run_job, write_json

Making = tuple[Synthetic, Corpus, Path, int]
"""A source, the real clouds of a draw, its folder, and the seed."""


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
        PcaugError: If the folder holds a study of another recipe or anything else, a source cannot be read, or nothing is done
            ``so_far``.
    """
    real, real_cost, jobs = _opened(recipe, folder, so_far=so_far, force=force)
    planned = len(jobs)
    if so_far:
        jobs = [job for job in jobs if result_file(job, folder).is_file()]
    synthetic = _sources(recipe, jobs, real, folder, progress, workers, scheduler)
    classes = class_set("cut", [real, *synthetic.values()]) if not so_far and by_cut(recipe) else None
    tasks = [(job, recipe, real, synthetic, classes, folder) for job in jobs]
    _train_all(tasks, progress, workers, scheduler)
    results = [read_result(job, folder) for job in jobs]
    summaries = summarise(results, recipe.baseline)
    costs = {"real": real_cost} | _costs(recipe, jobs, synthetic)
    study = Study(recipe, folder, real, synthetic, jobs, results, summaries, costs, planned)
    write_parquet(results, folder / "results.parquet")
    write_json(folder / "summary.json", summary(study))
    return study


def _opened(recipe: StudyRecipe, folder: Path, *, so_far: bool, force: bool) -> tuple[Corpus, dict[str, float], list[Job]]:
    """The real data, what it cost, and the trainings; the folder is this study's from now on, unless a mistake is found."""
    check_arms(recipe)
    if force or not (folder / "recipe.json").is_file():
        _check_real(recipe)
    if force:
        start_over(folder)
    if so_far and not any((folder / "results").glob("*.json")):
        raise PcaugError("holds no finished training yet", folder, "wait, or run the study without --so-far")
    new = not (folder / "recipe.json").is_file()
    claim(folder, force=force, resumes=not new)
    _same_recipe(recipe, folder)
    try:
        real, real_cost = real_corpus(recipe, folder)
        real = real.by_tile() if recipe.real.unit == "tile" else real
        jobs = plan(recipe, trainable_units(recipe, real))
        test_corpus(recipe, real)
        return real, real_cost, jobs
    except PcaugError:
        if new:
            start_over(folder)  # the corrected command shall find no other study here
        raise


def _train_all(tasks: Sequence[Task], progress: Progress, workers: int, scheduler: str | None) -> None:
    """Do the trainings that have no result yet."""
    left = [task for task in tasks if not result_file(task[0], task[-1]).is_file()]
    before = len(tasks) - len(left)
    progress("trainings", before, len(tasks))
    work = partial(run_job, progress=progress) if workers == 1 and scheduler is None else run_job
    for done, _ in enumerate(completed(work, left, workers=workers, scheduler=scheduler), start=1):
        progress("trainings", before + done, len(tasks))


def _check_real(recipe: StudyRecipe) -> None:
    """Raise RecipeError or NotFound where there is no real data, before the folder becomes this study's."""
    source = recipe.real.source
    if not source:
        raise RecipeError("names no real data", recipe.title, "say where it is: --real PATH")
    if source != "sample" and not Path(source).exists():
        raise NotFound("no such file or folder", source, "say where the real data is: --real PATH")


def start_over(folder: Path) -> None:
    """Remove what an earlier study left in a folder, and nothing else.

    Raises:
        PcaugError: If the folder holds something that is not a study.
    """
    if not is_taken(folder):
        return
    if not (folder / "recipe.json").is_file():
        raise PcaugError("is not empty and holds no study", folder, "choose another folder")
    for name in ("real", "synthetic", "runs", "results", "sample"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for pattern in ("recipe.json", "*.cost.json", "results.parquet", "summary.json", "report.html"):
        for path in folder.glob(pattern):
            path.unlink()


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
    with on_threads(threads):
        return make(*task, progress)


def _costs(recipe: StudyRecipe, jobs: Sequence[Job], synthetic: dict[str, Corpus]) -> dict[str, dict[str, float]]:
    """Of each source, the mean over the draws that it was made for."""
    found: dict[str, dict[str, float]] = {}
    for source in recipe.synthetic:
        rows = [cost(corpus.folder / COST) for corpus in corpora_of(source, jobs, synthetic)]
        if rows:
            found[source.name] = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return found


def _same_recipe(recipe: StudyRecipe, folder: Path) -> None:
    """Note what a folder's study is; raises PcaugError where an earlier one there differs in what both have.

    More or fewer budgets, draws, seeds, models and arms are the same study: none of them changes a training that is done.
    """
    told, path = to_jsonable(_state(recipe)), folder / "recipe.json"
    kept = json.loads(path.read_text()) if path.is_file() else told
    told["real_data"] = told["real_data"] or kept.get("real_data")  # scans that are gone were converted before
    before = {group: kept.get(group, {}) for group in ("arms", "sources", "trained")}
    changed = [key for key in ("real", "real_data", "seed", "threads", "cut") if kept.get(key) != told[key]]
    changed += [name for group in before for name, how in told[group].items() if before[group].get(name, how) != how]
    if changed:
        do = "choose another folder, or repeat its --set and --full"
        what = f"holds a study of another recipe, or of other data ({', '.join(changed[:3])} differ)"
        raise PcaugError(what, folder, do)
    if kept["features"] != VERSION:
        raise PcaugError("holds a study of features that are computed otherwise now", folder, "choose another, or pass --force")
    write_json(path, told | {group: before[group] | told[group] for group in before})


def _state(recipe: StudyRecipe) -> dict[str, Any]:
    """All that the trainings of a study depend on, by name where not all of them do."""
    told = recipe.model_dump(mode="json")
    return {
        "recipe": told,
        **{key: told[key] for key in ("real", "seed", "threads")},
        "real_data": state_of(recipe.real.source),
        "features": VERSION,
        "cut": sorted(source.name for source in recipe.synthetic) if by_cut(recipe) else None,  # which decide its classes
        "arms": {arm.name: arm.model_dump(mode="json") for arm in recipe.arms},
        "sources": {source.name: [source.model_dump(mode="json"), made_by(source)] for source in recipe.synthetic},
        "trained": {job.name: how.model_dump(mode="json") for job, how in ways(recipe)},
    }
