"""``pcaug convert``: one source to a file of another format, or to a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcaug.cli import options as o
from pcaug.errors import PcaugError


def convert(
    source: Annotated[Path, typer.Argument(help="A file, a dataset's folder or a corpus.")],
    target: Annotated[Path, typer.Argument(help="A file (.las .laz .ply .bin .parquet .txt ...), or a folder for a corpus.")],
    card: o.Card = None,
    ids_of: Annotated[str | None, typer.Option(help="File: write labels as the class ids of this card's dataset.")] = None,
    each: Annotated[
        str | None, typer.Option(help="Corpus to a folder of files, one per tile: .laz, .ply, .bin (KITTI's layout), ...")
    ] = None,
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
    """Convert a source: streamed, every field kept that the target can hold, every label accounted for."""
    from pcaug.cli.console import reporter, tell, writable
    from pcaug.corpus import convert as room
    from pcaug.corpus.export import export
    from pcaug.corpus.read import Corpus
    from pcaug.corpus.split import Split

    writable(target)
    steps = o.steps_of(bounds, classes, every, voxel, crs, from_crs, ids, unlabelled)
    if each:
        if split or tile or coarse or unique or scans or card:
            raise PcaugError(
                "--each writes the tiles of a corpus as they are", source, "split, cut and card it as a corpus first"
            )
        with reporter() as progress:
            report = export(Corpus.open(source), target, each, ids_of, steps=steps, force=force, progress=progress)
        tell(report, target, json=json)
        return
    with reporter() as progress:
        report = room.convert(
            source,
            target,
            card,
            steps=steps,
            ids_of=ids_of,
            force=force,
            progress=progress,
            split=Split(split, block, buffer, seed),
            tile=tile,
            coarse=coarse,
            unique=unique,
            scans=scans,
            workers=workers,
            scheduler=scheduler,
        )
    tell(report, target, json=json)
