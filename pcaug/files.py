"""Files that are there as a whole or not at all; where they are kept, and values as JSON holds them."""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pcaug.errors import FileError, PcaugError

TEMPORARY = ".tmp-"
"""What names of folders begin with in which something is being written."""
UNDER_WAY = re.compile(rf"{re.escape(TEMPORARY)}.*|\..+\.(parts|making|clean|objects)")
"""Names of folders of work that interrupted jobs leave."""


@dataclass(frozen=True)
class Kind:
    """What a command leaves in a folder.

    Attributes:
        name: Of such a folder, with its article: "a corpus".
        marks: Files of which one at least tells such a folder, as paths in it.
        files: Patterns of its other files, as paths in it; ``*`` stands within a name.
        listed: Its other files that are known by name.
    """

    name: str
    marks: tuple[str, ...]
    files: tuple[str, ...] = ()
    listed: frozenset[str] = frozenset()

    def below(self, folder: str) -> tuple[str, ...]:
        """Patterns of the files of such a folder that lies in another."""
        return tuple(f"{folder}/{pattern}" for pattern in (*self.marks, *self.files))

    def foreign(self, folder: Path) -> str | None:
        """What else a folder holds, one file of it: any, where nothing tells that it is of this kind."""
        told = any((folder / mark).is_file() for mark in self.marks)
        first = next((name for name in contents(folder) if not (told and self._holds(name))), None)
        return first if told or first else next(path.name for path in folder.iterdir())

    def _holds(self, name: str) -> bool:
        parts = name.split("/")
        return name in self.listed or any(
            len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
            for wanted in (pattern.split("/") for pattern in (*self.marks, *self.files))
        )


def contents(folder: Path) -> Iterator[str]:
    """All files and links below a folder, as paths in it, but those of work under way."""
    for home, folders, names in os.walk(folder):
        links = [name for name in folders if Path(home, name).is_symlink()]
        folders[:] = sorted(name for name in folders if not UNDER_WAY.fullmatch(name))
        yield from (Path(home, name).relative_to(folder).as_posix() for name in sorted([*names, *links]))


def is_taken(path: Path) -> bool:
    """Whether there is something to lose: a file, or a folder that holds more than a killed process left."""
    return not all(_is_left(found) for found in path.iterdir()) if path.is_dir() else path.exists()


def _is_left(path: Path) -> bool:
    """Whether a killed process left something: a folder that nobody is at work in."""
    if not path.name.startswith(TEMPORARY) or (lock := _locked(path)) is None:
        return False
    os.close(lock)
    return True


def claim(path: Path, *, force: bool, resumes: bool = False, kind: Kind | None = None, what: str = "already exists") -> None:
    """Refuse, before any work, to write where something is; raises PcaugError.

    Even forced, only what such a command itself leaves is written over: a file, or a folder that holds nothing else.

    Args:
        path: File or folder that will be written.
        force: What is there may be written over.
        resumes: What is there was left by an interrupted job, which goes on.
        kind: Of the folder; None for a file.
        what: Why what is there is in the way.
    """
    if (resumes and not force) or not is_taken(path):
        return
    if path.is_dir() != (kind is not None):
        found, wanted = ("folder", "file") if kind is None else ("file", "folder")
        raise PcaugError(f"is a {found}, but a {wanted} is written", path, "choose another name")
    if kind is not None and (foreign := kind.foreign(path)):
        raise PcaugError(f"holds {foreign}, which is no part of {kind.name}", path, "choose another folder, or move that away")
    if not force:
        raise PcaugError(what, path, "choose another name or pass --force")


def clear(folder: Path) -> None:
    """Remove all that is in a folder, if there is one."""
    for path in folder.iterdir() if folder.is_dir() else ():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A folder of one's own beside ``path``, to make there what takes its place in the end; missing folders are made. It goes
    afterwards, and one that a killed process left goes when the same path is written again on the same machine."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(f"{platform.node()} {path.name}".encode()).hexdigest()[:16]
    home = path.with_name(f"{TEMPORARY}{name}")
    lock = _locked(home)
    if lock is None:  # somebody writes the same path now, or what a file system without locks holds may be somebody's
        with TemporaryDirectory(prefix=TEMPORARY, dir=path.parent, ignore_cleanup_errors=True) as other:
            yield Path(other)
        return
    try:
        clear(home)
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
        os.close(lock)


def _locked(home: Path) -> int | None:
    """A handle to a folder, which is made where it is not there; it is locked until the handle is closed, by whatever end of this
    process. None where it is locked already, or locks are not to be had."""
    home.mkdir(mode=0o700, exist_ok=True)
    try:
        handle = _flocked(home)
    except (BlockingIOError, FileNotFoundError, PermissionError):  # somebody's who is at work, or another user's
        return None
    except (ImportError, OSError):  # nobody can lock it, so that nobody uses it
        with suppress(OSError):
            home.rmdir()
        return None
    with suppress(OSError):
        if os.path.samestat(os.fstat(handle), home.stat()):
            return handle
    os.close(handle)  # its owner has just removed it
    return None


def _flocked(folder: Path) -> int:
    """A handle to a folder that is locked until it is closed, by whatever end of this process.

    Raises:
        BlockingIOError: If it is locked already.
        ImportError, OSError: If locks are not to be had.
    """
    import fcntl

    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle


@contextmanager
def alone(folder: Path, what: Path) -> Iterator[None]:
    """Keep a folder, which is made where it is not there, from other processes that would make the same thing in it at the same
    time.

    A lock ends with its process, however that ends. Where a system has none nobody is kept out.

    Raises:
        PcaugError: Where another process is at work in it.
    """
    handle: int | None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = _flocked(folder)
    except BlockingIOError:
        raise PcaugError("is being made by another process", what, "wait for it, or choose another name") from None
    except (ImportError, OSError):
        handle = None
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


@contextmanager
def told_of(partial: Path, path: Path) -> Iterator[None]:
    """Let errors that name what is in the making, or lies in it, name what is wanted."""
    try:
        yield
    except PcaugError as error:
        if error.where is None or not Path(error.where).is_relative_to(partial):
            raise
        raise type(error)(error.what, path, error.do) from None


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A path to write to, of the same name in a folder ``beside`` it. What is written there takes the file's place
    in the end, or goes if that failed; missing folders are made.

    Raises:
        FileError: If it cannot be written, for a full disk or otherwise, and errors of what is done meanwhile: all of them name
            the file that is wanted.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # renaming a file over /dev/null would take it away
        raise FileError("is a device or something else that is not a file", path, "name a file")
    with ExitStack() as stack:
        try:
            home = stack.enter_context(beside(path))
        except OSError as error:
            raise FileError(f"cannot be written ({error.strerror})", path, "check the path and its permissions") from None
        partial = home / path.name
        try:
            with told_of(partial, path):
                yield partial
            partial.replace(path)
        except OSError as error:
            if error.filename is not None and not Path(error.filename).is_relative_to(home):
                raise
            raise FileError(f"could not be written ({error.strerror or error})", path, "check the free space") from None


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file of bytes, see ``atomic_path``."""
    with atomic_path(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, see ``atomic_path``."""
    with atomic_path(path) as partial:
        partial.write_text(text, encoding="utf-8")


def read_json(path: Path) -> Any:
    """What a JSON file of ours holds; raises FileError where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(
            f"is damaged ({type(error).__name__})", path, "remove it, and give the command that made it again"
        ) from None


def stamp(path: Path) -> list[int]:
    """What changes when a file is made again: size, time of last change; [] without a file."""
    if not path.is_file():
        return []
    found = path.stat()
    return [found.st_size, found.st_mtime_ns]


def cache_folder() -> Path:
    """Where downloads, and what was prepared once, are kept: ``PCAUG_CACHE``, else the user's cache folder."""
    base = os.environ.get("PCAUG_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pcaug"


def to_jsonable(value: Any) -> Any:
    """A value as JSON holds it: None for NaN and infinities, lists for arrays and tuples, text for paths."""
    if hasattr(value, "model_dump"):
        return to_jsonable(value.model_dump(mode="json"))
    if hasattr(value, "tolist"):
        return to_jsonable(value.tolist())
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): to_jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_jsonable(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
