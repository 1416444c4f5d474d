"""``pcaug generate``: learn objects of a class, sample new ones, score them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from pcaug.cli import options as o

if TYPE_CHECKING:
    import numpy as np

    from pcaug.generate.bank import Thing
    from pcaug.generate.model import Generator

HELD_OUT = 0.3
"""Share of the objects that a fit keeps to score itself, in whole units where there are several."""


def generate(
    action: Annotated[Literal["fit", "sample", "score"], typer.Argument(help="fit a model, sample it, or score a bank.")],
    source: Annotated[Path, typer.Argument(help="fit: an object bank; sample: a model; score: a bank of samples.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="fit: the model; sample: a bank; score: a report (HTML).")],
    names: Annotated[list[str] | None, typer.Option("--class", help="fit, score: class; flow takes several.")] = None,
    family: Annotated[Literal["shape", "flow"], typer.Option(help="fit: statistical shape model, or flow matching.")] = "shape",
    number: Annotated[int, typer.Option("-n", min=1, help="sample: how many objects.")] = 100,
    points: Annotated[
        int | None, typer.Option(min=16, help="Points of an object: fit 256 (shape), 128 (flow); sample 1024.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="fit: optimiser steps of a flow.")] = 2000,
    complete: Annotated[bool, typer.Option("--complete", help="fit: complete objects by symmetry first.")] = False,
    rescan: Annotated[
        bool, typer.Option("--rescan", help="sample: complete by symmetry and see with a simulated scanner.")
    ] = False,
    training: Annotated[Path | None, typer.Option("--training", help="score: bank that the samples were learned from.")] = None,
    real: Annotated[Path | None, typer.Option("--real", help="score: bank of real objects that were not learned from.")] = None,
    seed: o.Seed = 0,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Fit a generator to the objects of train (units held out to score it), sample labelled objects for paste, or score some."""
    import numpy as np

    from pcaug.cli.console import emit_json, fresh, out

    rng = np.random.default_rng((seed, 0, 0))
    fresh(output, force=force)
    if action == "fit":
        result = _fit(source, output, names or ["car"], family, points, steps, complete, seed, rng)
    elif action == "sample":
        result = _sample(source, output, number, points or 1024, rescan, seed, rng, force)
    else:
        if training is None or real is None:
            raise typer.BadParameter("score needs --training BANK and --real BANK")
        result = _score(source, training, real, output, tuple(names or ()), points or 128, seed, rng)
    if json:
        emit_json(result)
    else:
        out().print("\n".join(f"{key}: {value}" for key, value in result.items()), soft_wrap=True, markup=False)


def _fit(
    source: Path, output: Path, names: list[str], family: Literal["shape", "flow"], points: int | None, steps: int,
    complete: bool, seed: int, rng: np.random.Generator,
) -> dict[str, object]:  # fmt: skip
    from pcaug.cli.console import reporter
    from pcaug.corpus.read import Corpus
    from pcaug.errors import RecipeError
    from pcaug.generate import flow, model, report, shape
    from pcaug.generate.bank import read_bank
    from pcaug.generate.complete import complete_things

    if family == "shape" and len(names) > 1:
        raise RecipeError("a shape model learns one class", do="fit one for each, or take --family flow")
    things = read_bank(source, names, "train")  # what is tested on is never learned
    training, held = _parted(complete_things(things) if complete else things, rng)
    rows = Corpus.open(source).only(split="train").sources
    card = model.ModelCard(
        family=family,
        classes=tuple(names),
        objects=tuple(sum(thing.row.name == name for thing in training) for name in names),
        points=points or (256 if family == "shape" else 128),
        data=", ".join(sorted({thing.row.dataset for thing in training} - {""})),
        units=tuple(sorted({thing.row.unit for thing in training})),
        licence="; ".join(sorted({row.licence for row in rows if row.licence})),
        seed=seed,
        completed=complete,
    )
    fitted: Generator
    with reporter() as progress:
        if family == "shape":
            fitted = shape.fit(training, card, rng)
        else:
            fitted = flow.fit(training, card, rng, steps=steps, progress=progress)
    model.save(fitted, output)
    result: dict[str, object] = {"model": str(output), "family": family, "objects": len(training), "held_out": len(held)}
    if held:
        arms = {f"{family} samples": fitted.sample(len(held), rng, 256), **report.floors(training, len(held), rng)}
        scores = report.scored(arms, held, training, seed, 128)
        report.write_report(f"Generator of {', '.join(names)}", scores, arms, training, held, output / "report.html")
        result |= {"scores": report.to_json(scores), "report": str(output / "report.html")}
    return result


def _parted(things: list[Thing], rng: np.random.Generator) -> tuple[list[Thing], list[Thing]]:
    """Training and held-out objects: whole units where there are several; of fewer than eight objects none is held out."""
    if len(things) < 8:
        return things, []
    units = sorted({thing.row.unit for thing in things})
    if len(units) < 2:
        order = rng.permutation(len(things))
        held = set(order[: int(len(things) * HELD_OUT)].tolist())
        return [t for i, t in enumerate(things) if i not in held], [t for i, t in enumerate(things) if i in held]
    chosen: set[str] = set()
    for index in rng.permutation(len(units)):
        if sum(t.row.unit in chosen for t in things) < HELD_OUT * len(things) and len(chosen) < len(units) - 1:
            chosen.add(units[index])
    return [t for t in things if t.row.unit not in chosen], [t for t in things if t.row.unit in chosen]


def _sample(
    source: Path, output: Path, number: int, points: int, rescan: bool, seed: int, rng: np.random.Generator, force: bool
) -> dict[str, object]:
    from pcaug.generate import model
    from pcaug.generate.bank import write_bank
    from pcaug.generate.complete import rescanned

    fitted = model.load(source)
    things = fitted.sample(number, rng, points)
    if rescan:
        things = [seen for thing in things if (seen := rescanned(thing, rng)) is not None]
    made_by = {"generator": fitted.card.model_dump(mode="json"), "seed": seed, "rescanned": rescan}
    write_bank(things, output, made_by=made_by, licence=fitted.card.licence, synthetic=True, force=force)
    return {"objects": len(things), "classes": ", ".join(fitted.card.classes), "bank": str(output)}


def _score(
    source: Path,
    training: Path,
    real: Path,
    output: Path,
    names: tuple[str, ...],
    points: int,
    seed: int,
    rng: np.random.Generator,
) -> dict[str, object]:
    from pcaug.cli.console import page
    from pcaug.generate import report
    from pcaug.generate.bank import read_bank

    output = page(output)
    samples, known, held = (read_bank(folder, names) for folder in (source, training, real))
    arms = {"samples": samples[: len(held)], **report.floors(known, len(held), rng)}
    scores = report.scored(arms, held, known, seed, points)
    report.write_report(f"Samples in {source}", scores, arms, known, held, output)
    return {"scores": report.to_json(scores), "report": str(output)}
