"""Blocks: pieces of ground (or balls, or whole scans), cut out of prepared clouds through a grid index."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import together
from pcaug.corpus.cells import numbered
from pcaug.corpus.manifest import Tile
from pcaug.corpus.read import Corpus
from pcaug.errors import LabelError, NotFound
from pcaug.files import stamp
from pcaug.labels import IGNORE, ClassSet
from pcaug.parallel import Progress, silent
from pcaug.segment import region
from pcaug.segment.cache import keep, mapped, prepared_folder
from pcaug.segment.features import VERSION, Prepared, prepare
from pcaug.segment.loss import Targets
from pcaug.segment.recipe import TrainRecipe

TOGETHER = 500_000
"""Points of a map's tiles that are prepared as one cloud, so that what surrounds a point does not end where its tile does."""
LAYOUT = 4
"""Version of the arrays that are kept beside the features: raised whenever they change."""
OPEN = 128
"""Tiles that are mapped at once: each takes a descriptor, of which there may be 1024."""
PREPARED = ("xyz", "features", "label", "voxel_of", "origin")
EDGE = 3.0
"""Edge of the plan cells that blocks are found by, metres."""


@dataclass(frozen=True)
class GridIndex:
    """Plan cells of points, so that a square is a few slices of a sorted order instead of a pass over everything.

    Attributes:
        low: (2,) int64, first column and row.
        rows: Rows of cells.
        order: (N,) points in order of cells.
        keys: (N,) int64, cell of each of them.
        edge: Of a cell, metres.
    """

    low: NDArray[np.int64]
    rows: int
    order: NDArray[np.int32]
    keys: NDArray[np.int64]
    edge: float = EDGE

    @classmethod
    def of(cls, xy: NDArray[np.floating], edge: float = EDGE) -> GridIndex:
        """Index of plan positions (N, 2)."""
        keys, low, rows = numbered(xy, edge)
        order = np.argsort(keys, kind="stable")
        return cls(low, rows, order.astype(np.int32), keys[order], edge)

    def square(self, xy: NDArray[np.floating], centre: NDArray[np.floating], edge: float) -> NDArray[np.int32]:
        """Indices of the points inside a square around a plan position."""
        low = np.floor((centre - edge / 2) / self.edge).astype(np.int64) - self.low
        high = np.floor((centre + edge / 2) / self.edge).astype(np.int64) - self.low
        columns = np.arange(low[0], high[0] + 1)
        first = np.searchsorted(self.keys, columns * self.rows + np.clip(low[1], 0, self.rows))
        last = np.searchsorted(self.keys, columns * self.rows + np.clip(high[1] + 1, 0, self.rows))
        candidates = np.concatenate([self.order[a:b] for a, b in zip(first, last, strict=True)] or [self.order[:0]])
        inside = (np.abs(xy[candidates] - centre) <= edge / 2).all(axis=1)
        found: NDArray[np.int32] = candidates[inside]
        return found


@dataclass(frozen=True)
class Opened:
    """A prepared tile with its indices, all memory-mapped.

    Attributes:
        prepared: Voxels, features, labels.
        grid: Where they lie.
        by_label: (V,) int32 voxels in order of their taxonomy node.
    """

    prepared: Prepared
    grid: GridIndex
    by_label: NDArray[np.int32]


@dataclass(frozen=True)
class Stored:
    """A prepared tile on disk: there may be any number of them.

    Attributes:
        path: Its file.
        nodes: (256,) int64 voxels of each taxonomy node.
    """

    path: Path
    nodes: NDArray[np.int64]

    def open(self) -> Opened:
        """Its arrays, mapped unless they still are; its folder counts as used. Raises NotFound where somebody removed it."""
        try:
            os.utime(self.path.parent)
            return _opened(self.path)
        except FileNotFoundError:
            do = "leave the cache alone meanwhile, and run the same command again: it is prepared anew"
            raise NotFound("is gone from the cache of prepared tiles", self.path, do) from None


@lru_cache(maxsize=OPEN)
def _opened(path: Path) -> Opened:
    read: dict[str, Any] = mapped(path)
    low, rows = read["corner"][:2], int(read["corner"][2])
    return Opened(
        Prepared(*(read[name] for name in PREPARED)), GridIndex(low, rows, read["order"], read["keys"]), read["by_label"]
    )


@dataclass(frozen=True)
class Block:
    """Points of one block.

    Attributes:
        xyz: (P, 3) float32, metres, plan centre at the origin, z above the block's lowest point.
        features: (P, F) float32.
        label: (P,) uint8 code of ``pcaug.segment.loss.Targets``: a class index, or a set of classes; 255 ignored.
    """

    xyz: NDArray[np.float32]
    features: NDArray[np.float32]
    label: NDArray[np.uint8]


class TilePool:
    """The prepared tiles of one corpus, from which blocks are drawn. They stay on disk: any corpus takes the same memory.

    Args:
        corpus: Tiles of split "train" (or of a corpus without splits).
        classes: What the labels become.
        recipe: Features, voxel, block.
        progress: Called while tiles are prepared.
    """

    def __init__(self, corpus: Corpus, classes: ClassSet, recipe: TrainRecipe, progress: Progress = silent) -> None:
        self.recipe, self.targets = recipe, Targets.of(classes)
        self.tiles = prepare_corpus(corpus, recipe, progress)
        count = len(classes.groups)
        self.nodes = [np.flatnonzero(self.targets.table[: IGNORE + 1] == c) for c in range(count)]
        self.counts = np.array([[int(tile.nodes[nodes].sum()) for nodes in self.nodes] for tile in self.tiles]).reshape(-1, count)
        if not self.counts.any():
            raise LabelError("no point has one of the classes", corpus.folder, f"the classes are {', '.join(classes.names)}")

    @cached_property
    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each feature (F,)."""
        sums, squares = [], []
        for tile in self.tiles:
            table = tile.open().prepared.features
            sums.append(table.sum(axis=0, dtype=np.float64))
            squares.append(np.einsum("vf,vf->f", table, table, dtype=np.float64))
        total = sum(int(tile.nodes.sum()) for tile in self.tiles)
        mean, square = np.sum(sums, axis=0) / total, np.sum(squares, axis=0) / total
        return np.asarray(mean), np.sqrt(np.maximum(square - mean**2, 1e-8))

    def sample(self, count: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        """Features (M, F) and codes (M,) of voxels with a label, as many of each tile as far as they reach, about ``count``."""
        features, codes = zip(*self.samples(count, rng), strict=True)
        return np.concatenate(features), np.concatenate(codes)

    def samples(self, count: int, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.float32], NDArray[np.uint8]]]:
        """As ``sample``, tile by tile."""
        each = max(1, count // len(self.tiles))
        for stored in self.tiles:
            tile = stored.open().prepared
            code = self.targets.code(tile.label)
            known = np.flatnonzero(code != IGNORE)
            rows = np.sort(rng.choice(known, min(each, len(known)), replace=False))
            yield tile.features[rows], code[rows]

    def draw(self, rng: np.random.Generator) -> Block:
        """One block: around a point of a class drawn uniformly with probability ``rare``, else around any point."""
        recipe = self.recipe
        if rng.random() < recipe.rare:
            cls = int(rng.choice(np.flatnonzero(self.counts.any(axis=0))))
            weights = np.sqrt(self.counts[:, cls])  # a cloud with four times the points is drawn twice as often
        else:
            cls = -1
            weights = np.sqrt(self.counts.sum(axis=1))
        stored = self.tiles[int(rng.choice(len(weights), p=weights / weights.sum()))]
        tile = stored.open()
        xyz = tile.prepared.xyz
        seed = int(tile.by_label[self._place_of(stored.nodes, cls, rng)]) if cls >= 0 else int(rng.integers(len(xyz)))
        centre = region.drawn(xyz, seed, recipe, rng)
        inside = region.rows(xyz, tile.grid, centre, recipe)
        chosen = rng.choice(inside, recipe.points, replace=len(inside) < recipe.points)
        return cut(tile.prepared, chosen, centre, self.targets)

    def _place_of(self, nodes: NDArray[np.int64], cls: int, rng: np.random.Generator) -> int:
        """Where in the order of nodes a voxel of a class lies, drawn uniformly from a tile's with so many of each node (256,)."""
        place = int(rng.integers(nodes[self.nodes[cls]].sum()))
        for node in self.nodes[cls]:
            if place < nodes[node]:
                break
            place -= int(nodes[node])
        return int(nodes[:node].sum()) + place


def cut(tile: Prepared, rows: NDArray[np.integer], centre: NDArray[np.floating], targets: Targets | None = None) -> Block:
    """Points of a tile, moved so that the network sees them from the block's own origin."""
    xyz = tile.xyz[rows].astype(np.float32)
    xyz[:, :2] -= centre[:2].astype(np.float32)
    xyz[:, 2] -= np.percentile(xyz[:, 2], 2)
    code = targets.code(tile.label[rows]) if targets else np.full(len(rows), IGNORE, np.uint8)
    return Block(xyz, tile.features[rows], code)


def pieces(corpus: Corpus, most: int = TOGETHER) -> list[tuple[Tile, ...]]:
    """The tiles of a corpus that are prepared as one cloud: each scan by itself; of a map those of a unit, split and card, in
    parts of at most ``most`` points (or one tile). Augmented ones stay alone: they lie where nothing was measured."""
    strays = corpus.strays
    alike: dict[object, list[Tile]] = {}
    for tile in corpus.tiles:
        alone = corpus.manifest.frame == "sensor" or (strays and tile.kind == "synthetic")
        together = (tile.unit, tile.split, tile.kind, corpus.manifest.sources[tile.source].card)
        alike.setdefault(tile.path if alone else together, []).append(tile)
    return [piece for tiles in alike.values() for piece in _halved(tiles, most)]


def _halved(tiles: list[Tile], most: int) -> list[tuple[Tile, ...]]:
    """Tiles in parts of at most ``most`` points, each cut across its longer side until it fits."""
    placed = [tile for tile in tiles if tile.bounds is not None]
    if len(placed) < 2 or sum(tile.points for tile in placed) <= most:
        return [tuple(placed or tiles[:1])]
    middles = np.array([np.asarray(tile.bounds, float).mean(axis=0)[:2] for tile in placed])
    order = np.argsort(middles[:, np.ptp(middles, axis=0).argmax()], kind="stable")
    points = np.cumsum([placed[i].points for i in order])
    half = int(np.clip(np.searchsorted(points, points[-1] / 2, side="right"), 1, len(placed) - 1))
    parts = ([placed[i] for i in sorted(rows)] for rows in (order[:half], order[half:]))
    return [piece for part in parts for piece in _halved(part, most)]


def prepare_corpus(corpus: Corpus, recipe: TrainRecipe, progress: Progress = silent) -> list[Stored]:
    """Prepared clouds of a corpus that are not empty, in the cache, where they are kept for the next training.

    Raises:
        RecipeError: For whole scans of a corpus of maps.
        PcaugError: If the disk is full.
    """
    folder, clouds, found = folder_of(corpus, recipe), pieces(corpus), []
    for index, piece in enumerate(clouds):
        found.append(stored(corpus, piece, recipe, folder))
        progress("preparing clouds", index + 1, len(clouds))
    return [cloud for cloud in found if cloud.nodes.any()]


def labels_digest(tiles: Iterable[Stored]) -> str:
    """SHA-256 of the labels of all voxels: corrected ones differ where the number of each class does not."""
    found = hashlib.sha256()
    for tile in tiles:
        found.update(tile.open().prepared.label.tobytes())
    return found.hexdigest()


def folder_of(corpus: Corpus, recipe: TrainRecipe) -> Path:
    """Where the prepared tiles of a corpus lie, of this very state of its files; raises as ``prepare_corpus`` does."""
    region.check(recipe, corpus.manifest.frame, corpus.folder)
    spec = [LAYOUT, VERSION, recipe.features, recipe.voxel, recipe.reach, corpus.manifest.frame]
    spec += [str(corpus.folder.resolve()), [stamp(corpus.folder / tile.path) for tile in corpus.tiles]]
    manifest = corpus.manifest.model_dump_json().encode()
    return prepared_folder(hashlib.sha256(json.dumps(spec).encode() + manifest).hexdigest()[:16])


def stored(corpus: Corpus, piece: Sequence[Tile], recipe: TrainRecipe, folder: Path) -> Stored:
    """One prepared cloud in the folder of its corpus (see ``folder_of``), made where it is not there yet; its points are those of
    its tiles, one after the other."""
    path = folder / f"{Path(piece[0].path).stem}.safetensors"
    if not path.is_file():
        cloud = together([corpus.read(tile) for tile in piece])
        keep(_arrays(prepare(cloud, recipe.features, recipe.voxel, corpus.manifest.frame), corpus, recipe), path)
    nodes: NDArray[Any] = mapped(path)["nodes"]
    return Stored(path, nodes.copy())


def _arrays(made: Prepared, corpus: Corpus, recipe: TrainRecipe) -> dict[str, NDArray[np.generic]]:
    """What is kept of a prepared tile; far from a spinning scanner nothing is labelled."""
    arrays = {name: getattr(made, name) for name in PREPARED}
    if corpus.manifest.frame == "sensor":
        arrays["label"] = np.where(np.linalg.norm(made.xyz, axis=1) > recipe.reach, np.uint16(IGNORE), made.label)
    grid = GridIndex.of(made.xyz[:, :2])
    by_label = np.argsort(arrays["label"], kind="stable").astype(np.int32)
    nodes = np.bincount(arrays["label"], minlength=IGNORE + 1)
    corner = np.array([*grid.low, grid.rows], np.int64)
    return arrays | {"order": grid.order, "keys": grid.keys, "corner": corner, "by_label": by_label, "nodes": nodes}
