"""``pcaug evaluate``: score a run on a labelled corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run, or the name of a published model.")],
    corpus: Annotated[Path, typer.Argument(help="A labelled corpus.")],
    split: Annotated[str | None, typer.Option(help="Only this split; without it, everything.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Score every original point: mIoU, accuracy, IoU by class, confusion."""
    from rich.table import Table

    from pcaug.cli.console import emit_json, out, reporter
    from pcaug.corpus.read import Corpus
    from pcaug.segment.evaluate import evaluate as score
    from pcaug.segment.run import Run

    with reporter() as progress:
        scores = score(Run.open(run), Corpus.open(corpus), split, progress)
    low, high = scores.interval()
    if json:
        emit_json(
            {
                "miou": scores.miou,
                "interval": [None if low != low else low, None if high != high else high],
                "accuracy": scores.accuracy,
                "iou": scores.iou,
                "names": scores.names,
                "confusion": scores.confusion,
            }
        )
        return
    table = Table("class", "IoU", "points", box=None)
    for name, value in scores.iou.items():
        table.add_row(name, f"{100 * value:.1f}", f"{int(scores.confusion[scores.names.index(name)].sum()):,}")
    out().print(table)
    spread = "" if low != low else f" (95 % over tiles: {100 * low:.1f} to {100 * high:.1f})"
    out().print(f"mIoU {100 * scores.miou:.1f}{spread}, accuracy {100 * scores.accuracy:.1f}")
