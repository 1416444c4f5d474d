"""``pcaug predict``: label a scan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcaug.cli import options as o
from pcaug.errors import counted


def predict(
    run: Annotated[Path, typer.Argument(help="A run, or the name of a published model.")],
    source: Annotated[Path, typer.Argument(help="A scan, or a folder of scans.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="File for a scan (.label: class ids alone), folder for a folder.")
    ],
    card: o.Card = None,
    views: Annotated[int, typer.Option(min=1, max=8, help="Turned and mirrored views that vote.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Processes that share a folder's scans.")] = 1,
    ending: Annotated[
        str | None, typer.Option("--format", help="Ending of a folder's files: ply, laz, ..., or label for class ids alone.")
    ] = None,
    json: o.Json = False,
    force: o.Force = False,
) -> None:
    """Label every point and keep every field: adds prediction (taxonomy node) and confidence. Resumes if interrupted."""
    from pcaug.cli.console import emit_json, err, out, reporter, shares
    from pcaug.segment.predict import predict as label
    from pcaug.segment.run import Run

    warnings: list[str] = []
    with reporter() as progress:
        opened = Run.open(run)
        classes = label(
            opened,
            source,
            output,
            card,
            force=force,
            views=views,
            workers=workers,
            ending=ending,
            progress=progress,
            warn=warnings.append,
        )
    for warning in warnings:
        err().print(f"warning: {warning}", soft_wrap=True, markup=False)
    if json:
        emit_json({"points": classes.total(), "classes": classes, "output": output, "warnings": warnings})
        return
    shares(classes)
    done = f"{counted(classes.total(), 'point')} in {output}" if classes else f"{output}: no point was left to label"
    out().print(done, soft_wrap=True, markup=False)
