"""Blocks: square pieces of ground, cut out of prepared tiles through a grid index."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcaug.corpus.manifest import Tile
from pcaug.corpus.read import Corpus
from pcaug.corpus.sample import cache_folder
from pcaug.errors import LabelError
from pcaug.labels import IGNORE, ClassSet
from pcaug.segment.features import Prepared, prepare
from pcaug.segment.recipe import TrainRecipe

Progress = Callable[[str, int, int], None]
LAYOUT = 3
"""Version of the cached arrays: raised whenever ``prepare`` changes."""
ARRAYS = ("xyz", "features", "label", "voxel_of", "origin")


class GridIndex:
    """Plan cells of points, so that a square is a few slices of a sorted order instead of a pass over everything."""

    def __init__(self, xy: NDArray[np.float32], edge: float) -> None:
        self.edge = edge
        self.low = np.floor(xy.min(axis=0) / edge).astype(np.int64) if len(xy) else np.zeros(2, np.int64)
        cells = np.floor(xy / edge).astype(np.int64) - self.low
        self.rows = int(cells[:, 1].max()) + 1 if len(xy) else 1
        keys = cells[:, 0] * self.rows + cells[:, 1]
        self.order = np.argsort(keys, kind="stable")
        self.keys = keys[self.order]

    def square(self, xy: NDArray[np.float32], centre: NDArray[np.floating], edge: float) -> NDArray[np.intp]:
        """Indices of the points inside a square around a plan position."""
        low = np.floor((centre - edge / 2) / self.edge).astype(np.int64) - self.low
        high = np.floor((centre + edge / 2) / self.edge).astype(np.int64) - self.low
        columns = np.arange(low[0], high[0] + 1)
        first = np.searchsorted(self.keys, columns * self.rows + np.clip(low[1], 0, self.rows))
        last = np.searchsorted(self.keys, columns * self.rows + np.clip(high[1] + 1, 0, self.rows))
        candidates = np.concatenate([self.order[a:b] for a, b in zip(first, last, strict=True)] or [self.order[:0]])
        inside = (np.abs(xy[candidates] - centre) <= edge / 2).all(axis=1)
        found: NDArray[np.intp] = candidates[inside]
        return found


@dataclass(frozen=True)
class Block:
    """Points of one block.

    Attributes:
        xyz: (P, 3) float32, metres, plan centre at the origin, z above the block's lowest point.
        features: (P, F) float32.
        label: (P,) uint8 class index, 255 ignored.
    """

    xyz: NDArray[np.float32]
    features: NDArray[np.float32]
    label: NDArray[np.uint8]


class TilePool:
    """The prepared tiles of one corpus, from which blocks are drawn.

    Args:
        corpus: Tiles of split "train" (or of a corpus without splits).
        classes: What the labels become.
        recipe: Features, voxel, block.
        progress: Called while tiles are prepared.
    """

    def __init__(self, corpus: Corpus, classes: ClassSet, recipe: TrainRecipe, progress: Progress | None = None) -> None:
        self.recipe, self.classes = recipe, classes
        self.tiles = prepare_corpus(corpus, recipe, progress)
        self.labels = [classes.index(tile.label) for tile in self.tiles]
        for tile, label in zip(self.tiles, self.labels, strict=True):
            if corpus.manifest.frame == "sensor":
                label[np.linalg.norm(tile.xyz, axis=1) > recipe.reach] = IGNORE
        self.where = [[np.flatnonzero(label == c) for c in range(len(classes.groups))] for label in self.labels]
        self.counts = np.array([[len(rows) for rows in tile] for tile in self.where], dtype=np.int64)
        if not self.counts.any():
            raise LabelError("no point has one of the classes", corpus.folder, f"the classes are {', '.join(classes.names)}")
        self._indices: dict[int, GridIndex] = {}

    @cached_property
    def moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each feature (F,)."""
        total = sum(len(tile.features) for tile in self.tiles)
        mean = sum(tile.features.sum(axis=0, dtype=np.float64) for tile in self.tiles) / total
        square = sum((tile.features.astype(np.float64) ** 2).sum(axis=0) for tile in self.tiles) / total
        return np.asarray(mean), np.sqrt(np.maximum(square - mean**2, 1e-8))

    def draw(self, rng: np.random.Generator) -> Block:
        """One block: around a point of a class drawn uniformly with probability ``rare``, else around any point."""
        recipe = self.recipe
        if rng.random() < recipe.rare:
            cls = rng.choice(np.flatnonzero(self.counts.any(axis=0)))
            weights = np.sqrt(self.counts[:, cls])  # a tile with four times the points is drawn twice as often
        else:
            cls = -1
            weights = (self.counts.sum(axis=1) > 0).astype(np.float64)
        tile = int(rng.choice(len(weights), p=weights / weights.sum()))
        rows = self.where[tile][cls] if cls >= 0 else None
        prepared = self.tiles[tile]
        seed = int(rows[rng.integers(len(rows))]) if rows is not None else int(rng.integers(len(prepared.xyz)))
        centre = prepared.xyz[seed, :2] + rng.uniform(-0.25, 0.25, 2) * recipe.block
        inside = self._index(tile).square(prepared.xyz[:, :2], centre, recipe.block)
        if not len(inside):
            inside = np.array([seed])
        chosen = rng.choice(inside, recipe.points, replace=len(inside) < recipe.points)
        return cut(prepared, chosen, centre, self.labels[tile])

    def _index(self, tile: int) -> GridIndex:
        if tile not in self._indices:
            self._indices[tile] = GridIndex(self.tiles[tile].xyz[:, :2], self.recipe.block / 4)
        return self._indices[tile]


def cut(tile: Prepared, rows: NDArray[np.intp], centre: NDArray[np.floating], label: NDArray[np.uint8] | None = None) -> Block:
    """Points of a tile, moved so that the network sees them from the block's own origin."""
    xyz = tile.xyz[rows].astype(np.float32)
    xyz[:, :2] -= centre.astype(np.float32)
    xyz[:, 2] -= np.percentile(xyz[:, 2], 2)
    labels = label[rows] if label is not None else np.full(len(rows), IGNORE, np.uint8)
    return Block(xyz, tile.features[rows], labels)


def prepare_corpus(corpus: Corpus, recipe: TrainRecipe, progress: Progress | None = None) -> list[Prepared]:
    """Prepared tiles of a corpus, memory-mapped from the cache, where they are kept for the next training."""
    spec = [LAYOUT, recipe.features, recipe.voxel, corpus.manifest.frame]
    manifest = corpus.manifest.model_dump_json().encode()
    key = hashlib.sha256(json.dumps(spec).encode() + manifest + str(corpus.folder.resolve()).encode()).hexdigest()[:16]
    folder = cache_folder() / "prepared" / key
    tiles = []
    for index, tile in enumerate(corpus.tiles):
        tiles.append(_prepared(corpus, tile, recipe, folder))
        if progress:
            progress("preparing tiles", index + 1, len(corpus.tiles))
    return [tile for tile in tiles if len(tile.xyz)]


def _prepared(corpus: Corpus, tile: Tile, recipe: TrainRecipe, folder: Path) -> Prepared:
    target = folder / Path(tile.path).stem
    if not target.is_dir():
        made = prepare(corpus.read(tile), recipe.features, recipe.voxel, corpus.manifest.frame)
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".{target.name}.tmp-{np.random.default_rng().integers(1 << 40)}"
        partial.mkdir()
        for name in ARRAYS:
            np.save(partial / f"{name}.npy", getattr(made, name))
        try:
            partial.rename(target)
        except OSError:  # another process was faster
            for path in partial.iterdir():
                path.unlink()
            partial.rmdir()
    return Prepared(*(np.load(target / f"{name}.npy", mmap_mode="r") for name in ARRAYS))
