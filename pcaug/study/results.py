"""From single trainings to a verdict: means, intervals, gains, and words for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import accumulate, combinations, pairwise
from pathlib import Path

import numpy as np

from pcaug.errors import FileError, counted
from pcaug.files import atomic_path, read_json

LEVEL = 0.95


@dataclass(frozen=True)
class Result:
    """One training, scored on the test clouds.

    Attributes:
        model: Network, or "trees".
        arm: Mix of training data.
        budget: Number of real units trained on; 0 where the arm has no real data.
        units: Which ones.
        draw: Which draw of the units.
        seed: Which training.
        miou: Mean IoU over classes in the test's truth.
        accuracy: Share of points that are right.
        iou: IoU per class.
        train_seconds: Wall-clock seconds of training.
        evaluate_seconds: Wall-clock seconds of scoring.
        places: mIoU of each test unit, where there are several.
    """

    model: str
    arm: str
    budget: int
    units: tuple[str, ...]
    draw: int
    seed: int
    miou: float
    accuracy: float
    iou: dict[str, float]
    train_seconds: float
    evaluate_seconds: float
    places: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Interval:
    """A mean and its two-sided 95 % Student interval over ``n`` draws of real units, or over seeds; NaN bounds for one value."""

    mean: float
    low: float
    high: float
    n: int
    of: str = "seeds"

    def points(self, sign: str = "") -> str:
        """In percent, with its bounds where it has some; ``sign="+"`` for a difference."""
        mean = f"{100 * self.mean:{sign}.1f}"
        return mean if np.isnan(self.low) else f"{mean} ({100 * self.low:{sign}.1f} to {100 * self.high:{sign}.1f})"


@dataclass(frozen=True)
class ArmSummary:
    """One arm of one model at one budget.

    Attributes:
        model: Network.
        arm: Mix.
        budget: Real units.
        miou: Over draws and seeds; its interval ends where mIoU does, at 0 and 1.
        gain: Over the baseline, paired by draw and seed; None for the baseline itself and where nothing pairs.
        iou: Mean IoU per class.
        class_gain: Gain per class, paired likewise; empty where ``gain`` is None.
        train_seconds: Mean.
        places: Mean mIoU of each test unit, where there are several.
    """

    model: str
    arm: str
    budget: int
    miou: Interval
    gain: Interval | None
    iou: dict[str, float]
    class_gain: dict[str, Interval]
    train_seconds: float
    places: dict[str, float]


def interval(values: Sequence[float], shared: float = 0.0) -> Interval:
    """Mean and 95 % Student interval of values of which each two share a part of what they were drawn from.

    Values that share the part s correlate by s, so their spread shows only 1 - s of the variance, and their mean has
    1/n + s/(1 - s) of what is shown (Nadeau and Bengio, Machine Learning 52, 2003, eq. 9).

    Args:
        values: n of them.
        shared: That part, from 0 (independent values) to below 1.
    """
    from scipy.stats import t

    array = np.asarray(values, dtype=np.float64)
    if len(array) < 2:
        return Interval(float(array.mean()), float("nan"), float("nan"), len(array))
    error = array.std(ddof=1) * np.sqrt(1 / len(array) + shared / (1 - shared))
    half = float(t.ppf(0.5 + LEVEL / 2, len(array) - 1) * error)
    return Interval(float(array.mean()), float(array.mean()) - half, float(array.mean()) + half, len(array))


def over_draws(results: Sequence[Result], values: Sequence[float]) -> Interval:
    """Interval of one value of each result: over the sets of real units that were drawn, since seeds and repeated draws of one
    set tell nothing of others, and wider where these sets overlap; over seeds where there is but one set."""
    drawn: dict[tuple[str, ...], list[float]] = {}
    for result, value in zip(results, values, strict=True):
        drawn.setdefault(tuple(result.units), []).append(value)
    if len(drawn) < 2:
        return interval(values)
    shared = float(np.mean([len({*a} & {*b}) / max(len(a), len(b)) for a, b in combinations(drawn, 2)]))
    return replace(interval([float(np.mean(group)) for group in drawn.values()], shared), of="draws")


def difference(one: Interval, other: Interval) -> Interval:
    """How much more the mean of one interval is than that of another which shares no draw with it (Welch, Biometrika 34, 1947);
    without bounds where either has none."""
    from scipy.stats import t

    both, mean = (one, other), one.mean - other.mean
    if any(np.isnan(part.low) for part in both):
        return replace(other, mean=mean, low=float("nan"), high=float("nan"))
    errors = [(part.high - part.mean) / t.ppf(0.5 + LEVEL / 2, part.n - 1) for part in both]
    square = sum(error**2 for error in errors)
    freedom = square**2 / max(sum(error**4 / (part.n - 1) for error, part in zip(errors, both, strict=True)), 1e-30)
    half = float(t.ppf(0.5 + LEVEL / 2, max(freedom, 1.0)) * np.sqrt(square))
    return replace(other, mean=mean, low=mean - half, high=mean + half)


def summarise(results: Sequence[Result], baseline: str) -> list[ArmSummary]:
    """Summaries in the order in which model, budget and arm first occur.

    Gains are paired: the same model, budget, draw and seed with and without. An arm without real data has no draws: the mean of
    its seeds is compared with that of the baseline's draws of the smallest budget, and both spreads are in the interval.
    """
    base = {(r.model, r.budget, r.draw, r.seed): r for r in results if r.arm == baseline}
    smallest = {model: min(r.budget for r in base.values() if r.model == model) for model, *_ in base}
    groups: dict[tuple[str, str, int], list[Result]] = {}
    for result in results:
        groups.setdefault((result.model, result.arm, result.budget), []).append(result)
    rows = []
    for (model, arm, budget), members in groups.items():
        others = {key: r for key, r in base.items() if key[:2] == (model, budget or smallest.get(model, 0)) and arm != baseline}
        gain = _gain(members, others, lambda r: r.miou)
        names = list(dict.fromkeys(name for r in members for name in r.iou))
        of_class = {name: _gain(members, others, lambda r, name=name: r.iou.get(name)) for name in names}  # type: ignore[misc]
        class_gain = {name: found for name, found in of_class.items() if found is not None}
        iou = _means(members, [r.iou for r in members])
        places = _means(members, [r.places for r in members])
        seconds = float(np.mean([r.train_seconds for r in members]))
        miou = over_draws(members, [r.miou for r in members])
        miou = replace(miou, low=float(np.clip(miou.low, 0, 1)), high=float(np.clip(miou.high, 0, 1)))
        rows.append(ArmSummary(model, arm, budget, miou, gain, iou, class_gain, seconds, places))
    return rows


def _gain(
    members: Sequence[Result], others: Mapping[tuple[str, int, int, int], Result], value: Callable[[Result], float | None]
) -> Interval | None:
    """By how much a value of an arm's results is more than that of the baseline's; None where there is nothing to compare."""
    known = {key: (r, x) for key, r in others.items() if (x := value(r)) is not None}
    own = [(r, x) for r in members if (x := value(r)) is not None]
    pairs = []
    for r, x in own:
        if (r.model, r.budget, r.draw, r.seed) in known:
            b, y = known[r.model, r.budget, r.draw, r.seed]
            pairs.append((b, x - y))
    if pairs:
        return over_draws(*zip(*pairs, strict=True))
    if not own or not known or own[0][0].budget:
        return None
    return difference(over_draws(*zip(*own, strict=True)), over_draws(*zip(*known.values(), strict=True)))


def _means(results: Sequence[Result], tables: Sequence[dict[str, float]]) -> dict[str, float]:
    """Mean over the draws of each key, of the results that have it."""
    found = {}
    for name in dict.fromkeys(name for table in tables for name in table):
        told = [(r, table[name]) for r, table in zip(results, tables, strict=True) if name in table]
        found[name] = over_draws(*zip(*told, strict=True)).mean
    return found


def label_factor(summaries: Sequence[ArmSummary], model: str, arm: str, baseline: str) -> dict[int, float]:
    """How many times more real units the baseline needs for the arm's mIoU, per budget.

    Linear in the logarithm of the budget between measured budgets, on the best that the baseline reached so far: a curve that
    falls with more units falls by chance. At least 1 where the arm is no worse with as many; infinite where the baseline never
    gets there, NaN where the arm is worse than that and than the baseline with the fewest units that were tried.
    """
    curve = sorted((s.budget, s.miou.mean) for s in summaries if s.model == model and s.arm == baseline and s.budget > 0)
    best = list(zip((budget for budget, _ in curve), accumulate((mean for _, mean in curve), max), strict=True))
    factors: dict[int, float] = {}
    for row in summaries:
        if row.model != model or row.arm != arm or row.budget <= 0 or len(curve) < 2:
            continue
        factor = _budget_for(row.miou.mean, best) / row.budget
        no_worse = row.miou.mean >= dict(curve).get(row.budget, np.inf)
        factors[row.budget] = float(np.fmax(factor, 1.0)) if no_worse else factor
    return factors


def _budget_for(miou: float, curve: Sequence[tuple[int, float]]) -> float:
    if miou < curve[0][1]:
        return float("nan")
    if miou == curve[0][1]:
        return float(curve[0][0])
    for (b0, m0), (b1, m1) in pairwise(curve):
        if m0 < miou <= m1:
            return float(np.exp(np.interp(miou, [m0, m1], np.log([b0, b1]))))
    return float("inf")


OUTCOMES = (
    "It helped",
    "It hurt, not worth it here",
    "It did not help measurably, not worth it on this evidence",
    "Undecided, more draws or seeds would tell",
    "Single trainings, which prove nothing",
)
"""What intervals above zero, below, around it without and with a gain that matters prove, and none."""
WORTH = 0.03
"""A gain in mIoU that an interval around zero has to rule out before it says that the work is not worth it."""


def verdicts(summaries: Sequence[ArmSummary]) -> list[str]:
    """A paragraph for each model and budget: which arms helped, which hurt, what proves nothing, and which classes lost."""
    groups: dict[tuple[str, int], list[tuple[ArmSummary, Interval]]] = {}
    for row in summaries:
        if row.gain is not None:
            groups.setdefault((row.model, row.budget), []).append((row, row.gain))
    return [_told(model, budget, rows) for (model, budget), rows in groups.items()]


def _told(model: str, budget: int, rows: Sequence[tuple[ArmSummary, Interval]]) -> str:
    """The sentences on some arms, the best of each outcome first, and what chance alone would have them say."""
    said: dict[str, list[str]] = {outcome: [] for outcome in OUTCOMES}
    most = max((gain for _, gain in rows), key=lambda gain: gain.n)
    loses = False
    for row, gain in sorted(rows, key=lambda pair: -pair[1].mean):
        lost = [f"{name} {100 * of.mean:+.1f}" for name, of in row.class_gain.items() if of.high < 0]
        fewer = f", {_number(gain)}" if 1 < gain.n != most.n else ""
        words = f"{row.arm} {gain.points('+')}{fewer}" + (f", but {', '.join(lost)}" if lost else "")
        said[_outcome(gain)].append(words)
        loses = loses or bool(lost)
    over = f", 95 % intervals over {_number(most)}" if most.n > 1 else ""
    sentences = " ".join(f"{outcome}: {'; '.join(arms)}." for outcome, arms in said.items() if arms)
    proved = [row for row, gain in rows if not np.isnan(gain.low)]
    chances = []
    if len(proved) > 1 and said[OUTCOMES[0]]:
        chances.append(
            f"of {len(proved)} arms that change nothing one would help by chance in {_by_chance(len(proved))} of studies"
        )
    if loses:
        number = sum(len(row.class_gain) for row in proved)
        of = f" of {len(proved)} arms" if len(proved) > 1 else ""
        chances.append(f"of {number} classes{of} that do not change one would lose by chance in {_by_chance(number)}")
    sentences += f" ({'; '.join(chances)})" if chances else ""
    who = counted(budget, "real unit") if budget else "no real data, against the fewest real units"
    return f"{model}, {who} (points of mIoU{over}). {sentences}"


def _number(gain: Interval) -> str:
    return counted(gain.n, gain.of.removesuffix("s"))


def _by_chance(number: int) -> str:
    """How often one of so many intervals of nothing lies above zero, as far as they are independent."""
    return f"{100 * (1 - (0.5 + LEVEL / 2) ** number):.0f} %"


def _outcome(gain: Interval) -> str:
    if np.isnan(gain.low):
        return OUTCOMES[4]
    if gain.low > 0 or gain.high < 0:
        return OUTCOMES[0 if gain.low > 0 else 1]
    return OUTCOMES[2 if gain.high < WORTH else 3]


def read_result(path: Path) -> Result:
    """The result of a training that is done; raises FileError where it is damaged."""
    raw = read_json(path)
    try:
        return Result(**raw | {"units": tuple(raw["units"])})
    except (TypeError, KeyError):
        raise FileError("is no result of a training", path, "remove it: the training is done anew") from None


def write_parquet(results: Sequence[Result], path: Path) -> None:
    """One row a training; IoU per class in columns ``iou_<class>``, mIoU per test unit in ``miou_<unit>``."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = []
    for result in results:
        row = asdict(result)
        row["units"] = ",".join(result.units)
        row |= {f"iou_{name}": value for name, value in row.pop("iou").items()}
        row |= {f"miou_{name}": value for name, value in row.pop("places").items()}
        rows.append(row)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    table = pa.table({key: [row.get(key) for row in rows] for key in columns})
    with atomic_path(path) as partial:
        pq.write_table(table, partial)
