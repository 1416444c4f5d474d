"""Waymo Open Dataset v2 (Parquet): labelled frames of the top scanner, range images turned into points.

``lidar_segmentation/SEGMENT.parquet`` holds some frames of a segment; the range images lie in ``lidar/``, beam angles and the
scanner's place in ``lidar_calibration/``, the vehicle's motion during a turn in ``lidar_pose/`` and ``vehicle_pose/``, under the
same name. Geometry: waymo_open_dataset/utils/range_image_utils.py and v2/perception/utils/lidar_utils.py. Positions are in
the vehicle's frame at the time of the frame, z up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, LabelError

TOP = 1
"""The scanner on the roof, the only one with labels."""
BATCH = 8
"""Rows of images that are held at once."""
TIME, LASER = "key.frame_timestamp_micros", "key.laser_name"
LABELS, RANGES, POSES = "LiDARSegmentationLabelComponent", "LiDARComponent", "LiDARPoseComponent"
CALIBRATION, VEHICLE = "LiDARCalibrationComponent", "VehiclePoseComponent"


def frames(path: Path) -> Sequence[str]:
    """Times of the labelled frames of a segment, microseconds, in their order."""
    with _opened(path) as file:
        if TIME not in file.schema_arrow.names:
            raise FileError(f"has no column {TIME}", path, "get the component of this segment again")
        return [str(time) for time in sorted(set(file.read(columns=[TIME]).column(TIME).to_pylist()))]


def companions(path: Path) -> list[Path]:
    """The segment's range images, calibration, and the vehicle's poses by pixel and by frame."""
    names = ("lidar", "lidar_calibration", "lidar_pose", "vehicle_pose")
    return [path.absolute().parents[1] / name / path.name for name in names]


def read(path: Path, part: str, ids: Mapping[str, int]) -> PointCloud:
    """Read both returns of one labelled frame."""
    try:
        return _frame(path, int(part))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise FileError(f"has components that do not fit together ({error})", path, "get the segment again") from None


def _frame(path: Path, time: int) -> PointCloud:
    lidar, place, poses, vehicle = companions(path)
    calibration, ranges, labels = _row(place, None, TOP), _row(lidar, time, TOP), _row(path, time, TOP)
    motion = None
    if poses.is_file() and vehicle.is_file():
        pixels = _image(_row(poses, time, TOP), f"[{POSES}].range_image_return1", 6, poses)
        motion = _Motion.of(pixels, _matrix(_row(vehicle, time, None)[f"[{VEHICLE}].world_from_vehicle.transform"]))
    returns = []
    for number in (1, 2):
        if number == 2 and not ranges[f"[{RANGES}].range_image_return2.values"].is_valid:
            continue
        image = _image(ranges, f"[{RANGES}].range_image_return{number}", 4, lidar)
        classes = _image(labels, f"[{LABELS}].range_image_return{number}", 2, path)
        if classes.shape[:2] != image.shape[:2]:
            raise LabelError(f"has labels {classes.shape[:2]} for a range image {image.shape[:2]}", path, "get the segment again")
        xyz = _points(image[..., 0], calibration)
        returns.append(_return(image, classes, motion.undone(xyz) if motion else xyz, number))
    fields = {name: np.concatenate([fields[name] for _, fields in returns]) for name in returns[0][1]}
    return PointCloud(np.concatenate([xyz for xyz, _ in returns]), fields, source=Source(file=str(path)))


@dataclass(frozen=True)
class _Motion:
    """Where the vehicle was when each pixel was measured.

    Attributes:
        turn: (H, W, 3, 3) vehicle -> world.
        shift: (H, W, 3).
        back: (4, 4) world -> vehicle at the time of the frame.
    """

    turn: NDArray[np.float64]
    shift: NDArray[np.float64]
    back: NDArray[np.float64]

    @classmethod
    def of(cls, pixels: NDArray[Any], world_from_vehicle: NDArray[np.float64]) -> _Motion:
        """From roll, pitch, yaw, x, y, z (H, W, 6) of the pixels and the pose of the frame."""
        from scipy.spatial.transform import Rotation

        turn = Rotation.from_euler("ZYX", pixels[..., 2::-1].reshape(-1, 3)).as_matrix()
        back = np.linalg.inv(world_from_vehicle).astype(np.float64)
        return cls(turn.reshape(*pixels.shape[:2], 3, 3), pixels[..., 3:].astype(np.float64), back)

    def undone(self, xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions (H, W, 3) as the vehicle at the time of the frame would have seen them."""
        if xyz.shape != self.shift.shape:
            raise ValueError(f"poses of {self.shift.shape[:2]} pixels for {xyz.shape[:2]}")
        world = np.einsum("hwij,hwj->hwi", self.turn, xyz) + self.shift
        seen: NDArray[np.float64] = np.einsum("ij,hwj->hwi", self.back[:3, :3], world) + self.back[:3, 3]
        return seen


def _return(
    image: NDArray[Any], classes: NDArray[Any], xyz: NDArray[np.float64], number: int
) -> tuple[NDArray[np.float64], dict[str, NDArray[Any]]]:
    """The points of one return: the pixels that measured something."""
    hit = image[..., 0] > 0
    rows = np.broadcast_to(np.arange(len(image))[:, None], hit.shape)
    return xyz[hit], {
        "intensity": image[..., 1][hit].astype(np.float32),
        "elongation": image[..., 2][hit].astype(np.float32),
        "ring": rows[hit].astype(np.uint16),
        "return_number": np.full(int(hit.sum()), number, np.uint8),
        "instance": classes[..., 0][hit].astype(np.int32),
        "native_label": classes[..., 1][hit].astype(np.int32),
    }


def _points(ranges: NDArray[Any], calibration: Mapping[str, Any]) -> NDArray[np.float64]:
    """Positions (H, W, 3) of the pixels (H, W) of a range image, in the vehicle's frame."""
    height, width = ranges.shape
    placed = _matrix(calibration[f"[{CALIBRATION}].extrinsic.transform"])
    inclination = _inclination(calibration, height)[:, None]
    yaw = np.arctan2(placed[1, 0], placed[0, 0])
    azimuth = (2 * (np.arange(width, 0, -1) - 0.5) / width - 1) * np.pi - yaw
    flat = ranges.astype(np.float64) * np.cos(inclination)
    rays = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), ranges * np.sin(inclination)], axis=-1)
    xyz: NDArray[np.float64] = np.einsum("ij,hwj->hwi", placed[:3, :3], rays) + placed[:3, 3]
    return xyz


def _inclination(calibration: Mapping[str, Any], height: int) -> NDArray[np.float64]:
    """Angle of each row above the scanner's horizon, radians, from the top row down."""
    values, low, high = (calibration[f"[{CALIBRATION}].beam_inclination.{key}"].as_py() for key in ("values", "min", "max"))
    if values:
        return np.array(values, np.float64).reshape(height)[::-1]
    angles: NDArray[np.float64] = (0.5 + np.arange(height)) / height * (high - low) + low
    return angles[::-1]


def _row(path: Path, time: int | None, laser: int | None) -> dict[str, Any]:
    """The one row of a table for a time and a scanner. A row is an image of megabytes, a file has a thousand: few are read."""
    wanted = {name: value for name, value in ((TIME, time), (LASER, laser)) if value is not None}
    with _opened(path) as file:
        keys = file.read(columns=list(wanted))
        rows = np.flatnonzero(np.all([keys.column(name).to_numpy() == value for name, value in wanted.items()], axis=0))
        if len(rows) != 1:
            raise FileError(f"has {len(rows)} rows for one frame", path, "get the component of this segment again")
        row, group = int(rows[0]), 0
        while row >= file.metadata.row_group(group).num_rows:
            row -= file.metadata.row_group(group).num_rows
            group += 1
        for batch in file.iter_batches(batch_size=BATCH, row_groups=[group]):
            if row < batch.num_rows:
                return {name: batch.column(name)[row] for name in batch.schema.names}
            row -= batch.num_rows
    raise FileError("is truncated", path, "get the component of this segment again")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A component's file; what pyarrow cannot read in it is an error of ours."""
    if not path.is_file():
        raise FileError("is missing", path, f"download the component {path.parent.name} of this segment too")
    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=1 << 20) as file:
            yield file
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise FileError(f"is not a component of Waymo v2 ({error})", path, "download it again") from None


def _image(row: Mapping[str, Any], name: str, channels: int, path: Path) -> NDArray[Any]:
    """A range image (H, W, channels) from its flat values and its shape."""
    try:
        values, shape = row[f"{name}.values"].values, row[f"{name}.shape"].as_py()
        image: NDArray[Any] = values.to_numpy(zero_copy_only=False).reshape(shape)
        if image.ndim != 3 or image.shape[2] != channels:
            raise ValueError(f"shape {shape}")
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise FileError(f"has no range image {name} ({error})", path, "download it again") from None
    return image


def _matrix(values: Any) -> NDArray[np.float64]:
    return np.array(values.as_py(), np.float64).reshape(4, 4)
