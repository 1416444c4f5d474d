"""Parquet tables of points: the tiles of a corpus, SynthCity's areas (Griffiths and Boehm 2019), and others alike.

A table needs columns x, y and z in any case. Our own carry ``pcaug`` in their schema's metadata: taxonomy, CRS, and
which columns (``rgb_0``, ``rgb_1``, ``rgb_2``) make one vector.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError
from pcaug.formats import naming

NOISE = ("x_noise", "y_noise", "z_noise")


def read_chunks(
    path: Path, size: int, fields: Iterable[str] | None = None, coords: str = "clean", label: str | None = None
) -> Iterator[PointCloud]:
    """Stream a Parquet table column-wise; row groups of any size are read page by page.

    Args:
        path: The file.
        size: Points per chunk.
        fields: Only these fields (of our own tiles).
        coords: SynthCity only: "clean" reads X, Y, Z; "noisy" the noisy coordinates, taken as absolute where their median
            distance to the clean ones is below 0.1 m, as offsets where their own median is.
        label: Column with the class ids, where its name is not one of ``naming.LABELS``.
    """
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            yield from _read(file, path, size, fields, coords, label)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise FileError(f"is not a Parquet file, or is truncated ({error})", path, "download it again") from None


def _read(file: Any, path: Path, size: int, wanted: Iterable[str] | None, coords: str, label: str | None) -> Iterator[PointCloud]:
    schema = file.schema_arrow
    said = understood(schema.metadata, path)
    made = _plan(_numeric(schema, path, said), path, said, label)
    if wanted is not None:
        keep = {"xyz", *wanted}
        made = {name: columns for name, columns in made.items() if name in keep}
    lower = {name.lower(): name for name in schema.names}
    noisy = tuple(lower[n] for n in NOISE) if coords == "noisy" and all(n in lower for n in NOISE) else ()
    columns = [*dict.fromkeys(c for group in made.values() for c in group), *noisy]
    empty = True
    for batch in file.iter_batches(batch_size=size, columns=columns):
        rows = {name: _numbers(batch.column(name), name, path) for name in columns}
        cloud = _cloud(rows, made, path, said)
        if noisy:
            cloud = replace(cloud, xyz=_noisy(cloud.xyz, np.stack([rows[name] for name in noisy], axis=1), path))
        yield cloud
        empty = False
    if empty:
        rows = {name: np.zeros(0, schema.field(name).type.to_pandas_dtype()) for name in columns}
        yield _cloud(rows, made, path, said)


def understood(metadata: Mapping[bytes, bytes] | None, path: Path) -> dict[str, Any]:
    """What our own table says about itself in its schema's metadata; {} for other tables."""
    said = naming.understand((metadata or {}).get(b"pcaug", b""), path)
    return {"known": [], **said} if said else {}


def _numeric(schema: Any, path: Path, said: Mapping[str, Any]) -> list[str]:
    """Names of the columns of numbers; others are left out, unless our own table has them.

    Raises:
        FileError: If two have the same name.
    """
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    strange = [column for column in schema if not said and not any(is_kind(column.type) for is_kind in numbers)]
    for column in strange:
        naming.skipped(f"column {column.name!r} of type {column.type}", path)
    names = [name for name in schema.names if name not in {column.name for column in strange}]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise FileError(f"has the column {twice!r} twice", path, "rename one of them at the source")
    return names


def _plan(names: Iterable[str], path: Path, said: Mapping[str, Any], label: str | None = None) -> naming.Plan:
    return naming.plan([name for name in names if said or name.lower() not in NOISE], path, said, label)


def _cloud(rows: Mapping[str, NDArray[Any]], made: naming.Plan, path: Path, said: Mapping[str, Any]) -> PointCloud:
    cloud = naming.assemble(rows.__getitem__, made, path, said)
    return replace(cloud, source=_source(said["source"], path)) if "source" in said else cloud


def _source(said: Any, path: Path) -> Source:
    known = {key: said[key] for key in ("dataset", "file", "unit") if key in said} if isinstance(said, dict) else None
    if known is None or not all(isinstance(value, str) for value in known.values()):
        raise FileError("says where it comes from in a way that cannot be understood", path, "it was damaged: download it again")
    return Source(**known)


def from_table(table: Any, path: Path = Path("table")) -> PointCloud:
    """The cloud of an Arrow table; ``path`` is for errors."""
    said = understood(table.schema.metadata, path)
    made = _plan(_numeric(table.schema, path, said), path, said)
    rows = {c: _numbers(table.column(c), c, path) for group in made.values() for c in group}
    return _cloud(rows, made, path, said)


def _numbers(column: Any, name: str, path: Path) -> NDArray[Any]:
    if column.null_count:
        raise FileError(f"column {name!r} has {column.null_count} empty values", path, "fill or drop them at the source")
    values: NDArray[Any] = column.to_numpy() if isinstance(column, pa.ChunkedArray) else column.to_numpy(zero_copy_only=False)
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
    """Write one of our tables, one row group per chunk."""
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
    """An Arrow table with one column per scalar field, ``name_0``... for the components of a vector, and our metadata.

    Raises:
        PcaugError: If two fields make columns of the same name.
    """
    columns = naming.spread(cloud, {})
    vectors = {name: values.shape[1] for name, values in cloud.fields.items() if values.ndim > 1}
    source = {"dataset": cloud.source.dataset, "file": cloud.source.file, "unit": cloud.source.unit}
    meta = {"taxonomy": cloud.taxonomy.name if cloud.taxonomy else None, "crs": cloud.crs, "vectors": vectors, "source": source}
    table = pa.table({name: np.ascontiguousarray(values) for name, values in columns.items()})
    return table.replace_schema_metadata({b"pcaug": json.dumps(meta, sort_keys=True).encode()})
