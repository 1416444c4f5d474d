"""HDF5 through h5py: the datasets of one group are columns (N,) or (N, k); one of a compound type with positions is several.

Everything that a file would fetch from elsewhere (links to other files, external storage, virtual datasets) is refused.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pcaug.cloud import PointCloud
from pcaug.errors import FileError, PcaugError
from pcaug.formats import naming

SHRINKS = 2000
"""More than any of HDF5's own filters shrinks: a dataset that claims more stores less than it promises."""


def read_chunks(path: Path, size: int, group: str = "/", label: str | None = None) -> Iterator[PointCloud]:
    """Stream a file.

    Args:
        path: The file.
        size: Points per chunk.
        group: Path of the group with the datasets.
        label: Column with the class ids, where its name is not one of ``naming.LABELS``.
    """
    try:
        with h5py.File(path, "r") as file:
            if not isinstance(file.get(group), h5py.Group):
                raise FileError(f"has no group {group!r}", path, f"it has {', '.join(file)}")
            yield from _read(file[group], path, size, label)
    except PcaugError:
        raise
    except Exception as error:  # h5py passes on whatever HDF5 met, as six types
        raise FileError(f"is not an HDF5 file, or is truncated ({error})", path, "download it again") from None


def _read(group: Any, path: Path, size: int, label: str | None) -> Iterator[PointCloud]:
    columns = _columns({name: group[name] for name in group if _plain(group, name, path)}, path)
    said = naming.understand(group.attrs.get("pcaug", ""), path)
    made = naming.plan(columns, path, said, label)
    length = len(columns[made["xyz"][0]][0])
    for name in [name for name, (table, _) in columns.items() if len(table) != length]:
        naming.skipped(f"dataset {name!r} of shape {columns.pop(name)[0].shape}", path)
    made = naming.plan(columns, path, said, label)
    tables = {table.name: table for table, _ in columns.values()}
    for start in range(0, max(length, 1), size):
        read = {name: table[start : start + size] for name, table in tables.items()}
        rows = {name: read[table.name] if part is None else read[table.name][part] for name, (table, part) in columns.items()}
        yield naming.assemble(rows.__getitem__, made, path, said)


def _columns(tables: dict[str, Any], path: Path) -> dict[str, tuple[Any, str | None]]:
    """Column name -> its dataset, and its part of the compound type where that dataset has one.

    Of all that hold positions, the longest dataset says what the points are; other compound ones are left out.
    """
    plain = {name: table for name, table in tables.items() if not table.dtype.names}
    placed = {name: table for name, table in tables.items() if name not in plain and naming.positions(table.dtype.names)}
    host = max(placed, key=lambda name: len(placed[name]), default="")
    own = naming.positions(plain)
    if host and own and len(plain[own[0]]) > len(placed[host]):
        host = ""
    columns: dict[str, tuple[Any, str | None]] = {}
    for part in placed[host].dtype.names if host else ():
        if placed[host].dtype[part].base.kind in "iufb":
            columns[part] = (placed[host], part)
        else:
            naming.skipped(f"part {part!r} of dataset {host!r}", path)
    for name, table in tables.items():
        if name in plain and name not in columns:
            columns[name] = (table, None)
        elif name != host:
            naming.skipped(f"dataset {name!r} of shape {table.shape}", path)
    return columns


def _plain(group: Any, name: str, path: Path) -> bool:
    """Whether a member is a dataset of numbers in this file, all of it stored."""
    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        naming.skipped(f"link {name!r}", path)
        return False
    table = group[name]
    if not isinstance(table, h5py.Dataset):
        naming.skipped(f"group {name!r}", path)
        return False
    if table.external or table.is_virtual:
        raise FileError(f"dataset {name!r} is stored in other files", path, "write one file that holds it")
    kinds = {table.dtype[n].base.kind for n in table.dtype.names} if table.dtype.names else {table.dtype.kind}
    if table.ndim not in (1, 2) or not kinds & set("iufb"):
        naming.skipped(f"dataset {name!r} of shape {table.shape}", path)
        return False
    if table.nbytes > SHRINKS * table.id.get_storage_size():
        raise FileError(f"dataset {name!r} stores less than the {table.nbytes} bytes that it promises", path, "download it again")
    return True


def write(path: Path, chunks: Iterator[PointCloud], *, compression: str | None = "gzip") -> int:
    """Write one dataset a field, ``xyz`` among them, growing chunk by chunk.

    Raises:
        PcaugError: For a field that HDF5 would take for a path.
    """
    written = 0
    with h5py.File(path, "w") as file:
        for chunk in chunks:
            tables = naming.tables(chunk)
            naming.check_names(tables, re.compile(r"(?!\.$)[^/\0]+").fullmatch, "a dataset of HDF5", path)
            if shutil.disk_usage(path.parent).free < sum(values.nbytes for values in tables.values()):
                # HDF5 crashes the process where a write fails
                raise FileError("could not be written (no space is left)", path, "check the free space")
            for name, values in tables.items():
                if name not in file:
                    shape = values.shape[1:]
                    how: dict[str, Any] = {"compression": compression, "shuffle": True} if compression else {}
                    if compression == "gzip":
                        how["compression_opts"] = 1
                    file.create_dataset(name, (0, *shape), values.dtype, maxshape=(None, *shape), chunks=(65536, *shape), **how)
                file[name].resize(written + len(chunk), axis=0)
                file[name][written:] = np.ascontiguousarray(values)
            if not written:
                file.attrs["pcaug"] = json.dumps(naming.describe(chunk, split=False))
            written += len(chunk)
    return written
