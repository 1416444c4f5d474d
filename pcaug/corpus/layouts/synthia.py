"""Synthia 4D as prepared for MeteorNet: ``SEQUENCE-FRAME.npz`` with pc, rgb (0..1), semantic and center.

semantic_seg_synthia/data_prep/gen_pc_with_label.py of xingyul/meteornet writes minus the world's positions, whose y points up:
clouds are turned back, z up, with the camera at the origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError
from pcaug.formats import arrays

LIMIT = 1 << 28
"""Bytes that one array may unpack to; real ones have half a million."""


def read(path: Path, part: str, ids: Mapping[str, int]) -> PointCloud:
    """Read one frame."""
    points, colours, labels, centre = arrays.named(path, ("pc", "rgb", "semantic", "center"), LIMIT)
    if points.ndim != 2 or points.shape[1] != 3 or colours.shape != points.shape or centre.shape != (3,):
        raise FileError("has arrays of other shapes than a frame's", path, "prepare it again")
    if labels.shape != points.shape[:1]:
        raise FileError(f"has {labels.size} labels for {len(points)} points", path, "prepare it again")
    world = -(points.astype(np.float64) - centre)
    xyz = np.stack([world[:, 0], -world[:, 2], world[:, 1]], axis=1)
    rgb = np.clip(np.rint(colours * 255), 0, 255).astype(np.uint16)
    return PointCloud(xyz, {"rgb": rgb, "native_label": labels.astype(np.int32)}, source=Source(file=str(path)))
