"""Splits that do not leak: by whole units, or by square blocks with a buffer between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.corpus.cells import Cell, by_cell
from pcaug.corpus.manifest import BUFFER, SPLITS, Tile
from pcaug.corpus.read import Corpus
from pcaug.errors import PcaugError, check_whole, counted
from pcaug.labels import IGNORE

TRIES = 64


@dataclass(frozen=True)
class Split:
    """How points are shared among train, val and test.

    Attributes:
        shares: "0.7/0.1/0.2": shares of train, val, test, by blocks of a map or by units of scans. "official": the cards' own.
            None: none, or the one that a source corpus has.
        block: Edge of a block, metres.
        buffer: Width of the strip between blocks of different splits that belongs to neither, metres.
        seed: Of the choice of blocks or units.
    """

    shares: str | None = None
    block: float = 50.0
    buffer: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.block < np.inf or not 0 <= self.buffer < np.inf:
            do = "give metres, such as 50 and 2"
            raise PcaugError(f"blocks of {self.block:g} m with a buffer of {self.buffer:g} m cannot be made", do=do)
        check_whole(0, seed=self.seed)

    def __bool__(self) -> bool:
        return self.shares is not None

    @property
    def by_shares(self) -> bool:
        """Whether blocks or units are drawn: neither none nor the official split."""
        return self.shares not in (None, "official")


def parse_shares(text: str) -> dict[str, float]:
    """``"0.7/0.1/0.2"`` as shares of train, val and test; two numbers mean train and test.

    Raises:
        PcaugError: Unless they are two or three shares that sum to one.
    """
    try:
        numbers = [float(part) for part in text.split("/")]
    except ValueError:
        numbers = []
    names = SPLITS if len(numbers) == 3 else ("train", "test")
    if len(numbers) not in (2, 3) or not all(0 <= number < np.inf for number in numbers):  # nor NaN
        raise PcaugError(f"split {text!r} does not name shares", do="write train/val/test as 0.7/0.1/0.2")
    if abs(sum(numbers) - 1) > 1e-6:
        raise PcaugError(f"the shares of split {text!r} sum to {sum(numbers):g}", do="make them sum to 1, as 0.7/0.1/0.2 do")
    return {name: share for name, share in zip(names, numbers, strict=True) if share > 0}


@dataclass(frozen=True)
class BlockSplit:
    """Square blocks of the plan, each in one split.

    Attributes:
        size: Edge of a block, metres.
        buffer: Points nearer than this to a block of a split that goes first (test, then val) become BUFFER, metres.
        blocks: (column, row) -> split.
    """

    size: float
    buffer: float
    blocks: Mapping[Cell, str]

    def assign(self, xyz: NDArray[np.float64]) -> NDArray[np.str_]:
        """Split of each point (N,), from its (N, 3) position."""
        result = np.full(len(xyz), "", dtype="<U6")
        for block, which in by_cell(xyz, self.size):
            own = self.blocks[block]
            result[which] = own
            near = np.zeros(len(which), dtype=bool)
            for other in self._rivals(block, own):
                low = np.array(other) * self.size
                gap = np.maximum(low - xyz[which, :2], xyz[which, :2] - low - self.size)
                near |= np.hypot(*np.maximum(gap, 0).T) < self.buffer
            result[which[near]] = BUFFER
        return result

    def _rivals(self, block: Cell, own: str) -> Iterable[Cell]:
        """Neighbouring blocks of a split that keeps its points where this block's give way."""
        rank = {"train": 0, "val": 1, "test": 2}
        reach = int(np.ceil(self.buffer / self.size))
        for dx in range(-reach, reach + 1):
            for dy in range(-reach, reach + 1):
                other = (block[0] + dx, block[1] + dy)
                if rank[self.blocks.get(other, own)] > rank[own]:
                    yield other


def count_blocks(chunks: Iterable[PointCloud], size: float) -> dict[Cell, NDArray[np.int64]]:
    """Points per node id (256,) of each block of the plan: the first pass of a spatial split."""
    counts: dict[Cell, NDArray[np.int64]] = {}
    for chunk in chunks:
        for block, which in by_cell(chunk.xyz, size):
            counts[block] = counts.get(block, 0) + np.bincount(chunk["label"][which], minlength=IGNORE + 1)
    return counts


def block_split(
    counts: Mapping[Cell, NDArray[np.int64]], shares: Mapping[str, float], size: float, buffer: float, rng: np.random.Generator
) -> BlockSplit:
    """Assign blocks so that every class meets the shares as well as blocks allow: the best of many random orders.

    Raises:
        PcaugError: If there are fewer blocks than splits.
    """
    if len(counts) < len(shares):
        raise PcaugError(
            f"{counted(len(counts), 'block')} of {size:g} m cannot be split {len(shares)} ways", do="make blocks smaller"
        )
    blocks = sorted(counts)
    table = np.stack([counts[block][:IGNORE] for block in blocks]).astype(np.float64)
    table = table[:, table.sum(axis=0) > 0] if table.any() else np.ones((len(blocks), 1))
    table = table / table.sum(axis=0)
    names, target = list(shares), np.array(list(shares.values()))
    best: tuple[float, NDArray[np.int64]] = (np.inf, np.zeros(len(blocks), np.int64))
    for _ in range(TRIES):
        owner = _greedy(table, target, rng.permutation(len(blocks)))
        reached = np.stack([table[owner == i].sum(axis=0) for i in range(len(names))])
        error = float(np.abs(reached - target[:, None]).mean() + 2 * (reached == 0).mean())
        if error < best[0]:
            best = (error, owner)
    return BlockSplit(size, buffer, {block: names[owner] for block, owner in zip(blocks, best[1], strict=True)})


def _greedy(table: NDArray[np.float64], target: NDArray[np.float64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give each block in turn to the split that lacks most of its share."""
    owner = np.zeros(len(table), dtype=np.int64)
    reached = np.zeros(len(target))
    weight = table.mean(axis=1)
    for index in order:
        split = int(np.argmax((target - reached) / target))
        owner[index] = split
        reached[split] += weight[index]
    return owner


def unit_split(units: Iterable[str], shares: Mapping[str, float], rng: np.random.Generator) -> dict[str, str]:
    """Assign whole units (drives, sites) to splits; each split gets at least one.

    Raises:
        PcaugError: If there are fewer units than splits.
    """
    names = sorted(set(units))
    if len(names) < len(shares):
        raise PcaugError(
            f"{counted(len(names), 'unit')} ({', '.join(names)}) cannot be split {len(shares)} ways",
            do="give more units, or fewer shares",
        )
    owner = _greedy(np.full((len(names), 1), 1 / len(names)), np.array(list(shares.values())), rng.permutation(len(names)))
    splits = list(shares)
    return {name: splits[int(i)] for name, i in zip(names, owner, strict=True)}


def leak(corpus: Corpus, first: str = "train", second: str = "test") -> float:
    """Shortest distance in the plan between points of two splits of a corpus, metres.

    Of scans with an origin of their own it is 0 where a unit, or the very same file, has scans in both splits, else infinite,
    as it is where one of the splits is empty. Reads only tiles that can hold the nearest pair.
    """
    sides = [[t for t in corpus.tiles if (t.split or "train") == split and t.bounds] for split in (first, second)]
    scans, maps = ([[t for t in side if corpus.frame_of(t) == frame] for side in sides] for frame in ("sensor", "map"))
    a, b = ({t.unit for t in side} | {corpus.manifest.sources[t.source].sha256 for t in side} - {""} for side in scans)
    return 0.0 if a & b else _nearest(corpus, maps)


def _nearest(corpus: Corpus, sides: Sequence[Sequence[Tile]]) -> float:
    """Shortest distance in the plan between points of tiles of two sides of a map, metres."""
    from scipy.spatial import cKDTree  # slow to load, and every worker of a merge would

    best = np.inf
    for one in sides[0]:
        gaps = [float(np.hypot(*np.maximum(one.gaps(other)[:2], 0))) for other in sides[1]]
        if min(gaps, default=np.inf) >= best:
            continue
        tree = cKDTree(corpus.read(one, ()).xyz[:, :2], balanced_tree=False, compact_nodes=False)
        for index in np.argsort(gaps, kind="stable"):
            if gaps[index] < best:
                other = corpus.read(sides[1][index], ()).xyz[:, :2]
                best = min(best, float(tree.query(other, distance_upper_bound=best)[0].min()))
    return best
