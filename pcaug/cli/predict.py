"""``pcaug predict``: label a scan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def predict(
    run: Annotated[Path, typer.Argument(help="A run, or the name of a published model.")],
    source: Annotated[Path, typer.Argument(help="A scan, or a folder of scans.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File for a scan, folder for a folder.")],
    card: Annotated[str | None, typer.Option(help="How to read the source.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what exists.")] = False,
) -> None:
    """Label every point and keep every field: adds prediction (taxonomy node) and confidence."""
    from pcaug.cli.console import emit_json, fresh, out, reporter
    from pcaug.segment.predict import predict as label
    from pcaug.segment.run import Run

    fresh(output, force=force)
    with reporter() as progress:
        points = label(Run.open(run), source, output, card, force=force, progress=progress)
    if json:
        emit_json({"points": points, "output": output})
    else:
        out().print(f"{points:,} points in {output}", soft_wrap=True)
