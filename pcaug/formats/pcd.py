"""PCD 0.6 and 0.7 of the Point Cloud Library: ascii, binary and binary_compressed; header and LZF through pypcd4.

PCL packs a colour into the bits of one 32-bit number called ``rgb``, or ``rgba`` with an ``alpha``, which becomes a field: it is
unpacked, and 8-bit colours are packed again; wider ones become three columns.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lzf
import numpy as np
from numpy.typing import NDArray
from pypcd4.pypcd4 import NUMPY_TYPE_TO_PCD_TYPE, Encoding, MetaData

from pcaug.cloud import PointCloud
from pcaug.errors import FileError, PcaugError
from pcaug.formats import naming, rows

MARK = "# pcaug "
PACKED = ("rgb", "rgba")
SHIFTS = (("red", 16), ("green", 8), ("blue", 0), ("alpha", 24))
"""Part of a packed colour -> its lowest bit; of ``rgb`` the highest eight mean nothing."""
PADDING = "#"
"""pypcd4 calls the bytes between fields (``_`` in the file) something that begins so."""
LONGEST = 1 << 16
"""Bytes that a header may have."""
SHRINKS = 270
"""More than LZF can shrink: 264 bytes into three, a little for rounding."""


def read_chunks(path: Path, size: int, label: str | None = None) -> Iterator[PointCloud]:
    """Stream a file; binary_compressed is decompressed as a whole, as the format demands.

    Args:
        path: The file.
        size: Points per chunk.
        label: Column with the class ids, where its name is not one of ``naming.LABELS``.
    """
    meta, said, start = _header(path)
    kind = _kind(meta, path)
    left = path.stat().st_size - start
    if meta.data is Encoding.ASCII:
        yield from _ascii(path, size, meta, kind, said, start, label)
        return
    rows: Callable[[int, int], Any]
    if meta.data is Encoding.BINARY:
        if meta.points * kind.itemsize > left:
            raise FileError(
                f"is truncated: it should hold {meta.points} points of {kind.itemsize} bytes", path, "download it again"
            )
        table = np.memmap(path, kind, "r", start, (meta.points,)) if meta.points else np.zeros(0, kind)
        rows = lambda a, b: table[a:b]  # noqa: E731
    else:
        columns = _decompress(path, meta, kind, start)
        rows = lambda a, b: {name: values[a:b] for name, values in columns.items()}  # noqa: E731
    for first in range(0, max(meta.points, 1), size):
        part = rows(first, first + size)
        yield _cloud({name: part[name] for name in kind.names or ()}, path, said, label)


def _header(path: Path) -> tuple[Any, dict[str, Any], int]:
    """What the header says, what a file of ours says of itself, and where the points start."""
    with path.open("rb") as file:
        head = file.read(LONGEST)
    end = re.search(rb"^DATA[ \t]+\w+[ \t]*\r?\n?", head, re.MULTILINE)
    if end is None:
        raise FileError("is not a PCD file, or is truncated in its header", path, "check the file")
    lines = [line.strip() for line in head[: end.end()].decode("latin-1").splitlines()]
    own = next((line.removeprefix(MARK) for line in lines if line.startswith(MARK)), "")
    try:
        meta = MetaData.parse_header(lines)
    except ValueError as error:
        what = str(error).replace("\n", " ")[:200]
        raise FileError(f"has a header that is not a PCD header ({what})", path, "check the file") from None
    if not len(meta.fields) == len(meta.size) == len(meta.type) == len(meta.count):
        raise FileError("has a header whose FIELDS, SIZE, TYPE and COUNT differ in length", path, "check the file")
    return meta, naming.understand(own, path), end.end()


def _kind(meta: Any, path: Path) -> np.dtype[Any]:
    types = {code: np.dtype(kind).str for kind, code in NUMPY_TYPE_TO_PCD_TYPE.items()}
    columns: list[Any] = []
    for name, code, count in zip(meta.fields, zip(meta.type, meta.size, strict=True), meta.count, strict=True):
        if code not in types or count > LONGEST:
            raise FileError(
                f"field {name!r} has no PCD type: {code[0]} of {code[1]} bytes, {count} times", path, "check the file"
            )
        columns.append((name, types[code]) if count == 1 else (name, types[code], (count,)))
    try:
        return np.dtype(columns)
    except (ValueError, MemoryError) as error:
        raise FileError(f"has a header that is not a PCD header ({error})", path, "check the file") from None


def _decompress(path: Path, meta: Any, kind: np.dtype[Any], start: int) -> dict[str, NDArray[Any]]:
    """Columns of a binary_compressed file: two sizes, then LZF of all values of the first field, of the second, and so on."""
    whole = meta.points * kind.itemsize
    with path.open("rb") as file:
        file.seek(start)
        sizes = file.read(8)
        packed = file.read()
    short, long = struct.unpack("<II", sizes) if len(sizes) == 8 else (0, 0)
    if meta.points and (long != whole or short > len(packed) or long > SHRINKS * short):
        raise FileError(f"is truncated: {meta.points} points should unpack to {whole} bytes", path, "download it again")
    try:
        data = lzf.decompress(packed[:short], long) if meta.points else b""
    except ValueError:
        data = None
    if data is None or len(data) != whole:
        raise FileError("cannot be decompressed", path, "it was damaged: download it again")
    columns, at = {}, 0
    for name in kind.names or ():
        base, shape = kind[name].base, kind[name].shape
        columns[name] = np.frombuffer(data, base, meta.points * int(np.prod(shape)), at).reshape(meta.points, *shape)
        at += columns[name].nbytes
    return columns


def _ascii(
    path: Path, size: int, meta: Any, kind: np.dtype[Any], said: dict[str, Any], start: int, label: str | None
) -> Iterator[PointCloud]:
    spans = {}
    kinds: list[np.dtype[Any]] = []
    for name in kind.names or ():
        spans[name] = slice(len(kinds), len(kinds) + int(np.prod(kind[name].shape)))
        base = kind[name].base
        kinds += [base if base.kind in "iu" and base.itemsize == 8 else np.dtype("f8")] * int(np.prod(kind[name].shape))
    bits = [name in PACKED and kind[name] == "<f4" for name in spans]

    def make(rows: list[NDArray[Any]]) -> PointCloud:
        columns = {}
        for (name, span), packed in zip(spans.items(), bits, strict=True):
            values = np.stack(rows[span], axis=1) if kind[name].shape else rows[span.start]
            whole = packed and (values >= 1).any()  # some write the bits as a whole number
            columns[name] = values.astype("<u4") if whole else _cast(name, values, kind[name].base, path)
        return _cloud(columns, path, said, label)

    seen = 0
    for cloud in rows.parsed(path, size, kinds, make, start, 1):
        seen += len(cloud)
        yield cloud
    if seen != meta.points:
        raise FileError(f"is truncated: it holds {seen} of {meta.points} points", path, "download it again")


def _cast(name: str, values: NDArray[Any], kind: np.dtype[Any], path: Path) -> NDArray[Any]:
    """Numbers of an ascii file in the type of their field; raises FileError for whole ones that it cannot hold."""
    with np.errstate(invalid="ignore"):  # what does not fit is found below
        cast = values.astype(kind)
    if kind.kind in "iu" and not np.array_equal(cast, values):
        wrong = values[cast != values][0]
        what = f"has {wrong:.15g} in field {name!r}, which is a whole number of {8 * kind.itemsize} bits"
        raise FileError(what, path, "correct it, or TYPE and SIZE in its header")
    return cast


def _cloud(columns: dict[str, NDArray[Any]], path: Path, said: dict[str, Any], label: str | None) -> PointCloud:
    """A cloud of columns, with colours unpacked and without padding."""
    columns = {name: values for name, values in columns.items() if not name.startswith(PADDING)}
    for name in (("rgb",) if "rgb" in said.get("known", ("rgb",)) else ()) if said else PACKED:
        if name in columns and columns[name].ndim == 1 and columns[name].itemsize == 4 and "red" not in columns:
            bits = np.ascontiguousarray(columns.pop(name)).view("<u4")
            parts = SHIFTS if name == "rgba" and "alpha" not in columns else SHIFTS[:3]
            columns |= {part: (bits >> shift & 0xFF).astype(np.uint8) for part, shift in parts}
    return naming.assemble(columns.__getitem__, naming.plan(columns, path, said, label), path, said)


def write(path: Path, chunks: Iterator[PointCloud], *, data: str = "binary") -> int:
    """Write PCD, positions as double.

    Args:
        path: The file.
        chunks: Clouds with the same fields.
        data: "binary" and "ascii" stream; "binary_compressed" needs all points in memory, 4 GB at most.

    Raises:
        PcaugError: For a field that PCD cannot name, and what does not fit.
    """
    tables: list[NDArray[Any]] = []
    written, head = 0, b""
    with path.open("wb") as file:
        for chunk in chunks:
            table = _table(chunk)
            if not head:
                said = naming.describe(chunk)
                head = _head(table.dtype, 0, data, said)
                file.write(head)
            if data == "binary_compressed":
                tables.append(table)
            elif data == "ascii":
                file.writelines((" ".join(map(_word, row)) + "\n").encode() for row in table.tolist())
            else:
                file.write(table.tobytes())
            written += len(chunk)
            kind = table.dtype
        if tables:
            columns = b"".join(np.concatenate([t[name] for t in tables]).tobytes() for name in kind.names or ())
            if len(columns) >= 2**32:
                raise PcaugError("binary_compressed PCD holds 4 GB at most", path, "write binary PCD")
            packed = (lzf.compress(columns, 2 * len(columns) + 64) if columns else b"") or b""
            file.write(struct.pack("<II", len(packed), len(columns)) + packed)
        file.seek(0)
        file.write(_head(kind, written, data, said))
    return written


def _word(value: float) -> str:
    return repr(value) if isinstance(value, float) else str(int(value))


def _table(cloud: PointCloud) -> NDArray[Any]:
    columns = naming.spread(cloud)
    if "rgb" in cloud and cloud["rgb"].dtype == np.uint8 and cloud["rgb"].shape[1:] == (3,):
        red, green, blue = (columns.pop(c).astype("<u4") for c in ("red", "green", "blue"))
        columns["rgb"] = (red << 16 | green << 8 | blue).astype("<u4").view("<f4")
    plain = {n: v.astype(np.uint8 if v.dtype == bool else np.float32) if v.dtype.kind == "b" or v.dtype == np.float16 else v
             for n, v in columns.items()}  # fmt: skip
    for name, values in plain.items():
        word = re.fullmatch(r"[\w.\-]+", name, re.ASCII) and name != "_"
        if values.dtype.newbyteorder("=") not in NUMPY_TYPE_TO_PCD_TYPE or not word:
            raise PcaugError(f"field {name!r} ({values.dtype}) cannot be a PCD field", do="drop or rename it")
    table = np.empty(len(cloud), [(name, values.dtype.newbyteorder("<")) for name, values in plain.items()])
    for name, values in plain.items():
        table[name] = values
    return table


def _head(kind: np.dtype[Any], count: int, data: str, said: dict[str, Any]) -> bytes:
    """Header of constant length whatever the count: a comment takes up the slack."""
    names = kind.names or ()
    codes: list[Any] = [NUMPY_TYPE_TO_PCD_TYPE[kind[name].newbyteorder("=")] for name in names]
    meta = MetaData(
        fields=names, type=tuple(t for t, _ in codes), size=tuple(s for _, s in codes), count=(1,) * len(names),
        points=count, width=count, data=Encoding(data),
    )  # fmt: skip
    lines = ["# .PCD v0.7 - Point Cloud Data file format", MARK + json.dumps(said), "#" + "-" * (40 - 2 * len(str(count)))]
    return ("\n".join(lines) + "\n" + meta.compose_header()).encode()
