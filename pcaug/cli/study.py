"""``pcaug study``: measure what synthetic data buys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pcaug.cli import options as o
from pcaug.errors import counted

if TYPE_CHECKING:
    from pcaug.study.run import Study


def study(
    recipe: Annotated[str, typer.Argument(help="Name of a study recipe, or a TOML file.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The study's folder; an interrupted study resumes in it.")],
    real: Annotated[str | None, typer.Option(help="The real data: a corpus, a file, or a dataset's folder.")] = None,
    change: o.Change = None,
    test: Annotated[str | None, typer.Option(help="Units (drives, tiles) to test on, not the recipe's: 08,10.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only this arm, beside the baseline; may be given several times.")] = None,
    train_set: o.TrainSet = None,
    full: Annotated[bool, typer.Option("--full", help="The full grid of the recipe, not the reduced one.")] = False,
    workers: Annotated[int, typer.Option(min=1, help="Trainings side by side; the numbers are the same.")] = 1,
    scheduler: o.Scheduler = None,
    so_far: Annotated[bool, typer.Option("--so-far", help="Report on the trainings that are done, and train nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
    force: o.Force = False,
) -> None:
    """Train every arm on every budget, draw and seed; write results.parquet, summary.json and report.html."""
    from pcaug import catalogue
    from pcaug.cli.console import emit_json, out, reporter
    from pcaug.study.recipe import load_recipe, narrowed

    path = catalogue.find("models/studies", recipe)
    said = [*(change or []), *([f"real.source={Path(real).resolve() if real != 'sample' else real}"] if real else [])]
    units = [unit.strip() for unit in (test or "").split(",") if unit.strip()]
    if test is not None and not units:
        raise typer.BadParameter("--test names no unit: write --test 08,10")
    said += [f"real.test_units={units}"] if units else []
    wanted = narrowed(load_recipe(path, said, full=full), arm or (), train_set or (), path, full=full)
    from pcaug.study.report import write_report
    from pcaug.study.run import run_study, summary

    if force and so_far:
        raise typer.BadParameter("--force starts over, --so-far reports on what is there")
    with reporter() as progress:
        done = run_study(wanted, output, progress=progress, workers=workers, scheduler=scheduler, so_far=so_far, force=force)
        page = write_report(done, output / "report.html", progress)
    if json:
        emit_json(summary(done))
    else:
        _tell(done)
        out().print(f"report: {page}", soft_wrap=True, markup=False)


def _tell(study: Study) -> None:
    """The arms and the verdict."""
    from pcaug.cli.console import figures, out
    from pcaug.study.report import earlier_in_words
    from pcaug.study.results import verdicts

    if study.earlier:
        text = f"{counted(len(study.results), 'training')}{earlier_in_words(study).removesuffix(',')}"
        out().print(text, soft_wrap=True, markup=False)
    if len(study.results) < study.planned:
        out().print(f"{len(study.results)} of {counted(study.planned, 'training')} done")
    rows = []
    for s in study.summaries:
        gain = "" if s.gain is None else s.gain.points("+")
        rows.append([s.arm, s.model, str(s.budget or "none"), s.miou.points(), gain, f"{s.train_seconds:.0f}"])
    figures(["arm", "model", "real units", "mIoU", "gain", "s/training"], rows, names=2)
    if "draws" in study.recipe.model_fields_set and study.recipe.draws > 1 and not any(job.draw for job in study.jobs):
        out().print("draws change nothing, since every budget takes all units: --set seeds=... tells more")
    for text in verdicts(study.summaries):
        out().print(text, soft_wrap=True, markup=False)
