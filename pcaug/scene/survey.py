"""Surveys of HELIOS++ (survey XML) as recipes: its scene, flown by its legs with its settings.

Format: the XSDs of HELIOS++. Settings of a leg win over those of its template. A leg is flown to the next one's place while
its scanner is active; the last leg is a place only.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pcaug.catalogue import decode
from pcaug.errors import FileError, NotFound
from pcaug.scene.meshes.helios import parsed
from pcaug.scene.recipe import Helios, SceneRecipe
from pcaug.scene.scanner import SensorRow

PATTERNS = {"oscillating": "oscillating", "rotating": "polygon", "conic": "palmer"}
"""Of the scanner's ``optics``."""
UNSAID = {"accuracy_m": "0", "rangeMin_m": "0", "beamDivergence_rad": "0.0003", "pulseLength_ns": "4"}
"""What HELIOS++ takes where a scanner says nothing."""


def recipe_of_survey(path: Path, changes: Sequence[str] = ()) -> SceneRecipe:
    """A recipe that flies a survey of HELIOS++: straight legs, airborne or from a drone.

    Args:
        path: The survey's file.
        changes: ``key=value`` lines that override what it says, as of a recipe.

    Raises:
        FileError: Not a survey, or one that is not followed: from a tripod, with a trajectory file, with other optics.
        RecipeError: A setting that no scanner has, or changes that are wrong.
        NotFound: Its scene or its scanner's file is absent.
        MissingExtra: Without ``defusedxml``.
    """
    root = parsed(path)
    survey = root.find("survey")
    if survey is None or len(survey.findall("leg")) < 2:
        raise FileError("has no <survey> of two legs or more", path, "a tripod's stations: give the scene, and a sensor")
    scene, file = _beside(path, survey.get("scene")), _beside(path, survey.get("scanner"))
    scanner = _scanner(file, survey.get("scanner", ""))
    stops = [_settings(root, leg) for leg in survey.findall("leg")]
    flown = [(a, b) for a, b in pairwise(stops) if a.get("active", "true").lower() in ("true", "1")]
    if not flown or any("trajectory" in stop for stop in stops):
        raise FileError("has no straight leg with an active scanner", path, "trajectory files are not followed")
    first, half = flown[0][0], _number(flown[0][0], "scanAngle_deg", path)
    for key in ("pulseFreq_hz", "scanFreq_hz", "scanAngle_deg", "movePerSec_m"):
        if any(a.get(key) != first.get(key) for a, _ in flown):
            raise FileError(f"changes {key} from leg to leg", path, "make a survey of each setting")
    legs = tuple(tuple(_number(stop, axis, path) for stop in leg for axis in "xyz") for leg in flown)
    sensor = {
        "kind": "airborne", "title": f"{survey.get('scanner')} of HELIOS++", "source": str(path), "legs": legs,
        "pattern": PATTERNS[scanner["optics"]], "scan_angle": half, "speed": (_number(first, "movePerSec_m", path),) * 2,
        "pulses": _number(first, "pulseFreq_hz", path), "rate": _number(first, "scanFreq_hz", path),
        "noise": _number(scanner, "accuracy_m", file), "range_min": _number(scanner, "rangeMin_m", file),
        "divergence": _number(scanner, "beamDivergence_rad", file), "sub_rays": 19,
        "pulse": _number(scanner, "pulseLength_ns", file), "range_max": 10_000.0, "drift": 0.0, "dropout": 0.0,
    }  # fmt: skip
    recipe = SceneRecipe(name=path.stem, helios=Helios(path=str(scene)), sensor=decode(sensor, path, SensorRow))
    return decode(recipe.model_dump(mode="json"), path, SceneRecipe, changes) if changes else recipe


def _settings(root: Any, leg: Any) -> dict[str, str]:
    """Attributes of a leg's platform and scanner, over those of their templates."""
    out: dict[str, str] = {}
    for name in ("platformSettings", "scannerSettings"):
        templates = {row.get("id"): dict(row.attrib) for row in root.findall(name)}
        for row in leg.findall(name):
            out |= templates.get(row.get("template"), {}) | dict(row.attrib)
    return out


def _scanner(file: Path, reference: str) -> dict[str, str]:
    """Attributes of the scanner that a survey names, ``file.xml#id``."""
    _, _, name = reference.partition("#")
    rows = [row for row in parsed(file).iter("scanner") if not name or row.get("id") == name]
    if not rows:
        raise NotFound(f"no scanner {name!r}", file)
    if rows[0].get("optics") not in PATTERNS:
        raise FileError(f"has a scanner with {rows[0].get('optics')!r} optics", file, f"{', '.join(PATTERNS)} are known")
    return UNSAID | dict(rows[0].attrib)


def _beside(path: Path, reference: str | None) -> Path:
    """A file that a survey names: paths start at the root of HELIOS++'s data, in the survey's folder or one above it."""
    name = (reference or "").partition("#")[0].replace("\\", "/")
    if not name or name.startswith("/") or ".." in name.split("/"):
        raise FileError(
            f"names no file, or one that leads outside: {name!r}", path, "give one below the survey's folder or above"
        )
    for folder in path.resolve().parents:
        if (folder / name).is_file():
            return folder / name
    raise NotFound(f"no file {name!r} beside or above the survey", path, "keep HELIOS++'s data folder as it is")


def _number(settings: dict[str, str], key: str, path: Path) -> float:
    try:
        return float(settings[key])
    except (KeyError, ValueError):
        raise FileError(f"has settings without {key}, or one that is not a number", path) from None
