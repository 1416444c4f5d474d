"""The one writer of corpora: streams clouds into Parquet tiles; counts in are counts out, or nothing is renamed into place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pcaug import __version__, catalogue, formats
from pcaug.cloud import PointCloud, concatenate
from pcaug.corpus.cells import by_cell
from pcaug.corpus.manifest import KIND, NAME, Manifest, SourceRow, Tile
from pcaug.corpus.metres import same_crs
from pcaug.errors import FileError, LabelError, PcaugError, counted
from pcaug.files import Kind, beside, claim
from pcaug.formats.parquet import to_table
from pcaug.labels import IGNORE

BUFFERED = 2_000_000
"""Points held back in memory over all tiles before the fullest is flushed."""
OPEN = 400
"""Tiles that are written at once: each may hold a file handle, and systems give out 1024. Beyond, a place has two tiles."""

Key = tuple[int, str, str | None, int, int]


@dataclass
class _Open:
    """A tile that is being written."""

    path: Path
    name: str
    unit: str
    kind: Literal["real", "synthetic"]
    frame: Literal["sensor", "map"] | None = None
    writer: Any = None
    waiting: list[PointCloud] = field(default_factory=list)
    held: int = 0
    points: int = 0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    low: NDArray[np.float64] = field(default_factory=lambda: np.full(3, np.inf))
    high: NDArray[np.float64] = field(default_factory=lambda: np.full(3, -np.inf))


class CorpusWriter:
    """Write a corpus: ``with CorpusWriter(folder, ...) as writer: writer.add(cloud, ...)``.

    The corpus is built beside ``folder`` and renamed into place at the end; an exception leaves nothing. Tiles are closed
    and counted when the next scan begins, so any number of scans fits into constant memory and file handles.

    Args:
        folder: The corpus.
        kind: Whether the points are measured or simulated.
        frame: "sensor": a tile is a scan with its own origin. "map": tiles share coordinates.
        tile: Edge of a tile of a map, metres; None makes one tile per scan.
        crs: Of its points; None takes that of the first that have one.
        made_by: What made it: recipe, seed, command line.
        force: Replace a corpus that exists.

    Attributes:
        own_frame: Of the clouds added from now on, where it is not the corpus's.
        split_of: (N, 3) positions -> split of each point (N,) added from now on, for spatial splits.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kind: Literal["real", "synthetic"] = "real",
        frame: Literal["sensor", "map"] = "map",
        tile: float | None = None,
        crs: str | None = None,
        made_by: dict[str, Any] | None = None,
        force: bool = False,
    ) -> None:
        folder = named(folder)
        check_target(folder, force=force)
        self.folder, self.kind, self.frame, self.tile = folder, kind, frame, tile
        self.own_frame: Literal["sensor", "map"] | None = None
        self.split_of: Callable[[NDArray[np.float64]], NDArray[np.str_]] | None = None
        self.made_by = {"pcaug": __version__, **(made_by or {})}
        self.sources: list[SourceRow] = []
        self.crs = crs
        self._place = ExitStack()
        self._partial = folder
        self._open: dict[Key, _Open] = {}
        self._rows: list[Tile] = []
        self._in: list[NDArray[np.int64]] = []
        self._out: list[NDArray[np.int64]] = []
        self._source = -1
        self._known: dict[tuple[str, str, str], int] = {}
        self._scan: tuple[int, str] | None = None
        self._made = 0
        self._held = 0

    def __enter__(self) -> CorpusWriter:
        self._partial = self._place.enter_context(beside(self.folder)) / self.folder.name
        (self._partial / "tiles").mkdir(parents=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            if kind is None:
                self._close()
        finally:
            for tile in self._open.values():
                if tile.writer is not None:
                    with suppress(OSError):  # a full disk must not keep us from clearing up
                        tile.writer.close()
            self._place.close()

    def source(self, row: SourceRow) -> None:
        """Say where the clouds added from now on come from; a row that was said before is taken up again."""
        row = row.model_copy(update={"points": 0})
        key = (row.path, row.sha256, row.card)
        if key in self._known and self.sources[self._known[key]] == row:
            self._source = self._known[key]
            return
        self._source = self._known[key] = len(self.sources)
        self.sources.append(row)
        self._in.append(np.zeros(256, np.int64))
        self._out.append(np.zeros(256, np.int64))

    def add(self, cloud: PointCloud, name: str, unit: str, split: str | None = None, kind: str | None = None) -> None:
        """Add points of a scan; called several times in a row for a scan that is streamed.

        Args:
            cloud: Labelled points.
            name: Of the scan.
            unit: Independent unit.
            split: Of all its points; a spatial split overrules it.
            kind: "real" or "synthetic" where it differs from the corpus's.

        Raises:
            LabelError: Without labels in the shipped taxonomy, or with numbers that are none of its nodes.
            PcaugError: In another CRS than the points before.
        """
        if "label" not in cloud or cloud.taxonomy is None or cloud.taxonomy.name != catalogue.taxonomy().name:
            raise LabelError("has no labels in the taxonomy", cloud.source.file or name, "convert it with a card")
        if not self.sources:
            self.source(SourceRow(path=cloud.source.dataset or name))
        if self.crs is not None and cloud.crs is not None and not same_crs(cloud.crs, self.crs):
            raise PcaugError("is in another CRS than the points before it", cloud.source.file or name, "reproject it first")
        self.crs = self.crs or cloud.crs
        if cloud.crs is not None:
            cloud = replace(cloud, crs=self.crs)  # one text for one system
        self._in[self._source] += _counted(cloud, name)
        if (self._source, name) != self._scan:
            self._finish_all()
            self._scan = (self._source, name)
        what = kind or self.kind
        if self.split_of is None and self.tile is None:
            self._put((self._source, name, split, 0, 0), cloud, name, unit, what)
            return
        for own, part in self._by_split(cloud, split):
            places = by_cell(part.xyz, self.tile) if self.tile else [((0, 0), slice(None))]
            for (column, row), which in places:
                label = f"{name}_{column}_{row}" if self.tile else name
                self._put((self._source, name, own, column, row), part.take(which), label, unit, what)

    def _by_split(self, cloud: PointCloud, split: str | None) -> Iterator[tuple[str | None, PointCloud]]:
        if self.split_of is None:
            yield split, cloud
            return
        splits = self.split_of(cloud.xyz)
        for name in sorted(set(splits.tolist())):
            yield name or None, cloud.take(splits == name)

    def _put(self, key: Key, cloud: PointCloud, name: str, unit: str, kind: str) -> None:
        tile = self._open.pop(key, None)
        if tile is None:
            if len(self._open) >= OPEN:
                self._finish(next(iter(self._open)))  # the one that waited longest
            path = self._partial / "tiles" / tile_name(self._made, name)
            self._made += 1
            tile = _Open(path, name, unit, "synthetic" if kind == "synthetic" else "real", self.own_frame)
        self._open[key] = tile
        tile.waiting.append(cloud)
        tile.held += len(cloud)
        tile.points += len(cloud)
        tile.counts += np.bincount(cloud["label"], minlength=256)
        if len(cloud):
            low, high = cloud.bounds
            tile.low, tile.high = np.minimum(tile.low, low), np.maximum(tile.high, high)
        self._held += len(cloud)
        if self._held > BUFFERED:
            self._flush(max(self._open.values(), key=lambda t: t.held))

    def _flush(self, tile: _Open) -> None:
        if not tile.waiting:
            return
        table = to_table(concatenate(tile.waiting))
        if tile.writer is None:
            few = [f.name for f in table.schema if not pa.types.is_floating(f.type)]  # one of coordinates only costs time
            tile.writer = pq.ParquetWriter(tile.path, table.schema, compression="zstd", use_dictionary=few)
        try:
            tile.writer.write_table(table.cast(tile.writer.schema))
        except OSError as error:  # which names no file
            raise FileError(f"could not be written ({error})", self.folder, "check the free space") from None
        self._held -= tile.held
        tile.waiting, tile.held = [], 0

    def _finish(self, key: Key) -> None:
        """Write a tile out, and count what is on disk."""
        tile = self._open[key]
        self._flush(tile)
        tile.writer.close()
        del self._open[key]
        with pq.ParquetFile(tile.path) as file:  # half the time of read_table, which makes a dataset of it
            written = file.read(columns=["label", "x", "y"])
        self._out[key[0]] += np.bincount(written.column("label").to_numpy(), minlength=256)
        area = _area(written.column("x").to_numpy(), written.column("y").to_numpy()) if self.frame == "map" else None
        self._rows.append(self._row(key, tile, area))

    def _finish_all(self) -> None:
        for key in list(self._open):
            self._finish(key)

    def _close(self) -> None:
        self._finish_all()
        for source, before, after in zip(self.sources, self._in, self._out, strict=True):
            if not np.array_equal(before, after):
                raise PcaugError(
                    f"{int(before.sum())} points went in and {int(after.sum())} came out", source.path, "this is a bug: report it"
                )
        sources = [row.model_copy(update={"points": int(n.sum())}) for row, n in zip(self.sources, self._in, strict=True)]
        manifest = Manifest(
            taxonomy=catalogue.taxonomy().name,
            frame=self.frame,
            crs=self.crs,
            tiles=tuple(self._rows),
            sources=tuple(sources),
            made_by=self.made_by,
        )
        (self._partial / NAME).write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
        put_in_place(self._partial, self.folder)

    def _row(self, key: Key, tile: _Open, area: float | None) -> Tile:
        return Tile(
            path=tile.path.relative_to(self._partial).as_posix(),
            name=tile.name,
            unit=tile.unit,
            split=key[2],
            kind=tile.kind,
            points=tile.points,
            bounds=(tuple(tile.low.tolist()), tuple(tile.high.tolist())) if tile.points else None,
            counts={str(i): int(n) for i, n in enumerate(tile.counts) if n},
            source=key[0],
            area=area,
            frame=tile.frame,
        )


def tile_name(index: int, name: str) -> str:
    """File name of a tile: its number in the corpus, and the safe characters of its own name."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in name)[:80]
    return f"{index:05d}_{safe}.parquet"


def named(folder: Path) -> Path:
    """A folder by a name that can be taken by another: not ``..``, and where a link leads, so that links stay what they are."""
    return folder.resolve() if folder.name in ("", "..") or folder.is_symlink() else folder


def put_in_place(new: Path, folder: Path, kind: Kind = KIND) -> None:
    """Rename a new corpus to its name; an old one is removed only when the new one is in place.

    Raises:
        PcaugError: Where the folder holds, by now, what is no part of a corpus (or of another kind of folder).
    """
    claim(folder, force=True, kind=kind)
    old = folder.with_name(f".{folder.name}.old-{os.getpid()}")
    replaced = folder.exists()
    if replaced:
        folder.rename(old)
    try:
        new.rename(folder)
    except OSError:
        if replaced:
            old.rename(folder)
        raise
    if replaced:
        shutil.rmtree(old, ignore_errors=True)


def check_target(folder: Path, *, force: bool) -> None:
    """Refuse file names, what is taken, see ``claim``, and folders of a corpus, which could not be replaced then; raises
    PcaugError."""
    if not folder.exists() and formats.is_known(folder):
        raise PcaugError("is a file name, but a corpus is a folder", folder, f"leave out {folder.suffix}")
    above = (parent for parent in folder.resolve().parents if (parent / NAME).is_file() and (parent / "tiles").is_dir())
    if home := next(above, None):
        raise PcaugError(f"lies in the corpus {home}", folder, "choose a folder beside it")
    claim(folder, force=force, kind=KIND)


def _area(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Square metres of the plan that hold points, counted in cells of one metre."""
    if not len(x):
        return 0.0
    column, row = (np.floor(values - values.min()).astype(np.int64) for values in (x, y))
    code = column * (int(row.max()) + 1) + row
    if int(code.max()) > 100 * len(code) + 1_000_000:
        return float(len(np.unique(code)))
    return float(np.count_nonzero(np.bincount(code)))


def _counted(cloud: PointCloud, name: str) -> NDArray[np.int64]:
    """Points per node id (256,); raises LabelError for numbers that are not nodes."""
    counts = np.bincount(cloud["label"].astype(np.int64), minlength=IGNORE + 1)
    strange = {int(i): int(counts[i]) for i in np.flatnonzero(counts) if i != IGNORE and i not in catalogue.taxonomy().nodes}
    if strange:
        listed = ", ".join(f"{node} ({counted(count, 'point')})" for node, count in strange.items())
        raise LabelError(f"labels {listed} are not nodes of {catalogue.taxonomy().name}", cloud.source.file or name)
    return counts
