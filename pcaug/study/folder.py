"""The folder of a study: whose it is, and what of it may go on.

``recipe.json`` says what the trainings there depend on, by name where not all of them do. A command goes on in a folder where all
that both have is the same: more or fewer budgets, draws, seeds, models and arms change no training that is done.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pcaug.catalogue import taxonomy
from pcaug.corpus.manifest import KIND as CORPUS
from pcaug.corpus.sample import FILES as SCANS
from pcaug.errors import PcaugError
from pcaug.files import Kind, claim, clear, read_json, to_jsonable, write_text
from pcaug.labels import ClassSet
from pcaug.segment.dataset import class_set
from pcaug.segment.features import VERSION
from pcaug.segment.run import KIND as RUN
from pcaug.study.plan import Job, by_cut, ways
from pcaug.study.recipe import StudyRecipe
from pcaug.study.results import Result, read_result
from pcaug.study.sources import REAL, made_by, state_of

NOTE = "recipe.json"
LAYOUT = 2
"""Version of the note: raised whenever its form changes."""
GROUPS = {"arms": "arm {}", "sources": "source {}", "trained": "training"}
"""What the note holds by name, and what a setting in it is called."""
KIND = Kind(
    "a study",
    (NOTE, REAL),
    (
        "*.cost.json",
        "results.parquet",
        "summary.json",
        "report.html",
        "results/*.json",
        *(f"sample/{name}" for name in SCANS),
        *(name for folder in ("real", "synthetic/*") for name in CORPUS.below(folder)),
        *(name for folder in ("runs/*", "runs/*/pretrained") for name in RUN.below(folder)),
    ),
)
Note = dict[str, Any]


def open_folder(told: Note, folder: Path, *, force: bool) -> None:
    """Take a folder for a study whose state is told, or go on in it; forced, start over.

    Raises:
        PcaugError: Where it holds other things, or a study of which something that both have is another now.
    """
    claim(folder, force=force, resumes=any((folder / mark).is_file() for mark in KIND.marks), kind=KIND)
    if force:
        clear(folder)
    if (folder / NOTE).is_file():
        _check(told, folder)


def take(told: Note, folder: Path) -> None:
    """Note what a folder's study is from now on, beside what is there already."""
    kept = _read(folder)
    merged = {group: _started(kept, folder)[group] | told[group] for group in GROUPS}
    _write(folder, {"classes": kept.get("classes")} | told | {"real_data": _real_data(told, kept)} | merged)


def check_classes(names: Sequence[str], folder: Path) -> None:
    """Note the classes of a cut; raises PcaugError where those of the trainings that are done were others."""
    kept = _read(folder)
    if kept.get("classes") not in (None, list(names)) and any((folder / "results").glob("*.json")):
        what = f"the classes that all sources can label are now {', '.join(names)}, and were {', '.join(kept['classes'])}"
        raise PcaugError(what, folder, "choose another folder, or name classes: --train-set classes=urban6")
    _write(folder, kept | {"classes": list(names)})


def told_classes(recipe: StudyRecipe, folder: Path) -> ClassSet:
    """The classes that trainings are scored on: of a preset, or of the cut that was noted."""
    if not by_cut(recipe):
        return class_set(ways(recipe)[0][1].classes, ())
    tree = taxonomy()
    return ClassSet.of_cut(tree, [tree.id(noted) for noted in _read(folder)["classes"]])


def earlier_results(folder: Path, jobs: Sequence[Job]) -> list[Result]:
    """Results in a folder that are of none of these trainings: earlier commands asked for them. They compare, since a folder's
    studies have the same real data, classes and ways of training."""
    names, known = {job.name for job in jobs}, _read(folder).get("trained", {})
    files = [path for path in sorted((folder / "results").glob("*.json")) if path.stem not in names]
    return [read_result(path) for path in files if any(_is_of(path.stem, key) for key in known)]


def _read(folder: Path) -> Note:
    """The note; empty where there is none, or one of another layout."""
    path = folder / NOTE
    kept = read_json(path) if path.is_file() else None
    return kept if isinstance(kept, dict) and kept.get("layout") == LAYOUT else {}


def _write(folder: Path, note: Note) -> None:
    write_text(folder / NOTE, json.dumps(to_jsonable(note), indent=1, sort_keys=True))


def _check(told: Note, folder: Path) -> None:
    kept = _read(folder)
    before = _started(kept, folder)
    changed = [found for key in ("layout", "real", "seed", "threads") for found in _differing(kept.get(key), told[key], key)]
    changed += ["real data"] if kept.get("real_data") != _real_data(told, kept) else []
    for group, called in GROUPS.items():
        for name in told[group].keys() & before[group].keys():
            changed += _differing(before[group][name], told[group][name], called.format(name))
    if changed:
        listed = ", ".join(sorted(set(changed))[:3])
        what = f"holds a study of another recipe, or of other data (what differs: {listed})"
        raise PcaugError(what, folder, "choose another folder, or repeat the command that made it")
    if kept["features"] != VERSION:
        claim(folder, force=False, kind=KIND, what="holds a study of features that are computed otherwise now")


def _differing(before: Any, now: Any, where: str) -> list[str]:
    """The keys, in the tables that they stand in, whose values differ; ``where`` the two stand."""
    if isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        return [found for one, other in zip(before, now, strict=True) for found in _differing(one, other, where)]
    if isinstance(before, dict) and isinstance(now, dict):
        keys = sorted(before.keys() | now.keys())
        return [found for key in keys for found in _differing(before.get(key), now.get(key), f"{where}.{key}")]
    return [where] if before != now else []


def _real_data(told: Note, kept: Note) -> str | None:
    """The state of the real data; of scans that are gone, which were converted before, what it was."""
    found: str | None = told["real_data"] or kept.get("real_data")
    return found


def _started(kept: Note, folder: Path) -> dict[str, dict[str, Any]]:
    """What of a note has left something in the folder: a mistake that was corrected before anything was made is forgotten."""
    names = [path.name for room in ("results", "runs") for path in (folder / room).glob("*")]
    trained = {key: how for key, how in kept.get("trained", {}).items() if any(_is_of(name, key) for name in names)}
    arms = {slug: arm for slug, arm in kept.get("arms", {}).items() if any(f"_{slug}_b" in key for key in trained)}
    used = {name for arm in arms.values() for name in arm.get("synthetic", ())}
    used |= {path.name for path in (folder / "synthetic").glob("*")}
    sources = {
        key: how for key, how in kept.get("sources", {}).items() if any(n == key or n.startswith(f"{key}_b") for n in used)
    }
    return {"arms": arms, "sources": sources, "trained": trained}


def _is_of(name: str, key: str) -> bool:
    """Whether a result or a run is of a model and an arm, which a key names with any budget, draw and seed."""
    return name.startswith(key.rpartition("_b")[0] + "_b")


def state(recipe: StudyRecipe) -> Note:
    """All that the trainings of a study depend on. Defaults are left out: a key that is new in a recipe changes none of them."""
    told = recipe.model_dump(mode="json", exclude_defaults=True)
    note = {
        "layout": LAYOUT,
        "features": VERSION,
        "recipe": told,
        "real": told["real"],
        "real_data": state_of(recipe.real.source, recipe.real.files, recipe.real.card),
        "seed": recipe.seed,
        "threads": recipe.threads,
        "arms": {arm.slug: arm.model_dump(exclude_defaults=True) for arm in recipe.arms},
        "sources": {source.name: [source.model_dump(exclude_defaults=True), made_by(source)] for source in recipe.synthetic},
        "trained": {job.name: how.model_dump(mode="json") for job, how in ways(recipe)},
    }
    found: Note = to_jsonable(note)
    return found
