"""Sydney Urban Objects: one file an object, whose name begins with its class (``4wd.0.2299.bin``).

Records of 34 bytes, or the same columns as comma-separated text: t, intensity, id, x, y, z, azimuth, range, pid. The scanner's z
points down; clouds are turned half round their x axis, so that z points up and left stays left.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, LabelError
from pcaug.formats import check_filled

RECORD = np.dtype(
    [("t", "<i8"), ("intensity", "u1"), ("id", "u1"), ("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("azimuth", "<f4"),
     ("range", "<f4"), ("pid", "<i4")]
)  # fmt: skip


def read(path: Path, part: str, ids: Mapping[str, int]) -> PointCloud:
    """Read one object; every point has its class."""
    name = path.name.split(".")[0].lower()
    if name not in ids:
        raise LabelError(f"is an object of class {name!r}, which the card does not have", path, "add it to a card of your own")
    intensity, ring, x, y, z = _text(path) if path.suffix.lower() == ".csv" else _binary(path)
    fields: dict[str, NDArray[Any]] = {
        "intensity": intensity.astype(np.float32),
        "ring": ring.astype(np.uint16),
        "native_label": np.full(len(x), ids[name], np.int32),
    }
    xyz = np.stack([x, -y, -z], axis=1).astype(np.float64)
    return PointCloud(xyz, fields, source=Source(file=str(path)))


def _text(path: Path) -> list[NDArray[Any]]:
    try:
        table = np.loadtxt(path, delimiter=",", usecols=range(1, 6), ndmin=2)  # the time before them may be words
    except ValueError as error:
        raise FileError(f"is not a table of nine columns ({error})", path, "download it again") from None
    return list(table.T)


def _binary(path: Path) -> list[NDArray[Any]]:
    check_filled(path)
    length = path.stat().st_size
    if length % RECORD.itemsize:
        raise FileError(f"is truncated: {length} bytes are not a whole number of points", path, "download it again")
    rows = np.fromfile(path, RECORD)
    return [rows[name] for name in ("intensity", "id", "x", "y", "z")]
