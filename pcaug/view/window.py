"""A window: Open3D's new viewer where its renderer runs, the older one otherwise."""

from __future__ import annotations

import ctypes.util
import os
import sys
from collections.abc import Sequence

import numpy as np

from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.sensor.engine import open3d
from pcaug.view.colours import best_mode, colours


def show(clouds: Sequence[PointCloud], titles: Sequence[str], colour: str | None = None) -> None:
    """Open a window and return when it is closed; clouds with classes become one tickable group a class.

    Raises:
        PcaugError: Without a display: pictures and pages need none.
    """
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise PcaugError("no display to open a window on", do="use --html FILE or --png FILE, or xvfb-run")
    o3d = open3d()
    shift = np.floor(clouds[0].xyz.mean(axis=0)) if len(clouds[0]) else np.zeros(3)
    parts = []
    for cloud, title in zip(clouds, titles, strict=True):
        mode = colour or best_mode(cloud)
        paint = colours(cloud, mode).astype(np.float64) / 255
        for name, rows in _groups(cloud, mode):
            made = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud.xyz[rows] - shift))
            made.colors = o3d.utility.Vector3dVector(paint[rows])
            parts.append({"name": f"{title}: {name}" if len(clouds) > 1 else name, "geometry": made, "group": title})
    if ctypes.util.find_library("vulkan"):
        o3d.visualization.draw(parts, title="pcaug", show_ui=True, point_size=2)
    else:
        o3d.visualization.draw_geometries([part["geometry"] for part in parts], window_name="pcaug")


def _groups(cloud: PointCloud, mode: str) -> list[tuple[str, np.ndarray]]:
    """(name, mask) of each class that occurs, or of everything."""
    field = {"class": "label", "prediction": "prediction"}.get(mode)
    if field is None or cloud.taxonomy is None:
        return [(mode, np.ones(len(cloud), dtype=bool))]
    return [(cloud.taxonomy.label_name(int(node)), cloud[field] == node) for node in np.unique(cloud[field])]
