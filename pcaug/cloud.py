"""The point cloud: the one value that every room takes and returns."""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import LabelError, MissingExtra, NotFound, PcaugError, counted
from pcaug.labels import IGNORE, Taxonomy


@cache
def open3d() -> ModuleType:
    """Import Open3D, with the libusb of the ``libusb-package`` wheel where the system has none.

    Raises:
        MissingExtra: With the line that installs what is missing.
    """
    spec = importlib.util.find_spec("libusb_package")
    if spec and spec.origin:
        library = Path(spec.origin).with_name("libusb-1.0.so")
        if library.exists():
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    try:
        import open3d as found
    except (ImportError, OSError) as error:
        do = "pip install open3d-cpu; on Debian also: sudo apt install libegl1 libgl1 libusb-1.0-0 libgomp1"
        raise MissingExtra(f"Open3D cannot be imported ({error})", do=do) from None
    module: ModuleType = found
    return module


class Kind(Enum):
    """What happens to a field when points turn or merge."""

    QUANTITY = "quantity"
    """A measured number: averaged where points merge."""
    CATEGORY = "category"
    """A name in numbers: the majority where points merge, never averaged, never interpolated."""
    DIRECTION = "direction"
    """A vector in the cloud's frame: turns with the points."""
    POSITION = "position"
    """A place in the cloud's frame, in metres: moves with the points."""


@dataclass(frozen=True)
class Field:
    """What a well-known field holds: dtype written by default, kind, columns, unit."""

    dtype: str
    kind: Kind
    width: int = 1
    unit: str = ""


FIELDS: Mapping[str, Field] = MappingProxyType(
    {
        "label": Field("u2", Kind.CATEGORY),  # node of the cloud's taxonomy
        "native_label": Field("i4", Kind.CATEGORY),  # the dataset's own class id
        "instance": Field("i4", Kind.CATEGORY),
        "intensity": Field("f4", Kind.QUANTITY),  # as the file has it; features normalise per source
        "rgb": Field("u2", Kind.QUANTITY, width=3),
        "normal": Field("f4", Kind.DIRECTION, width=3),
        "time": Field("f8", Kind.QUANTITY, unit="s"),
        "return_number": Field("u1", Kind.CATEGORY),
        "number_of_returns": Field("u1", Kind.CATEGORY),
        "scan_angle": Field("f4", Kind.QUANTITY, unit="deg"),
        "ring": Field("u2", Kind.CATEGORY),
        "prediction": Field("u2", Kind.CATEGORY),
        "confidence": Field("f4", Kind.QUANTITY, unit="0..1"),
        "sensor_origin": Field("f8", Kind.POSITION, width=3, unit="m"),  # where the sensor was when it took the point
        "height_above_ground": Field("f4", Kind.QUANTITY, unit="m"),
    }
)
"""Fields with a fixed meaning. Any other field keeps its dtype and is a category if integer, else a quantity."""


@dataclass(frozen=True)
class Source:
    """Where a cloud comes from: enough to find it or to make it again.

    Attributes:
        dataset: Name of the dataset card, or of the recipe that made it.
        file: Path as the user gave it.
        unit: The independent unit that it belongs to (drive, site, tile): what budgets and splits count.
        encoding: What a writer needs to write the same encoding again (LAS scales, offsets, point format).
        gaps: Points of the file that have no position, and are left out of this cloud: rows are counted with them.
    """

    dataset: str = ""
    file: str = ""
    unit: str = ""
    encoding: Mapping[str, Any] = field(default_factory=dict)
    gaps: int = 0


@dataclass(frozen=True, eq=False)
class PointCloud:
    """Points with named fields. Frozen: every operation returns a new cloud, arrays are read-only.

    Attributes:
        xyz: (N, 3) float64, metres, z up.
        fields: name -> (N,) or (N, k) array of numbers.
        taxonomy: What the numbers in ``label`` mean; None where the cloud has no labels (which is not "ignored").
        crs: Coordinate reference system as WKT or "EPSG:..."; None if unknown or local.
        source: Where it comes from.

    Raises:
        PcaugError: For arrays of other shapes or types.
        LabelError: For a ``label`` that is no whole number a point, or without a taxonomy.
    """

    xyz: NDArray[np.float64]
    fields: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    taxonomy: Taxonomy | None = None
    crs: str | None = None
    source: Source = field(default_factory=Source)

    def __post_init__(self) -> None:
        try:
            xyz = _read_only(np.asarray(self.xyz, dtype=np.float64))
        except (TypeError, ValueError):  # ragged, or no numbers
            raise PcaugError("xyz is no table of numbers", self.source.file or None, "give (N, 3)") from None
        if xyz.ndim != 2 or xyz.shape[1] != 3:
            raise PcaugError(f"xyz has shape {xyz.shape}, expected (N, 3)", self.source.file or None)
        checked = {name: _read_only(self._column(name, values, len(xyz))) for name, values in self.fields.items()}
        if "label" in checked and self.taxonomy is None:
            raise LabelError("field 'label' without a taxonomy", self.source.file or None, "raw class ids go into 'native_label'")
        object.__setattr__(self, "xyz", xyz)
        object.__setattr__(self, "fields", MappingProxyType(checked))

    def _column(self, name: str, values: Any, count: int) -> NDArray[Any]:
        """A field as every room can take it: a row of numbers a point, in the machine's byte order; raises PcaugError."""
        array, where = np.asarray(values), self.source.file or None
        if not array.ndim or len(array) != count:
            raise PcaugError(f"field {name!r} has {len(array) if array.ndim else 'no'} rows for {counted(count, 'point')}", where)
        if array.dtype.kind not in "iufb" or array.ndim > 2 or 0 in array.shape[1:]:
            what = f"field {name!r} has shape {array.shape} and type {array.dtype}"
            raise PcaugError(what, where, "a field is (N,) or (N, k) numbers")
        if name == "label" and (array.ndim > 1 or array.dtype.kind not in "iu"):
            what = f"field 'label' has shape {array.shape} and type {array.dtype}"
            raise LabelError(what, where, "labels are (N,) ids of the taxonomy's nodes")
        if name == "label" and array.dtype.kind == "i" and len(array) and array.min() < 0:
            raise LabelError(f"labels go down to {array.min()}", where, f"what is unlabelled is {IGNORE}")
        return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))

    def __len__(self) -> int:
        return len(self.xyz)

    def __contains__(self, name: str) -> bool:
        return name in self.fields

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.fields:
            has = ", ".join(self.fields) or "only xyz"
            raise NotFound(f"no field {name!r}", self.source.file or None, f"this cloud has {has}")
        return self.fields[name]

    def take(self, which: NDArray[Any] | slice) -> PointCloud:
        """Keep the points that a mask (N,), indices (M,) or a slice names, with all their fields."""
        return replace(self, xyz=self.xyz[which], fields={name: values[which] for name, values in self.fields.items()})

    def with_fields(self, taxonomy: Taxonomy | None = None, **fields: NDArray[Any] | None) -> PointCloud:
        """Set fields (or drop those given as None)."""
        merged = {name: values for name, values in {**self.fields, **fields}.items() if values is not None}
        return replace(self, fields=merged, taxonomy=taxonomy or self.taxonomy)

    def moved(self, new_from_old: NDArray[np.float64]) -> PointCloud:
        """Apply an affine transform (4, 4); positions move with it, directions turn with it and stay unit vectors. Raises
        PcaugError for another shape."""
        if np.shape(new_from_old) != (4, 4):
            raise PcaugError(f"a transform has shape (4, 4), not {np.shape(new_from_old)}")
        linear, shift = new_from_old[:3, :3], new_from_old[:3, 3]
        turned = dict(self.fields)
        for name, values in self.fields.items():
            if kind_of(name, values) is Kind.DIRECTION:
                vectors = values @ np.linalg.inv(linear)  # inverse transpose, on row vectors
                length = np.linalg.norm(vectors, axis=1, keepdims=True)
                turned[name] = (vectors / np.where(length > 0, length, 1)).astype(values.dtype)
            elif kind_of(name, values) is Kind.POSITION:
                turned[name] = _affine(values, linear, shift).astype(values.dtype)
        return replace(self, xyz=_affine(self.xyz, linear, shift), fields=turned)

    @property
    def bounds(self) -> NDArray[np.float64]:
        """(2, 3) lowest and highest corner; NaN for an empty cloud."""
        if not len(self):
            return np.full((2, 3), np.nan)
        columns = self.xyz.T  # one after the other is several times faster than over axis 0
        return np.array([[c.min() for c in columns], [c.max() for c in columns]])

    def to_open3d(self) -> Any:
        """Convert to an Open3D tensor cloud (``open3d.t.geometry.PointCloud``); positions stay float64, every field becomes a
        point attribute. What is done to it leaves this cloud as it is. Raises MissingExtra where Open3D cannot be imported."""
        o3d = open3d()
        tensor = o3d.core.Tensor  # copies, where from_numpy would share
        cloud = o3d.t.geometry.PointCloud(tensor(np.ascontiguousarray(self.xyz)))
        names = {"rgb": "colors", "normal": "normals"}
        for name, values in self.fields.items():
            table = values[:, None] if values.ndim == 1 else values
            cloud.point[names.get(name, name)] = tensor(np.ascontiguousarray(table))
        return cloud

    def _repr_html_(self) -> str:
        """What a notebook shows: a sample of the points to turn and read."""
        from importlib import import_module  # the viewer stands above this module

        return str(import_module("pcaug.view.page").notebook(self))

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes: a read-only mapping cannot."""
        return PointCloud, (self.xyz, dict(self.fields), self.taxonomy, self.crs, self.source)

    def __repr__(self) -> str:
        names = ", ".join(f"{name} {values.dtype}" for name, values in self.fields.items())
        return f"PointCloud({len(self):,} points, {names or 'no fields'})"


def kind_of(name: str, values: NDArray[Any]) -> Kind:
    """Kind of a field: as FIELDS says, else a category if integer, else a quantity."""
    if name in FIELDS:
        return FIELDS[name].kind
    return Kind.QUANTITY if np.issubdtype(values.dtype, np.floating) else Kind.CATEGORY


def concatenate(clouds: Iterable[PointCloud]) -> PointCloud:
    """Join clouds point by point. Fields, taxonomy and CRS must be the same in all of them; integers may differ in width.

    Raises:
        PcaugError: Naming the fields, their types, taxonomies or CRS that differ.
    """
    clouds = list(clouds)
    if not clouds:
        raise PcaugError("no clouds to concatenate")
    first = clouds[0]
    for other in clouds[1:]:
        check_alike(first, other, other.source.file or None)
    joined = {name: _joined(name, [cloud[name] for cloud in clouds]) for name in first.fields}
    return replace(first, xyz=np.concatenate([cloud.xyz for cloud in clouds]), fields=joined)


def check_alike(first: PointCloud, other: PointCloud, where: str | Path | None) -> None:
    """Raise PcaugError or LabelError for clouds of other fields, another taxonomy or CRS, which do not go together."""
    differing = sorted(set(first.fields) ^ set(other.fields))
    if differing:
        raise PcaugError(f"clouds differ in fields: {differing}", where, "take the same fields of each")
    if (first.taxonomy and first.taxonomy.name) != (other.taxonomy and other.taxonomy.name):
        raise LabelError("clouds differ in taxonomy", where, "map their labels to one")
    if first.crs != other.crs:
        raise PcaugError("clouds differ in CRS", where, "reproject one of them")


def _joined(name: str, parts: list[NDArray[Any]]) -> NDArray[Any]:
    """One column of several; raises PcaugError where whole numbers would become rounded ones, or the columns differ in width."""
    whole = np.result_type(*parts).kind
    if len({part.shape[1:] for part in parts}) > 1 or any(part.dtype.kind in "iu" and whole == "f" for part in parts):
        listed = ", ".join(sorted({f"{part.dtype} {part.shape[1:] or ''}".strip() for part in parts}))
        raise PcaugError(f"clouds differ in the type of field {name!r}: {listed}", do="give it one type in all of them")
    return np.concatenate(parts)


def common_fields(clouds: Sequence[PointCloud]) -> list[PointCloud]:
    """Drop from each cloud the fields that not all of them have."""
    shared = set(clouds[0].fields).intersection(*(cloud.fields for cloud in clouds))
    return [replace(cloud, fields={name: cloud[name] for name in clouds[0].fields if name in shared}) for cloud in clouds]


def together(clouds: Sequence[PointCloud]) -> PointCloud:
    """Join clouds point by point, with the fields that all of them have; raises as ``concatenate`` does."""
    return concatenate(common_fields(clouds))


def about_z(yaw: float) -> NDArray[np.float64]:
    """Rotation (3, 3) about the vertical axis by radians, from x towards y."""
    cos, sin = np.cos(yaw), np.sin(yaw)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def _affine(points: NDArray[Any], linear: NDArray[np.float64], shift: NDArray[np.float64]) -> NDArray[np.float64]:
    """``points @ linear.T + shift``, summed in a fixed order: BLAS rounds differently with the number of its threads.

    Terms times zero are left out: turns about z have four.
    """
    moved = np.empty(points.shape, np.float64)
    total, term = np.empty((2, len(points)))
    for axis, row in enumerate(linear):
        first, *others = np.flatnonzero(row) if row.any() else [axis]
        np.multiply(points[:, first], row[first], out=total)
        for column in others:
            np.multiply(points[:, column], row[column], out=term)
            total += term
        np.add(total, shift[axis], out=moved[:, axis])
    return moved


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    view = array.view()
    view.flags.writeable = False
    return view


HEIGHT = "height_above_ground"
"""The field that is counted in the unit of heights, and stretched with them."""


def with_heights_times(cloud: PointCloud, factor: float) -> PointCloud:
    """A cloud whose heights above ground, if it has them, are a factor times what they were, in their own type."""
    if HEIGHT not in cloud:
        return cloud
    return cloud.with_fields(None, **{HEIGHT: (cloud[HEIGHT] * factor).astype(cloud[HEIGHT].dtype)})
