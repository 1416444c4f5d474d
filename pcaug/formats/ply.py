"""PLY, ascii and binary, any scalar properties, through plyfile (Open3D drops what it does not know)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from plyfile import PlyData, PlyParseError

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, LabelError, PcaugError

LABELS = ("native_label", "label", "class", "classification", "semantic", "scalar_label", "scalar_classification", "sem_class")
"""Property names, lower case, that hold class ids, the surest first."""
RENAMED = {
    "scalar_intensity": "intensity", "reflectance": "intensity", "scalar_gpstime": "time", "gps_time": "time",
    "timestamp": "time", "ins_class": "instance", "scalar_instance": "instance",
}  # fmt: skip
VECTORS = {"rgb": ("red", "green", "blue"), "normal": ("nx", "ny", "nz")}
TYPES = {"i1": "char", "u1": "uchar", "i2": "short", "u2": "ushort", "i4": "int", "u4": "uint", "f4": "float", "f8": "double"}
MARK = "pcaug taxonomy "


def read_chunks(path: Path, size: int, label: str | None = None) -> Iterator[PointCloud]:
    """Stream a PLY file's points; binary files are memory-mapped.

    Args:
        path: The file.
        size: Points a chunk.
        label: Property with the class ids, where its name is not one of LABELS.
    """
    _check_counts(path)
    try:
        data = PlyData.read(str(path), mmap="c")
    except (PlyParseError, ValueError, KeyError, IndexError, UnicodeDecodeError, OverflowError, MemoryError) as error:
        raise FileError(f"is no PLY file or a truncated one ({error})", path, "get it again") from None
    table = _points(data, path)
    names = list(table.dtype.names or ())
    marked = next((c.removeprefix(MARK) for c in data.comments if c.startswith(MARK)), None)
    taxonomy = catalogue.taxonomy() if marked == catalogue.taxonomy().name else None
    crs = next((json.loads(c.removeprefix("pcaug crs ")) for c in data.comments if c.startswith("pcaug crs ")), None)
    plan = _plan(names, label, path, ours=taxonomy is not None)
    for start in range(0, max(len(table), 1), size):
        rows = table[start : start + size]
        xyz = np.stack([rows[axis].astype(np.float64) for axis in plan["xyz"]], axis=1)
        fields: dict[str, NDArray[Any]] = {}
        for name, columns in plan.items():
            if name == "xyz":
                continue
            values = np.stack([rows[c] for c in columns], axis=1) if len(columns) > 1 else np.array(rows[columns[0]])
            fields[name] = _whole(values, path) if name == "native_label" else values.astype(values.dtype.newbyteorder("="))
        yield PointCloud(xyz, fields, taxonomy, crs, Source(file=str(path)))


def _check_counts(path: Path) -> None:
    """Refuse element counts that the file cannot hold, before anything is allocated for them."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(65536)
    if not head.startswith(b"ply"):
        raise FileError("is no PLY file", path, "check the file")
    for line in head.split(b"end_header")[0].splitlines():
        words = line.split()
        if words[:1] == [b"element"] and (len(words) != 3 or not words[2].isdigit() or int(words[2]) > size):
            raise FileError(f"is truncated or malformed: {line.decode('latin-1')!r} in {size} bytes", path, "get it again")


def _points(data: Any, path: Path) -> NDArray[Any]:
    """The element with x, y and z, whatever it is called, as a structured array."""
    for element in data.elements:
        names = {p.name.lower() for p in element.properties}
        if {"x", "y", "z"} <= names:
            if any(type(p).__name__ == "PlyListProperty" for p in element.properties):
                raise FileError("has list properties on its points", path, "write it with scalar properties")
            table: NDArray[Any] = element.data
            return table
    raise FileError("has no element with x, y and z", path, "check the file")


def _plan(names: list[str], label: str | None, path: Path, *, ours: bool) -> dict[str, tuple[str, ...]]:
    """Field -> the properties that make it."""
    lower = {name.lower(): name for name in names}
    plan: dict[str, tuple[str, ...]] = {"xyz": tuple(lower[axis] for axis in "xyz")}
    for field, columns in VECTORS.items():
        if all(c in lower for c in columns):
            plan[field] = tuple(lower[c] for c in columns)
    if label is not None and label not in names:
        raise LabelError(f"has no property {label!r}", path, f"it has {', '.join(names)}")
    native = label or next((lower[name] for name in LABELS if name in lower and not (ours and name == "label")), None)
    if native is not None:
        plan["native_label"] = (native,)
    used = {column for columns in plan.values() for column in columns}
    for name in names:
        if name not in used:
            field = RENAMED.get(name.lower(), name)
            plan[field if field not in plan else name] = (name,)
    return plan


def _whole(values: NDArray[Any], path: Path) -> NDArray[np.int32]:
    whole = values.astype(np.int32)
    if not np.array_equal(whole, values):
        raise LabelError("has class ids that are no whole numbers", path, "name the right property with the card's label")
    return whole


def lost(fields: Iterable[str]) -> list[str]:
    """PLY holds every scalar and vector field."""
    return []


def write(path: Path, chunks: Iterator[PointCloud], *, ascii: bool = False) -> int:
    """Write PLY; positions as double, fields in their own types, vectors as one property a component."""
    written = 0
    head = b""
    with path.open("wb") as file:
        for chunk in chunks:
            table = _table(chunk)
            if not head:
                head = _head(chunk, table, 0, ascii=ascii)
                file.write(head)
            if ascii:
                for row in table:
                    file.write((" ".join(repr(value) for value in row.tolist()) + "\n").encode())
            else:
                file.write(table.tobytes())
            written += len(chunk)
            last, last_table = chunk, table
        file.seek(0)
        file.write(_head(last, last_table, written, ascii=ascii))
    return written


def _table(cloud: PointCloud) -> NDArray[Any]:
    columns: dict[str, NDArray[Any]] = {axis: cloud.xyz[:, i] for i, axis in enumerate("xyz")}
    for name, values in cloud.fields.items():
        parts = [values] if values.ndim == 1 else list(values.T)
        inner = VECTORS.get(name) or ([name] if len(parts) == 1 else [f"{name}_{i}" for i in range(len(parts))])
        columns |= dict(zip(inner, parts, strict=True))
    kinds = []
    for name, values in columns.items():
        code = values.dtype.str[1:].replace("b1", "u1").replace("f2", "f4")
        if code in ("i8", "u8"):  # PLY has no 64-bit integers
            low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
            if low < -(2**31) or high > 2**32 - 1 or (low < 0 and high > 2**31 - 1):
                raise PcaugError(
                    f"field {name!r} does not fit into 32 bits", do="PLY has no 64-bit integers, write Parquet or LAS"
                )
            code = "i4" if high <= 2**31 - 1 else "u4"
        if code not in TYPES or any(c.isspace() for c in name):
            raise PcaugError(f"field {name!r} ({values.dtype}) cannot be a PLY property", do="drop or rename it")
        kinds.append((name, "<" + code))
    table = np.zeros(len(cloud), dtype=kinds)
    for name, values in columns.items():
        table[name] = values
    return table


def _head(cloud: PointCloud, table: NDArray[Any], count: int, *, ascii: bool) -> bytes:
    """Header of constant length whatever the count: a comment takes up the slack."""
    lines = ["ply", f"format {'ascii' if ascii else 'binary_little_endian'} 1.0"]
    if cloud.taxonomy is not None and "label" in cloud:
        lines.append(MARK + cloud.taxonomy.name)
    if cloud.crs:
        lines.append("pcaug crs " + json.dumps(cloud.crs))  # in ASCII, on one line
    lines = [line if i < 2 else "comment " + line for i, line in enumerate(lines)]
    lines += ["comment " + "-" * (20 - len(str(count))), f"element vertex {count}"]
    lines += [f"property {TYPES[table.dtype[name].str[1:]]} {name}" for name in table.dtype.names or ()]
    return ("\n".join([*lines, "end_header"]) + "\n").encode()
