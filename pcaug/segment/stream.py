"""Clouds larger than memory: points sorted into square tiles on disk, each labelled with what surrounds it.

Three passes over the file: survey (how dense, how bright), scatter (to one file a tile), and write (the source again, with
its labels beside it). Between the last two, tile after tile is labelled. What is done stays done: an interrupted job goes on.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud

Chunks = Callable[[], Iterator[PointCloud]]
Label = Callable[[PointCloud, float], tuple[NDArray[np.uint8], NDArray[np.float32]]]
MOST = 3_000_000
"""Points that are held in memory at once."""
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
        edge: Of a tile, metres: the largest at which a tile and its margin fit into memory.
        bright: 95th percentile of the intensity.
        fields: Which of RECORD's the file has.
        unclassified: Whether no point has a native class but 0 and 1.
    """

    points: int
    edge: float
    bright: float
    fields: tuple[str, ...]
    unclassified: bool


def survey(chunks: Chunks, margin: float, most: int) -> Survey:
    """Read a file once, in constant memory."""
    cells: dict[tuple[int, int], int] = {}
    bright, points, unclassified = [], 0, True
    fields: tuple[str, ...] = ()
    for chunk in chunks():
        places, counts = np.unique(np.floor(chunk.xyz[:, :2] / CELL).astype(np.int64), axis=0, return_counts=True)
        for place, count in zip(map(tuple, places.tolist()), counts.tolist(), strict=True):
            cells[place] = cells.get(place, 0) + count
        fields = tuple(name for name in RECORD.names or () if name in chunk)
        if "intensity" in chunk:
            bright.append(chunk["intensity"][points % 37 :: 37].astype(np.float32))
        if "native_label" in chunk and unclassified:
            unclassified = bool(np.isin(chunk["native_label"], [0, 1]).all())
        points += len(chunk)
    top = float(np.percentile(np.concatenate(bright), 95)) if any(len(b) for b in bright) else 0.0
    return Survey(points, _edge(cells, margin, most), top if top > 0 else 1.0, fields, unclassified)


def _edge(cells: dict[tuple[int, int], int], margin: float, most: int) -> float:
    """The largest edge at which no tile with its margin holds more than ``most`` points; never less than the margin."""
    places = np.array(list(cells) or [(0, 0)])
    counts = np.array(list(cells.values()) or [0])
    edge = 64 * CELL
    while edge > max(margin, CELL):
        _, tile = np.unique(np.floor(places * (CELL / edge)).astype(np.int64), axis=0, return_inverse=True)
        if np.bincount(tile.reshape(-1), counts).max() * (1 + 2 * margin / edge) ** 2 <= most:
            break
        edge *= 0.85
    return max(edge, margin, CELL)


class Labels:
    """Class and confidence of every point of a file, on disk.

    Args:
        chunks: Opens the file anew.
        folder: Where tiles and results lie until ``remove``.
        identity: What must be the same for an interrupted job to go on: the file, the run, the options.
        margin: How far beyond a tile's edge points are looked at, metres.
        most: Points in memory at once.
    """

    def __init__(self, chunks: Chunks, folder: Path, identity: dict[str, Any], margin: float, most: int) -> None:
        self.chunks, self.folder, self.margin = chunks, folder, margin
        plan = folder / "plan.json"
        kept = json.loads(plan.read_text()) if plan.is_file() else {}
        if kept.get("identity") == identity:
            self.survey = Survey(**kept["survey"] | {"fields": tuple(kept["survey"]["fields"])})
        else:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            self.survey = survey(chunks, margin, most)
            self._scatter()
            plan.write_text(json.dumps({"identity": identity, "survey": asdict(self.survey)}))

    def fill(self, label: Label, progress: Callable[[int, int], None]) -> None:
        """Label the tiles that are not yet; ``label`` gets a cloud and the intensity that counts as bright."""
        guess, sure = self._results("r+")
        tiles = sorted(self.folder.glob("*.tile"))
        for number, path in enumerate(tiles):
            mark = path.with_suffix(".done")
            if not mark.exists():
                records, core = self._with_margin(path)
                best, confidence = label(self._cloud(records), self.survey.bright)
                rows = records["row"][:core]
                guess[rows], sure[rows] = best[:core], confidence[:core]
                guess.flush()
                sure.flush()
                mark.touch()
            progress(number + 1, len(tiles))

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
            places = np.floor(chunk.xyz[:, :2] / self.survey.edge).astype(np.int64)
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
        low = np.array([column, row]) * self.survey.edge - self.margin
        high = low + self.survey.edge + 2 * self.margin
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
