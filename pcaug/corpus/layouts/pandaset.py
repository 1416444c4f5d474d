"""PandaSet: frames of two scanners as pickled DataFrames, in world coordinates.

``NNN/lidar/FF.pkl.gz`` holds x, y, z, i, t, d (0: Pandar64, 1: PandarGT), ``NNN/annotations/semseg/FF.pkl.gz`` one column
``class`` in the same order, ``classes.json`` beside it what the ids mean, ``NNN/lidar/poses.json`` where the vehicle was:
devkit, python/pandaset/{sensors,annotations,geometry}.py. Positions are brought into the frame of the Pandar64: x ahead, y left,
z up. What the devkit calls the vehicle's frame has its origin a third of a metre above the road, where no scanner stands.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud, Source
from pcaug.corpus.layouts.named_ids import by_name
from pcaug.corpus.layouts.pandas_frame import read_frame
from pcaug.errors import FileError, LabelError

SCANNER = (1.15, 0.0, 1.81)
"""Of the Pandar64 in the vehicle's frame, metres. The calibration that comes with the set puts it at the origin; here is where
the elevations of its points are nearest to those of its beams (frames 0, 36 and 76 of 002: z 1.80 to 1.82, x 0.6 to 1.2)."""
FIELDS = {"i": ("intensity", np.float32), "t": ("time", np.float64), "d": ("device", np.uint8)}


def read(path: Path, part: str, ids: Mapping[str, int]) -> PointCloud:
    """Read one frame; sequences without ``semseg`` have no ``native_label``."""
    columns = read_frame(path)
    missing = {"x", "y", "z"} - set(columns)
    if missing:
        raise FileError(f"has no columns {', '.join(sorted(missing))}", path, f"it has {', '.join(columns)}")
    xyz = np.stack([columns[axis] for axis in "xyz"], axis=1).astype(np.float64)
    fields: dict[str, NDArray[Any]] = {FIELDS[c][0]: columns[c].astype(FIELDS[c][1]) for c in FIELDS if c in columns}
    labels = _semseg(path)
    if labels.is_file():
        fields["native_label"] = _labels(labels, len(xyz), ids)
    return PointCloud(_to_vehicle(xyz, path) - SCANNER, fields, source=Source(file=str(path)))


def companions(path: Path) -> list[Path]:
    """The frame's classes and what they mean, and the poses."""
    labels = _semseg(path)
    return [labels, labels.with_name("classes.json"), path.with_name("poses.json")]


def _semseg(path: Path) -> Path:
    return path.absolute().parents[1] / "annotations" / "semseg" / path.name


def _labels(path: Path, points: int, ids: Mapping[str, int]) -> NDArray[np.int32]:
    columns = read_frame(path)
    if "class" not in columns:
        raise FileError("has no column class", path, f"it has {', '.join(columns)}")
    values = columns["class"]
    if len(values) != points:
        raise LabelError(f"has {len(values)} labels for {points} points", path, "get the frame and its labels again")
    table = path.parent / "classes.json"
    if not table.is_file():
        return values.astype(np.int32)
    try:
        names = {int(key): str(name) for key, name in json.loads(table.read_text(encoding="utf-8")).items()}
    except (ValueError, AttributeError):
        raise FileError("is not a table of classes", table, "download it again") from None
    return by_name(values, {0: "unlabeled"} | names, ids, path)


def _to_vehicle(xyz: NDArray[np.float64], path: Path) -> NDArray[np.float64]:
    """World -> vehicle, by the inverse of the frame's pose, whose x points right and y ahead: turned to x ahead, y left."""
    from scipy.spatial.transform import Rotation

    table = path.parent / "poses.json"
    try:
        pose = json.loads(table.read_text(encoding="utf-8"))[int(path.name.split(".")[0])]
        turn = Rotation.from_quat([pose["heading"][key] for key in "xyzw"])
        place = np.array([pose["position"][axis] for axis in "xyz"], np.float64)
    except OSError:
        raise FileError("is missing: frames are in world coordinates", table, "download it again") from None
    except (ValueError, KeyError, TypeError, IndexError):
        raise FileError(f"has no pose for frame {path.name.split('.')[0]}", table, "download it again") from None
    vehicle: NDArray[np.float64] = turn.inv().apply(xyz - place)[:, [1, 0, 2]] * (1, -1, 1)
    return vehicle
