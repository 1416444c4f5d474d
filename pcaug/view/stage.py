"""What stands in a window: clouds, meshes and scenes beside each other, in parts that are shown and hidden together."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import trimesh
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.scene.asset import Asset, Scene, placed
from pcaug.scene.recipe import SceneRecipe, compose
from pcaug.sensor import SENSORS
from pcaug.sensor.motion import Sweep
from pcaug.sensor.scan import scan
from pcaug.view.census import Census, told
from pcaug.view.colours import best_mode, class_table, colours, node_name

Vectors = NDArray[np.float64]
GAP = 1.1
"""Exhibits stand beside each other, this many times the widest apart."""
BEAMS, BEAM = 200, 60.0
"""How many beams of a scan are drawn, and how much of each before it ends, metres."""
SAMPLES = 200_000
"""Points on a mesh where it is shown as a cloud."""
AMBER = (0.9, 0.55, 0.1)
LIGHT = np.array([0.42, -0.53, 0.74])
REACH = 8.0
"""Pixels from a click within which a point is meant."""


@dataclass(frozen=True, eq=False)
class Exhibit:
    """One thing to look at.

    Attributes:
        title: Its name.
        cloud: Its points.
        scene: Surfaces behind the points, in the frame of the cloud; None for a cloud alone.
        beams: (N, 3) where the beam of each point left the scanner, metres; None where no scanner is known.
        sampled: What is counted of all points, where the cloud is a sample of them; None where it is all of them.
    """

    title: str
    cloud: PointCloud
    scene: Scene | None = None
    beams: Vectors | None = None
    sampled: Census | None = None

    @cached_property
    def whole(self) -> Census:
        """What is counted of all points."""
        return self.sampled or Census.of(self.cloud)

    @property
    def heading(self) -> str:
        """Its name, and how many points it has."""
        return f"{self.title}: {told(len(self.cloud), self.whole.points)}"


@dataclass(frozen=True, eq=False)
class Part:
    """Points, triangles or lines of one name.

    Attributes:
        name: Of the class, or of the colour mode.
        exhibit: Number of the exhibit.
        xyz: (N, 3) float64, moved to where it stands in the window.
        paint: (N, 3) float64, 0..1.
        tint: Colour in the legend, 0..1.
        corners: How many rows of ``xyz`` make a piece: 1 points, 2 lines, 3 triangles.
        rows: (N,) the points' rows in the exhibit's cloud; empty for lines and triangles.
        points: How many it stands for, of which those of ``xyz`` may be a sample; 0 for lines and triangles.
    """

    name: str
    exhibit: int
    xyz: Vectors
    paint: Vectors
    tint: tuple[float, float, float]
    corners: int = 1
    rows: NDArray[np.int64] | None = None
    points: int = 0

    @property
    def count(self) -> int:
        """Points, drawn or not, lines or triangles."""
        return self.points or len(self.xyz) // self.corners


def scene_exhibit(recipe: SceneRecipe, seed: int = 0, index: int = 0) -> Exhibit:
    """The index-th scan of a recipe in its scene, with the beams that made it: what compose writes, deskewed."""
    rng = np.random.default_rng((seed, 0, index))
    scene = compose(recipe, rng)
    sensor = recipe.sensor.model_copy(update={"deskewed": True})  # else the points would not lie on the surfaces
    rays = SENSORS[sensor.kind](scene, sensor, copy.deepcopy(rng))  # the beams that scan is about to draw
    cloud = scan(scene, sensor, rng)
    if isinstance(rays, Sweep):
        cloud = cloud.moved(np.linalg.inv(rays.sensor_from_world).astype(np.float64))
    order = np.argsort(rays.time, kind="stable")
    left = np.minimum(np.searchsorted(rays.time[order], cloud["time"]), len(order) - 1)
    return Exhibit(recipe.name, cloud, scene, np.asarray(rays.origin)[order[left]])


def mesh_exhibit(asset: Asset) -> Exhibit:
    """A mesh, and points spread evenly over its faces."""
    xyz, face = on_surface(asset, SAMPLES)
    cloud = PointCloud(xyz, {"label": asset.face_label[face]}, catalogue.taxonomy())
    extent = asset.bounds[:, :2]
    return Exhibit(asset.name, cloud, Scene((placed(asset, (0, 0, 0)),), asset.name, np.zeros(3), 0.0, extent))


def on_surface(asset: Asset, count: int, weight: Vectors | None = None) -> tuple[Vectors, NDArray[np.intp]]:
    """Points (count, 3) on the faces of a mesh, from a fixed seed, and the face of each.

    Args:
        asset: The mesh.
        count: Of the points.
        weight: (F,) how densely each face is covered; None for all alike.
    """
    corners = np.arange(3 * len(asset.triangles)).reshape(-1, 3)
    mesh = trimesh.Trimesh(asset.triangles.reshape(-1, 3), corners, process=False)
    share = mesh.area_faces if weight is None else mesh.area_faces * weight
    xyz, face = trimesh.sample.sample_surface(mesh, count, face_weight=share, seed=0)
    return np.asarray(xyz, np.float64), np.asarray(face, np.intp)


def parts(exhibits: Sequence[Exhibit], colour: str | None = None) -> list[Part]:
    """Exhibits beside each other, each in a part a class that occurs, or whole; surfaces a class, and beams.

    Raises:
        PcaugError: If there are no points.
    """
    if not any(len(e.cloud) for e in exhibits):
        raise PcaugError("no points to show")
    bounds = [e.cloud.bounds for e in exhibits if len(e.cloud)]
    width = GAP * max(float(np.ptp(low_high[:, 0])) for low_high in bounds)
    found: list[Part] = []
    for number, exhibit in enumerate(e for e in exhibits if len(e.cloud)):
        cloud, mode = exhibit.cloud, colour or best_mode(exhibit.cloud)
        shift = np.array([number * width, 0, 0]) - cloud.bounds.mean(axis=0)
        paint = colours(cloud, mode).astype(np.float64) / 255
        for name, rows, tint, points in _groups(exhibit, mode):
            found.append(Part(name, number, cloud.xyz[rows] + shift, paint[rows], tint, rows=rows, points=points))
        if exhibit.scene is not None:
            found += _surfaces(exhibit.scene, number, shift)
        if exhibit.beams is not None:
            found.append(_beams(cloud, exhibit.beams, number, shift))
    return found


def _groups(exhibit: Exhibit, mode: str) -> list[tuple[str, NDArray[np.int64], tuple[float, float, float], int]]:
    """(name, rows, colour in the legend, points) of each class that occurs, or of everything."""
    cloud, whole = exhibit.cloud, exhibit.whole
    field = {"class": "label", "prediction": "prediction"}.get(mode)
    if field is None:
        return [(mode, np.arange(len(cloud)), (0.5, 0.5, 0.5), whole.points)]
    nodes = [int(node) for node in np.unique(cloud[field])]
    return [(node_name(n), np.flatnonzero(cloud[field] == n), _tint(n), whole.ids[field][n]) for n in nodes]


def _tint(node: int) -> tuple[float, float, float]:
    r, g, b = class_table()[min(node, 255)] / 255
    return float(r), float(g), float(b)


def _beams(cloud: PointCloud, left: Vectors, number: int, shift: Vectors) -> Part:
    few = np.linspace(0, len(cloud) - 1, min(BEAMS, len(cloud))).astype(int)
    end, back = cloud.xyz[few], left[few] - cloud.xyz[few]
    length = np.linalg.norm(back, axis=1, keepdims=True)
    start = end + back * np.minimum(1, BEAM / np.maximum(length, 1e-9))
    xyz = np.stack([start, end], axis=1).reshape(-1, 3) + shift
    return Part("beams", number, xyz, np.broadcast_to(AMBER, xyz.shape), AMBER, corners=2)


def _surfaces(scene: Scene, number: int, shift: Vectors) -> list[Part]:
    """Triangles of a scene, a part a class; light from one side is baked into their colours."""
    faces: dict[int, list[Vectors]] = {}
    for placement in scene.placements:
        world = placement.standing()
        for node in np.unique(placement.asset.face_label):
            faces.setdefault(int(node), []).append(world[placement.asset.face_label == node])
    made = []
    for node, pieces in sorted(faces.items()):
        triangles = np.concatenate(pieces)
        normal = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])
        normal /= np.linalg.norm(normal, axis=1, keepdims=True) + 1e-12
        paint = np.array(_tint(node)) * 0.55 + 0.45 * (0.5 + 0.5 * np.abs(normal @ LIGHT))[:, None]  # paler than the points
        corners = triangles.reshape(-1, 3) + shift
        made.append(Part(f"{node_name(node)} (surface)", number, corners, np.repeat(paint, 3, axis=0), _tint(node), corners=3))
    return made


def rows(made: Sequence[Part]) -> list[tuple[str, tuple[float, float, float], list[int]]]:
    """Rows of the legend: name, colour, and how many each exhibit has of it: 0 where a class is missing.

    Points come before beams before surfaces, the most frequent first.
    """
    exhibits = 1 + max(part.exhibit for part in made)
    found: dict[str, tuple[int, tuple[float, float, float], list[int]]] = {}
    for part in made:
        found.setdefault(part.name, (part.corners, part.tint, [0] * exhibits))[2][part.exhibit] += part.count
    order = sorted(found, key=lambda name: (found[name][0], -sum(found[name][2])))
    return [(name, *found[name][1:]) for name in order]


def outlook(made: Sequence[Part]) -> tuple[Vectors, float]:
    """Middle of all points without the outermost, and how far away they fill the view."""
    low, high = np.percentile(np.concatenate([part.xyz for part in made if part.corners == 1]), [1, 99], axis=0)
    return (low + high) / 2, 0.72 * float(np.linalg.norm(high - low))


def nearest(
    made: Sequence[Part], clip_from_world: Vectors, size: tuple[int, int], at: tuple[float, float]
) -> tuple[Part, int] | None:
    """The foremost point within REACH pixels of a place in a picture.

    Args:
        made: Parts that are shown; only points are looked at.
        clip_from_world: (4, 4), to OpenGL's clip space.
        size: Width and height, pixels.
        at: Pixels from the left and from the top.

    Returns:
        The part and the point's place in it, or None.
    """
    best, found = np.inf, None
    for part in made:
        if part.corners != 1:
            continue
        x, y, _, depth = clip_from_world[:, :3] @ part.xyz.T + clip_from_world[:, 3:]
        with np.errstate(divide="ignore", invalid="ignore"):
            away = np.hypot((x / depth + 1) / 2 * size[0] - at[0], (1 - y / depth) / 2 * size[1] - at[1])
        cost = np.where((depth > 0) & (away <= REACH), depth * (1 + 0.02 * away / REACH), np.inf)
        index = int(cost.argmin())
        if cost[index] < best:
            best, found = float(cost[index]), (part, index)
    return found


def describe(exhibits: Sequence[Exhibit], part: Part, index: int) -> list[str]:
    """Everything that is known of a point, a line each."""
    exhibit = [e for e in exhibits if len(e.cloud)][part.exhibit]
    row = int(index if part.rows is None else part.rows[index])
    x, y, z = exhibit.cloud.xyz[row]
    lines = [exhibit.title, f"x {x:.2f}  y {y:.2f}  z {z:.2f}"]
    for name, values in exhibit.cloud.fields.items():
        value = values[row]
        lines.append(f"{name}  {node_name(int(value))}" if name in ("label", "prediction") else f"{name}  {_plain(value)}")
    return lines


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, np.floating) else str(value)
