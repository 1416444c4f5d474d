"""A window: Open3D's new viewer where its renderer runs, the older one otherwise."""

from __future__ import annotations

import ctypes.util
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.sensor.engine import open3d
from pcaug.view.colours import best_mode, colours, node_name

GAP = 1.1
"""Clouds stand beside each other, this many times the widest apart."""
FRONT = np.array([0.0, -0.8, 0.6])
"""Where the viewer stands at first."""
KEYS = "123456789"
ELSE = "use --html FILE or --png FILE, which need neither display nor OpenGL"


@dataclass(frozen=True)
class Part:
    """Points that are shown and hidden together.

    Attributes:
        name: Of the class, or of the colour mode.
        group: Title of the cloud.
        xyz: (N, 3) float64, moved to where it stands in the window.
        paint: (N, 3) float64, 0..1.
    """

    name: str
    group: str
    xyz: NDArray[np.float64]
    paint: NDArray[np.float64]


def show(clouds: Sequence[PointCloud], titles: Sequence[str], colour: str | None = None) -> None:
    """Open a window and return when it is closed; clouds with classes become one group a class that can be hidden.

    Args:
        clouds: Shown beside each other.
        titles: One a cloud.
        colour: One of ``colours.MODES``; None chooses.

    Raises:
        PcaugError: Without points, a display or OpenGL: pictures and pages need neither.
    """
    made = parts(clouds, titles, colour)
    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise PcaugError("no display to open a window on", do=ELSE)
    o3d = open3d()
    shown = [_geometry(o3d, part) for part in made]
    if ctypes.util.find_library("vulkan"):
        named = [{"name": _name(part, made), "geometry": g, "group": part.group} for part, g in zip(made, shown, strict=True)]
        middle, away = _outlook(made)
        o3d.visualization.draw(
            named, title="pcaug", width=1280, height=800, show_ui=True, show_skybox=False, point_size=2,
            bg_color=(0.98, 0.98, 0.98, 1), lookat=middle, eye=middle + away * FRONT, up=(0, 0, 1), on_init=_exact,
        )  # fmt: skip
    else:
        _older(o3d, made, shown)


def parts(clouds: Sequence[PointCloud], titles: Sequence[str], colour: str | None = None) -> list[Part]:
    """What stands in the window: clouds beside each other, each in a part a class that occurs, or whole.

    Raises:
        PcaugError: If there are no points.
    """
    named = [(cloud, title) for cloud, title in zip(clouds, titles, strict=True) if len(cloud)]
    if not named:
        raise PcaugError("no points to show")
    width = max(float(np.ptp(cloud.bounds[:, 0])) for cloud, _ in named) * GAP
    found = []
    for index, (cloud, title) in enumerate(named):
        mode = colour or best_mode(cloud)
        paint = colours(cloud, mode).astype(np.float64) / 255
        xyz = cloud.xyz - cloud.bounds.mean(axis=0) + [index * width, 0, 0]
        for name, rows in _groups(cloud, mode):
            found.append(Part(name, title or f"cloud {index + 1}", xyz[rows], paint[rows]))
    return found


def _groups(cloud: PointCloud, mode: str) -> list[tuple[str, NDArray[np.bool_]]]:
    """(name, mask) of each class that occurs, or of everything."""
    field = {"class": "label", "prediction": "prediction"}.get(mode)
    if field is None:
        return [(mode, np.ones(len(cloud), dtype=bool))]
    return [(node_name(int(node)), cloud[field] == node) for node in np.unique(cloud[field])]


def _geometry(o3d: Any, part: Part) -> Any:
    made = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(part.xyz))
    made.colors = o3d.utility.Vector3dVector(part.paint)
    return made


def _name(part: Part, everything: Sequence[Part]) -> str:
    return part.name if len({p.group for p in everything}) < 2 else f"{part.group}: {part.name}"


def _outlook(made: Sequence[Part]) -> tuple[NDArray[np.float64], float]:
    """Middle of everything without its outermost points, and how far away it fills the view."""
    low, high = np.percentile(np.concatenate([part.xyz for part in made]), [1, 99], axis=0)
    return (low + high) / 2, 0.85 * float(np.linalg.norm(high - low))


def _exact(window: Any) -> None:
    """Class colours as they are: the renderer's tone mapping washes them out."""
    window.scene.view.set_post_processing(False)


def _older(o3d: Any, made: Sequence[Part], shown: Sequence[Any]) -> None:
    """The legacy window; its title says which number key hides which class."""
    names = list(dict.fromkeys(part.name for part in made))
    keys = dict(zip(KEYS, names, strict=False))
    window = o3d.visualization.VisualizerWithKeyCallback()
    title = "pcaug · " + " · ".join(f"{key} {name}" for key, name in keys.items()) + " · R back · Q close"
    if not window.create_window(title, 1280, 800):
        raise PcaugError("the window cannot be opened: there is no OpenGL", do=ELSE)
    for geometry in shown:
        window.add_geometry(geometry)
    window.get_render_option().point_size = 2.0
    view = window.get_view_control()
    view.set_lookat(_outlook(made)[0])
    view.set_front(FRONT)
    view.set_up([0.0, 0.0, 1.0])
    view.set_zoom(0.35)
    hidden: set[str] = set()
    for key, name in keys.items():
        mine = [geometry for part, geometry in zip(made, shown, strict=True) if part.name == name]
        window.register_key_callback(ord(key), partial(_toggle, name=name, geometries=mine, hidden=hidden))
    window.run()
    window.destroy_window()


def _toggle(window: Any, name: str, geometries: Sequence[Any], hidden: set[str]) -> bool:
    change: Callable[..., Any] = window.add_geometry if name in hidden else window.remove_geometry
    hidden.symmetric_difference_update({name})
    for geometry in geometries:
        change(geometry, reset_bounding_box=False)
    return False
