"""Ranges of recipes, from which every world and scan draws its own value."""

from __future__ import annotations

import numpy as np

Range = tuple[float, float]
"""Lowest and highest value of a uniform draw."""


def draw(low_high: Range, rng: np.random.Generator) -> float:
    """One value of a range."""
    return float(rng.uniform(*low_high))


def draw_size(low_high: Range, rng: np.random.Generator) -> float:
    """One size of a range, its logarithm drawn evenly: of what grows there are more small ones than large."""
    low, high = np.log(np.maximum(low_high, 0.01))
    return float(np.exp(rng.uniform(low, high)))
