"""Evaluation: every original point of whole clouds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcaug.corpus.read import Corpus
from pcaug.errors import LabelError
from pcaug.segment.blocks import prepare_corpus
from pcaug.segment.predict import Segmenter
from pcaug.segment.run import Run

Progress = Callable[[str, int, int], None]
Confusion = NDArray[np.int64]
RESAMPLES = 1000


@dataclass(frozen=True)
class Scores:
    """How well a run labels a corpus.

    Attributes:
        names: Class names.
        confusion: (K, K) points, rows truth, columns prediction.
        per_tile: (T, K, K), one a tile.
    """

    names: list[str]
    confusion: Confusion
    per_tile: Confusion

    @property
    def iou(self) -> dict[str, float]:
        """Intersection over union of each class that occurs in the truth."""
        return dict(_iou(self.confusion, self.names))

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that occur in the truth."""
        return _miou(self.confusion)

    @property
    def accuracy(self) -> float:
        """Share of points that are right."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    def interval(self, seed: int = 0) -> tuple[float, float]:
        """95 % bootstrap interval of the mIoU over tiles; NaN with fewer than two."""
        if len(self.per_tile) < 2:
            return float("nan"), float("nan")
        rng = np.random.default_rng((seed, 0, 0))
        draws = rng.integers(0, len(self.per_tile), (RESAMPLES, len(self.per_tile)))
        low, high = np.percentile([_miou(self.per_tile[rows].sum(axis=0)) for rows in draws], [2.5, 97.5])
        return float(low), float(high)


def _iou(confusion: Confusion, names: list[str]) -> list[tuple[str, float]]:
    hit = np.diag(confusion)
    union = confusion.sum(axis=0) + confusion.sum(axis=1) - hit
    present = confusion.sum(axis=1) > 0
    return [(name, float(hit[i] / union[i])) for i, name in enumerate(names) if present[i]]


def _miou(confusion: Confusion) -> float:
    values = [value for _, value in _iou(confusion, [str(i) for i in range(len(confusion))])]
    return float(np.mean(values)) if values else float("nan")


def evaluate(run: Run, corpus: Corpus, split: str | None = None, progress: Progress | None = None) -> Scores:
    """Score a run on a labelled corpus, or on a split of it (points of the buffer between splits are never scored).

    Raises:
        LabelError: If no point has one of the run's classes.
    """
    part = corpus.only(split=split) if split else corpus
    if split is None and "buffer" in part.splits:
        part = Corpus(part.folder, part.manifest, tuple(t for t in part.tiles if t.split != "buffer"))
    segmenter = Segmenter.load(run)
    count = len(run.classes.groups)
    tables = []
    for index, tile in enumerate(part.tiles):
        truth = run.classes.index(part.read(tile, fields=["label"])["label"])
        known = truth != 255
        if known.any():
            prepared = prepare_corpus(Corpus(part.folder, part.manifest, (tile,)), run.recipe)[0]
            guess, _ = segmenter.label_prepared(prepared)
            pairs = truth[known].astype(np.int64) * count + guess[known]
            tables.append(np.bincount(pairs, minlength=count * count).reshape(count, count))
        if progress:
            progress("scoring tiles", index + 1, len(part.tiles))
    if not tables:
        raise LabelError("no point has one of the run's classes", corpus.folder, f"they are {', '.join(run.classes.names)}")
    return Scores(run.classes.names, np.sum(tables, axis=0), np.stack(tables))
