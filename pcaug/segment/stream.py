"""Clouds larger than memory: points sorted on disk by where they lie, and labelled tile by tile with what surrounds each.

Two passes over the file: the first sorts its points, a chunk at a time, and learns how dense and how bright they are; the last
writes the source again, with its labels beside it. Between them tile after tile is labelled. What is done stays done: an
interrupted job goes on.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.files import clear, read_json, write_text
from pcaug.parallel import map_ahead, prefetch
from pcaug.scales import bright, colour_scale
from pcaug.segment.voxel import voxels

Chunks = Callable[[], Iterator[PointCloud]]
Made = TypeVar("Made")
PIECE_POINTS = 3_000_000
"""Points of a tile with its margin. While one is labelled, the next is prepared."""
LAYOUT = 3
"""Version of the work folder: raised whenever it changes, so that what another version left is not taken up."""
CELL = 10.0
"""Edge of the cells that points are sorted by, metres."""
RECORD = np.dtype([
    ("row", "i8"), ("xyz", "f8", 3), ("intensity", "f4"), ("rgb", "u2", 3), ("return_number", "u1"), ("number_of_returns", "u1"),
])  # fmt: skip
"""What features need of a point, and where it came from."""
OPTIONAL = ("intensity", "rgb", "return_number", "number_of_returns")
"""Of these, what a file may have or not."""


@dataclass(frozen=True)
class Survey:
    """What the first pass finds.

    Attributes:
        points: Of the file.
        low: Corner of the first tile in plan, metres.
        edge: Of a tile along x and y, metres: those at which a tile and its margin fit into memory, and margins hold the least.
        bright: 95th percentile of the intensity.
        fields: Which of RECORD's the file has.
        unclassified: Whether no point has a native class but 0 and 1.
    """

    points: int
    low: tuple[float, float]
    edge: tuple[float, float]
    bright: float
    fields: tuple[str, ...]
    unclassified: bool


def layout(
    cells: NDArray[np.int64], counts: NDArray[np.int64], margin: float, most: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Corner and edges of tiles, none of which holds more than ``most`` points with its margin, and the fewest in all.

    Edges are whole cells, and none is shorter than the margin: where points are that dense, tiles hold more.

    Args:
        cells: (C, 2) columns and rows of CELL metres.
        counts: (C,) points in each.
        margin: Around a tile, metres.
        most: Points.
    """
    low = cells.min(axis=0)
    middles, size = (cells - low + 0.5) * CELL, (np.ptp(cells, axis=0) + 1) * CELL
    wide, deep = (_edges(float(length), max(margin, CELL)) for length in size)
    best, fewest = (wide[-1], deep[-1]), np.inf
    column, row = 0, len(deep) - 1
    while column < len(wide) and row >= 0:  # along the border of what fits: wider tiles must be less deep
        edge = wide[column], deep[row]
        loads = _loads(middles, counts, np.array(edge), margin + CELL / 2)
        if loads.max() > most:
            column += 1
            continue
        if loads.sum() < fewest:
            best, fewest = edge, loads.sum()
        row -= 1
    return (float(low[0] * CELL), float(low[1] * CELL)), best


def _edges(length: float, least: float) -> list[float]:
    """A length cut into parts of whole cells, ever more of them, until they would be shorter than ``least``."""
    edges, parts = [max(length, least)], 2
    while length / parts >= least:
        edges.append(math.ceil(length / parts / CELL) * CELL)
        parts = max(parts + 1, int(parts * 1.2))
    return edges


def _loads(
    middles: NDArray[np.float64], counts: NDArray[np.int64], edge: NDArray[np.float64], margin: float
) -> NDArray[np.float64]:
    """Points of each tile with its margin (T,), from those of cells around their middles (C, 2)."""
    own = np.floor(middles / edge).astype(np.int64)
    tiles, points = [], []
    for step in np.ndindex(3, 3):
        tile = own + step - 1
        inside = ((middles >= tile * edge - margin) & (middles < (tile + 1) * edge + margin)).all(axis=1)
        tiles.append(tile[inside] @ (1 << 32, 1))
        points.append(counts[inside])
    _, number = np.unique(np.concatenate(tiles), return_inverse=True)
    return np.asarray(np.bincount(number, np.concatenate(points)), np.float64)


class Labels:
    """Class and confidence of every point of a file, on disk.

    Args:
        chunks: Opens the file anew.
        folder: Where tiles and results lie until ``remove``.
        identity: What must be the same for an interrupted job to go on: the file, the run, the options.
        margin: How far beyond a tile's edge points are looked at, metres.
        most: Points of a tile with its margin.
    """

    def __init__(self, chunks: Chunks, folder: Path, identity: dict[str, Any], margin: float, most: int) -> None:
        self.chunks, self.folder, self.margin = chunks, folder, margin
        plan = folder / "plan.json"
        kept = read_json(plan) if plan.is_file() else {}
        if kept.get("identity") == identity:
            self.survey = Survey(**kept["survey"])
        else:
            folder.mkdir(parents=True, exist_ok=True)
            clear(folder)  # the folder itself may be locked
            self.survey = self._sort(most)
            write_text(plan, json.dumps({"identity": identity, "survey": asdict(self.survey)}))
        self.runs = np.load(folder / "runs.npy")
        self.tiles = np.floor((self.runs[:, :2] * CELL - self.survey.low) / self.survey.edge).astype(np.int64)

    def fill(
        self,
        prepare: Callable[[PointCloud, float], Made],
        label: Callable[[Made], tuple[NDArray[np.uint8], NDArray[np.float32]]],
        progress: Callable[[int, int], None],
    ) -> None:
        """Label the tiles that are not yet, each prepared while the one before is labelled.

        Args:
            prepare: Makes something of a cloud and the intensity that counts as bright, in a thread of its own.
            label: Class and confidence of all points of the cloud that it was made of.
            progress: Called with the tiles that are labelled and how many there are.
        """
        guess, sure = self._results("r+")
        tiles = [tuple(tile) for tile in np.unique(self.tiles, axis=0).tolist()]
        left = [tile for tile in tiles if not self._mark(tile).exists()]

        def ready(tile: tuple[int, int]) -> tuple[NDArray[np.int64], Made]:
            records, core = self._with_margin(tile)
            return records["row"][:core].copy(), prepare(self._cloud(records), self.survey.bright)

        done = len(tiles) - len(left)
        for tile, (rows, made) in zip(left, map_ahead(ready, left), strict=True):
            best, confidence = label(made)
            guess[rows], sure[rows] = best[: len(rows)], confidence[: len(rows)]
            guess.flush()
            sure.flush()
            self._mark(tile).touch()
            done += 1
            progress(done, len(tiles))

    def attached(
        self, attach: Callable[[PointCloud, NDArray[np.uint8], NDArray[np.float32]], PointCloud]
    ) -> Iterator[PointCloud]:
        """The file's chunks again, each with its labels."""
        guess, sure = self._results("r")
        start = 0
        for chunk in prefetch(self.chunks()):
            rows = slice(start, start + len(chunk))
            yield attach(chunk, np.array(guess[rows]), np.array(sure[rows]))
            start += len(chunk)

    def remove(self) -> None:
        """Take the work folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _sort(self, most: int) -> Survey:
        """Read the file once, in constant memory, and write its points again, each chunk's sorted by cell.

        ``runs.npy`` says where: (R, 4) column and row of a cell, the first of its points and their number.
        """
        runs: list[NDArray[np.int64]] = []
        sampled, points, unclassified = [], 0, True
        fields: tuple[str, ...] = ()
        with (self.folder / "points").open("wb") as file:
            for chunk in prefetch(self.chunks()):
                fields = tuple(name for name in OPTIONAL if name in chunk)
                if "intensity" in chunk:
                    sampled.append(chunk["intensity"][points % 37 :: 37].astype(np.float32))
                if "native_label" in chunk and unclassified:
                    unclassified = bool(np.isin(chunk["native_label"], [0, 1]).all())
                first, cell = voxels(chunk.xyz * (1, 1, 0), CELL)
                counts = np.bincount(cell, minlength=len(first))
                places = np.floor(chunk.xyz[first, :2] / CELL).astype(np.int64)
                runs.append(np.column_stack([places, points + np.cumsum(counts) - counts, counts]))
                file.write(_records(chunk, fields, points)[np.argsort(cell, kind="stable")].data)
                points += len(chunk)
        found = np.concatenate(runs or [np.zeros((0, 4), np.int64)])
        np.save(self.folder / "runs.npy", found)
        for name, dtype in (("guess", np.uint8), ("sure", np.float32)):
            np.lib.format.open_memmap(self.folder / f"{name}.npy", "w+", dtype, (points,)).flush()
        cells, owner = np.unique(found[:, :2], axis=0, return_inverse=True)
        low, edge = layout(cells, np.bincount(owner.reshape(-1), found[:, 3]).astype(np.int64), self.margin, most)
        return Survey(points, low, edge, bright(np.concatenate(sampled or [np.zeros(0, np.float32)])), fields, unclassified)

    def _mark(self, tile: tuple[int, int]) -> Path:
        """The file that says that a tile is labelled."""
        return self.folder / f"{tile[0]}_{tile[1]}.done"

    def _with_margin(self, tile: tuple[int, int]) -> tuple[NDArray[Any], int]:
        """A tile's points, then those around it that lie within the margin; and how many are its own."""
        low = np.array(tile) * self.survey.edge + self.survey.low - self.margin
        high = low + self.survey.edge + 2 * self.margin
        cells = self.runs[:, :2] * CELL
        around = ((cells > low - CELL) & (cells < high)).all(axis=1)
        own = (self.tiles[around] == tile).all(axis=1)
        first, counts = self.runs[around, 2:].T
        rows = np.repeat(first - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        records, core = np.memmap(self.folder / "points", RECORD, "r")[rows], np.repeat(own, counts)
        plan = records["xyz"][:, :2]
        beside = ~core & ((plan >= low) & (plan < high)).all(axis=1)
        return np.concatenate([records[core], records[beside]]), int(core.sum())

    def _cloud(self, records: NDArray[Any]) -> PointCloud:
        return PointCloud(records["xyz"], {name: records[name] for name in self.survey.fields})

    def _results(self, mode: Any) -> tuple[Any, Any]:
        guess, sure = (np.load(self.folder / f"{name}.npy", mmap_mode=mode) for name in ("guess", "sure"))
        return guess, sure


def _records(chunk: PointCloud, fields: tuple[str, ...], start: int) -> NDArray[Any]:
    """What is kept of the points of a chunk (N,), whose first is the file's ``start``-th."""
    records = np.zeros(len(chunk), RECORD)
    records["row"], records["xyz"] = np.arange(start, start + len(chunk)), chunk.xyz
    for name in fields:
        records[name] = chunk[name]
    if "rgb" in fields and np.issubdtype(chunk["rgb"].dtype, np.floating):
        records["rgb"] = np.rint(np.clip(chunk["rgb"] / colour_scale(chunk["rgb"]), 0, 1) * 65535)
    return records
