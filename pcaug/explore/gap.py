"""Gaps between a real and a synthetic set, each beside its floor: the same gap between two halves of the real set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.corpus.read import Corpus
from pcaug.errors import LabelError
from pcaug.explore.statistics import QUANTITIES, Sample, sample
from pcaug.labels import ClassSet, common_cut, cut_shares

LEAST = 50
"""Points of a class below which nothing is said about it."""
TEST = 8_000
"""Points of each set in the two-sample test."""
KNOBS = {
    "height above ground": "sizes of the objects (house, tree_height, eaves) or the ground's roughness",
    "range": "placement (setback, verge, sidewalk) and the sensor's range_max",
    "point spacing": "the sensor's density or azimuth_steps",
    "roughness": "the ground's roughness and the sensor's noise",
    "flatness": "the sensor's noise and the shape of the objects",
    "verticality": "the shape of the objects",
    "intensity": "the materials' reflectances, or leave intensity out of the features",
    "returns": "the transmission of leaves and the beam's divergence",
}
"""What in a recipe closes a gap."""


@dataclass(frozen=True)
class ClassGap:
    """One class.

    Attributes:
        name: Of the class.
        real_share, synthetic_share: Of the points.
        distance: Quantity -> Wasserstein distance over the real interquartile range.
        floor: The same between two halves of the real tiles.
        verdict: In words.
    """

    name: str
    real_share: float
    synthetic_share: float
    distance: dict[str, float]
    floor: dict[str, float]
    verdict: str


@dataclass(frozen=True)
class Gap:
    """How a synthetic set differs from a real one.

    Attributes:
        real, synthetic: Folders of the corpora.
        real_points, synthetic_points: Their sizes.
        share_divergence: Jensen-Shannon divergence of the class shares, bits.
        share_floor: Of two halves of the real tiles.
        auc: Area under the curve of a classifier that tells a point's set from its local features: 0.5 cannot, 1 always.
        auc_floor: Of the same classifier between two halves of the real tiles.
        giveaways: Quantities by how much they help that classifier, strongest first.
        classes: One a class.
        verdict: In words.
    """

    real: str
    synthetic: str
    real_points: int
    synthetic_points: int
    share_divergence: float
    share_floor: float
    auc: float
    auc_floor: float
    giveaways: list[tuple[str, float]]
    classes: list[ClassGap]
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


def explore(real: Corpus, synthetic: Corpus, seed: int = 0) -> Gap:
    """Compare two corpora in the classes that both can label.

    Raises:
        LabelError: If they share no class.
    """
    taxonomy = real.taxonomy
    used = [real.used_nodes, synthetic.used_nodes]
    shared, single = cut_shares(taxonomy, common_cut(taxonomy, used), used)
    if not shared:
        raise LabelError("the two corpora share no class", synthetic.folder, "are they labelled in the same sense?")
    classes = ClassSet.of_cut(taxonomy, sorted(shared | single))
    rng = np.random.default_rng((seed, 0, 0))
    a, b = sample(real, classes, rng), sample(synthetic, classes, rng)
    halves = _halves(a, rng)
    auc, giveaways = _two_sample(a.values, b.values, rng)
    auc_floor = _two_sample(a.values[halves[0]], a.values[halves[1]], rng)[0]
    rows = [_class_gap(index, group.name, a, b, halves) for index, group in enumerate(classes.groups)]
    rows = [row for row in rows if row.real_share or row.synthetic_share]
    floor = _divergence(*(_shares(a.label[h], len(classes.groups)) for h in halves))
    divergence = _divergence(a.shares, b.shares)
    return Gap(
        str(real.folder), str(synthetic.folder), a.points, b.points, divergence, floor, auc, auc_floor, giveaways, rows,
        _overall(auc, auc_floor, divergence, floor, giveaways, rows),
    )  # fmt: skip


def _halves(a: Sample, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Two halves of a sample by whole tiles; by points where there is one tile."""
    tiles = np.unique(a.tile)
    if len(tiles) < 2:
        first = rng.random(len(a.tile)) < 0.5
        return first, ~first
    first = np.isin(a.tile, rng.permutation(tiles)[: len(tiles) // 2])
    return first, ~first


def _shares(label: NDArray[np.uint8], count: int) -> NDArray[np.float64]:
    numbers = np.bincount(label[label != 255], minlength=count).astype(float)
    shares: NDArray[np.float64] = numbers / max(numbers.sum(), 1)
    return shares


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Jensen-Shannon divergence in bits (Lin 1991), 0..1."""
    m = (p + q) / 2
    terms = [np.where(x > 0, x * np.log2(np.where(x > 0, x, 1) / np.where(m > 0, m, 1)), 0).sum() for x in (p, q)]
    return float(sum(terms) / 2)


def _class_gap(index: int, name: str, a: Sample, b: Sample, halves: Sequence[NDArray[np.bool_]]) -> ClassGap:
    mine, theirs = a.label == index, b.label == index
    distance: dict[str, float] = {}
    floor: dict[str, float] = {}
    if mine.sum() >= LEAST and theirs.sum() >= LEAST:
        for column, quantity in enumerate(QUANTITIES):
            x, y = a.values[mine, column], b.values[theirs, column]
            if np.isnan(x).any() or np.isnan(y).any():
                continue
            scale = max(float(np.subtract(*np.percentile(x, [75, 25]))), 1e-3)
            distance[quantity] = _wasserstein(x, y) / scale
            parts = [a.values[mine & h, column] for h in halves]
            if all(len(part) >= LEAST // 2 for part in parts):
                floor[quantity] = _wasserstein(*parts) / scale
    return ClassGap(name, float(a.shares[index]), float(b.shares[index]), distance, floor, _verdict(a, b, index, distance, floor))


def _wasserstein(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(x, y))


def _verdict(a: Sample, b: Sample, index: int, distance: dict[str, float], floor: dict[str, float]) -> str:
    real, made = a.shares[index], b.shares[index]
    if not made:
        return "missing in the synthetic set: training on it teaches nothing about this class"
    if not real:
        return "only in the synthetic set: it can teach a class that the real one has no example of"
    words = []
    ratio = made / real
    if not 0.5 < ratio < 2:
        words.append(f"{'too common' if ratio > 1 else 'too rare'} ({100 * made:.1f} % against {100 * real:.1f} %)")
    off = sorted((q for q in distance if distance[q] > max(0.5, 2 * floor.get(q, 0))), key=lambda q: -distance[q])
    for quantity in off[:2]:
        words.append(
            f"{quantity} differs ({distance[quantity]:.1f}, floor {floor.get(quantity, float('nan')):.1f}): see {KNOBS[quantity]}"
        )
    if not words:
        return "fits" if distance else "too few points to tell"
    return "; ".join(words)


def _two_sample(
    x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, list[tuple[str, float]]]:
    """Classifier two-sample test (Lopez-Paz and Oquab 2017): AUC on held-out points, and quantities by permutation importance."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score

    both = ~(np.isnan(x).all(axis=0) | np.isnan(y).all(axis=0))
    count = min(TEST, len(x), len(y))
    rows = [rng.choice(len(v), count, replace=False) for v in (x, y)]
    table = np.concatenate([x[rows[0]][:, both], y[rows[1]][:, both]])
    target = np.repeat([0, 1], count)
    order = rng.permutation(len(table))
    cut = len(order) // 2
    model = HistGradientBoostingClassifier(max_iter=60, random_state=int(rng.integers(1 << 31)))
    model.fit(table[order[:cut]], target[order[:cut]])
    held, truth = table[order[cut:]], target[order[cut:]]
    auc = float(roc_auc_score(truth, model.predict_proba(held)[:, 1]))
    importance = []
    for column, name in enumerate(np.array(list(QUANTITIES))[both]):
        shuffled = held.copy()
        shuffled[:, column] = rng.permutation(shuffled[:, column])
        importance.append((str(name), auc - float(roc_auc_score(truth, model.predict_proba(shuffled)[:, 1]))))
    return max(auc, 1 - auc), sorted(importance, key=lambda pair: -pair[1])


def _overall(
    auc: float, auc_floor: float, divergence: float, floor: float, giveaways: list[tuple[str, float]], rows: list[ClassGap]
) -> str:
    if auc < max(auc_floor + 0.05, 0.6) and divergence < max(3 * floor, 0.02):
        both = f"AUC {auc:.2f}, floor {auc_floor:.2f}"
        return f"It fits: a classifier cannot tell the sets apart better than two halves of the real one ({both})."
    missing = [row.name for row in rows if row.verdict.startswith("missing")]
    parts = [f"It differs: a classifier tells the sets apart with AUC {auc:.2f} (floor {auc_floor:.2f})"]
    if giveaways and giveaways[0][1] > 0.005:
        parts.append("by " + ", ".join(name for name, gain in giveaways[:3] if gain > 0.005))
    text = ", ".join(parts) + f". Class shares differ by {divergence:.3f} bits (floor {floor:.3f})."
    return text + (f" Missing: {', '.join(missing)}." if missing else "")
