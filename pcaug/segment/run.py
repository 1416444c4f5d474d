"""A run: the folder that a training leaves, and what is needed to use it again.

``card.json`` (recipe, classes, features' mean and spread, data, versions), ``weights.safetensors``, ``log.csv``, and while
training is not done ``resume.safetensors`` with the optimiser's state. Where a training was validated, the weights are the
best ones and ``last.safetensors`` holds the last. No pickles.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pcaug import __version__, catalogue
from pcaug.corpus.manifest import KIND as CORPUS
from pcaug.corpus.read import Corpus
from pcaug.errors import FileError, NotFound, PcaugError
from pcaug.files import Kind, alone, claim, write_text
from pcaug.files import clear as remove
from pcaug.labels import ClassSet, Group
from pcaug.segment.features import VERSION, names
from pcaug.segment.networks import MODELS
from pcaug.segment.recipe import TrainRecipe

CARD, LOG = "card.json", "log.csv"
WEIGHTS, LAST = "weights.safetensors", "last.safetensors"
BEST, RESUME = ".best.safetensors", "resume.safetensors"
"""Of a training under way."""
TEACHER = "teacher"
"""Folder in a run that was trained by self-training: the run that labelled its unlabelled clouds."""
SOURCE_CLASSES = "source_classes"
"""Key in ``made_by`` of a corpus that a run labelled, and in a card's ``data``: counts of its source, which is told by them."""
FILES = (CARD, WEIGHTS, LAST, BEST, RESUME, LOG, "tensorboard/events.*")
KIND = Kind(
    "a run",
    (CARD, f"{TEACHER}/{CARD}"),
    (*FILES, *(f"{TEACHER}/{name}" for name in FILES), *CORPUS.below("unlabelled-[0-9]*")),
)


def is_begun(folder: Path) -> bool:
    """Whether a folder holds a run, finished or not."""
    return any((path / CARD).is_file() for path in (folder, folder / TEACHER))


def clear(folder: Path, inputs: Sequence[Corpus] = ()) -> None:
    """Remove what a training left in a folder.

    Raises:
        PcaugError: If it holds anything else, or one of the corpora that are to be trained on, or somebody trains in it.
    """
    claim(folder, force=True, kind=KIND)
    for corpus in inputs:
        if corpus.folder.resolve().is_relative_to(folder.resolve()):
            raise PcaugError(f"holds the corpus {corpus.folder.name}, and is not removed", folder, "choose another folder")
    with alone(folder, folder), alone(folder / TEACHER, folder):
        remove(folder)


def digest(folder: Path) -> str:
    """SHA-256 of a run's weights."""
    with (folder / WEIGHTS).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class Run:
    """A training and what it made.

    Attributes:
        folder: Where it lies.
        recipe: How it was trained.
        classes: What it predicts.
        mean, spread: (F,) of each feature over the training data: what prediction subtracts and divides by.
        data: The corpora that it saw.
        quantiles: (9, F) of the features over the training data, at ``pcaug.segment.shift.LEVELS``.
        usual: (F,) how far the farthest of its clouds lies off these, see ``pcaug.segment.shift``; () of older runs.
    """

    folder: Path
    recipe: TrainRecipe
    classes: ClassSet
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    data: tuple[Mapping[str, Any], ...] = ()
    quantiles: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    usual: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    @property
    def frames(self) -> set[str]:
        """Frames of the clouds that it was trained on: "map", "sensor"."""
        return {str(row["frame"]) for row in self.data if "frame" in row}

    def save(self) -> None:
        """Write the card."""
        card = {
            "kind": "segmenter",
            "pcaug": __version__,
            "python": platform.python_version(),
            "features": VERSION,
            "recipe": self.recipe.model_dump(mode="json"),
            "taxonomy": self.classes.taxonomy.name,
            "classes": [{"name": g.name, "nodes": g.nodes, "colour": g.colour} for g in self.classes.groups],
            "mean": self.mean.tolist(),
            "spread": self.spread.tolist(),
            "data": list(self.data),
            "quantiles": self.quantiles.tolist(),
            "usual": self.usual.tolist(),
        }
        write_text(self.folder / CARD, json.dumps(card, indent=1) + "\n")

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Open a finished run, or a published model by name; raises NotFound, FileError."""
        folder = Path(folder)
        if not (folder / CARD).is_file():
            shipped = catalogue.shipped("models") / str(folder)
            if len(folder.parts) == 1 and (shipped / CARD).is_file():
                folder = shipped
        if not (folder / CARD).is_file() or not (folder / WEIGHTS).is_file():
            known = ", ".join(sorted(path.parent.name for path in catalogue.shipped("models").glob(f"*/{CARD}")))
            raise NotFound(
                "is not a finished run", folder, f"train one with pcaug train, or name a model that comes with pcaug: {known}"
            )
        return cls.card(folder)

    @classmethod
    def card(cls, folder: Path) -> Run:
        """The card of a run, finished or not; raises FileError where it is damaged, or of features of another version."""
        try:
            raw = json.loads((folder / CARD).read_text())
            groups = tuple(Group(str(c["name"]), tuple(c["nodes"]), tuple(c["colour"])) for c in raw["classes"])
            recipe = TrainRecipe.model_validate_json(json.dumps(raw["recipe"]))
            mean, spread, quantiles = (np.array(raw[key], np.float32) for key in ("mean", "spread", "quantiles"))
            usual = np.array(raw.get("usual", []), np.float32)
            data, current, tree = tuple(dict(row) for row in raw["data"]), raw.get("features") == VERSION, raw["taxonomy"]
            if not groups or not all(g.nodes and set(g.nodes) <= catalogue.taxonomy().nodes.keys() for g in groups):
                raise ValueError("classes")
            if current and len(mean) != len(names(recipe.features)):
                raise ValueError("features")
            run = cls(folder, recipe, ClassSet(catalogue.taxonomy(), groups), mean, spread, data, quantiles, usual)
            run._check()
        except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
            raise FileError(f"is damaged ({type(error).__name__})", folder / CARD, "train again") from None
        if not current:
            raise FileError("was trained on features that are computed otherwise in this version", folder / CARD, "train again")
        if tree != catalogue.taxonomy().name:
            raise FileError(f"was trained under another class tree, {tree}", folder / CARD, "train again")
        return run

    def _check(self) -> None:
        """Raise ValueError where what a card says does not fit together."""
        mean, spread, kinds = self.mean, self.spread, {"corpus": str, "units": list, "classes": dict}
        if self.recipe.network not in MODELS:
            raise ValueError("network")
        if not mean.shape == spread.shape == (len(mean),) or not np.isfinite([mean, spread]).all() or not (spread > 0).all():
            raise ValueError("mean and spread")
        if (self.quantiles.size and self.quantiles.shape != (9, len(mean))) or (
            self.usual.size and self.usual.shape != mean.shape
        ):
            raise ValueError("quantiles")
        if not all(isinstance(row.get(key), kind) for row in self.data for key, kind in kinds.items()):
            raise ValueError("data")
