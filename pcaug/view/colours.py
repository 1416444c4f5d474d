"""Colours of points: by class, intensity, height, return, instance, or the file's own."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.labels import IGNORE
from pcaug.scales import colour_scale

Colours = NDArray[np.uint8]
MODES = ("class", "prediction", "error", "native", "intensity", "height", "return", "instance", "rgb")
CATEGORIES = {"class": "label", "prediction": "prediction", "native": "native_label", "return": "return_number"}
"""Mode -> the field whose ids are counted in a legend."""

UNKNOWN = (190, 192, 196)
RIGHT, WRONG = (120, 170, 130), (214, 39, 40)
"""Grey where nobody knows; agreement is quiet, so that errors stand out."""

# viridis at nine equal steps (van der Walt and Smith 2015)
RAMP = np.array([
    [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142],
    [31, 158, 137], [53, 183, 121], [109, 205, 89], [253, 231, 37],
])  # fmt: skip


def best_mode(cloud: PointCloud) -> str:
    """What a cloud is best coloured by, where nobody said."""
    for mode, field in (("class", "label"), ("prediction", "prediction"), ("native", "native_label")):
        if field in cloud:
            return mode
    return "height" if "rgb" not in cloud or uncoloured(cloud) else "rgb"


def uncoloured(cloud: PointCloud) -> bool:
    """Whether a cloud has the field of colours and no colours in it: all are 0, as in files that only have room for them."""
    return "rgb" in cloud and len(cloud) > 0 and not np.any(cloud["rgb"])


def colours(cloud: PointCloud, mode: str) -> Colours:
    """(N, 3) uint8 colours of a cloud's points.

    Raises:
        PcaugError: For a mode that does not exist or a field that the cloud lacks.
    """
    if mode not in MODES:
        raise PcaugError(f"no colour mode {mode!r}", do=f"choose from {', '.join(MODES)}")
    if mode == "class":
        return _by_node(cloud["label"])
    if mode == "prediction":
        return _by_node(cloud["prediction"])
    if mode == "error":
        return _error(cloud)
    if mode in ("native", "instance", "return"):
        return category_colours(cloud[CATEGORIES.get(mode, mode)])
    if mode == "rgb":
        return eight_bit(cloud["rgb"])
    return ramp(cloud.xyz[:, 2] if mode == "height" else cloud["intensity"].astype(np.float64))


def eight_bit(rgb: NDArray[Any]) -> Colours:
    """Colours (N, 3) as a file has them, as 8 bits: 16-bit colours are scaled, 8 bits stored in 16 are not."""
    if np.issubdtype(rgb.dtype, np.floating):
        rgb = np.clip(np.nan_to_num(rgb) * (255 / colour_scale(rgb)), 0, 255)
    elif rgb.dtype != np.uint8 and len(rgb) and int(rgb.max()) > 255:
        rgb = rgb >> 8
    return np.asarray(rgb, dtype=np.uint8)


def _by_node(nodes: NDArray[np.integer]) -> Colours:
    found: Colours = class_table()[np.clip(nodes, 0, 255)]
    return found


def node_name(node: int) -> str:
    """Name of a node id; one that the taxonomy does not have is shown by its number instead of stopping the picture."""
    taxonomy = catalogue.taxonomy()
    return taxonomy.label_name(node) if node in taxonomy.nodes or node == IGNORE else f"node {node}"


def class_table() -> Colours:
    """Colour of every node id, (256, 3) uint8."""
    taxonomy = catalogue.taxonomy()
    table = np.full((256, 3), UNKNOWN, np.uint8)
    for node in taxonomy.nodes:
        table[node] = taxonomy.colour(node)
    return table


HUGE = 1e300
"""What larger numbers are shown as."""


def ramp(values: NDArray[np.float64]) -> Colours:
    """Viridis between the 2nd and the 98th percentile; grey where a value is not finite."""
    low, high = span(values)
    known = np.isfinite(values)
    values = np.clip(values, low, high)  # before any difference, which may be too large for a float
    at = np.clip((np.where(known, values, low) - low) / (high - low), 0, 1) * (len(RAMP) - 1)
    table = np.stack([np.interp(at, np.arange(len(RAMP)), RAMP[:, c]) for c in range(3)], axis=1).astype(np.uint8)
    table[~known] = UNKNOWN
    return table


def span(values: NDArray[np.float64]) -> tuple[float, float]:
    """2nd and 98th percentile of the finite values, always a little apart; (0, 1) where there are none."""
    known = np.clip(values[np.isfinite(values)], -HUGE, HUGE)
    if not len(known):
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(known, [2, 98]))
    return low, max(high, low + max(1e-6, 1e-6 * abs(low)))


def category_colours(values: NDArray[np.integer]) -> Colours:
    """A colour for each id (N,); grey for 0, which mostly means none."""
    table = id_colours(values)
    table[values == 0] = UNKNOWN
    return table


def id_colours(values: NDArray[np.integer]) -> Colours:
    """A stable, well-mixed colour for each id (Fibonacci hashing to a hue): the same id looks the same in every cloud."""
    hue = (values.astype(np.int64).astype(np.uint64) * np.uint64(2654435761) % np.uint64(1 << 32)) / float(1 << 32)
    parts = [0.52 + 0.36 * np.cos(2 * np.pi * (hue + shift)) for shift in (0.0, 0.33, 0.67)]
    return (np.stack(parts, axis=1) * 255).astype(np.uint8)


def _error(cloud: PointCloud) -> Colours:
    """Quiet green where the prediction agrees with the label, red where not, grey where nobody knows."""
    return np.array([RIGHT, WRONG, UNKNOWN], np.uint8)[agreement(cloud)]


def agreement(cloud: PointCloud) -> NDArray[np.uint8]:
    """(N,) 0 where prediction and label agree (either contains the other), 1 where not, 2 where the label is ignored."""
    taxonomy = catalogue.taxonomy()
    truth, guess = cloud["label"].astype(np.int64), cloud["prediction"].astype(np.int64)
    codes, inverse = np.unique(truth << 32 | guess, return_inverse=True)
    pairs = [(int(code >> 32), int(code & 0xFFFFFFFF)) for code in codes]
    wrong = np.array([t not in taxonomy.nodes or not (taxonomy.covers(t, g) or taxonomy.covers(g, t)) for t, g in pairs], bool)
    table = np.where([t == IGNORE for t, _ in pairs], 2, wrong).astype(np.uint8)
    found: NDArray[np.uint8] = table[inverse.reshape(-1)]
    return found
