"""Dataset cards: how a dataset lies on disk, what its class ids mean, whose it is."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, field_validator

from pcaug import catalogue
from pcaug.catalogue import Strict
from pcaug.corpus.sidecar import LabelFile
from pcaug.errors import NotFound, RecipeError
from pcaug.labels import IGNORE, LabelMap


class NativeClass(Strict):
    """One class of a dataset.

    Attributes:
        name: The dataset's own name.
        node: Taxonomy node that fully contains it, or "ignore".
        minor: Small or fuzzy: it does not coarsen a common cut.
        part: Only a part of what its node means (a trunk of a tree): labels are never written back as it.
        colour: The dataset's own display colour.
    """

    name: str
    node: str
    minor: bool = False
    part: bool = False
    colour: tuple[int, int, int] | None = None


class DatasetCard(Strict):
    """A dataset's description, read from ``datasets/<name>.toml``.

    Attributes:
        name: Short name, the file's stem.
        title: Full name.
        files: Patterns of the scans' paths, relative, matched from the right.
        encoding: Name of the format.
        options: What the format needs to know (text columns, PLY label property).
        labels: Where class ids lie, if in a file of their own.
        guess: Whether a path that matches ``files`` is enough to choose this card.
        unit: Regular expression on a scan's path; its first group is the independent unit (drive, site). Empty: the stem.
        splits: Official split -> units, or scan names.
        sensor: Kind of scanner.
        frame: "sensor" where each scan has its own origin, "map" where scans share coordinates.
        synthetic: Whether the scans were simulated.
        classes: Native id -> class.
        licence, citation, url, obtain: Whose it is and where to get it.
        flags: Licence conditions: "nc" no commerce, "nd" no derivatives, "sa" share alike, "by" name the source.
        verified: Facts of this card that are known from a real file (true) or from hearsay (false).
    """

    name: str
    title: str
    files: tuple[str, ...]
    encoding: str
    options: dict[str, Any] = {}
    labels: LabelFile | None = None
    guess: bool = False
    unit: str = Field(default="", max_length=200)
    splits: dict[Literal["train", "val", "test"], tuple[str, ...]] = {}
    sensor: Literal[
        "spinning", "solid-state", "mobile", "airborne", "uav", "terrestrial", "photogrammetry", "depth", "object", "any"
    ]
    frame: Literal["sensor", "map"] = "map"
    synthetic: bool = False
    classes: dict[str, NativeClass]
    licence: str
    flags: tuple[Literal["nc", "nd", "sa", "by"], ...] = ()
    citation: str = ""
    url: str = ""
    obtain: str = ""
    verified: dict[str, bool] = {}

    @field_validator("files")
    @classmethod
    def _inside(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if pattern.startswith(("/", "~")) or "\\" in pattern or ".." in PurePosixPath(pattern).parts:
                raise ValueError(f"pattern {pattern!r} points outside the dataset's folder")
        return patterns

    @field_validator("unit")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from None
        if pattern and groups != 1:
            raise ValueError("needs exactly one group")
        return pattern

    @field_validator("classes")
    @classmethod
    def _numbered(cls, classes: dict[str, NativeClass]) -> dict[str, NativeClass]:
        for key in classes:
            if not re.fullmatch(r"-?\d+", key):
                raise ValueError(f"class id {key!r} is no whole number")
        return classes

    def label_map(self) -> LabelMap:
        """The map into the shipped taxonomy; raises NotFound for a node that it does not have."""
        taxonomy = catalogue.taxonomy()
        nodes = {int(key): IGNORE if c.node == "ignore" else taxonomy.id(c.node) for key, c in self.classes.items()}
        minor = frozenset(int(key) for key, c in self.classes.items() if c.minor)
        return LabelMap(taxonomy, nodes, minor, {int(key): c.name for key, c in self.classes.items()})

    def native_of(self) -> dict[int, int]:
        """Node id -> class id to write it as: the class with that node, else with the deepest node above it."""
        labels = self.label_map()
        own: dict[int, int] = {}
        whole = [int(key) for key, c in self.classes.items() if not c.part]
        for native in sorted(whole, key=lambda native: (native in labels.minor, native)):
            own.setdefault(labels.nodes[native], native)
        tree = labels.taxonomy
        nearest = {node: next((up for up in tree.ancestors(node) if up in own), None) for node in tree.nodes}
        found = {node: own[up] for node, up in nearest.items() if up is not None}
        return found | ({IGNORE: own[IGNORE]} if IGNORE in own else {})

    def matches(self, path: Path) -> bool:
        """Whether a path is one of the dataset's scans."""
        lower = PurePosixPath(full(path).as_posix().lower())  # TILE.LAZ is a *.laz
        return any(lower.match(pattern.lower()) for pattern in self.files)

    def unit_of(self, path: Path) -> str:
        """The independent unit that a scan belongs to."""
        if not self.unit:
            return path.stem
        found = re.search(self.unit, full(path).as_posix())
        return found.group(1) if found else path.stem

    def split_of(self, path: Path) -> str | None:
        """Official split of a scan, by its unit or its stem."""
        keys = {self.unit_of(path), path.stem}
        return next((split for split, members in self.splits.items() if keys & set(members)), None)


def full(path: Path) -> Path:
    """A path from the root, by its words alone: a link's target has another name, and names are what tells."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def load_card(name: str | Path) -> DatasetCard:
    """A shipped card by name, or a user's by path; raises NotFound with near names, RecipeError for mistakes."""
    path = catalogue.find("datasets", name)
    card = catalogue.load(path, DatasetCard)
    try:
        card.label_map()
    except NotFound as error:
        raise RecipeError(error.what, path, error.do) from None
    return card


def all_cards() -> dict[str, DatasetCard]:
    """Every card that can be found, by name."""
    return {name: load_card(name) for name in sorted(catalogue.names("datasets"))}
