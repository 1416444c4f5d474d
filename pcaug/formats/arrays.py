"""NumPy's own files (NEP 1): ``.npy`` with one structured or plain array, ``.npz`` with one array per field. No pickles.

A plain ``.npy`` array is (N, 3), or (N, k) with the columns named by a card. Positions in ``.npz`` are called ``xyz``,
``positions`` (as Open3D writes them), ``points`` or alike, or are three arrays x, y and z.
"""

from __future__ import annotations

import io
import json
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.errors import FileError, PcaugError
from pcaug.formats import naming

MARK = "pcaug "
"""Title of the first column of a structured array of ours; JSON follows (in ``.npz``: an array called ``pcaug``)."""
DEFLATE = 1100
"""More than deflate can shrink anything by (RFC 1951: 1032): a member that claims more lies."""

WHOLE = 64 << 20
"""Bytes that an array stored column by column may unpack to, as it is held as a whole; one that shrank less may be larger."""
WHOLES = 50
"""Bytes an array unpacks to for each that is stored, more than points of a scanner do."""


def read_npy(path: Path, size: int, columns: Sequence[str] | None = None, label: str | None = None) -> Iterator[PointCloud]:
    """Stream an array from a memory map.

    Args:
        path: The file.
        size: Points per chunk.
        columns: Names of the columns of a plain array (N, k): x, y, z and any field names; "" skips one.
        label: Column with the class ids, where its name is not one of ``naming.LABELS``.
    """
    try:
        table = npy.open_memmap(path, mode="r")
    except Exception as error:  # NumPy's parser of headers raises what Python's own does
        raise FileError(f"is not a .npy file, is truncated, or holds objects ({error})", path, "download it again") from None
    names = list(table.dtype.names or ())
    said: dict[str, Any] = {}
    if names and table.ndim == 1:
        kinds: Any = table.dtype.fields
        title = kinds[names[0]][2:] or ("",)
        said = naming.understand(str(title[0]).removeprefix(MARK), path) if str(title[0]).startswith(MARK) else {}
        at: dict[str, Any] = {name: name for name in names}
    elif not names and table.ndim == 2 and (columns or table.shape[1] == 3):
        given = list(columns or "xyz")
        if len(given) != table.shape[1]:
            raise FileError(f"has {table.shape[1]} columns, {len(given)} are named", path, "correct the names")
        at = {name: i for i, name in enumerate(given) if name}
    else:
        do = 'name them in a card: columns = ["x", "y", "z", ...]'
        raise FileError(f"has an array of shape {table.shape} and no names of its columns", path, do)
    made = naming.plan(at, path, said, label)
    for start in range(0, max(len(table), 1), size):
        rows = table[start : start + size]
        yield naming.assemble(lambda c, r=rows: r[at[c]] if names else r[:, at[c]], made, path, said)  # type: ignore[misc]


def write_npy(path: Path, chunks: Iterator[PointCloud]) -> int:
    """Write one structured array; a vector field is one column of shape (k,).

    Raises:
        PcaugError: For a field that a header cannot name.
    """
    written = 0
    kind: Any = None
    with path.open("w+b") as file:
        for chunk in chunks:
            fields = naming.tables(chunk)
            axes = dict(zip("xyz", fields.pop("xyz").T, strict=True))
            if kind is None:
                naming.check_names(fields, re.compile(r"[\x00-\xff]+").fullmatch, "a column of a .npy file", path)
                title = MARK + json.dumps(naming.describe(chunk, split=False))
                places = [((title, "x"), "<f8"), ("y", "<f8"), ("z", "<f8")]
                kind = np.dtype([*places, *((name, v.dtype, v.shape[1:]) for name, v in fields.items())])
                _head(file, kind, 0)
            table = np.empty(len(chunk), kind)
            for name, values in (axes | fields).items():
                table[name] = values
            file.write(table.tobytes())
            written += len(chunk)
        file.seek(0)
        _head(file, kind, written)  # NumPy pads headers so that the count may grow in place
    return written


def _head(file: IO[bytes], kind: np.dtype[Any], count: int, shape: tuple[int, ...] = ()) -> None:
    head = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": (count, *shape)}
    npy.write_array_header_2_0(file, head)


@dataclass
class _Member:
    """One array of an archive, read from front to back."""

    stream: IO[bytes]
    kind: np.dtype[Any]
    shape: tuple[int, ...]

    @classmethod
    def open(cls, archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> _Member:
        stream = archive.open(info)
        version = npy.read_magic(stream)
        shape, fortran, kind = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(stream)
        held = info.file_size - stream.tell()
        lies = not kind.hasobject and prod(shape) * kind.itemsize != held
        if lies or info.file_size > DEFLATE * info.compress_size + 4096:
            raise FileError(f"array {info.filename!r} holds less than it promises", path, "download it again")
        if kind.hasobject:  # never unpickled: left out for its kind
            return cls(stream, kind, shape)
        if fortran and len(shape) > 1:
            if held > max(WHOLE, WHOLES * info.compress_size):
                what = (
                    f"array {info.filename!r} is stored column by column, and unpacks to {held} bytes that must be held at once"
                )
                raise FileError(what, path, "store it row by row: numpy.ascontiguousarray(...)")
            stream = io.BytesIO(np.frombuffer(stream.read(), kind).reshape(shape, order="F").tobytes())
        return cls(stream, kind, shape)

    def take(self, count: int) -> NDArray[Any]:
        data = self.stream.read(count * prod(self.shape[1:]) * self.kind.itemsize)
        return np.frombuffer(data, self.kind).reshape(count, *self.shape[1:])


def read_npz(path: Path, size: int, label: str | None = None) -> Iterator[PointCloud]:
    """Stream the arrays of an archive side by side, compressed or not; arguments as of ``read_npy``."""
    with _opened(path) as archive:
        members = {i.filename.removesuffix(".npy"): _Member.open(archive, i, path) for i in archive.infolist()}
        yield from _side_by_side(members, size, path, label)


def named(path: Path, names: Sequence[str], limit: int) -> list[NDArray[Any]]:
    """Some arrays of numbers of an archive, each as a whole.

    Raises:
        FileError: If one is missing, holds no numbers, or unpacks to more than ``limit`` bytes.
    """
    found = []
    with _opened(path) as archive:
        for name in names:
            info = archive.getinfo(f"{name}.npy")
            if info.file_size > limit:
                raise FileError(f"array {name!r} unpacks to {info.file_size} bytes", path, f"more than {limit} are not expected")
            member = _Member.open(archive, info, path)
            if member.kind.kind not in "iuf":
                raise FileError(f"array {name!r} holds no numbers", path, "download it again")
            found.append(np.frombuffer(member.stream.read(), member.kind).reshape(member.shape))
    return found


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except PcaugError:
        raise
    except Exception as error:  # zipfile, zlib and NumPy's parser of headers raise a dozen types
        raise FileError(f"is not an .npz file, is truncated, or holds objects ({error})", path, "download it again") from None


def _side_by_side(members: dict[str, _Member], size: int, path: Path, label: str | None) -> Iterator[PointCloud]:
    mark = members.pop("pcaug", None)
    said = naming.understand(str(mark.take(1)[0]), path) if mark and not mark.shape and mark.kind.kind == "U" else {}
    made = naming.plan(members, path, said, label)
    positions = members[made["xyz"][0]]
    count = positions.shape[0] if positions.shape else 0
    for name, member in list(members.items()):
        if member.kind.kind not in "iufb" or member.shape[:1] != (count,) or len(member.shape) > 2:
            naming.skipped(f"array {name!r} of shape {member.shape}", path)
            members.pop(name)
    made = naming.plan(members, path, said, label)
    for start in range(0, max(count, 1), size):
        rows = {name: member.take(min(size, count - start)) for name, member in members.items()}
        yield naming.assemble(rows.__getitem__, made, path, said)


def write_npz(path: Path, chunks: Iterator[PointCloud], *, compress: bool = False) -> int:
    """Write one array per field, through temporary files beside it: an archive takes its members one after the other."""
    written = 0
    parts: dict[str, tuple[IO[bytes], NDArray[Any]]] = {}
    with ExitStack() as stack:
        for chunk in chunks:
            said = naming.describe(chunk, split=False)
            for name, values in naming.tables(chunk).items():
                if name not in parts:
                    parts[name] = (stack.enter_context(tempfile.TemporaryFile(dir=path.parent)), values[:0])
                parts[name][0].write(np.ascontiguousarray(values).tobytes())
            written += len(chunk)
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED) as archive:
            for name, (part, empty) in parts.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    _head(member, empty.dtype, written, empty.shape[1:])
                    part.seek(0)
                    shutil.copyfileobj(part, member, 1 << 20)
            with archive.open("pcaug.npy", "w") as member:
                npy.write_array(member, np.array(json.dumps(said)), allow_pickle=False)
    return written
