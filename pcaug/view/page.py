"""One self-contained HTML page of clouds: WebGL2, no network, opens from disk.

Positions are quantised to 16 bits an axis, sorted along a Morton curve, delta-coded, byte-shuffled and deflated; a million
points take about 4 MB.
"""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.view.colours import RAMP, class_table

CATEGORIES = {"class": "label", "prediction": "prediction", "native": "native_label", "return": "return_number"}
QUANTITIES = ("intensity", "height", "confidence")


def save_html(
    clouds: Sequence[PointCloud], path: str | Path, titles: Sequence[str] = (), title: str = "pcaug", most: int = 5_000_000
) -> int:
    """Write clouds, side by side, as one page.

    Args:
        clouds: What to show; of more than ``most`` points in all, an even sample.
        path: The page.
        titles: One a cloud.
        title: Of the page.
        most: Points in all.

    Returns:
        Points shown.
    """
    if not any(len(cloud) for cloud in clouds):
        raise PcaugError("no points to show", path)
    total = sum(len(cloud) for cloud in clouds)
    shown = [cloud.take(np.arange(0, len(cloud), max(1, -(-total // most)))) for cloud in clouds if len(cloud)]
    origin = np.floor(shown[0].xyz.mean(axis=0))
    shown = [_sorted(cloud) for cloud in shown]
    modes = _modes(shown)
    names = [*titles, *[""] * len(shown)]
    data = {
        "modes": [{key: value for key, value in mode.items() if key != "codes"} for mode in modes],
        "clouds": [_cloud(c, i, origin, modes, names[i]) for i, c in enumerate(shown)],
    }
    text = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")  # no "</script>" can come out of a name
    template = Environment(autoescape=True).from_string((Path(__file__).with_name("page.html")).read_text(encoding="utf-8"))
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    partial.write_text(template.render(title=title, data=Markup(text)), encoding="utf-8")
    partial.replace(path)
    return sum(len(cloud) for cloud in shown)


def _sorted(cloud: PointCloud) -> PointCloud:
    """Points in Morton order of their 10-bit cells: neighbours in the file are neighbours in space, which deflates well."""
    low, high = cloud.bounds
    cells = ((cloud.xyz - low) / max(float((high - low).max()), 1e-9) * 1023).astype(np.uint64)
    key = np.zeros(len(cloud), np.uint64)
    for axis in range(3):
        v = cells[:, axis]
        for shift, mask in ((16, 0x30000FF), (8, 0x300F00F), (4, 0x30C30C3), (2, 0x9249249)):
            v = (v | (v << np.uint64(shift))) & np.uint64(mask)
        key |= v << np.uint64(axis)
    return cloud.take(np.argsort(key, kind="stable"))


def _modes(clouds: Sequence[PointCloud]) -> list[dict[str, Any]]:
    """Colour modes that any cloud has: palette of 256, and for categories their names and counts over all clouds."""
    modes = []
    for name, field in CATEGORIES.items():
        if any(field in cloud for cloud in clouds):
            modes.append(_category(name, field, clouds))
    ramp = [[int(np.interp(i / 255 * 8, range(9), RAMP[:, c])) for c in range(3)] for i in range(256)]
    for name in QUANTITIES:
        values = [_quantity(cloud, name) for cloud in clouds]
        known = [v for v in values if v is not None and len(v)]
        if known:
            low, high = np.percentile(np.concatenate(known), [2, 98])
            modes.append({"name": name, "palette": ramp, "range": [float(low), float(max(high, low + 1e-9))]})
    if any("rgb" in cloud for cloud in clouds):
        modes.append({"name": "rgb", "palette": []})
    return modes


def _category(name: str, field: str, clouds: Sequence[PointCloud]) -> dict[str, Any]:
    taxonomy = catalogue.taxonomy()
    ids, counts = np.unique(np.concatenate([cloud[field] for cloud in clouds if field in cloud]), return_counts=True)
    ids, counts = ids[:256], counts[:256]
    in_tree = name in ("class", "prediction")
    table = class_table()
    hues = np.random.default_rng(7).permutation(256)
    palette = [
        table[i].tolist() if in_tree else [int(90 + h % 150), int(90 + h * 7 % 150), int(90 + h * 13 % 150)]
        for i, h in zip(ids, hues, strict=False)
    ]
    names = [taxonomy.label_name(int(i)) if in_tree else str(int(i)) for i in ids]
    entries = [{"index": k, "name": names[k], "count": int(counts[k])} for k in np.argsort(-counts).tolist()]
    return {"name": name, "palette": palette, "entries": entries, "codes": ids}


def _quantity(cloud: PointCloud, name: str) -> NDArray[np.float64] | None:
    if name == "height":
        return cloud.xyz[:, 2]
    return cloud[name].astype(np.float64) if name in cloud else None


def _cloud(
    cloud: PointCloud, index: int, origin: NDArray[np.float64], modes: Sequence[dict[str, Any]], title: str
) -> dict[str, Any]:
    local = cloud.xyz - origin
    low = local.min(axis=0)
    span = np.maximum(local.max(axis=0) - low, 1e-6)
    grid = np.round((local - low) / span * 65535).astype(np.uint16)
    steps = np.diff(grid, axis=0, prepend=np.zeros((1, 3), np.uint16))
    planes = [
        part for axis in range(3) for part in ((steps[:, axis] & 255).astype(np.uint8), (steps[:, axis] >> 8).astype(np.uint8))
    ]
    return {
        "title": title,
        "points": len(cloud),
        "origin": origin.tolist(),
        "low": low.tolist(),
        "span": span.tolist(),
        "position": _packed(np.concatenate(planes)),
        "values": [_values(cloud, mode) for mode in modes],
    }


def _values(cloud: PointCloud, mode: dict[str, Any]) -> str | None:
    name = mode["name"]
    if name == "rgb":
        if "rgb" not in cloud:
            return None
        values = cloud["rgb"]
        return _packed((values >> (8 if values.dtype != np.uint8 and values.max() > 255 else 0)).astype(np.uint8).ravel())
    if "codes" in mode:
        field = CATEGORIES[name]
        if field not in cloud:
            return None
        return _packed(np.searchsorted(mode["codes"], np.minimum(cloud[field], mode["codes"].max())).astype(np.uint8))
    quantity = _quantity(cloud, name)
    if quantity is None:
        return None
    low, high = mode["range"]
    return _packed(np.clip((quantity - low) / (high - low) * 255, 0, 255).astype(np.uint8))


def _packed(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 6)).decode()
