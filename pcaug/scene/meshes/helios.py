"""HELIOS++ scenes (scene XML, OBJ, MTL with ``helios_classification``) as placed assets.

Format: the XSDs of HELIOS++ and what its ScenePart does: a part is rotated, then scaled, then translated, whatever the
order of its filters; ``up="y"`` turns (x, y, z) into (x, -z, y); MTL classes follow the LAS standard by custom.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.errors import FileError, MissingExtra, NotFound
from pcaug.scene.asset import Placement, Scene
from pcaug.scene.meshes.bundle import MAX_BYTES
from pcaug.scene.meshes.card import AssetCard
from pcaug.scene.meshes.entry import Entry

NUMBER = re.compile("[0-9]{1,9}")
"""Id of a part that can be that of its instance, an int32."""
PLANES = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}
"""Axis -> those that a turn about it turns, the first towards the second."""


def entries(path: Path) -> list[Entry]:
    """The meshes of a scene, each part once."""
    return [entry for entry, _, _ in _parts(path)]


def load_scene(path: Path) -> Scene:
    """A whole scene: its parts as they stand in the file's coordinates.

    Raises:
        FileError: Not a scene, or a part uses a loader or a filter that is not known here.
        NotFound: A mesh of it is absent.
        MissingExtra: Without ``defusedxml``.
    """
    parts = _parts(path)
    placements = tuple(Placement(entry.load().asset, matrix, number) for entry, matrix, number in parts)
    bounds = [_bounds(placement) for placement in placements]
    low, high = np.min(bounds, axis=(0, 1)), np.max(bounds, axis=(0, 1))
    middle = np.array([*(low + high)[:2] / 2, low[2]])
    return Scene(placements, path.stem, middle, 0.0, np.stack([low[:2], high[:2]]))


def _bounds(placement: Placement) -> NDArray[np.float64]:
    """(2, 3) lowest and highest corner of a part as it stands, turned."""
    points = placement.standing().reshape(-1, 3)
    return np.stack([points.min(axis=0), points.max(axis=0)])


def parsed(path: Path) -> Any:
    """Root of an XML file; raises FileError, and MissingExtra without ``defusedxml``."""
    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import ParseError, fromstring
    except ImportError:
        raise MissingExtra("HELIOS++ scenes need defusedxml", path, "pip install 'pcaug[assets]'") from None
    if path.stat().st_size > MAX_BYTES:
        raise FileError("is too large for a scene description", path)
    try:
        return fromstring(path.read_bytes(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:  # the last of encodings that nobody knows
        raise FileError(f"cannot be read as a scene: {type(error).__name__} {error}", path, "entities are not followed") from None


def _parts(path: Path) -> list[tuple[Entry, NDArray[np.float64], int]]:
    """(mesh, world_from_asset, part number) of each part."""
    scene = parsed(path).find("scene")
    if scene is None or not scene.findall("part"):
        raise FileError("has no <scene> with a <part>", path, "give the scene file, not the survey")
    parts = scene.findall("part")
    names = [part.get("id", str(number)) for number, part in enumerate(parts)]
    numbers = [int(name) for name in names if NUMBER.fullmatch(name)]
    if len(set(numbers)) < len(names):
        numbers = list(range(len(names)))
    named = zip(parts, names, numbers, strict=True)
    return [(*_part(part, path, f"{path} part {name}"), number + 1) for part, name, number in named]


def _part(part: Any, path: Path, where: str) -> tuple[Entry, NDArray[np.float64]]:
    """A part's mesh and its place."""
    turn, scale, shift = np.eye(3), 1.0, np.zeros(3)
    entry = None
    for step in part.findall("filter"):
        kind = step.get("type", "").lower()
        params = {p.get("key"): p for p in step.findall("param")}
        if kind == "objloader":
            entry = _mesh(params, path, where)
        elif kind == "rotate":
            for rot in params["rotation"].findall("rot") if "rotation" in params else []:
                turn = _rotation(rot.get("axis", "z").lower(), _number(rot.get("angle_deg"), where), where) @ turn
        elif kind == "scale":
            scale = _number(params["scale"].get("value"), where) if "scale" in params else 1.0
        elif kind == "translate":
            if "onGround" in params and params["onGround"].get("value", "0").strip() != "0":
                raise FileError("stands onGround, which is not followed", where, "write its height into offset")
            if "offset" in params:
                shift = np.array([_number(v, where) for v in params["offset"].get("value", "").split(";")])
        else:
            raise FileError(f"uses the filter {kind!r}", where, "objloader, rotate, scale and translate are known")
    if entry is None or shift.shape != (3,) or scale <= 0:
        raise FileError("has no mesh, or an offset or scale that is none", where)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn * scale, shift
    return entry, matrix


def _mesh(params: dict[str, Any], path: Path, where: str) -> Entry:
    """The mesh, looked for in the scene's folder and those above it: paths start at the root of HELIOS++'s data."""
    name = params["filepath"].get("value", "").replace("\\", "/") if "filepath" in params else ""
    up = params["up"].get("value", "z") if "up" in params else "z"
    if not name or name.startswith("/") or ".." in name.split("/") or ":" in name.partition("/")[0]:
        raise FileError(
            f"has no mesh path, or one that leads outside: {name!r}", where, "give one below the scene's folder or above it"
        )
    for folder in path.resolve().parents:
        if (folder / name).is_file():
            card = AssetCard(up="y" if up == "y" else "z", forward="x", ground="origin", unit=1.0, label="ignore")
            return Entry(folder, name, card, Path(name).stem, ("HELIOS++",))
    raise NotFound(f"no mesh {name!r} beside or above the scene", where, "keep HELIOS++'s data folder as it is")


def _rotation(axis: str, degrees: float, where: str) -> NDArray[np.float64]:
    if axis not in PLANES:
        raise FileError(f"turns about {axis!r}", where, "x, y and z are known")
    a, b = PLANES[axis]
    turn = np.eye(3)
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    turn[a, a], turn[a, b], turn[b, a], turn[b, b] = cos, -sin, sin, cos
    return turn


def _number(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        raise FileError(f"has {text!r} where a number belongs", where) from None
    if not np.isfinite(value):
        raise FileError("has a number that is not finite", where)
    return value
