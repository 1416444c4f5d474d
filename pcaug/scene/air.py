"""The air of a scene: clear, or with fog, rain or snow of some strength in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from pcaug.catalogue import Strict
from pcaug.scene.ranges import Range, draw

Kind = Literal["fog", "rain", "snow"]
LEAST = 0.01
"""Least amount, and the step in which amounts are drawn."""


@dataclass(frozen=True)
class Air:
    """What is in the air.

    Attributes:
        kind: Of it.
        amount: Fog: meteorological optical range, metres. Rain, snow: mm/h of water.
    """

    kind: Kind
    amount: float


class Weather(Strict):
    """In which air scans are taken: each has one of the kinds that have a range, or clear air.

    Attributes:
        share: Probability that a scan is taken in one of them.
        fog: Meteorological optical range, metres.
        rain: Rate, mm/h; it wets the ground.
        snow: Rate, mm/h of melted water; none lies on the ground.
    """

    share: float = Field(default=1.0, ge=0, le=1)
    fog: Range | None = None
    rain: Range | None = None
    snow: Range | None = None

    @model_validator(mode="after")
    def _is_weather(self) -> Self:
        for kind, (low, _) in self.kinds.items():
            if low < LEAST:
                raise ValueError(f"{kind} needs two rising values of {LEAST} or more")
        return self

    @property
    def kinds(self) -> dict[Kind, Range]:
        """The kinds that occur, with their ranges."""
        every: dict[Kind, Range | None] = {"fog": self.fog, "rain": self.rain, "snow": self.snow}
        return {kind: amount for kind, amount in every.items() if amount is not None}

    def draw(self, rng: np.random.Generator) -> Air | None:
        """The air of one scene; None is clear. Weather that has no kinds draws nothing."""
        kinds = list(self.kinds.items())
        if not kinds or rng.random() >= self.share:
            return None
        kind, amount = kinds[rng.integers(len(kinds))]
        return Air(kind, round(draw(amount, rng), 2))
