"""Text: one point a line, separated by spaces, tabs, commas or semicolons; columns from a header or named by a card.

What a column means is never guessed: without a header and without names, only three columns are read, and a cell that is empty
is refused, unless its column has no name. ``rows`` reads the numbers.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from pcaug.cloud import PointCloud
from pcaug.errors import FileError, LabelError
from pcaug.formats import naming, rows

BOM = b"\xef\xbb\xbf"
"""What some programs begin UTF-8 with."""
MARK = b"# pcaug "
"""Begins the first line of our own files; what ``naming.describe`` says follows, and the types of the columns."""
INTEGERS: dict[str, type[np.integer[Any]]] = {
    "rgb": np.uint16,
    "instance": np.int32,
    "return_number": np.uint8,
    "number_of_returns": np.uint8,
}
NAME = re.compile(r'(?![/#])[^\s,;"]+')
"""What a column may be called, if it is no number: anything else would be read as another name, or as two."""
SEPARATORS = bytes.maketrans(b",;\t\r", b"    ")


def read_chunks(path: Path, size: int, columns: Sequence[str] | None = None, label: str | None = None) -> Iterator[PointCloud]:
    """Stream a text file.

    Args:
        path: The file.
        size: Points per chunk.
        columns: Names of the columns, where the file has no header: x, y, z and any field names; "" skips one.
        label: Column with the class ids, where its name is not one of ``naming.LABELS``.
    """
    with path.open("rb") as file:
        first = file.readline(rows.LONGEST)
        said = naming.understand(first.removeprefix(MARK), path) if first.startswith(MARK) else {}
        file.seek(0)
        names, start, line, count = _head(file, path, columns)
        file.seek(start)
        row = rows.cells_of(file.readline(rows.LONGEST))
    at = {name: i for i, name in enumerate(names) if name}
    told = said.get("types", {}) if said else {name: "i8" for name, word in zip(names, row, strict=False) if _long(word)}
    kinds = [_kind(told.get(name, "f8"), path) if name else None for name in names]
    made = naming.plan(at, path, said, label)

    def make(columns: rows.Columns) -> PointCloud:
        return naming.assemble(lambda name: columns[at[name]], made, path, said)

    def clouds() -> Iterator[PointCloud]:
        return rows.parsed(path, size, kinds, make, start, line, exact=not said)

    types, seen = None, 0
    for cloud in clouds():
        if types is None:  # black or white fits both scales: then a later cloud tells, which costs a look ahead
            types = {} if said else _types(next((c for c in chain([cloud], clouds()) if _tells(c)), cloud))
        seen += len(cloud)
        yield _typed(cloud, path, types)
    if seen < count:
        raise FileError(f"is truncated: it holds {seen} of {count} points", path, "download it again, or correct the count")


def _kind(name: Any, path: Path) -> np.dtype[Any]:
    if name not in ("b1", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"):
        raise FileError(f"names an unknown type {name!r}", path, "it was damaged: download it again")
    kind: np.dtype[Any] = np.dtype(name)
    return kind


def _tells(cloud: PointCloud) -> bool:
    """Whether a cloud's colours, if it has any, can be of one scale alone: 0 and 1 are of both."""
    return "rgb" not in cloud or not np.isin(cloud["rgb"], (0, 1)).all()


def _types(telling: PointCloud) -> dict[str, type[np.integer[Any]]]:
    """The types that fields of a file that pcaug did not write, all float64, have everywhere else. Colours of 0 to 1 stay."""
    fractions = "rgb" in telling and not np.array_equal(telling["rgb"], np.rint(telling["rgb"]))
    return {n: kind for n, kind in INTEGERS.items() if n in telling and not (n == "rgb" and fractions)}


def _typed(cloud: PointCloud, path: Path, types: dict[str, type[np.integer[Any]]]) -> PointCloud:
    fields: dict[str, NDArray[Any]] = {}
    for name, kind in types.items():
        with np.errstate(invalid="ignore"):  # what does not fit is found below
            fields[name] = cloud[name].astype(kind)
        if not np.array_equal(fields[name], cloud[name]):
            do = "correct them, or the card's columns if another one is meant"
            raise LabelError(f"column {name!r} holds values {naming.unfit(cloud[name], kind)}", path, do)
    return replace(cloud, fields={**cloud.fields, **fields})


def _head(file: IO[bytes], path: Path, columns: Sequence[str] | None) -> tuple[list[str], int, int, int]:
    """Column names, where the numbers start (bytes), the number of that line, and the count of points above it, or 0.

    Raises:
        FileError: Where no line holds numbers, unless a header names positions: that of a table without rows.
    """
    header: list[str] = []
    number = count = 0
    while raw := file.readline(rows.LONGEST):
        number += 1
        text = raw.removeprefix(BOM).strip()
        words = text.translate(SEPARATORS).split()
        if b"\r" in text:
            raise FileError("has lines that end with CR alone", path, "write it with LF: tr '\\r' '\\n' < old > new")
        if len(words) == 1 and (number == 1 or header):  # a count may stand at the top
            count = rows.whole(words[0], 0, sys.maxsize) or count
            continue
        if not words or text.startswith(b"#"):
            continue
        if not rows.numeric(words):
            names = _names(raw.removeprefix(BOM).strip(b" \r\n"))
            if text.startswith(b"//") and not naming.positions(names):
                continue
            if header or b"\0" in text:
                raise FileError(f"line {number} does not hold numbers", path, "check the file")
            if wrong := next((name for name in names if not columns and rows.numeric([name])), None):
                raise FileError(f"line {number} names a column {wrong!r}", path, "correct the header, or name columns in a card")
            header = names
            continue
        cells = rows.cells_of(raw.removeprefix(BOM))
        if len(cells) != (wanted := len(columns or header) or 3):
            rows.check_points(text, wanted, number, path)
        names = _named(header, columns, cells, number, path)
        return names, file.tell() - len(raw), number, count
    if not naming.positions(header):
        raise FileError("holds no line of coordinates", path, "each line must be x, y and z, and what a header or a card names")
    return list(columns) if columns else header, file.tell(), number, count


def _named(header: list[str], columns: Sequence[str] | None, cells: list[bytes], number: int, path: Path) -> list[str]:
    """Names for the cells of the first row, the line ``number``; raises FileError where these are not as many.

    Names and cells that are empty at the end of a line come from a separator there; a header's own empty name skips a column.
    """
    while header and not header[-1] and len(header) > len(cells):
        header = header[:-1]
    names = list(columns) if columns else header
    _check_order(header, names, path)
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise FileError(f"names the column {twice!r} twice", path, "correct the names")
    filled = [bool(cell) for cell in cells]
    first = filled.index(True)
    if not names and filled.count(True) == 3 and all(filled[first : first + 3]):
        names = [""] * first + ["x", "y", "z"]
    if not names:
        what = f"has {len(cells)} columns and no header"
        raise FileError(what, path, 'name them in a card (pcaug datasets new drafts it): columns = ["x", "y", "z", ...]')
    if len(names) > len(cells) or any(filled[len(names) :]):
        raise FileError(f"line {number} has {len(cells)} columns, {len(names)} are named", path, "correct the names")
    return names + [""] * (len(cells) - len(names))


def _long(word: bytes) -> bool:
    """Whether a word is a whole number of 64 bits that float64 may round."""
    number = rows.whole(word, -(2**63), 2**63 - 1)
    return number is not None and abs(number) > rows.EXACT


def _names(text: bytes) -> list[str]:
    """The names of a header. Between commas or the like they may hold spaces, which no field's name has, or be empty, as pandas
    leaves that of its index."""
    if text.startswith(rows.COMMENTS):
        text = text.lstrip(b"/#").lstrip()
    at = next((separator for separator in (b"\t", b";", b",") if separator in text.strip()), None)
    words = [b"_".join(word.split()) for word in text.split(at)] if at else text.split()
    return [rows.decoded(word).lstrip("/#").strip('"') for word in words]


def _check_order(header: Sequence[str], names: Sequence[str], path: Path) -> None:
    """Refuse names that a header contradicts: one of them is that of another column there."""
    known, told = ([naming.known_as(name) for name in row] for row in (names, header))
    for place, name in enumerate(told[: len(known)]):
        if name and name in known and known[place] != name and name not in ("x", "y", "z"):  # which some surveys swap
            what = f"has {header[place]!r} as column {place + 1}, which is {names[place]!r} in the card's columns"
            raise FileError(what, path, "give files of another order a card of their own")


def _fits(name: str) -> bool:
    """Whether a header may name a column so."""
    return NAME.fullmatch(name) is not None and not rows.numeric([name])


def write(path: Path, chunks: Iterator[PointCloud]) -> int:
    """Write comma-separated text with a header; numbers are written so that they read back exactly.

    Raises:
        PcaugError: For a field that a header cannot name.
    """
    written = 0
    with path.open("wb") as file:
        for chunk in chunks:
            columns = naming.spread(chunk)
            if file.tell() == 0:
                naming.check_names(columns, _fits, "a column of a text file", path)
                types = {name: values.dtype.str[1:].replace("f2", "f4") for name, values in columns.items()}
                file.write(MARK + json.dumps(naming.describe(chunk) | {"types": types}).encode() + b"\n")
                file.write(",".join(columns).encode() + b"\n")
            plain = {
                n: v.astype({"b": "u1", "f": "f4"}[v.dtype.kind]) if v.dtype.str[1:] in ("b1", "f2") else v
                for n, v in columns.items()
            }
            table = pa.table({name: np.ascontiguousarray(values) for name, values in plain.items()})
            csv.write_csv(table, file, csv.WriteOptions(include_header=False))
            written += len(chunk)
    return written
