"""E57 (ASTM E2807) through pye57's binding of libE57Format: all scans of a file as one cloud in the file's common frame.

Positions are written as double. Fields that the standard has no name for are written under the namespace ``pcaug``, which
other readers pass over. Points marked invalid are left out. Of several scans, which ``scan`` numbers, only the fields that all
have are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import reduce
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.errors import FileError, PcaugError
from pcaug.formats import naming

NAMESPACE, URI = "pcaug", "urn:pcaug:fields"
STANDARD = {
    "x": "cartesianX", "y": "cartesianY", "z": "cartesianZ", "red": "colorRed", "green": "colorGreen", "blue": "colorBlue",
    "intensity": "intensity", "time": "timeStamp", "return_number": "returnIndex", "number_of_returns": "returnCount",
    "row": "rowIndex", "column": "columnIndex",
}  # fmt: skip
"""Column of ours -> element name of the standard (table 13)."""
SPHERICAL = ("sphericalRange", "sphericalAzimuth", "sphericalElevation")
FIRST = "returns from 0"
"""What our files say where ``returnIndex`` is 0 of the first return, as the standard has it; earlier ones counted from 1."""
BUFFER = 1 << 16
"""Points written at a time."""
INVALID = ("cartesianInvalidState", "sphericalInvalidState")


def read_chunks(path: Path, size: int, label: str | None = None) -> Iterator[PointCloud]:
    """Stream all scans of a file.

    Args:
        path: The file.
        size: Points per chunk.
        label: Column with the class ids, where its name is not one of ``naming.LABELS``.
    """
    pye57 = naming.extra("pye57", "pye57", path)
    try:
        with pye57.E57(str(path)) as file:
            yield from _scans(file, path, size, label)
    except PcaugError:
        raise
    except Exception as error:  # of libE57, and of its binding
        raise FileError(f"is not an E57 file, or is truncated ({_line(error)})", path, "download it again") from None


def _line(error: Exception) -> str:
    """What libE57 says, without what it says for its authors."""
    return " ".join(str(error).partition("****")[0].split())[:200]


def _scans(file: Any, path: Path, size: int, label: str | None) -> Iterator[PointCloud]:
    said = {}
    root = file.root
    if f"{NAMESPACE}:describes" in {root.get(i).elementName() for i in range(root.childCount())}:
        said = naming.understand(root[f"{NAMESPACE}:describes"].value(), path)
    crs = _crs(root["coordinateMetadata"].value()) if root.isDefined("coordinateMetadata") else None
    headers = [file.get_header(i) for i in range(file.scan_count)]
    if not headers:
        raise FileError("holds no scan", path, "check the file")
    shared = [name for name in headers[0].point_fields if all(name in header.point_fields for header in headers)]
    first = int(bool(said.get(FIRST, not said)))
    types = _types(headers, shared, first)
    for i, header in enumerate(headers):
        for left in sorted(set(header.point_fields) - set(shared)):
            naming.skipped(f"field {left!r} of scan {i}, which not all scans have,", path)
        for rows in _rows(file, header, types, size, first):
            cloud = naming.assemble(rows.__getitem__, naming.plan(rows, path, said, label), path, said, crs)
            if header.has_pose():
                turned = np.einsum("ij,kj->ik", cloud.xyz, header.rotation_matrix)
                cloud = replace(cloud, xyz=turned + header.translation)
            yield cloud.with_fields(scan=np.full(len(cloud), i, np.uint16)) if len(headers) > 1 else cloud


def _crs(text: str) -> str | None:
    """The CRS of the file's metadata, which may be any text; None for what PROJ does not understand."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return CRS.from_user_input(text).to_wkt() if text else None
    except CRSError:
        return None


def _types(headers: Iterable[Any], names: Iterable[str], first: int) -> dict[str, np.dtype[Any]]:
    """For each element of numbers the type that holds it in all scans, whose limits may differ; ``first`` as of ``_rows``."""
    from pye57 import libe57

    prototypes = [libe57.StructureNode(header.points.prototype()) for header in headers]
    types = {}
    for name in names:
        kinds = [_kind(prototype[name], first if name == STANDARD["return_number"] else 0) for prototype in prototypes]
        known = [kind for kind in kinds if kind is not None]
        if len(known) == len(kinds):
            types[name] = reduce(np.promote_types, known)
    return types


def _rows(file: Any, header: Any, types: Mapping[str, np.dtype[Any]], size: int, first: int) -> Iterator[dict[str, NDArray[Any]]]:
    """Columns by our names, a chunk at a time, without the points that are marked invalid.

    Args:
        file: The file.
        header: That of a scan.
        types: Element -> the type that it is wanted in.
        size: Points per chunk.
        first: Number of the first return, which is 0 in the file.
    """
    from pye57 import libe57
    from pye57.utils import convert_spherical_to_cartesian

    prototype = libe57.StructureNode(header.points.prototype())
    kinds = {name: kind for name in types if (kind := _kind(prototype[name])) is not None}
    buffers, targets = _buffers(file.image_file, kinds, size)
    reader = header.points.reader(targets) if header.point_count else None  # libE57 cannot read what holds nothing
    ours = {theirs: name for name, theirs in STANDARD.items()}
    try:
        empty = True
        while (count := reader.read() if reader else 0) or empty:
            rows = {name: values[:count].astype(types[name]) for name, values in buffers.items()}
            if (index := STANDARD["return_number"]) in rows:
                rows[index] += rows[index].dtype.type(first)
            for state in INVALID:
                valid = rows.pop(state, np.zeros(count)) == 0
                rows = {name: values[valid] for name, values in rows.items()} if not valid.all() else rows
            if "cartesianX" not in rows and all(name in rows for name in SPHERICAL):
                xyz = convert_spherical_to_cartesian(np.stack([rows.pop(name) for name in SPHERICAL], axis=1))
                rows |= dict(zip(("cartesianX", "cartesianY", "cartesianZ"), xyz.T, strict=True))
            yield {ours.get(name, name.removeprefix(f"{NAMESPACE}:")): values for name, values in rows.items()}
            empty = False
    finally:
        if reader:
            reader.close()


def _kind(node: Any, more: int = 0) -> np.dtype[Any] | None:
    """The type that holds an element and what is ``more`` by so much; None for anything that is not a number."""
    from pye57 import libe57

    if isinstance(node, libe57.FloatNode):
        return np.dtype("f4" if node.precision() == libe57.E57_SINGLE else "f8")
    if isinstance(node, libe57.ScaledIntegerNode):
        return np.dtype("f8")
    if not isinstance(node, libe57.IntegerNode):
        return None
    low, high = node.minimum() + more, node.maximum() + more
    for kind in ("u1", "i1", "u2", "i2", "u4", "i4"):
        if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max:
            return np.dtype(kind)
    return np.dtype("i8")


def write(path: Path, chunks: Iterator[PointCloud]) -> int:
    """Write one scan without a pose, streamed; the CRS becomes the file's coordinate metadata."""
    libe57 = naming.extra("pye57", "pye57", path).libe57
    image = libe57.ImageFile(str(path), "w")
    try:
        written = _write(image, chunks)
        image.close()
    except libe57.E57Exception as error:
        do = "check the free space, or write another format"
        raise FileError(f"cannot be written as E57 ({_line(error)})", path, do) from None
    finally:
        with suppress(libe57.E57Exception):  # of a file that could not be written
            image.close()
    return written


def _write(image: Any, chunks: Iterator[PointCloud]) -> int:
    from pye57 import libe57

    low, high, written = np.full(3, np.inf), np.full(3, -np.inf), 0
    writer: Any = None
    try:
        for chunk in chunks:
            columns = {_element(name): _plain(values, name) for name, values in naming.spread(chunk).items()}
            types = {name: values.dtype for name, values in columns.items()}
            if (index := STANDARD["return_number"]) in columns:
                wide = np.promote_types(types[index], np.int16)
                columns[index] = columns[index].astype(wide) - wide.type(1)
            if writer is None:
                scan = _scan(image, chunk)
                points = libe57.CompressedVectorNode(image, _prototype(image, types), libe57.VectorNode(image, True))
                scan.set("points", points)
                buffers, sources = _buffers(image, {name: values.dtype for name, values in columns.items()}, BUFFER)
                writer = points.writer(sources)
            for start in range(0, len(chunk), BUFFER):
                for name, values in columns.items():
                    buffers[name][: len(chunk) - start] = values[start : start + BUFFER]
                writer.write(min(BUFFER, len(chunk) - start))
            if len(chunk):
                low, high = np.minimum(low, chunk.bounds[0]), np.maximum(high, chunk.bounds[1])
            written += len(chunk)
    finally:
        if writer is not None:
            writer.close()  # before the file: libE57 crashes otherwise
    if written:
        ends = [("Minimum", low), ("Maximum", high)]
        box = {f"{axis}{end}": libe57.FloatNode(image, float(v)) for end, vs in ends for axis, v in zip("xyz", vs, strict=True)}
        scan.set("cartesianBounds", _structure(image, box))
    return written


def _buffers(image: Any, kinds: Mapping[str, np.dtype[Any]], size: int) -> tuple[dict[str, NDArray[Any]], Any]:
    """Arrays that libE57 fills or empties, chunk after chunk; its binding takes integers of 64 bits, not of 32."""
    from pye57 import libe57

    bound = libe57.VectorSourceDestBuffer()
    buffers = {}
    for name, kind in kinds.items():
        buffers[name] = np.zeros(size, np.longlong if kind.kind in "iu" and kind.itemsize >= 4 else kind)
        bound.append(libe57.SourceDestBuffer(image, name, buffers[name], size, True, True))
    return buffers, bound


def _element(name: str) -> str:
    """Element name of a column; an extension's name may hold letters, digits, ``_``, ``-`` and ``.`` (XML)."""
    if name in STANDARD:
        return STANDARD[name]
    if not re.fullmatch(r"[A-Za-z_][\w.\-]*", name, re.ASCII):
        raise PcaugError(f"field {name!r} cannot be an E57 element", do="drop or rename it")
    return f"{NAMESPACE}:{name}"


def _plain(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Values in a type that E57 knows."""
    kind = {"b1": "u1", "f2": "f4"}.get(values.dtype.str[1:], values.dtype.str[1:])
    if kind == "u8":
        if len(values) and values.max() > np.iinfo("i8").max:
            raise PcaugError(f"field {name!r} does not fit into 63 bits", do="E57 has no unsigned 64-bit integers, write Parquet")
        kind = "i8"
    if kind not in {"i1", "u1", "i2", "u2", "i4", "u4", "i8", "f4", "f8"}:
        raise PcaugError(f"field {name!r} ({values.dtype}) cannot be an E57 element", do="drop it")
    return values.astype(kind, copy=False)


def _scan(image: Any, cloud: PointCloud) -> Any:
    """The root of a new file, as the standard wants it, with one scan; its id comes from the points: the same bytes again."""
    from pye57 import libe57

    image.extensionsAdd("", libe57.E57_V1_0_URI)
    image.extensionsAdd(NAMESPACE, URI)
    texts = {
        "formatName": "ASTM E57 3D Imaging Data File",
        "guid": f"{{{uuid5(NAMESPACE_OID, sha256(cloud.xyz.tobytes()).hexdigest())}}}",
        "e57LibraryVersion": libe57.E57_LIBRARY_ID,
        "coordinateMetadata": cloud.crs or "",
        f"{NAMESPACE}:describes": json.dumps(naming.describe(cloud) | {FIRST: True}),
    }
    root, scans = image.root(), libe57.VectorNode(image, True)
    for name, value in texts.items():
        root.set(name, libe57.StringNode(image, value))
    for name, number in (("versionMajor", libe57.E57_FORMAT_MAJOR), ("versionMinor", libe57.E57_FORMAT_MINOR)):
        root.set(name, libe57.IntegerNode(image, number))
    root.set("data3D", scans)
    root.set("images2D", libe57.VectorNode(image, True))
    scan = _structure(
        image, {name: libe57.StringNode(image, text) for name, text in (("guid", texts["guid"]), ("name", "pcaug"))}
    )
    scans.append(scan)
    return scan


def _structure(image: Any, children: Mapping[str, Any]) -> Any:
    from pye57 import libe57

    node = libe57.StructureNode(image)
    for name, child in children.items():
        node.set(name, child)
    return node


def _prototype(image: Any, types: Mapping[str, np.dtype[Any]]) -> Any:
    """What a point consists of, of types that hold what columns of a cloud do. Its returns count from 1, those here from 0."""
    from pye57 import libe57

    nodes = {}
    for name, kind in types.items():
        if kind.kind == "f":
            precision = libe57.E57_DOUBLE if kind.itemsize == 8 else libe57.E57_SINGLE
            nodes[name] = libe57.FloatNode(image, 0.0, precision)
        else:
            held, less = np.iinfo(kind), int(name == STANDARD["return_number"])
            nodes[name] = libe57.IntegerNode(image, 0, max(int(held.min) - less, -(2**63)), int(held.max) - less)
    return _structure(image, nodes)
