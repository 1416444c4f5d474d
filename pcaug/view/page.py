"""One self-contained HTML page of clouds: WebGL2, no network, opens from disk.

Positions are quantised to 16 bits an axis and stored as hops along a Morton curve (Morton 1966), which are small numbers:
their bytes are shuffled into planes and deflated. A million points take about 4 MB. The page itself is in ``web/``; nothing is
built: ``page.css`` and the scripts are put into ``page.html`` as they are.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment
from markupsafe import Markup
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.errors import NotFound, PcaugError
from pcaug.files import write_text
from pcaug.view.census import Census
from pcaug.view.colours import (
    CATEGORIES,
    RAMP,
    RIGHT,
    UNKNOWN,
    WRONG,
    agreement,
    best_mode,
    class_table,
    eight_bit,
    id_colours,
    node_name,
    span,
)
from pcaug.view.picture import spacing

WEB = Path(__file__).with_name("web")
SCRIPTS = ("scene.js", "camera.js", "panel.js")
TREE = ("class", "prediction")
QUANTITIES = ("intensity", "height", "confidence")
FINEST = 0.005
"""Metres: laser scans are noisier than that."""
KINDS = 255
"""Most ids of a category that are told apart; the rarer ones share a row of the legend."""


@dataclass(frozen=True)
class _Mode:
    """A way of colouring.

    Attributes:
        name: As in ``colours.MODES``, or "confidence".
        palette: Colour of each byte value.
        entries: Rows of the legend: index, name, counts (one a cloud).
        range: Of a quantity: what the byte values 1 and 255 stand for; 0 is unknown.
        ids: Of a category: the id of each byte value, sorted; what is not among them has the value after the last.
    """

    name: str
    palette: list[list[int]]
    entries: list[dict[str, Any]] | None = None
    range: tuple[float, float] | None = None
    ids: NDArray[np.int64] | None = None


def save_html(
    clouds: Sequence[PointCloud],
    path: str | Path,
    titles: Sequence[str] = (),
    title: str = "pcaug",
    most: int = 5_000_000,
    colour: str | None = None,
    wholes: Sequence[Census] = (),
) -> int:
    """Write clouds as one page: side by side, or one swiped over the other.

    Args:
        clouds: What to show; of more than ``most`` points in all, an even sample (the counts are of all).
        path: The page.
        titles: One a cloud.
        title: Of the page.
        most: Points in all.
        colour: What to colour by at first; None chooses.
        wholes: What is counted, one a cloud, where the clouds themselves are samples (``census.thinned``).

    Returns:
        Points shown.

    Raises:
        PcaugError: If there are no points.
        NotFound: For a colour mode that no cloud has the field of.
    """
    path = Path(path)
    text, points = page(clouds, titles, title, most, colour, wholes)
    write_text(path, text)
    return points


def page(
    clouds: Sequence[PointCloud],
    titles: Sequence[str] = (),
    title: str = "pcaug",
    most: int = 5_000_000,
    colour: str | None = None,
    wholes: Sequence[Census] = (),
) -> tuple[str, int]:
    """The page of ``save_html`` as text, and the number of points in it; same arguments, same errors."""
    wholes = wholes or [Census.of(cloud) for cloud in clouds]
    named = [
        (cloud, titles[i] if i < len(titles) else "", whole)
        for i, (cloud, whole) in enumerate(zip(clouds, wholes, strict=True))
        if len(cloud)
    ]
    if not named:
        raise PcaugError("no points to show")
    if not all(np.isfinite(cloud.xyz).all() for cloud, _, _ in named):
        raise PcaugError("has positions that are not finite", do="take them away: cloud.take(np.isfinite(cloud.xyz).all(axis=1))")
    total = sum(whole.points for _, _, whole in named)
    shown = [_sample(cloud, max(1, whole.points * most // total)) for cloud, _, whole in named]
    modes = _modes(shown, [whole for _, _, whole in named])
    data = {
        "start": _start(modes, shown[0], colour),
        "modes": [{"name": m.name, "palette": m.palette, "entries": m.entries, "range": m.range} for m in modes],
        "clouds": [
            {"title": name, "of": whole.points, **_cloud(few, origin, modes)}
            for (_, name, whole), few, origin in zip(named, shown, _origins(shown), strict=True)
        ],
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")  # no "</script>" out of a name
    template = Environment(autoescape=True).from_string((WEB / "page.html").read_text(encoding="utf-8"))
    script = "\n".join((WEB / name).read_text(encoding="utf-8") for name in SCRIPTS)
    style = (WEB / "page.css").read_text(encoding="utf-8")
    whole = template.render(title=title, style=Markup(style), data=Markup(text), script=Markup(script))
    return whole, sum(len(cloud) for cloud in shown)


def framed(
    clouds: Sequence[PointCloud],
    titles: Sequence[str] = (),
    title: str = "pcaug",
    most: int = 200_000,
    colour: str | None = None,
) -> str:
    """The page of ``save_html`` as an HTML element for another page or a notebook; same arguments, same errors.

    It is an ``iframe`` whose content is in its ``srcdoc``: it may run its scripts and save a picture, and reach nothing of the
    page around it.
    """
    text, _ = page(clouds, titles, title, most, colour)
    element = Markup('<iframe title="{}" sandbox="allow-scripts allow-downloads" srcdoc="{}"></iframe>')
    return str(element.format(title, text))


def notebook(cloud: PointCloud, most: int = 100_000) -> str:
    """A cloud inline in a notebook: its summary, and a viewer of an even sample of it."""
    summary = Markup("<p>{}</p>").format(repr(cloud))
    if not len(cloud):
        return str(summary)
    frame = framed([cloud], [Path(cloud.source.file).name], "PointCloud", most)
    return str(summary) + frame.replace("<iframe ", '<iframe style="width:100%;height:480px;border:1px solid #8884" ', 1)


def _sample(cloud: PointCloud, n: int) -> PointCloud:
    """One point of each of n equal runs of points, drawn from a fixed seed: even along a scan, but in step with no ring of it."""
    if n >= len(cloud):
        return cloud
    at = (np.arange(n) + np.random.default_rng(0).random(n)) * (len(cloud) / n)
    return cloud.take(at.astype(np.int64))


def _morton(grid: NDArray[np.uint16]) -> NDArray[np.uint64]:
    """Places (N,) on the Morton curve of cells (N, 3): the bits of x, y and z in turn, x lowest."""
    key = np.zeros(len(grid), np.uint64)
    for axis in range(3):
        v = grid[:, axis].astype(np.uint64)
        for shift, mask in ((16, 0xFF0000FF), (8, 0xF00F00F00F), (4, 0xC30C30C30C3), (2, 0x249249249249)):
            v = (v | (v << np.uint64(shift))) & np.uint64(mask)
        key |= v << np.uint64(axis)
    return key


def _step(cloud: PointCloud, gap: float) -> float:
    """Edge of the cells of the 16-bit grid, metres: no finer than a fiftieth of the points' gap or FINEST, which only costs."""
    return max(float(np.ptp(cloud.bounds, axis=0).max()) / 65535, min(FINEST, gap / 50), 1e-6)


def _origins(clouds: Sequence[PointCloud]) -> list[NDArray[np.float64]]:
    """Where each cloud's view is centred: in common where all overlap the first (truth beside prediction), else its own."""
    low, high = clouds[0].bounds
    overlap = all(((cloud.bounds[0] <= high) & (cloud.bounds[1] >= low)).all() for cloud in clouds)
    centres = [np.floor(np.median(cloud.xyz, axis=0)) for cloud in clouds]
    return [centres[0]] * len(clouds) if overlap else centres


def _modes(clouds: Sequence[PointCloud], wholes: Sequence[Census]) -> list[_Mode]:
    """Colour modes that any cloud has the field of; classes and predictions share ids, so that they share colours and toggles."""
    counts = {name: _counts(field, wholes) for name, field in CATEGORIES.items() if any(field in whole.ids for whole in wholes)}
    tree = [counts[name] for name in TREE if name in counts]
    modes = []
    for name, mine in counts.items():
        every = tree if name in TREE else [mine]
        totals = {value: sum(sum(found.get(value, ())) for found in every) for found in every for value in found}
        modes.append(_category(name, mine, sorted(totals, key=lambda value: (-totals[value], value))))
    if any("label" in cloud and "prediction" in cloud for cloud in clouds):
        modes.append(_error(wholes))
    if any("instance" in cloud for cloud in clouds):
        modes.append(_Mode("instance", [list(UNKNOWN), *id_colours(np.arange(1, 256)).tolist()]))
    ramp = [list(UNKNOWN)] + [[round(np.interp(i / 254 * 8, range(9), RAMP[:, c])) for c in range(3)] for i in range(255)]
    for name in QUANTITIES:
        known = [v for cloud in clouds if (v := _quantity(cloud, name)) is not None]
        if known:
            modes.append(_Mode(name, ramp, range=span(np.concatenate(known))))
    return [*modes, _Mode("rgb", [])] if any("rgb" in cloud for cloud in clouds) else modes


def _counts(field: str, wholes: Sequence[Census]) -> dict[int, list[int]]:
    """Value -> points that have it, a number a cloud."""
    counts: dict[int, list[int]] = {}
    for number, whole in enumerate(wholes):
        for value, count in whole.ids.get(field, {}).items():
            counts.setdefault(int(value), [0] * len(wholes))[number] = count
    return counts


def _category(name: str, counts: dict[int, list[int]], often: Sequence[int]) -> _Mode:
    """A category with its own counts; ``often`` are all ids, the most frequent first."""
    ids = sorted(often[:KINDS])
    in_tree = name in TREE
    palette = class_table()[np.clip(ids, 0, 255)].tolist() if in_tree else id_colours(np.array(ids)).tolist()
    entries = [
        {"index": ids.index(value), "name": node_name(value) if in_tree else str(value), "counts": counts[value]}
        for value in often[:KINDS]
        if value in counts
    ]
    rest = [counts[value] for value in often[KINDS:] if value in counts]
    if rest:
        entries.append({"index": KINDS, "name": f"{len(rest):,} rarer ids", "counts": np.array(rest).sum(axis=0).tolist()})
    return _Mode(name, [*palette, list(UNKNOWN)], entries, ids=np.array(ids, np.int64))


def _error(wholes: Sequence[Census]) -> _Mode:
    found = [whole.agreement for whole in wholes]
    names = ("right", "wrong", "unknown")
    entries = [{"index": i, "name": names[i], "counts": [row[i] for row in found]} for i in range(3) if any(r[i] for r in found)]
    return _Mode("error", [list(RIGHT), list(WRONG), list(UNKNOWN)], entries)


def _quantity(cloud: PointCloud, name: str) -> NDArray[np.float64] | None:
    if name == "height":
        return cloud.xyz[:, 2]
    return cloud[name].astype(np.float64) if name in cloud else None


def _start(modes: Sequence[_Mode], first: PointCloud, colour: str | None) -> int:
    names = [mode.name for mode in modes]
    wanted = colour or best_mode(first)
    if wanted not in names:
        raise NotFound(f"no colour mode {wanted!r} for these clouds", do=f"choose from {', '.join(names)}")
    return names.index(wanted)


def _cloud(cloud: PointCloud, origin: NDArray[np.float64], modes: Sequence[_Mode]) -> dict[str, Any]:
    gap = spacing(cloud)
    step = _step(cloud, gap)
    low = cloud.bounds[0] - origin
    place = _morton(np.round((cloud.xyz - origin - low) / step).astype(np.uint16))
    order = np.argsort(place, kind="stable")
    cloud, hops = cloud.take(order), np.diff(place[order], prepend=np.uint64(0))
    local = cloud.xyz - origin
    frame = np.percentile(local, [1, 99], axis=0)
    return {
        "points": len(cloud),
        "origin": origin.tolist(),
        "low": low.tolist(),
        "step": step,
        "frame": frame.tolist(),
        "spacing": gap,
        "position": _packed(_planes(hops)[: 6 * len(cloud)]),
        "values": [_values(cloud, mode) for mode in modes],
        "instance": _packed(_planes(cloud["instance"].astype(np.int32))) if "instance" in cloud else None,
    }


def _planes(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Bytes of integers (N,) in planes, lowest first: the high bytes of small numbers are all alike."""
    rows = values.astype(values.dtype.newbyteorder("<")).view(np.uint8).reshape(len(values), -1)
    return np.ascontiguousarray(rows.T).ravel()


def _values(cloud: PointCloud, mode: _Mode) -> str | None:
    """A byte a point (three of "rgb"), or None where the cloud lacks the field."""
    if mode.name == "rgb":
        return _packed(eight_bit(cloud["rgb"]).ravel()) if "rgb" in cloud else None
    if mode.name == "error":
        return _packed(agreement(cloud)) if "label" in cloud and "prediction" in cloud else None
    if mode.name == "instance":
        return _packed(_spread(cloud["instance"])) if "instance" in cloud else None
    if mode.ids is not None:
        field = CATEGORIES[mode.name]
        return _packed(_codes(cloud[field], mode.ids)) if field in cloud else None
    quantity = _quantity(cloud, mode.name)
    if quantity is None or mode.range is None:
        return None
    if mode.name == "height":
        return "z"  # the page works it out of the positions
    low, high = mode.range
    known = np.isfinite(quantity)
    level = 1 + np.clip((np.where(known, quantity, low) - low) / (high - low) * 254, 0, 254)
    return _packed(np.where(known, np.round(level), 0).astype(np.uint8))


def _codes(values: NDArray[Any], ids: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Place of each value among sorted ids; ``len(ids)`` where it is not there."""
    at = np.minimum(np.searchsorted(ids, values), len(ids) - 1)
    return np.where(ids[at] == values, at, len(ids)).astype(np.uint8)


def _spread(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Instances as 1..255, neighbours far apart; no instance is 0."""
    return np.where(values == 0, 0, 1 + (values.astype(np.int64) * 97) % 255).astype(np.uint8)


def _packed(values: NDArray[np.uint8]) -> str:
    return base64.b64encode(zlib.compress(values.tobytes(), 6)).decode()
