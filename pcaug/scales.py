"""The scales that intensities and colours are counted on: each instrument and file format has its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNLIKE = 8.0
"""Times as large as others that intensities or colours are where they are on another scale: 1, 255, 4095 and 65535 are more
apart."""


def on_scale(values: NDArray[Any], like: NDArray[Any], scale: Callable[[NDArray[Any]], float]) -> NDArray[Any]:
    """Intensities or colours brought to the scale and the type of others, where theirs is another one; else as they are.

    Scales end at ``full_scale``. That alone would tell a dark tile from a bright one of the same scanner: to be of another scale,
    the brightest of both (at 95 %) have to be UNLIKE times apart, too. Negative ones (decibels) are on no such scale.

    Args:
        values, like: Those to bring, and those whose scale it is.
        scale: What is to be the same of both: ``colour_scale`` of colours, ``bright`` of intensities, for each instrument counts
            to a number of its own.
    """
    if not len(values) or not len(like) or min(values.min(), like.min()) < 0:
        return values
    factor = full_scale(like) / full_scale(values)
    if 1 / UNLIKE < factor < UNLIKE:
        return values
    own, other = (float(np.nanpercentile(array, 95)) for array in (values, like))
    if (other <= own * UNLIKE) if factor > 1 else (own <= other * UNLIKE):
        return values
    return in_type(values * (scale(like) / scale(values)), like.dtype)


def bright(intensity: NDArray[Any], unknown: float = 1.0) -> float:
    """The 95th percentile of intensities (N,) that are numbers; ``unknown`` where it is none, or not above 0."""
    known = intensity[np.isfinite(intensity)]
    top = float(np.percentile(known, 95)) if len(known) else 0.0
    return top if top > 0 else unknown


def intensity_scale(intensity: NDArray[Any]) -> float:
    """Largest value of the scale of some intensities, which stray echoes may exceed: the least of 1 (of floats), 255, 511, 1023
    and so on that holds 99 % of them; of decibels their largest, at least 1."""
    known = intensity[np.isfinite(intensity)]
    if not len(known):
        return 1.0
    if known.min() < 0:
        return max(1.0, float(known.max()))
    top = float(np.percentile(known, 99))
    if np.issubdtype(intensity.dtype, np.floating) and top < 2:
        return 1.0
    return float(2 ** max(8, int(np.floor(np.log2(top))) + 1) - 1) if top > 255 else 255.0


def in_type(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Intensities or colours in a type: rounded where it is an integer, none above its largest."""
    if np.issubdtype(dtype, np.integer):
        values = np.rint(np.minimum(values, np.iinfo(dtype).max))
    return values.astype(dtype)


def colour_scale(rgb: NDArray[Any]) -> float:
    """Largest value of the scale of some colours: the least of 1 (of floats), 255 and 65535 that holds them. A few may lie above
    1, for nobody counts in whole numbers that end below 2."""
    top = float(np.fmax.reduce(rgb, axis=None, initial=0))
    if np.issubdtype(rgb.dtype, np.floating) and top < 2:
        return 1.0
    return next((scale for scale in (255.0, 65535.0) if top <= scale), top)


def full_scale(values: NDArray[Any]) -> float:
    """Largest value of what holds some intensities or colours: of integers 255 or their type's, of floats at least 1."""
    top = float(np.fmax.reduce(values, axis=None, initial=0))  # whatever is no number
    if np.issubdtype(values.dtype, np.integer):
        return 255.0 if top <= 255 else float(np.iinfo(values.dtype).max)
    return max(1.0, top)
