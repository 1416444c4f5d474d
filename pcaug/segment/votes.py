"""Votes: what a network makes of a whole prepared cloud, however large.

Networks are shown overlapping regions like those that they were trained on. ``Pillars`` looks at what lies around a point,
wherever that is, so it is shown the whole plan of a map at once, or large pieces of it with all that their points can see. Of a
scan it is shown regions, too: near a spinning scanner points are many times as dense as in the thinned regions of training.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from pcaug.errors import FileError
from pcaug.segment import region
from pcaug.segment.blocks import Block, GridIndex, cut
from pcaug.segment.dataset import normalised
from pcaug.segment.features import Prepared
from pcaug.segment.model import probabilities
from pcaug.segment.networks.pillars import AT_ONCE, Pillars
from pcaug.segment.run import Run
from pcaug.segment.voxel import voxels

Rows = slice | NDArray[np.intp]
FARTHEST = 2.0**24
"""Metres from a cloud's origin from where float32 no longer tells one metre from the next, and a region would miss its point."""
PIECE = 512
"""Cells along an edge of the pieces of a plan: what bounds memory, whatever a cloud's extent."""


def votes(run: Run, network: nn.Module, tile: Prepared, views: int = 1) -> NDArray[np.float32]:
    """Probabilities (V, K) of a cloud's voxels, summed over what votes.

    Args:
        run: Of the network.
        network: In evaluation mode.
        tile: Any number of voxels.
        views: Turned and mirrored views that vote, 1 to 8.

    Raises:
        FileError: If a point lies too far from the others to be placed.
    """
    far = float(np.abs(tile.xyz).max(initial=0))
    if far > FARTHEST:
        raise FileError(f"a point lies {far:.2g} m from the middle of the cloud", do="check its unit, or remove stray points")
    summed = np.zeros((len(tile.xyz), len(run.classes.groups)), np.float32)
    if not len(summed):
        return summed
    if isinstance(network, Pillars) and run.frames == {"map"} and run.recipe.region in ("block", "column"):
        for view in range(views):
            _add_planes(summed, run, network, tile, view)
    else:
        _add_regions(summed, run, network, tile, views)
    return summed


def _add_planes(summed: NDArray[np.float32], run: Run, network: Pillars, tile: Prepared, view: int) -> None:
    """Add the probabilities of each voxel from the piece of the plan that it lies in."""
    where = next(network.parameters()).device
    place = _turned(tile.xyz[:, :2], view) * np.float32(network.grid / run.recipe.block)
    for seen, own in _pieces(place, network.reach):
        table = tile.features[seen]

        def described(part: slice, table: NDArray[np.float32] = table) -> torch.Tensor:
            return torch.from_numpy(normalised(table[part], run.mean, run.spread)).to(where)

        with torch.inference_mode():
            found = network.plane(torch.from_numpy(place[seen]).to(where), described).softmax(1).cpu().numpy()
        summed[seen] += found * own[:, None]


def _pieces(place: NDArray[np.float32], reach: int) -> Iterator[tuple[Rows, NDArray[np.bool_]]]:
    """Points (S,) that each piece of a plan must see, and which of them (S,) lie in it, of those at places (V, 2), in cells."""
    if (np.ptp(place, axis=0) < PIECE).all():
        yield slice(None), np.ones(len(place), bool)
        return
    one_of_each, piece = voxels(np.column_stack([place, np.zeros(len(place))]), PIECE)
    for number, low in enumerate(np.floor(place[one_of_each] / PIECE) * PIECE):
        seen = np.flatnonzero(((place >= low - reach) & (place < low + PIECE + reach)).all(axis=1))
        yield seen, piece[seen] == number


def _turned(xy: NDArray[np.float32], view: int) -> NDArray[np.float32]:
    """Plan positions (N, 2) turned by quarter turns, mirrored from the fourth view on."""
    x, y = xy.T
    for _ in range(view % 4):
        x, y = -y, x
    return np.stack([-x if view >= 4 else x, y], axis=1)


def _add_regions(summed: NDArray[np.float32], run: Run, network: nn.Module, tile: Prepared, views: int) -> None:
    """Add the probabilities of overlapping regions; one with too many points is seen in parts."""
    recipe = run.recipe
    rng = np.random.default_rng((recipe.seed, 0, 0))
    waiting: list[tuple[NDArray[np.integer], Block]] = []
    for rows, centre in _regions(tile, run):
        shuffled = rng.permutation(rows)
        for part in np.array_split(shuffled, -(-len(rows) // recipe.points)):
            block = cut(tile, np.resize(part, recipe.points), centre)
            waiting += [(part, _view(block, view)) for view in range(views)]
        if len(waiting) * recipe.points >= AT_ONCE:
            _add_blocks(summed, run, network, waiting)
            waiting = []
    _add_blocks(summed, run, network, waiting)


def _regions(tile: Prepared, run: Run) -> Iterator[tuple[NDArray[np.integer], NDArray[np.float64]]]:
    """Rows and centre of each region that holds points; neighbours overlap."""
    xyz = np.ascontiguousarray(tile.xyz)
    index = GridIndex.of(xyz[:, :2])
    for centre in region.covering(xyz, run.recipe):
        yield region.rows(xyz, index, centre, run.recipe), centre


def _add_blocks(
    summed: NDArray[np.float32], run: Run, network: nn.Module, waiting: Sequence[tuple[NDArray[np.integer], Block]]
) -> None:
    found = probabilities(run, network, [block for _, block in waiting])
    for (part, _), probability in zip(waiting, found, strict=True):
        summed[part] += probability[: len(part)]


def _view(block: Block, view: int) -> Block:
    """A block turned in plan."""
    xyz = np.concatenate([_turned(block.xyz[:, :2], view), block.xyz[:, 2:]], axis=1)
    return Block(xyz, block.features, block.label)
