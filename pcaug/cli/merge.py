"""``pcaug merge``: several sources to one corpus, or to one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcaug.cli import options as o
from pcaug.errors import PcaugError


def merge(
    sources: Annotated[list[Path], typer.Argument(help="Files, dataset folders or corpora.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="A folder for a corpus, or a file (.laz .ply ...).")],
    card: o.Cards = None,
    append: Annotated[bool, typer.Option("--append", help="Add to a corpus that exists; its tiles stay as they are.")] = False,
    bounds: o.Bounds = None,
    classes: o.Classes = None,
    every: o.Every = None,
    voxel: o.Voxel = None,
    crs: o.Crs = None,
    from_crs: o.FromCrs = None,
    ids: o.IdsMap = None,
    split: o.Split = None,
    block: o.Block = 50.0,
    buffer: o.Buffer = 2.0,
    tile: o.Tile = None,
    coarse: o.Coarse = None,
    unlabelled: o.Unlabelled = False,
    unique: o.Unique = False,
    scans: o.Scans = None,
    seed: o.SplitSeed = 0,
    workers: o.Workers = 1,
    scheduler: o.Scheduler = None,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Merge sources into one labelled corpus: class counts in are class counts out, or nothing is written.

    A run that was killed resumes where it stopped when the same command is given again.
    """
    from pcaug import formats
    from pcaug.cli.console import reporter, tell, writable
    from pcaug.corpus.convert import convert
    from pcaug.corpus.merge import CorpusOptions, merge
    from pcaug.corpus.split import Split

    writable(output)
    steps = o.steps_of(bounds, classes, every, voxel, crs, from_crs, ids, unlabelled)
    options = CorpusOptions(
        split=Split(split, block, buffer, seed), tile=tile, coarse=coarse, unique=unique, scans=scans, append=append,
        workers=workers, scheduler=scheduler,
    )  # fmt: skip
    if formats.is_known(output) and len(card or ()) > 1:
        raise PcaugError("one file takes one card for all its sources", output, "convert the sources first, or merge to a folder")
    with reporter() as progress:
        if formats.is_known(output):
            one = card[0] if card else None
            report = convert(sources, output, one, steps=steps, force=force, progress=progress, **options)
        else:
            report = merge(sources, output, card or (), steps=steps, force=force, progress=progress, **options)
    tell(report, output, json=json)
