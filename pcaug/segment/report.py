"""The page of an evaluation: classes, where it fails, and how far its confidence can be trusted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.segment.evaluate import BINS, Confusion, Scores, miou, not_scored
from pcaug.segment.predict import Segmenter, labelled
from pcaug.segment.run import Run
from pcaug.view.report import Report

BREAKDOWNS = {"source": "By source", "range": "By distance from the scanner", "height": "By height above ground"}


def write_report(
    scores: Scores, run: Run, corpus: str | Path, path: str | Path, shown: tuple[PointCloud, str] | None = None
) -> Path:
    """Write the page of an evaluation as one HTML file; ``shown`` is a cloud with label and prediction, and its name."""
    report = Report("How well does it label?", f"{run.folder} ({run.recipe.network}) on {corpus}")
    spread = f", {told}" if (told := scores.interval_text()) else ""
    points = int(scores.confusion.sum())
    report.verdict([
        f"mIoU {100 * scores.miou:.1f}{spread}; {100 * scores.accuracy:.1f} % of {points:,} points are right.",
        _weakest(scores),
        f"Its confidence is off by {100 * scores.calibration_error:.1f} % on average.",
        *([f"{told}."] if (told := not_scored(scores.others, points)) else ()),
    ])  # fmt: skip
    if shown is not None:
        report.heading("Look at it")
        report.viewer([shown[0]], [shown[1]], "Truth, prediction, and where it is wrong.", colour="error")
    report.heading("Class by class")
    precision, recall = scores.precision, scores.recall
    report.table(
        ["class", "IoU", "precision", "recall", "points"],
        [
            [name, _percent(value), _percent(precision[name]), _percent(recall[name]), f"{scores.confusion[i].sum():,}"]
            for i, name in enumerate(scores.names)
            if (value := scores.iou.get(name)) is not None
        ],
    )
    report.bars({"IoU": {name: 100 * value for name, value in scores.iou.items()}}, "IoU of each class.", "%")
    report.heading("What is taken for what")
    report.picture(
        confusion_picture(scores.confusion, scores.names), "Share of the points of a class (row) called another (column)."
    )
    for name, title in BREAKDOWNS.items():
        tables = scores.groups.get(name, {})
        if len(tables) > 1:
            report.heading(title)
            rows = [[value, _percent(miou(t)), _percent(np.trace(t) / t.sum()), f"{t.sum():,}"] for value, t in _sorted(tables)]
            report.table([name, "mIoU", "accuracy", "points"], rows)
    _calibration(report, scores)
    return report.write(path)


def example_scan(run: Run, corpus: Corpus, split: str | None = None) -> tuple[PointCloud, str]:
    """The most informative tile of a split, as the run predicts it, and its name."""
    tile = (corpus.only(split=split) if split else corpus).richest_tile()
    return labelled(Segmenter.load(run), corpus.read(tile), corpus.manifest.frame), tile.name


def _weakest(scores: Scores) -> str:
    name, value = min(scores.iou.items(), key=lambda item: item[1])
    row = scores.confusion[scores.names.index(name)].copy()
    row[scores.names.index(name)] = 0
    taken = f", most often taken for {scores.names[int(row.argmax())]}" if row.any() else ""
    return f"The weakest class is {name} with {100 * value:.1f}{taken}."


def _calibration(report: Report, scores: Scores) -> None:
    points, sure, right = scores.calibration.T
    filled = points > 0
    if not filled.any():
        return
    report.heading("Is it as right as it is sure?")
    curves = {
        "as found": ((sure[filled] / points[filled]).tolist(), (right[filled] / points[filled]).tolist()),
        "ideal": ([0.0, 1.0], [0.0, 1.0]),
    }
    report.lines(curves, f"Accuracy in {BINS} bins of confidence.", "confidence", "accuracy")


def confusion_picture(table: Confusion, names: list[str]) -> NDArray[np.uint8]:
    """A confusion matrix as an (H, W, 3) uint8 picture, rows normalised, in percent."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    present = (table.sum(axis=0) + table.sum(axis=1)) > 0
    shown = [name.replace("$", r"\$") for name, occurs in zip(names, present, strict=True) if occurs]
    share = table[np.ix_(present, present)] / np.maximum(table[np.ix_(present, present)].sum(axis=1, keepdims=True), 1)
    size = 1.6 + 0.55 * len(shown)
    figure = Figure(figsize=(size + 0.6, size), dpi=110, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axis = figure.subplots()
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axis.set_xticks(range(len(shown)), shown, rotation=45, ha="right")
    axis.set_yticks(range(len(shown)), shown)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    for row, column in np.argwhere(share >= 0.005):
        colour = "white" if share[row, column] > 0.5 else "#1d2530"
        axis.text(column, row, f"{100 * share[row, column]:.0f}", ha="center", va="center", fontsize=8, color=colour)
    canvas.draw()
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[..., :3])


def _sorted(tables: Mapping[str, Confusion]) -> list[tuple[str, Confusion]]:
    """In order of the numbers that they start with."""
    return sorted(tables.items(), key=lambda item: _first_number(item[0]))


def _first_number(text: str) -> tuple[float, str]:
    try:
        return float(text.split()[0]), text
    except ValueError:
        return -np.inf, text


def _percent(value: float) -> str:
    return "" if math.isnan(value) else f"{100 * value:.1f}"
