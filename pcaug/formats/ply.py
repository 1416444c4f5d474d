"""PLY, ascii and binary, any properties of any type, through plyfile (Open3D drops what it does not know).

List properties on points are left out with a warning: a cloud has as many columns for every point.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyListProperty, PlyParseError

from pcaug.cloud import PointCloud
from pcaug.errors import FileError, PcaugError
from pcaug.formats import naming

TYPES = {"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint", "f4": "float", "f8": "double"}
MARK = "pcaug "
"""Begins the comment in our own files; what ``naming.describe`` says follows."""

COUNT = re.compile(rb"\d{1,18}")
"""An element's count; Python takes seconds for numbers of thousands of digits, and then refuses them."""


def read_chunks(path: Path, size: int, label: str | None = None) -> Iterator[PointCloud]:
    """Stream a PLY file's points; binary files are memory-mapped.

    Args:
        path: The file.
        size: Points per chunk.
        label: Column with the class ids, where its name is not one of ``naming.LABELS``.
    """
    _check_counts(path)
    try:
        data = PlyData.read(str(path), mmap="c")
    except (PlyParseError, ValueError, KeyError, IndexError, UnicodeDecodeError, OverflowError, MemoryError) as error:
        raise FileError(f"is not a PLY file, or is truncated ({error})", path, "download it again") from None
    table = _points(data, path)
    names = [name for name in table.dtype.names or () if table.dtype[name].kind != "O"]
    said = naming.understand(next((c.removeprefix(MARK) for c in data.comments if c.startswith(MARK)), ""), path)
    made = naming.plan(names, path, said, label)
    for start in range(0, max(len(table), 1), size):
        rows = table[start : start + size]
        yield naming.assemble(rows.__getitem__, made, path, said)


def _check_counts(path: Path) -> None:
    """Refuse element counts that the file cannot hold, before anything is allocated for them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(65536)
    if not head.startswith(b"ply"):
        raise FileError("is not a PLY file", path, "check the file")
    for line in head.split(b"end_header")[0].splitlines():
        words = line.split()
        if words[:1] == [b"element"] and (len(words) != 3 or not COUNT.fullmatch(words[2]) or int(words[2]) > size):
            raise FileError(f"is truncated or malformed: {line.decode('latin-1')!r} in {size} bytes", path, "download it again")


def _points(data: Any, path: Path) -> NDArray[Any]:
    """The element with x, y and z, as a structured array: of several the one called vertex, or the first; others are left out."""
    placed = [element for element in data.elements if {"x", "y", "z"} <= {p.name.lower() for p in element.properties}]
    if not placed:
        raise FileError("has no element with x, y and z", path, "check the file")
    points = next((element for element in placed if element.name == "vertex"), placed[0])
    for element in placed:
        if element is not points:
            naming.skipped(f"element {element.name!r}, which has x, y and z as well,", path)
    for p in points.properties:
        if isinstance(p, PlyListProperty):
            naming.skipped(f"list property {p.name!r}", path)
    table: NDArray[Any] = points.data
    return table


def write(path: Path, chunks: Iterator[PointCloud], *, ascii: bool = False) -> int:
    """Write PLY; positions as double, fields in their own types, vectors as one property a component."""
    written = 0
    kinds: np.dtype[Any] | None = None
    with path.open("wb") as file:
        for chunk in chunks:
            columns = naming.spread(chunk)
            if kinds is None:
                kinds = _kinds(columns)
                file.write(_head(chunk, kinds, 0, ascii=ascii))
            table = _table(columns, kinds)
            if ascii:
                for row in table:
                    file.write((" ".join(repr(value) for value in row.tolist()) + "\n").encode())
            else:
                file.write(table.tobytes())
            written += len(chunk)
            last = chunk
        if kinds is not None:
            file.seek(0)
            file.write(_head(last, kinds, written, ascii=ascii))
    return written


def _kinds(columns: dict[str, NDArray[Any]]) -> np.dtype[Any]:
    """Types of the properties, which the first points decide for all; raises PcaugError for what PLY has no type for."""
    kinds = []
    for name, values in columns.items():
        code = values.dtype.str[1:].replace("b1", "u1").replace("f2", "f4")
        if code in ("i8", "u8"):  # PLY has no 64-bit integers
            code = "u4" if len(values) and values.max() > 2**31 - 1 else "i4"
        if code not in TYPES or not re.fullmatch(r"[!-~]+", name):  # one word in ASCII
            raise PcaugError(f"field {name!r} ({values.dtype}) cannot be a PLY property", do="drop or rename it")
        kinds.append((name, "<" + code))
    return np.dtype(kinds)


def _table(columns: dict[str, NDArray[Any]], kinds: np.dtype[Any]) -> NDArray[Any]:
    """Points as records; raises PcaugError for 64-bit integers that the type of their property does not hold."""
    table = np.zeros(len(columns["x"]), dtype=kinds)
    for name, values in columns.items():
        if values.dtype.itemsize > kinds[name].itemsize and len(values):
            most = np.iinfo(kinds[name])
            if values.min() < most.min or values.max() > most.max:
                what = f"field {name!r} ({values.min()} to {values.max()}) does not fit into 32 bits like the points before it"
                raise PcaugError(what, do="PLY has no 64-bit integers, write Parquet or LAS")
        table[name] = values
    return table


def _head(cloud: PointCloud, kinds: np.dtype[Any], count: int, *, ascii: bool) -> bytes:
    """Header of constant length whatever the count: a comment takes up the slack."""
    lines = ["ply", f"format {'ascii' if ascii else 'binary_little_endian'} 1.0"]
    lines.append(MARK + json.dumps(naming.describe(cloud)))  # in ASCII, on one line
    lines = [line if i < 2 else "comment " + line for i, line in enumerate(lines)]
    lines += ["comment " + "-" * (20 - len(str(count))), f"element vertex {count}"]
    lines += [f"property {TYPES[kinds[name].str[1:]]} {name}" for name in kinds.names or ()]
    return ("\n".join([*lines, "end_header"]) + "\n").encode()
