"""One training of a study, from its clouds to the result that is kept."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from pathlib import Path

from pcaug.corpus.read import Corpus
from pcaug.errors import PcaugError
from pcaug.files import to_jsonable, write_text
from pcaug.labels import ClassSet
from pcaug.parallel import Progress, silent
from pcaug.segment.distributed import on_threads
from pcaug.segment.evaluate import evaluate, miou
from pcaug.segment.log import spent
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import LOG, Run
from pcaug.segment.train import train
from pcaug.study.plan import Job, folder_of, test_corpus, train_recipe
from pcaug.study.recipe import StudyRecipe
from pcaug.study.results import Result

Task = tuple[Job, StudyRecipe, Corpus, dict[str, Corpus], ClassSet | None, Path]
"""A training, its study, the real and the synthetic corpora, the classes of a cut, and the study's folder."""


def run_job(task: Task, progress: Progress = silent) -> PcaugError | None:
    """One training and its score, kept as a result; or what went wrong with it."""
    job, recipe, real, synthetic, classes, folder = task
    home = folder / "runs" / job.name
    with on_threads(recipe.threads):
        started = time.perf_counter() - sum(map(spent, home.rglob(LOG)))  # what was trained before an interruption counts
        try:
            run = _trained(job, recipe, real, synthetic, classes, home, progress)
            trained = time.perf_counter()
            test = test_corpus(recipe, real)
            scores = evaluate(run, test)
        except PcaugError as error:
            return PcaugError(f"arm {job.arm.name!r}: {error.what}", error.where or home, error.do)
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
    write_json(result_file(job, folder), asdict(result))
    return None


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
        return train(without_real(how, len(sources)), sources[0], sources[1:], folder, progress=progress, classes=classes)
    clouds = real.only(units=job.units, split="train")
    if not job.arm.pretrain:
        return train(how, clouds, sources, folder, progress=progress, classes=classes)
    half = how.steps // 2
    before = without_real(how, len(sources)).model_copy(update={"steps": half})
    first = train(before, sources[0], sources[1:], folder / "pretrained", progress=progress, classes=classes)
    after = how.model_copy(update={"steps": how.steps - half, "synthetic_shares": ()})
    return train(after, clouds, (), folder, progress=progress, start=first, classes=classes)


def without_real(how: TrainRecipe, sources: int) -> TrainRecipe:
    """The recipe where the first of some sources stands for the real clouds: drawn as often as the shares of all say, and all of
    them alike in everything else. It has no split to validate on."""
    shares = how.synthetic_shares or (1.0,) * sources
    alike = {"real_start": None, "synthetic_weight": 1.0, "synthetic_smoothing": 0.0, "cutmix": 0.0, "validate_every": 0}
    return how.model_copy(update={"real_share": shares[0] / sum(shares), "synthetic_shares": shares[1:], **alike})


def result_file(job: Job, folder: Path) -> Path:
    """Where the result of a training lies in a study's folder."""
    return folder / "results" / f"{job.name}.json"


def write_json(path: Path, value: object) -> None:
    """Write a value as JSON, NaN as null."""
    write_text(path, json.dumps(to_jsonable(value), indent=2) + "\n")
