"""What the columns of a file are called, and which fields of ours they make: shared by all formats that name their columns.

Our own files say in a line of JSON (``describe``) what column names cannot: the taxonomy, the CRS, which columns are a vector.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, LabelError, MissingExtra, PcaugError, counted
from pcaug.labels import IGNORE

Plan = dict[str, tuple[str, ...]]
"""Field -> the columns that make it. A field made of one column has the shape of that column."""

POSITIONS = ("xyz", "positions", "points", "position", "coords", "coord", "pos")
"""Names, lower case, of one column (N, 3) with the positions."""
WRITTEN = (("xyz",), ("x", "y", "z"), ("positions",))
"""What we write positions as; the last one is Open3D's."""
LABELS = (
    "native_label", "scalar_native_label", "label", "labels", "class", "classification", "semantic", "scalar_label",
    "scalar_classification", "sem_class"
)  # fmt: skip
"""Names, lower case, of a column with class ids, the surest first."""
RENAMED = {
    "intensity": "intensity", "scalar_intensity": "intensity", "reflectance": "intensity",
    "time": "time", "gps_time": "time", "gpstime": "time", "scalar_gpstime": "time", "timestamp": "time",
    "instance": "instance", "ins_class": "instance", "scalar_instance": "instance",
    "returnnumber": "return_number", "return_number": "return_number",
    "numberofreturns": "number_of_returns", "number_of_returns": "number_of_returns", "colors": "rgb", "normals": "normal",
}  # fmt: skip
VECTORS = {
    "rgb": (("red", "green", "blue"), ("r", "g", "b")),
    "normal": (("nx", "ny", "nz"), ("normal_x", "normal_y", "normal_z")),
}
"""Field -> the column names that make it together; the first are the ones that are written."""
PARTS = {name: first for groups in VECTORS.values() for group in groups for name, first in zip(group, groups[0], strict=True)}
"""Each of them -> the one that is written."""


def known_as(name: str) -> str:
    """What a column is taken for by its name, lower case: a field of ours, the first name of a part of a vector, or as it is."""
    name = name.lower()
    return "native_label" if name in LABELS else RENAMED.get(name, PARTS.get(name, name))


def describe(cloud: PointCloud, *, split: bool = True) -> dict[str, Any]:
    """What our own files say about themselves, as JSON values; ``split``: whether a vector has one column per component."""
    wide = {name: values.shape[1] for name, values in cloud.fields.items() if split and values.ndim > 1}
    known = [name for name, width in wide.items() if name in VECTORS and width == len(VECTORS[name][0])]
    vectors = {name: width for name, width in wide.items() if name not in known}
    taxonomy = cloud.taxonomy.name if cloud.taxonomy is not None and "label" in cloud else None
    return {"taxonomy": taxonomy, "crs": cloud.crs, "vectors": vectors, "known": known}


def understand(text: str | bytes, path: Path) -> dict[str, Any]:
    """Read back what ``describe`` gave; {} for an empty text.

    Raises:
        FileError: If it is not what ``describe`` gives.
    """
    try:
        said = json.loads(text or "{}")
        vectors = said.get("vectors", {})
        if not all(isinstance(name, str) and 0 < int(width) < 1000 for name, width in vectors.items()):
            raise ValueError("vectors")
        if not isinstance(said.get("crs"), str | None):
            raise ValueError("crs")
        if not isinstance(said.get("types", {}), dict):
            raise ValueError("types")
        if not set(said.get("known", ())) <= VECTORS.keys():
            raise ValueError("known")
    except (ValueError, AttributeError, TypeError, OverflowError, RecursionError):
        raise FileError("says of itself what cannot be understood", path, "it was damaged: download it again") from None
    return dict(said)


def spread(cloud: PointCloud, named: Mapping[str, Sequence[Sequence[str]]] = VECTORS) -> dict[str, NDArray[Any]]:
    """Positions and fields as columns (N,): a vector becomes one column per component, named as ``named`` says.

    Raises:
        PcaugError: If two fields make columns of the same name, or one that stands for positions.
    """
    columns: dict[str, NDArray[Any]] = {axis: cloud.xyz[:, i] for i, axis in enumerate("xyz")}
    for name, values in cloud.fields.items():
        parts = [values] if values.ndim == 1 else list(values.T)
        inner = tuple(named[name][0]) if name in named else ()
        if len(inner) != len(parts):
            inner = (name,) if values.ndim == 1 else tuple(f"{name}_{i}" for i in range(len(parts)))
        _refuse_taken(name, {*columns, "xyz"} & set(inner))
        columns |= dict(zip(inner, parts, strict=True))
    return columns


def tables(cloud: PointCloud) -> dict[str, NDArray[Any]]:
    """Positions, as ``xyz``, and fields as one column each, (N,) or (N, k); raises PcaugError as ``spread``."""
    for name in cloud.fields:
        _refuse_taken(name, {name} & {"x", "y", "z", "xyz", "pcaug"})
    return {"xyz": cloud.xyz, **cloud.fields}


def _refuse_taken(name: str, taken: set[str]) -> None:
    if taken:
        raise PcaugError(f"field {name!r} needs columns that are taken: {sorted(taken)}", do="rename it")


def positions(names: Iterable[str], *, own: bool = False) -> tuple[str, ...]:
    """The columns that hold positions: three, or one (N, 3); () where there are none. ``own``: as our files name them."""
    names = list(names)
    if own:
        return next((group for group in WRITTEN if set(group) <= set(names)), ())
    lower = {name.lower(): name for name in reversed(names)}
    whole = [(lower[name],) for name in POSITIONS if name in lower]
    return tuple(lower[axis] for axis in "xyz") if {"x", "y", "z"} <= lower.keys() else whole[0] if whole else ()


def check_names(names: Iterable[str], fits: Callable[[str], object], what: str, path: Path) -> None:
    """Raise PcaugError for the first field whose name could not be read back: it does not fit what a format calls ``what``."""
    for name in names:
        if not fits(name):
            raise PcaugError(f"field {name!r} cannot be {what}", path, "drop or rename it")


def plan(names: Iterable[str], path: Path, said: Mapping[str, Any] = {}, label: str | None = None) -> Plan:
    """Field -> the columns that make it; the first entry is "xyz".

    Args:
        names: Columns of the file.
        path: The file, for errors.
        said: What our own file says about itself; {} for other files, whose names are translated.
        label: Column with the class ids, where its name is not one of LABELS.

    Raises:
        FileError: If there are no positions.
        LabelError: If there is no column ``label``.
    """
    names = list(names)
    lower = {name.lower(): name for name in reversed(names)}
    made: Plan = {"xyz": positions(names, own=bool(said))}
    if not made["xyz"]:
        raise FileError("has no columns x, y and z", path, f"it has {', '.join(names[:12]) or 'none'}")
    made |= _written(names, said) if said else _known(lower)
    vectors = {f: tuple(f"{f}_{i}" for i in range(int(width))) for f, width in said.get("vectors", {}).items()}
    made |= {f: columns for f, columns in vectors.items() if not set(columns).isdisjoint(names)}  # one may be left out whole
    absent = {column for columns in made.values() for column in columns} - set(names)
    if absent:
        raise FileError(f"has no columns {', '.join(sorted(absent))}", path, "it was damaged: download it again")
    if label is not None and label not in names:
        raise LabelError(f"has no column {label!r}", path, f"it has {', '.join(names)}")
    native = label or (None if said else next((lower[name] for name in LABELS if name in lower), None))
    if native is not None:
        made["native_label"] = (native,)
    used = {column for columns in made.values() for column in columns}
    for name in names:
        if name not in used:
            ours = name if said else RENAMED.get(name.lower(), name)
            field = name if ours in made or ours in names else ours
            while field in made or (field != name and field in names) or (field == "label" and not said):
                field += "_"
            made[field] = (name,)
    return made


def _known(lower: Mapping[str, str]) -> Plan:
    """The vectors that other programs' columns, by their names in lower case, make together."""
    made: Plan = {}
    for field, groups in VECTORS.items():
        for group in groups:
            if field not in made and all(c in lower for c in group):
                made[field] = tuple(lower[c] for c in group)
    return made


def _written(names: Sequence[str], said: Mapping[str, Any]) -> Plan:
    """The vectors of ``VECTORS`` that our own file has; earlier files do not say, there the columns of their names are these."""
    known = said.get("known", VECTORS)
    return {field: groups[0] for field, groups in VECTORS.items() if field in known and set(groups[0]) <= set(names)}


def assemble(
    rows: Callable[[str], NDArray[Any]], made: Plan, path: Path, said: Mapping[str, Any] = {}, crs: str | None = None
) -> PointCloud:
    """A cloud of the columns that a plan names.

    Args:
        rows: Column name -> its values (N,) or (N, k), of any byte order.
        made: The plan.
        path: The file.
        said: What our own file says about itself.
        crs: Where it is known from elsewhere.

    Raises:
        FileError: If positions are not three numbers per point, or our own labels are not nodes of the taxonomy.
        LabelError: If class ids are not whole numbers, or our own labels are of another taxonomy.
    """
    fields: dict[str, NDArray[Any]] = {}
    for name, columns in made.items():
        parts = [_native(rows(column)) for column in columns]
        values = parts[0] if len(parts) == 1 else np.stack(parts, axis=1)
        if name != "xyz" and (values.ndim > 2 or values.dtype.kind not in "iufb"):
            skipped(f"field {name!r} of shape {values.shape} and type {values.dtype}", path)
            continue
        fields[name] = whole(values, path) if name == "native_label" else values
    xyz = fields.pop("xyz")
    if xyz.ndim != 2 or xyz.shape[1] != 3 or xyz.dtype.kind not in "fiu":
        raise FileError(f"has positions of shape {xyz.shape} and type {xyz.dtype}", path, "(N, 3) numbers are needed")
    taxonomy = None
    if "label" in fields:
        taxonomy = catalogue.taxonomy()
        if said.get("taxonomy") != taxonomy.name:
            raise LabelError(f"is labelled in the taxonomy {said.get('taxonomy')!r}", path, f"this version knows {taxonomy.name}")
        check_nodes(fields["label"], path)
    return PointCloud(xyz.astype(np.float64, copy=False), fields, taxonomy, crs or said.get("crs"), Source(file=str(path)))


def check_nodes(labels: NDArray[Any], path: Path) -> None:
    """Raise FileError unless labels (N,) of our own file are whole numbers, each a node of the taxonomy or "ignore"."""
    whole = labels.ndim == 1 and labels.dtype.kind in "iu"
    if not whole or not np.isin(labels, [*catalogue.taxonomy().nodes, IGNORE]).all():
        raise FileError("has labels outside its taxonomy", path, "it was damaged: download it again")


def _native(values: NDArray[Any]) -> NDArray[Any]:
    """Contiguous, in the machine's byte order, a table of one column made flat; a copy of what is mapped from a file."""
    flat = values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values
    kind = flat.dtype.newbyteorder("=")
    return np.array(flat, kind) if isinstance(flat, np.memmap) else np.ascontiguousarray(flat, kind)


def whole(values: NDArray[Any], path: Path) -> NDArray[np.int32]:
    """Class ids (N,) as int32; raises LabelError unless all are whole numbers that fit."""
    if values.ndim == 1 and values.dtype.kind in "iufb":
        with np.errstate(invalid="ignore"):
            ids = values.astype(np.int32)
        if np.array_equal(ids, values):
            return ids
    raise LabelError(f"has class ids {unfit(values, np.int32)}", path, "name the right column with the card's label")


def unfit(values: NDArray[Any], kind: type[np.integer[Any]]) -> str:
    """What it is in values (N,) or (N, k) that integers of a type cannot hold, after a name of theirs."""
    if values.dtype.kind not in "iuf":
        return "that are not whole numbers"
    if gaps := int(np.isnan(values).reshape(len(values), -1).any(axis=1).sum()):
        return f"that are NaN, in {counted(gaps, 'point')}"
    if np.array_equal(values, np.rint(values)):
        return f"from {values.min():.15g} to {values.max():.15g}, of which not all fit {np.dtype(kind)}"
    return "that are not whole numbers"


def extra(module: str, package: str, path: Path) -> Any:
    """Import a library that only some formats need.

    Raises:
        MissingExtra: With the line that installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        what = f"{path.suffix} needs {package}, which cannot be imported ({error})"
        raise MissingExtra(what, path, "pip install 'pcaug[formats]'") from None


def skipped(what: str, path: Path) -> None:
    """Say that something in a file is left out."""
    warnings.warn(f"{path}: {what} is left out", stacklevel=3)
