"""Prediction: whole clouds, every original point, all fields kept."""

from __future__ import annotations

from collections.abc import Callable
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
from pcaug.segment.blocks import GridIndex, cut
from pcaug.segment.features import Prepared, prepare
from pcaug.segment.run import WEIGHTS, Run
from pcaug.segment.train import build, probabilities

Progress = Callable[[str, int, int], None]
STRIDE = 0.7
"""Distance of windows over their edge: neighbours overlap and vote."""


@dataclass
class Segmenter:
    """A run, ready to label clouds."""

    run: Run
    model: Any

    @classmethod
    def load(cls, run: Run) -> Segmenter:
        """Load the weights; raises FileError where they do not fit the card."""
        if run.recipe.network == "trees":
            return cls(run, trees.load(run))
        network = build(run)
        try:
            network.load_state_dict(load_file(run.folder / WEIGHTS))
        except (RuntimeError, OSError, SafetensorError) as error:
            raise FileError(f"does not fit its card ({type(error).__name__})", run.folder / WEIGHTS, "train again") from None
        return cls(run, network.eval())

    def label(self, cloud: PointCloud, frame: str) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Class index (N,) uint8 and its probability (N,) float32 of every point of a cloud."""
        recipe = self.run.recipe
        return self.label_prepared(prepare(cloud, recipe.features, recipe.voxel, frame))

    def label_prepared(self, tile: Prepared) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """As ``label``, of a cloud that is prepared already."""
        count = len(self.run.classes.groups)
        votes = trees.predict(self.model, tile.features, count) if self.run.recipe.network == "trees" else self._vote(tile, count)
        best = votes.argmax(axis=1).astype(np.uint8) if len(votes) else np.zeros(0, np.uint8)
        sure = votes.max(axis=1) / np.maximum(votes.sum(axis=1), 1e-9) if len(votes) else np.zeros(0)
        return best[tile.voxel_of], sure[tile.voxel_of].astype(np.float32)

    def _vote(self, tile: Prepared, count: int) -> NDArray[np.float32]:
        """Summed probabilities (V, K) of overlapping windows; a window with too many points is seen in parts."""
        recipe = self.run.recipe
        votes = np.zeros((len(tile.xyz), count), np.float32)
        if not len(votes):
            return votes
        xy = np.ascontiguousarray(tile.xyz[:, :2])
        index = GridIndex(xy, recipe.block / 4)
        step = recipe.block * STRIDE
        centres = (np.unique(np.floor(xy / step).astype(np.int64), axis=0) + 0.5) * step
        rng = np.random.default_rng((recipe.seed, 0, 0))
        for centre in centres:
            inside = rng.permutation(index.square(xy, centre, recipe.block))
            parts = [p for p in np.array_split(inside, max(1, -(-len(inside) // recipe.points))) if len(p)]
            blocks = [cut(tile, np.resize(part, recipe.points), centre) for part in parts]
            for part, probability in zip(parts, probabilities(self.run, self.model, blocks), strict=True):
                votes[part] += probability[: len(part)]
        return votes


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
