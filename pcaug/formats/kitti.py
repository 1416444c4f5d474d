"""KITTI scans: ``.bin`` (float32 x, y, z, remission) and SemanticKITTI's ``.label`` (uint32: instance << 16 | class).

Layout of Behley et al., SemanticKITTI, ICCV 2019: ``velodyne/NNNNNN.bin`` beside ``labels/NNNNNN.label``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, counted

HELD = frozenset({"intensity", "native_label", "instance"})


def label_path(path: Path) -> Path:
    """The label file that belongs to a scan: in ``labels/`` for a scan in ``velodyne/``, else beside it."""
    apart = path.parent.parent / "labels" / f"{path.stem}.label"
    return apart if path.parent.name == "velodyne" and apart.is_file() else path.with_suffix(".label")


def read_chunks(path: Path, size: int) -> Iterator[PointCloud]:
    """Stream a scan, with its labels where there are any; raises FileError where the two differ in length."""
    if path.name.lower().endswith(".pcd.bin"):
        do = "keep it in samples/LIDAR_TOP of the set, or read it with the card nuscenes"
        raise FileError("is named like a scan of nuScenes, which has five numbers a point and not four", path, do)
    length = path.stat().st_size
    if length % 16:
        raise FileError(f"is truncated: {length} bytes are not a whole number of points", path, "download it again")
    count = length // 16
    labels = label_path(path)
    if labels.is_file() and labels.stat().st_size != 4 * count:
        held = labels.stat().st_size / 4
        raise FileError(f"has {held:g} labels for {counted(count, 'point')}", labels, "get the scan and its labels again")
    points = np.memmap(path, "<f4", "r", shape=(count, 4)) if count else np.zeros((0, 4), "<f4")
    packed = np.zeros(0, "<u4")
    if labels.is_file() and count:
        packed = np.memmap(labels, "<u4", "r", shape=(count,))
    for start in range(0, max(count, 1), size):
        rows = np.array(points[start : start + size])
        fields = {"intensity": rows[:, 3].copy()}
        if labels.is_file():
            ids = np.array(packed[start : start + size])
            fields["native_label"] = (ids & 0xFFFF).astype(np.int32)
            fields["instance"] = (ids >> 16).astype(np.int32)
        yield PointCloud(rows[:, :3].astype(np.float64), fields, source=Source(file=str(path)))


def write(path: Path, chunks: Iterator[PointCloud]) -> int:
    """Write ``.bin`` and, for clouds with ``native_label`` or no points, ``.label`` beside it. Positions become float32."""
    written, labelled = 0, False
    with path.open("wb") as points, path.with_suffix(".label").open("wb") as labels:
        for chunk in chunks:
            if len(chunk) and np.abs(chunk.xyz).max() > 10_000:
                raise FileError(
                    "positions are too far from the origin for float32", path, "KITTI scans are in the sensor's frame"
                )
            intensity = chunk["intensity"] if "intensity" in chunk else np.zeros(len(chunk))
            np.column_stack([chunk.xyz, intensity]).astype("<f4").tofile(points)
            if labelled := "native_label" in chunk:
                ids = chunk["native_label"].astype(np.int64)
                instance = chunk["instance"].astype(np.int64) if "instance" in chunk else np.zeros(len(chunk), np.int64)
                if len(ids) and (ids.min() < 0 or ids.max() > 0xFFFF or instance.min() < 0 or instance.max() > 0xFFFF):
                    raise FileError("class ids or instances do not fit into 16 bits", path, "write another format")
                (ids | instance << 16).astype("<u4").tofile(labels)
            written += len(chunk)
    if written and not labelled:  # beside an empty scan its labels say that no points were lost
        path.with_suffix(".label").unlink()
    return written
