"""Rows of numbers in text: their cells are found between separators, and what stands in them is read exactly, or refused.

Numbers are parsed by Arrow's CSV reader, several blocks at a time; what it does not take is parsed line by line, and the line
that is wrong is named.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from pcaug.cloud import PointCloud
from pcaug.errors import FileError
from pcaug.parallel import map_ahead

COMMENTS = (b"#", b"//")
COMMAS = bytes.maketrans(b";\t\r", b",, ")
BETWEEN = re.compile(rb" *[,;\t] *| +")
"""What stands between two cells."""
EXACT = 1 << 53
"""Above it float64 rounds whole numbers."""
BLOCK = 4 << 20
"""Bytes parsed at a time by one thread."""
LONGEST = 1 << 20
"""Bytes that a line may have."""

Kinds = Sequence[np.dtype[Any] | None]
"""Types of columns; None of one that is skipped, in which cells may be empty."""
Columns = list[NDArray[Any]]


def cells_of(line: bytes) -> list[bytes]:
    """What stands between the separators of a line, b"" where nothing does; beside commas or semicolons a tab is a space."""
    line = line.translate(None, b"\n").replace(b"\r", b" ")
    if b"," in line or b";" in line:
        line = line.replace(b"\t", b" ")
    return BETWEEN.split(line.strip(b" "))


def numeric(words: Sequence[bytes | str]) -> bool:
    """Whether all words are numbers."""
    try:
        [float(word) for word in words]
    except ValueError:
        return False
    return True


def decoded(word: bytes) -> str:
    """A word as text: UTF-8, else Latin-1."""
    try:
        return word.decode()
    except UnicodeDecodeError:
        return word.decode("latin-1")


def check_points(line: bytes, wanted: int, number: int, path: Path) -> None:
    """Raise FileError for a line that holds as many numbers as are wanted if its commas are decimal ones."""
    cells = cells_of(line.replace(b",", b"."))
    if b"," in line and len(cells) == wanted and numeric([cell for cell in cells if cell]):
        raise FileError(f"line {number} has decimal commas", path, "replace them by points")


def parsed(
    path: Path,
    size: int,
    kinds: Kinds,
    make: Callable[[Columns], PointCloud],
    start: int,
    line: int,
    *,
    exact: bool = False,
) -> Iterator[PointCloud]:
    """Stream the numbers of a text file without its header; an empty one gives one empty cloud.

    Args:
        path: The file.
        size: Points per chunk, at most.
        kinds: Type of each column.
        make: Makes a cloud of one array (n,) a column.
        start: Where the numbers start, bytes.
        line: Number of that line, for errors.
        exact: Refuse whole numbers that their column, of floats, would round.

    Raises:
        FileError: Naming the first line that is not as many numbers.
    """
    threads = os.cpu_count() or 1

    def work(place: tuple[int, memoryview]) -> PointCloud:
        at, block = place
        return make(_parse(block, kinds, path, lambda: line + _lines(path, start, at), exact=exact))

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


def _parse(block: memoryview, kinds: Kinds, path: Path, line: Callable[[], int], *, exact: bool) -> Columns:
    """Arrow parses what has one separator between two numbers; what has more is first evened out."""
    first = bytes(block[:LONGEST]).partition(b"\n")[0]
    separator = next((mark for mark in (b",", b";", b"\t") if mark in first), b" ").decode()
    columns: Columns | None = None
    with suppress(pa.ArrowException):
        columns = _by_arrow(block, separator, kinds)
    if columns is None and not any(mark in bytes(block) for mark in COMMENTS):
        with suppress(pa.ArrowException):
            columns = _by_arrow(*_even(bytes(block)), kinds)
    if columns is None or (exact and any(_rounded(values).any() for values in columns)):
        return _line_by_line(bytes(block), kinds, path, line, exact=exact)
    return columns


def _rounded(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Which floats (n,) may have been whole numbers of 64 bits before they were rounded."""
    size = np.abs(values) if values.dtype.kind == "f" else np.zeros(len(values))
    return (size >= EXACT) & (size <= 2.0**64)


def _even(block: bytes) -> tuple[bytes, str]:
    """Lines with one separator between two cells, and this separator. Cells that are empty stay so."""
    hard = any(mark in block for mark in b",;\t")
    if b"\t" in block and (b"," in block or b";" in block):
        raise pa.ArrowInvalid("tabs that are spaces in some lines")
    even = block.translate(COMMAS)
    while b"  " in even:
        even = even.replace(b"  ", b" ")
    even = even.replace(b" ,", b",").replace(b", ", b",").replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(b" \n")
    return (even.replace(b" ", b","), ",") if hard else (even, " ")


def _by_arrow(block: bytes | memoryview, separator: str, kinds: Kinds) -> Columns:
    """Columns of a table; raises ArrowException where it is none of numbers. What is skipped gives no values."""
    names = [str(i) for i in range(len(kinds))]
    held = [np.dtype("u1") if kind is not None and kind.kind == "b" else np.dtype(kind) for kind in kinds]
    types = {name: pa.type_for_alias(kind.name) for name, kind in zip(names, held, strict=True)}
    gaps = [] if separator == " " else [""]
    table = csv.read_csv(
        pa.py_buffer(block),
        csv.ReadOptions(use_threads=False, column_names=names, block_size=len(block) + 1),
        csv.ParseOptions(delimiter=separator, quote_char=False),
        csv.ConvertOptions(column_types=types, null_values=gaps, strings_can_be_null=False, check_utf8=False),
    )
    columns: Columns = []
    for column, kind, plain in zip(table.columns, kinds, held, strict=True):
        if kind is None:
            columns.append(np.zeros(0))
            continue
        if column.null_count:
            raise pa.ArrowInvalid("empty cells")
        array = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        values = np.frombuffer(array.buffers()[1], plain, table.num_rows)  # to_numpy would import pandas where it is installed
        columns.append(values.astype(kind, copy=False))
    return columns


def _line_by_line(block: bytes, kinds: Kinds, path: Path, line: Callable[[], int], *, exact: bool) -> Columns:
    rows, offsets = [], []
    for offset, raw in enumerate(block.split(b"\n")):
        cells = cells_of(raw)
        if not any(cells) or raw.lstrip().startswith(COMMENTS):
            continue
        if len(cells) != len(kinds) or not numeric([cell for cell in cells if cell]):
            check_points(raw, len(kinds), line() + offset, path)
            what = f"line {line() + offset} is not {len(kinds)} numbers"
            raise FileError(what, path, "it may be truncated: download it again")
        for place, (cell, kind) in enumerate(zip(cells, kinds, strict=True), 1):
            if kind is not None and not cell:
                what = f"line {line() + offset} has nothing in column {place}"
                raise FileError(what, path, 'fill it at the source, or skip that column by the name "" in a card\'s columns')
        rows.append(cells)
        offsets.append(offset)
    columns: Columns = []
    for place, kind in enumerate(kinds):
        words = [row[place] for row in rows]
        columns.append(
            np.zeros(0) if kind is None else _column(words, kind, place + 1, path, lambda i: line() + offsets[i], exact)
        )
    return columns


def _column(
    words: list[bytes], kind: np.dtype[Any], place: int, path: Path, line: Callable[[int], int], exact: bool
) -> NDArray[Any]:
    """Words as numbers of a type; raises FileError for the first that it cannot hold, or only rounded where ``exact``."""
    if kind.kind == "f":
        floats = np.array([float(word) for word in words])
        for i in np.flatnonzero(_rounded(floats)) if exact else ():
            if whole(words[i], -(2**64), 2**64) not in (None, int(floats[i])):
                what = f"line {line(int(i))} has {decoded(words[i])[:40]} in column {place}, which is rounded as a decimal number"
                raise FileError(what, path, "write the table as Parquet, whose columns have types")
        return floats.astype(kind)
    most = np.iinfo(np.uint8 if kind.kind == "b" else kind)
    numbers = [whole(word, most.min, most.max) for word in words]  # never as floats, which hold 53 bits
    if None in numbers:
        wrong = numbers.index(None)
        what = f"line {line(wrong)} has {decoded(words[wrong])[:40]!r} in column {place}"
        raise FileError(what, path, f"whole numbers from {most.min} to {most.max} stand there: correct it")
    return np.array(numbers, most.dtype).astype(kind)


def whole(word: bytes, least: int, most: int) -> int | None:
    """A word as a whole number; None where it is no such number, or lies outside."""
    try:
        number = int(word)
    except ValueError:
        return None
    return number if least <= number <= most else None
