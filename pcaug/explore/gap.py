"""Gaps between a real and a synthetic set, each beside its floor: the same gap between two halves of the real set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.spatial.distance import pdist

from pcaug.corpus.read import Corpus
from pcaug.errors import LabelError
from pcaug.explore.distances import (
    Grouped,
    Measured,
    TwoSample,
    frechet,
    interval,
    jensen_shannon,
    maximum_mean_discrepancy,
    two_sample,
    wasserstein,
)
from pcaug.explore.faults import density, faults
from pcaug.explore.inventory import inventory, oddities
from pcaug.explore.objects import ObjectGap, object_gap
from pcaug.explore.probe import SHAPE, Probe, probe
from pcaug.explore.profile import Profile, join
from pcaug.explore.statistics import QUANTITIES, Mask, Sample, Table, at_most, sample, to_shares
from pcaug.explore.verdict import class_verdict, overall, scanner_differences
from pcaug.files import to_jsonable
from pcaug.labels import IGNORE, ClassSet, common_cut, cut_shares
from pcaug.parallel import Progress, silent

LEAST_POINTS = 50
"""Points of a class below which nothing is said about it."""
TEST_POINTS = 8_000
"""Points of each set in the two-sample test."""
CUTS = 5
"""How often the real set is cut in two for a floor."""
CLASS_POINTS = 5_000
"""Most points of a class that a distance is taken of."""
FINEST = {
    "height above ground": 0.05,
    "range": 0.5,
    "point spacing": 0.01,
    "roughness": 0.005,
    "flatness": 0.05,
    "verticality": 0.02,
    "intensity": 0.05,
    "returns": 0.2,
}
"""Least interquartile range that a distance is taken over: finer differences are of no interest."""
RARE = 1e-5
"""Share of the points below which it does not matter how rare a class is."""
DRAWS = 40
"""Bootstrap draws of an interval."""

Distance = Callable[[Table, Table], float]


@dataclass(frozen=True)
class ClassGap:
    """One class, or all points.

    Attributes:
        name: Of the class.
        real_share, synthetic_share: Of the points.
        distance: Quantity -> Wasserstein distance over the real interquartile range.
        objects: How single objects compare; None for classes without, or with too few.
        verdict: In words.
        times: How many doublings lie between the two shares; None for all points.
    """

    name: str
    real_share: float
    synthetic_share: float
    distance: dict[str, Measured]
    objects: ObjectGap | None
    verdict: str
    times: Measured | None = None


@dataclass(frozen=True)
class Side:
    """One of the two sets.

    Attributes:
        inventory: Plain values about it.
        profile: Its scanner and classes, from the tiles read.
        oddities: What is odd about it on its own.
        sampled: How much of it was looked at, in words.
    """

    inventory: dict[str, Any]
    profile: Profile
    oddities: list[str]
    sampled: str


@dataclass(frozen=True)
class Gap:
    """How a synthetic set differs from a real one.

    Attributes:
        real, synthetic: The sets.
        shares: Jensen-Shannon divergence of the class shares, bits.
        overall: Distances of all labelled points, without a verdict.
        above: "JSD" (bits) of mean occupancy and "MMD" of occupancies seen from above; empty for maps.
        frechet: Fréchet distance on standardised local geometry (heights, roughness, flatness, verticality).
        network: The same on features of a trained network; None where no run was given.
        test: Classifier two-sample test.
        test_floor: Its area between two halves of the real set.
        density: How many times as dense the synthetic set is, at equal ranges.
        probe: What a cheap model learns from each.
        faults: What is plainly wrong with the synthetic set; mostly empty.
        scanner: How the scanners differ, and what to change, in words.
        classes: One a class.
        verdict: In words.
    """

    real: Side
    synthetic: Side
    shares: Measured
    overall: ClassGap
    above: dict[str, Measured]
    frechet: Measured
    network: Measured | None
    test: TwoSample
    test_floor: float
    density: float
    probe: Probe
    faults: list[str]
    scanner: list[str]
    classes: list[ClassGap]
    verdict: str

    def to_json(self) -> dict[str, Any]:
        """As plain values; what could not be measured is None."""
        told: dict[str, Any] = to_jsonable(asdict(self))
        return told


def explore(
    real: Corpus,
    synthetic: Corpus,
    seed: int = 0,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    network: Callable[[Corpus], Grouped] | None = None,
    names: tuple[str, str] | None = None,
    progress: Progress = silent,
) -> Gap:
    """Compare two corpora in the classes that both can label.

    Args:
        real: The set to fit.
        synthetic: The set that should.
        seed: Decides what is sampled; the same figures for any number of workers.
        workers: Processes that read tiles.
        scheduler: Address of a Dask scheduler, instead of processes here.
        network: Corpus -> features (N, F) of a trained network, grouped by tile, for the Fréchet distance.
        names: Where the two come from, in the result; None for their folders.
        progress: Called as ``progress(text, done, total)``.

    Raises:
        LabelError: If they share no class.
    """
    classes = _classes(real, synthetic)
    a, b = (
        sample(c, classes, (seed, n), workers=workers, scheduler=scheduler, progress=progress)
        for n, c in enumerate((real, synthetic))
    )
    rng = np.random.default_rng((seed, 2))
    cuts = list(a.halves(CUTS, rng))
    found = probe(a, b, len(classes.groups), rng)
    wrong = faults(a, b, found, classes)
    test = two_sample(Grouped(a.values, a.group), Grouped(b.values, b.group), list(QUANTITIES), rng, TEST_POINTS)
    names = names or (str(real.folder), str(synthetic.folder))
    sides = [Side(inventory(c, s.contents, name), join(s.parts, c.manifest.frame), oddities(c, s.contents), _sampled(s))
             for c, s, name in zip((real, synthetic), (a, b), names, strict=True)]  # fmt: skip
    recipe = synthetic.manifest.made_by.get("recipe")
    maker = recipe if isinstance(recipe, dict) else None
    rows = [_class_gap(index, classes, a, b, cuts, maker, rng) for index in range(len(classes.groups))]
    rows = [row for row in rows if row.real_share or row.synthetic_share]
    shares = _measure(Grouped.each(a.groups), Grouped.each(b.groups), cuts, rng, _share_distance)
    floor = _test_floor(a, cuts, rng)
    dense = density(a, b)
    return Gap(
        real=sides[0],
        synthetic=sides[1],
        shares=shares,
        overall=ClassGap("all points", 1.0, 1.0, _distances(a.label != IGNORE, b.label != IGNORE, a, b, cuts, rng), None, ""),
        above=_above(a, b, cuts, rng),
        frechet=_frechet(*_geometry(a, b), cuts, rng),
        network=None if network is None else _network(network(real), network(synthetic), rng),
        test=test,
        test_floor=floor,
        density=dense,
        probe=found,
        faults=wrong,
        scanner=scanner_differences(sides[0].profile, sides[1].profile, maker),
        classes=rows,
        verdict=overall(test, floor, shares, [(row.name, row.verdict) for row in rows], wrong, dense),
    )


def _classes(real: Corpus, synthetic: Corpus) -> ClassSet:
    used = [real.used_nodes, synthetic.used_nodes]
    shared, single = cut_shares(real.taxonomy, common_cut(real.taxonomy, used), used)
    if not shared:
        raise LabelError("the two corpora share no class", synthetic.folder, "are they labelled in the same sense?")
    return ClassSet.of_cut(real.taxonomy, sorted(shared | single))


def _measure(
    x: Grouped,
    y: Grouped,
    cuts: Sequence[Mask],
    rng: np.random.Generator,
    distance: Distance,
    *,
    draws: int = DRAWS,
    least: int = 1,
) -> Measured:
    """A distance of rows, its interval over groups drawn again, and its floor between halves of ``x``."""
    halves = [x.halves(cut) for cut in cuts]
    floors = [distance(one.values, two.values) for one, two in halves if min(len(one), len(two)) >= least]
    parts = [x.parts(), y.parts()]
    enough = min(map(len, parts)) >= 2
    again = [
        distance(*(np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))]) for rows in parts))
        for _ in range(draws if enough else 0)
    ]
    value, nothing = distance(x.values, y.values), float("nan")
    excess = float(np.mean(again)) - value if again else 0.0  # groups drawn twice are fewer groups, and farther apart
    low, high = interval([max(v - excess, 0.0) for v in again])
    return Measured(
        value, min(low, value), max(high, value), float(np.mean(floors)) if floors else nothing, max(floors, default=nothing)
    )


def _share_distance(x: Table, y: Table) -> float:
    return jensen_shannon(to_shares(x.sum(axis=0)), to_shares(y.sum(axis=0)))


def _doublings(index: int, x: Table, y: Table) -> float:
    """Between the shares of one class in tables of counts (G, K); shares below RARE count as RARE."""
    one, two = (max(float(to_shares(table.sum(axis=0))[index]), RARE) for table in (x, y))
    return abs(float(np.log2(one / two)))


def _distances(
    mine: Mask, theirs: Mask, a: Sample, b: Sample, cuts: Sequence[Mask], rng: np.random.Generator
) -> dict[str, Measured]:
    """Wasserstein distance of each quantity that both have, over the real interquartile range."""
    found: dict[str, Measured] = {}
    if min(mine.sum(), theirs.sum()) < LEAST_POINTS:
        return found
    rows, others = (at_most(CLASS_POINTS, np.flatnonzero(mask), rng) for mask in (mine, theirs))
    for column, quantity in enumerate(QUANTITIES):
        x, y = a.values[rows, column], b.values[others, column]
        if np.isnan(x).any() or np.isnan(y).any():
            continue
        scale = max(float(np.subtract(*np.percentile(x, [75, 25]))), FINEST[quantity])
        one, two = Grouped(x / scale, a.group[rows]), Grouped(y / scale, b.group[others])
        found[quantity] = _measure(one, two, cuts, rng, wasserstein, least=LEAST_POINTS // 2)
    return found


def _class_gap(
    index: int,
    classes: ClassSet,
    a: Sample,
    b: Sample,
    cuts: Sequence[Mask],
    recipe: dict[str, Any] | None,
    rng: np.random.Generator,
) -> ClassGap:
    mine, theirs = a.label == index, b.label == index
    name = classes.groups[index].name
    distance = _distances(mine, theirs, a, b, cuts, rng)
    shares = float(a.shares[index]), float(b.shares[index])
    pairs = {q: (a.values[mine, i], b.values[theirs, i]) for i, q in enumerate(QUANTITIES) if q in distance}
    times = _measure(Grouped.each(a.groups), Grouped.each(b.groups), cuts, rng, partial(_doublings, index))
    verdict = class_verdict(name, shares, times, distance, pairs, recipe, classes.taxonomy)
    objects = object_gap(a.objects.get(index, []), b.objects.get(index, []), cuts)
    return ClassGap(name, *shares, distance, objects, verdict, times)


def _above(a: Sample, b: Sample, cuts: Sequence[Mask], rng: np.random.Generator) -> dict[str, Measured]:
    """Bird's-eye occupancy as LiDAR generators are scored (LiDARGen, Zyrianov et al., ECCV 2022): JSD and MMD of histograms."""
    if min(len(a.above), len(b.above)) < 2:
        return {}
    width = float(np.sqrt(np.median(pdist(a.above, "sqeuclidean")))) or 1.0  # median heuristic, on the real set
    one, two = Grouped(a.above, a.above_group), Grouped(b.above, b.above_group)

    def occupancy(x: Table, y: Table) -> float:
        return jensen_shannon(x.mean(axis=0), y.mean(axis=0))

    def discrepancy(x: Table, y: Table) -> float:
        return maximum_mean_discrepancy(x, y, width)

    # a scan that a bootstrap draws twice is no second scan to an unbiased estimate: MMD has no interval
    return {
        "JSD": _measure(one, two, cuts, rng, occupancy),
        "MMD": _measure(one, two, cuts, rng, discrepancy, draws=0, least=2),
    }


def _geometry(a: Sample, b: Sample) -> tuple[Grouped, Grouped]:
    """What describes the things themselves, standardised by the real set."""
    columns = [list(QUANTITIES).index(name) for name in SHAPE]
    x, y = a.values[:, columns], b.values[:, columns]
    mean, spread = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-9)
    return Grouped((x - mean) / spread, a.group), Grouped((y - mean) / spread, b.group)


def _network(mine: Grouped, theirs: Grouped, rng: np.random.Generator) -> Measured:
    """The Fréchet distance of a network's features; halves are of its own tiles."""
    count = int(mine.group.max()) + 1
    cuts = [np.isin(np.arange(count), rng.permutation(count)[: count // 2]) for _ in range(CUTS if count > 1 else 0)]
    return _frechet(mine, theirs, cuts, rng)


def _frechet(x: Grouped, y: Grouped, cuts: Sequence[Mask], rng: np.random.Generator) -> Measured:
    return _measure(x, y, cuts, rng, frechet, least=2 * x.values.shape[1], draws=20)


def _test_floor(a: Sample, cuts: Sequence[Mask], rng: np.random.Generator) -> float:
    names = list(QUANTITIES)
    found = [two_sample(*Grouped(a.values, a.group).halves(cut), names, rng, TEST_POINTS, why=False).auc for cut in cuts[:3]]
    return float(np.mean(found)) if found else float("nan")


def _sampled(found: Sample) -> str:
    read, tiles = found.tiles
    level = {"units": "units", "tiles": "tiles", "blocks": "blocks of its few tiles: neighbours, so the intervals are too narrow"}
    text = f"{len(found.values):,} of {found.points:,} points, in {read} of {tiles} tiles"
    return f"{text}; class shares from all tiles; intervals over {len(found.groups)} {level[found.level]}"
