"""Sweet Home 3D furniture libraries (.sh3f, or their folder): real sizes, categories, licences.

Format: "PluginFurnitureCatalog.properties" as in the developer's guide of Sweet Home 3D (plug-in and furniture library files):
keys ``name#N``; lengths in centimetres; models y up with their front to +z; each is stretched to width x depth x height.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pcaug import catalogue
from pcaug.errors import FileError, MissingExtra, RecipeError
from pcaug.scene.meshes.bundle import Bundle
from pcaug.scene.meshes.card import PLAUSIBLE, AssetCard
from pcaug.scene.meshes.entry import Entry

CATALOGUE = "PluginFurnitureCatalog.properties"
WORDS = (
    ("opening", ("door", "window", "gate", "shutter")),
    ("two_wheeler", ("bicycle", "bike", "motorcycle", "scooter", "moped")),
    ("heavy_vehicle", ("bus", "truck", "lorry", "tractor")),
    ("pole", ("street lamp", "street light", "park light", "lamppost", "lamp post")),
    ("low_vegetation", ("bush", "hedge", "plant", "flower", "flowers", "grass", "ficus", "cactus", "shrub", "fern")),
    ("tree", ("tree", "palm", "cypress", "acacia", "japanese maple", "poplar", "copper beech", "sycamore", "bamboo")),
    ("seating", ("chair", "armchair", "sofa", "couch", "stool", "bench", "seat", "settee", "ottoman", "deckchair", "pouf")),
    ("table", ("table", "desk", "workbench", "counter")),
    ("wall_fence", ("fence", "railing", "wall", "barrier")),
    ("street_furniture", ("fountain", "mailbox", "hydrant", "trash", "dustbin", "barbecue")),
)
"""Class -> words of a name or its tags that mean it; the first that fits decides."""
CATEGORIES = {
    "Characters": "person", "Doors and windows": "opening", "Vehicles": "car", "Exterior": "street_furniture",
    "Staircases": "other_structure",
}  # fmt: skip
FOLIAGE = (
    {"match": "*trunk*", "label": "tree", "material": "bark"},
    {"match": "*bark*", "label": "tree", "material": "bark"},
    {"match": "*lea[fv]*", "label": "tree", "material": "leaves"},
)


def entries(bundle: Bundle) -> list[Entry]:
    """All pieces of a library, its class by name, tags and category.

    Raises:
        FileError: A line without the keys that every piece has, or with a number that is none or cannot be.
        MissingExtra: Without ``javaproperties``.
    """
    try:
        import javaproperties
    except ImportError:
        raise MissingExtra("Sweet Home 3D libraries need javaproperties", bundle.path, "pip install 'pcaug[assets]'") from None
    try:
        said: dict[str, str] = javaproperties.loads(bundle.read(CATALOGUE))
    except (ValueError, AttributeError) as error:
        raise FileError(f"cannot be read as Java properties ({error})", bundle.where(CATALOGUE)) from None
    pieces: dict[int, dict[str, str]] = {}
    for key, value in said.items():
        field, _, number = key.partition("#")
        if number.isdecimal() and len(number) < 10:
            pieces.setdefault(int(number), {})[field] = value
    return [_entry(bundle, said, number, piece) for number, piece in sorted(pieces.items())]


def _entry(bundle: Bundle, said: dict[str, str], number: int, piece: dict[str, str]) -> Entry:
    where = f"{bundle.where(CATALOGUE)} #{number}"
    try:
        width, depth, height = (float(piece[key]) / 100 for key in ("width", "depth", "height"))
        elevation = float(piece.get("elevation", 0)) / 100
        turn = tuple(float(v) for v in piece["modelRotation"].split()) if "modelRotation" in piece else None
        file = bundle.inside(piece["model"].lstrip("/"))
    except KeyError as error:
        raise FileError(f"lacks {error}", where, "see the catalogue format of Sweet Home 3D") from None
    except ValueError as error:
        raise FileError(f"has a number that is none ({error})", where, "see the catalogue format of Sweet Home 3D") from None
    label = class_of(piece.get("name", ""), piece.get("tags", ""), piece.get("category", ""), (depth, width, height))
    keys = {
        "label": label, "size": (depth, width, height), "up": "y", "forward": "z", "rotation": turn,
        "ground": elevation if elevation > 0 else "bottom",
        "licence": said.get("license", ""), "author": piece.get("creator", ""), "source": said.get("name", ""),
        "parts": FOLIAGE if label == "tree" else (),
    }  # fmt: skip
    try:
        card = catalogue.decode(keys, Path(where), AssetCard)
    except RecipeError as error:
        raise FileError(
            f"has a number that cannot be ({error.what})", where, "see the catalogue format of Sweet Home 3D"
        ) from None
    tags = (piece.get("category", ""), *(t.strip() for t in piece.get("tags", "").split(",") if t.strip()))
    return Entry(bundle.path, file, card, piece.get("name", file), tags)


def class_of(name: str, tags: str, category: str, size: tuple[float, float, float]) -> str:
    """Class of a piece: by a word of its name, then of its tags, then by its category; else other furniture.

    A class that does not suit the size (metres) is not believed: a toy car is an ``object``, a ficus of 5 m a tree.
    """
    label = CATEGORIES.get(category, "other_furniture")
    words = [row for row in WORDS if category != "Vehicles" or row[0] in ("two_wheeler", "heavy_vehicle")]
    if category not in ("Characters", "Doors and windows"):
        plain = [" " + "".join(c if c.isalnum() else " " for c in text.lower()) + " " for text in (name, tags)]
        label = next((k for text in plain for k, ws in words if any(f" {w} " in text or f" {w}s " in text for w in ws)), label)
    if label == "seating" and category == "Exterior":
        return "street_furniture"
    if label == "low_vegetation" and size[2] > 3:
        return "tree"
    low, high = PLAUSIBLE.get(label, (0.0, np.inf))
    return label if low <= max(size) <= high else "object"
