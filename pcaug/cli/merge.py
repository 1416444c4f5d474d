"""``pcaug merge``: several sources to one corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def merge(
    sources: Annotated[list[Path], typer.Argument(help="Files, dataset folders or corpora.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The corpus.")],
    card: Annotated[list[str] | None, typer.Option(help="How to read the sources: one card for all, or one for each.")] = None,
    split: Annotated[str | None, typer.Option(help="Shares train/val/test such as 0.7/0.1/0.2, or official.")] = None,
    block: Annotated[float, typer.Option(min=0.1, help="Edge of a block of the spatial split, metres.")] = 50.0,
    buffer: Annotated[float, typer.Option(min=0, help="Strip between splits that belongs to neither, metres.")] = 2.0,
    tile: Annotated[float | None, typer.Option(min=1, help="Edge of a tile of a map, metres (100).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what exists.")] = False,
) -> None:
    """Merge sources into one labelled corpus: class counts in are class counts out, or nothing is written."""
    from pcaug.cli.console import reporter, tell
    from pcaug.corpus import convert as room

    with reporter() as progress:
        report = room.merge(
            sources,
            output,
            card or (),
            split=split,
            block=block,
            buffer=buffer,
            tile=tile,
            seed=seed,
            force=force,
            progress=progress,
        )
    tell(report, output, json=json)
