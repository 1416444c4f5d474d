"""``pcaug convert``: one source to a file of another format, or to a corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def convert(
    source: Annotated[Path, typer.Argument(help="A file, a dataset's folder or a corpus.")],
    target: Annotated[Path, typer.Argument(help="A file (.las .laz .ply .bin .parquet .txt ...), or a folder for a corpus.")],
    card: Annotated[str | None, typer.Option(help="Name or path of the card that says how to read the source.")] = None,
    split: Annotated[str | None, typer.Option(help="Corpus: shares train/val/test such as 0.7/0.1/0.2, or official.")] = None,
    block: Annotated[float, typer.Option(min=0.1, help="Corpus: edge of a block of the spatial split, metres.")] = 50.0,
    buffer: Annotated[float, typer.Option(min=0, help="Corpus: strip between splits that belongs to neither, metres.")] = 2.0,
    tile: Annotated[float | None, typer.Option(min=1, help="Corpus: edge of a tile of a map, metres (100).")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the split.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what exists.")] = False,
) -> None:
    """Convert a source: streamed, every field kept that the target can hold, every label accounted for."""
    from pcaug.cli.console import reporter, tell
    from pcaug.corpus import convert as room

    options = {"split": split, "block": block, "buffer": buffer, "tile": tile, "seed": seed}
    with reporter() as progress:
        report = room.convert(source, target, card, force=force, progress=progress, **options)
    tell(report, target, json=json)
