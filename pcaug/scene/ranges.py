"""Ranges of recipes, from which every world and scan draws its own value; and what else recipes have to say of chances."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import AfterValidator, Field

LONGEST = 200.0
"""Largest length of a thing in a scene, metres."""
MOST = 10_000.0
"""Largest density of things."""


Kind = TypeVar("Kind", bound=str)


def _rising(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError("must be [lowest, highest]")
    return value


def _lengths(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] < 0 or value[1] > LONGEST:
        raise ValueError(f"must be lengths from 0 to {LONGEST:g} m")
    return value


def _amounts(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] < 0 or value[1] > MOST:
        raise ValueError(f"must be from 0 to {MOST:g}")
    return value


def _counts(value: tuple[int, int]) -> tuple[int, int]:
    if not 0 <= value[0] <= value[1] <= MOST:
        raise ValueError(f"must be [lowest, highest] from 0 to {MOST:g}")
    return value


def _shares(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] < 0 or value[1] > 1:
        raise ValueError("must be shares from 0 to 1")
    return value


def at_least(least: float) -> AfterValidator:
    """Of a range: no value below this."""

    def check(value: Any) -> Any:
        if value[0] < least:
            raise ValueError(f"must be {least:g} or more")
        return value

    return AfterValidator(check)


def _weights(value: dict[Kind, float]) -> dict[Kind, float]:
    if any(weight < 0 for weight in value.values()) or not sum(value.values()) > 0:
        raise ValueError("needs weights of 0 or more, one of them above 0")
    return value


Range = Annotated[tuple[float, float], AfterValidator(_rising)]
"""Lowest and highest value of a uniform draw."""
Lengths = Annotated[Range, AfterValidator(_lengths)]
"""A range of lengths of things, metres."""
Amounts = Annotated[Range, AfterValidator(_amounts)]
"""A range of numbers or densities of things."""
Counts = Annotated[tuple[int, int], AfterValidator(_counts)]
"""Lowest and highest of an even draw of whole numbers."""
Shares = Annotated[Range, AfterValidator(_shares)]
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
