"""Where a mesh and the files it names lie: a folder or a zip, and nothing outside it is ever read."""

from __future__ import annotations

import lzma
import os
import posixpath
import zipfile
import zlib
from functools import cached_property
from pathlib import Path

from pcaug.errors import FileError, NotFound

MAX_BYTES = 512 << 20
"""Largest file that is read, unpacked."""
DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError)
"""What ``zipfile`` raises of an archive that is damaged, encrypted or of a newer kind."""


class Bundle:
    """A folder, or a zip archive read in place.

    Args:
        path: The folder or archive.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise NotFound("no such folder or archive", path)
        self.path = path.resolve()

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Name -> unpacked bytes of an archive's files."""
        try:
            with zipfile.ZipFile(self.path) as archive:
                return {info.filename.lstrip("/"): info.file_size for info in archive.infolist() if not info.is_dir()}
        except DAMAGED as error:
            raise FileError(f"cannot be read as a zip archive ({error})", self.path) from None

    def names(self) -> list[str]:
        """All files, as paths with "/" relative to the bundle, sorted."""
        if self.path.is_dir():
            return sorted(p.relative_to(self.path).as_posix() for p in self.path.rglob("*") if p.is_file())
        return sorted(self._sizes)

    def __contains__(self, name: str) -> bool:
        try:
            name = self.inside(name)
        except FileError:
            return False
        return (self.path / name).is_file() if self.path.is_dir() else name in self._sizes

    def inside(self, name: str, beside: str = "") -> str:
        """Normalised name of a file that another (``beside``) refers to.

        Raises:
            FileError: If it leads out of the bundle, by "..", an absolute path, a drive, an address or a link.
        """
        plain = name.strip().replace("\\", "/")
        joined = posixpath.normpath(posixpath.join(posixpath.dirname(beside), plain))
        named = plain.startswith("/") or ":" in plain.partition("/")[0] or joined.startswith("..") or "\0" in plain
        if named or (self.path.is_dir() and not Path(os.path.realpath(self.path / joined)).is_relative_to(self.path)):
            raise FileError(f"names a file outside its folder: {name!r}", self.where(beside), "move that file beside it")
        return joined

    def read(self, name: str, beside: str = "") -> bytes:
        """Content of a file; raises FileError (outside, too large, damaged) or NotFound."""
        inner = self.inside(name, beside)
        if inner not in self:
            raise NotFound(
                "no such mesh" if not beside else f"names a file that is absent: {name!r}", self.where(beside or inner)
            )
        size = (self.path / inner).stat().st_size if self.path.is_dir() else self._sizes[inner]
        if size > MAX_BYTES:
            raise FileError(f"has {size >> 20:,} MiB", self.where(inner), f"split it below {MAX_BYTES >> 20} MiB")
        if self.path.is_dir():
            return (self.path / inner).read_bytes()
        try:
            with zipfile.ZipFile(self.path) as archive:
                found = next(i for i in archive.infolist() if i.filename.lstrip("/") == inner)
                return archive.read(found)
        except DAMAGED as error:
            raise FileError(f"is damaged in its archive ({error})", self.where(inner)) from None

    def where(self, name: str) -> str:
        """How a file is called in messages."""
        return str(self.path / name) if name else str(self.path)
