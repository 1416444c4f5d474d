"""LAS and LAZ, all point formats (ASPRS LAS 1.4 R16), through laspy and lazrs.

Dimensions become fields of the same name, except: ``classification`` -> ``native_label``, ``gps_time`` -> ``time``,
red, green, blue -> ``rgb``, scan angle (rank) -> ``scan_angle`` in degrees. Extra bytes keep their names.

A cloud that did not come from LAS is written as point format 6-8 with its ``label`` as the nearest ASPRS class in
``classification`` (without one, with the ids of ``native_label`` that fit), and with ``label`` and ``native_label`` themselves as
extra bytes, so nothing is lost. Intensities and colours that are floats within 0..1 fill the 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import laspy
import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, LabelError, counted
from pcaug.formats import las_fields, las_header, naming
from pcaug.parallel import prefetch
from pcaug.scales import colour_scale

ASPRS = {
    "ground": 2, "terrain": 2, "paved": 2, "sidewalk": 2, "floor": 2, "road": 11, "low_vegetation": 3, "vegetation": 5,
    "tree": 5, "building": 6, "water": 9, "wire": 14, "pole": 15, "bridge": 17, "outdoor_structure": 19, "other_structure": 19,
    "other": 1,
}  # fmt: skip
"""Taxonomy node -> ASPRS class. Nodes that have none become user classes: 64 + id, and from 100 on the id itself."""

RENAMED = {"classification": "native_label", "gps_time": "time", "scan_angle_rank": "scan_angle"}
MAX_CHUNK_BYTES = 256 << 20
AGAIN = 250_000
"""Points per chunk where a file is written again in another point format."""
LAZ_CHUNK = 50_000
"""Points that LAZ compresses together, unless its writer chose otherwise."""
COPIED = 500_000
"""Points per chunk where records are copied."""

_untouched: WeakKeyDictionary[PointCloud, Any] = WeakKeyDictionary()
"""Clouds as they were read -> their records. A cloud never changes, so these are what writing it would make again."""


def read_chunks(path: Path, size: int, label: str | None = None) -> Iterator[PointCloud]:
    """Stream a LAS or LAZ file; raises FileError for anything broken.

    Args:
        path: The file.
        size: Points per chunk.
        label: Dimension with the class ids, where it is not ``classification``, which then stays a field of its own.
    """
    encoding: dict[str, Any] | None = None
    crs = None
    for header, points in _records(path, size):
        if encoding is None:
            encoding, crs = las_header.encoding(header, path), las_header.crs(header)
        cloud = labelled_by(decoded(points, crs, Source(file=str(path), encoding=encoding)), label, path)
        _untouched[cloud] = points
        yield cloud


def copies(sources: Sequence[Path]) -> bool:
    """Whether files can be written as one without a look at their points: all have the records that ``write`` would make."""
    firsts = [next(read_chunks(source, 1)) for source in sources]
    header = las_header.make(firsts[0], 0)
    clocks = {las_header.clock(first.source.encoding) for first in firsts}
    return len(clocks) == 1 and all(first.crs == firsts[0].crs and _same_records(_untouched[first], header) for first in firsts)


def copy(sources: Sequence[Path], target: Path, progress: Callable[[int], None] | None = None) -> int:
    """Write the records of files as they are, compressed where the target's name ends with .laz.

    Args:
        sources: LAS or LAZ files of which ``copies`` holds.
        target: LAS or LAZ; its header is the first one's.
        progress: Called with the number of points of every chunk written.

    Raises:
        FileError: As ``read_chunks`` and ``write``.
    """
    first = next(read_chunks(sources[0], 1))
    with _writer(target, las_header.make(first, 0), first) as writer:
        for source in sources:
            for _, points in _records(source, COPIED, ahead=False):  # compressing them takes all cores already
                writer.write_points(points)
                if progress:
                    progress(len(points))
        return int(writer.header.point_count)


def _records(path: Path, size: int, *, ahead: bool = True) -> Iterator[tuple[Any, Any]]:
    """(header, point records) of each chunk, the next decompressed ``ahead`` while one is worked on; one empty chunk if none."""
    record = las_header.check(path)
    try:
        few = size < LAZ_CHUNK  # the parallel backend decompresses whole chunks, for a look at the first point as well
        with laspy.open(path, laz_backend=laspy.LazBackend.Lazrs if few else None) as reader:
            header = reader.header
            left = header.point_count
            if left == 0:
                yield header, laspy.ScaleAwarePointRecord.empty(header=header)
            chunks = reader.chunk_iterator(max(1, min(size, MAX_CHUNK_BYTES // record)))
            for points in prefetch(chunks) if ahead and not few else chunks:
                left -= len(points)
                yield header, points
    except (FileError, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except MemoryError:
        raise FileError("is damaged: it asks for impossible memory", path, "download it again") from None
    except BaseException as error:  # everything from struct.error to a panic of Rust's, which is no Exception
        raise FileError(f"is truncated or damaged ({type(error).__name__}: {error})", path, "download it again") from None
    if left:
        raise FileError(f"is truncated: it lacks {left:,} of {counted(header.point_count, 'point')}", path, "download it again")


def decoded(points: Any, crs: str | None, source: Source) -> PointCloud:
    """The cloud of point records; raises FileError for labels of our own that are not nodes of the taxonomy."""
    scales, offsets = points.scales, points.offsets
    xyz = np.empty((len(points), 3))
    with np.errstate(over="ignore", invalid="ignore"):  # a damaged scale: positions that are not finite are refused later
        for i, axis in enumerate("XYZ"):
            np.multiply(points[axis], scales[i], out=xyz[:, i])
        xyz += offsets
    fields: dict[str, NDArray[Any]] = {}
    names = list(points.point_format.dimension_names)
    extras = {d.name: d for d in points.point_format.extra_dimensions}
    own = {name for name, d in extras.items() if las_fields.is_own(d.description)}
    beside = "native_label" in own and extras["native_label"].description == las_fields.BESIDE
    kept = {*extras, "classification"} if beside else {*extras}
    colours = {"red", "green", "blue"} if {"red", "green", "blue"} <= set(names) else set()
    if colours:
        fields["rgb"] = np.stack([np.asarray(points[c]) for c in ("red", "green", "blue")], axis=1)
    if "" in extras:
        naming.skipped("a dimension without a name", Path(source.file))
    for name in names:
        if name in {"", "X", "Y", "Z", *colours} or (name == "classification" and "native_label" in own and not beside):
            continue
        values = np.array(points[name])
        if name == "classification":
            values = values.astype(np.int32)
        elif name in ("scan_angle_rank", "scan_angle") and name not in extras:
            values = (values * (1.0 if name == "scan_angle_rank" else 0.006)).astype(np.float32)
        field = name if name in kept else RENAMED.get(name, name)
        while name in extras and name not in own and (field in fields or field == "label"):
            field += "_"  # a producer's own extra bytes, called like another dimension or like nodes of our tree
        fields[field] = values
    labelled = "label" in own
    if labelled:
        naming.check_nodes(fields["label"], Path(source.file))
    return PointCloud(xyz, fields, catalogue.taxonomy() if labelled else None, crs, source)


def labelled_by(cloud: PointCloud, label: str | None, path: Path) -> PointCloud:
    """The cloud with the values of a dimension as its class ids; raises LabelError where it has none, or they are no ids."""
    if label in (None, "native_label") or (label == "classification" and label not in cloud):
        return cloud
    if label not in cloud and f"{label}_" in cloud:
        label = f"{label}_"  # a producer's "label", see ``decoded``
    if label not in cloud:
        raise LabelError(f"has no dimension {label!r}", path, f"it has {', '.join(cloud.fields)}")
    other = "native_label_" if "classification" in cloud else "classification"
    fields = {(other if name == "native_label" else name): values for name, values in cloud.fields.items()}
    return replace(cloud, fields=fields | {"native_label": naming.whole(cloud[label], path)})


def write(path: Path, chunks: Iterator[PointCloud]) -> int:
    """Write LAS or LAZ by suffix. The encoding of the first chunk's source is kept where it came from LAS.

    Where a class above 31 comes late, what was written so far in a point format 0-5 is written again in 6-10.

    Raises:
        FileError: For wave packets in LAZ, which no open compressor takes.
    """
    first = next(chunks)
    written, rest = _write(path, first, chunks, least_format(first))
    if rest is None:
        return written
    before = path.replace(path.with_stem(f"{path.stem}-before"))
    try:
        again = read_chunks(before, AGAIN)
        return _write(path, next(again), chain(again, [rest], chunks), 6)[0]
    finally:
        before.unlink()


def _write(path: Path, first: PointCloud, chunks: Iterable[PointCloud], min_format: int) -> tuple[int, PointCloud | None]:
    """Write until a class does not fit; returns points written, and the cloud that could not be."""
    header = las_header.make(first, min_format)
    units, written, rest = in_units(first), 0, None
    with _writer(path, header, first) as writer:
        for chunk in chain([first], chunks):
            if header.point_format.id < least_format(chunk):
                rest = chunk
                break
            writer.write_points(record(chunk, header, units, path))
            written += len(chunk)
    return written, rest


@contextmanager
def _writer(path: Path, header: Any, first: PointCloud) -> Iterator[Any]:
    """A writer of point records that ends with the extended records which the first cloud came with."""
    compress = path.suffix.lower() == ".laz"
    if compress and header.point_format.id in las_header.WAVELESS:
        do = "write .las, or drop the field wavepacket_index"
        raise FileError("wave packets cannot be written as LAZ: no open compressor takes them", path, do)
    with laspy.open(path, mode="w", header=header, do_compress=compress) as writer:
        yield writer
        evlrs = las_header.evlrs(first)
        if evlrs and str(header.version) == "1.4":
            writer.write_evlrs(evlrs)


def least_format(cloud: PointCloud) -> int:
    """The point format that the classes of a cloud need: 6 where one is above 31."""
    apart = "classification" in cloud  # then ids are extra bytes
    return 6 if len(cloud) and not apart and "native_label" in cloud and cloud["native_label"].max() > 31 else 0


def in_units(first: PointCloud) -> set[str]:
    """Which of intensity and rgb are floats within 0..1, see ``colour_scale``, and fill the 16 bits; the first cloud decides for
    all."""
    floats = [n for n in ("intensity", "rgb") if n in first and len(first) and np.issubdtype(first[n].dtype, np.floating)]
    return {name for name in floats if np.nan_to_num(first[name]).min() >= 0 and colour_scale(first[name]) == 1}


def record(cloud: PointCloud, header: Any, units: set[str], path: Path) -> Any:
    """The point records of a cloud.

    Raises:
        FileError: If positions do not fit the grid, or an intensity or colour the range of those before.
        LabelError: If a class does not fit.
    """
    same = _untouched.get(cloud)
    if same is not None and _same_records(same, header):
        return same
    points = laspy.ScaleAwarePointRecord.zeros(len(cloud), header=header)
    for i, axis in enumerate("XYZ"):
        grid = np.round((cloud.xyz[:, i] - header.offsets[i]) / header.scales[i])
        if len(cloud) and np.abs(grid).max() > 2**31 - 1:
            raise FileError(
                "positions do not fit into LAS's 32-bit grid", path, "write parts of it (--bounds), or another format"
            )
        points[axis] = grid.astype(np.int32)
    dimensions = set(header.point_format.standard_dimension_names)
    extras = las_fields.held(cloud.fields, header.point_format)
    for name, values in cloud.fields.items():
        target = las_fields.dimension(name, dimensions)
        if name in extras:
            _set_extra(points, extras[name], values, path)
        elif target == "rgb":
            wide = values.astype(np.uint16) * 257 if values.dtype == np.uint8 else _sixteen_bits(name, values, units, path)
            for column, colour in enumerate(("red", "green", "blue")):
                points[colour] = wide[:, column]
        elif target == "classification":
            points["classification"] = _classes_fitting(values, header.point_format.dimension_by_name(target), path)
        elif target == "intensity":
            points["intensity"] = _sixteen_bits(name, values, units, path)
        elif target is not None:
            points[target] = _fitting(name, values, header.point_format.dimension_by_name(target), path)
    if "classification" not in cloud and ("native_label" in extras or "native_label" not in cloud):
        points["classification"] = _classes(cloud, header.point_format.dimension_by_name("classification").max)
    return points


def _classes(cloud: PointCloud, most: int) -> NDArray[np.uint8]:
    """What stands in ``classification`` (N,) where ids of ours are extra bytes; 0 for what is above ``most``."""
    codes = asprs(cloud["label"]) if "label" in cloud else cloud.fields.get("native_label", np.zeros(len(cloud), np.uint8))
    return np.where((codes >= 0) & (codes <= most), codes, 0).astype(np.uint8)


def _classes_fitting(values: NDArray[Any], dimension: Any, path: Path) -> NDArray[np.uint8]:
    """Classes (N,) for a dimension; raises LabelError for one that does not fit."""
    if len(values) and not 0 <= values.min() <= values.max() <= dimension.max:
        wrong = values.min() if values.min() < 0 else values.max()
        do = "write another format, or map it"
        raise LabelError(f"class {wrong:.15g} does not fit into LAS's {dimension.num_bits} bits", path, do)
    if not np.array_equal(classes := values.astype(np.uint8), values):
        raise LabelError("has classes that are not whole numbers", path, "name the right column with the card's label")
    return classes


def _set_extra(points: Any, name: str, values: NDArray[Any], path: Path) -> None:
    """Set extra bytes, whose type holds the values; raises FileError where they have a scale, and lie beyond its grid.

    laspy rounds on the grid of floats too, and compares the values of all parts with the limits of each.
    """
    told = points.point_format.dimension_by_name(name)
    values = values[:, 0] if values.shape[1:] == (1,) else values
    if told.scales is None:
        points[name] = values
        return
    raw = points.array[name]
    with np.errstate(invalid="ignore", over="ignore"):  # what does not fit is found below
        grid = (values - told.offsets) / told.scales
        if raw.dtype.kind != "f":
            grid = np.rint(grid)  # NaN has no place on it
        raw[:] = grid
    lost = raw != grid if raw.dtype.kind != "f" else np.isfinite(raw) != np.isfinite(grid)
    if lost.any():
        what = f"field {name!r} ({values.min():g} to {values.max():g}) does not fit the grid that its source gave it"
        raise FileError(what, path, "correct, rename or drop it, or write another format")


def _fitting(name: str, values: NDArray[Any], dimension: Any, path: Path) -> NDArray[Any]:
    """Values in the type of a dimension, angles in its unit; raises FileError where they would not stay what they are."""
    if name == "scan_angle":
        values = np.round(values / 0.006 if dimension.name == "scan_angle" else values)
    kind = np.dtype(dimension.dtype or np.uint8)  # bits of a byte have no type
    if kind.kind != "f" and len(values):
        low, high = values.min(), values.max()
        if not dimension.min <= low <= high <= dimension.max or not np.array_equal(values.astype(kind), values):
            what = f"field {name!r} ({values.dtype}, {low:g} to {high:g}) does not fit into LAS's {dimension.num_bits} bits"
            raise FileError(what, path, "correct, rename or drop it, or write another format")
    return values.astype(kind)


def _same_records(one: Any, other: Any) -> bool:
    """Whether headers or records have the same dimensions on the same grid."""
    grids = [(r.scales.tolist(), r.offsets.tolist()) for r in (one, other)]
    return bool(one.point_format == other.point_format) and grids[0] == grids[1]


def _sixteen_bits(name: str, values: NDArray[Any], units: set[str], path: Path) -> NDArray[np.uint16]:
    """Round to 16 bits, which 0..1 fills where the first cloud was within it; says what is lost: what lies beyond, fractions."""
    if values.dtype.kind == "f" and np.isnan(values).any():
        naming.skipped(f"what of {name} is no number (it becomes 0)", Path(path.name))
    values, top = np.nan_to_num(values), 1 if name in units else 65535
    if name in units and colour_scale(values) > 1:
        what = f"{name} is {values.max():g} after clouds within 0..1"
        raise FileError(what, path, f"bring {name} to one range in all of them")
    if len(values) and not 0 <= values.min() <= values.max() <= top:
        naming.skipped(f"what of {name} lies beyond the 16 bits of LAS (0 to {top})", Path(path.name))
    if not np.issubdtype(values.dtype, np.floating):
        return np.asarray(np.clip(values, 0, 65535), np.uint16)
    full = values.astype(np.float64) * (65535 / top)
    whole = np.round(full)
    if name not in units and not np.array_equal(whole, full):
        naming.skipped(f"what of {name} follows the decimal point", Path(path.name))
    return np.asarray(np.clip(whole, 0, 65535), np.uint16)


def asprs(nodes: NDArray[np.integer]) -> NDArray[np.uint8]:
    """Nearest ASPRS class (N,) of node ids of the shipped taxonomy; unclassified (1) for "ignore"."""
    table = np.ones(256, dtype=np.uint8)
    for node in catalogue.taxonomy().nodes.values():
        table[node.id] = ASPRS.get(node.name, node.id if node.id >= 100 else 64 + node.id)
    codes: NDArray[np.uint8] = table[np.minimum(nodes, 255)]
    return codes
