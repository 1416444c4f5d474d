"""Encodings on disk <-> point clouds: read, write, stream, and say beforehand what a format would lose."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
from lazrs import LazrsError
from pydantic import TypeAdapter, ValidationError

from pcaug.catalogue import mistakes
from pcaug.cloud import PointCloud, check_alike, concatenate
from pcaug.errors import FileError, NotFound, PcaugError, check_whole, counted
from pcaug.files import atomic_path
from pcaug.formats import arrays, copc, e57, hdf5, kitti, las, parquet, pcd, ply, text

CHUNK = 250_000
"""Points per chunk: above 100 k, more buys nothing and costs memory."""


@dataclass(frozen=True)
class Format:
    """One encoding.

    Attributes:
        suffixes: File name endings, lower case.
        read: ``(path, size, **options)`` -> chunks.
        write: ``(path, chunks, **options)`` -> points written; the path is a partial file's.
        holds: The fields that this encoding can hold; None: all.
        labels: A file's path -> that of the labels which lie in a file of their own; writers put them beside, as ``.label``.
    """

    suffixes: tuple[str, ...]
    read: Callable[..., Iterator[PointCloud]]
    write: Callable[..., int]
    holds: frozenset[str] | None = None
    labels: Callable[[Path], Path] | None = None


FORMATS: dict[str, Format] = {
    "copc": Format((".copc.laz",), copc.read_chunks, copc.write),
    "las": Format((".las", ".laz"), las.read_chunks, las.write),
    "ply": Format((".ply",), ply.read_chunks, ply.write),
    "pcd": Format((".pcd",), pcd.read_chunks, pcd.write),
    "e57": Format((".e57",), e57.read_chunks, e57.write),
    "npy": Format((".npy",), arrays.read_npy, arrays.write_npy),
    "npz": Format((".npz",), arrays.read_npz, arrays.write_npz),
    "hdf5": Format((".h5", ".hdf5"), hdf5.read_chunks, hdf5.write),
    "kitti": Format((".bin",), kitti.read_chunks, kitti.write, kitti.HELD, kitti.label_path),
    "parquet": Format((".parquet",), parquet.read_chunks, parquet.write),
    "text": Format((".txt", ".xyz", ".csv", ".pts", ".asc", ".xyz_label_conf"), text.read_chunks, text.write),
}
"""Name -> format. A file is of the first whose suffix its name ends with; ``docs/formats.md`` says what each of them loses."""
SUFFIXES = tuple(suffix for form in FORMATS.values() for suffix in form.suffixes)


def is_known(path: Path) -> bool:
    """Whether a file's suffix names one of the formats."""
    return path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """A file's name without the ending of its format: "tile" of tile.copc.laz."""
    ending = next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), path.suffix)
    return path.name[: len(path.name) - len(ending)]


def below(folder: Path) -> list[Path]:
    """All files below a folder, sorted; nothing hidden. Links to folders are followed, each folder is read once."""
    files: list[Path] = []
    seen: set[str] = set()
    for home, folders, names in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(home)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files += [path for name in names if not name.startswith(".") and (path := Path(home, name)).is_file()]
    return sorted(files)


def sniff(path: Path) -> str:
    """Name of the format that a file's suffix stands for; raises NotFound with the known suffixes."""
    for name, form in FORMATS.items():
        if path.name.lower().endswith(form.suffixes):
            return name
    what = f"no format for suffix {path.suffix!r}" if path.suffix else "has no ending that names its format"
    raise NotFound(what, path, f"choose from {', '.join(SUFFIXES)}")


def iter_chunks(
    path: str | Path, size: int = CHUNK, encoding: str | None = None, *, rows: bool = False, **options: Any
) -> Iterator[PointCloud]:
    """Stream a file in chunks of at most ``size`` points, in constant memory; a file whose head says 0 points gives an empty one.

    Points without a position (NaN in x, y and z: how PCL and others mark a beam that met nothing in an organised cloud) are left
    out. A KITTI ``.bin`` may have none: its labels lie in a file of their own, row by row.

    Args:
        path: The file.
        size: Points per chunk.
        encoding: Name of the format, where the suffix does not tell.
        rows: Leave nothing out, so that a point is its row in the file: ``placed`` does it afterwards.
        **options: What the format needs to know: ``label``, the column with the class ids (all but KITTI); text and NPY
            ``columns``, HDF5 ``group``, COPC ``bounds`` and ``resolution``.

    Raises:
        PcaugError: For an option that the format does not take, or not of this kind.
        FileError: Of no bytes, truncated, malformed, or with positions that are not finite.
        NotFound: If it does not exist or its suffix is unknown.
    """
    path = Path(path)
    if not path.is_file():
        raise NotFound("no such file", path)
    check_whole(1, size=size)
    if encoding is not None and encoding not in FORMATS:
        raise NotFound(f"no format named {encoding!r}", path, f"choose from {', '.join(FORMATS)}")
    form = FORMATS[encoding or sniff(path)]
    check_options(encoding or sniff(path), options, path)
    if form.labels is None or not form.labels(path).is_file():  # a .bin of no points has no head that says so, but labels
        check_filled(path)
    seen = False
    for chunk in form.read(path, size, **options):
        chunk = chunk if rows else placed(chunk, path, gaps=form.labels is None)
        if len(chunk) or chunk.source.gaps or not seen:
            seen = True
            yield chunk


def check_options(encoding: str, options: Mapping[str, Any], where: Path | None = None) -> None:
    """Raise PcaugError for options that a format's reader does not take, or not of this kind."""
    kinds = options_of(encoding)
    for name, value in options.items():
        if name not in kinds:
            do = f"choose from {', '.join(kinds)}" if kinds else "take it away"
            raise PcaugError(f"files of format {encoding} take no option {name!r}", where, do)
        try:
            kinds[name].validate_python(value)
        except ValidationError as error:
            raise PcaugError(f"option {name} is {value!r}: {mistakes(error)}", where, "correct it") from None


@cache
def options_of(encoding: str) -> dict[str, TypeAdapter[Any]]:
    """The options that a format's reader takes, and what tells whether a value fits."""
    kinds = get_type_hints(FORMATS[encoding].read)
    return {name: TypeAdapter(kind) for name, kind in kinds.items() if name not in ("path", "size", "return")}


def placed(cloud: PointCloud, path: Path, *, gaps: bool = True) -> PointCloud:
    """A cloud without its ``gaps``, points that have no position; raises FileError for others whose position is not finite."""
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(cloud.xyz.sum()):  # the sum alone is quick
            return cloud
    if gaps:
        empty = np.asarray(np.isnan(cloud.xyz).all(axis=1))
        cloud = replace(cloud.take(~empty), source=replace(cloud.source, gaps=int(empty.sum())))
    bad = int((~np.isfinite(cloud.xyz)).any(axis=1).sum())
    if bad:
        raise FileError(f"has {counted(bad, 'point')} whose position is not finite", path, "remove them at the source")
    return cloud


def check_filled(path: Path) -> None:
    """Raise FileError for a file of no bytes, which a download or a full disk left: no head tells of no points."""
    if path.is_file() and not path.stat().st_size:
        raise FileError("is empty (0 bytes)", path, "get it again, or take it away")


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
    with _written(path, form.labels) as partial:
        return form.write(partial, _alike(chunks, path), **options)


def copies(sources: Sequence[Path], dst: Path) -> bool:
    """Whether files become one without a look at their points: all are LAS or LAZ with the same records."""
    alike = all(is_known(src) and src.is_file() and sniff(src) == sniff(dst) == "las" for src in sources)
    return alike and las.copies(sources)


def copy(sources: Sequence[Path], dst: Path, progress: Callable[[int], None] | None = None) -> int:
    """Copy the point records of files, see ``copies``: beside the target, then renamed over it.

    Returns:
        Points written.
    """
    with _written(dst) as partial:
        return las.copy(sources, partial, progress)


@contextmanager
def _written(path: Path, labels: Callable[[Path], Path] | None = None) -> Iterator[Path]:
    """As ``atomic_path``, with what writers do besides.

    Args:
        path: The file that is made, or replaced.
        labels: Where readers look for its file of labels: one that is written too takes that place, and a scan that has none
            now leaves no earlier scan's there.
    """
    with atomic_path(path) as partial:
        try:
            yield partial
        except LazrsError as error:  # which is no OSError, though the disk is full; readers turn theirs into errors of ours
            raise FileError(f"could not be written ({error})", path, "check the free space") from None
        if labels is not None and (made := partial.with_suffix(".label")).is_file():
            shutil.move(made, labels(path))  # labels/ may lie on another disk
            labels = None
    while labels is not None and (stale := labels(path)).is_file():  # beside the scan too, where one lay in labels/
        stale.unlink()


def lost(fields: Iterable[str], path: str | Path) -> list[str]:
    """Fields that writing to this file name would lose. Labels follow from the ids that they were mapped from, beside which
    instances stand."""
    holds, fields = FORMATS[sniff(Path(path))].holds, list(fields)
    if holds is None:
        return []
    kept = holds | {"label"} if "native_label" in holds.intersection(fields) else holds - {"instance"}
    return [name for name in fields if name not in kept]


def _alike(chunks: Iterator[PointCloud], path: Path) -> Iterator[PointCloud]:
    """Pass chunks on, refusing the first that differs from the first in its fields, their types, its taxonomy or its CRS.

    What could not be read again is refused, too: positions that are not finite, labels that are no nodes.
    """
    first: PointCloud | None = None
    for chunk in chunks:
        if not isinstance(chunk, PointCloud):
            raise PcaugError(f"a {type(chunk).__name__} is no point cloud", path, "give one PointCloud, or several")
        if first is None:
            first = chunk
        check_alike(first, chunk, path)
        for name, values in first.fields.items():
            one, other = (f"{v.dtype} {v.shape[1:] or ''}".strip() for v in (values, chunk[name]))
            if one != other:
                what = f"clouds differ in the type of field {name!r}: {one}, then {other}"
                raise PcaugError(what, path, "give it one type in all of them")
        placed(chunk, path, gaps=False)
        if chunk.taxonomy and "label" in chunk:
            chunk.taxonomy.check(chunk["label"], path)
        yield chunk
    if first is None:
        raise PcaugError("nothing to write", path, "there was no point at all, or the filters keep none")
