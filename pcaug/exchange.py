"""Clouds to and from the types of other libraries: laspy, Arrow, pandas, Open3D. Every field goes along, in its own type.

To Open3D: ``PointCloud.to_open3d``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pcaug import formats
from pcaug.cloud import PointCloud, Source
from pcaug.errors import MissingExtra
from pcaug.formats import las, las_header, naming, parquet
from pcaug.labels import Taxonomy

if TYPE_CHECKING:
    import laspy
    import pandas as pd
    import pyarrow as pa


def to_laspy(cloud: PointCloud) -> laspy.LasData:
    """The cloud as laspy's, as ``pcaug.write`` would write it to a LAS file; what is done to it leaves the cloud as it is.

    Raises:
        FileError, LabelError: If LAS cannot hold it.
    """
    import laspy

    formats.placed(cloud, Path("LasData"), gaps=False)
    header = las_header.make(cloud, las.least_format(cloud))
    points = las.record(cloud, header, las.in_units(cloud), Path("LasData"))
    return laspy.LasData(
        header, laspy.ScaleAwarePointRecord(points.array.copy(), header.point_format, points.scales, points.offsets)
    )


def from_laspy(data: laspy.LasData) -> PointCloud:
    """The cloud of laspy's, as ``pcaug.read`` would read it from its file; its encoding is kept for writing."""
    encoding = las_header.encoding(data.header, Path("LasData"))
    return las.decoded(data.points, las_header.crs(data.header), Source(encoding=encoding))


def to_arrow(cloud: PointCloud) -> pa.Table:
    """The table that our Parquet files hold: x, y, z, fields, ``name_0``... of a vector; taxonomy and CRS as metadata."""
    return parquet.to_table(cloud)


def from_arrow(table: pa.Table) -> PointCloud:
    """The cloud of a table with columns x, y and z; columns that pcaug did not write are renamed as in files, and rows without a
    position (NaN) are left out.

    Raises:
        FileError: Without positions, with empty values, or with columns that are not numbers.
        LabelError: For class ids that are not whole numbers.
    """
    return formats.placed(parquet.from_table(table), Path("Arrow table"))


def to_pandas(cloud: PointCloud) -> pd.DataFrame:
    """A frame with columns x, y, z, fields, ``red``, ``green``, ``blue``, ``name_0``... of a vector; the rest in ``attrs``."""
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingExtra(f"pandas cannot be imported ({error})", do="pip install 'pcaug[pandas]'") from None
    frame = pd.DataFrame(naming.spread(cloud))
    frame.attrs["pcaug"] = naming.describe(cloud)
    return frame


def from_pandas(frame: pd.DataFrame) -> PointCloud:
    """The cloud of a frame, which what is done to the frame later leaves as it is; arguments and errors as ``from_arrow``."""
    said, where = frame.attrs.get("pcaug", {}), Path("DataFrame")
    columns = {str(name): frame.iloc[:, index] for index, name in enumerate(frame.columns)}
    made = naming.plan(columns, where, said)
    return formats.placed(naming.assemble(lambda name: columns[name].to_numpy(copy=True), made, where, said), where)


def from_open3d(cloud: Any, taxonomy: Taxonomy | None = None) -> PointCloud:
    """The cloud of Open3D's, tensor or legacy; colours within 0..1 become 16 bits, points without a position (NaN) are left out.

    Args:
        cloud: ``open3d.t.geometry.PointCloud`` or ``open3d.geometry.PointCloud``.
        taxonomy: What an attribute ``label`` means; without it, it holds class ids of its own (``native_label``).
    """
    if hasattr(cloud, "point"):
        rows = {name: tensor.cpu().numpy().copy() for name, tensor in cloud.point.items()}
    else:
        parts = {"positions": cloud.points, "colors": cloud.colors, "normals": cloud.normals}
        rows = {name: np.array(values) for name, values in parts.items() if len(values) or name == "positions"}
    if "colors" in rows and rows["colors"].dtype.kind == "f":
        rows["colors"] = _sixteen_bits(rows["colors"])
    said = {"taxonomy": taxonomy.name} if taxonomy else {}
    names = {"colors": "rgb", "normals": "normal"} if said else {}
    rows = {names.get(name, name): values for name, values in rows.items()}
    where = Path("Open3D cloud")
    return formats.placed(naming.assemble(rows.__getitem__, naming.plan(rows, where, said), where, said), where)


def _sixteen_bits(colours: NDArray[Any]) -> NDArray[np.uint16]:
    return np.asarray(np.round(np.clip(colours, 0, 1) * 65535), np.uint16)
