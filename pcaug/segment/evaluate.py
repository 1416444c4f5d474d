"""Evaluation: every original point of whole clouds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.corpus.manifest import BUFFER, Tile
from pcaug.corpus.read import Corpus
from pcaug.errors import LabelError, counted, first_few
from pcaug.labels import IGNORE
from pcaug.parallel import Progress, silent
from pcaug.segment.blocks import folder_of, pieces, stored
from pcaug.segment.features import Prepared
from pcaug.segment.ground import height_above_ground
from pcaug.segment.predict import Segmenter
from pcaug.segment.run import SOURCE_CLASSES, Run

Confusion = NDArray[np.int64]
RESAMPLES, AT_ONCE = 20_000, 1000
"""Draws of an interval, whose level is a thousandth with the fewest clouds; and how many are looked at together."""
FEWEST = 5
"""Independent clouds that an interval needs: with fewer, all of them drawn alike is commoner than the level of its bounds."""
RANGES = (0.0, 10.0, 20.0, 30.0, 50.0, np.inf)
HEIGHTS = (-np.inf, 0.5, 2.0, 5.0, 10.0, np.inf)
"""Edges of the bins that scores are broken down by, metres from the scanner and above ground."""
BINS = 10
"""Equal bins of confidence for the calibration error."""


@dataclass(frozen=True)
class Scores:
    """How well a run labels a corpus.

    Attributes:
        names: Class names.
        confusion: (K, K) points, rows truth, columns prediction.
        per_cloud: (C, K, K), one an independent cloud: a unit, or a tile where all tiles are of one unit.
        groups: What scores are broken down by ("source", "range", "height") -> its value -> (K, K).
        calibration: (10, 3), a bin of confidence each: points, their summed confidence, how many are right.
        clouds: Names of the C independent clouds.
        one_unit: Whether they are tiles of one unit, which are alike: they say little of other places.
        others: Points per class name of what is not scored, for its class is none of these, or a coarser one.
    """

    names: list[str]
    confusion: Confusion
    per_cloud: Confusion
    groups: Mapping[str, Mapping[str, Confusion]] = field(default_factory=dict)
    calibration: NDArray[np.float64] = field(default_factory=lambda: np.zeros((BINS, 3)))
    clouds: tuple[str, ...] = ()
    one_unit: bool = False
    others: Mapping[str, int] = field(default_factory=dict)

    @property
    def iou(self) -> dict[str, float]:
        """Intersection over union of each class that occurs in the truth."""
        return iou(self.confusion, self.names)

    @property
    def miou(self) -> float:
        """Mean IoU over the classes that occur in the truth."""
        return miou(self.confusion)

    @property
    def accuracy(self) -> float:
        """Share of points that are right."""
        return float(np.trace(self.confusion) / max(self.confusion.sum(), 1))

    @property
    def recall(self) -> dict[str, float]:
        """Share of the points of each class that are found; what some call class accuracy."""
        return self._over(self.confusion.sum(axis=1))

    @property
    def precision(self) -> dict[str, float]:
        """Share of the points that are called a class and are of it; NaN for a class that nothing is called."""
        return self._over(self.confusion.sum(axis=0))

    @property
    def calibration_error(self) -> float:
        """Expected calibration error: mean distance of confidence and accuracy (Guo et al., ICML 2017, equation 3)."""
        points, sure, right = self.calibration.T
        return float(np.abs(right - sure).sum() / max(points.sum(), 1))

    def interval(self, seed: int = 0) -> tuple[float, float]:
        """95 % bootstrap interval of the mIoU over n independent clouds; NaN with fewer than five.

        Of few clouds the bounds of the usual percentile interval are too narrow: of two, the worse cloud and the better one. They
        are taken at the levels at which a symmetric spread gives Student's interval, Phi(-+ sqrt(n / (n - 1)) t) with t of n - 1
        degrees of freedom at 0.975 (Hesterberg, What Teachers Should Know about the Bootstrap, The American Statistician 69,
        2015: expanded percentile interval). Of four clouds or fewer that level, 0.0001, is rarer than the rarest draw, n ** -n:
        no draw could tell. All draws average the same classes: one that a draw lacks counts with its IoU over all clouds.
        """
        from scipy.stats import norm, t

        n = len(self.per_cloud)
        if n < FEWEST:
            return float("nan"), float("nan")
        rng = np.random.default_rng((seed, 0, 0))
        drawn = np.concatenate([self._drawn(rng.integers(0, n, (AT_ONCE, n))) for _ in range(0, RESAMPLES, AT_ONCE)])
        level = norm.cdf(-np.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1))
        low, high = np.quantile(drawn, [level, 1 - level])
        return float(low), float(high)

    def _drawn(self, draws: NDArray[np.int64]) -> NDArray[np.float64]:
        """mIoU (D,) of clouds that were drawn (D, C)."""
        count, n = draws.shape
        times = np.bincount((draws + n * np.arange(count)[:, None]).ravel(), minlength=count * n).reshape(count, n)
        sums = self.per_cloud.diagonal(axis1=1, axis2=2), self.per_cloud.sum(axis=2), self.per_cloud.sum(axis=1)
        occurs, whole = self.confusion.sum(axis=1) > 0, np.array(list(self.iou.values()))
        hit, truth, guess = (times @ values[:, occurs] for values in sums)
        drawn: NDArray[np.float64] = np.where(truth > 0, hit / np.maximum(truth + guess - hit, 1), whole).mean(axis=1)
        return drawn

    def interval_text(self) -> str:
        """The interval in words, %; nothing where there is none."""
        low, high = self.interval()
        if math.isnan(low):
            return ""
        number = len(self.clouds)
        over = f"{number} tiles of one unit" if self.one_unit else counted(number, "independent cloud")
        return f"95 % over {over}: {100 * low:.1f} to {100 * high:.1f}" + ", too narrow for other places" * self.one_unit

    def _over(self, whole: NDArray[np.int64]) -> dict[str, float]:
        hit, present = np.diag(self.confusion), self.confusion.sum(axis=1) > 0
        rows = zip(self.names, hit, whole, present, strict=True)
        return {name: float(h / w) if w else float("nan") for name, h, w, occurs in rows if occurs}


def confusion(truth: NDArray[np.integer], guess: NDArray[np.integer], count: int) -> Confusion:
    """Points (K, K), rows truth, columns prediction; truth of 255 is left out."""
    known = truth != IGNORE
    pairs = truth[known].astype(np.int64) * count + guess[known]
    return np.bincount(pairs, minlength=count * count).reshape(count, count)


def iou(table: Confusion, names: Sequence[str], least: int = 1) -> dict[str, float]:
    """Intersection over union of each class that has ``least`` points or more in the truth."""
    hit = np.diag(table)
    union = table.sum(axis=0) + table.sum(axis=1) - hit
    return {name: float(hit[i] / union[i]) for i, name in enumerate(names) if table[i].sum() >= least}


def miou(table: Confusion, least: int = 1) -> float:
    """Mean IoU over the classes that have ``least`` points or more in the truth; NaN if none has."""
    values = list(iou(table, [str(i) for i in range(len(table))], least).values())
    return float(np.mean(values)) if values else float("nan")


def not_scored(others: Mapping[str, int], scored: int) -> str:
    """The classes of labelled points that are not scored (points per name) beside so many that are, in words; "" for none."""
    if not others:
        return ""
    most = sorted(others, key=lambda name: -others[name])
    share = 100 * (left := sum(others.values())) / (left + scored)
    return f"{share:.1f} % of the labelled points are not scored, being of other or coarser classes: {first_few(most, 5)}"


def _between(low: float, high: float) -> str:
    """A bin in words."""
    return f"below {high:g} m" if low == -np.inf else f"above {low:g} m" if high == np.inf else f"{low:g} to {high:g} m"


def evaluate(
    run: Run | str | Path, corpus: Corpus | str | Path, split: str | None = None, *, progress: Progress = silent
) -> Scores:
    """Score a run on a labelled corpus, or on a split of it (points of the buffer between splits are never scored).

    Args:
        run: A finished run, its folder, or the name of a published model.
        corpus: A corpus, or its folder.
        split: Its part; None takes all.
        progress: Called as ``progress("scoring clouds", done, total)``.

    Raises:
        LabelError: If no point has one of the run's classes.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    corpus = corpus if isinstance(corpus, Corpus) else Corpus.open(corpus)
    part = corpus.only(split=split) if split else corpus
    if split is None and BUFFER in part.splits:
        part = Corpus(part.folder, part.manifest, tuple(t for t in part.tiles if t.split != BUFFER))
    tally = _Tally(Segmenter.load(run), part)
    clouds = pieces(part)
    for index, piece in enumerate(clouds):
        tally.add(piece)
        progress("scoring clouds", index + 1, len(clouds))
    if not tally.clouds:
        raise LabelError("no point has one of the run's classes", corpus.folder, f"they are {', '.join(run.classes.names)}")
    tables = np.stack(list(tally.clouds.values()))
    return Scores(
        names=run.classes.names,
        confusion=tables.sum(axis=0),
        per_cloud=tables,
        groups=tally.groups,
        calibration=tally.calibration,
        clouds=tuple(tally.clouds),
        one_unit=not tally.by_unit,
        others=part.left_out(run.classes),
    )


def trained_on(run: Run, corpus: Corpus, split: str | None = None) -> list[str]:
    """Units that ``evaluate`` would score though the run was trained on them, sorted: such scores say nothing about new places.

    In the corpus of the training, wherever it lies now, a split tells its parts apart; real units of another corpus go by their
    names.
    """
    part, found = corpus.only(split=split) if split else corpus, set()
    for row in run.data:
        same = _is_of(row, corpus)
        for tile in part.tiles:
            if tile.unit in row["units"] and ((tile.split or "train") == "train" if same else tile.kind == "real"):
                found.add(tile.unit)
    return sorted(found)


def chosen_on(run: Run, corpus: Corpus, split: str | None = None) -> list[str]:
    """Units of the training's split val that ``evaluate`` would score though the best weights were chosen on them, sorted."""
    row = run.data[0]
    if "validated" not in row or not _is_of(row, corpus):
        return []
    part = corpus.only(split=split) if split else corpus
    return sorted({tile.unit for tile in part.tiles if tile.split == "val"})


def _is_of(row: Mapping[str, Any], corpus: Corpus) -> bool:
    """Whether a run was trained on this corpus, wherever it lies now."""
    learned = [tile for tile in corpus.tiles if (tile.split or "train") == "train"]
    train = (sorted({tile.unit for tile in learned}), corpus.counts("train") if learned else {})
    classes = row.get(SOURCE_CLASSES, row["classes"])  # a run's own labels lie on tiles of the corpus that it labelled
    return (row["units"], classes) == train or Path(row["corpus"]).resolve() == corpus.folder.resolve()


class _Tally:
    """Adds clouds up."""

    def __init__(self, segmenter: Segmenter, corpus: Corpus) -> None:
        self.segmenter, self.corpus, self.folder = segmenter, corpus, folder_of(corpus, segmenter.run.recipe)
        self.by_unit = len(corpus.units) > 1
        self.clouds: dict[str, Confusion] = {}
        self.groups: dict[str, dict[str, Confusion]] = {}
        self.calibration = np.zeros((BINS, 3))

    def add(self, piece: Sequence[Tile]) -> None:
        """Label the tiles of a piece as one cloud and count their points."""
        classes, corpus = self.segmenter.run.classes, self.corpus
        truth = classes.index(np.concatenate([corpus.read(tile, fields=["label"])["label"] for tile in piece]))
        known = truth != IGNORE
        if not known.any():
            return
        prepared = stored(corpus, piece, self.segmenter.run.recipe, self.folder).open().prepared
        guess, sure = self.segmenter.label_prepared(prepared)
        ends = np.cumsum([tile.points for tile in piece])[:-1]
        for tile, real, told in zip(piece, np.split(truth, ends), np.split(guess, ends), strict=True):
            if (real != IGNORE).any():
                self._count(self.clouds, tile.unit if self.by_unit else tile.name, real, told)
        source = corpus.manifest.sources[piece[0].source]
        self._count(self.groups.setdefault("source", {}), source.card or piece[0].kind, truth, guess)
        for name, (values, edges) in self._measures(prepared).items():
            bins = np.digitize(values, edges[1:-1])[prepared.voxel_of]
            for place in np.unique(bins[known]):
                label = _between(*edges[place : place + 2])
                self._count(self.groups.setdefault(name, {}), label, truth[bins == place], guess[bins == place])
        right = truth[known] == guess[known]
        place = np.minimum((sure[known] * BINS).astype(np.intp), BINS - 1)
        for column, weights in enumerate((None, sure[known], right)):
            self.calibration[:, column] += np.bincount(place, weights, BINS)

    def _measures(self, tile: Prepared) -> dict[str, tuple[NDArray[np.float64], tuple[float, ...]]]:
        xyz = np.asarray(tile.xyz, np.float64)
        found: dict[str, tuple[NDArray[np.float64], tuple[float, ...]]] = {"height": (height_above_ground(xyz), HEIGHTS)}
        if self.corpus.manifest.frame == "sensor":
            found["range"] = (np.linalg.norm(xyz[:, :2], axis=1), RANGES)
        return found

    def _count(self, tables: dict[str, Confusion], key: str, truth: NDArray[np.uint8], guess: NDArray[np.uint8]) -> None:
        table = confusion(truth, guess, len(self.segmenter.run.classes.groups))
        tables[key] = tables.get(key, np.zeros_like(table)) + table
