"""``pcaug compose``: labelled scenes seen by a simulated scanner."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcaug.cli import options as o
from pcaug.errors import counted


def compose(
    recipe: Annotated[
        str,
        typer.Argument(help="A scene recipe (street, town, wood, mountain, room), a TOML file, or a HELIOS++ .xml."),
    ],
    number: Annotated[int, typer.Option("-n", min=1, help="How many scans.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The corpus.")],
    seed: o.Seed = 0,
    change: o.Change = None,
    like: Annotated[
        Path | None,
        typer.Option(help="Corpus of a few real scans to look like (its train split); --set is where the fit starts."),
    ] = None,
    into: Annotated[Path | None, typer.Option(help="Corpus of real scans (its train split) that get the [into] objects.")] = None,
    append: Annotated[bool, typer.Option("--append", help="Add -n scans to those of the same recipe and seed.")] = False,
    workers: o.Workers = 1,
    scheduler: o.Scheduler = None,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Build worlds from a recipe, see each with its sensor, and write a labelled corpus.

    With --like, scanner, amounts and intensities are fitted to real scans first; the fitted recipe lies in the corpus as
    recipe.toml, to read, edit and give to compose again. A run that was killed resumes where it stopped when the same command is
    given again.
    """
    from pcaug.cli.console import emit_json, err, fresh, out, reporter, writable
    from pcaug.corpus.manifest import KIND
    from pcaug.corpus.read import Corpus
    from pcaug.corpus.sources import refuse_nested
    from pcaug.explore.pattern import pattern_of
    from pcaug.scene.recipe import load_recipe, save_recipe
    from pcaug.scene.survey import recipe_of_survey
    from pcaug.sensor.compose import asked, compose_corpus
    from pcaug.sensor.place import place_corpus

    wanted = recipe_of_survey(Path(recipe), change or []) if recipe.endswith(".xml") else load_recipe(recipe, change or [])
    for read in filter(None, (like, into)):
        refuse_nested(read, output)
    if append:
        writable(output)
    else:
        fresh(output, force=force, kind=KIND)
    told: list[str] = []
    with reporter() as progress:
        if like is not None:
            from pcaug.explore.like import fit_recipe

            fitted = fit_recipe(wanted, Corpus.open(like).only(split="train"), seed, progress=progress)
            wanted = fitted.recipe
            told = [
                *fitted.changes,
                f"class shares off by a factor of {2**fitted.before:.1f} before, {2**fitted.after:.1f} after",
            ]
        shared = {"workers": workers, "scheduler": scheduler, "force": force, "append": append, "progress": progress}
        if into is not None:
            real = Corpus.open(into).only(split="train")  # what is made is trained on
            place_corpus(wanted, real, pattern_of(real), number, output, seed, **shared)  # type: ignore[arg-type]
        else:
            compose_corpus(wanted, number, output, seed, **shared)  # type: ignore[arg-type]
    save_recipe(wanted, output / "recipe.toml")
    corpus = Corpus.open(output)
    number = asked(corpus.manifest.made_by)
    seen = [tile for tile in corpus.tiles if tile.points and tile.kind == "synthetic"]  # real ones may be merged into it
    if blind := number - len(seen):
        err().print(f"warning: {blind} of {counted(number, 'scan')} met nothing: check the sensor's ranges and height")
    for line in told:
        err().print(f"like: {line}", soft_wrap=True, markup=False)
    if json:
        emit_json({"points": corpus.points, "scans": number, "classes": corpus.counts(), "seed": seed, "output": output})
    else:
        out().print(f"{counted(corpus.points, 'point')} in {counted(number, 'scan')} in {output}", soft_wrap=True, markup=False)
