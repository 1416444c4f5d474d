"""Text: one point a line, separated by spaces, tabs, commas or semicolons; columns from a header or named by a card.

What a column means is never guessed: without a header and without names, only three columns are read. Numbers are parsed by
Arrow's CSV reader, several blocks at a time; what it does not take is parsed line by line, and the line that is wrong is named.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
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
from pcaug.formats import naming
from pcaug.parallel import map_ahead

COMMENTS = (b"#", b"//")
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
"""What a column may be called: anything else would be read as another name, or as two."""
SEPARATORS = bytes.maketrans(b",;\t\r", b"    ")
BLOCK = 4 << 20
"""Bytes parsed at a time by one thread."""
LONGEST = 1 << 20
"""Bytes that a line may have."""

Kinds = Sequence[np.dtype[Any]]
Columns = list[NDArray[Any]]


def read_chunks(path: Path, size: int, columns: Sequence[str] | None = None, label: str | None = None) -> Iterator[PointCloud]:
    """Stream a text file.

    Args:
        path: The file.
        size: Points per chunk.
        columns: Names of the columns, where the file has no header: x, y, z and any field names; "" skips one.
        label: Column with the class ids, where its name is not one of ``naming.LABELS``.
    """
    with path.open("rb") as file:
        first = file.readline(LONGEST)
        said = naming.understand(first.removeprefix(MARK), path) if first.startswith(MARK) else {}
        file.seek(0)
        names, start, line, count = _head(file, path, columns)
    at = {name: i for i, name in enumerate(names) if name}
    kinds = [_kind(said.get("types", {}).get(name, "f8"), path) for name in names]
    made = naming.plan(at, path, said, label)

    def clouds() -> Iterator[PointCloud]:
        return parsed(path, size, kinds, lambda r: naming.assemble(lambda name: r[at[name]], made, path, said), start, line)

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
    while raw := file.readline(LONGEST):
        number += 1
        text = raw.removeprefix(BOM).strip()
        words = text.translate(SEPARATORS).split()
        if b"\r" in text:
            raise FileError("has lines that end with CR alone", path, "write it with LF: tr '\\r' '\\n' < old > new")
        if len(words) == 1 and (number == 1 or header):  # a count may stand at the top
            count = _whole(words[0], 0, sys.maxsize) or count
            continue
        if not words or text.startswith(b"#"):
            continue
        if not _numeric(words):
            names = _names(raw.removeprefix(BOM).strip(b" \r\n"))
            if text.startswith(b"//") and not naming.positions(names):
                continue
            if header or b"\0" in text:
                raise FileError(f"line {number} does not hold numbers", path, "check the file")
            if wrong := next((name for name in names if not columns and _numeric([name])), None):
                raise FileError(f"line {number} names a column {wrong!r}", path, "correct the header, or name columns in a card")
            header = names
            continue
        if len(words) != (wanted := len(columns or header) or 3):
            _check_points(text, wanted, number, path)
        names = _named(header, columns, words, number, path)
        return names, file.tell() - len(raw), number, count
    if not naming.positions(header):
        raise FileError("holds no line of coordinates", path, "each line must be x, y and z, and what a header or a card names")
    return list(columns) if columns else header, file.tell(), number, count


def _named(header: list[str], columns: Sequence[str] | None, words: list[bytes], number: int, path: Path) -> list[str]:
    """Names for the words of the first row, the line ``number``; raises FileError where these are not as many."""
    if len(header) != len(words):
        header = [name for name in header if name]
    names = list(columns) if columns else header
    _check_order(header, names, path)
    if twice := next((name for name in names if name and names.count(name) > 1), None):
        raise FileError(f"names the column {twice!r} twice", path, "correct the names")
    if not names and len(words) == 3:
        names = ["x", "y", "z"]
    if not names:
        what = f"has {len(words)} columns and no header"
        raise FileError(what, path, 'name them in a card (pcaug datasets new drafts it): columns = ["x", "y", "z", ...]')
    if len(names) != len(words):
        raise FileError(f"line {number} has {len(words)} columns, {len(names)} are named", path, "correct the names")
    return names


def _names(text: bytes) -> list[str]:
    """The names of a header. Between commas or the like they may hold spaces, which no field's name has, or be empty, as pandas
    leaves that of its index."""
    at = next((separator for separator in (b"\t", b";", b",") if separator in text.strip()), None)
    words = [b"_".join(word.split()) for word in text.split(at)] if at else text.split()
    return [_text(word).lstrip("/#").strip('"') for word in words]


def _check_points(line: bytes, wanted: int, number: int, path: Path) -> None:
    """Raise FileError for a line that holds as many numbers as are wanted if its commas are decimal ones."""
    words = line.replace(b",", b".").translate(SEPARATORS).split()
    if b"," in line and len(words) == wanted and _numeric(words):
        raise FileError(f"line {number} has decimal commas", path, "replace them by points")


def _check_order(header: Sequence[str], names: Sequence[str], path: Path) -> None:
    """Refuse names that a header contradicts: one of them is that of another column there."""
    known, told = ([naming.known_as(name) for name in row] for row in (names, header))
    for place, name in enumerate(told[: len(known)]):
        if name and name in known and known[place] != name and name not in ("x", "y", "z"):  # which some surveys swap
            what = f"has {header[place]!r} as column {place + 1}, which is {names[place]!r} in the card's columns"
            raise FileError(what, path, "give files of another order a card of their own")


def _text(word: bytes) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError:
        return word.decode("latin-1")


def _numeric(words: Sequence[bytes | str]) -> bool:
    try:
        [float(word) for word in words]
    except ValueError:
        return False
    return True


def parsed(
    path: Path, size: int, kinds: Kinds, make: Callable[[Columns], PointCloud], start: int, line: int
) -> Iterator[PointCloud]:
    """Stream the numbers of a text file without its header; an empty one gives one empty cloud.

    Args:
        path: The file.
        size: Points per chunk, at most.
        kinds: Type of each column.
        make: Makes a cloud of one array (n,) a column.
        start: Where the numbers start, bytes.
        line: Number of that line, for errors.

    Raises:
        FileError: Naming the first line that is not as many numbers.
    """
    threads = os.cpu_count() or 1

    def work(place: tuple[int, memoryview]) -> PointCloud:
        at, block = place
        return make(_parse(block, kinds, path, lambda: line + _lines(path, start, at)))

    empty = True
    for cloud in map_ahead(work, _blocks(path, start), threads, threads):
        empty = False
        yield from _cut(cloud, size)
    if empty:
        yield make([np.zeros(0, kind) for kind in kinds])


def _cut(cloud: PointCloud, size: int) -> Iterator[PointCloud]:
    yield from (cloud,) if len(cloud) <= size else (cloud.take(slice(i, i + size)) for i in range(0, len(cloud), size))


def _blocks(path: Path, start: int) -> Iterator[tuple[int, memoryview]]:
    """Whole lines, about BLOCK bytes at a time, and where they begin."""
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while data := file.read(BLOCK):
            cut = data.rfind(b"\n") + 1 or len(data)
            if cut == len(data) == BLOCK and data[-1:] != b"\n":
                raise FileError(f"has a line of more than {BLOCK} bytes", path, "it is not text: check the file")
            if data.find(b"\n", cut) < 0 and not file.read(1):
                cut = len(data)  # the last line may end without a line break
            yield start, memoryview(data)[:cut]
            start += cut
            file.seek(start)


def _lines(path: Path, start: int, end: int) -> int:
    """Line breaks between two places of a file."""
    with path.open("rb") as file:
        file.seek(start)
        return sum(file.read(min(BLOCK, end - at)).count(b"\n") for at in range(start, end, BLOCK))


def _parse(block: memoryview, kinds: Kinds, path: Path, line: Callable[[], int]) -> Columns:
    """Arrow parses what has one separator between two numbers; what has more is first evened out."""
    first = bytes(block[:LONGEST]).partition(b"\n")[0]
    separator = next((mark for mark in (b",", b";", b"\t") if mark in first), b" ").decode()
    try:
        return _by_arrow(block, separator, kinds)
    except pa.ArrowException:
        whole = bytes(block)
    if not any(mark in whole for mark in COMMENTS):
        even = whole.translate(SEPARATORS)
        while b"  " in even:
            even = even.replace(b"  ", b" ")
        with suppress(pa.ArrowException):
            return _by_arrow(even.replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(), " ", kinds)
    return _line_by_line(whole, kinds, path, line)


def _by_arrow(block: bytes | memoryview, separator: str, kinds: Kinds) -> Columns:
    names = [str(i) for i in range(len(kinds))]
    held = [np.dtype("u1") if kind.kind == "b" else kind for kind in kinds]
    types = {name: pa.type_for_alias(kind.name) for name, kind in zip(names, held, strict=True)}
    table = csv.read_csv(
        pa.py_buffer(block),
        csv.ReadOptions(use_threads=False, column_names=names, block_size=len(block) + 1),
        csv.ParseOptions(delimiter=separator, quote_char=False),
        csv.ConvertOptions(column_types=types, null_values=[], strings_can_be_null=False, check_utf8=False),
    )
    arrays = [column.chunk(0) if column.num_chunks == 1 else column.combine_chunks() for column in table.columns]
    buffers = [array.buffers()[1] for array in arrays]  # to_numpy would import pandas where it is installed
    plain = [np.frombuffer(buffer, kind, table.num_rows) for buffer, kind in zip(buffers, held, strict=True)]
    return [values.astype(kind, copy=False) for values, kind in zip(plain, kinds, strict=True)]


def _line_by_line(block: bytes, kinds: Kinds, path: Path, line: Callable[[], int]) -> Columns:
    rows, offsets = [], []
    for offset, raw in enumerate(block.split(b"\n")):
        words = raw.translate(SEPARATORS).split()
        if not words or words[0].startswith(COMMENTS):
            continue
        if len(words) != len(kinds) or not _numeric(words):
            _check_points(raw, len(kinds), line() + offset, path)
            what = f"line {line() + offset} is not {len(kinds)} numbers"
            raise FileError(what, path, "it may be truncated: download it again")
        rows.append(words)
        offsets.append(offset)
    columns: list[NDArray[Any]] = []
    for column, kind in zip(zip(*rows, strict=True) if rows else [()] * len(kinds), kinds, strict=True):
        if kind.kind == "f":
            columns.append(np.array([float(word) for word in column]).astype(kind))
            continue
        most = np.iinfo(np.uint8 if kind.kind == "b" else kind)
        numbers = [_whole(word, most.min, most.max) for word in column]  # never as floats, which hold 53 bits
        if None in numbers:
            wrong, place = numbers.index(None), len(columns) + 1
            what = f"line {line() + offsets[wrong]} has {_text(column[wrong])[:40]!r} in column {place}"
            raise FileError(what, path, f"whole numbers from {most.min} to {most.max} stand there: correct it")
        columns.append(np.array(numbers, most.dtype).astype(kind))
    return columns


def _whole(word: bytes, least: int, most: int) -> int | None:
    """A word as a whole number; None where it is no such number, or lies outside."""
    try:
        number = int(word)
    except ValueError:
        return None
    return number if least <= number <= most else None


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
                naming.check_names(columns, NAME.fullmatch, "a column of a text file", path)
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
