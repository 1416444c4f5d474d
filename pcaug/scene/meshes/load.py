"""A mesh file and its card as an asset: upright, ahead along x, in metres, on the ground, each face with class and surface."""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.errors import FileError, RecipeError
from pcaug.scene.asset import MATERIALS, NOT_STATED, Asset, Builder, Triangles, grey
from pcaug.scene.meshes.bundle import Bundle
from pcaug.scene.meshes.card import PLAUSIBLE, AssetCard, PartRule
from pcaug.scene.meshes.part import MeshFile, Part
from pcaug.scene.meshes.read import read_mesh

LARGEST = 500.0
"""Metres: a mesh larger than this without a given size is in another unit."""
FORWARD = {"x": "z", "y": "z", "z": "x", "-x": "z", "-y": "z", "-z": "x"}
"""Axis that points ahead where neither card nor file say so, for each axis that points up."""
SURFACES = (
    ("glass", ("*glass*", "*window*", "*windscreen*", "*windshield*", "*vitre*")),
    ("leaves", ("*leaf*", "*leaves*", "*foliage*", "*needles*")),
    ("bark", ("*bark*", "*trunk*", "*branch*")),
    ("rubber", ("*tire*", "*tyre*", "*rubber*")),
    ("metal", ("*metal*", "*chrome*", "*steel*", "*iron*", "*alumin*")),
    ("wood", ("*wood*", "*oak*", "*parquet*")),
    ("cloth", ("*cloth*", "*fabric*", "*textile*", "*leather*")),
)
"""Material -> patterns on names that mean it, where the card does not say. They set reflectance, never a class."""


class Loaded(NamedTuple):
    """An asset, and what was wrong with its file: a line each, all of it dealt with as the line says."""

    asset: Asset
    problems: tuple[str, ...]


@lru_cache(maxsize=512)
def load_asset(folder: Path, name: str, card: AssetCard) -> Loaded:
    """Read a mesh as an asset. The same arguments give the same object, so placements share it.

    Args:
        folder: Folder or zip archive; nothing outside it is read.
        name: The mesh file in it.
        card: What the file does not say. Without a size, the file's unit is believed if the extent suits the class.

    Raises:
        FileError: Broken, without extent, or of an unbelievable size; see ``read_mesh``.
        RecipeError: The card gives no class, or its rules drop every face.
        NotFound: No such file or class.
    """
    bundle = Bundle(folder)
    where = bundle.where(name)
    found = read_mesh(bundle, name)
    turn = _turn(card, found, where)
    triangles = [np.einsum("mck,ik->mci", part.triangles, turn) for part in found.parts]  # not BLAS: same bytes everywhere
    kept = [i for i, part in enumerate(found.parts) if not ((rule := _rule(card, part)) and rule.drop)]
    if not kept:
        raise RecipeError("the card drops every part", where, "narrow its [[parts]] patterns")
    box = _bounds([triangles[i] for i in kept])
    factor = _factor(card, found, box, where)
    box = box * factor
    shift = np.zeros(3) if card.ground == "origin" else -np.array([*box.mean(axis=0)[:2], box[0, 2]])
    if isinstance(card.ground, float | int):
        shift[2] += card.ground
    out = Builder()
    for index in kept:
        part = found.parts[index]
        label, material = _face(card, part, where)
        out.add(triangles[index] * factor + shift, label, material)
    asset = out.asset(Path(name).stem)
    licence = card.licence or found.licence or NOT_STATED
    said = found.problems if card.up or found.up else [*found.problems, "does not say which axis is up: z is assumed"]
    return Loaded(Asset(asset.name, asset.triangles, asset.face_label, asset.face_material, licence), tuple(said))


def _turn(card: AssetCard, found: MeshFile, where: str) -> NDArray[np.float64]:
    """(3, 3) rotation of the file's axes to x ahead, y left, z up."""
    up = card.up or found.up or "z"
    ahead = card.forward or (found.forward if up == found.up else None) or FORWARD[up]
    if ahead[-1] == up[-1]:
        raise RecipeError(f"up {up!r} and forward {ahead!r} lie along one axis", where, "give both on the card")
    x, z = _axis(ahead), _axis(up)
    turn: NDArray[np.float64] = np.stack([x, np.cross(z, x), z])
    if card.rotation is None:
        return turn
    first = np.array(card.rotation).reshape(3, 3)
    if not np.allclose(first @ first.T, np.eye(3), atol=1e-3):
        raise RecipeError("rotation is not a rotation: its rows are not at right angles", where)
    combined: NDArray[np.float64] = turn @ first
    return combined


def _axis(name: str) -> NDArray[np.float64]:
    axis: NDArray[np.float64] = np.eye(3)["xyz".index(name[-1])] * (-1.0 if name.startswith("-") else 1.0)
    return axis


def _bounds(parts: list[Triangles]) -> NDArray[np.float64]:
    points = np.concatenate(parts).reshape(-1, 3)
    return np.stack([points.min(axis=0), points.max(axis=0)])


def _factor(card: AssetCard, found: MeshFile, box: NDArray[np.float64], where: str) -> NDArray[np.float64]:
    """(3,) metres per unit along each axis; a size wins over a unit, a unit over what the file says."""
    extent = box[1] - box[0]
    if isinstance(card.size, tuple):
        wanted = np.array(card.size)
        given = (wanted > 0) & (extent > 1e-9)
        if not given.any():
            raise FileError("is flat along the axes whose size the card gives", where, "give another extent")
        ratio: NDArray[np.float64] = np.divide(wanted, extent, out=np.zeros(3), where=given)
        ratio[~given] = np.exp(np.log(ratio[given]).mean())
        return ratio
    if card.size is not None:
        return np.full(3, card.size / extent.max())
    unit = card.unit or found.unit or 1.0
    size = float(extent.max()) * unit
    low, high = PLAUSIBLE.get(card.label or "", (0.0, LARGEST))
    if card.unit is None and not low <= size <= high:
        what = f"a {card.label} of {size:.3g} m is not believed" if card.label in PLAUSIBLE else f"is {size:.0f} m large"
        do = "give size = its largest extent in metres, or unit = metres per unit"
        raise FileError(f"{what}: its unit is not the metre", where, do)
    return np.full(3, unit)


def _rule(card: AssetCard, part: Part) -> PartRule | None:
    return next((rule for rule in card.parts if rule.covers(part.node, part.mesh, part.material)), None)


def _face(card: AssetCard, part: Part, where: str) -> tuple[str, str]:
    """Class and material of a part's faces: the card's rule, then what the file says, then the material's name."""
    rule = _rule(card, part) or PartRule(match="*")
    native = None if part.native_class is None else helios_node(part.native_class)
    label = rule.label or native or card.label
    if label is None:
        raise RecipeError(f"no class for {part.name}", where, "give label on its card, or name its folder after a class")
    catalogue.taxonomy().id(label)
    name = rule.material or _named(part) or card.material or "plastic"
    base = MATERIALS[name]
    reflectance = next(v for v in (rule.reflectance, part.reflectance, base.reflectance) if v is not None)
    stated = part.transmission if rule.material is None else None
    transmission = next(v for v in (rule.transmission, stated, base.transmission) if v is not None)
    changed = (reflectance, transmission) != (base.reflectance, base.transmission)
    return label, grey(reflectance, transmission) if changed else name


@cache
def helios_node(native: int) -> str:
    """Taxonomy node of a ``helios_classification``, as the dataset card ``helios`` has it; "ignore" for ids not on it."""
    rows = catalogue.read_toml(catalogue.shipped("datasets") / "helios.toml")["classes"]
    return str(rows.get(str(native), {"node": "ignore"})["node"])


def _named(part: Part) -> str | None:
    """The material that a part's names mean."""
    return next(
        (m for m, patterns in SURFACES if any(PartRule(match=p).covers(part.material, part.mesh) for p in patterns)), None
    )
