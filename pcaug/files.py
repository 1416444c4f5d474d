"""Files that are there as a whole or not at all; where they are kept, and values as JSON holds them."""

from __future__ import annotations

import hashlib
import math
import os
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pcaug.errors import FileError, PcaugError

TEMPORARY = ".tmp-"
"""What names of folders begin with in which something is being written."""


def is_taken(path: Path) -> bool:
    """Whether there is something to lose: a file, or a folder that holds more than a killed process left."""
    return not all(_is_left(found) for found in path.iterdir()) if path.is_dir() else path.exists()


def _is_left(path: Path) -> bool:
    """Whether a killed process left something: a folder that nobody is at work in."""
    if not path.name.startswith(TEMPORARY) or (lock := _locked(path)) is None:
        return False
    os.close(lock)
    return True


def claim(path: Path, *, force: bool, resumes: bool = False) -> None:
    """Refuse, before any work, to write where something is; raises PcaugError.

    Args:
        path: File or folder that will be written.
        force: What is there may be written over.
        resumes: What is there was left by an interrupted job, which goes on.
    """
    if not force and not resumes and is_taken(path):
        raise PcaugError("already exists", path, "choose another name or pass --force")


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
        for left in home.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
        os.close(lock)


def _locked(home: Path) -> int | None:
    """A handle to a folder, which is made where it is not there; it is locked until the handle is closed, by whatever end of this
    process. None where it is locked already, or locks are not to be had."""
    home.mkdir(mode=0o700, exist_ok=True)
    handle = None
    try:
        import fcntl

        handle = os.open(home, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(handle), home.stat()):  # else its owner has just removed it
            return handle
    except (BlockingIOError, FileNotFoundError, PermissionError):  # somebody's who is at work, or another user's
        pass
    except (ImportError, OSError):  # nobody can lock it, so that nobody uses it
        with suppress(OSError):
            home.rmdir()
    if handle is not None:
        os.close(handle)
    return None


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
            yield partial
            partial.replace(path)
        except PcaugError as error:
            if error.where != str(partial):
                raise
            raise type(error)(error.what, path, error.do) from None
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
