"""``pcaug explore``: does a synthetic set fit the real one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def explore(
    real: Annotated[Path, typer.Argument(help="Corpus of real clouds.")],
    synthetic: Annotated[Path, typer.Argument(help="Corpus of synthetic clouds.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The report (HTML); the figures go beside it as JSON.")],
    seed: Annotated[int, typer.Option(help="Seed of the sampling.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Write over what exists.")] = False,
) -> None:
    """Compare class shares, heights, ranges, density and local shape, class by class, and say what to change."""
    from pcaug.cli.console import emit_json, fresh, out
    from pcaug.corpus.read import Corpus
    from pcaug.explore.gap import explore as compare
    from pcaug.explore.report import write_report

    fresh(output, force=force)
    a, b = Corpus.open(real), Corpus.open(synthetic)
    gap = compare(a, b, seed)
    write_report(gap, a, b, output)
    if json:
        emit_json(gap.to_json())
        return
    out().print(gap.verdict, soft_wrap=True)
    for row in gap.classes:
        out().print(f"  {row.name}: {row.verdict}", soft_wrap=True, markup=False)
    out().print(str(output), soft_wrap=True)
