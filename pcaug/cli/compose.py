"""``pcaug compose``: labelled scenes seen by a simulated scanner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcaug.cli import options as o


def compose(
    recipe: Annotated[str, typer.Argument(help="Name of a scene recipe (street, town), or a TOML file.")],
    number: Annotated[int, typer.Option("-n", min=1, help="How many scans.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The corpus.")],
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 0,
    change: Annotated[list[str] | None, typer.Option("--set", help="key=value: change a value of the recipe.")] = None,
    workers: o.Workers = 1,
    scheduler: o.Scheduler = None,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Build worlds from a recipe, see each with its sensor, and write a labelled corpus.

    A run that was killed goes on where it stood when the same command is given again.
    """
    from pcaug.cli.console import emit_json, fresh, out, reporter
    from pcaug.corpus.read import Corpus
    from pcaug.scene.recipe import load_recipe
    from pcaug.sensor.compose import compose_corpus

    wanted = load_recipe(recipe, change or [])
    fresh(output, force=force)
    with reporter() as progress:
        compose_corpus(wanted, number, output, seed, workers=workers, scheduler=scheduler, force=force, progress=progress)
    corpus = Corpus.open(output)
    if json:
        emit_json({"points": corpus.points, "scans": number, "classes": corpus.counts(), "seed": seed, "output": output})
    else:
        out().print(f"{corpus.points:,} points in {number} scans in {output}", soft_wrap=True)
