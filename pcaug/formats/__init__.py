"""Encodings on disk <-> point clouds: read, write, stream, and say beforehand what a format would lose."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pcaug.cloud import PointCloud, concatenate
from pcaug.errors import FileError, NotFound, PcaugError
from pcaug.formats import kitti, las, parquet, ply, text

CHUNK = 500_000
"""Points a chunk: above 100 k, more buys nothing and costs memory."""


@dataclass(frozen=True)
class Format:
    """One encoding.

    Attributes:
        suffixes: File name endings, lower case.
        read: ``(path, size, **options)`` -> chunks.
        write: ``(path, chunks, **options)`` -> points written; the path is a partial file's.
        lost: Field names -> those that this encoding cannot hold.
    """

    suffixes: tuple[str, ...]
    read: Callable[..., Iterator[PointCloud]]
    write: Callable[..., int]
    lost: Callable[[Iterable[str]], list[str]]


FORMATS: dict[str, Format] = {
    "las": Format((".las", ".laz"), las.read_chunks, las.write, las.lost),
    "ply": Format((".ply",), ply.read_chunks, ply.write, ply.lost),
    "kitti": Format((".bin",), kitti.read_chunks, kitti.write, kitti.lost),
    "parquet": Format((".parquet",), parquet.read_chunks, parquet.write, parquet.lost),
    "text": Format((".txt", ".xyz", ".csv", ".pts", ".asc", ".xyz_label_conf"), text.read_chunks, text.write, text.lost),
}


def is_known(path: Path) -> bool:
    """Whether a file's suffix names one of the formats."""
    return any(path.suffix.lower() in form.suffixes for form in FORMATS.values())


def sniff(path: Path) -> str:
    """Name of the format that a file's suffix stands for; raises NotFound with the known suffixes."""
    for name, form in FORMATS.items():
        if path.suffix.lower() in form.suffixes:
            return name
    known = ", ".join(suffix for form in FORMATS.values() for suffix in form.suffixes)
    raise NotFound(f"no format for suffix {path.suffix!r}", path, f"known are {known}")


def iter_chunks(path: str | Path, size: int = CHUNK, encoding: str | None = None, **options: Any) -> Iterator[PointCloud]:
    """Stream a file in chunks of at most ``size`` points, in constant memory; an empty file gives one empty chunk.

    Args:
        path: The file.
        size: Points a chunk.
        encoding: Name of the format, where the suffix does not tell.
        **options: What the format needs to know (text: ``columns``, ``delimiter``; PLY: ``label``).

    Raises:
        FileError: Truncated, malformed, or with positions that are not finite.
        NotFound: If it does not exist or nobody reads its suffix.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFound("no such file", path)
    form = FORMATS[encoding or sniff(path)]
    seen = False
    for chunk in form.read(path, size, **options):
        bad = int((~np.isfinite(chunk.xyz)).any(axis=1).sum())
        if bad:
            raise FileError(f"has {bad} points whose position is not finite", path, "remove them at the source")
        if len(chunk) or not seen:
            seen = True
            yield chunk


def read(path: str | Path, **options: Any) -> PointCloud:
    """Read a whole file; arguments and errors as ``iter_chunks``."""
    return concatenate([chunk for chunk in iter_chunks(path, **options) if len(chunk)] or list(iter_chunks(path, **options)))


def write(path: str | Path, clouds: PointCloud | Iterable[PointCloud], **options: Any) -> int:
    """Write clouds with the same fields to one file: beside it, then renamed over it.

    Returns:
        Points written.

    Raises:
        PcaugError: Clouds differ, or hold what the format cannot write; nothing is left behind.
    """
    path = Path(path)
    form = FORMATS[sniff(path)]
    chunks = iter([clouds]) if isinstance(clouds, PointCloud) else iter(clouds)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        written = form.write(partial, _alike(chunks, path), **options)
        for made in path.parent.glob(f"{partial.stem}*"):  # KITTI writes a label file too
            made.replace(path.with_name(made.name.removeprefix(f".tmp-{os.getpid()}-")))
        return written
    finally:
        for left in path.parent.glob(f"{partial.stem}*"):
            with suppress(OSError):
                left.unlink()


def lost(fields: Iterable[str], path: str | Path) -> list[str]:
    """Fields that writing to this file name would lose."""
    return FORMATS[sniff(Path(path))].lost(fields)


def _alike(chunks: Iterator[PointCloud], path: Path) -> Iterator[PointCloud]:
    """Pass chunks on, refusing the first whose fields differ from those before."""
    first: PointCloud | None = None
    for chunk in chunks:
        if first is None:
            first = chunk
        elif set(chunk.fields) != set(first.fields):
            differing = sorted(set(chunk.fields) ^ set(first.fields))
            raise PcaugError(f"clouds differ in fields: {differing}", path, "take the same fields of each")
        yield chunk
    if first is None:
        raise PcaugError("nothing to write", path)
