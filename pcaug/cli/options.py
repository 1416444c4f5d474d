"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from pcaug.errors import PcaugError

if TYPE_CHECKING:
    from pcaug.corpus.steps import Steps

T = TypeVar("T", str, list[str], None)


def _known(named: T) -> T:
    """Cards that were asked for, even where none is read, as of a corpus; raises NotFound for one that is not there."""
    from pcaug.corpus.card import load_card

    names: list[str] = [named] if isinstance(named, str) else named or []
    for name in names:
        load_card(name)
    return named


Card = Annotated[str | None, typer.Option(help="Name or path of the card that says how to read the sources.", callback=_known)]
Cards = Annotated[
    list[str] | None,
    typer.Option("--card", help="How to read the sources: one card for all, or --card for each.", callback=_known),
]
Split = Annotated[str | None, typer.Option(help="Corpus: shares train/val/test such as 0.7/0.1/0.2, or official.")]
Block = Annotated[float, typer.Option(min=0.1, help="Corpus: edge of a block of the spatial split, metres.")]
Buffer = Annotated[float, typer.Option(min=0, help="Corpus: strip between splits that belongs to neither, metres.")]
Tile = Annotated[float | None, typer.Option(min=1, help="Corpus: edge of a tile of a map, metres (100).")]
Coarse = Annotated[
    str | None, typer.Option("--coarse", help="Corpus: make labels as coarse as a preset, or as what all sources can tell: cut.")
]
Scans = Annotated[int | None, typer.Option(min=1, help="Corpus: at most so many scans of each drive, evenly spread.")]
Unique = Annotated[bool, typer.Option("--unique", help="Corpus: drop points at exactly the place of an earlier one.")]
Unlabelled = Annotated[
    bool, typer.Option("--unlabelled", help="Corpus: take scans without class ids, too, for pcaug train --unlabelled.")
]
Bounds = Annotated[str | None, typer.Option(help="Keep what lies in xmin,ymin,xmax,ymax or xmin,ymin,zmin,xmax,ymax,zmax.")]
Classes = Annotated[str | None, typer.Option(help="Keep these classes (and all below them), or native ids: tree,car or 2,6.")]
Every = Annotated[int | None, typer.Option(min=1, help="Keep every n-th point of a scan.")]
Voxel = Annotated[
    float | None, typer.Option(min=0.001, help="Keep one point of the majority label in each cell, edge in metres.")
]
Crs = Annotated[str | None, typer.Option(help="Reproject to this CRS, such as EPSG:25832.")]
FromCrs = Annotated[str | None, typer.Option(help="CRS of sources that do not name one.")]
IdsMap = Annotated[Path | None, typer.Option("--map", help="TOML file with [ids], old = new, applied before any card.")]
Workers = Annotated[int, typer.Option(min=1, help="Processes that share the work; the result is the same.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of a Dask scheduler (tcp://host:8786) instead of processes here.")]
Change = Annotated[list[str] | None, typer.Option("--set", help="key=value: change a value of the recipe.")]
TrainSet = Annotated[
    list[str] | None, typer.Option("--train-set", help="key=value: change a value of every training, such as steps=4800.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of every random choice: the same seed gives the same bytes.")]
SplitSeed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the split.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Force = Annotated[bool, typer.Option("--force", help="Write over a file, or over a folder of which this command wrote all.")]


def steps_of(
    bounds: str | None,
    classes: str | None,
    every: int | None,
    voxel: float | None,
    crs: str | None,
    from_crs: str | None,
    ids: Path | None,
    unlabelled: bool,
) -> Steps:
    """The steps that options ask for; raises PcaugError for what cannot be read."""
    from pcaug.corpus.steps import Steps, load_id_map

    return Steps(
        ids=load_id_map(ids) if ids else None,
        from_crs=from_crs,
        crs=crs,
        bounds=_box(bounds) if bounds else None,
        classes=tuple(name.strip() for name in classes.split(",") if name.strip()) if classes else None,
        every=every,
        voxel=voxel,
        unlabelled=unlabelled or None,
    )


def _box(text: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from pcaug.corpus.steps import box

    try:
        return box([float(part) for part in text.replace(",", " ").split()])
    except (PcaugError, ValueError):
        raise PcaugError(f"--bounds {text!r} is not a bounding box", do="write xmin,ymin,xmax,ymax") from None
