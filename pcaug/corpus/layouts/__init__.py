"""Datasets whose scans no point format holds: spread over several files, several to a file, or stored in their own way.

A layout reads one scan whole: a frame, a room, an object. Cards name it as their encoding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pcaug.cloud import PointCloud
from pcaug.corpus.layouts import nuscenes, pandaset, s3dis, sydney, synthia, waymo
from pcaug.errors import FileError, counted


def _one(path: Path) -> Sequence[str]:
    return ("",)


def _alone(path: Path) -> Sequence[Path]:
    return ()


@dataclass(frozen=True)
class Layout:
    """How a dataset's scans lie on disk.

    Attributes:
        read: ``(path, part, ids)`` -> the scan, with ``native_label`` where its labels are there. ``ids`` are the card's class
            names and their ids: datasets that say what their ids mean are read by those names.
        parts: Names of the scans that a file holds; ("",) where it holds one.
        unit: Independent unit (drive, scene) of a file, where its path does not tell.
        companions: The other files that a scan is read from, whether they are there or not.
    """

    read: Callable[[Path, str, Mapping[str, int]], PointCloud]
    parts: Callable[[Path], Sequence[str]] = _one
    unit: Callable[[Path], str] | None = None
    companions: Callable[[Path], Sequence[Path]] = _alone


LAYOUTS: dict[str, Layout] = {
    "nuscenes": Layout(nuscenes.read, unit=nuscenes.scene, companions=nuscenes.companions),
    "pandaset": Layout(pandaset.read, companions=pandaset.companions),
    "s3dis": Layout(s3dis.read, companions=s3dis.companions),
    "sydney": Layout(sydney.read),
    "synthia": Layout(synthia.read),
    "waymo": Layout(waymo.read, parts=waymo.frames, companions=waymo.companions),
}


def iter_chunks(encoding: str, path: Path, part: str, ids: Mapping[str, int], size: int) -> Iterator[PointCloud]:
    """Read one scan and pass it on in chunks of at most ``size`` points; an empty scan gives one empty chunk.

    Raises:
        FileError: Truncated, malformed, or with positions that are not finite.
        LabelError: If labels and points do not fit together, or a class has a name that is not among ``ids``.
    """
    cloud = LAYOUTS[encoding].read(path, part, ids)
    bad = int((~np.isfinite(cloud.xyz)).any(axis=1).sum())
    if bad:
        raise FileError(f"has {counted(bad, 'point')} whose position is not finite", path, "remove them at the source")
    for start in range(0, max(len(cloud), 1), size):
        yield cloud.take(slice(start, start + size))
