"""A stratified sample of a corpus, tile by tile: local shape of points, what is seen from above, single objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pcaug.cloud import PointCloud
from pcaug.corpus.cells import own_cells
from pcaug.corpus.manifest import BUFFER, Tile
from pcaug.corpus.read import Corpus
from pcaug.errors import PcaugError
from pcaug.explore.inventory import Contents, contents
from pcaug.explore.profile import CROWD, THINGS, Part, describe_cloud
from pcaug.generate.objects import gather
from pcaug.labels import IGNORE, ClassSet
from pcaug.parallel import Progress, completed, silent
from pcaug.segment.ground import height_above_ground
from pcaug.segment.voxel import voxels

PER_TILE = 6_000
"""Points sampled of a tile for the statistics."""
TILES = 60
"""Most tiles that are read: of each unit the same share, at least one while they last."""
LARGE = 400_000
"""Points of a tile above which neighbourhoods are taken in WINDOWS of about so many points together, not in the whole tile."""
WINDOWS = 16
MARGIN = 1.0
"""Metres inside a window from which points are sampled, so that their neighbours are there."""
GROUPS = 4
"""Groups from which halves and intervals mean something."""
NEAREST = 9
"""Points, itself among them, that a point's spacing is taken of."""
NEIGHBOURS = 16
"""Points that a point's local shape is taken of."""
SURFACE = 0.2
"""Edge in metres of the voxels that a cloud is thinned to before local shape is taken: on a single scan the nearest points
all lie on one beam, and are no surface."""
REACH = 50.0
"""Half the edge of the square around a scanner that is looked at from above, metres."""
CELLS = 100
"""Cells along its edge."""
OBJECTS = 6
"""Objects of a class that are kept of each tile."""
SHAPE = 128
"""Points that are kept of each object."""

QUANTITIES = {
    "height above ground": "m",
    "range": "m",
    "point spacing": "m",
    "roughness": "m",
    "flatness": "",
    "verticality": "",
    "intensity": "of the 95th percentile",
    "returns": "",
}
"""Name -> unit of what is compared."""

Mask = NDArray[np.bool_]
Table = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """Sampled points of a corpus.

    Attributes:
        values: (M, Q) float64, columns as QUANTITIES; NaN where a set has no such thing.
        label: (M,) class index, 255 ignored.
        group: (M,) what halves and intervals are made of, as ``level`` says.
        normal: (M, 3) absolute components of the local surface's direction.
        twin: (M,) whether another point lies at the very same place.
        rise: Median over tiles of the height between the 2nd and the 98th percentile, metres.
        groups: (G, K) points of each class in each group, from the manifest (of blocks: estimated).
        points: Points of the corpus.
        level: "units", "tiles", or "blocks" (nine of each tile, where there are fewer than GROUPS tiles).
        above: (T, CELLS * CELLS) share of a scan's points in each cell seen from above; no rows for a map.
        above_group: (T,) group of each.
        objects: Class index -> single objects and their groups.
        parts: What the profile is joined of, one a tile.
        contents: What is in it beside positions and classes.
        tiles: Tiles read, and how many there are.
    """

    values: Table
    label: NDArray[np.uint8]
    group: NDArray[np.int64]
    normal: Table
    twin: Mask
    rise: float
    groups: Table
    points: int
    level: str
    above: Table
    above_group: NDArray[np.int64]
    objects: dict[int, list[tuple[int, PointCloud]]]
    parts: list[Part]
    contents: Contents
    tiles: tuple[int, int]

    @property
    def shares(self) -> Table:
        """Share of each class (K,)."""
        return to_shares(self.groups.sum(axis=0))

    def halves(self, count: int, rng: np.random.Generator) -> Iterator[Mask]:
        """Cut the groups in two, up to ``count`` times, each cut once: masks (G,) of one half, whose other half is the rest."""
        number = len(self.groups)
        seen: set[bytes] = set()
        for _ in range(4 * count):
            chosen = np.zeros(number, dtype=bool)
            chosen[rng.permutation(number)[: number // 2]] = True
            chosen ^= bool(chosen[0] and number % 2 == 0)  # a half and its other half are one cut
            if chosen.tobytes() not in seen and len(seen) < count:
                seen.add(chosen.tobytes())
                yield chosen


@dataclass(frozen=True)
class _Piece:
    """What a tile gives to a Sample."""

    values: Table
    label: NDArray[np.uint8]
    block: NDArray[np.int64]
    normal: Table
    twin: Mask
    rise: float
    above: Table | None
    objects: dict[int, list[PointCloud]]
    part: Part
    contents: Contents


def to_shares(numbers: Table) -> Table:
    """Counts (K,) as shares of their sum."""
    shares: Table = numbers / max(float(numbers.sum()), 1.0)
    return shares


def sample(
    corpus: Corpus,
    classes: ClassSet,
    seed: tuple[int, ...],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    progress: Progress = silent,
) -> Sample:
    """Sample a corpus; memory is that of one tile a worker and PER_TILE points of each of TILES.

    Args:
        corpus: What to sample; tiles of the split "buffer" are left out.
        classes: What labels are counted as.
        seed: Decides tiles and points; the same for any number of workers.
        workers: Processes.
        scheduler: Address of a Dask scheduler, instead of processes here.
        progress: Called as ``progress(text, done, total)``.

    Raises:
        PcaugError: If it holds no points.
    """
    tiles = [tile for tile in corpus.tiles if tile.points and tile.split != BUFFER]
    if not tiles:
        raise PcaugError("holds no points to compare", corpus.folder)
    chosen = stratified([tile.unit for tile in tiles], TILES, np.random.default_rng((*seed, 0)))
    level, group_of = _level(tiles)
    jobs = [(corpus, tiles[number], classes, (*seed, 1, number)) for number in chosen]
    found = {}
    for index, piece in completed(_piece, jobs, workers=workers, scheduler=scheduler):
        found[index] = piece
        progress(f"tiles of {corpus.folder.name}", len(found), len(jobs))
    pieces = [found[index] for index in range(len(jobs))]
    owner = [group_of[number] * (9 if level == "blocks" else 1) for number in chosen]
    return _joined(pieces, owner, level, _counts(tiles, classes, group_of), corpus.points, (len(chosen), len(tiles)))


def _joined(pieces: list[_Piece], owner: list[int], level: str, counts: Table, points: int, tiles: tuple[int, int]) -> Sample:
    group = np.concatenate(
        [first + (p.block if level == "blocks" else 0 * p.block) for p, first in zip(pieces, owner, strict=True)]
    )
    label = np.concatenate([p.label for p in pieces])
    if level == "blocks":
        found = np.zeros((9 * len(pieces), counts.shape[1]))
        np.add.at(found, (group[label != IGNORE], label[label != IGNORE]), 1)
        counts = found * counts.sum() / max(found.sum(), 1)
    seen = [(p.above, first) for p, first in zip(pieces, owner, strict=True) if p.above is not None]
    objects: dict[int, list[tuple[int, PointCloud]]] = {}
    for p, first in zip(pieces, owner, strict=True):
        for index, found_objects in p.objects.items():
            objects.setdefault(index, []).extend((first, cloud) for cloud in found_objects)
    return Sample(
        values=np.concatenate([p.values for p in pieces]),
        label=label,
        group=group.astype(np.int64),
        normal=np.concatenate([p.normal for p in pieces]),
        twin=np.concatenate([p.twin for p in pieces]),
        rise=float(np.median([p.rise for p in pieces])),
        groups=counts,
        points=points,
        level=level,
        above=np.array([row for row, _ in seen]).reshape(len(seen), CELLS * CELLS),
        above_group=np.array([first for _, first in seen], np.int64),
        objects=objects,
        parts=[p.part for p in pieces],
        contents=Contents.joined([p.contents for p in pieces]),
        tiles=tiles,
    )


def _piece(job: tuple[Corpus, Tile, ClassSet, tuple[int, ...]]) -> _Piece:
    """Read a tile and take what is wanted of it."""
    corpus, tile, classes, seed = job
    rng = np.random.default_rng(seed)
    cloud, frame = corpus.read(tile), corpus.manifest.frame
    rows, around = _drawn(cloud.xyz, rng)
    height = height_above_ground(cloud.xyz)
    values, normal, twin = describe(cloud, rows, frame, around, height)
    return _Piece(
        values, classes.index(cloud["label"][rows]), _blocks(cloud.xyz[rows]), normal, twin,
        rise=float(np.subtract(*np.percentile(cloud.xyz[:, 2], [98, 2]))),
        above=_from_above(cloud.xyz) if frame == "sensor" else None,
        objects=_objects(cloud, classes, rng),
        part=describe_cloud(cloud, frame, height),
        contents=contents(cloud, corpus.manifest.sources[tile.source].card),
    )  # fmt: skip


def at_most(count: int, rows: NDArray[np.intp], rng: np.random.Generator) -> NDArray[np.intp]:
    """All rows, or so many of them drawn at random, in order."""
    return rows if len(rows) <= count else np.sort(rng.choice(rows, count, replace=False))


def stratified(units: list[str], most: int, rng: np.random.Generator) -> list[int]:
    """Numbers of at most ``most`` tiles: the units take turns, each giving its tiles in random order."""
    order = rng.permutation(len(units))
    turn: dict[str, int] = {}
    ranked = []
    for number in order.tolist():
        turn[units[number]] = turn.get(units[number], -1) + 1
        ranked.append((turn[units[number]], number))
    ranked.sort(key=lambda pair: pair[0])
    return sorted(number for _, number in ranked[:most])


def _level(tiles: list[Tile]) -> tuple[str, NDArray[np.int64]]:
    """What groups are, and the group of each tile: units where there are GROUPS of them, else tiles, else blocks of tiles."""
    units = sorted({tile.unit for tile in tiles})
    if len(units) >= GROUPS:
        return "units", np.array([units.index(tile.unit) for tile in tiles])
    return "tiles" if len(tiles) >= GROUPS else "blocks", np.arange(len(tiles))


def _blocks(xyz: Table) -> NDArray[np.int64]:
    """0..8: which of nine plan blocks of about as many points each."""
    column = np.searchsorted(np.quantile(xyz[:, 0], [1 / 3, 2 / 3]), xyz[:, 0])
    row = np.searchsorted(np.quantile(xyz[:, 1], [1 / 3, 2 / 3]), xyz[:, 1])
    return (3 * column + row).astype(np.int64)


def _counts(tiles: list[Tile], classes: ClassSet, group_of: NDArray[np.int64]) -> Table:
    """Points of each class in each group (G, K), from the manifest."""
    total = np.zeros((int(group_of.max()) + 1, len(classes.groups)))
    for group, tile in zip(group_of, tiles, strict=True):
        nodes = np.array([int(node) for node in tile.counts], dtype=np.int64)
        for index, count in zip(classes.index(nodes), tile.counts.values(), strict=True):
            if index != IGNORE:
                total[group, index] += count
    return total


def _drawn(xyz: Table, rng: np.random.Generator) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows that are sampled, and the rows among which their neighbours are: all, or those of some cells of a large tile.

    Cells are drawn alike whatever they hold, so that each point is as likely as any other.
    """
    inner = around = np.arange(len(xyz))
    if len(xyz) > LARGE:
        edge = float(np.sqrt(np.prod(np.ptp(xyz[:, :2], axis=0)) * LARGE / len(xyz) / WINDOWS))
        numbers, owner = np.unique(own_cells(xyz, edge), return_inverse=True)
        chosen = np.zeros(len(numbers), bool)
        chosen[rng.choice(len(numbers), min(WINDOWS, len(numbers)), replace=False)] = True
        around = np.flatnonzero(chosen[owner.reshape(-1)])
        place = (xyz[around, :2] - xyz[:, :2].min(axis=0)) % edge
        margin = min(MARGIN, edge / 4)
        inner = around[((place > margin) & (place < edge - margin)).all(axis=1)]
    return np.sort(rng.choice(inner, min(PER_TILE, len(inner)), replace=False)), around


def describe(
    cloud: PointCloud,
    rows: NDArray[np.intp],
    frame: str,
    around: NDArray[np.intp] | None = None,
    height: Table | None = None,
) -> tuple[Table, Table, Mask]:
    """QUANTITIES (R, Q), directions (R, 3) and twins (R,) of some points, their neighbours taken from ``around`` (default all).

    The height (N,) above ground is found where it is not given.

    Roughness is the root of the smallest eigenvalue of the neighbourhood's covariance, flatness the difference of the
    two smallest over the largest, verticality one minus the vertical part of the normal (Weinmann et al. 2015).
    """
    xyz = cloud.xyz
    near = xyz if around is None or len(around) == len(xyz) else xyz[around]
    distance = _tree(near).query(xyz[rows], k=min(NEAREST, len(near)))[0].reshape(len(rows), -1)
    thin = near[voxels(near, max(SURFACE, float(np.ptp(near, axis=0).max()) / 1e6))[0]]  # at most 1e18 voxels: they fit 64 bits
    index = _tree(thin).query(xyz[rows], k=min(NEIGHBOURS, len(thin)))[1].reshape(len(rows), -1)
    local = thin[index] - thin[index].mean(axis=1, keepdims=True)
    eigen, axes = np.linalg.eigh(np.einsum("nki,nkj->nij", local, local) / index.shape[1])
    root = np.sqrt(np.maximum(eigen, 0))
    several = distance.shape[1] > 1
    nothing = np.full(len(rows), np.nan)
    values = np.column_stack([
        (height_above_ground(xyz) if height is None else height)[rows],
        np.linalg.norm(xyz[rows], axis=1) if frame == "sensor" else nothing,
        np.median(distance[:, 1:], axis=1) if several else nothing,
        root[:, 0],
        (root[:, 1] - root[:, 0]) / np.maximum(root[:, 2], 1e-9),
        1 - np.abs(axes[:, 2, 0]),
        _intensity(cloud, rows),
        cloud["number_of_returns"][rows].astype(float) if "number_of_returns" in cloud else nothing,
    ])  # fmt: skip
    return values, np.abs(axes[:, :, 0]), distance[:, 1] == 0 if several else np.zeros(len(rows), bool)


def _tree(xyz: Table) -> cKDTree:
    return cKDTree(xyz, balanced_tree=False, compact_nodes=False)


def _intensity(cloud: PointCloud, rows: NDArray[np.intp]) -> Table:
    """Intensity over the cloud's 95th percentile; NaN where there is none, or always the same."""
    if "intensity" in cloud:
        level = cloud["intensity"].astype(np.float64)
        known = level[np.isfinite(level)]
        if len(known) and np.ptp(known) > 0:
            found: Table = level[rows] / max(float(np.percentile(known, 95)), 1e-9)
            return found
    return np.full(len(rows), np.nan)


def _from_above(xyz: Table) -> Table:
    """Share of points in each cell of the square around the scanner, (CELLS * CELLS,)."""
    edges = np.linspace(-REACH, REACH, CELLS + 1)
    return to_shares(np.histogram2d(xyz[:, 0], xyz[:, 1], (edges, edges))[0].reshape(-1))


def _objects(cloud: PointCloud, classes: ClassSet, rng: np.random.Generator) -> dict[int, list[PointCloud]]:
    """Some objects of each class of separate things, thinned to SHAPE points."""
    index = classes.index(cloud["label"])
    things = [classes.taxonomy.id(name) for name in THINGS]
    found = {}
    for number in np.unique(index[index != IGNORE]).tolist():
        members = cloud.take(index == number)
        single = "instance" in cloud and members["instance"].any()
        if any(classes.taxonomy.covers(t, classes.groups[number].nodes[0]) for t in things) and (single or len(members) <= CROWD):
            objects = gather([members], classes.groups[number].name, least=SHAPE // 2, most=OBJECTS, empty=True)
            found[number] = [o.take(rng.choice(len(o), min(SHAPE, len(o)), replace=False)) for o in objects]
    return found
