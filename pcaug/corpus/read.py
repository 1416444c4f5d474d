"""Reading a corpus: its tiles as clouds, all or by split, unit, place and class."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq

from pcaug import catalogue, formats
from pcaug.cloud import FIELDS, PointCloud, concatenate
from pcaug.corpus.manifest import BUFFER, SPLITS, Manifest, SourceRow, Tile, load_manifest
from pcaug.errors import FileError, NotFound, PcaugError
from pcaug.labels import IGNORE, ClassSet, Taxonomy

STRAYS = "holds_augmented"
"""Key of a merged corpus's ``made_by``: see ``Corpus.strays``."""


@dataclass(frozen=True)
class Corpus:
    """A labelled corpus on disk, or the part of it that ``only`` chose.

    Attributes:
        folder: Where it lies.
        manifest: What it says of itself.
        tiles: The tiles of this part.
    """

    folder: Path
    manifest: Manifest
    tiles: tuple[Tile, ...]

    @classmethod
    def open(cls, folder: str | Path) -> Corpus:
        """Open a corpus; raises NotFound, FileError, LabelError for another taxonomy."""
        folder = Path(folder)
        manifest = load_manifest(folder)
        return cls(folder, manifest, manifest.tiles)

    @property
    def taxonomy(self) -> Taxonomy:
        """The class tree of its labels."""
        return catalogue.taxonomy()

    @property
    def points(self) -> int:
        """Number of points."""
        return sum(tile.points for tile in self.tiles)

    @property
    def units(self) -> list[str]:
        """Independent units, sorted."""
        return sorted({tile.unit for tile in self.tiles})

    @property
    def sources(self) -> list[SourceRow]:
        """What this part comes from: the sources of its tiles, and those of no tile, which hold for all."""
        used = {tile.source for tile in self.tiles}
        return [self.manifest.sources[index] for index in sorted(used)] + self.common_sources

    @property
    def common_sources(self) -> list[SourceRow]:
        """Sources of no tile, which hold for all: meshes, donors of a mix."""
        taken = {tile.source for tile in self.manifest.tiles}
        return [row for index, row in enumerate(self.manifest.sources) if index not in taken]

    @property
    def licences(self) -> list[str]:
        """Licences of its sources, sorted."""
        return sorted({licence for row in self.sources for licence in row.licences})

    @property
    def splits(self) -> list[str]:
        """Splits that occur, sorted; empty for a corpus without."""
        return sorted({tile.split for tile in self.tiles if tile.split})

    @property
    def split_points(self) -> dict[str, int]:
        """Points of each split that occurs: train, val, test, and what lies between them."""
        order = [name for name in (*SPLITS, BUFFER) if name in self.splits]
        return {split: sum(tile.points for tile in self.tiles if tile.split == split) for split in order}

    def frame_of(self, tile: Tile) -> Literal["sensor", "map"]:
        """Whether a tile has an origin of its own, or shares coordinates with others."""
        return tile.frame or self.manifest.frame

    @property
    def strays(self) -> bool:
        """Whether its points may be of other units or places than their tiles say: ``pcaug augment`` mixed clouds, or moved those
        of a map, or they were merged with such."""
        made_by = self.manifest.made_by
        recipe = made_by.get("augmentation")
        augmented = isinstance(recipe, dict) and bool(recipe.get("mix") or self.manifest.frame == "map")
        return augmented or bool(made_by.get(STRAYS))

    def only(self, *, split: str | None = None, units: Iterable[str] | None = None) -> Corpus:
        """The part of a split and of some units. A corpus without splits is all "train".

        Raises:
            NotFound: If nothing is left.
        """
        wanted = None if units is None else {units} if isinstance(units, str) else set(units)
        tiles = tuple(
            t for t in self.tiles if (split is None or (t.split or "train") == split) and (wanted is None or t.unit in wanted)
        )
        if not self.tiles:
            raise NotFound("holds no point", self.folder, "look at what it was made of: pcaug info")
        if not tiles:
            of = [f"split {split!r}"] * (split is not None) + [f"units {', '.join(sorted(wanted or []))}"] * (wanted is not None)
            do = f"it has the splits {', '.join(self.splits)}" if self.splits else "make it with --split, such as 0.7/0.1/0.2"
            raise NotFound(f"no tiles of {' and '.join(of)}", self.folder, do if split else f"it has {', '.join(self.units)}")
        return replace(self, tiles=tiles)

    def richest_tile(self) -> Tile:
        """The tile with most classes, the larger one among equals: what a report shows."""
        return max(self.tiles, key=lambda tile: (len(tile.counts), tile.points))

    def by_tile(self) -> Corpus:
        """The same corpus with each tile as a unit of its own, named like the tile; without slivers at the edge of the grid,
        which are no places (a hundredth of the median's points or less)."""
        least = float(np.median([tile.points for tile in self.tiles] or [0])) / 100
        places = [tile for tile in self.tiles if tile.points > least]
        return replace(self, tiles=tuple(tile.model_copy(update={"unit": tile.name}) for tile in places))

    def read(self, tile: Tile, fields: Sequence[str] | None = None) -> PointCloud:
        """One tile as a cloud, with all fields or some; errors as ``chunks``."""
        return concatenate(list(self.chunks(tile, fields)))

    def chunks(self, tile: Tile, fields: Sequence[str] | None = None) -> Iterator[PointCloud]:
        """One tile as a stream of clouds, with all fields or some: those of FIELDS that it lacks are left out.

        Raises:
            NotFound: For a name that is no field of this tile, nor one of FIELDS.
            FileError: If the tile is missing, or holds other points than the manifest says.
        """
        path = self.folder / tile.path
        if not path.is_file():
            raise FileError("a tile of the corpus is missing", path, "make the corpus again")
        fields = [fields] if isinstance(fields, str) else fields
        has = self.fields(tile) if set(fields or ()) - FIELDS.keys() else {}
        for name in fields or ():
            if name not in FIELDS and name not in has:
                raise NotFound(f"no field {name!r}", path, f"this tile has {', '.join(has)}")
        row, count = self.manifest.sources[tile.source], 0
        for chunk in formats.iter_chunks(path, fields=fields):
            count += len(chunk)
            source = replace(chunk.source, encoding=row.encoding, unit=tile.unit, file=chunk.source.file or row.path)
            yield replace(chunk, source=source)
        if count != tile.points:
            raise FileError(f"holds {count} points, the manifest says {tile.points}", path, "make the corpus again")

    def head(self, tile: Tile) -> PointCloud:
        """The first point of a tile (none of an empty one), to know its fields, types and encoding."""
        cloud = next(formats.iter_chunks(self.folder / tile.path, 1))
        row = self.manifest.sources[tile.source]
        return replace(cloud, source=replace(cloud.source, encoding=row.encoding, unit=tile.unit))

    def fields(self, tile: Tile) -> dict[str, np.dtype[Any]]:
        """Names and types of a tile's fields, from its schema alone."""
        schema = pq.read_schema(self.folder / tile.path)
        vectors: dict[str, int] = json.loads((schema.metadata or {}).get(b"pcaug", b"{}")).get("vectors", {})
        first = {f"{name}_0": name for name in vectors}
        inner = {f"{name}_{i}" for name, width in vectors.items() for i in range(1, width)} | {"x", "y", "z"}
        return {first.get(c.name, c.name): np.dtype(c.type.to_pandas_dtype()) for c in schema if c.name not in inner}

    def clouds(self, split: str | None = None, fields: Sequence[str] | None = None) -> Iterator[PointCloud]:
        """The tiles as clouds, in the manifest's order."""
        for tile in self.only(split=split).tiles if split else self.tiles:
            yield self.read(tile, fields)

    def query(
        self, bounds: Sequence[Sequence[float]], classes: Sequence[str] | None = None, fields: Sequence[str] | None = None
    ) -> Iterator[PointCloud]:
        """Points inside a box ((x, y[, z]) low, high), of some classes and what stands below them; tiles outside are not read.

        Raises:
            PcaugError: For bounds that are no such box.
            NotFound: For a class or a field that is not known.
        """
        if len(bounds) != 2 or any(np.shape(corner) not in ((2,), (3,)) for corner in bounds) or len(bounds[0]) != len(bounds[1]):
            raise PcaugError("bounds are two corners, low and high, of two or three coordinates each", self.folder)
        try:
            low, high = np.asarray(bounds[0], float), np.asarray(bounds[1], float)
        except (TypeError, ValueError):
            low, high = np.full((2, 2), np.nan)
        if not (low <= high).all():
            raise PcaugError(f"bounds {bounds} do not go from low to high numbers", self.folder)
        axes = len(low)
        classes, fields = ([name] if isinstance(name, str) else name for name in (classes, fields))
        nodes = None if classes is None else self.taxonomy.subtree(*classes)
        for tile in self.tiles:
            if tile.bounds is None:
                continue
            corner = np.asarray(tile.bounds)[:, :axes]
            if (corner[0] > high).any() or (corner[1] < low).any():
                continue
            wanted = None if fields is None else [*fields, *(["label"] if nodes is not None else [])]
            cloud = self.read(tile, wanted)
            inside = np.all((cloud.xyz[:, :axes] >= low) & (cloud.xyz[:, :axes] <= high), axis=1)
            inside = np.asarray(inside)
            if nodes is not None:
                inside &= np.isin(cloud["label"], nodes)
                if fields is not None and "label" not in fields:
                    cloud = cloud.with_fields(label=None)
            if inside.any():
                yield cloud.take(inside)

    def sites(self, gap: float = 50.0) -> list[list[Tile]]:
        """Tiles of a map in groups that lie within ``gap`` metres of each other, the one with most points first.

        Of synthetic ones only those of a unit: every composed scene lies at the same place. Augmented ones are copies of it.
        """
        strays = self.strays
        groups: list[list[Tile]] = []
        for tile in (t for t in self.tiles if t.bounds):
            near = [
                g for g in groups if any(_one_place(tile, other, strays) and tile.gaps(other)[:2].max() <= gap for other in g)
            ]
            joined = [tile, *(t for g in near for t in g)]
            groups = [g for g in groups if g not in near] + [joined]
        return sorted(groups, key=lambda g: -sum(t.points for t in g))

    def counts(self, split: str | None = None) -> dict[str, int]:
        """Points per class name, in order of node ids."""
        total: dict[int, int] = {}
        for tile in self.only(split=split).tiles if split else self.tiles:
            for node, number in tile.counts.items():
                total[int(node)] = total.get(int(node), 0) + number
        return {self.taxonomy.label_name(node): total[node] for node in sorted(total)}

    def left_out(self, classes: ClassSet, split: str | None = None) -> dict[str, int]:
        """Points per class name that are of none of some classes, but of others or of coarser ones."""
        told = classes.index(np.array([*self.taxonomy.nodes])) == IGNORE
        strangers = {self.taxonomy.label_name(node) for node, strange in zip(self.taxonomy.nodes, told, strict=True) if strange}
        return {name: points for name, points in self.counts(split).items() if name in strangers}

    @cached_property
    def used_nodes(self) -> set[int]:
        """Nodes that occur and that their source does not hold for minor: what a common cut is made of.

        A source that names no nodes (a composed one) counts with all that occur; so does a corpus of minor classes alone.
        """
        present: set[int] = set()
        major: set[int] = set()
        for tile in self.tiles:
            nodes = {int(node) for node in tile.counts} - {IGNORE}
            named = self.manifest.sources[tile.source].nodes
            present |= nodes
            major |= nodes & set(named) if named else nodes
        return major or present


def _one_place(tile: Tile, other: Tile, strays: bool) -> bool:
    """Whether coordinates of two tiles mean the same place; where there are ``strays``, synthetic ones may be moved copies."""
    real = tile.kind == other.kind == "real"
    return real or (tile.unit == other.unit and not strays)


def opened(corpora: Corpus | str | Path | Iterable[Corpus | str | Path]) -> list[Corpus]:
    """One corpus or several, each as it is or by its folder."""
    several = [corpora] if isinstance(corpora, (Corpus, str, Path)) else corpora
    return [corpus if isinstance(corpus, Corpus) else Corpus.open(corpus) for corpus in several]
