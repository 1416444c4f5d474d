"""``pcaug evaluate``: score a run on a labelled corpus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pcaug.cli import options as o
from pcaug.errors import first_few

if TYPE_CHECKING:
    from pcaug.corpus.read import Corpus
    from pcaug.segment.evaluate import Scores
    from pcaug.segment.run import Run


def evaluate(
    run: Annotated[Path, typer.Argument(help="A run, or the name of a published model.")],
    corpus: Annotated[Path, typer.Argument(help="A labelled corpus.")],
    split: Annotated[str | None, typer.Option(help="Only this split; without it, everything.")] = None,
    report: Annotated[Path | None, typer.Option("-o", "--report", help="Write a page with all of it: an .html file.")] = None,
    force: o.Force = False,
    json: o.Json = False,
) -> None:
    """Score every original point: IoU, precision, recall by class, by source, range and height, calibration, confusion."""
    from pcaug.cli.console import emit_json, err, figures, fresh, out, page, reporter
    from pcaug.corpus.read import Corpus
    from pcaug.segment.evaluate import evaluate as score
    from pcaug.segment.evaluate import not_scored
    from pcaug.segment.run import Run

    report = fresh(page(report), force=force) if report else None
    opened = Run.open(run)
    with reporter() as progress:
        scores = score(opened, scans := Corpus.open(corpus), split, progress=progress)
    for doubt in _doubts(opened, scans, split):
        err().print(f"warning: {doubt}", soft_wrap=True, markup=False)
    if report is not None:
        from pcaug.segment.report import example_scan, write_report

        write_report(scores, opened, corpus, report, example_scan(opened, scans, split))
    if json:
        emit_json(_plain(scores))
        return
    rows = []
    for name, value in scores.iou.items():
        shown = (f"{100 * share:.1f}" for share in (value, scores.precision[name], scores.recall[name]))
        rows.append([name, *shown, f"{int(scores.confusion[scores.names.index(name)].sum()):,}"])
    figures(["class", "IoU", "precision", "recall", "points"], rows)
    spread = f" ({told})" if (told := scores.interval_text()) else ""
    error = f"calibration error {100 * scores.calibration_error:.1f}"
    out().print(
        f"mIoU {100 * scores.miou:.1f}{spread}, accuracy {100 * scores.accuracy:.1f}, {error}", soft_wrap=True, markup=False
    )
    if strangers := not_scored(scores.others, int(scores.confusion.sum())):
        out().print(strangers, soft_wrap=True, markup=False)
    if report is not None:
        out().print(f"report: {report}", soft_wrap=True, markup=False)


def _doubts(run: Run, corpus: Corpus, split: str | None) -> Iterator[str]:
    """Why scores may say little about new places, or nothing at all."""
    from pcaug.segment.evaluate import chosen_on, trained_on

    if known := trained_on(run, corpus, split):
        yield f"trained on units of these names: {first_few(known, 8)}; score what is new (--split test)"
    if corpus.manifest.frame not in run.frames:
        kinds = {"map": "maps", "sensor": "scans with an origin of their own"}
        learned = " and ".join(kinds[frame] for frame in sorted(run.frames))
        yield f"trained on {learned}, and this corpus is of {kinds[corpus.manifest.frame]}"
    if chosen := chosen_on(run, corpus, split):
        yield f"the best weights were chosen on the split val, {first_few(chosen, 8)}; score what is new (--split test)"


def _plain(scores: Scores) -> dict[str, Any]:
    from pcaug.segment.evaluate import iou, miou

    return {
        "miou": scores.miou,
        "interval": scores.interval(),
        "accuracy": scores.accuracy,
        "iou": scores.iou,
        "precision": scores.precision,
        "recall": scores.recall,
        "calibration_error": scores.calibration_error,
        "names": scores.names,
        "confusion": scores.confusion,
        "not_scored": dict(scores.others),
        "groups": {
            key: {value: {"miou": miou(table), "iou": iou(table, scores.names)} for value, table in tables.items()}
            for key, tables in scores.groups.items()
        },
    }
