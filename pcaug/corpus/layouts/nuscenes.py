"""nuScenes-lidarseg: keyframes of a 32-beam scanner, whose labels and scenes are found through JSON tables.

``samples/LIDAR_TOP/*.pcd.bin`` holds float32 x, y, z, intensity, ring; ``lidarseg/<version>/<token>_lidarseg.bin`` one uint8 a
point. Tables lie in ``v1.0-{mini,trainval,test}/``: devkit, docs/schema_nuscenes.md. Positions are in the scanner's frame.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pcaug.cloud import PointCloud, Source
from pcaug.corpus.layouts.named_ids import by_name
from pcaug.errors import FileError, LabelError
from pcaug.formats import check_filled

BLOCK = 1 << 20
LONGEST = 1 << 24
"""Characters that one row of a table may have; real ones have a few hundred."""


@dataclass(frozen=True)
class _Tables:
    """What the tables of one version say of the scanner's keyframes.

    Attributes:
        labels: File name of a scan -> path of its label file below the dataset's folder.
        scenes: File name of a scan -> name of its scene.
        names: Class id -> name.
    """

    labels: Mapping[str, str]
    scenes: Mapping[str, str]
    names: Mapping[int, str]


def read(path: Path, part: str, ids: Mapping[str, int]) -> PointCloud:
    """Read one keyframe; test scans and those whose label file is not there have no ``native_label``."""
    check_filled(path)
    length = path.stat().st_size
    if length % 20:
        raise FileError(f"is truncated: {length} bytes are not a whole number of points", path, "download it again")
    rows = np.fromfile(path, "<f4").reshape(-1, 5)
    ring = rows[:, 4].astype(np.uint16)
    cloud = PointCloud(
        rows[:, :3].astype(np.float64), {"intensity": rows[:, 3].copy(), "ring": ring}, source=Source(file=str(path))
    )
    tables = _of(path)
    labels = _labels(path, tables)
    if not labels.is_file():
        return cloud
    values = np.fromfile(labels, np.uint8)
    if len(values) != len(rows):
        raise LabelError(f"has {len(values)} labels for {len(rows)} points", labels, "get the scan and its labels again")
    native = by_name(values, tables.names, ids, labels) if tables.names else values.astype(np.int32)
    return cloud.with_fields(native_label=native)


def scene(path: Path) -> str:
    """Name of the scene that a keyframe belongs to, "scene-0061": what the official splits count."""
    return _of(path).scenes[path.name]


def companions(path: Path) -> list[Path]:
    """The file of its labels, and the tables."""
    return [_labels(path, _of(path)), *sorted(path.absolute().parents[2].glob("v1.0-*/*.json"))]


def _labels(path: Path, tables: _Tables) -> Path:
    """A keyframe's file of labels; the dataset's folder where it has none."""
    return path.absolute().parents[2] / tables.labels.get(path.name, "")


def _of(path: Path) -> _Tables:
    """The tables that know a keyframe."""
    root = path.absolute().parents[2]
    versions = sorted(folder for folder in root.glob("v1.0-*") if (folder / "sample_data.json").is_file())
    for version in versions:
        tables = _load(version)
        if path.name in tables.scenes:
            return tables
    if not versions:
        raise FileError("has no tables v1.0-*/sample_data.json", root, "unpack the metadata beside samples/")
    raise FileError(f"is in none of the tables {', '.join(v.name for v in versions)}", path, "unpack the metadata of its version")


@lru_cache(maxsize=4)
def _load(folder: Path) -> _Tables:
    scenes = {row["token"]: row["name"] for row in _rows(folder / "scene.json")}
    samples = {row["token"]: scenes[row["scene_token"]] for row in _rows(folder / "sample.json")}
    labelled = folder / "lidarseg.json"
    files = {row["sample_data_token"]: row["filename"] for row in _rows(labelled)} if labelled.is_file() else {}
    names = {row["index"]: row["name"] for row in _rows(folder / "category.json") if "index" in row}
    labels, where = {}, {}
    for row in _rows(folder / "sample_data.json"):
        name = str(row["filename"])
        if name.startswith("samples/LIDAR_TOP/"):
            key = name.rsplit("/", 1)[-1]
            where[key] = samples[row["sample_token"]]
            if row["token"] in files:
                labels[key] = _inside(files[row["token"]], labelled)
    return _Tables(labels, where, names)


def _inside(name: str, table: Path) -> str:
    if name.startswith(("/", "~", "\\")) or ".." in Path(name).parts:
        raise FileError(f"names a file outside the dataset: {name!r}", table, "get the metadata again")
    return name


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSON array, one by one: sample_data.json has 2.6 million of them in 1.2 GB."""
    decode = json.JSONDecoder().raw_decode
    with path.open(encoding="utf-8") as file:
        text, at, more = "", 0, True
        while True:
            while at < len(text) and text[at] in "[, \r\n\t":
                at += 1
            if text[at : at + 1] == "]":
                return
            try:
                row, at = decode(text, at)
                yield row
            except json.JSONDecodeError:
                block = file.read(BLOCK)
                text, at, more = text[at:] + block, 0, bool(block)
                if not more or len(text) > LONGEST:
                    raise FileError("is not a table of nuScenes, or is truncated", path, "get the metadata again") from None
