"""S3DIS: a room is a folder of text files, one an object, whose names are the classes.

``Area_N/room_n/Annotations/class_n.txt`` holds lines of x y z r g b; ``Area_N/room_n/room_n.txt`` all points of the room without
their classes: its path stands for the room. Classes outside the thirteen ("stairs") count as clutter, as in PointNet.
"""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError
from pcaug.formats import check_filled

CONTROL = bytes(32 if byte < 32 and byte not in b"\r\n" else byte for byte in range(256))
"""Stray control bytes stand for a space in some published files (Area_5/hallway_6/Annotations/ceiling_1.txt)."""


def read(path: Path, part: str, ids: Mapping[str, int]) -> PointCloud:
    """Read one room, object by object; ``instance`` counts them from 1. Without annotations it has no classes."""
    objects = companions(path)
    if not objects:
        check_filled(path)
        return _cloud(_table(path), {}, path)
    tables = [_table(file) for file in objects]
    sizes = [len(table) for table in tables]
    classes = [ids.get(file.name.split("_")[0].lower(), ids["clutter"]) for file in objects]
    fields = {
        "native_label": np.repeat(np.array(classes, np.int32), sizes),
        "instance": np.repeat(np.arange(1, len(objects) + 1, dtype=np.int32), sizes),
    }
    return _cloud(np.concatenate(tables), fields, path)


def companions(path: Path) -> list[Path]:
    """The objects of a room, sorted."""
    return sorted((path.parent / "Annotations").glob("*.txt"))


def _table(path: Path) -> NDArray[np.float64]:
    data = path.read_bytes().translate(CONTROL)
    if not data.strip():
        return np.zeros((0, 6))
    try:
        table: NDArray[np.float64] = np.loadtxt(BytesIO(data), ndmin=2)
    except ValueError as error:
        raise FileError(f"is not a table of numbers ({error})", path, "correct the line: x y z r g b") from None
    if table.shape[1] != 6:
        raise FileError(f"has {table.shape[1]} columns, not x y z r g b", path, "download it again")
    return table


def _cloud(table: NDArray[np.float64], fields: Mapping[str, NDArray[Any]], path: Path) -> PointCloud:
    return PointCloud(table[:, :3], {"rgb": table[:, 3:].astype(np.uint16), **fields}, source=Source(file=str(path)))
