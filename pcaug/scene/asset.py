"""Assets: labelled triangles; placements of them; and a scene, which is no more than those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import about_z
from pcaug.errors import PcaugError

if TYPE_CHECKING:
    from pcaug.scene.air import Air
    from pcaug.scene.weathering import Weathering

Triangles = NDArray[np.float64]
"""(M, 3, 3) float64: corners of M triangles, metres, z up."""


class Material(NamedTuple):
    """How a surface answers a laser of about 905 nm.

    Attributes:
        reflectance: Lambertian, 0..1.
        transmission: Probability that a beam passes (gaps between leaves, glass, wire mesh).
        retro: Whether it sends light back whatever the angle.
        relief: Standard deviation of the heights of ground about its mesh, metres: blades of grass, stones, joints.
    """

    reflectance: float
    transmission: float = 0.0
    retro: bool = False
    relief: float = 0.0


MATERIALS: dict[str, Material] = {
    "asphalt": Material(0.25, relief=0.001),
    "marking": Material(0.45),
    "concrete": Material(0.33, relief=0.001),
    "pavers": Material(0.30, relief=0.004),
    "gravel": Material(0.28, relief=0.008),
    "grass": Material(0.42, relief=0.011),
    "soil": Material(0.25, relief=0.01),
    "brick": Material(0.30),
    "plaster": Material(0.48),
    "roof_tile": Material(0.27),
    "glass": Material(0.08, transmission=0.75),
    "wood": Material(0.38),
    "bark": Material(0.32),
    "leaves": Material(0.46, transmission=0.25),
    "car_paint": Material(0.35),
    "dark_paint": Material(0.08),
    "rubber": Material(0.06),
    "metal": Material(0.40),
    "wire_mesh": Material(0.40, transmission=0.65),
    "sign": Material(0.85, retro=True),
    "cloth": Material(0.35),
    "plastic": Material(0.30),
    "water": Material(0.02),
}
"""Reflectances after the spectra of the ECOSTRESS library near 905 nm, rounded: they vary more than they differ."""

GREYS = tuple(round(0.05 * step, 2) for step in range(1, 18)), tuple(round(0.1 * step, 1) for step in range(10))
"""Reflectances and transmissions of the surfaces that have numbers instead of a name."""
MATERIALS |= {f"grey {r} {t}": Material(r, transmission=t) for r in GREYS[0] for t in GREYS[1]}

MATERIAL_NAMES = tuple(MATERIALS)


def grey(reflectance: float, transmission: float) -> str:
    """Name of the material nearest to two numbers: a face stores its material in one byte, hence the steps."""
    r, t = (min(steps, key=lambda s: abs(s - value)) for steps, value in zip(GREYS, (reflectance, transmission), strict=True))
    return f"grey {r} {t}"


NOT_STATED = "not stated"
"""Licence of meshes that say none."""


@dataclass(frozen=True, eq=False)
class Asset:
    """A labelled mesh, standing on z = 0 at the origin unless its maker says otherwise.

    Attributes:
        name: What it is.
        triangles: (M, 3, 3) float64, metres, z up.
        face_label: (M,) uint16 taxonomy node of each face.
        face_material: (M,) uint8 index into MATERIAL_NAMES.
        licence: Of the mesh, or NOT_STATED; "" for procedural ones.

    Raises:
        PcaugError: Without faces, or for arrays of other shapes or other materials.
    """

    name: str
    triangles: Triangles
    face_label: NDArray[np.uint16]
    face_material: NDArray[np.uint8]
    licence: str = ""

    def __post_init__(self) -> None:
        if not len(self.triangles):
            raise PcaugError("mesh without faces", self.name)
        count = len(self.triangles)
        if self.triangles.shape != (count, 3, 3) or self.face_label.shape != (count,) or self.face_material.shape != (count,):
            shapes = ", ".join(str(array.shape) for array in (self.triangles, self.face_label, self.face_material))
            what = f"mesh whose triangles, labels and materials have the shapes {shapes}"
            raise PcaugError(what, self.name, "each face, (3, 3), has one label and one material")
        if not np.isfinite(self.triangles).all():
            raise PcaugError("mesh with vertices that are not finite", self.name)
        if self.face_material.max() >= len(MATERIAL_NAMES):
            raise PcaugError(f"mesh of material {self.face_material.max()}", self.name, f"there are {len(MATERIAL_NAMES)}")

    @cached_property
    def bounds(self) -> NDArray[np.float64]:
        """(2, 3) lowest and highest corner, metres."""
        points = self.triangles.reshape(-1, 3)
        return np.stack([points.min(axis=0), points.max(axis=0)])


@dataclass(frozen=True, eq=False)
class Placement:
    """An asset in a scene.

    Attributes:
        asset: What.
        world_from_asset: (4, 4) similarity: rotation, uniform scale, translation.
        instance: Number of the object; 0 where it is none (ground, walls).
    """

    asset: Asset
    world_from_asset: NDArray[np.float64]
    instance: int

    def standing(self, faces: slice | NDArray[np.bool_] = slice(None)) -> Triangles:
        """(M, 3, 3) all or some of its triangles, where they stand in the scene."""
        turned: Triangles = np.einsum("nki,ji->nkj", self.asset.triangles[faces], self.world_from_asset[:3, :3])
        return turned + self.world_from_asset[:3, 3]


@dataclass(frozen=True, eq=False)
class Scene:
    """Placed assets.

    Attributes:
        placements: What stands where.
        name: Name of the recipe.
        viewpoint: (3,) where a scanner that stands in the scene stands, on the ground; its x axis is ahead.
        heading: Yaw of the viewpoint, radians.
        extent: (2, 2) lowest and highest plan corner of what is worth scanning from the air.
        weathering: What its surfaces add to their materials; None for nothing.
        air: What is between them and the scanner; None for clear air.
    """

    placements: tuple[Placement, ...]
    name: str
    viewpoint: NDArray[np.float64]
    heading: float
    extent: NDArray[np.float64]
    weathering: Weathering | None = None
    air: Air | None = None


@dataclass
class Builder:
    """Gathers triangles with their labels and materials, part by part."""

    triangles: list[Triangles] = field(default_factory=list)
    labels: list[NDArray[np.uint16]] = field(default_factory=list)
    materials: list[NDArray[np.uint8]] = field(default_factory=list)

    def add(self, triangles: Triangles, label: str, material: str) -> None:
        """Add triangles (M, 3, 3) of one class and material."""
        count = len(triangles)
        self.triangles.append(triangles)
        self.labels.append(np.full(count, catalogue.taxonomy().id(label), np.uint16))
        self.materials.append(np.full(count, MATERIAL_NAMES.index(material), np.uint8))

    def add_faces(self, triangles: Triangles, labels: NDArray[np.uint16], materials: NDArray[np.uint8]) -> None:
        """Add triangles with a label and a material each."""
        self.triangles.append(triangles)
        self.labels.append(labels)
        self.materials.append(materials)

    def asset(self, name: str) -> Asset:
        """All parts as one asset."""
        if not self.triangles:
            raise PcaugError("mesh without faces", name)
        return Asset(name, np.concatenate(self.triangles), np.concatenate(self.labels), np.concatenate(self.materials))


def placed(asset: Asset, at: Sequence[float], yaw: float = 0.0, scale: float = 1.0, instance: int = 0) -> Placement:
    """Place an asset upright: position (x, y, z) in metres, yaw in radians about z, uniform scale."""
    transform = np.eye(4)
    transform[:3, :3] = about_z(yaw) * scale
    transform[:3, 3] = at
    return Placement(asset, transform, instance)
