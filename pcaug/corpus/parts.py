"""What merge takes in: the scans and tiles of all sources, told apart, in one CRS, grouped into jobs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from pcaug import formats
from pcaug.cloud import PointCloud
from pcaug.corpus.card import all_cards
from pcaug.corpus.manifest import SourceRow, Tile
from pcaug.corpus.metres import same_crs, to_metres
from pcaug.corpus.read import Corpus
from pcaug.corpus.sources import NAME_THEM, PREDICTED, Scan, is_corpus, scans, sha256_of
from pcaug.corpus.steps import Steps
from pcaug.errors import NotFound, PcaugError
from pcaug.labels import IGNORE, ClassSet

Frame = Literal["sensor", "map"]
Thing = TypeVar("Thing")
TOGETHER = 16
"""Scans that one job takes at most ..."""
BYTES = 8 << 20
"""... and bytes of files, after which the next job begins."""


@dataclass(frozen=True)
class Part:
    """One scan, or one tile of a corpus, as merge sees it.

    Attributes:
        settled: A corpus's split stays unless another is asked for.
        scan: The scan, or
        tile: the corpus's folder and the tile.
    """

    name: str
    unit: str
    split: str | None
    kind: str
    frame: Frame
    dataset: str
    settled: bool
    scan: Scan | None = None
    tile: tuple[Path, Tile] | None = None

    @property
    def kept_split(self) -> str | None:
        """The split that the corpus it comes from gave it."""
        return self.split if self.settled else None

    @property
    def strays(self) -> bool:
        """Whether its points may be of other units or places than it says."""
        return self.tile is not None and opened(self.tile[0]).strays

    def chunks(self, steps: Steps) -> Iterator[PointCloud]:
        """Its labelled points, in metres, after all steps."""
        if self.scan is not None:
            return steps.apply(self.scan.labelled(unlabelled=bool(steps.unlabelled)))
        return steps.apply(to_metres(steps.prepare(cloud)) for cloud in self._cloud())

    def _cloud(self) -> Iterator[PointCloud]:
        assert self.tile is not None
        folder, tile = self.tile
        yield opened(folder).read(tile)

    def crs(self, steps: Steps) -> str | None:
        """CRS of its points after the steps, from its first point."""
        if self.tile is not None:
            return to_metres(steps.prepare(opened(self.tile[0]).head(self.tile[1]))).crs
        assert self.scan is not None
        return to_metres(next(self.scan.raw(1))).crs

    def row(self, coarse: ClassSet | None = None) -> SourceRow:
        """What the manifest says of its source, whose labels are made ``coarse``."""
        row = self._row()
        if coarse is None or not row.nodes:
            return row
        nodes = coarse.node(coarse.index(np.array(row.nodes)))
        return row.model_copy(update={"nodes": tuple(sorted(set(nodes.tolist()) - {IGNORE}))})

    def _row(self) -> SourceRow:
        if self.tile is not None:
            row = opened(self.tile[0]).manifest.sources[self.tile[1].source]
            return row if row.sha256 else row.model_copy(update={"sha256": sha256_of(self.file)})
        assert self.scan is not None
        card = self.scan.card
        if card is None:
            return SourceRow(path=str(self.scan.path), sha256=self.scan.sha256())
        return SourceRow(
            path=str(self.scan.path),
            sha256=self.scan.sha256(),
            card=card.name,
            licence=card.licence,
            flags=card.flags,
            nodes=card.whole_nodes(),
            encoding=dict(to_metres(next(self.scan.raw(1))).source.encoding),
        )

    def common_sources(self) -> list[SourceRow]:
        """What the corpus that it comes from says of all its tiles: licences of meshes and donors."""
        return opened(self.tile[0]).common_sources if self.tile is not None else []

    def used(self) -> set[int]:
        """Nodes that it can tell."""
        if self.tile is not None:
            return opened(self.tile[0]).used_nodes
        assert self.scan is not None
        if self.scan.card is None:  # a file that pcaug wrote
            return {int(node) for chunk in self.scan.raw() if "label" in chunk for node in np.unique(chunk["label"])} - {IGNORE}
        return self.scan.card.label_map().used()

    @property
    def files(self) -> list[Path]:
        """All files that its labelled points depend on."""
        return self.scan.files if self.scan is not None else [self.file]

    @property
    def folder(self) -> Path:
        """The corpus or the folder that it is of."""
        return self.tile[0] if self.tile is not None else self.file.parent

    @property
    def file(self) -> Path:
        """Where its points lie."""
        if self.tile is not None:
            return self.tile[0] / self.tile[1].path
        assert self.scan is not None
        return self.scan.path


opened = lru_cache(maxsize=8)(Corpus.open)


def parts_of(path: Path, card: str | Path | None, steps: Steps) -> list[Part]:
    """The scans of a file or folder, or the tiles of a corpus; raises NotFound where no card tells what class ids mean."""
    if is_corpus(path):
        opened.cache_clear()
        corpus = Corpus.open(path)
        return [_of_tile(corpus, tile, path) for tile in corpus.tiles]
    found = scans(path, card)
    return [_of_scan(replace(scan, prepare=steps.prepare) if steps else scan, bool(steps.unlabelled)) for scan in found]


def spread(things: Sequence[Thing], most: int) -> list[Thing]:
    """At most so many of some things, evenly from the first to the last."""
    return [things[i] for i in np.linspace(0, len(things) - 1, min(most, len(things))).round().astype(int)]


def few(parts: Sequence[Part], most: int | None) -> list[Part]:
    """At most so many scans of each unit, evenly spread over it: neighbours of a drive are near copies. Maps stay whole."""
    if most is None:
        return list(parts)
    by_unit: dict[str, list[Part]] = {}
    for part in parts:
        by_unit.setdefault(part.unit, []).append(part)
    kept = {id(part) for own in by_unit.values() for part in spread(own, most)}
    return [part for part in parts if part.frame == "map" or id(part) in kept]


def _of_tile(corpus: Corpus, tile: Tile, path: Path) -> Part:
    source = corpus.manifest.sources[tile.source]
    frame, made_by, dataset = corpus.frame_of(tile), corpus.manifest.made_by, _dataset(source)
    if "recipe" in made_by and "into" not in made_by and made_by.get("seed"):
        dataset = f"{dataset}-s{made_by['seed']}"  # worlds of another seed are others, though they are numbered alike
    return Part(tile.name, tile.unit, tile.split, tile.kind, frame, dataset, True, tile=(path.resolve(), tile))


def _of_scan(scan: Scan, unlabelled: bool) -> Part:
    card = scan.card
    if card is None:
        first = next(scan.raw(1))
        if not unlabelled and "label" not in first:  # a file that pcaug wrote holds labels of the taxonomy
            if "native_label" not in first:
                raise NotFound("has no class ids", scan.path, f"take it in with --unlabelled; if it has some: {NAME_THEM}")
            raise NotFound("nothing tells what its class ids mean", scan.path, NAME_THEM)
        return Part(scan.name, scan.unit, None, "real", "map", formats.stem(scan.path), False, scan=scan)
    kind = "synthetic" if card.synthetic else "real"
    return Part(scan.name, scan.unit, scan.split, kind, card.frame, card.name, False, scan=scan)


def alternatives(parts: Iterable[Part]) -> dict[str, list[str]]:
    """The cards that files are read by, each with the other shipped cards whose files look the same, where there are some."""
    found: dict[str, list[str]] = {}
    for scan in (part.scan for part in parts):
        if scan and (card := scan.card) and card.name not in found:
            alike = (c.name for c in all_cards().values() if c.encoding == card.encoding and c.matches(scan.path))
            found[card.name] = sorted(set(alike) - {card.name, PREDICTED})
    return {name: others for name, others in found.items() if others}


def refuse_twice(sources: Sequence[str | Path]) -> None:
    """Refuse a source that is named twice: its points would be in twice."""
    seen: set[Path] = set()
    for path in sources:
        real = Path(path).resolve()
        if real in seen:
            raise PcaugError("is named twice", path, "name each source once")
        seen.add(real)


def _dataset(row: SourceRow) -> str:
    return row.card or formats.stem(Path(row.path))


def with_files_apart(parts: list[Part]) -> list[Part]:
    """Files of one name in folders that are given by themselves are several units, as they are in a folder that holds both."""
    files: dict[tuple[str, str], set[Path]] = {}
    for part in parts:
        if part.scan and not (part.scan.card and part.scan.card.tells_unit):
            files.setdefault((part.unit, part.dataset), set()).add(part.scan.path.resolve())

    def own(part: Part) -> str:
        paths = files.get((part.unit, part.dataset), set())
        if part.scan is None or len(paths) < 2:
            return part.unit
        inner = part.scan.path.resolve().relative_to(os.path.commonpath(paths))
        return "_".join((*inner.parts[:-1], formats.stem(inner)))

    return [replace(part, unit=own(part)) for part in parts]


def with_unique_units(parts: list[Part], before: Corpus | None = None) -> list[Part]:
    """Units of different datasets that happen to share a name (drive "00" of two) are told apart by their dataset's.

    Those of a corpus that parts are added to keep their names, and parts of such a unit take its name.
    """
    known = {(t.unit, _dataset(before.manifest.sources[t.source])) for t in before.tiles} if before else set()
    owners: dict[str, set[str]] = {}
    for unit, dataset in [*known, *((part.unit, part.dataset) for part in parts)]:
        owners.setdefault(unit, set()).add(dataset)

    def own(part: Part) -> str:
        apart = f"{part.dataset}-{part.unit}"
        there = next((name for name in (part.unit, apart) if (name, part.dataset) in known), None)
        return there or (apart if len(owners[part.unit]) > 1 else part.unit)

    return [replace(part, unit=own(part)) for part in parts]


def one_crs(parts: Sequence[Part], known: str | None, steps: Steps) -> tuple[str | None, set[str]]:
    """The CRS of all maps after the steps, and the sources that name none; raises PcaugError where two differ."""
    placeless: set[str] = set()
    crs = known
    for part in parts:
        if part.frame != "map":
            continue
        own = part.crs(steps)
        if own is None:
            placeless.add(str(part.file))
        elif crs is None:
            crs = own
        elif not same_crs(own, crs):
            raise PcaugError("is in another CRS than the points before it", part.file, "choose one with --crs EPSG:...")
    return crs, placeless


def groups(parts: Sequence[Part]) -> list[tuple[Part, ...]]:
    """Parts as jobs: a few small ones together, so that a drive of thousands of frames is not thousands of jobs."""
    groups: list[list[Part]] = []
    size = BYTES
    for part in parts:
        if size >= BYTES or len(groups[-1]) >= TOGETHER:
            groups.append([])
            size = 0
        groups[-1].append(part)
        size += part.file.stat().st_size if part.file.exists() else 0
    return [tuple(group) for group in groups]
