"""A window: Open3D's renderer on Vulkan where it runs, the older OpenGL window otherwise."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from pcaug.cloud import open3d
from pcaug.errors import PcaugError
from pcaug.view.stage import Exhibit, Part, describe, nearest, outlook, parts, rows

ELSE = "use --html FILE or --png FILE, which need neither display nor OpenGL"
FRONT = np.array([0.0, -0.8, 0.6])
"""Where the viewer stands at first."""
TOGGLES = "123456789"
HELP = (
    "drag: turn    ctrl drag: move    wheel: zoom",
    "click: read a point    1-9: first rows on, off",
    "A all    N none    R back    T from above    + - size",
)
PANEL = 21
"""Width of the panel, letters."""


def show(exhibits: Sequence[Exhibit], colour: str | None = None) -> None:
    """Open a window and return when it is closed.

    Args:
        exhibits: Shown beside each other.
        colour: One of ``colours.MODES``; None chooses.

    Raises:
        PcaugError: Without points, a display or OpenGL: pictures and pages need neither.
    """
    made = parts(exhibits, colour)
    if sys.platform == "linux" and not _display():
        raise PcaugError("no display to open a window on", do=ELSE)
    if ctypes.util.find_library("vulkan"):
        Window(exhibits, made).run()
    else:
        from pcaug.view.legacy import LegacyWindow

        LegacyWindow(exhibits, made).run()


def _display() -> bool:
    """Whether there is a display that answers: Open3D waits for ever for one that does not."""
    if os.environ.get("WAYLAND_DISPLAY"):
        return True
    library = ctypes.util.find_library("X11")
    if not os.environ.get("DISPLAY") or library is None:
        return False
    x11 = ctypes.CDLL(library)
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = x11.XOpenDisplay(None)
    if display:
        x11.XCloseDisplay(ctypes.c_void_p(display))
    return bool(display)


def geometry(o3d: Any, part: Part) -> Any:
    """A part as Open3D draws it."""
    points, cells = o3d.utility.Vector3dVector(part.xyz), np.arange(len(part.xyz), dtype=np.int32)
    if part.corners == 1:
        made = o3d.geometry.PointCloud(points)
        made.colors = o3d.utility.Vector3dVector(part.paint)
    elif part.corners == 2:
        made = o3d.geometry.LineSet(points, o3d.utility.Vector2iVector(cells.reshape(-1, 2)))
        made.paint_uniform_color(part.tint)
    else:
        made = o3d.geometry.TriangleMesh(points, o3d.utility.Vector3iVector(cells.reshape(-1, 3)))
        made.vertex_colors = o3d.utility.Vector3dVector(part.paint)
    return made


class Window:
    """What ``open3d.visualization.draw`` draws with, beside a legend of ours: its own has no colours, counts or read-out."""

    def __init__(self, exhibits: Sequence[Exhibit], made: Sequence[Part]) -> None:
        o3d = self.o3d = open3d()
        self.gui, self.rendering = o3d.visualization.gui, o3d.visualization.rendering
        self.exhibits, self.made, self.hidden = exhibits, made, set[str]()
        self.size, self.pressed = 2.5, (0, 0)
        self.app = self.gui.Application.instance
        self.app.initialize()
        self.window = self.app.create_window("pcaug · " + " | ".join(e.title for e in exhibits if len(e.cloud)), 1280, 800)
        self.view = self.gui.SceneWidget()
        self.view.scene = self.rendering.Open3DScene(self.window.renderer)
        self.view.scene.set_background([0.97, 0.975, 0.98, 1])
        self.view.scene.view.set_post_processing(False)  # class colours as they are: tone mapping washes them out
        for number, part in enumerate(made):
            self.view.scene.add_geometry(str(number), geometry(o3d, part), self.material(part))
        self.view.set_on_mouse(self.on_mouse)
        self.window.set_on_key(self.on_key)
        self.window.set_on_layout(self.on_layout)
        self.ticks: dict[str, Any] = {}
        self.panel = self.legend()
        self.window.add_child(self.view)
        self.window.add_child(self.panel)
        self.look(FRONT, [0, 0, 1])

    def run(self) -> None:
        """Until it is closed."""
        self.app.run()

    def material(self, part: Part) -> Any:
        """Unlit: the colours say what a point is."""
        made = self.rendering.MaterialRecord()
        made.shader = "unlitLine" if part.corners == 2 else "defaultUnlit"
        made.point_size, made.line_width = self.size * self.window.scaling, 1.0
        return made

    def legend(self) -> Any:
        """Titles, a row a class with tick, colour, name and counts, what was read, and the keys."""
        gui, em = self.gui, self.window.theme.font_size
        panel = gui.ScrollableVert(0.25 * em, gui.Margins(0.7 * em, 0.7 * em, 0.7 * em, 0.7 * em))
        for number, exhibit in enumerate(e for e in self.exhibits if len(e.cloud)):
            panel.add_child(gui.Label(f"{number + 1}. {exhibit.heading}"))
        for index, (name, tint, counts) in enumerate(rows(self.made)):
            row = gui.Horiz(0.4 * em)
            swatch = np.tile((np.array(tint) * 255).astype(np.uint8), (int(0.9 * em), int(0.9 * em), 1))
            tick = self.ticks[name] = gui.Checkbox((f"{TOGGLES[index]}  " if index < len(TOGGLES) else "     ") + name)
            tick.checked = True
            tick.set_on_checked(partial(self.toggle, name))
            row.add_child(gui.ImageWidget(self.o3d.geometry.Image(swatch)))
            row.add_child(tick)
            row.add_stretch()
            row.add_child(gui.Label("  ".join(f"{count:,}" for count in counts)))
            panel.add_child(row)
        self.said = gui.Label("click a point to read it")
        panel.add_fixed(0.6 * em)
        panel.add_child(self.said)
        panel.add_fixed(0.6 * em)
        for line in HELP:
            panel.add_child(gui.Label(line))
        return panel

    def on_layout(self, context: Any) -> None:
        """The scene on the left, the legend on the right."""
        area, wide = self.window.content_rect, PANEL * context.theme.font_size
        self.view.frame = self.gui.Rect(area.x, area.y, area.width - wide, area.height)
        self.panel.frame = self.gui.Rect(area.get_right() - wide, area.y, wide, area.height)

    def look(self, front: Any, up: Sequence[float]) -> None:
        """Everything in view, from a direction."""
        middle, away = outlook(self.made)
        self.view.setup_camera(60, self.view.scene.bounding_box, middle)
        self.view.look_at(middle, middle + away * np.asarray(front), up)

    def toggle(self, name: str, on: bool) -> None:
        """Show or hide the parts of a name, in all exhibits."""
        (self.hidden.discard if on else self.hidden.add)(name)
        self.ticks[name].checked = on
        for number, part in enumerate(self.made):
            if part.name == name:
                self.view.scene.show_geometry(str(number), on)
        self.window.post_redraw()

    def resize(self, factor: float) -> None:
        """Larger or smaller points."""
        self.size = float(np.clip(self.size * factor, 1, 12))
        for number, part in enumerate(self.made):
            self.view.scene.modify_geometry_material(str(number), self.material(part))
        self.window.post_redraw()

    def on_key(self, event: Any) -> bool:
        """Keys of HELP; anything else is left to the window."""
        gui = self.gui
        names = list(self.ticks)
        if event.type != gui.KeyEvent.Type.DOWN:
            return False
        if 49 <= event.key < 49 + min(len(names), len(TOGGLES)):
            name = names[event.key - 49]
            self.toggle(name, name in self.hidden)
        elif event.key in (gui.KeyName.A, gui.KeyName.N):
            for name in names:
                self.toggle(name, event.key == gui.KeyName.A)
        elif event.key == gui.KeyName.R:
            self.look(FRONT, [0, 0, 1])
        elif event.key == gui.KeyName.T:
            self.look([0, 0, 1], [0, 1, 0])
        elif event.key in (gui.KeyName.EQUALS, gui.KeyName.PLUS, gui.KeyName.MINUS):
            self.resize(1 / 1.25 if event.key == gui.KeyName.MINUS else 1.25)
        else:
            return False
        return True

    def on_mouse(self, event: Any) -> Any:
        """A press and release in one place reads the point there."""
        kind, place = self.gui.MouseEvent.Type, (event.x, event.y)
        if event.type == kind.BUTTON_DOWN:
            self.pressed = place
        if event.type == kind.BUTTON_UP and abs(np.subtract(place, self.pressed)).max() <= 3:
            self.read(event.x - self.view.frame.x, event.y - self.view.frame.y)
        return self.gui.Widget.EventCallbackResult.IGNORED

    def read(self, x: float, y: float) -> None:
        """Say what is known of the point there, and mark it."""
        camera = self.view.scene.camera
        clip_from_world = np.asarray(camera.get_projection_matrix()) @ np.asarray(camera.get_view_matrix())
        shown = [part for part in self.made if part.name not in self.hidden]
        found = nearest(shown, clip_from_world, (self.view.frame.width, self.view.frame.height), (x, y))
        self.view.scene.remove_geometry("mark")
        self.said.text = "\n".join(describe(self.exhibits, *found)) if found else "no point here"
        if found:
            spot = self.o3d.geometry.PointCloud(self.o3d.utility.Vector3dVector(found[0].xyz[found[1]][None]))
            material = self.material(found[0])
            material.base_color, material.point_size = [1, 0.1, 0.1, 1], 12 * self.window.scaling
            self.view.scene.add_geometry("mark", spot, material)
        self.window.set_needs_layout()
        self.window.post_redraw()
