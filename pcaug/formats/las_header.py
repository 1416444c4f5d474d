"""Headers of LAS (ASPRS LAS 1.4 R16): refused where they promise too much, kept as plain values, made again for writing.

What survives a rewrite: version (1.0 becomes 1.1, which differs from it in the name of one field), point format, scales,
offsets, extra bytes, VLRs, EVLRs, CRS, global encoding, identifiers, project id and the day of creation. Samples of waveforms
that lie within the file do not; the packets that describe them, and files beside it, do.

Point formats 0-5 have five bits for a class. Where a class above 31 comes, they become 6-10 with LAS 1.4: all fields of a point
have the same meaning there (a class stays the number that it is, also 8 and 12), and a CRS in GeoTIFF keys becomes WKT, as 6-10
demand.
"""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import laspy
import lazrs
import numpy as np
from laspy.vlrs.known import GeoKeyDirectoryVlr, WktCoordinateSystemVlr, vlr_factory
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.errors import FileError
from pcaug.formats import las_fields, naming

PROMOTED = {0: 6, 1: 6, 2: 7, 3: 7, 4: 9, 5: 10}
"""Point format with five bits for a class -> the one with eight that has all its fields."""
WAVELESS = {4: 1, 5: 3, 9: 6, 10: 8}
"""Point format with wave packets -> the same without."""
WRITERS_OWN = {("laszip encoded", 22204), ("LASF_Spec", 4), ("copc", 1), ("copc", 1000)}
"""User and record id of the records that a writer makes anew: LAZ, extra bytes, COPC."""
PROJECTION = "LASF_Projection"
"""User id of the records that say the CRS."""
MODEL, VERTICAL, VERTICAL_UNITS = 1024, 4096, 4099
"""GeoTIFF keys: the kind of CRS, the EPSG code of its vertical part, and the unit of the heights."""
PROJECTED = 1
LENGTHS: dict[int, Any] = {
    9001: "metre",
    9002: {"type": "LinearUnit", "name": "foot", "conversion_factor": 0.3048},
    9003: {"type": "LinearUnit", "name": "US survey foot", "conversion_factor": 1200 / 3937},
}
"""Units of VERTICAL_UNITS by their EPSG code, as PROJJSON."""
SAMPLES = ("LASF_Spec", 65535)
"""Waveform samples within the file: they may be larger than the points."""
VARIABLE = 0xFFFFFFFF
"""Size of chunks that are not all of one size."""
MOST = 1 << 29
"""Bytes that a chunk may unpack to: a decompressor takes a chunk as a whole, and writers make them of 50,000 points."""
LAYERS = {10: 9, 11: 1, 12: 2, 13: 1}
"""Item of a record compressed in layers (point, colour, colour with infrared, wave packet) -> its layers; bytes: one each."""


def check(path: Path) -> int:
    """Refuse headers that promise more than the file holds; returns the record length in bytes."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(375)
        if len(head) < 227 or head[:4] != b"LASF":
            raise FileError(
                "is not a LAS file" if head[:4] != b"LASF" else "is truncated within its header", path, "check the file"
            )
        minor, (offset, vlrs), length = head[25], struct.unpack_from("<II", head, 96), int.from_bytes(head[105:107], "little")
        count = int.from_bytes(head[107:111], "little")
        if minor >= 4 and len(head) >= 375:
            count = int.from_bytes(head[247:255], "little")
            at, evlrs = struct.unpack_from("<QI", head, 235)
            for _ in range(min(evlrs, size // 60 + 1)):
                file.seek(min(at, size))
                record = file.read(60)
                at += 60 + int.from_bytes(record[20:28], "little")
                if len(record) < 60 or at > size:
                    raise FileError("is truncated: its extended records lie beyond its end", path, "download it again")
        if offset > size or vlrs * 54 > size:
            raise FileError("is truncated: its header promises more than it holds", path, "download it again")
        compressed = bool(head[104] & 0x80)
        if length == 0 or (not compressed and offset + count * length > size):
            raise FileError(f"is truncated: it should hold {count} points of {length} bytes", path, "download it again")
        if compressed and count:
            try:
                _check_chunks(file, offset, int.from_bytes(head[94:96], "little"), vlrs, length, count)
            except BaseException as error:  # a panic of Rust's is no Exception
                if isinstance(error, KeyboardInterrupt | SystemExit):
                    raise
                raise FileError(
                    f"is truncated or damaged: its chunks cannot be found ({error})", path, "download it again"
                ) from None
        if count and 0 in struct.unpack_from("<3d", head, 131):
            raise FileError("is damaged: its header gives positions a scale of 0", path, "download it again")
    return length


def _check_chunks(file: Any, offset: int, first: int, vlrs: int, length: int, count: int) -> None:
    """Raise where the chunks of a LAZ file are larger than the file, unpack to more than anybody's do, or hold too few points."""
    body = compressor(file, first, vlrs)
    points = struct.unpack_from("<I", body, 12)[0]
    items = _items(body)
    if points == 0 or (points != VARIABLE and points * length > MOST) or items[:, 1].sum() != length:
        raise ValueError("impossible sizes")
    file.seek(offset)
    table = int.from_bytes(file.read(8), "little", signed=True)
    end = file.seek(0, io.SEEK_END)
    if table == -1:  # written as a stream: the last eight bytes say where it is
        file.seek(end - 8)
        table = int.from_bytes(file.read(8), "little", signed=True)
    file.seek(table)
    if not offset < table <= end - 8 or int.from_bytes(file.read(8)[4:], "little") > end:
        raise ValueError("no table")
    file.seek(offset)
    chunks = lazrs.read_chunk_table(file, lazrs.LazVlr(body))
    if (
        sum(size for _, size in chunks) > table - offset
        or max((n * length for n, _ in chunks if n != VARIABLE), default=0) > MOST
        or sum(n for n, _ in chunks) < count
    ):
        raise ValueError("impossible sizes")
    starts = offset + 8 + np.cumsum([0, *(size for _, size in chunks)])
    check_layers(file, body, zip(starts.tolist(), (size for _, size in chunks), strict=False))


def compressor(file: Any, at: int, vlrs: int) -> bytes:
    """Body of the record that describes how a file is compressed, the last among ``vlrs`` records that begin at ``at``."""
    body = b""
    for _ in range(vlrs):
        file.seek(at)
        head = file.read(54)
        at += 54 + int.from_bytes(head[20:22], "little")
        if head[2:16] == b"laszip encoded":
            body = file.read(int.from_bytes(head[20:22], "little"))
    return body


def _items(body: bytes) -> NDArray[np.uint16]:
    """Type, bytes and version of each item that a LAZ record consists of, (n, 3), of the body of the compressor's record."""
    return np.frombuffer(body, "<u2", 3 * struct.unpack_from("<H", body, 32)[0], 34).reshape(-1, 3)


def check_layers(file: Any, body: bytes, chunks: Iterable[tuple[int, int]]) -> None:
    """Raise ValueError where a chunk of layers, (start, bytes), says that they are larger than it: a decompressor believes it.

    A chunk of point formats 6-10 is a point as it is, the number of points, the size of each layer, and the layers.
    """
    items = _items(body)
    if int.from_bytes(body[:2], "little") != 3:  # compressor 3: in layers
        return
    layers = sum(LAYERS.get(int(kind), int(size)) for kind, size, _ in items)
    head = int(items[:, 1].sum()) + 4
    for start, size in chunks:
        file.seek(start + head)
        sizes = np.frombuffer(file.read(4 * layers), "<u4")
        if size and (len(sizes) < layers or head + 4 * layers + int(sizes.sum(dtype=np.int64)) > size):
            raise ValueError("layers larger than their chunk")


def encoding(header: Any, path: Path) -> dict[str, Any]:
    """What ``make`` needs to make the same header again, as JSON values."""
    records = [(kind, v) for kind, vs in (("vlrs", header.vlrs), ("evlrs", header.evlrs or [])) for v in vs]
    if any((v.user_id, v.record_id) == SAMPLES for _, v in records) or (
        header.start_of_waveform_data_packet_record and header.global_encoding.waveform_data_packets_internal
    ):
        naming.skipped("the waveform within the file", path)
    kept = [(k, vlr(v)) for k, v in records if (v.user_id, v.record_id) not in WRITERS_OWN | {SAMPLES}]
    return {
        "format": "las",
        "version": str(header.version),
        "point_format": header.point_format.id,
        "scales": header.scales.tolist(),
        "offsets": header.offsets.tolist(),
        "extra": [las_fields.extra_of(d) for d in header.point_format.extra_dimensions],
        "vlrs": [v for kind, v in kept if kind == "vlrs"],
        "evlrs": [v for kind, v in kept if kind == "evlrs"],
        "global_encoding": int(header.global_encoding.value),
        "system_identifier": text(header.system_identifier),
        "file_source_id": int(header.file_source_id),
        "project": str(header.uuid),
        "created": header.creation_date.isoformat() if header.creation_date else None,
    }


def text(value: str | bytes) -> str:
    """An identifier as text, whatever its bytes."""
    return value.decode("latin-1") if isinstance(value, bytes) else value


def vlr(record: Any) -> dict[str, Any]:
    """One (extended) variable length record as JSON values."""
    data = base64.b64encode(record.record_data_bytes()).decode()
    return {
        "user_id": record.user_id,
        "record_id": record.record_id,
        "description": text(record.description),
        "data": data,
    }


def restore(record: Mapping[str, Any]) -> Any:
    """The record that ``vlr`` was given."""
    return laspy.VLR(record["user_id"], record["record_id"], record["description"], base64.b64decode(record["data"]))


def crs(header: Any) -> str | None:
    """The CRS as WKT; None where there is none, or none that PROJ understands."""
    try:
        found = header.parse_crs()
        if found is not None and (keys := _geo_keys(header)):
            found = _as_keys_say(found, keys)
    except Exception:  # a broken or exotic CRS record must not stop the points
        return None
    return None if found is None else str(found.to_wkt())


def _geo_keys(header: Any) -> dict[int, int]:
    """GeoTIFF keys (OGC 19-008r4) that stand in the directory itself; {} where WKT says the CRS."""
    records = [record for kind in (header.vlrs, header.evlrs or []) for record in kind if record.user_id == PROJECTION]
    if any(isinstance(record, WktCoordinateSystemVlr) for record in records):
        return {}
    entries = [entry for record in records if isinstance(record, GeoKeyDirectoryVlr) for entry in record.geo_keys]
    return {entry.id: entry.value_offset for entry in entries if entry.tiff_tag_location == 0}


def _as_keys_say(crs: Any, keys: Mapping[int, int]) -> Any:
    """A CRS of laspy, which looks at two of the keys alone: None where a projection of the user's own is left out of it, and with
    heights in their own unit where that is another than the plan's."""
    from pyproj.crs import CompoundCRS

    if keys.get(MODEL) == PROJECTED and crs.is_geographic:
        return None
    height = _vertical(keys)
    plan = 1.0 if crs.is_geographic else crs.axis_info[0].unit_conversion_factor
    if height is None or len(crs.axis_info) > 2 or np.isclose(height.axis_info[0].unit_conversion_factor, plan, rtol=1e-9):
        return crs
    return CompoundCRS(f"{crs.name} + {height.name}", [crs, height])


def _vertical(keys: Mapping[int, int]) -> Any:
    """The vertical CRS that GeoTIFF keys name, or one of an unknown datum where they name a unit alone; None without either."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        known = CRS.from_epsg(keys.get(VERTICAL, 0))
    except CRSError:
        known = None
    said = known.to_json_dict() if known is not None and known.is_vertical else {}
    unit = LENGTHS.get(keys.get(VERTICAL_UNITS, 0))
    if unit is None:
        return known if said else None
    axis = {"name": "Gravity-related height", "abbreviation": "H", "direction": "up", "unit": unit}
    said = {"type": "VerticalCRS", "name": "height", "datum": {"type": "VerticalReferenceFrame", "name": "unknown"}} | said
    said.pop("id", None)  # which stands for another unit
    return CRS.from_json_dict(said | {"coordinate_system": {"subtype": "vertical", "axis": [axis]}})


def evlrs(cloud: PointCloud) -> Any:
    """The extended records that a cloud came with, for laspy; without their CRS where the cloud is in another."""
    kept = cloud.source.encoding.get("evlrs") or []
    moved = _moved(cloud)
    return laspy.vlrs.vlrlist.VLRList([restore(r) for r in kept if not (moved and r["user_id"] == PROJECTION)])


def clock(encoding: Mapping[str, Any]) -> int:
    """What GPS times count from: 0 the week's beginning, 1 adjusted standard GPS time (table 4); ``make`` refuses what is no
    number."""
    bits = encoding["global_encoding"]
    return bits & 1 if isinstance(bits, int) else 0


def _moved(cloud: PointCloud) -> bool:
    """Whether a cloud has a CRS that is not the one which the records of its encoding say."""
    header, kept = laspy.LasHeader(), cloud.source.encoding
    header.vlrs.extend([vlr_factory(restore(r)) for kind in ("vlrs", "evlrs") for r in kept.get(kind) or []])
    return cloud.crs is not None and cloud.crs != crs(header)


def elsewhere(encoding: Mapping[str, Any]) -> dict[str, Any]:
    """What an encoding says that still holds where its points have moved: all but the grids of positions and other numbers. The
    records of its CRS give way to the cloud's (see ``make``). {} of other formats than LAS."""
    if encoding.get("format") != "las":
        return {}
    plain = [e for e in encoding.get("extra", []) if e.get("scales") is None]
    return {key: value for key, value in encoding.items() if key not in ("scales", "offsets")} | {"extra": plain}


def make(cloud: PointCloud, min_format: int = 0) -> Any:
    """The header for a cloud: of the encoding of its source where that is LAS, else LAS 1.4 on a grid of a millimetre, or
    of a ten-millionth of a degree (a centimetre).

    Args:
        cloud: The first of the clouds that are written.
        min_format: 6 asks for a point format with eight bits for a class.

    Raises:
        FileError: For an encoding of which no header can be made: that of a manifest which somebody has changed.
    """
    try:
        return _made(cloud, min_format)
    except (KeyError, ValueError, TypeError, AttributeError, struct.error, laspy.LaspyException) as error:
        what = f"its encoding describes no LAS header ({type(error).__name__})"
        raise FileError(what, cloud.source.file or None, "convert its source again") from None


def _made(cloud: PointCloud, min_format: int) -> Any:
    kept = cloud.source.encoding if cloud.source.encoding.get("format") == "las" else {}
    version, old = str(kept.get("version", "1.4")), kept.get("point_format")
    point_format = old if old is not None else 8 if "nir" in cloud else 7 if "rgb" in cloud else 6
    if point_format in WAVELESS and "wavepacket_index" not in cloud:
        point_format = WAVELESS[point_format]
    if point_format < min_format:
        version, point_format = "1.4", PROMOTED[point_format]
    header = laspy.LasHeader(version="1.1" if version == "1.0" else version, point_format=point_format)
    header.scales = np.array(kept.get("scales") or _grid(cloud.crs))
    if not (header.scales > 0).all():
        raise ValueError("scales")
    header.offsets = np.array(kept.get("offsets", np.floor(cloud.xyz.min(axis=0)) if len(cloud) else np.zeros(3)))
    params = las_fields.extra_params(cloud, header, kept)
    if params:
        header.add_extra_dims(params)
    header.global_encoding.value = int(kept.get("global_encoding", header.global_encoding.value))
    if kept:
        header.system_identifier, header.file_source_id = kept.get("system_identifier", ""), kept.get("file_source_id", 0)
        header.uuid = UUID(kept["project"]) if "project" in kept else header.uuid
        header.creation_date = date.fromisoformat(kept["created"]) if kept.get("created") else header.creation_date
    records = kept.get("vlrs", [])
    fresh = not kept or (old is not None and old < 6 <= point_format) or _moved(cloud)
    if fresh:
        header.global_encoding.wkt = point_format >= 6
        records = [r for r in records if r["user_id"] != PROJECTION] if cloud.crs else records
    header.vlrs.extend([restore(r) for r in records])
    if fresh and cloud.crs:
        add_crs(header, str(cloud.crs))
    return header


def _grid(crs: str | None) -> list[float]:
    """Steps of the grid for positions that come without one: a millimetre is far less than a thousandth of a degree."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        degrees = crs is not None and CRS.from_user_input(crs).is_geographic
    except CRSError:
        degrees = False
    return [1e-7, 1e-7, 0.001] if degrees else [0.001] * 3


def add_crs(header: Any, crs: str) -> None:
    """Add a CRS in the form that the version and point format ask for; raises FileError for one that PROJ does not know.

    Before 1.4 that is an EPSG code in GeoTIFF keys. For a CRS without one the version becomes 1.4, which takes WKT.
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        known = CRS.from_user_input(crs)
    except CRSError as error:
        raise FileError(f"CRS cannot be written: {error}", do="give it as EPSG:... or WKT") from None
    if known.to_epsg() is None:
        header.version = laspy.header.Version(1, 4)
    header.add_crs(known, keep_compatibility=False)
