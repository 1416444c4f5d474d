"""Files that are there as a whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pcaug.errors import FileError, PcaugError


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A path to write to, of the same name in a folder of its own beside ``path``. What is written there takes the file's place
    in the end, or goes if that failed; missing folders are made.

    Raises:
        FileError: If it cannot be written, for a full disk or otherwise, and errors of what is done meanwhile: all of them name
            the file that is wanted.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        place = TemporaryDirectory(prefix=".tmp-", dir=path.parent, ignore_cleanup_errors=True)
    except OSError as error:
        raise FileError(f"cannot be written ({error.strerror})", path, "check the path and its permissions") from None
    with place as home:
        partial = Path(home, path.name)
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
    """Write a file of bytes, see ``beside``."""
    with beside(path) as partial:
        partial.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, see ``beside``."""
    with beside(path) as partial:
        partial.write_text(text, encoding="utf-8")
