"""Class ids that lie in a file beside the scan: one per line, packed binary numbers, or a numpy array."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from pcaug.catalogue import Strict
from pcaug.cloud import PointCloud
from pcaug.errors import FileError, LabelError

LEVELS = 4
"""Folders above a scan's own, below the last of which its label file lies."""


class LabelFile(Strict):
    """Where the class ids of a scan are, if they are not in the scan itself.

    Attributes:
        kind: "text": one id per line. "binary": numbers of ``dtype``, nothing else. "npy": a numpy array of whole numbers.
        scan: Regular expression that matches the end of a scan's path.
        file: What takes the matched part's place in the label file's path (``\\1`` is the first group).
        dtype: Of binary ids, little endian.
        mask: Bits of a binary number that hold the id; 0 takes all.
    """

    kind: Literal["text", "binary", "npy"]
    scan: str
    file: str
    dtype: Literal["u1", "u2", "u4", "i1", "i2", "i4", "i8"] = "u4"
    mask: int = 0

    @field_validator("scan")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    @field_validator("file")
    @classmethod
    def _inside(cls, file: str) -> str:
        if file.startswith(("/", "~")) or ".." in PurePosixPath(file).parts:
            raise ValueError(f"{file!r} points outside the dataset's folder")
        return file

    def path_of(self, scan: Path) -> Path:
        """Path of a scan's label file; raises LabelError for a scan whose path does not match, or leads out of its folder."""
        whole, do = scan.as_posix(), "correct the card's [labels]"
        found = re.search(self.scan, whole)
        try:
            name = found.expand(self.file) if found else ""
        except (re.error, IndexError):  # a group that the pattern does not have
            name = ""
        if not found or not name or name == found[0]:
            raise LabelError(f"has a name that does not tell its label file ({self.scan})", scan, do)
        path = Path(whole[: found.start()] + name + whole[found.end() :])
        above = scan.absolute().parents
        if ".." in name.split("/") or not path.absolute().is_relative_to(above[min(LEVELS, len(above) - 1)]):
            raise LabelError(f"has its label file outside the dataset's folder: {path}", scan, do)
        return path

    def attach(self, chunks: Iterator[PointCloud], scan: Path) -> Iterator[PointCloud]:
        """Give the chunks of a scan, all its rows, their ``native_label``; a scan without a label file passes as it is.

        Raises:
            FileError: If there are more or fewer ids than points, or something there is not a number.
        """
        path = self.path_of(scan)
        if not path.is_file():
            yield from chunks
            return
        with path.open("rb") as file:
            take = {"text": self._text, "binary": self._binary, "npy": self._npy}[self.kind](file, path)
            points = 0
            for chunk in chunks:
                ids = take(len(chunk))
                points += len(chunk)
                if len(ids) != len(chunk):
                    missing = len(chunk) - len(ids)
                    raise FileError(f"has {points - missing} ids for more points", path, "get the scan and its labels again")
                yield chunk.with_fields(native_label=ids)
            if len(take(1)):
                raise FileError(f"has more ids than the scan's {points} points", path, "get the scan and its labels again")

    def _text(self, file: IO[bytes], path: Path) -> Callable[[int], NDArray[np.int32]]:
        filled = (line for line in file if line.strip())

        def take(count: int) -> NDArray[np.int32]:
            lines = list(islice(filled, count))
            try:
                ids = np.array(lines).astype(np.float64) if lines else np.zeros(0)  # some write "1.0"
            except (ValueError, OverflowError):
                ids = np.full(1, np.nan)
            if not np.array_equal(ids, np.rint(ids)):
                raise FileError("holds lines that are not class ids", path, "correct the card's [labels]")
            return _ids(ids, path)

        return take

    def _binary(self, file: IO[bytes], path: Path) -> Callable[[int], NDArray[np.int32]]:
        size = np.dtype(self.dtype).itemsize

        def take(count: int) -> NDArray[np.int32]:
            data = file.read(count * size)
            if len(data) % size:
                raise FileError(f"is truncated: its end is not a whole number of {size} bytes", path, "download it again")
            values: NDArray[Any] = np.frombuffer(data, "<" + self.dtype).astype(np.int64)
            return _ids(values & self.mask if self.mask else values, path)

        return take

    def _npy(self, file: IO[bytes], path: Path) -> Callable[[int], NDArray[np.int32]]:
        try:
            values: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False).reshape(-1)
        except (ValueError, EOFError, OSError) as error:
            raise FileError(f"is not a numpy array of numbers, or is truncated ({error})", path, "download it again") from None
        at = 0

        def take(count: int) -> NDArray[np.int32]:
            nonlocal at
            part = np.array(values[at : at + count])
            at += len(part)
            whole = part.astype(np.int64) if part.dtype.kind in "iuf" else None
            if whole is None or not np.array_equal(whole, part):
                raise FileError(f"holds {part.dtype} that are not class ids", path, "correct the card's [labels]")
            return _ids(whole & self.mask if self.mask else whole, path)

        return take


def _ids(values: NDArray[Any], path: Path) -> NDArray[np.int32]:
    if len(values) and (values.min() < -(2**31) or values.max() >= 2**31):
        raise FileError("holds class ids beyond 32 bits", path, "correct the card's [labels]")
    return values.astype(np.int32)
