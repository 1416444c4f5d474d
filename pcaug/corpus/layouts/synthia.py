"""Synthia 4D as prepared for MeteorNet: ``SEQUENCE-FRAME.npz`` with pc, rgb (0..1), semantic and center.

semantic_seg_synthia/data_prep/gen_pc_with_label.py of xingyul/meteornet writes minus the world's positions, whose y points up:
clouds are turned back, z up, with the camera at the origin.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError

LIMIT = 1 << 28
"""Bytes that one array may unpack to; real ones have half a million."""


def read(path: Path, part: str, ids: Mapping[str, int]) -> PointCloud:
    """Read one frame."""
    arrays = {name: _array(path, name) for name in ("pc", "rgb", "semantic", "center")}
    points, labels = arrays["pc"], arrays["semantic"]
    if points.ndim != 2 or points.shape[1] != 3 or arrays["rgb"].shape != points.shape or arrays["center"].shape != (3,):
        raise FileError("has arrays of other shapes than a frame's", path, "prepare it again")
    if labels.shape != points.shape[:1]:
        raise FileError(f"has {labels.size} labels for {len(points)} points", path, "prepare it again")
    world = -(points.astype(np.float64) - arrays["center"])
    xyz = np.stack([world[:, 0], -world[:, 2], world[:, 1]], axis=1)
    rgb = np.clip(np.rint(arrays["rgb"] * 255), 0, 255).astype(np.uint16)
    return PointCloud(xyz, {"rgb": rgb, "native_label": labels.astype(np.int32)}, source=Source(file=str(path)))


def _array(path: Path, name: str) -> NDArray[Any]:
    """One array of numbers of an npz; nothing is unpickled, and no header is believed before the file's size."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = archive.getinfo(f"{name}.npy").file_size
            if size > LIMIT:
                raise FileError(f"array {name!r} unpacks to {size} bytes", path, "it is not a frame")
            with archive.open(f"{name}.npy") as file:
                version = np.lib.format.read_magic(file)
                head = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
                shape, fortran, dtype = head(file)
                if dtype.kind not in "iuf":
                    raise FileError(f"array {name!r} holds no numbers", path, "prepare it again")
                return np.frombuffer(file.read(), dtype).reshape(shape, order="F" if fortran else "C")
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError, OSError) as error:
        raise FileError(f"is not a frame of Synthia, or is truncated ({error})", path, "prepare it again") from None
