"""``pcaug generate``: learn objects of a class, sample new ones, score them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from pcaug.cli import options as o

if TYPE_CHECKING:
    from pcaug.generate.score import Scores

generate = typer.Typer(help="Fit a generator to real objects, sample labelled objects for paste, or score some.")
Names = Annotated[list[str] | None, typer.Option("--class", help="Class of the taxonomy; may be given several times.")]


@generate.command()
def fit(
    bank: Annotated[Path, typer.Argument(help="An object bank.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The model.")],
    names: Annotated[
        list[str] | None, typer.Option("--class", help="Class to learn (car); may be given several times for a flow.")
    ] = None,
    family: Annotated[
        Literal["shape", "flow"], typer.Option(help="Statistical shape model of one class, or flow matching of several.")
    ] = "shape",
    points: Annotated[int | None, typer.Option(min=16, help="Points of an object: 256 (shape), 128 (flow).")] = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimiser steps of a flow.")] = 2000,
    complete: Annotated[bool, typer.Option("--complete", help="Complete objects by symmetry first.")] = False,
    seed: o.Seed = 0,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Fit a generator to the objects of a bank's train split, and score it on units that are held out."""
    import numpy as np

    from pcaug.cli.console import err, fresh, reporter
    from pcaug.corpus.read import Corpus
    from pcaug.generate import fit as fitting
    from pcaug.generate import model, report
    from pcaug.generate.bank import read_bank
    from pcaug.generate.complete import complete_things

    rng, names = np.random.default_rng((seed, 0, 0)), names or ["car"]
    fresh(output, force=force, kind=model.KIND)
    fitting.one_class(family, names)
    things = read_bank(bank, names, "train")  # what is tested on is never learned
    training, held = fitting.parted(complete_things(things) if complete else things, rng)
    data = ", ".join(sorted({thing.row.dataset for thing in training} - {""}))
    licence = "; ".join(Corpus.open(bank).only(split="train").licences)
    with reporter() as progress:
        fitted = fitting.fit(
            family, training, names, rng, points=points, steps=steps, seed=seed, data=data, licence=licence, completed=complete,
            progress=progress,
        )  # fmt: skip
    (output / "report.html").unlink(missing_ok=True)  # of an earlier model
    model.save(fitted, output)
    result: dict[str, Any] = {"model": str(output), "family": family, "objects": len(training), "held_out": len(held)}
    scores = {}
    for text in report.flattered(training, held):
        err().print(f"warning: {text}", soft_wrap=True, markup=False)
    if held:
        arms = {f"{family} samples": fitted.sample(len(held), rng, 256), **report.floors(training, len(held), rng)}
        scores = report.scored(arms, held, training, seed, 128)
        report.write_report(f"Generator of {', '.join(names)}", scores, arms, training, held, output / "report.html")
        result |= {"report": str(output / "report.html")}
    _tell(result, scores, json=json)


@generate.command()
def sample(
    source: Annotated[Path, typer.Argument(metavar="model", help="A fitted model.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The bank of samples.")],
    number: Annotated[int, typer.Option("-n", min=1, help="How many objects.")] = 100,
    points: Annotated[int, typer.Option(min=16, help="Points of an object.")] = 1024,
    rescan: Annotated[bool, typer.Option("--rescan", help="Complete by symmetry and see with a simulated scanner.")] = False,
    sensor: Annotated[
        str | None, typer.Option(help="With --rescan: the scanner, of datasets/sensors or a TOML file (HDL-64E).")
    ] = None,
    seed: o.Seed = 0,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Draw new objects from a fitted model."""
    import numpy as np

    from pcaug.cli.console import fresh
    from pcaug.corpus.manifest import KIND
    from pcaug.generate import model
    from pcaug.generate.bank import write_bank
    from pcaug.generate.complete import rescanned
    from pcaug.scene.scanner import SensorRow

    if sensor is not None and not rescan:
        raise typer.BadParameter("--sensor is the scanner of --rescan: give that too")
    scanner = SensorRow(model=sensor or "")
    rng = np.random.default_rng((seed, 0, 0))
    fresh(output, force=force, kind=KIND)
    fitted = model.load(source)
    things = fitted.sample(number, rng, points)
    if rescan:
        things = [seen for thing in things if (seen := rescanned(thing, rng, scanner)) is not None]
    made_by = {"generator": fitted.card.model_dump(mode="json"), "seed": seed, "rescanned": rescan}
    made_by |= {"sensor": sensor} if sensor else {}
    write_bank(things, output, made_by=made_by, licence=fitted.card.licence, synthetic=True, force=force)
    _tell({"objects": len(things), "classes": ", ".join(fitted.card.classes), "bank": str(output)}, {}, json=json)


@generate.command()
def score(
    source: Annotated[Path, typer.Argument(metavar="samples", help="A bank of samples.")],
    training: Annotated[Path, typer.Option("--training", help="Bank that the samples were learned from.")],
    real: Annotated[Path, typer.Option("--real", help="Bank of real objects that were not learned from.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The report (HTML).")],
    names: Names = None,
    points: Annotated[int, typer.Option(min=16, help="Points of an object.")] = 128,
    seed: o.Seed = 0,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Score a bank of samples against real objects of the same classes."""
    import numpy as np

    from pcaug.cli.console import err, fresh, page
    from pcaug.errors import counted
    from pcaug.generate import report
    from pcaug.generate.bank import read_bank

    rng = np.random.default_rng((seed, 0, 0))
    output = fresh(page(output), force=force)
    samples = read_bank(source, names or ())
    classes = sorted({thing.row.name for thing in samples})
    known, held = (read_bank(folder, classes) for folder in (training, real))
    if shared := {thing.row.unit for thing in known} & {thing.row.unit for thing in held}:
        text = f"note: {training} and {real} share {counted(len(shared), 'unit')}: objects that were learned from tell nothing"
        err().print(text, soft_wrap=True, markup=False)
    arms = {"samples": samples[: len(held)], **report.floors(known, len(held), rng)}
    scores = report.scored(arms, held, known, seed, points)
    report.write_report(f"Samples in {source}", scores, arms, known, held, output)
    _tell({"report": str(output)}, scores, json=json)


def _tell(result: dict[str, Any], scores: dict[str, Scores], *, json: bool) -> None:
    from pcaug.cli.console import emit_json, figures, out
    from pcaug.generate import report

    if json:
        emit_json(result | ({"scores": report.to_json(scores)} if scores else {}))
        return
    if scores:
        figures(report.HEAD, [[name, *report.row(found)] for name, found in scores.items()])
        out().print(next(iter(scores.values())).verdict, soft_wrap=True, markup=False)
    out().print("\n".join(f"{key}: {value}" for key, value in result.items()), soft_wrap=True, markup=False)
