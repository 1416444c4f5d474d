"""Augmentation of blocks: what a feature measures changes with the points that it was computed from.

Features are computed once a tile, augmentations are drawn anew for each block. Turned or mirrored, a feature stays what it is;
stretched, lengths grow with the points; and intensity and colour are changed by the augmentations that are made for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.augment import Pipeline
from pcaug.cloud import HEIGHT, PointCloud
from pcaug.segment.blocks import Block
from pcaug.segment.features import Follow, follows

FIELDS = {Follow.INTENSITY: "intensity", Follow.COLOUR: "rgb"}
"""Fields of a cloud that features of a kind are while augmentations work."""


def augmented(block: Block, groups: tuple[str, ...], pipe: Pipeline, rng: np.random.Generator) -> Block:
    """A block after a pipeline, with as many points; dropped ones are made up for by others twice.

    Args:
        block: Its features are those of ``groups``, raw.
        groups: Names of ``pcaug.segment.features.GROUPS``.
        pipe: Augmentations.
        rng: Their draws.
    """
    if not pipe.steps:
        return block
    kinds = follows(groups)
    columns = {name: where for kind, name in FIELDS.items() if len(where := _columns(kinds, kind))}
    fields = {name: block.features[:, where] for name, where in columns.items()}
    fields = {name: values[:, 0] if values.shape[1] == 1 else values for name, values in fields.items()}
    probe = np.ones(len(block.xyz), np.float32)  # a metre: what becomes of it, becomes of all lengths
    own: dict[str, NDArray[Any]] = {"class": block.label, HEIGHT: probe, "row": np.arange(len(probe))}
    cloud = PointCloud(block.xyz.astype(np.float64), own | fields)
    cloud = pipe(cloud, rng)
    rows = np.resize(np.arange(len(cloud)), len(block.xyz))
    table = block.features[cloud["row"][rows]]
    for name in fields:
        table[:, columns[name]] = cloud[name][rows].reshape(len(rows), -1)
    factor = max(float(np.median(cloud[HEIGHT])), 1e-3) if len(cloud) else 1.0
    table[:, _columns(kinds, Follow.LENGTH)] *= np.float32(factor)
    table[:, _columns(kinds, Follow.LOG_LENGTH)] += np.float32(np.log(factor))
    return Block(cloud.xyz[rows].astype(np.float32), table, cloud["class"][rows])


def _columns(kinds: tuple[Follow, ...], kind: Follow) -> NDArray[np.intp]:
    return np.flatnonzero([k is kind for k in kinds])
