"""COPC 1.0 (cloud optimised point cloud): LAZ whose chunks are the nodes of an octree, so that a box is read without the rest.

https://copc.io: a record with the cube at byte 375, one chunk of points a node, the list of nodes as the last extended record.
Points are handed out level by level: of the points that fall into one cell of a node (128 an edge) the first stays, the others go
down; a node with few points left keeps them all. Writing holds the records of all points in memory.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import laspy
import lazrs
import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError
from pcaug.formats import las, las_header

CELLS = 128
"""Cells along the edge of a node: a node of a surface keeps about 128 x 128 points."""
FEW = 4096
"""A node with no more points than this left has no children."""
DEEPEST = 13
INFO = struct.Struct("<5d2Q2d88x")
"""Centre, half the edge, spacing, where the nodes are listed and in how many bytes, GPS times."""
NODE = np.dtype([("level", "<i4"), ("cell", "<i4", (3,)), ("offset", "<u8"), ("bytes", "<i4"), ("points", "<i4")])
AT = 375 + 54
"""Where the body of the first record lies, and it must be ``INFO``."""


def read_chunks(
    path: Path,
    size: int,
    bounds: Any = None,
    resolution: float | None = None,
    label: str | None = None,
) -> Iterator[PointCloud]:
    """Stream a file as LAZ, or fetch a box of it.

    Args:
        path: The file.
        size: Points per chunk.
        bounds: ((x, y, z), (x, y, z)) or ((x, y), (x, y)): lowest and highest corner of a box, in the file's CRS.
        resolution: Spacing of points that is enough, in its units: deeper levels are left out.
        label: As of LAS.
    """
    if bounds is None and resolution is None:
        yield from las.read_chunks(path, size, label)
        return
    las_header.check(path)
    _check(path)
    try:
        with laspy.CopcReader.open(str(path)) as reader:
            source = Source(file=str(path), encoding=las_header.encoding(reader.header, path))
            box = None if bounds is None else laspy.Bounds(*(np.array(corner, float) for corner in bounds))
            points = reader.query(box, resolution=resolution)
            cloud = las.labelled_by(las.decoded(points, las_header.crs(reader.header), source), label, path)
    except BaseException as error:  # as for LAZ
        if isinstance(error, KeyboardInterrupt | SystemExit):
            raise
        raise FileError(
            f"is not a COPC file, or is damaged ({type(error).__name__}: {error})", path, "download it again"
        ) from None
    for start in range(0, max(len(cloud), 1), size):
        yield cloud.take(slice(start, start + size))


def _check(path: Path) -> None:
    """Refuse a list of nodes that lies beyond the file's end, promises more points than its header, or names no chunks."""
    wrong = "is not a COPC file, or is damaged: its nodes cannot be found"
    with path.open("rb") as file:
        head = file.read(AT + INFO.size)
        pages = [INFO.unpack_from(head, AT)[5:7] if len(head) == AT + INFO.size else (0, 0)]
        found = []
        size = path.stat().st_size
        for at, length in pages:
            if not 0 < length <= size - at or len(pages) * NODE.itemsize > size:
                raise FileError(wrong, path, "download it again")
            file.seek(at)
            nodes = np.frombuffer(file.read(length // NODE.itemsize * NODE.itemsize), NODE)
            pages += nodes[nodes["points"] == -1][["offset", "bytes"]].tolist()
            found.append(nodes[nodes["points"] > 0])
        held = np.concatenate(found)
        if held["points"].sum(dtype=np.int64) > int.from_bytes(head[247:255], "little"):
            raise FileError(wrong, path, "download it again")
        try:
            body = las_header.compressor(file, int.from_bytes(head[94:96], "little"), int.from_bytes(head[100:104], "little"))
            las_header.check_layers(file, body, held[["offset", "bytes"]].tolist())
        except (ValueError, OSError, OverflowError):  # places that no file has
            raise FileError(wrong, path, "download it again") from None


def write(path: Path, chunks: Iterator[PointCloud]) -> int:
    """Write COPC with the encoding of the first chunk's source, in a point format 6-8."""
    first = next(chunks)
    header = las_header.make(first, 6)
    if header.point_format.id not in (6, 7, 8):
        raise FileError("COPC cannot hold wave packets", path, "drop the field wavepacket_index")
    units = las.in_units(first)
    records = np.concatenate([las.record(chunk, header, units, path).array for chunk in chain([first], chunks)])
    xyz = np.stack([records[axis] * header.scales[i] + header.offsets[i] for i, axis in enumerate("XYZ")], axis=1)
    corner = xyz.min(axis=0) if len(xyz) else np.zeros(3)
    edge = max(np.ptp(xyz, axis=0).max() if len(xyz) else 0.0, CELLS * header.scales.max())
    level, cell = _octree((xyz - corner) / edge)
    order = np.lexsort((cell[:, 2], cell[:, 1], cell[:, 0], level))
    keys = np.column_stack([level, cell])[order]
    starts = np.flatnonzero(np.r_[True, (keys[1:] != keys[:-1]).any(axis=1)]) if len(keys) else np.zeros(0, int)
    nodes = np.zeros(len(starts), NODE)
    nodes["level"], nodes["cell"] = keys[starts, 0], keys[starts, 1:]
    nodes["points"] = np.diff(np.r_[starts, len(keys)])
    _save(path, header, first, records[order], nodes, (*(corner + edge / 2), edge / 2, edge / CELLS))
    return len(records)


def _octree(place: NDArray[np.float64]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Level (N,) and cell (N, 3) of the node that each point belongs to, of its place (N, 3) in the unit cube."""
    level, cell = np.zeros(len(place), np.int32), np.zeros((len(place), 3), np.int32)
    left = np.arange(len(place))
    for depth in range(DEEPEST + 1):
        fine = np.minimum((place[left] * (CELLS << depth)).astype(np.int64), (CELLS << depth) - 1)
        node = fine // CELLS
        codes = node[:, 0] << 42 | node[:, 1] << 21 | node[:, 2]
        _, inverse, counts = np.unique(codes, return_inverse=True, return_counts=True)
        stays = (counts <= FEW)[inverse] | (depth == DEEPEST)
        busy = np.flatnonzero(~stays)
        _, firsts = np.unique(fine[busy, 0] << 42 | fine[busy, 1] << 21 | fine[busy, 2], return_index=True)
        stays[busy[firsts]] = True
        level[left[stays]], cell[left[stays]] = depth, node[stays]
        left = left[~stays]
        if not len(left):
            break
    return level, cell


def _save(
    path: Path, header: Any, first: PointCloud, records: NDArray[Any], nodes: NDArray[Any], cube: tuple[float, ...]
) -> None:
    """Write the file: header and records, a chunk a node, their table, extended records with the nodes as the last."""
    vlr = lazrs.LazVlr.new_for_compression(header.point_format.id, header.point_format.num_extra_bytes, True)
    header.vlrs.insert(0, laspy.VLR("copc", 1, "copc info", bytes(INFO.size)))
    header.vlrs.append(laspy.VLR("laszip encoded", 22204, "", bytes(vlr.record_data())))
    header.are_points_compressed = header.global_encoding.wkt = True
    if len(records):
        header.grow(laspy.PackedPointRecord(records, header.point_format))
    times = (records["gps_time"].min(), records["gps_time"].max()) if len(records) else (0.0, 0.0)
    evlrs = las_header.evlrs(first)
    with path.open("w+b") as file:
        header.write_to(file)
        nodes["offset"], nodes["bytes"] = _compress(file, vlr, records, nodes["points"], header.offset_to_point_data)
        file.seek(0, io.SEEK_END)
        header.start_of_first_evlr, header.number_of_evlrs = file.tell(), len(evlrs) + 1
        evlrs.append(laspy.VLR("copc", 1000, "copc hierarchy", nodes.tobytes()))
        evlrs.write_to(file, as_extended=True)
        listed = file.tell() - nodes.nbytes
        file.seek(0)
        header.write_to(file, ensure_same_size=True)
        file.seek(AT)
        file.write(INFO.pack(*cube, listed, nodes.nbytes, *times))


def _compress(file: Any, vlr: Any, records: NDArray[Any], counts: NDArray[Any], start: int) -> tuple[Any, Any]:
    """Append one chunk a node and the table of chunks; returns where each chunk begins and how many bytes it has."""
    compressor = lazrs.ParLasZipCompressor(file, vlr)
    ends = np.cumsum(counts)
    raw = records.view(np.uint8).reshape(len(records), -1) if len(records) else np.zeros((0, 0), np.uint8)
    for at in range(0, len(ends), 64):
        compressor.compress_chunks(
            [raw[b - n : b].ravel() for n, b in zip(counts[at : at + 64], ends[at : at + 64], strict=True)]
        )
    compressor.done()
    file.seek(start)
    sizes = np.array([size for _, size in lazrs.read_chunk_table(file, vlr)], np.int64) if len(ends) else np.zeros(0, np.int64)
    return start + 8 + np.cumsum(sizes) - sizes, sizes
