"""Asset cards: what a mesh file does not say of itself: class, size, axes, ground, surfaces, licence."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pcaug.catalogue import Strict
from pcaug.scene.asset import MATERIALS

Axis = Literal["x", "y", "z", "-x", "-y", "-z"]

PLAUSIBLE: dict[str, tuple[float, float]] = {
    "car": (2.4, 7.0), "heavy_vehicle": (3.5, 26.0), "two_wheeler": (0.8, 3.2), "person": (0.4, 2.3),
    "tree": (0.8, 60.0), "low_vegetation": (0.05, 15.0), "building": (1.5, 300.0), "wall_fence": (0.2, 60.0),
    "pole": (0.5, 45.0), "sign_light": (0.1, 15.0),
    "street_furniture": (0.1, 15.0), "seating": (0.2, 5.0), "table": (0.25, 7.0), "other_furniture": (0.02, 8.0),
    "opening": (0.2, 12.0), "bridge": (2.0, 500.0),
}  # fmt: skip
"""Class -> lowest and highest largest extent, metres, that is believed of a file whose card gives no size."""


class PartRule(Strict):
    """What the faces of some parts of a mesh are. The first rule that matches a part decides.

    Attributes:
        match: Pattern ("*", "?", "[ab]") on the name of the node, the mesh or the material; upper and lower case are one.
        label: Class of the taxonomy; without it the asset's own.
        material: One of the materials of ``pcaug.scene.asset``; without it what the name of the part's own
            material means, or the asset's.
        reflectance: 0..1 at the laser's wavelength, instead of the material's.
        transmission: Probability that a beam passes (foliage, glass, mesh), instead of the material's.
        drop: Leave these faces out (a lawn tile, a shadow plane).
    """

    match: str = Field(min_length=1)
    label: str | None = None
    material: str | None = None
    reflectance: float | None = Field(default=None, ge=0, le=1)
    transmission: float | None = Field(default=None, ge=0, le=1)
    drop: bool = False

    _known = field_validator("material")(lambda value: known_material(value))

    def covers(self, *names: str) -> bool:
        """Whether the pattern matches one of a part's names."""
        return any(fnmatchcase(name.lower(), self.match.lower()) for name in names)


class AssetCard(Strict):
    """One asset. Every key may be left out; what a file itself says is then believed.

    Attributes:
        label: Class of the taxonomy of all faces that no part rule names.
        material: Material of those faces whose own material's name means none; plastic without it.
        size: Largest extent, or extents along x (ahead), y (left) and z (up), metres; 0 keeps the proportions.
        unit: Metres per unit of the file. A size wins over it.
        up: Axis of the file that points up.
        forward: Axis of the file that points ahead.
        rotation: Nine numbers, row by row: a turn in the file's axes before all else.
        ground: "bottom" puts the lowest point on the ground over the middle of the box; "origin" keeps the file's origin;
            a number puts the bottom that many metres above the ground (wall lamps) or below it (a pool).
        parts: Rules for its parts.
        licence, author, source: Whose it is.
    """

    label: str | None = None
    material: str | None = None
    size: float | tuple[float, float, float] | None = None
    unit: float | None = Field(default=None, gt=0)
    up: Axis | None = None
    forward: Axis | None = None
    rotation: tuple[float, ...] | None = Field(default=None, min_length=9, max_length=9)
    ground: Literal["bottom", "origin"] | float = "bottom"
    parts: tuple[PartRule, ...] = ()
    licence: str = ""
    author: str = ""
    source: str = ""

    _known = field_validator("material")(lambda value: known_material(value))

    @field_validator("size")
    @classmethod
    def _some_size(cls, size: Any) -> Any:
        extents = size if isinstance(size, tuple) else (size,)
        if size is not None and (min(extents) < 0 or max(extents) <= 0):
            raise ValueError("a size is a positive number of metres, or three with 0 for those in proportion")
        return size

    @model_validator(mode="after")
    def _right_angles(self) -> AssetCard:
        if self.up and self.forward and self.up[-1] == self.forward[-1]:
            raise ValueError(f"up {self.up!r} and forward {self.forward!r} lie along one axis")
        return self


def known_material(value: str | None) -> str | None:
    """The name of a material, checked; raises ValueError with the choice (pydantic turns it into a RecipeError)."""
    if value is not None and value not in MATERIALS:
        raise ValueError(f"no material {value!r}: choose from {', '.join(n for n in MATERIALS if not n.startswith('grey'))}")
    return value
