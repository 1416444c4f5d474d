"""Dataset cards: how a dataset lies on disk, what its class ids mean, whose it is."""

from __future__ import annotations

import hashlib
import os
import re
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pcaug import catalogue
from pcaug.catalogue import Strict
from pcaug.corpus.layouts import LAYOUTS
from pcaug.corpus.sidecar import LabelFile
from pcaug.errors import FileError, NotFound, PcaugError, RecipeError
from pcaug.formats import FORMATS, check_options, stem
from pcaug.labels import IGNORE, LabelMap, check_id

Split = Literal["train", "val", "test"]


class NativeClass(Strict):
    """One class of a dataset.

    Attributes:
        name: The dataset's own name.
        node: Taxonomy node that fully contains it, or "ignore".
        minor: Small or fuzzy: it does not coarsen a common cut.
        part: Only a part of what its node means (a trunk of a tree): labels are never written back as it.
        colour: The dataset's own display colour; None shows the node's.
        points: Points of it in the whole dataset, as published.
    """

    name: str
    node: str
    minor: bool = False
    part: bool = False
    colour: tuple[int, int, int] | None = None
    points: int | None = Field(default=None, ge=0)


class DatasetCard(Strict):
    """A dataset's description, read from ``datasets/<name>.toml``.

    Attributes:
        name: Short name, the file's stem.
        title: Full name.
        layout: Its folders and files, in a line or two.
        files: Patterns of the scans' paths, relative, matched from the right.
        companions: Patterns of files that lie beside the scans but are not scans: finding them does not rule this card out.
        encoding: Name of the format, or of the layout.
        options: What the format needs to know (text columns, PLY label property).
        fields: What a scan holds beside positions and classes: name -> meaning, unit, range.
        types: Fields whose stored type differs from file to file, or wastes room: name -> the type that they have here.
        labels: Where class ids lie, if in a file of their own.
        counted: Where an instance is the class id times this, plus a number: number 0 is no instance. 0 where it is not.
        guess: Whether a path that matches ``files`` is enough to choose this card.
        unit: Regular expression on a scan's path; its first group is the independent unit (drive, site). Empty: the stem.
        splits: Official split -> units, names of scans, or patterns of them; with a "/", of paths, matched from the right.
        split_lists: Official split -> text files of the download that name its scans, one per line.
        split_note: What else there is to know of the splits; why there are none.
        sensor: Kind of scanner.
        device: The scanner itself.
        frame: "sensor" where each scan has its own origin, "map" where scans share coordinates.
        synthetic: Whether the scans were simulated.
        classes: Native id -> class.
        checksums: Name of a published file -> its SHA-256.
        licence, citation, url, obtain: Whose it is and where to get it.
        flags: Licence conditions: "nc" no commerce, "nd" no derivatives, "sa" share alike, "by" name the source.
        notes: What a user should know before using it.
        verified: Facts of this card that are known from a real file or the publisher's own words (true), or are not (false).
    """

    name: str
    title: str
    layout: str = ""
    files: tuple[str, ...]
    companions: tuple[str, ...] = ()
    encoding: str
    options: dict[str, Any] = {}
    fields: dict[str, str] = {}
    types: dict[str, Literal["u1", "u2", "u4", "i1", "i2", "i4", "f4", "f8"]] = {}
    counted: int = Field(default=0, ge=0)
    labels: LabelFile | None = None
    guess: bool = False
    unit: str = Field(default="", max_length=200)
    splits: dict[Split, tuple[str, ...]] = {}
    split_lists: dict[Split, tuple[str, ...]] = {}
    split_note: str = ""
    sensor: Literal[
        "spinning", "solid-state", "mobile", "airborne", "uav", "terrestrial", "photogrammetry", "depth", "object", "any"
    ]
    device: str = ""
    frame: Literal["sensor", "map"] = "map"
    synthetic: bool = False
    classes: dict[str, NativeClass]
    checksums: dict[str, str] = {}
    licence: str
    flags: tuple[Literal["nc", "nd", "sa", "by"], ...] = ()
    citation: str = ""
    url: str = ""
    obtain: str = ""
    notes: str = ""
    verified: dict[str, bool] = {}

    @field_validator("encoding")
    @classmethod
    def _readable(cls, encoding: str) -> str:
        if encoding not in FORMATS and encoding not in LAYOUTS:
            raise ValueError(f"unknown encoding {encoding!r}: choose from {', '.join([*FORMATS, *LAYOUTS])}")
        return encoding

    @model_validator(mode="after")
    def _readable_so(self) -> DatasetCard:
        if self.encoding in FORMATS:
            try:
                check_options(self.encoding, self.options)
            except PcaugError as error:
                raise ValueError(str(error)) from None
        elif self.options:
            raise ValueError(f"encoding {self.encoding!r} takes no options")
        return self

    @field_validator("files", "companions")
    @classmethod
    def _inside(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for pattern in patterns:
            if pattern.startswith(("/", "~")) or "\\" in pattern or ".." in PurePosixPath(pattern).parts:
                raise ValueError(f"pattern {pattern!r} points outside the dataset's folder")
        return patterns

    @field_validator("split_lists")
    @classmethod
    def _lists_inside(cls, lists: dict[Split, tuple[str, ...]]) -> dict[Split, tuple[str, ...]]:
        for names in lists.values():
            cls._inside(names)
        return lists

    @field_validator("unit")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        if pattern and groups != 1:
            raise ValueError("needs exactly one group")
        return pattern

    @field_validator("classes")
    @classmethod
    def _numbered(cls, classes: dict[str, NativeClass]) -> dict[str, NativeClass]:
        for key in classes:
            check_id(key)
        return classes

    def label_map(self) -> LabelMap:
        """The map into the shipped taxonomy; raises NotFound for a node that it does not have."""
        taxonomy = catalogue.taxonomy()
        nodes = {int(key): IGNORE if c.node == "ignore" else taxonomy.id(c.node) for key, c in self.classes.items()}
        minor = frozenset(int(key) for key, c in self.classes.items() if c.minor)
        return LabelMap(taxonomy, nodes, minor, {int(key): c.name for key, c in self.classes.items()})

    def whole_nodes(self) -> tuple[int, ...]:
        """Nodes that the dataset labels as a whole: no minor classes, no nodes of which it labels only a part."""
        whole = {c.node for c in self.classes.values() if not c.part}
        return tuple(sorted(n for n in self.label_map().used() if catalogue.taxonomy().label_name(n) in whole))

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

    @property
    def ids(self) -> dict[str, int]:
        """Class name -> native id."""
        return {c.name: int(key) for key, c in self.classes.items()}

    def matches(self, path: Path) -> bool:
        """Whether a path is one of the dataset's scans."""
        return _any_matches(path, self.files)

    def pattern_of(self, path: Path) -> int:
        """Which of the card's patterns a path matches first; their number where it matches none."""
        matching = (i for i, pattern in enumerate(self.files) if _any_matches(path, (pattern,)))
        return next(matching, len(self.files))

    def knows(self, path: Path) -> bool:
        """Whether a path is one of the dataset's scans or a file that belongs beside them."""
        return _any_matches(path, self.files) or _any_matches(path, self.companions)

    @property
    def tells_unit(self) -> bool:
        """Whether it, or its layout, says which unit a scan is of; else each is one of its own."""
        return bool(self.unit) or (self.encoding in LAYOUTS and LAYOUTS[self.encoding].unit is not None)

    def unit_of(self, path: Path) -> str:
        """The independent unit that a scan belongs to."""
        own = LAYOUTS[self.encoding].unit if self.encoding in LAYOUTS else None
        if own is not None:
            return own(path)
        if not self.unit:
            return stem(path)
        found = re.search(self.unit, full(path).as_posix())
        return found.group(1) if found else stem(path)


def official_split(card: DatasetCard, path: Path, unit: str | None = None) -> Split | None:
    """The split that a dataset's authors put a scan into; None where they did not.

    Units and names come first, then patterns ("*" is what no other split names), then the lists that came with the files.

    Args:
        card: The dataset's card.
        path: The scan.
        unit: Its unit, where it is known; else the card tells it.

    Raises:
        FileError: If a list is there and cannot be read.
    """
    keys = {unit if unit is not None else card.unit_of(path), stem(path)}
    for split, members in card.splits.items():
        if keys & set(members):
            return split
    for split, members in card.splits.items():
        for pattern in members:
            if _any_matches(path, (pattern,)) if "/" in pattern else any(fnmatchcase(key, pattern) for key in keys):
                return split
    for split, names in card.split_lists.items():
        for listed, folder in ((parent / name, parent) for name in names for parent in full(path).parents):
            if listed.is_file() and _called(path, folder) & _listed(listed):
                return split
    return None


def _called(path: Path, folder: Path) -> set[str]:
    """What a list in a folder may call a scan: any end of its path, its stem, a folder that it lies in below the list's."""
    parts = full(path).as_posix().split("/")
    ends = {"/".join(parts[-length:]) for length in range(1, len(parts) + 1)}
    return ends | {stem(path)} | {parent.name for parent in full(path).relative_to(folder).parents}


@lru_cache(maxsize=32)
def _listed(path: Path) -> frozenset[str]:
    """Scans that a split's list names: the first word of each line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError:
        raise FileError("is not a list of scans", path, "download it again") from None
    return frozenset(line.split()[0].removeprefix("./").lstrip("/") for line in lines if line.strip())


def _any_matches(path: Path, patterns: tuple[str, ...]) -> bool:
    """Whether one of the patterns matches a path from the right, whatever its case: TILE.LAZ is a ``*.laz``."""
    parts = _reversed(path)
    for pattern in patterns:
        wanted = pattern.lower().split("/")[::-1]
        if len(wanted) < len(parts) and all(fnmatchcase(part, want) for part, want in zip(parts, wanted, strict=False)):
            return True
    return False


@lru_cache(maxsize=64)
def _reversed(path: Path) -> list[str]:
    """The parts of a path in lower case, last first; many patterns ask for the same one."""
    return os.path.abspath(path).lower().replace(os.sep, "/").split("/")[::-1]  # noqa: PTH100


def check_download(card: DatasetCard, folder: Path) -> dict[str, Literal["as published", "differs", "missing"]]:
    """Compare the files below a folder with the SHA-256 that the card knows; raises NotFound where it knows none."""
    if not card.checksums:
        raise NotFound(f"no checksums of {card.name} are known", folder, f"compare with what its publisher says: {card.url}")
    verdicts: dict[str, Literal["as published", "differs", "missing"]] = {}
    for name, digest in card.checksums.items():
        path = next((path for path in sorted(folder.rglob(name)) if path.is_file()), None)
        if path is None:
            verdicts[name] = "missing"
            continue
        with path.open("rb") as file:
            verdicts[name] = "as published" if hashlib.file_digest(file, "sha256").hexdigest() == digest else "differs"
    return verdicts


def full(path: Path) -> Path:
    """An absolute path with links not followed: a link's target has another name, and names are what cards match."""
    return Path(os.path.abspath(path))  # noqa: PTH100


def load_card(name: str | Path) -> DatasetCard:
    """A shipped card by name, or a user's by path; raises NotFound with near names, RecipeError for mistakes."""
    path = catalogue.find("datasets", name)
    card = catalogue.load(path, DatasetCard)
    try:
        card.label_map()
    except NotFound as error:
        raise RecipeError(error.what, path, error.do or "name a node of datasets/taxonomy.toml, or ignore") from None
    return card


def all_cards() -> dict[str, DatasetCard]:
    """Every card that can be found, by name."""
    return {name: load_card(name) for name in sorted(catalogue.names("datasets"))}
