"""Coordinates in metres, whatever unit the file's CRS has: a corpus holds nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from pcaug.cloud import PointCloud, with_heights_times
from pcaug.errors import FileError
from pcaug.formats import las_header


def to_metres(cloud: PointCloud) -> PointCloud:
    """Scale a cloud whose CRS counts in feet (or another length) to metres, and with it its CRS and the places in its fields.

    The file's grid is dropped then, which is in feet; a writer takes the CRS from the cloud.
    A CRS without a vertical part counts heights in the unit of its plan, as national foot tiles do.

    Raises:
        FileError: If the coordinates are degrees: those need reprojecting, not scaling.
    """
    if cloud.crs is None:
        return cloud
    try:
        factors, crs = _metric(cloud.crs)
    except ValueError as error:
        raise FileError(str(error), cloud.source.file or None, "name a projected CRS: pcaug convert --crs EPSG:...") from None
    if factors == (1.0, 1.0, 1.0):
        return cloud
    scaled = with_heights_times(cloud.moved(np.diag([*factors, 1.0])), factors[2])
    return replace(scaled, crs=crs, source=replace(cloud.source, encoding=las_header.elsewhere(cloud.source.encoding)))


@lru_cache(maxsize=64)
def _metric(text: str) -> tuple[tuple[float, float, float], str]:
    """Metres per unit of (x, y, z), and the same CRS counted in metres, of a CRS text.

    Raises:
        ValueError: For geographic coordinates. A text that PROJ cannot read is taken to be in metres.
    """
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        crs = CRS.from_user_input(text)
    except CRSError:
        return (1.0, 1.0, 1.0), text
    if crs.is_geographic:
        raise ValueError("has coordinates in degrees")
    axes = [axis.unit_conversion_factor or 1.0 for axis in crs.axis_info]
    if not axes or all(factor == 1.0 for factor in axes):
        return (1.0, 1.0, 1.0), text
    return (axes[0], axes[0], height_unit(crs)), CRS.from_json(json.dumps(_in_metres(crs.to_json_dict()))).to_wkt()


def height_unit(crs: Any) -> float:
    """Metres per unit of the heights of a CRS of pyproj: of its vertical part, else of its plan, else (degrees) 1."""
    axes = crs.axis_info
    if len(axes) > 2:
        return float(axes[2].unit_conversion_factor or 1.0)
    return 1.0 if crs.is_geographic or not axes else float(axes[0].unit_conversion_factor or 1.0)


def unit(text: str | None) -> float | None:
    """Metres per unit of the plan of a CRS text; 1 without one, None for degrees, which are not a length."""
    try:
        return _metric(text)[0][0] if text else 1.0
    except ValueError:
        return None


def crs_name(text: str | None) -> str | None:
    """Name of a CRS, whose WKT would fill a screen; what PROJ cannot read is cut short; None for none."""
    if text is None:
        return None
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        return str(CRS.from_user_input(text).name)
    except CRSError:
        return text[:60]


def _in_metres(node: Any) -> Any:
    """A PROJJSON tree with every axis counted in metres; parameters keep the units that they name; ids no longer hold."""
    if isinstance(node, list):
        return [_in_metres(item) for item in node]
    if not isinstance(node, dict):
        return node
    changed = {key: _in_metres(value) for key, value in node.items()}
    if "direction" in node and "unit" in node and node["unit"] != "degree":
        changed["unit"] = "metre"
    if "coordinate_system" in node or "components" in node:
        changed.pop("id", None)
    return changed


def plan_crs(text: str) -> str:
    """The horizontal part of a CRS text, which is what x and y follow; a text that PROJ cannot read as it is."""
    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        crs = CRS.from_user_input(text)
    except CRSError:
        return text
    return str((crs.sub_crs_list[0] if crs.is_compound else crs).to_2d().to_wkt())


@lru_cache(maxsize=256)
def same_crs(first: str, second: str) -> bool:
    """Whether two CRS texts name one system, whatever they call it ("RGF93 / Lambert-93", "RGF93 v1 / Lambert-93")."""
    if first == second:
        return True
    import warnings

    from pyproj import CRS
    from pyproj.exceptions import CRSError

    try:
        a, b = CRS.from_user_input(first), CRS.from_user_input(second)
    except CRSError:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PROJ strings drop names and vertical parts, which is what is wanted here
        return bool(a.equals(b, ignore_axis_order=True) or a.to_proj4() == b.to_proj4())
