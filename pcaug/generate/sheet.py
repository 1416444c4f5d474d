"""Contact sheets: many small pictures of objects with a line of text each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pcaug.generate.bank import ObjectSample
from pcaug.view.picture import render, save_sheet

WIDE, HIGH = 260, 200
"""Pixels of a picture."""
COLUMNS = 8


def draw_bank(things: Sequence[ObjectSample], path: Path, most: int = 48) -> None:
    """A contact sheet of a bank, coloured by height: of every class the same share, spread over its objects."""
    names = sorted({thing.row.name for thing in things})
    chosen: list[ObjectSample] = []
    for name in names:
        own = [thing for thing in things if thing.row.name == name]
        share = max(1, most // len(names))
        chosen += own[:: max(1, -(-len(own) // share))]
    images = [render(thing.upright, WIDE, HIGH, "height", elevation=22.0) for thing in chosen]
    save_sheet(images, [_line(thing) for thing in chosen], path, COLUMNS)


def _line(thing: ObjectSample) -> str:
    row = thing.row
    size = " x ".join(f"{edge:.1f}" for edge in row.size)
    away = f" · {row.distance:.0f} m" if row.distance is not None else ""
    return f"{row.name} · {size} m{away} · {row.points:,}"
