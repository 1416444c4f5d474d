"""Run a study: prepare data once, train every arm on every budget, draw and seed, keep each result on disk.

A study folder holds ``real/`` and ``synthetic/<name>/`` (corpora; ``<name>_b1_d0`` where one is made for a draw of a budget),
``runs/<job>/`` (trainings), ``results/<job>.json`` (one a training), and at the end ``results.parquet`` and ``summary.json``;
the command adds ``report.html``. What is there is not done again, so a killed study goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from pcaug import __version__
from pcaug.corpus.manifest import Tile
from pcaug.corpus.read import Corpus
from pcaug.corpus.sources import is_corpus, refuse_nested
from pcaug.errors import NotFound, PcaugError, RecipeError
from pcaug.files import alone
from pcaug.labels import ClassSet
from pcaug.parallel import Progress, completed, silent
from pcaug.segment.dataset import class_set
from pcaug.segment.distributed import on_threads
from pcaug.study.folder import NOTE, check_classes, earlier_results, open_folder, state, take, told_classes
from pcaug.study.plan import Job, by_cut, check_arms, corpora_of, folder_of, plan, test_corpus, trainable_units
from pcaug.study.recipe import SAMPLE, StudyRecipe, Synthetic, load_recipe, narrowed
from pcaug.study.results import ArmSummary, Result, read_result, summarise, verdicts, write_parquet
from pcaug.study.sources import COST, cost, is_made, make, real_corpus
from pcaug.study.training import Task, result_file, run_job, write_json

Making = tuple[Synthetic, Corpus, Path, int]
"""A source, the real clouds of a draw, its folder, and the seed."""


@dataclass(frozen=True)
class Study:
    """A study, or what is done of it: what the report is made of.

    Attributes:
        recipe, folder, classes, real, synthetic: What is compared, where it lies, what is scored, and its data by folder name.
        jobs, results: The trainings that the recipe asks for and that are done.
        earlier: Results of the folder that earlier commands asked for and this recipe does not.
        summaries: Of all results.
        cost: Of each source.
        planned: Trainings that the recipe asks for.
    """

    recipe: StudyRecipe
    folder: Path
    classes: ClassSet
    real: Corpus
    synthetic: dict[str, Corpus]
    jobs: list[Job]
    results: list[Result]
    earlier: list[Result]
    summaries: list[ArmSummary]
    cost: dict[str, dict[str, float]]
    planned: int


def run_study(
    recipe: StudyRecipe | str | Path,
    folder: str | Path,
    *,
    progress: Progress = silent,
    workers: int = 1,
    scheduler: str | None = None,
    so_far: bool = False,
    force: bool = False,
) -> Study:
    """Run a study, or what is left of it.

    Args:
        recipe: What to compare: a recipe, or the name or file of one, whose reduced grid is taken.
        folder: Study folder; an earlier study there goes on, where all that both have is the same (see ``pcaug.study.folder``).
        progress: Called as ``progress(text, done, total)``.
        workers: Trainings side by side; the numbers are the same for any number.
        scheduler: Address of a Dask scheduler whose workers see the same files instead.
        so_far: Train nothing, and take what is done: of a study that runs elsewhere, or was stopped.
        force: Start over in a folder that holds a study.

    Raises:
        PcaugError: If the folder holds a study of another recipe or anything else, a source cannot be read, or nothing is done
            ``so_far``.
    """
    if not isinstance(recipe, StudyRecipe):
        recipe = narrowed(load_recipe(recipe))
    folder = Path(folder)
    _check(recipe, folder, so_far=so_far, force=force)
    with nullcontext() if so_far else alone(folder, folder):
        real, real_cost, jobs = _opened(recipe, folder, force=force)
        planned, earlier = len(jobs), earlier_results(folder, jobs)
        if so_far:
            jobs = [job for job in jobs if result_file(job, folder).is_file()]
        making = _makings(recipe, jobs, real, folder)
        if so_far:
            making = {key: task for key, task in making.items() if is_made(task[0], task[2])}
        synthetic = _sources(making, recipe.threads, progress, workers, scheduler)
        theirs = {source.name for source in recipe.synthetic if source.corpus}
        _check_test(recipe, {name: corpus for name, corpus in synthetic.items() if name in theirs}, real)
        cut = _cut(recipe, jobs, real, synthetic) if not so_far and by_cut(recipe) else None
        if cut:
            check_classes(cut.names, folder)
        tasks = [(job, recipe, real, synthetic, cut, folder) for job in jobs]
        _train_all(tasks, progress, workers, scheduler)
    results = [read_result(result_file(job, folder)) for job in jobs]
    summaries = summarise([*results, *earlier], recipe.baseline)
    costs = {"real": real_cost} | _costs(recipe, jobs, synthetic)
    classes = told_classes(recipe, folder)
    study = Study(recipe, folder, classes, real, synthetic, jobs, results, earlier, summaries, costs, planned)
    write_parquet([*results, *earlier], folder / "results.parquet")
    write_json(folder / "summary.json", summary(study))
    return study


def _check(recipe: StudyRecipe, folder: Path, *, so_far: bool, force: bool) -> None:
    """Raise PcaugError for mistakes that can be found before the folder is touched."""
    check_arms(recipe)
    if force or not (folder / NOTE).is_file():
        _check_real(recipe)
    if so_far and not any((folder / "results").glob("*.json")):
        raise PcaugError("holds no finished training yet", folder, "wait, or run the study without --so-far")
    _check_inputs(recipe, folder)
    if force and is_corpus(Path(recipe.real.source or "")):  # else what is there is known only once it is converted
        _planned(recipe, Corpus.open(recipe.real.source))


def _opened(recipe: StudyRecipe, folder: Path, *, force: bool) -> tuple[Corpus, dict[str, float], list[Job]]:
    """The real data, what it cost, and the trainings; the folder is this study's once no mistake is found."""
    told = state(recipe)
    open_folder(told, folder, force=force)
    real, real_cost = real_corpus(recipe, folder, told["real_data"])
    real, jobs = _planned(recipe, real)
    take(told, folder)
    return real, real_cost, jobs


def _planned(recipe: StudyRecipe, real: Corpus) -> tuple[Corpus, list[Job]]:
    """The real data by its units, and the trainings; raises RecipeError or NotFound for units that are not there."""
    real = real.by_tile() if recipe.real.unit == "tile" else real
    jobs = plan(recipe, trainable_units(recipe, real))
    test_corpus(recipe, real)
    return real, jobs


def _cut(recipe: StudyRecipe, jobs: Sequence[Job], real: Corpus, synthetic: dict[str, Corpus]) -> ClassSet:
    """The classes that the real data and every source with labels of its own can tell; changed real clouds have the real ones."""
    own = [source for source in recipe.synthetic if source.like or not source.of_real]
    return class_set("cut", [real, *(corpus for source in own for corpus in corpora_of(source, jobs, synthetic))])


def _train_all(tasks: Sequence[Task], progress: Progress, workers: int, scheduler: str | None) -> None:
    """Do the trainings that have no result yet; raises PcaugError of the first that failed once the others are done."""
    left = [task for task in tasks if not result_file(task[0], task[-1]).is_file()]
    before, failed = len(tasks) - len(left), []
    progress("trainings", before, len(tasks))
    work = partial(run_job, progress=progress) if workers == 1 and scheduler is None else run_job
    for done, (_, error) in enumerate(completed(work, left, workers=workers, scheduler=scheduler), start=1):
        failed += [error] if error else []
        progress("trainings", before + done, len(tasks))
    if failed:
        more = f", the first of {len(failed)} that failed" if len(failed) > 1 else ""
        others = "; the others are done, --so-far reports on them" if len(failed) < len(tasks) else ""
        do = f"{failed[0].do or 'see its log.csv'}{others}"
        raise PcaugError(f"{failed[0].what}{more}", failed[0].where, do)


def _check_real(recipe: StudyRecipe) -> None:
    """Raise RecipeError or NotFound where there is no real data, before the folder becomes this study's."""
    source = recipe.real.source
    if not source:
        raise RecipeError("names no real data", "real.source", "say where it is: --real PATH")
    if source != SAMPLE and not Path(source).exists():
        raise NotFound("no such file or folder", source, "say where the real data is: --real PATH")


def _check_inputs(recipe: StudyRecipe, folder: Path) -> None:
    """Refuse a folder that what is read lies in, which starting over would remove; or that lies in the scans that are read, and
    would change them."""
    named = {recipe.real.source, *(synthetic.corpus for synthetic in recipe.synthetic)} - {SAMPLE}
    for source in sorted(filter(None, named)):
        if not is_corpus(Path(source)):
            refuse_nested(Path(source), folder)
        if Path(source).resolve().is_relative_to(folder.resolve()):
            raise PcaugError(f"holds {source}, which this study reads", folder, "choose another folder")


def _check_test(recipe: StudyRecipe, sources: Mapping[str, Corpus], real: Corpus) -> None:
    """Refuse sources that were made of clouds of the test: of the same unit of the same file, and where tiles are units, of no
    other tile of it. What a source's own split keeps out of trainings may be of the test; where the test is a split, that is how
    the source was made."""
    test = test_corpus(recipe, real)
    scored = {key for tile, key in _made_of(test) if test.manifest.sources[tile.source].sha256}
    others = {tile.name for tile in real.tiles} - {tile.name for tile in test.tiles} if recipe.real.unit == "tile" else set()
    trained = (None, "train") if recipe.real.test_units else (None,)
    for name, corpus in sources.items():
        for tile, key in _made_of(corpus):
            if tile.split not in trained or key not in scored:
                continue
            if not any(tile.name == other or tile.name.startswith(f"{other}-") for other in others):
                do = "split the real data first, and make the source of its training part"
                raise PcaugError(f"{name} holds clouds that were made of the test's unit {tile.unit}", corpus.folder, do)


def _made_of(corpus: Corpus) -> Iterator[tuple[Tile, tuple[str, str, str]]]:
    """Each tile with its unit, whatever a study counts as one, its card and its file."""
    units = {tile.path: tile.unit for tile in corpus.manifest.tiles}
    for tile in corpus.tiles:
        row = corpus.manifest.sources[tile.source]
        yield tile, (units[tile.path], row.card, Path(row.path).name)


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
        "earlier": len(study.earlier),
    }


def _makings(recipe: StudyRecipe, jobs: Sequence[Job], real: Corpus, folder: Path) -> dict[str, Making]:
    """How the synthetic sources that jobs train on are made, by folder name; sources of real clouds for every draw anew."""
    by_name = {source.name: source for source in recipe.synthetic}
    wanted: dict[str, Making] = {}
    for job in jobs:
        for name in job.arm.synthetic:
            key = folder_of(by_name[name], job)
            if key not in wanted:
                clouds = real.only(units=job.units, split="train") if job.units else real
                wanted[key] = (by_name[name], clouds, folder / "synthetic" / key, recipe.seed)
    return wanted


def _sources(
    wanted: dict[str, Making], threads: int, progress: Progress, workers: int, scheduler: str | None
) -> dict[str, Corpus]:
    """The corpora of sources, by folder name."""
    keys, made = list(wanted), dict[str, Corpus]()
    alone = workers == 1 and scheduler is None
    work = partial(_make, threads=threads, progress=progress if alone else silent)
    for done, (index, corpus) in enumerate(completed(work, list(wanted.values()), workers=workers, scheduler=scheduler), start=1):
        made[keys[index]] = corpus
        if not alone:
            progress("sources", done, len(keys))
    return {key: made[key] for key in keys}


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
