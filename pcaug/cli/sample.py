"""``pcaug sample``: a small real labelled airborne sample."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pcaug.cli import options as o


def sample(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write the scans into.")] = Path("sample"),
    archive: Annotated[
        Path | None, typer.Option(help="Your own copy of laspy-2.7.0.tar.gz, for machines without network.")
    ] = None,
    force: o.Force = False,
) -> None:
    """Write three small real airborne scans (LAS/LAZ): downloaded once, checked by sha256, cached."""
    from pcaug.cli.console import fresh, out
    from pcaug.corpus.sample import KIND, extract

    for path in extract(fresh(output, force=force, kind=KIND), archive):
        out().print(str(path), soft_wrap=True, markup=False)
