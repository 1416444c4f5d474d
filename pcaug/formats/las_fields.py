"""Which dimensions of LAS hold which fields: those of a point format, and extra bytes (LAS 1.4 R16, table 24) for the rest."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import laspy
import numpy as np
from laspy.point.dims import OLD_LASPY_NAMES
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError

KINDS = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8")
"""Types of extra bytes."""
OWN = "pcaug"
"""Description of the extra bytes that stand for fields of ours and not for a producer's."""
BESIDE = "pcaug, beside classification"
"""The same of ids, where ``classification`` is a field of the cloud and does not follow from them."""


def dimension(name: str, dimensions: set[str]) -> str | None:
    """LAS dimension of a field in a point format, or None where it must be extra bytes."""
    if name == "rgb" and "red" in dimensions:
        return "rgb"
    if name == "scan_angle":
        return "scan_angle" if "scan_angle" in dimensions else "scan_angle_rank"
    back = {"native_label": "classification", "time": "gps_time"}.get(name, name)
    return back if back in dimensions else None


def is_own(description: str) -> bool:
    """Whether extra bytes of this description stand for a field of ours."""
    return description in (OWN, BESIDE)


def extra_of(dimension: Any) -> dict[str, Any]:
    """One dimension of extra bytes as JSON values."""
    scales, offsets = dimension.scales, dimension.offsets
    return {
        "name": dimension.name,
        "type": dimension.type_str(),
        "description": dimension.description,
        "scales": None if scales is None else np.asarray(scales).tolist(),
        "offsets": None if offsets is None else np.asarray(offsets).tolist(),
    }


def extra_params(cloud: PointCloud, header: Any, kept: Mapping[str, Any]) -> list[Any]:
    """Parameters of the dimensions that the point format lacks; raises PcaugError for a field that LAS cannot hold."""
    dimensions = set(header.point_format.standard_dimension_names)
    _refuse_shared(cloud, dimensions, {*header.point_format.dtype().names, *OLD_LASPY_NAMES, "scales", "offsets"})
    ours = {"label"} & cloud.fields.keys() | ({"native_label"} if "classification" in cloud else set())
    extras = kept.get("extra", [])
    known = {f"{e['name']}_": e for e in extras if _theirs(e["name"], e["description"])}
    known |= {e["name"]: e for e in extras if not _theirs(e["name"], e["description"])}
    params = []
    for name, values in cloud.fields.items():
        if name.lower() in {"x", "y", "z"}:
            raise PcaugError(f"field {name!r} is what LAS calls positions", do="rename it")
        e, target = known.get(name), dimension(name, dimensions)
        if target is not None and values.shape[1:] != ((3,) if target == "rgb" else ()):
            raise PcaugError(f"field {name!r} has shape {values.shape}: it is no {target} of LAS", do="rename, split or drop it")
        if target is not None and not (name == "native_label" and (e or not kept or "classification" in cloud)):
            continue  # our ids stand beside the ASPRS class; in other programs' files that class is the id
        own = OWN if name in ("label", "native_label", "prediction") else ""
        own = BESIDE if name == "native_label" and "classification" in cloud else own
        description = e["description"] if e and not is_own(e["description"]) else own
        name = e["name"] if e and e["name"] not in ours else name
        if e and _holds(e, values):
            params.append(laspy.ExtraBytesParams(name, e["type"], description, _array(e["offsets"]), _array(e["scales"])))
        else:
            params.append(_dimension_for(name, values, description))
    return params


def _refuse_shared(cloud: PointCloud, dimensions: set[str], raw: Collection[str]) -> None:
    """Raise PcaugError for a field whose dimension another one takes, and for one called like what is no dimension (``raw``)."""
    taken: dict[str, str] = {}
    for name in cloud.fields:
        target = dimension(name, dimensions)
        if target is None and name in raw:
            raise PcaugError(f"field {name!r} is called like a part of LAS's own records", do="rename it")
        if name == "native_label" and "classification" in cloud:
            continue
        for part in ("red", "green", "blue") if target == "rgb" else (target,) if target else ():
            if other := taken.get(part):
                raise PcaugError(f"fields {other!r} and {name!r} are both {part} of LAS", do="rename or drop one of them")
            taken[part] = name


def _theirs(name: str, description: str) -> bool:
    """Whether extra bytes are a producer's that are called like our ids: they are read with a "_" behind their name."""
    return name in ("label", "native_label") and not is_own(description)


def held(fields: Collection[str], point_format: Any) -> dict[str, str]:
    """Field -> the extra bytes that hold it, among those of a point format that was made for such fields."""
    found = {}
    for extra in point_format.extra_dimensions:
        behind = f"{extra.name}_" if _theirs(extra.name, extra.description) else extra.name
        field = behind if behind in fields else extra.name
        if field in fields:
            found[field] = extra.name
    return found


def _dimension_for(name: str, values: NDArray[Any], description: str) -> Any:
    """Parameters of extra bytes for values (N,) or (N, k) in their own type; raises PcaugError where there are none."""
    kind = values.dtype.str.lstrip("<>|=").replace("b1", "u1").replace("f2", "f4")
    width = values.shape[1] if values.ndim == 2 else 1
    if kind not in KINDS or values.ndim > 2 or not 0 < width <= (255 if kind == "u1" else 3):
        what = (
            f"field {name!r} ({values.dtype}, shape {values.shape}) does not fit into extra bytes of LAS: three numbers a point"
        )
        raise PcaugError(what, do="split or drop it, or write another format")
    if not 0 < len(name.encode()) <= 32:
        raise PcaugError(f"field {name!r} has a name of {len(name.encode())} bytes, LAS takes 32", do="rename it")
    return laspy.ExtraBytesParams(name, f"{width}{kind}", description)


def _holds(e: Mapping[str, Any], values: NDArray[Any]) -> bool:
    """Whether a dimension of ``extra`` is one for values (N,) or (N, k): on its grid, or as they are."""
    recorded = laspy.ExtraBytesParams("", e["type"]).type
    return recorded.shape == values.shape[1:] and (e["scales"] is not None or np.can_cast(values.dtype, recorded.base))


def _array(values: Any) -> Any:
    return None if values is None else np.array(values)
