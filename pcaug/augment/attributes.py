"""What goes along with the points: augmentations move and drop points through here, and no attribute lags behind.

Positions and directions turn with the points (``PointCloud.moved``); a height above ground follows the ground, which moves
too; the echoes of a pulse that lost some are numbered anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import HEIGHT, Kind, PointCloud, kind_of, with_heights_times
from pcaug.labels import IGNORE


def moved(cloud: PointCloud, matrix: NDArray[np.float64]) -> PointCloud:
    """Apply an affine transform (4, 4) to points and all that depends on them.

    A height above locally level ground becomes h det(A) / det(A_xy): the vertical distance to the transformed plane. What was
    seen on the left of a flight is on its right in a mirror: scan angles change their sign.
    """
    out, linear = cloud.moved(matrix), matrix[:3, :3]
    if "scan_angle" in cloud and np.linalg.det(linear) < 0:
        out = out.with_fields(scan_angle=(-cloud["scan_angle"]).astype(cloud["scan_angle"].dtype))
    if HEIGHT not in cloud:
        return out
    return with_heights_times(out, np.linalg.det(linear) / np.linalg.det(linear[:2, :2]))


def displaced(
    cloud: PointCloud, offset: NDArray[Any], ground: NDArray[Any] | None = None, into: NDArray[np.float64] | None = None
) -> PointCloud:
    """Move each point by its own offset (N, 3), metres; ``ground`` (N,) is how far the ground below it rises; ``into`` (N, 3) is
    memory for the new positions, which may be that of the offsets."""
    heights = {}
    if HEIGHT in cloud:
        rise = offset[:, 2] if ground is None else offset[:, 2] - ground
        heights[HEIGHT] = (cloud[HEIGHT] + rise).astype(cloud[HEIGHT].dtype)
    return replace(cloud, xyz=np.add(cloud.xyz, offset, out=into), fields={**cloud.fields, **heights})


def bent(cloud: PointCloud, slopes: NDArray[np.float64]) -> PointCloud:
    """Turn directions by a distortion; ``slopes`` (N, 3, 3) are the derivatives of the offset's components (rows) by x, y, z.

    A normal turns by the inverse transpose of I + slopes, which is its cofactor matrix but for its length.
    """
    row = np.moveaxis(np.eye(3) + slopes, 1, 0)
    turn = np.stack([np.cross(row[1], row[2]), np.cross(row[2], row[0]), np.cross(row[0], row[1])], axis=1)
    turn *= np.where(np.einsum("ni,ni->n", row[0], turn[:, 0]) < 0, -1.0, 1.0)[:, None, None]
    fields = {}
    for name, values in cloud.fields.items():
        if kind_of(name, values) is Kind.DIRECTION:
            vectors = np.einsum("nij,nj->ni", turn, values)
            length = np.linalg.norm(vectors, axis=1, keepdims=True)
            fields[name] = (vectors / np.where(length > 0, length, 1)).astype(values.dtype)
    return cloud.with_fields(None, **fields)


def kept(cloud: PointCloud, keep: NDArray[np.bool_]) -> PointCloud:
    """Keep points by a mask (N,). Pulses that lose echoes count the ones they have left, from 1.

    Echoes of one pulse share their ``time`` and, where there is one, their ``ring``: several beams may fire at once. Where pulses
    cannot be told, without times or where several share one, the numbers stay as measured.
    """
    rows = np.flatnonzero(keep)
    if len(rows) == len(cloud):
        return cloud
    whole = np.ascontiguousarray(cloud.xyz).view("V24")[:, 0]  # one value is copied faster than three
    xyz = whole[keep].view(np.float64).reshape(-1, 3)
    out = replace(cloud, xyz=xyz, fields={name: values.take(rows, 0) for name, values in cloud.fields.items()})
    if not {"return_number", "number_of_returns", "time"} <= set(cloud.fields):
        return out
    several = np.flatnonzero(cloud["number_of_returns"] > 1)
    gone = ~keep[several]
    if not gone.any():
        return out
    pulse = pulses(cloud, several)
    number = cloud["return_number"][several].astype(np.int64)
    shape = int(pulse.max()) + 1, int(number.max()) + 1
    place = pulse * shape[1] + number
    seen, lost = (np.bincount(rows, minlength=shape[0] * shape[1]).reshape(shape) for rows in (place, place[gone]))
    lost[(seen > 1).any(axis=1)] = 0  # no pulse has two first echoes: several share this time
    before = np.cumsum(lost, axis=1)
    first, total = cloud["return_number"].copy(), cloud["number_of_returns"].copy()
    first[several] -= before[pulse, number].astype(first.dtype)
    left = total[several].astype(np.int64) - before[pulse, -1]
    total[several] = np.maximum(left, first[several])  # a file may count fewer returns than it numbers
    return out.with_fields(return_number=first[rows], number_of_returns=total[rows])


def pulses(cloud: PointCloud, rows: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number (M,) from 0 of the pulse of some points (M,) of a cloud with ``time``: by that and, where there is one, the ring."""
    pulse: NDArray[np.intp] = np.unique(cloud["time"][rows], return_inverse=True)[1]
    if "ring" in cloud:
        ring = np.unique(cloud["ring"][rows], return_inverse=True)[1]
        pulse = np.unique(pulse * (ring.max(initial=0) + 1) + ring, return_inverse=True)[1]
    return pulse


def scattered(cloud: PointCloud, which: NDArray[np.bool_]) -> PointCloud:
    """Mark points (N,) that are no longer echoes of what they were labelled as: they belong to no class and no object."""
    empty = {"label": IGNORE, "native_label": -1, "instance": 0}
    fields = {}
    for name, value in empty.items():
        if name in cloud:
            kind = cloud[name].dtype
            fields[name] = cloud[name].astype(np.int32 if kind.kind == "u" and value < 0 else kind)
            fields[name][which] = value
    return cloud.with_fields(None, **fields)
