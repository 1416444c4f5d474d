"""PNG pictures of clouds, drawn with numpy alone: points splatted by depth, edges darkened (eye-dome lighting)."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.files import atomic_path
from pcaug.labels import tally
from pcaug.view.census import told
from pcaug.view.colours import (
    CATEGORIES,
    RAMP,
    RIGHT,
    UNKNOWN,
    WRONG,
    best_mode,
    category_colours,
    class_table,
    colours,
    node_name,
    span,
)

Image = NDArray[np.uint8]
Colour = tuple[int, int, int]
PAPER = 250
"""Brightness of the background."""
FINE = 2
"""Each pixel is drawn as FINE x FINE and averaged: smooth edges."""
BEYOND = 0.1
"""How far beyond 99 % of its points, of their extent, a cloud is shown whole: its corners are in the picture, strays are not."""
PER_ROW = 3
"""Clouds beside each other in a PNG before the next row starts."""
MARKS = 40
"""Most ids that a legend shows, as many as there are classes."""
RAMPED = ("height", "intensity")
"""Modes that show a quantity."""
TITLE_LETTER, NOTE_LETTER = 12, 9
"""Pixels that a letter takes above a picture: of its title, and of the note beside it."""


@dataclass(frozen=True)
class SheetStyle:
    """How pictures stand on a sheet, in pixels but for the letters.

    Attributes:
        gap: Between pictures, and around all of them.
        above: Room for the title above each.
        letters: Size of the title, points.
        pad: Between title and picture, points.
        weight: Of the title's letters.
    """

    gap: int = 10
    above: int = 26
    letters: float = 5.5
    pad: float = 2.0
    weight: str = "normal"


MANY_SMALL = SheetStyle()
FEW_LARGE = SheetStyle(gap=20, above=52, letters=8.0, pad=5.0, weight="bold")


def render(
    cloud: PointCloud,
    width: int = 900,
    height: int = 640,
    colour: str | None = None,
    azimuth: float | None = None,
    elevation: float = 38.0,
    span: float | None = None,
) -> Image:
    """Draw a cloud from an angle, orthographic, filling the picture.

    Args:
        cloud: What to draw.
        width: Pixels.
        height: Pixels.
        colour: One of ``colours.MODES``; None chooses.
        azimuth: Where the viewer stands, degrees from +x counter-clockwise; None is -60, and of a plan -90: north is up.
        elevation: Degrees above the horizon; 90 is a plan.
        span: Metres that the shorter side shows; None takes the cloud's extent but for what lies far out of 99 % of its points.

    Returns:
        (height, width, 3) uint8.
    """
    if not len(cloud):
        return np.full((height, width, 3), PAPER, np.uint8)
    u, v, depth = _project(cloud.xyz, standing(elevation) if azimuth is None else azimuth, elevation)
    low, high = _extent(u), _extent(v)
    fits = min(width / max(np.ptp(low), 1e-6), height / max(np.ptp(high), 1e-6)) if span is None else min(width, height) / span
    scale = FINE * 0.92 * fits
    column = np.clip((u - low.mean()) * scale + FINE * width / 2, -99, FINE * width + 99).astype(np.int64)
    row = np.clip(FINE * height / 2 - (v - high.mean()) * scale, -99, FINE * height + 99).astype(np.int64)
    paint = colours(cloud, colour or best_mode(cloud))
    order = np.argsort(-depth, kind="stable")
    image, nearest = _splat(
        row[order], column[order], depth[order], paint[order], FINE * height, FINE * width, _size(cloud, scale)
    )
    return _smaller(_eye_dome(image, nearest, scale))


def _extent(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lowest and highest of coordinates (N,), as of `span` in ``render``."""
    low, high = np.percentile(values, [0.5, 99.5])
    near = values[np.abs(values - (low + high) / 2) <= (0.5 + BEYOND) * (high - low)]
    return np.array([near.min(), near.max()])


def standing(elevation: float) -> float:
    """Where a viewer stands who sees a cloud from an elevation, degrees from +x counter-clockwise: of a plan north is up."""
    return -90.0 if elevation == 90 else -60.0


def _project(xyz: NDArray[np.float64], azimuth: float, elevation: float) -> tuple[NDArray[np.float64], ...]:
    """Right, up and depth (away from the viewer) of points."""
    a, e = np.radians(azimuth), np.radians(elevation)
    towards = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    up = np.cross(towards, right)
    local = xyz - xyz.mean(axis=0)
    return local @ right, local @ up, -(local @ towards)


def _size(cloud: PointCloud, scale: float) -> int:
    """Diameter of a splat in fine pixels: a little more than the spacing of the points, so that surfaces close."""
    return int(np.clip(1.5 * spacing(cloud) * scale, 1.5 * FINE, 5 * FINE))


def spacing(cloud: PointCloud) -> float:
    """Median distance of a point to its fourth neighbour, metres, from 1500 points; 0 for fewer than two points."""
    if len(cloud) < 2:
        return 0.0
    tree = cKDTree(cloud.xyz, balanced_tree=False, compact_nodes=False)
    return float(np.median(tree.query(cloud.xyz[:: max(1, len(cloud) // 1500)], k=min(5, len(cloud)))[0][:, -1]))


def _splat(
    row: NDArray[np.int64],
    column: NDArray[np.int64],
    depth: NDArray[np.float64],
    paint: Image,
    height: int,
    width: int,
    size: int,
) -> tuple[Image, NDArray[np.float64]]:
    """Discs on paper, and the depth of each pixel (infinite where there is none). Points come far to near: the last one wins."""
    image = np.full((height * width, 3), PAPER, np.uint8)
    nearest = np.full(height * width, np.inf)
    middle = (size - 1) / 2
    for dy in range(size):
        for dx in range(size):
            if np.hypot(dy - middle, dx - middle) > size / 2:
                continue
            r, c = row + dy - size // 2, column + dx - size // 2
            inside = np.flatnonzero((r >= 0) & (r < height) & (c >= 0) & (c < width))
            pixel = r[inside] * width + c[inside]
            front = depth[inside] < nearest[pixel]
            pixel, inside = pixel[front], inside[front]
            image[pixel] = paint[inside]
            nearest[pixel] = depth[inside]
    return image.reshape(height, width, 3), nearest.reshape(height, width)


def _eye_dome(image: Image, depth: NDArray[np.float64], scale: float) -> Image:
    """Darken pixels that lie behind their neighbours (Boucheny 2009): depth steps become visible without light."""
    covered = np.isfinite(depth)
    known = np.where(covered, depth, depth[covered].max() if covered.any() else 0.0)
    shade = np.zeros(depth.shape)
    for radius in (FINE, 3 * FINE):
        edge = np.pad(known, radius, mode="edge")
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            rows, columns = radius * (1 + dy), radius * (1 + dx)
            there = edge[rows : rows + depth.shape[0], columns : columns + depth.shape[1]]
            shade += np.clip((known - there) * scale / (24 * radius), 0, 1)
    factor = np.exp(-0.28 * shade)[..., None]
    return np.where(covered[..., None], image * factor, image).astype(np.uint8)


def _smaller(image: Image) -> Image:
    height, width = image.shape[0] // FINE, image.shape[1] // FINE
    mean = image.reshape(height, FINE, width, FINE, 3).mean(axis=(1, 3))
    return np.asarray(np.round(mean), dtype=np.uint8)


def save_png(
    clouds: Sequence[PointCloud],
    path: str | Path,
    titles: Sequence[str] = (),
    colour: str | None = None,
    width: int = 900,
    height: int = 640,
    elevation: float = 38.0,
    per_row: int = PER_ROW,
    draw: Callable[..., Image] = render,
    points: Sequence[int] = (),
) -> None:
    """Write clouds side by side, with titles and a legend: the classes that occur, or the range of a quantity.

    Args:
        clouds: What to show.
        path: The picture.
        titles: One a cloud.
        colour: One of ``colours.MODES``; None chooses, for each cloud.
        width: Of each cloud's part, pixels.
        height: Of each cloud's part, pixels.
        elevation: Degrees above the horizon from which it is seen; 90 is a plan.
        per_row: Clouds beside each other before the next row starts.
        draw: ``render``, or ``legacy.render_open3d``.
        points: How many each has, where the clouds are samples.

    Raises:
        PcaugError: Without clouds, or for a colour mode that a cloud lacks the field of.
    """
    if not clouds:
        raise PcaugError("no clouds to show", path)
    modes = [colour or best_mode(cloud) for cloud in clouds]
    marks = legend(clouds, modes)
    per_line = max(1, min(len(clouds), per_row) * width // 150)

    notes = [_note(*each) for each in zip(clouds, modes, points or map(len, clouds), strict=True)]
    room = [max(8, (width - NOTE_LETTER * len(note)) // TITLE_LETTER) for note in notes]

    def finish(figure: Any, axes: list[Any]) -> None:
        for axis, mode, note in zip(axes, modes, notes, strict=True):
            _draw_note(axis, mode, note)
        _draw_legend(figure, marks, per_line)

    save_sheet(
        [draw(cloud, width, height, mode, elevation=elevation) for cloud, mode in zip(clouds, modes, strict=True)],
        [_shortened(titles[index], room[index]) if index < len(titles) else "" for index in range(len(clouds))],
        Path(path),
        per_row,
        FEW_LARGE,
        below=34 + 30 * -(-len(marks) // per_line) if marks else None,
        finish=finish,
    )


def save_sheet(
    images: Sequence[Image],
    titles: Sequence[str],
    path: Path,
    per_row: int,
    style: SheetStyle = MANY_SMALL,
    *,
    below: int | None = None,
    finish: Callable[[Any, list[Any]], None] = lambda figure, axes: None,
) -> None:
    """Write pictures of one size as a PNG, row by row, each below its title.

    Args:
        images: One or more.
        titles: One a picture.
        path: The PNG.
        per_row: Pictures beside each other before the next row starts.
        style: Distances and letters.
        below: Pixels below the last row; None for a gap.
        finish: Called with the figure and the axes of the pictures before it is written.
    """
    from matplotlib.figure import Figure

    height, width = images[0].shape[:2]
    columns = min(len(images), per_row)
    rows = -(-len(images) // columns)
    across, down = columns * (width + style.gap) + style.gap, rows * (height + style.above) + (below or style.gap)
    figure = Figure(figsize=(across / 150, down / 150), dpi=150, facecolor="white")
    axes = []
    for index, (image, title) in enumerate(zip(images, titles, strict=True)):
        left = style.gap + (index % columns) * (width + style.gap)
        top = (index // columns) * (height + style.above) + style.above
        axis = figure.add_axes((left / across, 1 - (top + height) / down, width / across, height / down))
        axis.set_axis_off()
        axis.imshow(image, aspect="auto", interpolation="none")
        text = plain_text(title)
        axis.set_title(text, loc="left", fontsize=style.letters, color="#1d2530", pad=style.pad, fontweight=style.weight)
        axes.append(axis)
    finish(figure, axes)
    with warnings.catch_warnings(), atomic_path(path) as partial:
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a name in a script that the font lacks: boxes, not a failure
        figure.savefig(partial, format="png", facecolor="white")


def plain_text(text: str) -> str:
    """Text that matplotlib writes as it is: no math mode."""
    return str(text).replace("$", r"\$")


def _shortened(title: str, letters: int) -> str:
    """The end of a title, as far as there is room: tiles and draws of one name differ there."""
    return title if len(title) <= letters else "…" + title[1 - letters :]


def _note(cloud: PointCloud, mode: str, points: int) -> str:
    """What stands on the right above a picture: points, and for a quantity its range."""
    note = told(len(cloud), points)
    if mode in RAMPED and len(cloud):
        low, high = span(cloud.xyz[:, 2] if mode == "height" else cloud["intensity"].astype(np.float64))
        note += f" · {mode} {low:.4g} to {high:.4g}{' m' if mode == 'height' else ''}"
    return note


def _draw_note(axis: Any, mode: str, note: str) -> None:
    """Write it, and draw the ramp of a quantity inside the picture."""
    if mode in RAMPED:
        bar = axis.inset_axes((0.76, 0.03, 0.22, 0.018))
        bar.imshow(RAMP[None], aspect="auto", interpolation="bicubic")
        bar.set_axis_off()
    axis.set_title(note, loc="right", fontsize=7, color="#5b6675", pad=5)


def _draw_legend(figure: Any, marks: dict[str, Colour], per_line: int) -> None:
    from matplotlib.lines import Line2D

    if marks:
        handles = [
            Line2D([], [], marker="o", ls="", ms=5, mec="none", color=np.array(rgb) / 255, label=plain_text(name))
            for name, rgb in marks.items()
        ]
        figure.legend(
            handles=handles, loc="lower center", ncol=min(per_line, len(handles)), fontsize=7, frameon=False,
            labelcolor="#1d2530", handletextpad=0.1, columnspacing=1.4,
        )  # fmt: skip


def legend(clouds: Sequence[PointCloud], modes: Sequence[str]) -> dict[str, Colour]:
    """Name -> colour of what occurs in clouds coloured by modes: classes, and native ids and returns, the most frequent first;
    empty where colours are no categories with names."""
    table = class_table()
    found: set[int] = set()
    ids: Counter[int] = Counter()
    marks: dict[str, Colour] = {}
    for cloud, mode in zip(clouds, modes, strict=True):
        if mode in ("class", "prediction"):
            found.update(np.unique(np.clip(cloud[CATEGORIES[mode]], 0, 255)).tolist())
        elif mode in CATEGORIES:
            ids += tally(cloud[CATEGORIES[mode]])
        if mode == "error":
            marks |= {"right": RIGHT, "wrong": WRONG, "unknown": UNKNOWN}
    classes = {node_name(node): _rgb(table[node]) for node in sorted(found)}
    return classes | _id_marks(ids) | marks


def _id_marks(ids: Counter[int]) -> dict[str, Colour]:
    """Id -> colour of the MARKS most frequent ids, and how many more there are, marked by nothing that shows on paper."""
    often = sorted(ids, key=lambda value: (-ids[value], value))
    marks = {str(value): _rgb(category_colours(np.array([value]))[0]) for value in often[:MARKS]}
    return marks | ({f"{len(often) - MARKS:,} rarer ids": (255, 255, 255)} if len(often) > MARKS else {})


def _rgb(row: NDArray[np.uint8]) -> Colour:
    return int(row[0]), int(row[1]), int(row[2])
