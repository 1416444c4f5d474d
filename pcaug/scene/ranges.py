"""Ranges of recipes, from which every world and scan draws its own value; and what else recipes have to say of chances."""

from __future__ import annotations

from typing import Annotated, TypeVar

import numpy as np
from pydantic import AfterValidator, Field

LONGEST = 200.0
"""Largest length of a thing in a scene, metres."""
DENSEST = 10_000.0
"""Largest density of things."""

Kind = TypeVar("Kind", bound=str)
Ends = TypeVar("Ends", tuple[float, float], tuple[int, int])


def _rising(value: Ends) -> Ends:
    if value[0] > value[1]:
        raise ValueError("must be [lowest, highest]")
    return value


def _within(low: float, high: float, said: str) -> AfterValidator:
    def check(value: Ends) -> Ends:
        if value[0] < low or value[1] > high:
            raise ValueError(f"must be {said}")
        return value

    return AfterValidator(check)


def at_least(least: float) -> AfterValidator:
    """Of a range: no value below this."""
    return _within(least, np.inf, f"{least:g} or more")


def _weights(value: dict[Kind, float]) -> dict[Kind, float]:
    if any(weight < 0 for weight in value.values()) or not 0 < sum(value.values()) < np.inf:
        raise ValueError("needs weights of 0 or more, one of them above 0, and none without end")
    return value


Range = Annotated[tuple[float, float], AfterValidator(_rising)]
"""Lowest and highest value of a uniform draw."""
Lengths = Annotated[Range, _within(0, LONGEST, f"lengths from 0 to {LONGEST:g} m")]
"""A range of lengths of things, metres."""
Amounts = Annotated[Range, _within(0, DENSEST, f"from 0 to {DENSEST:g}")]
"""A range of numbers or densities of things."""
Counts = Annotated[tuple[int, int], AfterValidator(_rising), _within(0, DENSEST, f"from 0 to {DENSEST:g}")]
"""Lowest and highest of an even draw of whole numbers."""
Shares = Annotated[Range, _within(0, 1, "shares from 0 to 1")]
"""A range of shares."""
Share = Annotated[float, Field(ge=0, le=1)]
"""A share or a probability."""
Weights = Annotated[dict[Kind, float], AfterValidator(_weights)]
"""How often each of some kinds is drawn."""


def draw(low_high: Range, rng: np.random.Generator) -> float:
    """One value of a range."""
    return float(rng.uniform(*low_high))


def draw_size(low_high: Range, rng: np.random.Generator) -> float:
    """One size of a range, its logarithm drawn evenly: of what grows there are more small ones than large."""
    low, high = np.log(np.maximum(low_high, 0.01))
    return float(np.exp(rng.uniform(low, high)))
