"""The cache of prepared tiles: a folder a corpus and recipe, the least recently used of which make room for new ones."""

from __future__ import annotations

import os
import shutil
import time
from contextlib import suppress
from pathlib import Path

from pcaug.corpus.sample import cache_folder
from pcaug.errors import PcaugError

LIMIT = 20.0
"""Gigabytes that the cache may hold before old folders are removed, unless ``PCAUG_CACHE_GB`` says otherwise."""
IN_USE = 3600.0
"""Seconds after its last use in which a folder is kept whatever the limit: another training may be reading it."""


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
        raise PcaugError(f"PCAUG_CACHE_GB = {said!r} is no number of gigabytes", do="say 20, or leave it out") from None
    found = []
    for path in parent.glob("*"):
        with suppress(FileNotFoundError):  # another training renames or removes what is in it
            size = sum(file.stat().st_size for file in path.rglob("*.npy"))
            found.append((path.stat().st_mtime, path, size))
    held = sum(size for _, _, size in found)
    for used, path, size in sorted(found):
        if held <= limit or time.time() - used < IN_USE:
            break
        shutil.rmtree(path, ignore_errors=True)
        held -= size
