"""Contact sheets: many small pictures of objects with a line of text each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pcaug.cloud import PointCloud
from pcaug.files import atomic_path
from pcaug.generate.bank import Thing
from pcaug.view.picture import render

WIDE, HIGH, TEXT = 260, 200, 26
"""Pixels of a picture, and of the line above it."""
COLUMNS = 8


def draw_sheet(clouds: Sequence[PointCloud], titles: Sequence[str], path: Path, columns: int = COLUMNS) -> None:
    """Write pictures of objects as a PNG, coloured by height, row by row."""
    from matplotlib.figure import Figure

    columns = min(columns, len(clouds))
    rows = -(-len(clouds) // columns)
    across, down = columns * (WIDE + 10) + 10, rows * (HIGH + TEXT) + 10
    figure = Figure(figsize=(across / 150, down / 150), dpi=150, facecolor="white")
    for index, (cloud, title) in enumerate(zip(clouds, titles, strict=True)):
        left, top = 10 + (index % columns) * (WIDE + 10), (index // columns) * (HIGH + TEXT) + TEXT
        axis = figure.add_axes((left / across, 1 - (top + HIGH) / down, WIDE / across, HIGH / down))
        axis.set_axis_off()
        axis.imshow(render(cloud, WIDE, HIGH, "height", elevation=22.0), aspect="auto", interpolation="none")
        axis.set_title(title.replace("$", r"\$"), loc="left", fontsize=5.5, color="#1d2530", pad=2)
    with atomic_path(path) as partial:
        figure.savefig(partial, format="png", facecolor="white")


def draw_bank(things: Sequence[Thing], path: Path, most: int = 48) -> None:
    """A contact sheet of a bank: of every class the same share, spread over its objects."""
    names = sorted({thing.row.name for thing in things})
    chosen: list[Thing] = []
    for name in names:
        own = [thing for thing in things if thing.row.name == name]
        share = max(1, most // len(names))
        chosen += own[:: max(1, -(-len(own) // share))]
    draw_sheet([thing.upright for thing in chosen], [_line(thing) for thing in chosen], path)


def _line(thing: Thing) -> str:
    row = thing.row
    size = " x ".join(f"{edge:.1f}" for edge in row.size)
    away = f" · {row.distance:.0f} m" if row.distance is not None else ""
    return f"{row.name} · {size} m{away} · {row.points:,}"
