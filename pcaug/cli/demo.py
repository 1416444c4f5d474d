"""``pcaug demo``: the whole way once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pcaug.cli import options as o

WORKERS = 4
"""Trainings side by side at most: each takes about a gigabyte."""


def demo(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for all that the demo makes.")] = Path("demo"),
    change: Annotated[list[str] | None, typer.Option("--set", help="key=value: change a value of the study recipe.")] = None,
    train_set: o.TrainSet = None,
    archive: Annotated[
        Path | None, typer.Option(help="Your own copy of laspy-2.7.0.tar.gz, for machines without network.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as one JSON object.")] = False,
    force: o.Force = False,
) -> None:
    """Real airborne sample, composed towns, three arms with three seeds each, and a report that says what it bought."""
    from pcaug.cli.study import study
    from pcaug.corpus.sample import fetch

    if archive is not None:
        fetch(archive)  # else the study gets it, once it knows that it can begin
    study("sample", output, change=change, train_set=train_set, workers=min(os.cpu_count() or 1, WORKERS), json=json, force=force)
