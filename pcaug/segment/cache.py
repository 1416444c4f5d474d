"""The cache of prepared tiles: a folder a corpus and recipe, the least recently used of which make room for new ones."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from pcaug.errors import FileError, PcaugError
from pcaug.files import cache_folder, write_bytes

LIMIT = 20.0
"""Gigabytes that the cache may hold before old folders are removed, unless ``PCAUG_CACHE_GB`` says otherwise."""
IN_USE = 3600.0
"""Seconds after its last use in which a folder is kept whatever the limit: another training may be reading it."""
DTYPES = {"U16": "<u2", "I32": "<i4", "I64": "<i8", "F32": "<f4", "F64": "<f8"}
"""What safetensors calls the types of arrays that are kept, and what numpy does."""


def prepared_folder(key: str) -> Path:
    """Where the tiles of a corpus and recipe lie; marked as used now, and old ones removed where it is new.

    Raises:
        PcaugError: If ``PCAUG_CACHE_GB`` is no number.
    """
    folder = cache_folder() / "prepared" / key
    if not folder.is_dir():
        _make_room(folder.parent)
        folder.mkdir(parents=True, exist_ok=True)
    os.utime(folder)
    return folder


def _make_room(parent: Path) -> None:
    """Remove the least recently used folders until the others hold less than the limit."""
    said = os.environ.get("PCAUG_CACHE_GB", "")
    try:
        limit = float(said or LIMIT) * 1e9
    except ValueError:
        raise PcaugError(f"PCAUG_CACHE_GB = {said!r} is not a number of gigabytes", do="say 20, or leave it out") from None
    found = []
    for path in parent.glob("*"):
        with suppress(FileNotFoundError):  # another training renames or removes what is in it
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            found.append((path.stat().st_mtime, path, size))
    held = sum(size for _, _, size in found)
    for used, path, size in sorted(found):
        if held <= limit or time.time() - used < IN_USE:
            break
        shutil.rmtree(path, ignore_errors=True)
        held -= size


def keep(arrays: Mapping[str, NDArray[np.generic]], path: Path) -> None:
    """Write arrays to one file, which is there as a whole or not at all.

    Raises:
        FileError: If the disk is full, or the cache may not be written.
    """
    try:
        write_bytes(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    except FileError as error:
        raise FileError(error.what, path, "make room for prepared tiles, or name another folder in PCAUG_CACHE") from None


def mapped(path: Path) -> dict[str, NDArray[np.generic]]:
    """The arrays of a file that ``keep`` wrote, by one memory map and one descriptor for all of them."""
    data = np.asarray(np.memmap(path, np.uint8, "r"))
    size = int(data[:8].view("<u8")[0])
    arrays = data[8 + size :]
    return {
        name: arrays[slice(*told["data_offsets"])].view(DTYPES[told["dtype"]]).reshape(told["shape"])
        for name, told in json.loads(data[8 : 8 + size].tobytes()).items()
    }
