"""``pcaug objects``: an object bank out of a labelled corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcaug.cli import options as o
from pcaug.errors import counted


def objects(
    source: Annotated[Path, typer.Argument(help="A labelled corpus.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The bank: a corpus of one object a tile.")],
    names: Annotated[list[str] | None, typer.Option("--class", help="Class of the taxonomy; may be given several times.")] = None,
    least: Annotated[int, typer.Option(min=8, help="Skip objects with fewer points.")] = 64,
    split: Annotated[str, typer.Option(help="Of a corpus with splits: take the objects of this one.")] = "train",
    png: Annotated[Path | None, typer.Option(help="Write a contact sheet.")] = None,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Cut single objects out of a corpus, by instance id or by clustering, with size, pose, range and sensor."""
    from collections import Counter

    from pcaug.augment.instances import outermost
    from pcaug.cli.console import emit_json, err, fresh, out, picture
    from pcaug.corpus.manifest import KIND
    from pcaug.corpus.read import Corpus
    from pcaug.corpus.sources import refuse_nested
    from pcaug.generate.bank import gather, write_bank
    from pcaug.generate.sheet import draw_bank

    png = png and picture(png)
    refuse_nested(source, output)
    fresh(output, force=force, kind=KIND)
    if png is not None:
        fresh(png, force=force)
    corpus = Corpus.open(source).only(split=split)
    licence = "; ".join(corpus.licences)
    names = names or ["car", "heavy_vehicle", "two_wheeler", "person", "pole_like", "tree"]
    things = gather(corpus, names, least=least)
    write_bank(things, output, made_by={"source": str(source), "least": least}, licence=licence, force=force)
    if png is not None:
        draw_bank(things, png)
    counts = dict(Counter(thing.row.name for thing in things))
    if absent := [name for name in outermost(names) if name not in counts]:
        text = f"note: found no {', no '.join(absent)} with at least {counted(least, 'point')}: --least takes smaller ones"
        err().print(text, soft_wrap=True, markup=False)
    if json:
        emit_json({"objects": len(things), "classes": counts, "output": output})
    else:
        listed = ", ".join(f"{count} {name}" for name, count in counts.items())
        out().print(f"{counted(len(things), 'object')} in {output}: {listed}", soft_wrap=True, markup=False)
