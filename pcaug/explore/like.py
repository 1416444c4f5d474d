"""Fit a scene recipe to real clouds: their scanner, how much there is of each class, roughness of ground, intensities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from pcaug import catalogue
from pcaug.corpus.read import Corpus
from pcaug.errors import RecipeError
from pcaug.explore.knobs import HEIGHTS, SHARES
from pcaug.explore.pattern import RANGES
from pcaug.explore.profile import ClassProfile, Frame, Profile, Quantiles, profile
from pcaug.parallel import Progress, silent
from pcaug.scene.ranges import Range
from pcaug.scene.recipe import SceneRecipe, Transfer
from pcaug.sensor import frame_of
from pcaug.sensor.compose import compose_one

ROUNDS = 4
"""Scenes are composed, compared and their recipe amended this often."""
SCENES = 6
"""Scenes of a round."""
CLOUDS = 40
"""Real clouds that are looked at, evenly drawn."""
PULL = 0.7
"""Exponent on the ratio of shares: below 1, because classes share the points and would overshoot together."""
STEP = (0.4, 2.5)
"""By what a round may change a value at most ..."""
UNSPLIT = 0.2
"""Share of the points of a node and all below it from which it counts as one class."""
REACH = 4.0
"""... and all rounds together, either way: a world has no houses beyond its edge."""
RARE = 0.05
"""Share of real points below which a class may become more but not less than at the start: what a few clouds show little of,
others have more of, and scenes without it teach nothing of it."""
PER_UNIT = 0.5
"""What each further drive or site adds to a reach of 1: the amounts of one place say little of others, and scenes that copy
them lose the variety that they are made for."""


@dataclass(frozen=True)
class Fitted:
    """A fitted recipe.

    Attributes:
        recipe: It.
        before, after: Mean distance of class shares to the real ones, see ``mismatch``, of the recipe as it was and as it is, on
            scenes that were not fitted to.
        changes: What was set, "key: old -> new", and why amounts were not.
    """

    recipe: SceneRecipe
    before: float
    after: float
    changes: tuple[str, ...]


def fit_recipe(recipe: SceneRecipe, real: Corpus, seed: int = 0, *, progress: Progress = silent) -> Fitted:
    """A recipe whose scenes look like some real clouds.

    The scanner is taken from the clouds: beams, steps of a turn, height, noise, bias, losses, range, or density and scan angle.
    How many objects stand in a scene follows from scenes composed and compared with the clouds, the further the more drives or
    sites the clouds come from; from a single one amounts are not taken. Ground becomes as rough as theirs. Intensities
    are mapped by quantiles, class by class and by range.

    Args:
        recipe: Where to start; its kind of scanner must be that of the clouds.
        real: A few real scans.
        seed: Of the scenes that are composed on the way.
        progress: Called as ``progress("rounds", done, total)``.

    Raises:
        RecipeError: If a recipe of scans should be fitted to a map, or the other way round.
    """
    frame = real.manifest.frame
    if frame_of(recipe.sensor) != frame:
        what = "scans" if frame == "sensor" else "a map"
        do = "start from street for scans, from town for maps"
        raise RecipeError(f"the scanner of {recipe.name!r} is {recipe.sensor.kind}, the real clouds are {what}", real.folder, do)
    reach = min(REACH, 1 + PER_UNIT * (len(real.units) - 1))
    tiles = real.tiles[:: max(1, len(real.tiles) // CLOUDS)]
    wanted = profile((real.read(tile) for tile in tiles if tile.points), frame)
    nodes = separable_nodes(wanted)
    start = recipe
    recipe = with_scanner(recipe.model_copy(update={"transfer": {}}), wanted)  # a new transfer maps what is simulated
    least, best, seen = np.inf, recipe, None
    for number in range(ROUNDS + 1):
        progress("rounds", number, ROUNDS)
        made = _composed(recipe, seed, frame)
        off = mismatch(wanted, made, nodes)
        if seen is None or off < least:
            least, best, seen = off, recipe, made
        recipe = with_amounts(recipe, wanted, made, nodes, start, reach)
    assert seen is not None
    recipe = with_relief(best, wanted, seen, nodes)
    recipe = recipe.model_copy(update={"transfer": transfers(wanted, seen, nodes), "name": f"{start.name}-like"})
    alone = ["object amounts not fitted: one drive or site only"] if reach == 1 else []
    before, after = (mismatch(wanted, _composed(_coarse(one), seed + 1, frame), nodes) for one in (start, recipe))
    return Fitted(recipe, before, after, (*_changes(start, recipe), *alone))


def _coarse(recipe: SceneRecipe) -> SceneRecipe:
    """A recipe whose scans show the shares of classes at less cost: of single scans with a quarter of the columns."""
    if frame_of(recipe.sensor) != "sensor":
        return recipe
    steps = max(8, recipe.sensor.columns // 4)
    return recipe.model_copy(update={"sensor": recipe.sensor.model_copy(update={"azimuth_steps": steps})})


def _composed(recipe: SceneRecipe, seed: int, frame: Frame) -> Profile:
    return profile((compose_one(recipe, seed, index) for index in range(SCENES)), frame)


def with_scanner(recipe: SceneRecipe, real: Profile) -> SceneRecipe:
    """The scanner of the real clouds, as far as they show it."""
    new: dict[str, Any] = {}
    if real.spinning is not None:
        losses = [share for share in real.spinning.dropout if share is not None]
        near = recipe.sensor.intensity_near
        if isinstance(near, tuple) and near:
            new["intensity_near"] = tuple(near[beam] for beam in recipe.sensor.nearest(real.spinning.angles))
        if not _alike(recipe.sensor.elevations, real.spinning.angles):
            new["hidden"] = ()  # another scanner stands on another car
        new |= {
            "model": "",
            "azimuths": (),
            "firing": (),
            "elevations": tuple(round(e, 3) for e in real.spinning.angles),
            "lift": tuple(round(v, 3) for v in real.spinning.lift) if any(real.spinning.lift) else (),
            "azimuth_steps": real.spinning.azimuth_steps,
            "noise": round(real.spinning.noise, 4),
            "beam_bias": round(real.spinning.bias, 4),
            "dropout": round(min(losses, default=recipe.sensor.dropout), 3),
        }
    if real.height_of_scanner is not None:
        low, high = (round(max(v, 0.0), 3) for v in (real.height_of_scanner[0], real.height_of_scanner[-1] + 0.001))
        new["height"] = (low, high)
    if real.ranges:
        seen = np.flatnonzero(np.cumsum(real.ranges) >= 0.9995)
        new["range_max"] = float(RANGES[int(seen[0]) + 1]) if len(seen) else recipe.sensor.range_max
    if real.airborne is not None:
        cover = real.airborne.cover or 1.0  # all of its density in one strip, where nobody can tell
        strips = (max(1, int(cover + 0.25)), max(1, int(cover + 0.75)))
        density = real.airborne.density / (sum(strips) / 2)  # of one strip: a place has that of all that cover it
        new |= {"strips": strips, "density": (round(density * 0.8, 2), round(density * 1.2, 2))}
        if real.airborne.scan_angle:
            new["scan_angle"] = round(max(real.airborne.scan_angle, 1.0), 1)
    return recipe.model_copy(update={"sensor": recipe.sensor.model_copy(update=new)})


def _alike(elevations: Sequence[float], others: Sequence[float]) -> bool:
    """Whether two tables of beams, degrees, are of one model: scans show a few beams less, each a fraction of a degree off."""
    apart = np.abs(np.subtract.outer(np.asarray(others), np.asarray(elevations))).min(axis=1, initial=np.inf)
    return abs(len(others) - len(elevations)) <= len(elevations) // 10 and bool(apart.max(initial=0) < 1)


def with_amounts(
    recipe: SceneRecipe, real: Profile, made: Profile, nodes: set[int], start: SceneRecipe, reach: float = REACH
) -> SceneRecipe:
    """More of what there is too little of, less of what there is too much of and that is not RARE, lower what is too high: one
    step, within ``reach`` of where it started."""
    (world,) = recipe.worlds
    values, first = getattr(recipe, world), getattr(start, world)
    new: dict[str, Any] = {}
    for name, keys in SHARES.get(world, {}).items():
        upper = _told(name, nodes)
        if upper is None:
            continue
        share = _share(real, upper)
        ratio, least = _ratio(share, _share(made, upper), 1e-5), 1.0 if share < RARE else 1 / reach
        for key in keys:
            field = key.lstrip("-").removeprefix(f"{world}.")
            if hasattr(values, field):
                turn, bounds = (1 / ratio, (1 / reach, 1 / least)) if key.startswith("-") else (ratio, (least, reach))
                new[field] = _scaled(new.get(field, getattr(values, field)), turn, getattr(first, field), bounds)
    for name, key in HEIGHTS.get(world, {}).items():
        upper = _told(name, nodes)
        there, here = (_largest(side, upper) for side in (real, made))
        if there and here:
            new[key] = _stretched(getattr(values, key), there.top, here.top, getattr(first, key), reach)
    return recipe.model_copy(update={world: type(values).model_validate(values.model_dump() | new)})


def with_relief(recipe: SceneRecipe, real: Profile, made: Profile, nodes: set[int]) -> SceneRecipe:
    """Ground as rough as the real one, the median over its classes; a map's beams do not show their noise, its largest class of
    ground does."""
    ratios: dict[float, float] = {}
    for name, row in made.classes.items():
        known = [r.unevenness for r in _rows(real, _told(name, nodes)) if r.unevenness]
        if row.unevenness and known:
            ratios[row.share] = float(np.clip(np.median(known) / row.unevenness, 1 / REACH, REACH))
    if not ratios:
        return recipe
    surfaces = {"relief": round(recipe.surfaces.relief * float(np.median(list(ratios.values()))), 3)}
    sensor = {"noise": round(recipe.sensor.noise * ratios[max(ratios)], 4)} if made.frame == "map" else {}
    return recipe.model_copy(
        update={"surfaces": recipe.surfaces.model_copy(update=surfaces), "sensor": recipe.sensor.model_copy(update=sensor)}
    )


def _ratio(there: float, here: float, least: float) -> float:
    """By what a step turns a value, where the real clouds have ``there`` and the composed ones ``here``."""
    return float(np.clip((max(there, least) / max(here, least)) ** PULL, *STEP))


def _stretched(value: Range, there: Quantiles, here: Quantiles, first: Range, reach: float) -> Range:
    """A range of heights, its ends turned by what the lower and the higher tops are off."""
    ends = [
        float(np.clip(v * _ratio(there[i], here[i], 0.5), f / reach, f * reach))
        for v, i, f in zip(value, (1, 4), first, strict=True)
    ]
    return round(ends[0], 2), round(max(ends[1], ends[0] + 0.01), 2)


def _scaled(value: Any, ratio: float, first: Any, bounds: tuple[float, float]) -> Any:
    """A range or a probability, times a ratio, within bounds given as multiples of the first; probabilities stay below one."""
    if isinstance(value, tuple):
        if not first[1] * value[1]:
            return first  # none stays none
        ratio = float(np.clip(value[1] * ratio / first[1], *bounds)) * first[1] / value[1]
        low, high = value
        return (round(low * ratio, 3), round(max(high * ratio, low * ratio + 1e-3), 3))
    return round(float(np.clip(value * ratio, first * bounds[0], min(first * bounds[1], 1.0))), 3)


def separable_nodes(real: Profile) -> set[int]:
    """Nodes that real clouds label, without those below a node that holds more than UNSPLIT of all that is below it itself:
    where most trees are called vegetation, how many are called trees says nothing."""
    tree = catalogue.taxonomy()
    nodes = {tree.id(name): row.share for name, row in real.classes.items()}
    below = {upper: sum(share for node, share in nodes.items() if tree.covers(upper, node)) for upper in nodes}
    unsplit = [node for node, share in nodes.items() if share > UNSPLIT * below[node]]
    return {node for node in nodes if not any(upper != node and tree.covers(upper, node) for upper in unsplit)}


def _told(name: str, nodes: set[int]) -> int | None:
    """The deepest node that the real clouds label and that covers a class; None where they do not tell it."""
    tree = catalogue.taxonomy()
    return next((node for node in tree.ancestors(tree.id(name)) if node in nodes), None)


def _rows(of: Profile, upper: int | None) -> list[ClassProfile]:
    """The classes of a node and of all below it; none for None."""
    tree = catalogue.taxonomy()
    return [row for name, row in of.classes.items() if upper is not None and tree.covers(upper, tree.id(name))]


def _share(of: Profile, upper: int) -> float:
    """Share of the points of a node and of all below it."""
    return sum(row.share for row in _rows(of, upper))


def _largest(of: Profile, upper: int | None) -> ClassProfile | None:
    """The class with most points of a node and all below it."""
    return max(_rows(of, upper), key=lambda row: row.share, default=None)


def mismatch(real: Profile, made: Profile, nodes: set[int]) -> float:
    """Mean absolute difference of log2 shares over the classes that both can tell: 1 is twice or half as much.

    Shares below 0.05 % count as that: they are noise.
    """
    uppers = {_told(name, nodes) for name in made.classes} - {None}
    least = 5e-4
    gaps = [abs(np.log2(max(_share(real, u), least) / max(_share(made, u), least))) for u in uppers if u is not None]
    return float(np.mean(gaps)) if gaps else float("nan")


def transfers(real: Profile, made: Profile, nodes: set[int]) -> dict[str, Transfer]:
    """For each class of the composed clouds the quantiles of its intensities by range, and those that they should have."""
    found: dict[str, Transfer] = {}
    middles = [(low + high) / 2 for low, high in pairwise(RANGES)] if real.frame == "sensor" else [0.0]
    for name, row in made.classes.items():
        theirs = _largest(real, _told(name, nodes))
        if theirs is None:
            continue
        levels = zip(middles, row.intensity, theirs.intensity, strict=True)
        rows = [(m, a, b) for m, a, b in levels if a is not None and b is not None]
        if rows:
            ranges, composed, wanted = zip(*rows, strict=True)
            found[name] = Transfer(ranges=ranges, composed=composed, real=wanted)
    return found


def _changes(old: SceneRecipe, new: SceneRecipe) -> list[str]:
    """What differs between two recipes, one line a key."""
    (world,) = old.worlds
    rows = []
    for table in ("sensor", "surfaces", world):
        before: Mapping[str, Any] = getattr(old, table).model_dump()
        for key, value in getattr(new, table).model_dump().items():
            if before.get(key) != value:
                rows.append(f"{table}.{key}: {_brief(before.get(key))} -> {_brief(value)}")
    return rows


def _brief(value: Any) -> str:
    if value in ("", ()):
        return "none"
    if isinstance(value, tuple | list) and len(value) > 4:
        return f"{len(value)} values"
    return str(value)
