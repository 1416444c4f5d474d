"""Any mesh that trimesh reads as an asset: unit, axes and origin set right, broken files refused by name."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pcaug import catalogue
from pcaug.errors import FileError, NotFound, RecipeError
from pcaug.scene.asset import MATERIAL_NAMES, Asset, Placement, Scene, Triangles, placed
from pcaug.scene.recipe import Mesh, SceneRecipe

LARGEST = 500.0
"""Metres: a mesh larger than this without a given size is in another unit."""
MAX_TRIANGLES = 5_000_000


@lru_cache(maxsize=64)
def load_mesh(path: Path, label: str, material: str = "plastic", size: float | None = None, up: str = "z") -> Asset:
    """Read a mesh file as an asset of one class, standing on z = 0 over the origin.

    Args:
        path: glTF, GLB, OBJ, PLY, STL, OFF, 3MF: what trimesh reads.
        label: Class of the taxonomy.
        material: One of MATERIALS.
        size: Largest extent in metres; None trusts the file to be in metres.
        up: Axis of the file that points up; "y" turns (x, y, z) into (x, -z, y).

    Raises:
        NotFound: No such file, class or material.
        FileError: No faces, undecoded or infinite vertices, no extent, or an absurd size.
    """
    if not path.is_file():
        raise NotFound("no such mesh", path)
    if material not in MATERIAL_NAMES:
        raise NotFound(f"no material {material!r}", do=f"choose from {', '.join(MATERIAL_NAMES)}")
    node = catalogue.taxonomy().id(label)
    triangles = _triangles(path)
    if up == "y":
        triangles = np.stack([triangles[..., 0], -triangles[..., 2], triangles[..., 1]], axis=-1)
    points = triangles.reshape(-1, 3)
    extent = float(np.ptp(points, axis=0).max())
    if extent < 1e-9:
        raise FileError(
            "has no extent: its vertices were not decoded (a compressed glTF?) or coincide", path, "export it uncompressed"
        )
    if size is not None:
        triangles = triangles * (size / extent)
    elif extent > LARGEST:
        raise FileError(f"is {extent:.0f} m large: its unit is not the metre", path, "give size = its largest extent in metres")
    low, high = triangles.reshape(-1, 3).min(axis=0), triangles.reshape(-1, 3).max(axis=0)
    triangles = triangles - np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    count = len(triangles)
    faces = np.full(count, MATERIAL_NAMES.index(material), np.uint8)
    return Asset(path.stem, triangles, np.full(count, node, np.uint16), faces, licence="user's own")


def _triangles(path: Path) -> Triangles:
    """All triangles of a file in scene coordinates, degenerate and repeated ones left out."""
    import trimesh

    try:
        loaded: Any = trimesh.load_scene(path)
        meshes = [g for g in loaded.dump() if isinstance(g, trimesh.Trimesh)]
    except Exception as error:  # trimesh's loaders raise whatever they stumble over
        raise FileError(f"cannot be read as a mesh ({type(error).__name__}: {error})", path, "export it as GLB or OBJ") from None
    parts = [np.asarray(mesh.triangles, dtype=np.float64) for mesh in meshes if len(mesh.faces)]
    if not parts:
        raise FileError("mesh without faces", path, "export it with triangles")
    triangles = np.concatenate(parts)
    if len(triangles) > MAX_TRIANGLES:
        raise FileError(f"has {len(triangles):,} triangles", path, f"simplify it below {MAX_TRIANGLES:,}")
    if not np.isfinite(triangles).all():
        raise FileError("has vertices that are not finite", path, "repair it")
    area = np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1)
    solid = triangles[area > 0] if (area > 0).any() else triangles
    order = np.sort(np.round(solid, 6).reshape(len(solid), 3, 3).view([("", np.float64)] * 3).reshape(len(solid), 3), axis=1)
    _, first = np.unique(order, axis=0, return_index=True)
    return solid[np.sort(first)]


def with_meshes(scene: Scene, recipe: SceneRecipe, rng: np.random.Generator) -> Scene:
    """Place a recipe's own meshes around the viewpoint, at its height, without a mutual overlap of their circles.

    Raises:
        RecipeError: If a mesh path leads out of the recipe's folder.
    """
    folder = Path(recipe.folder).resolve()
    taken: list[tuple[float, float, float]] = []
    more: list[Placement] = []
    instance = max((p.instance for p in scene.placements), default=0)
    for row in recipe.assets:
        asset = load_mesh(_inside(folder, row), row.label, row.material, row.size, row.up)
        radius = float(np.ptp(asset.bounds[:, :2], axis=0).max()) / 2
        for _ in range(int(rng.integers(row.count[0], row.count[1] + 1))):
            for _ in range(50):
                distance, angle = rng.uniform(*row.distance), rng.uniform(0, 2 * np.pi)
                x, y = scene.viewpoint[0] + distance * np.cos(angle), scene.viewpoint[1] + distance * np.sin(angle)
                if all(np.hypot(x - a, y - b) > radius + r for a, b, r in taken):
                    taken.append((x, y, radius))
                    instance += 1
                    more.append(placed(asset, (x, y, scene.viewpoint[2]), rng.uniform(0, 2 * np.pi), 1.0, instance))
                    break
    return Scene((*scene.placements, *more), scene.name, scene.viewpoint, scene.heading, scene.extent)


def _inside(folder: Path, row: Mesh) -> Path:
    path = Path(row.path)
    if path.is_absolute():
        return path
    found = (folder / path).resolve()
    if not found.is_relative_to(folder):
        raise RecipeError(
            f"mesh {row.path!r} lies outside the recipe's folder", folder, "move it below, or give an absolute path"
        )
    return found
