"""Parquet tables of points: the tiles of a corpus, SynthCity's areas (Griffiths and Boehm 2019), and others alike.

A table needs columns x, y and z in any case. Our own carry ``pcaug`` in their schema's metadata: taxonomy, CRS, and
which columns (``rgb_0``, ``rgb_1``, ``rgb_2``) make one vector.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, LabelError

NOISE = ("x_noise", "y_noise", "z_noise")
RENAMED = {"label": "native_label", "class": "native_label", "classification": "native_label"}


def read_chunks(path: Path, size: int, fields: Iterable[str] | None = None, coords: str = "clean") -> Iterator[PointCloud]:
    """Stream a Parquet table column-wise; row groups of any size are read page by page.

    Args:
        path: The file.
        size: Points a chunk.
        fields: Only these fields (of our own tiles).
        coords: SynthCity only: "clean" reads X, Y, Z; "noisy" the noisy coordinates, taken as absolute where their median
            distance to the clean ones is below 0.1 m, as offsets where their own median is.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            yield from _read(file, path, size, fields, coords)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileError(f"is no Parquet file or a truncated one ({error})", path, "get it again") from None


def _read(file: Any, path: Path, size: int, wanted: Iterable[str] | None, coords: str) -> Iterator[PointCloud]:
    names = file.schema_arrow.names
    ours = json.loads((file.schema_arrow.metadata or {}).get(b"pcaug", b"{}"))
    vectors: dict[str, int] = ours.get("vectors", {})
    lower = {name.lower(): name for name in names}
    if not {"x", "y", "z"} <= set(lower):
        raise FileError("has no columns x, y and z", path, f"it has {', '.join(names[:12])}")
    plan = _plan(names, vectors, lower, ours=bool(ours))
    if wanted is not None:
        keep = set(wanted)
        plan = {name: columns for name, columns in plan.items() if name in keep}
    noisy = tuple(lower[n] for n in NOISE) if coords == "noisy" and all(n in lower for n in NOISE) else ()
    columns = [lower[axis] for axis in "xyz"] + [c for group in plan.values() for c in group] + list(noisy)
    source = Source(**ours["source"]) if "source" in ours else Source(file=str(path))
    taxonomy = catalogue.taxonomy() if ours.get("taxonomy") == catalogue.taxonomy().name and "label" in plan else None
    empty = True
    for batch in file.iter_batches(batch_size=size, columns=columns):
        rows = {name: _numbers(batch.column(name), name, path) for name in columns}
        xyz = np.stack([rows[lower[axis]].astype(np.float64) for axis in "xyz"], axis=1)
        if noisy:
            xyz = _noisy(xyz, np.stack([rows[name] for name in noisy], axis=1), path)
        yield PointCloud(xyz, _fields(plan, rows, path), taxonomy, ours.get("crs"), source)
        empty = False
    if empty:
        rows = {name: np.zeros(0, file.schema_arrow.field(name).type.to_pandas_dtype()) for name in columns}
        yield PointCloud(np.zeros((0, 3)), _fields(plan, rows, path), taxonomy, ours.get("crs"), source)


def _plan(names: list[str], vectors: dict[str, int], lower: dict[str, str], *, ours: bool) -> dict[str, tuple[str, ...]]:
    """Field -> columns that make it."""
    plan = {name: tuple(f"{name}_{i}" for i in range(width)) for name, width in vectors.items()}
    if not ours and all(c in lower for c in "rgb"):
        plan["rgb"] = tuple(lower[c] for c in "rgb")
    used = {c for group in plan.values() for c in group} | {lower[axis] for axis in "xyz"}
    for name in names:
        if name in used or (not ours and name.lower() in NOISE):
            continue
        field = name if ours else RENAMED.get(name.lower(), name)
        plan[field if field not in plan else name] = (name,)
    return plan


def _fields(plan: dict[str, tuple[str, ...]], rows: dict[str, NDArray[Any]], path: Path) -> dict[str, NDArray[Any]]:
    fields = {}
    for name, columns in plan.items():
        values = rows[columns[0]] if len(columns) == 1 else np.stack([rows[c] for c in columns], axis=1)
        if name == "native_label" and values.dtype != np.int32:
            whole = values.astype(np.int32)
            if not np.array_equal(whole, values):
                raise LabelError("has class ids that are no whole numbers", path)
            values = whole
        fields[name] = values
    return fields


def _numbers(column: Any, name: str, path: Path) -> NDArray[Any]:
    if column.null_count:
        raise FileError(f"column {name!r} has {column.null_count} empty values", path, "fill or drop them at the source")
    values: NDArray[Any] = column.to_numpy(zero_copy_only=False)
    if values.dtype.kind not in "iufb":
        raise FileError(f"column {name!r} holds no numbers", path, "drop it")
    return values


def _noisy(clean: NDArray[np.float64], noise: NDArray[Any], path: Path) -> NDArray[np.float64]:
    values = noise.astype(np.float64)
    if not len(clean) or np.median(np.abs(values - clean)) < 0.1:
        return values
    if np.median(np.abs(values)) < 0.1:
        return clean + values
    raise FileError("has noise columns that are neither noisy positions nor offsets", path, "read it with coords = clean")


def write(path: Path, chunks: Iterator[PointCloud], *, compression: str = "zstd") -> int:
    """Write one of our tables, a row group a chunk."""
    writer: Any = None
    written = 0
    try:
        for chunk in chunks:
            table = to_table(chunk)
            if writer is None:
                writer = pq.ParquetWriter(path, table.schema, compression=compression, store_schema=True)
            writer.write_table(table.cast(writer.schema))
            written += len(chunk)
    finally:
        if writer is not None:
            writer.close()
    return written


def to_table(cloud: PointCloud) -> Any:
    """An Arrow table with one column a scalar field, ``name_0``... a vector's components, and our metadata."""
    columns: dict[str, NDArray[Any]] = {axis: cloud.xyz[:, i] for i, axis in enumerate("xyz")}
    vectors = {}
    for name, values in cloud.fields.items():
        if values.ndim == 1:
            columns[name] = values
        else:
            vectors[name] = values.shape[1]
            columns |= {f"{name}_{i}": values[:, i] for i in range(values.shape[1])}
    source = {"dataset": cloud.source.dataset, "file": cloud.source.file, "unit": cloud.source.unit}
    meta = {"taxonomy": cloud.taxonomy.name if cloud.taxonomy else None, "crs": cloud.crs, "vectors": vectors, "source": source}
    table = pa.table({name: np.ascontiguousarray(values) for name, values in columns.items()})
    return table.replace_schema_metadata({b"pcaug": json.dumps(meta, sort_keys=True).encode()})
