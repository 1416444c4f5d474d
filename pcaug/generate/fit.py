"""Fit a generator of either family to objects, and keep some of them aside to score it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pcaug.errors import RecipeError
from pcaug.generate import flow, shape
from pcaug.generate.bank import ObjectSample
from pcaug.generate.model import Family, Generator, ModelCard
from pcaug.parallel import Progress, silent

POINTS = {"shape": 256, "flow": 128}
"""Points of the objects that a generator of each family learns, where nobody says."""
HELD_OUT = 0.3
"""Share of the objects that are kept to score a generator, in whole units where there are several."""
LEAST_OBJECTS = 8
"""Objects below which none is held out."""


def fit(
    family: Family,
    things: Sequence[ObjectSample],
    classes: Sequence[str],
    rng: np.random.Generator,
    *,
    points: int | None = None,
    steps: int = 2000,
    seed: int = 0,
    data: str = "",
    licence: str = "",
    completed: bool = False,
    progress: Progress = silent,
) -> Generator:
    """Fit a generator.

    Args:
        family: "shape" learns one class, "flow" one or several.
        things: Objects of the classes.
        classes: Their names.
        rng: Of every random choice.
        points: Points of an object; None for those of the family.
        steps: Optimiser steps of a flow.
        seed: What the card says that the choices were made with.
        data: What the card says of the objects' origin.
        licence: Of the objects.
        completed: Whether they were completed by symmetry first.
        progress: Called as ``progress("steps", done, steps)``.

    Raises:
        RecipeError: If a shape model should learn several classes.
        PcaugError: With too few objects of a class.
    """
    one_class(family, classes)
    card = ModelCard(
        family=family,
        classes=tuple(classes),
        objects=tuple(sum(thing.row.name == name for thing in things) for name in classes),
        points=points or POINTS[family],
        data=data,
        units=tuple(sorted({thing.row.unit for thing in things})),
        licence=licence,
        seed=seed,
        completed=completed,
    )
    return shape.fit(things, card, rng) if family == "shape" else flow.fit(things, card, rng, steps=steps, progress=progress)


def one_class(family: Family, classes: Sequence[str]) -> None:
    """Refuse several classes for a shape model; raises RecipeError."""
    if family == "shape" and len(classes) > 1:
        raise RecipeError("a shape model learns one class", do="fit one for each, or take --family flow")


def parted(things: list[ObjectSample], rng: np.random.Generator) -> tuple[list[ObjectSample], list[ObjectSample]]:
    """Training and held-out objects: whole units where there are several, but never most of the objects, which one unit may
    hold; of fewer than LEAST_OBJECTS none is held out."""
    if len(things) < LEAST_OBJECTS:
        return things, []
    sizes = Counter(thing.row.unit for thing in things)
    units = sorted(sizes)
    if len(units) < 2:
        order = rng.permutation(len(things))
        held = set(order[: int(len(things) * HELD_OUT)].tolist())
        return [t for i, t in enumerate(things) if i not in held], [t for i, t in enumerate(things) if i in held]
    chosen: set[str] = set()
    for unit in (units[index] for index in rng.permutation(len(units))):
        kept = sum(sizes[name] for name in chosen)
        if kept < HELD_OUT * len(things) and kept + sizes[unit] <= len(things) / 2:
            chosen.add(unit)
    return [t for t in things if t.row.unit not in chosen], [t for t in things if t.row.unit in chosen]
