"""Which value of a scene recipe closes which gap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pcaug.labels import Taxonomy

Knobs = Mapping[str, tuple[str, ...]]

SHARES: Mapping[str, Knobs] = {
    "street": {
        "car": ("street.parked", "street.moving", "street.parking"),
        "person": ("street.people",),
        "two_wheeler": ("street.bicycles",),
        "tree": ("street.trees",),
        "low_vegetation": ("street.bushes", "street.hedge", "street.cover"),
        "pole": ("street.lamps", "street.signs"),
        "sign_light": ("street.signs",),
        "street_furniture": ("street.furniture",),
        "wall_fence": ("street.fence", "street.wall"),
        "sidewalk": ("street.sidewalk",),
        "terrain": ("street.verge", "street.setback"),
        "road": ("street.lane", "street.junction"),
        "building": ("-street.setback",),
    },
    "town": {
        "building": ("town.house", "-town.empty"),
        "tree": ("town.trees",),
        "low_vegetation": ("town.bushes", "town.hedge"),
        "road": ("town.road",),
        "car": ("town.cars",),
        "terrain": ("town.plot",),
    },
}
"""World -> class -> keys of the recipe that give it more points ("-": fewer)."""

HEIGHTS: Mapping[str, Mapping[str, str]] = {
    "town": {"tree": "tree_height", "building": "eaves"},
    "wood": {"tree": "tree_height"},
}
"""World -> class -> its key for how high it is, a range."""

SHAPES: Mapping[str, Mapping[str, Knobs]] = {
    "street": {
        "range": {
            "": ("sensor.range_max",),
            "building": ("street.setback",),
            "vegetation": ("street.verge", "street.setback"),
            "pole_like": ("street.verge", "street.sidewalk"),
            "person": ("street.sidewalk",),
        },
        "roughness": {"paved": ("surfaces.relief", "sensor.noise"), "terrain": ("surfaces.relief", "street.roughness")},
        "flatness": {"paved": ("-surfaces.relief", "-sensor.noise"), "terrain": ("-surfaces.relief", "-street.roughness")},
        "verticality": {"terrain": ("street.roughness", "street.slope"), "paved": ("street.slope", "street.crossfall")},
    },
    "town": {
        "height above ground": {
            "building": ("town.eaves", "town.pitch"),
            "tree": ("town.tree_height",),
            "ground": ("town.relief",),
        },
        "roughness": {"ground": ("surfaces.relief", "sensor.noise")},
        "flatness": {"ground": ("-surfaces.relief", "-sensor.noise")},
        "verticality": {"building": ("town.pitch", "-town.flat"), "ground": ("town.relief",)},
    },
    "airborne": {
        "point spacing": {"": ("-sensor.density", "-sensor.strips")},
        "returns": {"": ("sensor.divergence", "-sensor.pulse")},
    },
}
"""World or sensor -> quantity -> class ("": any) -> keys of the recipe that raise it ("-": that lower it)."""

OTHERWISE = {
    "height above ground": "other sizes of these objects",
    "range": "other distances, or cut both sets to the same range",
    "point spacing": "thin the denser set, or vary the density in training",
    "roughness": "shapes with as much detail as the real ones have, or noise as the real scanner has it",
    "flatness": "less perfect shapes, or noise as the real scanner has it",
    "verticality": "other shapes of these objects",
    "intensity": "reflectances fitted to the real set, or train without intensity",
    "returns": "the echoes of the real scanner, or train without returns",
    "share": "weight this class in training",
}
"""What helps where no recipe is known, or its values do not reach."""


def advice(what: str, name: str, more: bool, recipe: Mapping[str, Any] | None, taxonomy: Taxonomy) -> str:
    """What to change where the synthetic set has more (or less) of something.

    Args:
        what: "share", or a quantity of ``statistics.QUANTITIES``.
        name: Of the class.
        more: Whether the synthetic set has more of it.
        recipe: That composed it, as its corpus recorded it; None for a set that was not composed.
        taxonomy: Of the classes.

    Returns:
        Such as "lower street.parked (now 2 to 9)".
    """
    for key in keys(what, name, recipe, taxonomy):
        if said := _turned(key, more, recipe or {}):
            return said
    return OTHERWISE[what]


def turn(key: str, more: bool, recipe: Mapping[str, Any] | None) -> str:
    """ ": lower sensor.noise (now 0.02)" for a key of the recipe's sensor that should fall; "" where there is no such key."""
    said = _turned(("-" if key.startswith("-") else "") + "sensor." + key.lstrip("-"), more, recipe or {}) if key else None
    return f": {said}" if said else ""


def _turned(key: str, more: bool, recipe: Mapping[str, Any]) -> str | None:
    name, lower = key.lstrip("-"), more != key.startswith("-")
    value = _value(recipe, name)
    if value is None:
        return None
    if name == "sensor.divergence" and _value(recipe, "sensor.sub_rays") == "1":  # a beam that is a line has no width
        return None if lower else f"raise sensor.sub_rays (now 1) to 7, then {name} (now {value})"
    return f"{'lower' if lower else 'raise'} {name} (now {value})"


def keys(what: str, name: str, recipe: Mapping[str, Any] | None, taxonomy: Taxonomy) -> tuple[str, ...]:
    """Keys of a recipe that act on a quantity or the share of a class, the likeliest first."""
    if recipe is None:
        return ()
    worlds = [world for world in ("street", "town") if recipe.get(world)]
    if what == "share":
        found = [_of_class(SHARES[world], name, taxonomy) for world in worlds]
    else:
        sensor = (recipe.get("sensor") or {}).get("kind", "")
        tables = [SHAPES.get(part, {}).get(what, {}) for part in (*worlds, sensor)]
        found = [_of_class(table, name, taxonomy) or table.get("", ()) for table in tables]
    return tuple(key for row in found for key in row)


def _of_class(table: Knobs, name: str, taxonomy: Taxonomy) -> tuple[str, ...]:
    """Rows for the class itself, for what stands below it, or for what it stands below."""
    node = taxonomy.id(name)
    for related in (
        lambda other: other == node,
        lambda other: taxonomy.covers(node, other),
        lambda other: taxonomy.covers(other, node),
    ):
        rows = [row for key, row in table.items() if key and related(taxonomy.id(key))]
        if rows:
            return tuple(key for row in rows for key in row)
    return ()


def _value(recipe: Mapping[str, Any], key: str) -> str | None:
    table, _, last = key.partition(".")
    value = (recipe.get(table) or {}).get(last)
    if isinstance(value, list | tuple):
        return " to ".join(f"{v:g}" for v in value)
    return None if value is None else f"{value:g}"
