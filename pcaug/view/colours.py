"""Colours of points: by class, intensity, height, return, instance, or the file's own."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError

Colours = NDArray[np.uint8]
MODES = ("class", "prediction", "error", "native", "intensity", "height", "return", "instance", "rgb")

# viridis at nine equal steps (van der Walt and Smith 2015)
RAMP = np.array([
    [68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142],
    [31, 158, 137], [53, 183, 121], [109, 205, 89], [253, 231, 37],
])  # fmt: skip


def best_mode(cloud: PointCloud) -> str:
    """What a cloud is best coloured by, where nobody said."""
    for mode, field in (("class", "label"), ("prediction", "prediction"), ("native", "native_label"), ("rgb", "rgb")):
        if field in cloud:
            return mode
    return "height"


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
        return _categories(cloud[{"native": "native_label", "return": "return_number"}.get(mode, mode)])
    if mode == "rgb":
        values = cloud["rgb"]
        shift = 8 if len(values) and values.dtype != np.uint8 and int(values.max()) > 255 else 0
        return (values >> shift).astype(np.uint8)
    return ramp(cloud.xyz[:, 2] if mode == "height" else cloud["intensity"].astype(np.float64))


def _by_node(nodes: NDArray[np.integer]) -> Colours:
    found: Colours = class_table()[np.minimum(nodes, 255)]
    return found


def class_table() -> Colours:
    """Colour of every node id, (256, 3) uint8."""
    taxonomy = catalogue.taxonomy()
    table = np.zeros((256, 3), np.uint8)
    for node in taxonomy.nodes:
        table[node] = taxonomy.colour(node)
    return table


def ramp(values: NDArray[np.float64]) -> Colours:
    """Viridis between the 2nd and the 98th percentile."""
    if not len(values):
        return np.zeros((0, 3), np.uint8)
    low, high = np.percentile(values, [2, 98])
    at = np.clip((values - low) / max(high - low, 1e-9), 0, 1) * (len(RAMP) - 1)
    return np.stack([np.interp(at, np.arange(len(RAMP)), RAMP[:, c]) for c in range(3)], axis=1).astype(np.uint8)


def _categories(values: NDArray[np.integer]) -> Colours:
    """A stable, well-mixed colour for each id; 0 is grey."""
    hue = (values.astype(np.uint64) * np.uint64(2654435761) % np.uint64(1 << 32)) / float(1 << 32)
    parts = [0.55 + 0.4 * np.cos(2 * np.pi * (hue + shift)) for shift in (0.0, 0.33, 0.67)]
    table = (np.stack(parts, axis=1) * 255).astype(np.uint8)
    table[values == 0] = 150
    return table


def _error(cloud: PointCloud) -> Colours:
    """Green where the prediction agrees with the label (either contains the other), red where not, grey where nobody knows."""
    taxonomy = catalogue.taxonomy()
    truth, guess = cloud["label"], cloud["prediction"]
    pairs, inverse = np.unique(np.stack([truth, guess], axis=1), axis=0, return_inverse=True)
    right = np.array(
        [t in taxonomy.nodes and (taxonomy.covers(t, g) or taxonomy.covers(g, t)) for t, g in pairs.tolist()], dtype=bool
    )
    table = np.where(right[inverse.reshape(-1), None], np.array([60, 160, 80]), np.array([220, 50, 50])).astype(np.uint8)
    table[truth == 255] = 150
    return table
