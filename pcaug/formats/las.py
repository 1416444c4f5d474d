"""LAS and LAZ, all point formats (ASPRS LAS 1.4 R16), through laspy and lazrs.

Dimensions become fields of the same name but for: ``classification`` -> ``native_label``, ``gps_time`` -> ``time``,
red, green, blue -> ``rgb``, scan angle (rank) -> ``scan_angle`` in degrees. Extra bytes keep their names.

A cloud that did not come from LAS is written as point format 6-8 with its ``label`` as the nearest ASPRS class in
``classification``, and with ``label`` and ``native_label`` themselves as extra bytes, so nothing is lost.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import laspy
import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, LabelError

ASPRS = {
    "ground": 2, "terrain": 2, "paved": 2, "sidewalk": 2, "floor": 2, "road": 11, "low_vegetation": 3, "vegetation": 5,
    "tree": 5, "building": 6, "water": 9, "wire": 14, "pole": 15, "bridge": 17, "outdoor_structure": 19, "other_structure": 19,
}  # fmt: skip
"""Taxonomy node -> ASPRS class. Nodes that have none become user class 64 + (id mod 100)."""

RENAMED = {"classification": "native_label", "gps_time": "time", "scan_angle_rank": "scan_angle"}
OWN = "pcaug"
"""Description of the extra bytes that stand for fields of ours and not for a producer's."""
MAX_CHUNK_BYTES = 256 << 20


def read_chunks(path: Path, size: int) -> Iterator[PointCloud]:
    """Stream a LAS or LAZ file; raises FileError for anything broken."""
    record = _check_structure(path)
    try:
        with laspy.open(path) as reader:
            header = reader.header
            encoding = _encoding(header)
            crs = _crs(header)
            source = Source(file=str(path), encoding=encoding)
            left = header.point_count
            if left == 0:
                yield _cloud(laspy.ScaleAwarePointRecord.empty(header=header), crs, source)
            for points in reader.chunk_iterator(max(1, min(size, MAX_CHUNK_BYTES // record))):
                left -= len(points)
                yield _cloud(points, crs, source)
    except FileError:
        raise
    except MemoryError:
        raise FileError("is damaged: it asks for impossible memory", path, "get it again") from None
    except Exception as error:  # laspy and lazrs raise everything from struct.error to a Rust panic's own type
        raise FileError(f"is truncated or damaged ({type(error).__name__}: {error})", path, "get it again") from None
    if left:
        raise FileError(f"is truncated: {left} of {header.point_count} points are missing", path, "get it again")


def _check_structure(path: Path) -> int:
    """Refuse headers that promise more than the file holds; returns the record length in bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(375)
    if len(head) < 227 or head[:4] != b"LASF":
        raise FileError("is no LAS file" if head[:4] != b"LASF" else "is truncated within its header", path, "check the file")
    minor, (offset, vlrs), point_format, record = head[25], struct.unpack_from("<II", head, 96), head[104], head[105:107]
    length = int.from_bytes(record, "little")
    count = int.from_bytes(head[107:111], "little")
    if minor >= 4 and len(head) >= 375:
        count = int.from_bytes(head[247:255], "little")
        evlr_start, evlrs = struct.unpack_from("<QI", head, 235)
        if evlrs and evlr_start + 60 * evlrs > size:
            raise FileError("is truncated: its extended records lie beyond its end", path, "get it again")
    if offset > size or vlrs * 54 > size:
        raise FileError("is truncated: its header promises more than it holds", path, "get it again")
    compressed = bool(point_format & 0x80)
    if length == 0 or (not compressed and offset + count * length > size):
        raise FileError(f"is truncated: it should hold {count} points of {length} bytes", path, "get it again")
    return length


def _cloud(points: Any, crs: str | None, source: Source) -> PointCloud:
    scales, offsets = points.scales, points.offsets
    xyz = np.stack([np.asarray(points[axis]) * scales[i] + offsets[i] for i, axis in enumerate("XYZ")], axis=1)
    fields: dict[str, NDArray[Any]] = {}
    names = list(points.point_format.dimension_names)
    extras = {d.name: d for d in points.point_format.extra_dimensions}
    own = {name for name, d in extras.items() if d.description == OWN}
    if {"red", "green", "blue"} <= set(names):
        fields["rgb"] = np.stack([np.asarray(points[c]) for c in ("red", "green", "blue")], axis=1)
    for name in names:
        if name in {"X", "Y", "Z", "red", "green", "blue"} or (name == "classification" and "native_label" in own):
            continue
        values = np.array(points[name])
        if name == "classification":
            values = values.astype(np.int32)
        elif name in ("scan_angle_rank", "scan_angle") and name not in extras:
            values = (values * (1.0 if name == "scan_angle_rank" else 0.006)).astype(np.float32)
        fields[RENAMED.get(name, name) if name not in extras else name] = values
    labelled = "label" in own
    if "label" in fields and not labelled:
        fields["label_"] = fields.pop("label")  # a producer's own extra bytes called "label": not nodes of our tree
    return PointCloud(xyz, fields, catalogue.taxonomy() if labelled else None, crs, source)


def _encoding(header: Any) -> dict[str, Any]:
    """What the writer needs to write the same file again, as JSON values."""
    skip = {("laszip encoded", 22204), ("LASF_Spec", 4), ("copc", 1), ("copc", 1000)}
    return {
        "format": "las",
        "version": str(header.version),
        "point_format": header.point_format.id,
        "scales": header.scales.tolist(),
        "offsets": header.offsets.tolist(),
        "extra": [_extra(d) for d in header.point_format.extra_dimensions],
        "vlrs": [_vlr(v) for v in header.vlrs if (v.user_id, v.record_id) not in skip],
        "evlrs": [_vlr(v) for v in header.evlrs or [] if (v.user_id, v.record_id) not in skip],
        "global_encoding": int(header.global_encoding.value),
        "system_identifier": str(header.system_identifier),
        "file_source_id": int(header.file_source_id),
    }


def _extra(dimension: Any) -> dict[str, Any]:
    scales, offsets = dimension.scales, dimension.offsets
    return {
        "name": dimension.name,
        "type": dimension.type_str(),
        "description": dimension.description,
        "scales": None if scales is None else np.asarray(scales).tolist(),
        "offsets": None if offsets is None else np.asarray(offsets).tolist(),
    }


def _vlr(vlr: Any) -> dict[str, Any]:
    data = base64.b64encode(vlr.record_data_bytes()).decode()
    return {"user_id": vlr.user_id, "record_id": vlr.record_id, "description": vlr.description, "data": data}


def _crs(header: Any) -> str | None:
    try:
        crs = header.parse_crs()
    except Exception:  # a broken or exotic CRS record must not stop the points
        return None
    return None if crs is None else str(crs.to_wkt())


def lost(fields: Iterable[str]) -> list[str]:
    """LAS holds everything, the rest as extra bytes."""
    return []


def write(path: Path, chunks: Iterator[PointCloud]) -> int:
    """Write LAS or LAZ by suffix. The encoding of the first chunk's source is kept where it came from LAS."""
    first = next(chunks)
    header = _header(first)
    written = 0
    with laspy.open(path, mode="w", header=header, do_compress=path.suffix.lower() == ".laz") as writer:
        for chunk in _chain(first, chunks):
            writer.write_points(_record(chunk, header, path))
            written += len(chunk)
        evlrs = first.source.encoding.get("evlrs") or []
        if evlrs and str(header.version) == "1.4":
            writer.write_evlrs(laspy.vlrs.vlrlist.VLRList([_restore(v) for v in evlrs]))
    return written


def _chain(first: PointCloud, rest: Iterator[PointCloud]) -> Iterator[PointCloud]:
    yield first
    yield from rest


def _header(cloud: PointCloud) -> Any:
    encoding = cloud.source.encoding if cloud.source.encoding.get("format") == "las" else {}
    version, point_format = encoding.get("version", "1.4"), encoding.get("point_format")
    if point_format is None:
        point_format = 8 if "nir" in cloud else 7 if "rgb" in cloud else 6
    elif point_format < 6 and len(cloud) and "native_label" in cloud and int(cloud["native_label"].max()) > 31:
        version, point_format = "1.4", {0: 6, 1: 6, 2: 7, 3: 7, 4: 9, 5: 10}[point_format]
    header = laspy.LasHeader(version=version, point_format=point_format)
    header.scales = np.array(encoding.get("scales", [0.001] * 3))
    header.offsets = np.array(encoding.get("offsets", np.floor(cloud.xyz.min(axis=0)) if len(cloud) else np.zeros(3)))
    known = {e["name"]: e for e in encoding.get("extra", [])}
    dimensions = set(header.point_format.standard_dimension_names)
    params = []
    for name, values in cloud.fields.items():
        if _dimension(name, dimensions) is not None and not (name == "native_label" and not encoding):
            continue
        if name in known:
            e = known[name]
            params.append(laspy.ExtraBytesParams(name, e["type"], e["description"], _array(e["offsets"]), _array(e["scales"])))
        else:
            own = name in ("label", "native_label", "prediction")
            kind = values.dtype.str.lstrip("<>|=").replace("b1", "u1").replace("f2", "f4")
            width = "" if values.ndim == 1 else str(values.shape[1])
            params.append(laspy.ExtraBytesParams(name, width + kind, OWN if own else ""))
    if params:
        header.add_extra_dims(params)
    if encoding:
        header.vlrs.extend([_restore(v) for v in encoding.get("vlrs", [])])
        header.global_encoding.value = encoding.get("global_encoding", header.global_encoding.value)
        header.system_identifier = encoding.get("system_identifier", "")
        header.file_source_id = encoding.get("file_source_id", 0)
    elif cloud.crs:
        _add_crs(header, cloud.crs)
    return header


def _add_crs(header: Any, crs: str) -> None:
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        header.add_crs(CRS.from_user_input(crs), keep_compatibility=False)
    except CRSError as error:
        raise FileError(f"CRS cannot be written: {error}", do="give it as EPSG:... or WKT") from None


def _array(values: Any) -> Any:
    return None if values is None else np.array(values)


def _restore(vlr: Mapping[str, Any]) -> Any:
    return laspy.VLR(vlr["user_id"], vlr["record_id"], vlr["description"], base64.b64decode(vlr["data"]))


def _dimension(name: str, dimensions: set[str]) -> str | None:
    """LAS dimension of a field in a point format, or None where it must be extra bytes."""
    if name == "rgb" and "red" in dimensions:
        return "rgb"
    if name == "scan_angle":
        return "scan_angle" if "scan_angle" in dimensions else "scan_angle_rank"
    back = {"native_label": "classification", "time": "gps_time"}.get(name, name)
    return back if back in dimensions else None


def _record(cloud: PointCloud, header: Any, path: Path) -> Any:
    points = laspy.ScaleAwarePointRecord.zeros(len(cloud), header=header)
    grid = np.round((cloud.xyz - header.offsets) / header.scales)
    if len(cloud) and np.abs(grid).max() > 2**31 - 1:
        raise FileError("positions do not fit into LAS's 32-bit grid", path, "split the cloud or take a coarser scale")
    for i, axis in enumerate("XYZ"):
        points[axis] = grid[:, i].astype(np.int32)
    from_las = cloud.source.encoding.get("format") == "las"
    dimensions = set(header.point_format.standard_dimension_names)
    extras = set(header.point_format.extra_dimension_names)
    for name, values in cloud.fields.items():
        target = _dimension(name, dimensions)
        if name in extras:
            points[name] = values
        elif target == "rgb":
            wide = values.astype(np.uint16) * (257 if values.dtype == np.uint8 else 1)
            for column, colour in enumerate(("red", "green", "blue")):
                points[colour] = wide[:, column]
        elif target == "scan_angle":
            points["scan_angle"] = np.round(values / 0.006).astype(np.int16)
        elif target == "classification":
            _check_class(values, header, path)
            points["classification"] = values.astype(np.uint8)
        elif target == "intensity" and np.issubdtype(values.dtype, np.floating):
            top = 65535 if len(values) and values.max() <= 1 else 1  # 0..1 becomes 16 bits; other floats are rounded
            points["intensity"] = np.clip(np.round(values * top), 0, 65535).astype(np.uint16)
        elif target is not None:
            points[target] = values.astype(np.asarray(points[target]).dtype)
    if not from_las and "label" in cloud:
        points["classification"] = asprs(cloud["label"])
    return points


def _check_class(values: NDArray[Any], header: Any, path: Path) -> None:
    top = 31 if header.point_format.id < 6 else 255
    if len(values) and (values.min() < 0 or values.max() > top):
        what = f"class {int(values.max())} does not fit point format {header.point_format.id}"
        raise LabelError(what, path, "write all chunks with a source that has no LAS encoding")


def asprs(nodes: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Nearest ASPRS class (N,) of node ids of the shipped taxonomy; unclassified (1) for "ignore"."""
    table = np.ones(256, dtype=np.uint8)
    for node in catalogue.taxonomy().nodes.values():
        table[node.id] = ASPRS.get(node.name, 64 + node.id % 100)
    codes: NDArray[np.uint8] = table[np.minimum(nodes, 255)]
    return codes
