"""Ranges of recipes, from which every world and scan draws its own value."""

from __future__ import annotations

import numpy as np

Range = tuple[float, float]
"""Lowest and highest value of a uniform draw."""


def draw(low_high: Range, rng: np.random.Generator) -> float:
    """One value of a range."""
    return float(rng.uniform(*low_high))
