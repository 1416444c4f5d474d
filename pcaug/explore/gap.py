"""Gaps between a real and a synthetic set, each beside its floor: the same gap between two halves of the real set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.corpus.read import Corpus
from pcaug.errors import LabelError
from pcaug.explore.faults import density, faults, probe
from pcaug.explore.knobs import advice
from pcaug.explore.statistics import QUANTITIES, Mask, Sample, sample, to_shares
from pcaug.labels import ClassSet, Taxonomy, common_cut, cut_shares

LEAST = 50
"""Points of a class below which nothing is said about it."""
TEST = 8_000
"""Points of each set in the two-sample test."""
CUTS = 5
"""How often the real set is cut in two for a floor; the mean is taken."""
MOST = 5_000
"""Points of a class that a distance is taken of."""
DENSITY = 1.5
"""Ratio of densities from which it is said."""
DIFFERS = 0.5
"""Distance, in real interquartile ranges, below which two sets count as alike."""
SAID = 3
"""Most differences of a class that its verdict names, the largest first."""
WORDS = {
    "height above ground": ("higher above the ground", "lower above the ground"),
    "range": ("farther away", "nearer"),
    "point spacing": ("sparser", "denser"),
    "roughness": ("rougher", "smoother"),
    "flatness": ("flatter", "less flat"),
    "verticality": ("steeper", "more level"),
    "intensity": ("brighter", "darker"),
    "returns": ("of more returns", "of fewer returns"),
}
"""Quantity -> what a set with more of it is, and one with less."""


@dataclass(frozen=True)
class ClassGap:
    """One class.

    Attributes:
        name: Of the class.
        real_share, synthetic_share: Of the points.
        distance: Quantity -> Wasserstein distance over the real interquartile range.
        floor: The same between two halves of the real set.
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
        share_floor: Of two halves of the real set, cut by units (drives, sites), tiles, or the sides of its only tile.
        auc: Area under the curve of a classifier that tells a point's set from its local features: 0.5 cannot, 1 always.
        auc_floor: Of the same classifier between two halves of the real set.
        giveaways: Quantities by how much they help that classifier, strongest first.
        density: How many times as dense the synthetic set is.
        probe_real: mIoU of a cheap model fitted to half of the real set, on the other half.
        probe_synthetic: mIoU of the same model fitted to the synthetic set, on the same half.
        faults: What is plainly wrong with the synthetic set; mostly empty.
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
    density: float
    probe_real: float
    probe_synthetic: float
    faults: list[str]
    classes: list[ClassGap]
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """As plain values; what could not be measured is None."""
        return {key: None if value != value else value for key, value in asdict(self).items()}


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
    cuts = list(a.halves(CUTS, rng))
    auc, giveaways = _two_sample(a.values, b.values, rng)
    auc_floor = float(np.mean([_two_sample(a.values[one], a.values[two], rng)[0] for one, two, _ in cuts[:3]]))
    floor = float(np.mean([_divergence(*(to_shares(a.groups[m].sum(axis=0)) for m in (g, ~g))) for _, _, g in cuts]))
    divergence = _divergence(a.shares, b.shares)
    recipe = synthetic.manifest.made_by.get("recipe")
    maker = recipe if isinstance(recipe, dict) else None
    rows = [_class_gap(index, classes, a, b, cuts, maker, rng) for index in range(len(classes.groups))]
    rows = [row for row in rows if row.real_share or row.synthetic_share]
    found = probe(a, b, len(classes.groups), rng)
    wrong = faults(a, b, found, classes)
    return Gap(
        real=str(real.folder), synthetic=str(synthetic.folder), real_points=a.points, synthetic_points=b.points,
        share_divergence=divergence, share_floor=floor, auc=auc, auc_floor=auc_floor, giveaways=giveaways,
        density=density(a, b), probe_real=found.real, probe_synthetic=found.synthetic, faults=wrong, classes=rows,
        verdict=_overall(auc, auc_floor, divergence, floor, giveaways, rows, wrong, density(a, b)),
    )  # fmt: skip


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """Jensen-Shannon divergence in bits (Lin 1991), 0..1."""
    m = (p + q) / 2
    terms = [np.where(x > 0, x * np.log2(np.where(x > 0, x, 1) / np.where(m > 0, m, 1)), 0).sum() for x in (p, q)]
    return float(sum(terms) / 2)


def _class_gap(
    index: int,
    classes: ClassSet,
    a: Sample,
    b: Sample,
    cuts: Sequence[tuple[Mask, Mask, Mask]],
    recipe: dict[str, Any] | None,
    rng: np.random.Generator,
) -> ClassGap:
    mine, theirs = a.label == index, b.label == index
    distance: dict[str, float] = {}
    floor: dict[str, float] = {}
    words: list[tuple[float, str, str]] = []
    name = classes.groups[index].name
    if mine.sum() >= LEAST and theirs.sum() >= LEAST:
        for column, quantity in enumerate(QUANTITIES):
            x, y = a.values[mine, column], b.values[theirs, column]
            if np.isnan(x).any() or np.isnan(y).any():
                continue
            scale = max(float(np.subtract(*np.percentile(x, [75, 25]))), 1e-3)
            distance[quantity] = _wasserstein(x, y, rng) / scale
            parts = [[a.values[mine & half, column] for half in cut[:2]] for cut in cuts]
            floors = [_wasserstein(pair[0], pair[1], rng) / scale for pair in parts if min(map(len, pair)) >= LEAST // 2]
            if floors:
                floor[quantity] = float(np.mean(floors))
            if distance[quantity] > max(DIFFERS, 2 * floor.get(quantity, 0)):
                more, text = _difference(quantity, x, y)
                do = advice(quantity, name, more, recipe, classes.taxonomy)
                words.append((distance[quantity], text, do))
    shares = float(a.shares[index]), float(b.shares[index])
    shapes = _phrases(sorted(words, key=lambda word: -word[0])[:SAID])
    verdict = _verdict(name, *shares, shapes, bool(distance), recipe, classes.taxonomy)
    return ClassGap(name, *shares, distance, floor, verdict)


def _phrases(words: Sequence[tuple[float, str, str]]) -> list[str]:
    """Differences with what to do about each; a value of the recipe is named once, for the largest, never up and down."""
    said: set[str] = set()
    phrases = []
    for _, text, do in words:
        knob = do.partition(" (now")[0].split(" ")[-1]
        phrases.append(text if knob in said else f"{text}: {do}")
        said.add(knob)
    return phrases


def _difference(quantity: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[bool, str]:
    """Whether the synthetic values ``y`` are more than the real ones ``x``, or spread more, and that in words."""
    unit = QUANTITIES[quantity] if len(QUANTITIES[quantity]) == 1 else ""
    low, middle, high = np.percentile(x, [25, 50, 75])
    found = np.percentile(y, [25, 50, 75])
    if abs(found[1] - middle) > 0.25 * max(high - low, 1e-3):
        more = bool(found[1] > middle)
        numbers = f"{_round(found[1])} against {_round(middle)} {unit}".rstrip()
        return more, f"{WORDS[quantity][0 if more else 1]} ({numbers})"
    more = bool(found[2] - found[0] > high - low)
    numbers = f"half within {_round(found[0])} to {_round(found[2])} against {_round(low)} to {_round(high)} {unit}".rstrip()
    return more, f"{'more' if more else 'less'} varied in {quantity} ({numbers})"


def _round(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 0.1 else f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"


def _wasserstein(x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator) -> float:
    from scipy.stats import wasserstein_distance

    few = [v if len(v) <= MOST else rng.choice(v, MOST, replace=False) for v in (x, y)]
    return float(wasserstein_distance(*few))


def _verdict(
    name: str, real: float, made: float, shapes: list[str], known: bool, recipe: dict[str, Any] | None, taxonomy: Taxonomy
) -> str:
    if not made:
        return "missing in the synthetic set: training on it teaches nothing about this class"
    if not real:
        return "only in the synthetic set: it can teach a class that the real one has no example of"
    words = []
    ratio = made / real
    if not 0.5 < ratio < 2:
        do = advice("share", name, ratio > 1, recipe, taxonomy)
        words.append(f"{'too common' if ratio > 1 else 'too rare'} ({_share(made)} against {_share(real)}): {do}")
    words += shapes
    if not words:
        return "fits" if known else "too few points to tell"
    return "; ".join(words)


def _share(value: float) -> str:
    return f"{100 * value:.1f} %" if value >= 0.001 else f"{100 * value:.2g} %"


def _two_sample(
    x: NDArray[np.float64], y: NDArray[np.float64], rng: np.random.Generator
) -> tuple[float, list[tuple[str, float]]]:
    """Classifier two-sample test (Lopez-Paz and Oquab 2017): AUC on held-out points, and quantities by permutation importance."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    both = ~(np.isnan(x).all(axis=0) | np.isnan(y).all(axis=0))
    count = min(TEST, len(x), len(y))
    if count < 2 * LEAST or not both.any():
        return float("nan"), []
    rows = [rng.choice(len(v), count, replace=False) for v in (x, y)]
    table = np.concatenate([x[rows[0]][:, both], y[rows[1]][:, both]])
    target = np.repeat([0, 1], count)
    order = rng.permutation(len(table))
    cut = len(order) // 2
    model = HistGradientBoostingClassifier(max_iter=60, random_state=int(rng.integers(1 << 31)))
    held, truth = table[order[cut:]], target[order[cut:]]
    importance = []
    with threadpool_limits(1, user_api="openmp"):  # threads that wait for each other on a busy machine cost ten times more
        model.fit(table[order[:cut]], target[order[:cut]])
        auc = float(roc_auc_score(truth, model.predict_proba(held)[:, 1]))
        for column, name in enumerate(np.array(list(QUANTITIES))[both]):
            shuffled = held.copy()
            shuffled[:, column] = rng.permutation(shuffled[:, column])
            importance.append((str(name), auc - float(roc_auc_score(truth, model.predict_proba(shuffled)[:, 1]))))
    return max(auc, 1 - auc), sorted(importance, key=lambda pair: -pair[1])


def _overall(
    auc: float,
    auc_floor: float,
    divergence: float,
    floor: float,
    giveaways: list[tuple[str, float]],
    rows: list[ClassGap],
    wrong: list[str],
    dense: float,
) -> str:
    if wrong:
        return f"Something is wrong: {'; '.join(wrong)}."
    if auc < max(auc_floor + 0.05, 0.6) and divergence < max(3 * floor, 0.02):
        both = f"AUC {auc:.2f}, floor {auc_floor:.2f}"
        return f"It fits: a classifier cannot tell the sets apart better than two halves of the real one ({both})."
    missing = [row.name for row in rows if row.verdict.startswith("missing")]
    parts = [f"It differs: a classifier tells the sets apart with AUC {auc:.2f} (floor {auc_floor:.2f})"]
    if giveaways and giveaways[0][1] > 0.005:
        parts.append("by " + ", ".join(name for name, gain in giveaways[:3] if gain > 0.005))
    text = ", ".join(parts) + f". Class shares differ by {divergence:.3f} bits (floor {floor:.3f})."
    if not 1 / DENSITY < dense < DENSITY:
        text += f" It is {dense:.1f} times as dense." if dense > 1 else f" It is {1 / dense:.1f} times as sparse."
    return text + (f" Missing: {', '.join(missing)}." if missing else "")
