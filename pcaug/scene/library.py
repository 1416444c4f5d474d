"""The objects that a world is furnished with: procedural variants, and the user's own meshes where a recipe names any."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from glob import escape
from pathlib import Path

import numpy as np

from pcaug import catalogue
from pcaug.errors import RecipeError
from pcaug.files import stamp
from pcaug.scene import furniture, objects, trees
from pcaug.scene.asset import Asset, Placement, Scene, placed
from pcaug.scene.ground import Site, ground_of, height_at, plan_radius
from pcaug.scene.meshes.card import AssetCard
from pcaug.scene.meshes.entry import PACK, Entry, entries
from pcaug.scene.meshes.helios import load_scene
from pcaug.scene.recipe import AssetRow, Helios, SceneRecipe

Rng = np.random.Generator
VARIANTS = 8
"""Different shapes of each procedural object."""
TRIES = 50
"""Places that are tried for an object without a kind."""

# a kind's place seeds its shapes: new ones go to the end
MAKERS: dict[str, Callable[[Rng], Asset]] = {
    "tree": objects.tree, "conifer": objects.conifer, "bush": objects.bush, "herbs": objects.herbs, "hedge": objects.hedge,
    "car": objects.car, "lorry": objects.lorry, "bicycle": objects.bicycle, "person": objects.person, "lamp": objects.lamp,
    "sign": objects.sign, "signal": objects.signal, "utility_pole": objects.utility_pole, "bollard": objects.bollard,
    "bin": objects.bin_, "bench": objects.bench, "cabinet": objects.cabinet,
    "fence": objects.fence, "guard_rail": objects.guard_rail,
    "broadleaf": trees.broadleaf, "spruce": trees.spruce, "log": trees.log, "stone": trees.stone,
    "table": furniture.table, "desk": furniture.desk, "chair": furniture.chair, "sofa": furniture.sofa, "bed": furniture.bed,
    "shelf": furniture.shelf, "cupboard": furniture.cupboard, "radiator": furniture.radiator, "clutter": furniture.clutter,
    "ceiling_lamp": furniture.ceiling_lamp, "wall": objects.wall, "board": objects.board,
    "grass": objects.grass,
}  # fmt: skip


@lru_cache(maxsize=1024)
def variant(name: str, index: int) -> Asset:
    """The index-th shape of an object; made once, so that its acceleration structure is built once too."""
    return MAKERS[name](np.random.default_rng((list(MAKERS).index(name), index)))


def check_kinds(kinds: Iterable[str]) -> None:
    """Raise RecipeError for a kind of object that does not exist."""
    if strange := next((kind for kind in kinds if kind not in MAKERS), None):
        raise RecipeError(f"no object kind {strange!r}", do=f"choose from {', '.join(MAKERS)}")


@lru_cache(maxsize=64)
def stock(path: Path, row: AssetRow) -> tuple[Entry, ...]:
    """The meshes that a recipe's row names, with the card keys of the row."""
    said = {key: getattr(row, key) for key in row.model_fields_set & set(AssetCard.model_fields)}
    return tuple(Entry(e.folder, e.file, e.card.model_copy(update=said), e.name, e.tags) for e in entries(path, row.only))


class Library:
    """Where the objects of a scene come from.

    Args:
        rows: The recipe's ``[[assets]]``.
        folder: Where their relative paths start.

    Raises:
        RecipeError: A kind that does not exist, or a path that leads out of the folder.
        NotFound: Nothing at a path, or no mesh that matches.
    """

    def __init__(self, rows: tuple[AssetRow, ...] = (), folder: Path = Path()) -> None:
        self.folder = folder.resolve()
        self.rows = [(row, stock(self.inside(row.path), row)) for row in rows]
        check_kinds(row.kind for row in rows if row.kind is not None)

    def inside(self, name: str) -> Path:
        """A path of the recipe: absolute, or below its folder."""
        path = Path(name)
        if path.is_absolute():
            return path
        found = (self.folder / path).resolve()
        if not found.is_relative_to(self.folder):
            raise RecipeError(
                f"mesh {name!r} lies outside the recipe's folder", self.folder, "move it below, or give an absolute path"
            )
        return found

    def pick(self, kind: str, rng: Rng) -> Asset:
        """One object of a kind: of a row of meshes, each at its share (of their sum where that is above 1), or a procedural one.
        A recipe without meshes of that kind draws one number, whatever else it holds."""
        rows = [(row.share, found) for row, found in self.rows if row.kind == kind]
        total = max(1.0, sum(share for share, _ in rows))
        place = rng.random() * total if any(share < total for share, _ in rows) else 0.0
        for share, found in rows:
            if place < share:
                return found[int(rng.integers(len(found)))].load().asset
            place -= share
        return variant(kind, int(rng.integers(VARIANTS)))

    def scattered(self, scene: Scene, rng: Rng) -> Scene:
        """A scene with the meshes that have no kind around its viewpoint, on its ground, clear of what stands there and of each
        other. What finds no place is left out; a row of which nothing does is warned of."""
        rows = [(row, found) for row, found in self.rows if row.kind is None]
        if not rows:
            return scene
        site = Site(scene)
        taken: list[tuple[float, float, float]] = []
        more: list[Placement] = []
        instance = max((p.instance for p in scene.placements), default=0)
        for row, found in rows:
            wanted, before = int(rng.integers(row.count[0], row.count[1] + 1)), len(more)
            for _ in range(wanted):
                asset = found[int(rng.integers(len(found)))].load().asset
                at = _free(site, asset, row, scene, taken, rng)
                if at is not None:
                    taken.append((*at[:2], plan_radius(asset)))
                    more.append(placed(asset, at, rng.uniform(0, 2 * np.pi), 1.0, instance + len(more) + 1))
            if wanted and len(more) == before:
                reach = "{:g} to {:g} m".format(*row.distance)
                warnings.warn(f"{row.path}: found no free ground {reach} from the viewpoint of {scene.name}", stacklevel=2)
        return replace(scene, placements=(*scene.placements, *more))


def _free(
    site: Site, asset: Asset, row: AssetRow, scene: Scene, taken: Sequence[tuple[float, float, float]], rng: Rng
) -> tuple[float, float, float] | None:
    """A place (x, y, z) in metres for an asset of a row, off the circles (x, y, radius) that are taken; None where TRIES give
    none."""
    radius, height = plan_radius(asset), float(asset.bounds[1, 2])
    for _ in range(TRIES):
        distance, angle = rng.uniform(*row.distance), rng.uniform(0, 2 * np.pi)
        x, y = (float(v) for v in scene.viewpoint[:2] + distance * np.array([np.cos(angle), np.sin(angle)]))
        if any(np.hypot(x - a, y - b) <= radius + r for a, b, r in taken):
            continue
        level = site.level(x, y, radius, height)
        if level is not None:
            return x, y, level
    return None


def stamped(recipe: SceneRecipe) -> str:
    """Digest of name, bytes and time of the last change of the files that a recipe names: its worlds depend on them too.

    Raises:
        RecipeError: A path that leads out of the recipe's folder.
        NotFound, FileError, MissingExtra: Of a HELIOS++ scene.
    """
    library = Library(folder=Path(recipe.folder))
    named = [row.path for row in recipe.assets] + ([recipe.helios.path] if recipe.helios else [])
    files = [[str(file), *stamp(file)] for name in named for file in _files(library.inside(name))]
    return hashlib.sha256(json.dumps(files).encode()).hexdigest()


def _files(path: Path) -> list[Path]:
    """All files below a folder; else a mesh (of a scene: its meshes), and what says more of it beside it."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    meshes = {entry.folder / entry.file for entry in entries(path)} if path.suffix.lower() == ".xml" else set()
    found = {f for mesh in (path, *meshes) for name in (PACK, "*.mtl", f"{escape(mesh.stem)}.*") for f in mesh.parent.glob(name)}
    return sorted(found)


def build_helios(recipe: Helios, name: str, rng: Rng, library: Library) -> Scene:
    """A HELIOS++ scene, the same every time. Its ground is no object, and a scanner in its middle stands on it."""
    scene = load_scene(library.inside(recipe.path))
    nodes = catalogue.taxonomy().subtree("ground")
    parts = tuple(replace(p, instance=0) if np.isin(p.asset.face_label, nodes).all() else p for p in scene.placements)
    viewpoint, ground = scene.viewpoint.copy(), ground_of(scene)
    if ground is not None:
        viewpoint[2] = height_at(ground, viewpoint[0], viewpoint[1])
    return Scene(parts, name, viewpoint, scene.heading, scene.extent)
