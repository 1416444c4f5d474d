"""Pickled pandas DataFrames, read without unpickling: the pickle's opcodes are followed by hand into inert records.

A pickle is a program. This reader knows the opcodes that build values, and has none that imports or calls anything: where
the program says "call numpy's ndarray", it keeps a record of the name and its arguments. The one record that is a DataFrame
is then taken apart. Layouts of pandas 0.2x to 2.x (block managers with and without the "0.14.1" state) and of numpy's
arrays in every protocol; columns of numbers only.

Opcodes: https://docs.python.org/3/library/pickletools.html; layouts: ``pandas.core.internals``, ``numpy.ndarray.__reduce__``.
"""

from __future__ import annotations

import gzip
import pickletools  # it parses opcodes; it executes none
import zlib
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import FileError

LIMIT = 1 << 30
"""Bytes that a file may unpack to: a frame of PandaSet has 8 million."""
VALUES = {
    "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
    "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
EMPTY = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_TUPLE": tuple}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
NAMES = {"slice", "encode", "ndarray", "dtype", "_reconstruct", "_frombuffer", "DataFrame", "BlockManager", "_unpickle_block",
         "new_block", "_new_Index", "Index", "RangeIndex", "Int64Index", "UInt64Index", "Float64Index"}  # fmt: skip
MODULES = ("builtins", "__builtin__", "_codecs", "numpy", "pandas")
NUMBER = {
    f"{kind}{size}" for kind, sizes in {"f": (2, 4, 8), "i": (1, 2, 4, 8), "u": (1, 2, 4, 8), "b": (1,)}.items() for size in sizes
}


@dataclass
class Record:
    """What a pickle wanted to have called: a name, its arguments, the state that it wanted to set. Nothing is called."""

    name: str
    args: tuple[Any, ...] = ()
    state: Any = field(default=None)


class _Mark:
    """The place on the stack that the next collection begins at."""


def read_frame(path: Path) -> dict[str, NDArray[Any]]:
    """The columns of a pickled DataFrame (``.pkl``, ``.pkl.gz``), by name, each (N,) in its own dtype.

    Raises:
        FileError: If it is truncated, holds more than 1 GiB, or is anything but a DataFrame of numbers.
    """
    try:
        return _columns(_record(_unpacked(path), path), path)
    except (ValueError, IndexError, KeyError, TypeError, AttributeError, OverflowError, EOFError, zlib.error) as error:
        raise FileError(f"is not a pickled DataFrame, or is truncated ({error})", path, "download it again") from None


def _unpacked(path: Path) -> bytes:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            data = (gzip.GzipFile(fileobj=file) if packed else file).read(LIMIT + 1)
        except OSError as error:
            raise FileError(f"is truncated ({error})", path, "download it again") from None
    if len(data) > LIMIT:
        raise FileError("unpacks to more than 1 GiB", path, "it is not a scanner's frame")
    return data


def _record(data: bytes, path: Path) -> Any:
    """Follow the opcodes to the value that the pickle stands for."""
    stack: list[Any] = []
    memo: dict[int, Any] = {}
    for code, arg, _ in pickletools.genops(BytesIO(data)):
        name = code.name
        if name in VALUES:
            stack.append(CONSTANTS.get(name, arg))
        elif name in EMPTY:
            stack.append(EMPTY[name]())
        elif name in TUPLES:
            stack[-TUPLES[name] :] = [tuple(stack[-TUPLES[name] :])]
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            memo[len(memo) if name == "MEMOIZE" else int(str(arg))] = stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            stack.append(memo[int(str(arg))])
        elif name == "STOP":
            return stack.pop()
        elif name not in ("PROTO", "FRAME"):
            _step(name, arg, stack, path)
    raise FileError("is truncated: its pickle has no end", path, "download it again")


def _step(name: str, arg: Any, stack: list[Any], path: Path) -> None:
    """The opcodes that put values together."""
    if name == "MARK":
        stack.append(_Mark)
    elif name in ("TUPLE", "LIST"):
        stack.append((tuple if name == "TUPLE" else list)(_since_mark(stack)))
    elif name == "APPEND":
        value = stack.pop()
        _as(list, stack[-1]).append(value)
    elif name == "APPENDS":
        values = _since_mark(stack)
        _as(list, stack[-1]).extend(values)
    elif name in ("SETITEM", "SETITEMS"):
        items = _since_mark(stack) if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
        _as(dict, stack[-1]).update(zip(items[::2], items[1::2], strict=True))
    elif name in ("GLOBAL", "STACK_GLOBAL"):
        module, attribute = arg.split(" ", 1) if name == "GLOBAL" else (stack.pop(-2), stack.pop())
        if attribute not in NAMES or str(module).split(".")[0] not in MODULES:
            raise FileError(f"asks for {module}.{attribute}, which no table of numbers needs", path, "do not open it elsewhere")
        stack.append(Record(attribute))
    elif name in ("REDUCE", "NEWOBJ"):
        args = _as(tuple, stack.pop())
        stack.append(Record(_as(Record, stack.pop()).name, args))
    elif name == "BUILD":
        state = stack.pop()
        _as(Record, stack[-1]).state = state
    else:
        raise FileError(f"has the opcode {name}, which no table of numbers needs", path, "do not open it elsewhere")


def _since_mark(stack: list[Any]) -> list[Any]:
    at = len(stack) - 1 - stack[::-1].index(_Mark)
    values = stack[at + 1 :]
    del stack[at:]
    return values


def _as(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"a {type(value).__name__} where a {kind.__name__} should be")
    return value


def _columns(frame: Any, path: Path) -> dict[str, NDArray[Any]]:
    """Take a DataFrame's record apart: axes (column names first) and blocks of columns."""
    if not isinstance(frame, Record) or frame.name != "DataFrame":
        raise FileError("holds something else than a DataFrame", path, "check the file")
    manager = frame.state["_mgr"] if "_mgr" in frame.state else frame.state["_data"]
    if manager.state is None:  # pandas 1.3 and later: (blocks, axes)
        blocks, axes = manager.args
        parts = [(block.args[0], block.args[1]) for block in blocks]
    else:
        state = manager.state[3]["0.14.1"]
        axes, parts = state["axes"], [(block["values"], block["mgr_locs"]) for block in state["blocks"]]
    names = _names(axes[0])
    found: dict[str, NDArray[Any]] = {}
    for values, places in parts:
        table = _array(values)
        if table.ndim != 2:
            raise ValueError(f"a block of {table.ndim} dimensions")
        for row, place in zip(table, _places(places, len(names)), strict=True):
            found[names[place]] = row
    if len({len(column) for column in found.values()}) > 1 or set(found) != set(names):
        raise ValueError("columns are missing or of different lengths")
    return {name: found[name] for name in names}


def _names(axis: Record) -> list[str]:
    """Column names: an index of strings, as an array of objects."""
    data = axis.args[1]["data"]
    _version, _shape, _dtype, _fortran, names = data.state
    return [str(name) for name in _as(list, names)]


def _places(places: Any, columns: int) -> list[int]:
    if isinstance(places, Record) and places.name == "slice":
        return list(range(columns))[slice(*(_as(int, part) if part is not None else None for part in places.args))]
    return [int(place) for place in _array(places)]


def _array(record: Any) -> NDArray[Any]:
    """A numpy array from its record: numbers of a fixed size and exactly the bytes that its shape needs."""
    if _as(Record, record).name == "_frombuffer":  # protocol 5: buffer, dtype, shape, order
        data, dtype, shape, order = record.args
    else:
        _version, shape, dtype, fortran, data = record.state
        order = "F" if fortran else "C"
    if isinstance(data, Record) and data.name == "encode":  # protocol 2 spells bytes as text
        data = data.args[0].encode("latin-1")
    return np.frombuffer(data, _dtype(dtype)).reshape([_as(int, n) for n in shape], order="F" if order == "F" else "C")


def _dtype(record: Record) -> np.dtype[Any]:
    code = str(_as(Record, record).args[0]).lstrip("<>|=")
    if record.name != "dtype" or code not in NUMBER:
        raise ValueError(f"columns of type {code}, not of numbers")
    order = record.state[1] if record.state else "|"
    return np.dtype(("<" if order in ("|", "=") else order) + code)
