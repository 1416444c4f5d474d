"""Prediction: whole clouds, every original point, all fields kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from pcaug import formats
from pcaug.cloud import PointCloud, concatenate
from pcaug.corpus.sources import scans
from pcaug.errors import FileError, PcaugError
from pcaug.segment import trees
from pcaug.segment.blocks import Block, GridIndex, cut
from pcaug.segment.features import Prepared, prepare
from pcaug.segment.model import AT_ONCE, build, device, probabilities
from pcaug.segment.run import WEIGHTS, Run

Progress = Callable[[str, int, int], None]
STRIDE = 0.7
"""Distance of windows over their edge: neighbours overlap and vote."""


@dataclass
class Segmenter:
    """A run, ready to label clouds.

    Attributes:
        run: Its card.
        model: The network, or the forest.
        views: Turned and mirrored views of each window that vote (test-time augmentation): 1 to 8, the square's symmetries.
    """

    run: Run
    model: Any
    views: int = 1

    @classmethod
    def load(cls, run: Run, views: int = 1) -> Segmenter:
        """Load the weights; raises FileError where they do not fit the card."""
        if run.recipe.network == "trees":
            return cls(run, trees.load(run))
        network = build(run)
        try:
            network.load_state_dict(load_file(run.folder / WEIGHTS))
        except (RuntimeError, OSError, SafetensorError) as error:
            raise FileError(f"does not fit its card ({type(error).__name__})", run.folder / WEIGHTS, "train again") from None
        return cls(run, network.eval().to(device()), views)

    def label(self, cloud: PointCloud, frame: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Class index (N,) uint8 and its probability (N,) float32 of every point of a cloud."""
        recipe = self.run.recipe
        return self.label_prepared(prepare(cloud, recipe.features, recipe.voxel, frame))

    def label_prepared(self, tile: Prepared) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """As ``label``, of a cloud that is prepared already."""
        votes = self.votes(tile)
        best = votes.argmax(axis=1).astype(np.uint8) if len(votes) else np.zeros(0, np.uint8)
        sure = votes.max(axis=1) / np.maximum(votes.sum(axis=1), 1e-9) if len(votes) else np.zeros(0)
        return best[tile.voxel_of], sure[tile.voxel_of].astype(np.float32)

    def votes(self, tile: Prepared) -> NDArray[np.float32]:
        """Summed probabilities (V, K) of overlapping windows; a window with too many points is seen in parts."""
        recipe, count = self.run.recipe, len(self.run.classes.groups)
        if recipe.network == "trees":
            return trees.predict(self.model, tile.features, count)
        votes = np.zeros((len(tile.xyz), count), np.float32)
        if not len(votes):
            return votes
        rng = np.random.default_rng((recipe.seed, 0, 0))
        waiting: list[tuple[NDArray[np.integer], Block]] = []
        for rows, centre in self._windows(tile):
            shuffled = rng.permutation(rows)
            for part in np.array_split(shuffled, -(-len(rows) // recipe.points)):
                block = cut(tile, np.resize(part, recipe.points), centre)
                waiting += [(part, _view(block, view)) for view in range(self.views)]
            if len(waiting) * recipe.points >= AT_ONCE:
                self._add(votes, waiting)
                waiting = []
        self._add(votes, waiting)
        return votes

    def _windows(self, tile: Prepared) -> Iterator[tuple[NDArray[np.integer], NDArray[np.float64]]]:
        """Rows and centre of each window that holds points; neighbours overlap."""
        xy = np.ascontiguousarray(tile.xyz[:, :2])
        index, step = GridIndex.of(xy), self.run.recipe.block * STRIDE
        for centre in (np.unique(np.floor(xy / step).astype(np.int64), axis=0) + 0.5) * step:
            yield index.square(xy, centre, self.run.recipe.block), centre

    def _add(self, votes: NDArray[np.float32], waiting: Sequence[tuple[NDArray[np.integer], Block]]) -> None:
        found = probabilities(self.run, self.model, [block for _, block in waiting])
        for (part, _), probability in zip(waiting, found, strict=True):
            votes[part] += probability[: len(part)]


def _view(block: Block, view: int) -> Block:
    """A block turned by quarter turns, mirrored from the fourth view on."""
    x, y, z = block.xyz.T
    for _ in range(view % 4):
        x, y = -y, x
    return Block(np.stack([-x if view >= 4 else x, y, z], axis=1), block.features, block.label)


def labelled(segmenter: Segmenter, cloud: PointCloud, frame: str) -> PointCloud:
    """The cloud with ``prediction`` (taxonomy node) and ``confidence`` beside its own fields."""
    best, sure = segmenter.label(cloud, frame)
    return cloud.with_fields(cloud.taxonomy, prediction=segmenter.run.classes.node(best), confidence=sure)


def predict(
    run: Run,
    source: str | Path,
    target: str | Path,
    card: str | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> int:
    """Label a scan, or each scan of a folder.

    Args:
        run: A finished run.
        source: A file, or a folder of files.
        target: A file of a known format for a file; a folder for a folder (same names, same formats).
        card: How to read the source.
        force: Write over what exists.
        progress: Called as ``progress("scans", done, total)``.

    Returns:
        Points labelled. In LAS the class goes into ``classification`` too, unless the file holds classes of its own.
    """
    source, target = Path(source), Path(target)
    found = scans(source, card)
    if formats.is_known(target) != source.is_file():
        raise PcaugError("source and target must both be files or both be folders", target)
    if target.exists() and not force:
        raise PcaugError("already exists", target, "choose another name or pass --force")
    segmenter = Segmenter.load(run)
    frame = "map" if any(row.get("frame") == "map" for row in run.data) else "sensor"
    total = 0
    for index, scan in enumerate(found):
        cloud = concatenate([chunk for chunk in replace(scan, card=None).chunks() if len(chunk)] or list(scan.chunks()))
        done = labelled(segmenter, cloud, scan.card.frame if scan.card else frame)
        path = target if source.is_file() else target / scan.path.relative_to(source)
        if path.suffix.lower() in (".las", ".laz"):
            done = _classified(done)
        formats.write(path, done)
        total += len(done)
        if progress:
            progress("scans", index + 1, len(found))
    return total


def _classified(cloud: PointCloud) -> PointCloud:
    """For LAS: unclassified files get the prediction as ASPRS class; others keep theirs, the prediction stays beside it."""
    native = cloud["native_label"] if "native_label" in cloud else np.zeros(len(cloud), np.int32)
    if np.isin(native, [0, 1]).all():
        return cloud.with_fields(native_label=formats.las.asprs(cloud["prediction"]).astype(np.int32))
    return cloud
