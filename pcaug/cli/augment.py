"""``pcaug augment``: what training will see, as a corpus or a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pcaug.cli import options as o
from pcaug.errors import counted

if TYPE_CHECKING:
    from pcaug.augment.recipe import AugmentRecipe
    from pcaug.corpus.read import Corpus

SHOWN = 3
"""Rows of a picture."""


def augment(
    recipe: Annotated[
        str, typer.Argument(help="Name of an augmentation recipe (spinning, mobile, airborne, weather), or a TOML file.")
    ],
    source: Annotated[Path, typer.Argument(help="A corpus.")],
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write the augmented clouds as a corpus.")] = None,
    png: Annotated[Path | None, typer.Option(help="Write a picture: each cloud beside two draws of the recipe.")] = None,
    number: Annotated[int, typer.Option("-n", min=1, help="Augmented copies of every cloud.")] = 1,
    donors: Annotated[
        Path | None, typer.Option("--with", help="Mix with this corpus or object bank instead of the source.")
    ] = None,
    colour: Annotated[str | None, typer.Option(help="Picture: class, intensity, height, instance, rgb.")] = None,
    change: o.Change = None,
    seed: o.Seed = 0,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Draw from an augmentation recipe: mix, move, thin, and dim clouds as training will see them."""
    from pcaug.augment.recipe import augment_corpus, load_recipe
    from pcaug.cli.console import emit_json, fresh, out, picture, reporter
    from pcaug.corpus.manifest import KIND
    from pcaug.corpus.read import Corpus
    from pcaug.corpus.sources import refuse_nested

    if output is None and png is None:
        raise typer.BadParameter("give -o CORPUS, --png FILE, or both")
    png = png and picture(png)
    if output is not None:
        for read in filter(None, (source, donors)):
            refuse_nested(read, output)
        fresh(output, force=force, kind=KIND)
    if png is not None:
        fresh(png, force=force)
    wanted, corpus = load_recipe(recipe, change or []), Corpus.open(source)
    others = Corpus.open(donors) if donors else None
    if png is not None:
        _picture(wanted, corpus, others, seed, png, colour)
    result: dict[str, object] = {"recipe": wanted.name, "seed": seed, "clouds": len(corpus.tiles), "points_before": corpus.points}
    if output is not None:
        with reporter() as progress:
            augment_corpus(wanted, corpus, output, seed, copies=number, donors=others, force=force, progress=progress)
        made = Corpus.open(output)
        result |= {"clouds": len(made.tiles), "points": made.points, "classes": made.counts(), "output": output}
        _tell_lost(corpus, made, others)
    if json:
        emit_json(result | ({"png": png} if png else {}))
        return
    if output is not None:
        out().print(
            f"{counted(made.points, 'point')} in {counted(len(made.tiles), 'cloud')} in {output}", soft_wrap=True, markup=False
        )
    if png is not None:
        out().print(str(png), soft_wrap=True, markup=False)


def _tell_lost(corpus: Corpus, made: Corpus, donors: Corpus | None) -> None:
    """Say which fields some clouds no longer have: what they were mixed with lacks them, as generated objects do."""
    from pcaug.cli.console import err
    from pcaug.generate.complete import DELIVERED

    kept = set.intersection(*(set(made.fields(tile)) for tile in made.tiles)) if made.tiles else set()
    had = set.intersection(*(set(corpus.fields(tile)) for tile in corpus.tiles)) if corpus.tiles else kept
    if lost := sorted(had - kept):
        made_up = donors is not None and "generator" in donors.manifest.made_by
        seen = ", ".join(name for name in lost if name in DELIVERED)
        do = f"; objects have {seen} with pcaug generate sample --rescan" if made_up and seen else ""
        text = f"note: {', '.join(lost)} left out of clouds that were mixed with some that lack them{do}"
        err().print(text, soft_wrap=True, markup=False)


def _picture(recipe: AugmentRecipe, corpus: Corpus, donors: Corpus | None, seed: int, png: Path, colour: str | None) -> None:
    """Rows of one cloud and two draws, spread over the larger clouds that are trained on."""
    from dataclasses import replace

    from pcaug.augment.recipe import draws
    from pcaug.view.picture import save_png

    trained = corpus.only(split="train") if "train" in corpus.splits else corpus
    whole = [tile for tile in trained.tiles if 2 * tile.points >= max(t.points for t in trained.tiles)]  # no slivers
    some = replace(trained, tiles=tuple(whole[:: max(1, len(whole) // SHOWN)][:SHOWN]))
    clouds, titles = [], []
    for tile, copy, cloud in draws(recipe, some, seed, copies=2, donors=donors or corpus):
        if copy == 0:
            clouds.append(corpus.read(tile))
            titles.append(tile.name)
        clouds.append(cloud)
        titles.append(f"{recipe.name}, draw {copy + 1}")
    save_png(clouds, png, titles, colour)
