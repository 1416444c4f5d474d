"""Text: one point a line, separated by spaces, tabs, commas or semicolons; columns from a header or named by a card.

What a column means is never guessed: without a header and without names, only three columns are read.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, LabelError

COMMENTS = (b"#", b"//")
MARK = "# pcaug taxonomy "
"""First line of a file of ours whose column ``label`` holds nodes of that taxonomy."""
RENAMED = {
    "label": "native_label",
    "class": "native_label",
    "classification": "native_label",
    "r": "red",
    "g": "green",
    "b": "blue",
}
INTEGERS = {
    "label": np.uint16,
    "native_label": np.int32,
    "instance": np.int32,
    "return_number": np.uint8,
    "number_of_returns": np.uint8,
}
SEPARATORS = bytes.maketrans(b",;\t", b"   ")


def read_chunks(path: Path, size: int, columns: Sequence[str] | None = None) -> Iterator[PointCloud]:
    """Stream a text file.

    Args:
        path: The file.
        size: Points a chunk.
        columns: Names of the columns, where the file has no header: x, y, z and any field names; "" skips one.
    """
    with path.open("rb") as file:
        ours = file.readline() == f"{MARK}{catalogue.taxonomy().name}\n".encode()
        file.seek(0)
        names, first, line = _head(file, path, columns)
        source = Source(file=str(path))
        seen = False
        for block in _blocks(file, first, size):
            rows = _numbers(block, len(names), path, line)
            line += len(block)
            seen = True
            yield _cloud(rows, names, path, source, ours=ours)
        if not seen:
            yield _cloud(np.zeros((0, len(names))), names, path, source, ours=ours)


def _head(file: IO[bytes], path: Path, columns: Sequence[str] | None) -> tuple[list[str], bytes, int]:
    """Column names, the first line of numbers, and its line number."""
    header: list[str] = []
    number = 0
    for raw in file:
        number += 1
        text = raw.strip()
        words = text.translate(SEPARATORS).split()
        if not words or text.startswith(b"#") or (len(words) == 1 and number == 1):  # a count may stand on the first line
            continue
        if not _numeric(words):
            if header or b"\0" in text:
                raise FileError(f"line {number} is no line of numbers", path, "check the file")
            header = [word.decode("latin-1").lstrip("/#").strip('"').lower() for word in words if word.strip(b"/#")]
            continue
        names = list(columns) if columns else header
        if not names and len(words) == 3:
            names = ["x", "y", "z"]
        if not names:
            what = f"has {len(words)} columns and no header"
            raise FileError(what, path, 'name them in a card: columns = ["x", "y", "z", ...]')
        if len(names) != len(words):
            raise FileError(f"line {number} has {len(words)} columns, {len(names)} are named", path, "correct the names")
        if not {"x", "y", "z"} <= {n.lower() for n in names}:
            raise FileError("has no columns x, y and z", path, f"it has {', '.join(names)}")
        return names, raw, number
    return list(columns) if columns else header or ["x", "y", "z"], b"", number


def _numeric(words: list[bytes]) -> bool:
    try:
        [float(word) for word in words]
    except ValueError:
        return False
    return True


def _blocks(file: IO[bytes], first: bytes, size: int) -> Iterator[list[bytes]]:
    block = [first] if first.strip() else []
    while True:
        block += file.readlines(size * 32)  # about size lines; blank and comment lines do not count as points
        if not block:
            return
        block = [line for line in block if line.strip() and not line.startswith(COMMENTS)]
        for start in range(0, len(block), size):
            yield block[start : start + size]
        block = []


def _numbers(block: list[bytes], columns: int, path: Path, line: int) -> NDArray[np.float64]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values = np.fromstring(b" ".join(block).translate(SEPARATORS).decode("latin-1"), dtype=np.float64, sep=" ")
            return values.reshape(len(block), columns)
        except (DeprecationWarning, ValueError):
            pass
    for offset, raw in enumerate(block):  # name the line that is wrong
        words = raw.translate(SEPARATORS).split()
        if len(words) != columns or not _numeric(words):
            raise FileError(f"line {line + offset} is not {columns} numbers", path, "it may be truncated: get it again")
    raise FileError("cannot be read as numbers", path, "check the file")


def _cloud(rows: NDArray[np.float64], names: Sequence[str], path: Path, source: Source, *, ours: bool) -> PointCloud:
    rename = {} if ours else RENAMED
    at = {rename.get(name.lower(), name.lower() if name.lower() in "xyz" else name): i for i, name in enumerate(names) if name}
    fields: dict[str, NDArray[Any]] = {}
    if {"red", "green", "blue"} <= set(at):
        fields["rgb"] = np.stack([rows[:, at.pop(c)] for c in ("red", "green", "blue")], axis=1).astype(np.uint16)
    for name, column in at.items():
        if name in "xyz":
            continue
        values = rows[:, column]
        if name in INTEGERS:
            whole = values.astype(INTEGERS[name])
            if not np.array_equal(whole, values):
                raise LabelError(f"column {name!r} holds more than whole numbers", path, "correct the card's columns")
            fields[name] = whole
        else:
            fields[name] = values.copy()
    taxonomy = catalogue.taxonomy() if ours and "label" in fields else None
    return PointCloud(rows[:, [at["x"], at["y"], at["z"]]], fields, taxonomy, source=source)


def lost(fields: Iterable[str]) -> list[str]:
    """Text holds every number."""
    return []


def write(path: Path, chunks: Iterator[PointCloud]) -> int:
    """Write comma-separated text with a header; numbers are written so that they read back exactly."""
    written = 0
    with path.open("w", encoding="utf-8") as file:
        for chunk in chunks:
            columns: dict[str, NDArray[Any]] = {axis: chunk.xyz[:, i] for i, axis in enumerate("xyz")}
            for name, values in chunk.fields.items():
                inner = ("red", "green", "blue") if name == "rgb" else tuple(f"{name}_{i}" for i in range(values[0:1].size))
                columns |= {name: values} if values.ndim == 1 else dict(zip(inner, values.T, strict=True))
            if file.tell() == 0:
                if chunk.taxonomy is not None and "label" in chunk:
                    file.write(f"{MARK}{chunk.taxonomy.name}\n")
                file.write(",".join(columns) + "\n")
            rows = zip(*(values.tolist() for values in columns.values()), strict=True)
            file.writelines(",".join(map(repr, row)) + "\n" for row in rows)
            written += len(chunk)
    return written
