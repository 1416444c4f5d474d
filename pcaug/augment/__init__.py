"""Augmentation: ``(cloud, rng) -> cloud``. Naive ones and weather change one cloud, mixing ones recombine two."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from pcaug.augment import mixing, naive, paste, thinning, values, weather
from pcaug.augment.attributes import moved
from pcaug.catalogue import mistakes
from pcaug.cloud import PointCloud
from pcaug.errors import RecipeError

Augmentation = Callable[[PointCloud, np.random.Generator], PointCloud]
Mixer = Callable[[PointCloud, PointCloud, np.random.Generator], PointCloud]

# freed at once: glibc then reuses the memory of arrays up to this size, where new pages cost twice the work
np.empty(31 << 20, np.uint8)

AUGMENTATIONS: dict[str, type[Any]] = {
    "rotate_z": naive.RotateZ,
    "tilt": naive.Tilt,
    "flip": naive.Flip,
    "scale": naive.Scale,
    "shift": naive.Shift,
    "jitter": naive.Jitter,
    "range_noise": naive.RangeNoise,
    "elastic": naive.Elastic,
    "drop": thinning.Drop,
    "drop_blocks": thinning.DropBlocks,
    "drop_rings": thinning.DropRings,
    "drop_beams": thinning.DropBeams,
    "fewer_beams": thinning.FewerBeams,
    "crop": thinning.Crop,
    "intensity_shift": values.IntensityShift,
    "intensity_gamma": values.IntensityGamma,
    "intensity_drop": values.IntensityDrop,
    "colour_jitter": values.ColourJitter,
    "colour_drop": values.ColourDrop,
    "fog": weather.Fog,
    "rain": weather.Rain,
    "snow": weather.Snow,
}

MIXERS: dict[str, type[Any]] = {
    "polarmix": mixing.PolarMix,
    "lasermix": mixing.LaserMix,
    "mix3d": mixing.Mix3D,
    "cutmix": mixing.CutMix,
    "paste": paste.PasteObjects,
}

ENDS = (("low", "high"), ("least", "most"), ("nearest", "farthest"))
"""Arguments that are the ends of what is drawn."""


@dataclass(frozen=True)
class Pipeline:
    """Augmentations one after the other; the same generator state gives the same cloud."""

    steps: tuple[Augmentation, ...]

    def __call__(self, cloud: PointCloud, rng: np.random.Generator) -> PointCloud:
        matrix: NDArray[np.float64] | None = None
        mean: NDArray[np.float64] | None = None
        for step in self.steps:
            if isinstance(step, naive.Affine):  # multiply matrices while they follow each other, move the points once
                matrix = np.eye(4) if matrix is None else matrix
                middle = np.zeros(3)
                if step.about == "centre":
                    mean = naive.mean(cloud) if mean is None else mean
                    middle[:2] = (matrix[:3, :3] @ mean + matrix[:3, 3])[:2]
                matrix = step.matrix(middle, rng) @ matrix
                continue
            cloud, matrix, mean = (cloud if matrix is None else moved(cloud, matrix)), None, None
            cloud = step(cloud, rng)
        return cloud if matrix is None else moved(cloud, matrix)


@dataclass(frozen=True)
class Sometimes:
    """A step that is taken with a probability; its own draws are made either way, so later ones do not depend on it."""

    step: Augmentation
    chance: float

    def __call__(self, cloud: PointCloud, rng: np.random.Generator) -> PointCloud:
        own = np.random.default_rng(rng.integers(2**63))
        return self.step(cloud, own) if rng.random() < self.chance else cloud


def pipeline(tables: Sequence[Mapping[str, Any]]) -> Pipeline:
    """Build a pipeline from recipe tables: ``{name = "scale", low = 0.9, high = 1.1}``; ``chance`` takes a step now and then.

    A uniform drop is taken before jitter and what moves points about the origin: as likely outcomes, with fewer points to move.

    Raises:
        RecipeError: For an unknown name or argument, with the nearest known one, or a value that does not fit.
    """
    steps: list[Augmentation] = []
    for table, chance in map(split_chance, tables):
        step, at = build(AUGMENTATIONS, table), len(steps)
        while isinstance(step, thinning.Drop) and at and _pointwise(steps[at - 1]):
            at -= 1
        steps.insert(at, step if chance == 1 else Sometimes(step, chance))
    return Pipeline(tuple(steps))


def _pointwise(step: Augmentation) -> bool:
    """Whether what becomes of a point does not depend on which others there are."""
    return isinstance(step, naive.Jitter) or (isinstance(step, naive.Affine) and step.about == "origin")


def split_chance(table: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
    """A table without its ``chance``, and the chance (1 by default); raises RecipeError unless it is a probability."""
    chance = table.get("chance", 1.0)
    if isinstance(chance, bool) or not isinstance(chance, int | float) or not 0 <= chance <= 1:
        raise RecipeError(f"chance = {chance!r} is not a probability", str(table.get("name", "")))
    return {key: value for key, value in table.items() if key != "chance"}, float(chance)


def build(known: Mapping[str, type[Any]], table: Mapping[str, Any]) -> Any:
    """One augmentation or mixer from its table."""
    arguments = {key: value for key, value in table.items() if key != "name"}
    name = str(table.get("name", ""))
    if name not in known:
        near = get_close_matches(name, known, n=1)
        do = f"did you mean {near[0]}?" if near else f"choose from {', '.join(sorted(known))}"
        raise RecipeError(f"no augmentation named {name!r}", do=do)
    allowed = list(known[name].__dataclass_fields__)
    for key in arguments:
        if key not in allowed:
            raise RecipeError(f"augmentation {name!r} has no argument {key!r}", do=f"it has {', '.join(allowed) or 'none'}")
    try:  # JSON mode: arrays may be tuples, all else strict
        kind: Any = known[name]
        made = _adapter(kind).validate_json(json.dumps(arguments, default=str), strict=True)
    except ValidationError as error:
        raise RecipeError(f"augmentation {name!r}: {mistakes(error)}") from None
    for low, high in ENDS:
        if hasattr(made, low) and hasattr(made, high) and getattr(made, low) > getattr(made, high):
            raise RecipeError(f"augmentation {name!r}: {low} is above {high}")
    return made


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
