"""Clouds larger than memory: points sorted into tiles on disk, each labelled with what surrounds it.

Three passes over the file: survey (how dense, how bright), scatter (to one file a tile), and write (the source again, with
its labels beside it). Between the last two, tile after tile is labelled. What is done stays done: an interrupted job goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.parallel import ahead
from pcaug.segment.features import voxels

Chunks = Callable[[], Iterator[PointCloud]]
Made = TypeVar("Made")
MOST = 3_000_000
"""Points of a tile with its margin. While one is labelled, the next is prepared."""
LAYOUT = 1
"""Version of the work folder: raised whenever it changes, so that what another version left is not taken up."""
CELL = 10.0
"""Edge of the cells that the survey counts in, metres."""
RECORD = np.dtype([
    ("row", "i8"), ("xyz", "f8", 3), ("intensity", "f4"), ("rgb", "u2", 3), ("return_number", "u1"), ("number_of_returns", "u1"),
])  # fmt: skip
"""What features need of a point, and where it came from."""


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


def survey(chunks: Chunks, margin: float, most: int) -> Survey:
    """Read a file once, in constant memory."""
    cells: dict[tuple[int, int], int] = {}
    bright, points, unclassified = [], 0, True
    fields: tuple[str, ...] = ()
    for chunk in chunks():
        plan = chunk.xyz * (1, 1, 0)
        first, cell_of = voxels(plan, CELL)
        places, counts = np.floor(plan[first, :2] / CELL).astype(np.int64), np.bincount(cell_of)
        for place, count in zip(map(tuple, places.tolist()), counts.tolist(), strict=True):
            cells[place] = cells.get(place, 0) + count
        fields = tuple(name for name in RECORD.names or () if name in chunk)
        if "intensity" in chunk:
            bright.append(chunk["intensity"][points % 37 :: 37].astype(np.float32))
        if "native_label" in chunk and unclassified:
            unclassified = bool(np.isin(chunk["native_label"], [0, 1]).all())
        points += len(chunk)
    top = float(np.percentile(np.concatenate(bright), 95)) if any(len(b) for b in bright) else 0.0
    places, counts = np.array(list(cells) or [(0, 0)]), np.array(list(cells.values()) or [0])
    low, edge = layout(places, counts, margin, most)
    return Survey(points, low, edge, top if top > 0 else 1.0, fields, unclassified)


def layout(
    cells: NDArray[np.int64], counts: NDArray[np.int64], margin: float, most: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Corner and edges of tiles, none of which holds more than ``most`` points with its margin, and the fewest in all.

    No edge is shorter than the margin or a cell: where points are that dense, tiles hold more.

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
    """A length cut into equal parts, ever more of them, until they would be shorter than ``least``."""
    edges, parts = [max(length, least)], 2
    while length / parts >= least:
        edges.append(length / parts)
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
        kept = json.loads(plan.read_text()) if plan.is_file() else {}
        if kept.get("identity") == identity:
            self.survey = Survey(**kept["survey"])
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.survey = survey(chunks, margin, most)
            self._scatter()
            plan.write_text(json.dumps({"identity": identity, "survey": asdict(self.survey)}))

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
        tiles = sorted(self.folder.glob("*.tile"))
        left = [path for path in tiles if not path.with_suffix(".done").exists()]

        def ready(path: Path) -> tuple[NDArray[np.int64], Made]:
            records, core = self._with_margin(path)
            return records["row"][:core].copy(), prepare(self._cloud(records), self.survey.bright)

        done = len(tiles) - len(left)
        for path, (rows, made) in zip(left, ahead(ready, left), strict=True):
            best, confidence = label(made)
            guess[rows], sure[rows] = best[: len(rows)], confidence[: len(rows)]
            guess.flush()
            sure.flush()
            path.with_suffix(".done").touch()
            done += 1
            progress(done, len(tiles))

    def attached(
        self, attach: Callable[[PointCloud, NDArray[np.uint8], NDArray[np.float32]], PointCloud]
    ) -> Iterator[PointCloud]:
        """The file's chunks again, each with its labels."""
        guess, sure = self._results("r")
        start = 0
        for chunk in self.chunks():
            rows = slice(start, start + len(chunk))
            yield attach(chunk, np.array(guess[rows]), np.array(sure[rows]))
            start += len(chunk)

    def remove(self) -> None:
        """Take the work folder away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _scatter(self) -> None:
        start = 0
        for chunk in self.chunks():
            records = np.zeros(len(chunk), RECORD)
            records["row"], records["xyz"] = np.arange(start, start + len(chunk)), chunk.xyz
            for name in self.survey.fields:
                records[name] = chunk[name]
            places = np.floor((chunk.xyz[:, :2] - self.survey.low) / self.survey.edge).astype(np.int64)
            order = np.lexsort(places.T[::-1])
            cuts = np.flatnonzero(np.diff(places[order], axis=0).any(axis=1)) + 1
            for rows in np.split(order, cuts) if len(order) else []:
                with self._tile(*places[rows[0]]).open("ab") as file:
                    records[rows].tofile(file)
            start += len(chunk)
        for name, dtype in (("guess", np.uint8), ("sure", np.float32)):
            np.lib.format.open_memmap(self.folder / f"{name}.npy", "w+", dtype, (start,)).flush()

    def _tile(self, column: int, row: int) -> Path:
        return self.folder / f"{column}_{row}.tile"

    def _with_margin(self, path: Path) -> tuple[NDArray[Any], int]:
        """A tile's points, then those of the eight tiles around it that lie within the margin; and how many are its own."""
        column, row = map(int, path.stem.split("_"))
        edge = np.array(self.survey.edge)
        low = np.array([column, row]) * edge + self.survey.low - self.margin
        high = low + edge + 2 * self.margin
        parts = [np.fromfile(path, RECORD)]
        for dx, dy in ((dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if dx or dy):
            other = self._tile(column + dx, row + dy)
            if other.is_file():
                near = np.memmap(other, RECORD, "r")
                plan = near["xyz"][:, :2]
                parts.append(near[((plan >= low) & (plan < high)).all(axis=1)])
        return np.concatenate(parts), len(parts[0])

    def _cloud(self, records: NDArray[Any]) -> PointCloud:
        return PointCloud(records["xyz"], {name: records[name] for name in self.survey.fields})

    def _results(self, mode: Any) -> tuple[Any, Any]:
        guess, sure = (np.load(self.folder / f"{name}.npy", mmap_mode=mode) for name in ("guess", "sure"))
        return guess, sure
