"""Figures in words: whether a set fits, what differs, and what to change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pcaug.explore.distances import Measured, Table, TwoSample
from pcaug.explore.knobs import OTHERWISE, advice, turn
from pcaug.explore.profile import Profile
from pcaug.explore.statistics import QUANTITIES
from pcaug.labels import Taxonomy

DENSITY = 1.5
"""Ratio of densities from which it is said."""
WEAK = 0.9
"""AUC of two halves of the real set from which a classifier tells nothing of a synthetic one."""
DIFFERS = 0.5
"""Distance, in real interquartile ranges, below which two sets count as alike."""
FAR = 3.0
"""Doublings between two shares from which they are told even where no halves of the real set prove them."""
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
Recipe = Mapping[str, Any] | None


def class_verdict(
    name: str,
    shares: tuple[float, float],
    times: Measured,
    distance: Mapping[str, Measured],
    values: Mapping[str, tuple[Table, Table]],
    recipe: Recipe,
    taxonomy: Taxonomy,
) -> str:
    """Fits, differs in what and which value of the recipe closes it, or missing.

    Args:
        name: Of the class.
        shares: Of it in the real and the synthetic set.
        times: How many doublings lie between them.
        distance: Quantity -> distance over the real interquartile range.
        values: Quantity -> real and synthetic values.
        recipe: That composed the synthetic set; None for a set that was not composed.
        taxonomy: Of the classes.
    """
    real, made = shares
    if not made:
        return "missing in the synthetic set: training on it teaches nothing about this class"
    if not real:
        return "only in the synthetic set: it can teach a class that the real one has no example of"
    words = []
    if (times.beyond and times.value > 1) or (not distance and times.value > FAR):
        words.append(_commonness(name, real, made, recipe, taxonomy, few=not distance))
    differing = []
    for quantity, found in distance.items():
        if found.beyond and found.value > max(DIFFERS, 2 * np.nan_to_num(found.floor)):
            more, text = _difference(quantity, *values[quantity])
            differing.append((found.value, text, advice(quantity, name, more, recipe, taxonomy)))
    words += phrases(sorted(differing, key=lambda row: -row[0])[:SAID])
    if not distance:
        words.append("too few points for its shape" if words else "too few points to tell")
    return "; ".join(words) or "fits"


def _commonness(name: str, real: float, made: float, recipe: Recipe, taxonomy: Taxonomy, *, few: bool) -> str:
    """That a class is too common or too rare, and what to change; of ``few`` points weighting makes no more."""
    ratio = made / real
    do = advice("share", name, ratio > 1, recipe, taxonomy)
    shares = f"({_share(made)} against {_share(real)})"
    if few and ratio < 1:
        return f"{1 / ratio:.0f} times rarer {shares}: {'compose more of it' if do == OTHERWISE['share'] else do}"
    return f"{'too common' if ratio > 1 else 'too rare'} {shares}: {do}"


def phrases(words: Sequence[tuple[float, str, str]]) -> list[str]:
    """Differences with what to do about each; a value of the recipe is named once, for the largest, never up and down."""
    said: set[str] = set()
    found = []
    for _, text, do in words:
        knob = do.partition(" (now")[0].split(" ")[-1]
        found.append(text if knob in said else f"{text}: {do}")
        said.add(knob)
    return found


def _difference(quantity: str, x: Table, y: Table) -> tuple[bool, str]:
    """Whether the synthetic values ``y`` are more than the real ones ``x``, or spread more, and that in words."""
    unit = QUANTITIES[quantity] if len(QUANTITIES[quantity]) == 1 else ""
    low, middle, high = np.percentile(x, [25, 50, 75])
    found = float(np.median(y))
    if abs(found - middle) > 0.25 * max(high - low, 1e-3):
        more = bool(found > middle)
        numbers = f"{_round(found)} against {_round(middle)} {unit}".rstrip()
        return more, f"{WORDS[quantity][0 if more else 1]} ({numbers})"
    for part, ends in (("half", [25, 75]), ("nine tenths", [5, 95])):
        real, made = (np.percentile(values, ends) for values in (x, y))
        words = [" to ".join(map(_round, pair)) for pair in (made, real)]
        if words[0] != words[1]:
            more = bool(np.ptp(made) > np.ptp(real))
            numbers = f"{part} within {words[0]} against {words[1]} {unit}".rstrip()
            return more, f"{'more' if more else 'less'} varied in {quantity} ({numbers})"
    more = bool(y.mean() > x.mean())
    return more, f"{WORDS[quantity][0 if more else 1]} (on average {y.mean():.3g} against {x.mean():.3g} {unit}".rstrip() + ")"


def _round(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 10 else f"{value:.2g}"


def _share(value: float) -> str:
    return f"{100 * value:.1f} %" if value >= 0.001 else f"{100 * value:.2g} %"


def overall(
    test: TwoSample,
    floor: float,
    shares: Measured,
    rows: Sequence[tuple[str, str]],
    wrong: Sequence[str],
    dense: float,
) -> str:
    """Whether a set fits, in a few sentences; ``rows`` are (class, verdict)."""
    if wrong:
        text = f"Something is wrong: {'; '.join(wrong)}"
        return text if text.endswith("?") else f"{text}."
    weak = bool(floor > WEAK)
    alike = not weak and test.auc < max(floor + 0.05, 0.6)
    missing = [name for name, said in rows if said.startswith("missing")]
    below = "no floor: too few units" if np.isnan(floor) else f"floor {floor:.2f}"
    both = f"AUC {test.auc:.2f}, {below}"
    dense_enough = 1 / DENSITY < dense < DENSITY
    few = f"Too few real units to judge by a classifier: it tells halves of them apart, too ({both})."
    if (alike or weak) and dense_enough and not missing and shares.value < max(3 * np.nan_to_num(shares.floor), 0.02):
        same = f"It fits: a classifier cannot tell the sets apart better than two halves of the real one ({both})."
        return f"Class shares and density fit. {few}" if weak else same
    if weak:
        text = f"It differs. {few[:-1]}"
    elif alike:
        text = f"It differs, though a classifier cannot tell the sets apart better than two halves of the real one ({both})"
    else:
        text = f"It differs: a classifier tells the sets apart with AUC {test.auc:.2f} ({below})"
        if test.giveaways and test.giveaways[0][1] > 0.005:
            text += ", by " + ", ".join(name for name, gain in test.giveaways[:3] if gain > 0.005)
    known = "" if np.isnan(shares.floor) else f" (floor {shares.floor:.3f})"
    text += f". Class shares differ by {shares.value:.3f} bits{known}."
    if not dense_enough:
        text += f" It is {dense:.1f} times as dense." if dense > 1 else f" It is {1 / dense:.1f} times as sparse."
    return text + (f" Missing: {', '.join(missing)}." if missing else "")


def scanner_differences(real: Profile, made: Profile, recipe: Recipe) -> list[str]:
    """How the scanner of a synthetic set differs from the real one, each with what to change."""
    if real.frame != made.frame:
        kinds = [{"sensor": "single scans", "map": "a map"}[side.frame] for side in (real, made)]
        return [f"the real set is {kinds[0]}, the synthetic one {kinds[1]}: take a recipe with a scanner of that kind"]
    rows = []
    a, b = real.spinning, made.spinning
    if real.height_of_scanner and made.height_of_scanner:
        rows.append(("stands {} m above the ground", real.height_of_scanner[2], made.height_of_scanner[2], 0.05, "height"))
    if a and b:
        rows.append(("has {} beams", len(a.elevations), len(b.elevations), 0.5, ""))
        rows.append(("looks up to {} degrees", a.elevations[0], b.elevations[0], 0.5, ""))
        rows.append(("looks down to {} degrees", a.elevations[-1], b.elevations[-1], 0.5, ""))
        rows.append(("takes {} columns a turn", a.azimuth_steps, b.azimuth_steps, 0.03 * a.azimuth_steps, "azimuth_steps"))
        rows.append(("has range noise of {} mm", 1000 * a.noise, 1000 * b.noise, 3.0, "noise"))
        rows.append(("has beams that lie {} mm off each other", 1000 * a.bias, 1000 * b.bias, 5.0, "beam_bias"))
        for bin_, place in ((2, "at 10 to 15 m"), (4, "at 20 to 30 m")):
            one, two = a.dropout[bin_], b.dropout[bin_]
            if one is not None and two is not None:
                rows.append((f"loses {{}} % of its beams {place}", round(100 * one, 1), round(100 * two, 1), 1.0, "dropout"))
    c, d = real.airborne, made.airborne
    if c and d:
        rows.append(("sends {} pulses to a square metre", c.density, d.density, 0.25 * c.density, "density"))
        if c.line_spacing and d.line_spacing:
            rows.append(("draws scan lines {} m apart on the ground", c.line_spacing, d.line_spacing, 0.25 * c.line_spacing, ""))
        if c.scan_angle and d.scan_angle:
            rows.append(("looks {} degrees to the sides", c.scan_angle, d.scan_angle, 5.0, "scan_angle"))
        if c.returns and d.returns:
            rows.append(
                (
                    "gets {} % of its pulses back once",
                    round(100 * c.returns[0], 1),
                    round(100 * d.returns[0], 1),
                    5.0,
                    "-divergence",
                )
            )
    return [
        f"the real scanner {text.format(_plain(x))}, the synthetic one {_plain(y)}{turn(key, y > x, recipe)}"
        for text, x, y, enough, key in rows
        if abs(x - y) > enough
    ]


def _plain(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
