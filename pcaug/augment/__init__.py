"""Augmentation: ``(cloud, rng) -> cloud``. Naive ones change one cloud, mixing ones recombine two."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from pcaug.augment import mixing, naive
from pcaug.cloud import PointCloud
from pcaug.errors import RecipeError

Augmentation = Callable[[PointCloud, np.random.Generator], PointCloud]

AUGMENTATIONS: dict[str, type[Any]] = {
    "rotate_z": naive.RotateZ,
    "flip": naive.Flip,
    "scale": naive.Scale,
    "shift": naive.Shift,
    "jitter": naive.Jitter,
    "drop": naive.Drop,
    "drop_rings": naive.DropRings,
    "intensity_shift": naive.IntensityShift,
    "elastic": naive.Elastic,
}

MIXERS: dict[str, type[Any]] = {
    "polarmix": mixing.PolarMix,
    "lasermix": mixing.LaserMix,
    "mix3d": mixing.Mix3D,
    "paste": mixing.PasteObjects,
}


@dataclass(frozen=True)
class Pipeline:
    """Augmentations one after the other; the same generator state gives the same cloud."""

    steps: tuple[Augmentation, ...]

    def __call__(self, cloud: PointCloud, rng: np.random.Generator) -> PointCloud:
        for step in self.steps:
            cloud = step(cloud, rng)
        return cloud


def pipeline(tables: Sequence[Mapping[str, Any]]) -> Pipeline:
    """Build a pipeline from recipe tables: ``{name = "scale", low = 0.9, high = 1.1}``.

    Raises:
        RecipeError: For an unknown name or argument, with the nearest known one.
    """
    return Pipeline(tuple(build(AUGMENTATIONS, table) for table in tables))


def build(known: Mapping[str, type[Any]], table: Mapping[str, Any]) -> Any:
    """One augmentation or mixer from its table."""
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in table.items() if key != "name"}
    name = str(table.get("name", ""))
    if name not in known:
        near = get_close_matches(name, known, n=1) or sorted(known)
        raise RecipeError(f"no augmentation named {name!r}", do=f"did you mean {' or '.join(near)}?")
    allowed = list(known[name].__dataclass_fields__)
    for key in arguments:
        if key not in allowed:
            raise RecipeError(f"augmentation {name!r} has no argument {key!r}", do=f"it has {', '.join(allowed) or 'none'}")
    return known[name](**arguments)
