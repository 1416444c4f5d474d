"""Open3D's older renderer: a window where there is no Vulkan, and pictures off screen where there is no display."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from pcaug.cloud import PointCloud, open3d
from pcaug.errors import PcaugError
from pcaug.view.picture import Image, standing
from pcaug.view.stage import Exhibit, Part, describe, nearest, outlook, parts, rows
from pcaug.view.window import ELSE, FRONT, TOGGLES, geometry

KEYS = "drag: turn, ctrl drag: move, wheel: zoom, shift click: read a point, + -: size, R: back, Q: close"
SHIFT = 1
"""GLFW's number of the shift key among the modifiers."""


def render_open3d(
    cloud: PointCloud,
    width: int = 900,
    height: int = 640,
    colour: str | None = None,
    azimuth: float | None = None,
    elevation: float = 38.0,
) -> Image:
    """Draw a cloud as ``picture.render`` does, in perspective, by OpenGL; it needs no display (EGL), but libEGL.

    Raises:
        PcaugError: Without OpenGL, or as ``picture.render``.
    """
    o3d = open3d()
    made = parts([Exhibit("", cloud)], colour)
    a, e = np.radians(standing(elevation) if azimuth is None else azimuth), np.radians(elevation)
    front = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    window = o3d.visualization.Visualizer()
    _opened(o3d, window, made, "pcaug", (width, height), front, visible=False)
    try:
        return np.round(np.asarray(window.capture_screen_float_buffer(True)) * 255).astype(np.uint8)
    finally:
        window.destroy_window()


def _opened(
    o3d: Any, window: Any, made: Sequence[Part], title: str, size: tuple[int, int], front: Any, *, visible: bool
) -> list[Any]:
    """Open a window with everything in it, seen from a direction, and return what is in it."""
    with o3d.utility.VerbosityContextManager(o3d.utility.VerbosityLevel.Error):
        opened = window.create_window(title, *size, visible=visible)
    if not opened:
        raise PcaugError("Open3D cannot open a window: there is no OpenGL", do=ELSE)
    shown = [geometry(o3d, part) for part in made]
    for each in shown:
        window.add_geometry(each)
    option = window.get_render_option()
    option.point_size, option.light_on, option.mesh_show_back_face, option.background_color = (
        2.5,
        False,
        True,
        np.array([0.98, 0.98, 0.98]),
    )
    _look(window, made, front)
    return shown


def _look(window: Any, made: Sequence[Part], front: Any) -> None:
    view = window.get_view_control()
    view.set_lookat(outlook(made)[0])
    view.set_front(front)
    up = np.array([0.0, 0.0, 1.0]) if abs(front[2]) < 0.999 else np.array([0.0, 1.0, 0.0])
    up -= front * (front @ up)  # Open3D does not: its camera parameters would be of a skewed camera
    view.set_up(up / np.linalg.norm(up))
    view.set_zoom(0.42)


def _board(o3d: Any, made: Sequence[Part]) -> Any:
    """The legend and the keys as letters that lie before everything: the window itself cannot write."""
    low, high = np.percentile(np.concatenate([part.xyz for part in made if part.corners == 1]), [1, 99], axis=0)
    size = float(np.linalg.norm(high - low)) / 45
    names = [(f"{key} {name}", tint) for key, (name, tint, _) in zip(TOGGLES, rows(made), strict=False)]
    keys = [(key.strip(), (0.3, 0.3, 0.3)) for key in KEYS.split(",")]
    turned = np.stack([[1, 0, 0], np.cross(FRONT, [1, 0, 0]), FRONT], axis=1)  # to face the viewer
    board = o3d.geometry.TriangleMesh()
    for column, lines in enumerate((names, keys)):
        for row, (text, tint) in enumerate(lines):
            letters = o3d.t.geometry.TriangleMesh.create_text(text, depth=0.1).to_legacy()
            letters.scale(size / 13, center=np.zeros(3))
            letters.rotate(turned, center=np.zeros(3))
            letters.translate([low[0] + column * 20 * size, low[1], low[2]] - (3 + 1.35 * row) * size * turned[:, 1])
            letters.paint_uniform_color(tint)
            board += letters
    return board


class LegacyWindow:
    """One number key a class, written on a board beside the clouds, in the title, and on the terminal."""

    def __init__(self, exhibits: Sequence[Exhibit], made: Sequence[Part]) -> None:
        o3d = self.o3d = open3d()
        self.exhibits, self.made, self.hidden, self.at = exhibits, made, set[str](), (0.0, 0.0)
        self.legend = rows(made)
        keys = {key: name for key, (name, *_) in zip(TOGGLES, self.legend, strict=False)}
        title = "pcaug · " + " · ".join(f"{key} {name}" for key, name in keys.items()) + " · " + KEYS
        self.window = o3d.visualization.VisualizerWithKeyCallback()
        self.shown = _opened(o3d, self.window, made, title, (1280, 800), FRONT, visible=True)
        self.window.add_geometry(_board(o3d, made), reset_bounding_box=False)
        self.mark: Any = None
        for key, name in keys.items():
            self.window.register_key_callback(ord(key), partial(self.toggle, name=name))
        self.window.register_key_callback(ord("R"), self.back)
        self.window.register_mouse_move_callback(self.on_move)
        self.window.register_mouse_button_callback(self.on_button)

    def run(self) -> None:
        """Until it is closed."""
        for exhibit in self.exhibits:
            _say(exhibit.heading)
        for index, (name, _, counts) in enumerate(self.legend):
            key = TOGGLES[index] if index < len(TOGGLES) else " "
            _say(f"{key} {name}: {', '.join(f'{count:,}' for count in counts)}")
        _say(KEYS)
        self.window.run()
        self.window.destroy_window()

    def toggle(self, window: Any, name: str) -> bool:
        """Show or hide the parts of a name, in all exhibits."""
        change = window.add_geometry if name in self.hidden else window.remove_geometry
        self.hidden.symmetric_difference_update({name})
        for part, made in zip(self.made, self.shown, strict=True):
            if part.name == name:
                change(made, reset_bounding_box=False)
        return False

    def back(self, window: Any) -> bool:
        """Everything in view."""
        _look(window, self.made, FRONT)
        return True

    def on_move(self, window: Any, x: float, y: float) -> bool:
        """Remember where the mouse is; the window turns as it always does."""
        self.at = (x, y)
        return False

    def on_button(self, window: Any, button: int, action: int, mods: int) -> bool:
        """Shift and click say what is known of the point there, on the terminal, and mark it."""
        if not (mods & SHIFT and action == 1 and button == 0):
            return False
        seen = window.get_view_control().convert_to_pinhole_camera_parameters()
        found = nearest([p for p in self.made if p.name not in self.hidden], _clip(seen), _size(seen), self.at)
        if self.mark is not None:
            window.remove_geometry(self.mark, reset_bounding_box=False)
            self.mark = None
        if found:
            part, index = found
            self.mark = self.o3d.geometry.TriangleMesh.create_sphere(outlook(self.made)[1] / 300)
            self.mark.translate(part.xyz[index])
            self.mark.paint_uniform_color([1, 0.1, 0.1])
            window.add_geometry(self.mark, reset_bounding_box=False)
        _say("\n".join(describe(self.exhibits, *found)) if found else "no point here")
        return True


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _size(seen: Any) -> tuple[int, int]:
    return seen.intrinsic.width, seen.intrinsic.height


def _clip(seen: Any) -> Any:
    """(4, 4) clip_from_world of a pinhole camera, whose y runs down and z away."""
    (width, height), k = _size(seen), np.asarray(seen.intrinsic.intrinsic_matrix)
    clip = np.array([
        [2 * k[0, 0] / width, 0, 2 * k[0, 2] / width - 1, 0],
        [0, -2 * k[1, 1] / height, 1 - 2 * k[1, 2] / height, 0],
        [0, 0, 1, 0],
        [0, 0, 1, 0],
    ])  # fmt: skip
    return clip @ np.asarray(seen.extrinsic)
