"""Points at exactly the same place: found across all tiles of a corpus, and dropped where that is wanted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pcaug import formats
from pcaug.corpus.manifest import Tile
from pcaug.labels import IGNORE

GRID = 1e-3
"""Metres within which positions are the same: the grid of most airborne data."""
HELD = 8_000_000
"""Positions held in memory at once; of more points, a sample of places is counted and the number scaled."""


def repeats(folder: Path, tiles: Sequence[Tile]) -> int:
    """Number of points at the place of another, over all tiles; an estimate above HELD points.

    Places are sampled by their hash, so that both points of a pair are in the sample or neither.
    """
    total = sum(tile.points for tile in tiles)
    modulus = max(1, -(-total // HELD))

    def sample(tile: Tile) -> NDArray[np.uint64]:
        keys = _places(folder / tile.path)
        return keys[keys % np.uint64(modulus) == 0] if modulus > 1 else keys

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        kept = list(pool.map(sample, tiles))
    places = np.concatenate(kept) if kept else np.zeros(0, np.uint64)
    places.sort()  # several times faster than np.unique
    return int(np.count_nonzero(places[1:] == places[:-1])) * modulus


def drop_repeats(folder: Path, tiles: Sequence[Tile], first: int = 0, *, alone: bool = False) -> list[Tile]:
    """Rewrite tiles from ``first`` on without points at the place of an earlier point, in the tile or in an earlier one.

    Args:
        folder: Of the corpus.
        tiles: All of them.
        first: The first that is new.
        alone: Whether each tile has an origin of its own, as scans do, so that places in others mean nothing.

    Returns:
        The tiles from ``first`` on, those that are left empty left out.
    """
    places = lru_cache(maxsize=16)(_places)
    kept: list[Tile] = []
    for index in range(first, len(tiles)):
        tile = tiles[index]
        path = folder / tile.path
        keys = _places(path)
        new = np.zeros(len(keys), np.bool_)
        new[np.unique(keys, return_index=True)[1]] = True
        for other in [] if alone else [*tiles[:first], *kept]:
            if tile.gaps(other).max() <= 2 * GRID:
                new &= ~np.isin(keys, places(folder / other.path))
        if not new.any():
            path.unlink()
            continue
        kept.append(tile if new.all() else _rewritten(path, tile, new))
    return kept


def _rewritten(path: Path, tile: Tile, which: NDArray[np.bool_]) -> Tile:
    cloud = formats.read(path).take(which)
    formats.write(path, cloud)  # beside it, then renamed: the part that it is linked to stays whole
    counts = np.bincount(cloud["label"], minlength=IGNORE + 1)
    bounds = tuple(tuple(corner) for corner in cloud.bounds.tolist())
    values = {"points": len(cloud), "bounds": bounds, "counts": {str(i): int(n) for i, n in enumerate(counts) if n}}
    return Tile.model_validate(tile.model_dump() | values)


def _places(path: Path) -> NDArray[np.uint64]:
    """A hash of each point's place on the grid (N,): multiply-xor mixing as in SplitMix64 (Steele et al., OOPSLA 2014)."""
    with pq.ParquetFile(path) as file:
        table = file.read(columns=["x", "y", "z"])
    key = np.zeros(table.num_rows, np.uint64)
    mixed = np.empty_like(key)
    for axis in "xyz":
        scaled = table.column(axis).to_numpy() * (1 / GRID)
        key ^= np.rint(scaled, out=scaled).astype(np.int64).view(np.uint64)
        key *= np.uint64(0xBF58476D1CE4E5B9)
        key ^= np.right_shift(key, np.uint64(27), out=mixed)
        key *= np.uint64(0x94D049BB133111EB)
        key ^= np.right_shift(key, np.uint64(31), out=mixed)
    return key
