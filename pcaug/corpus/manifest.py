"""The manifest of a corpus: everything about it but the points."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from pcaug import catalogue
from pcaug.catalogue import Strict
from pcaug.errors import FileError, LabelError, NotFound
from pcaug.files import Kind
from pcaug.labels import IGNORE

SCHEMA = 1
NAME = "manifest.json"
KIND = Kind("a corpus", (NAME,), ("tiles/[0-9]*_*.parquet", "recipe.toml", "cost.json"))
"""The last two are of ``pcaug compose`` and of a study."""
SPLITS = ("train", "val", "test")
BUFFER = "buffer"
"""Split of points too near to another split's block: kept, never trained on, never scored."""


class SourceRow(Strict):
    """One file that points came from, or one recipe that made them.

    Attributes:
        path: As the user gave it; the recipe's name for composed scenes.
        sha256: Of the file; "" for composed scenes, of which a merged corpus has that of the tile.
        card: Name of its dataset card.
        points: Points read from it.
        licence: Its licence.
        flags: Licence conditions.
        nodes: Nodes that it labels and that are not minor: what a common cut is made of.
        encoding: What a writer needs to write its format again.
    """

    path: str
    sha256: str = ""
    card: str = ""
    points: int = 0
    licence: str = ""
    flags: tuple[str, ...] = ()
    nodes: tuple[int, ...] = ()
    encoding: dict[str, Any] = {}

    @property
    def licences(self) -> list[str]:
        """Its licences: one, or several joined by ";"."""
        return [part.strip() for part in self.licence.split(";") if part.strip()]


class Tile(Strict):
    """One Parquet file of points.

    Attributes:
        path: Relative to the corpus.
        name: Scan, or scan and place.
        unit: Independent unit.
        split: "train", "val", "test", "buffer", or None.
        kind: "real" or "synthetic".
        points: Number of points.
        bounds: Lowest and highest corner, metres.
        counts: Points per node id.
        source: Row of ``sources``.
        area: Of a map: square metres of the plan that hold points; None where it was not counted.
        frame: Where it is not the corpus's: of a map among scans.
    """

    path: str
    name: str
    unit: str
    split: str | None
    kind: Literal["real", "synthetic"]
    points: int = Field(ge=0)
    bounds: tuple[tuple[float, float, float], tuple[float, float, float]] | None
    counts: dict[str, int]
    source: int
    area: float | None = None
    frame: Literal["sensor", "map"] | None = None

    def gaps(self, other: Tile) -> NDArray[np.float64]:
        """Distance (3,) of two tiles' boxes along each axis, metres: negative where they overlap, inf where one has no points."""
        if self.bounds is None or other.bounds is None:
            return np.full(3, np.inf)
        a, b = np.asarray(self.bounds), np.asarray(other.bounds)
        gaps: NDArray[np.float64] = np.maximum(a[0] - b[1], b[0] - a[1])
        return gaps

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        pure = PurePosixPath(path)
        if pure.is_absolute() or ".." in pure.parts or "\\" in path:
            raise ValueError(f"tile path {path!r} points outside the corpus")
        return path

    @field_validator("counts")
    @classmethod
    def _classes(cls, counts: dict[str, int]) -> dict[str, int]:
        known = catalogue.taxonomy().nodes
        for node in counts:
            if not node.isdecimal() or (int(node) not in known and int(node) != IGNORE):
                raise ValueError(f"counts points of class {node!r}, which the taxonomy does not have")
        return counts


class Manifest(Strict):
    """What ``manifest.json`` holds.

    Attributes:
        schema_version: Of this layout.
        taxonomy: Name of the class tree.
        frame: "sensor" where each tile has its own origin, "map" where tiles share coordinates.
        crs: Coordinate reference system of a map.
        tiles: The Parquet files.
        sources: Where their points came from.
        made_by: Version, command line or recipe, and seed that made it.
    """

    schema_version: int = SCHEMA
    taxonomy: str
    frame: Literal["sensor", "map"]
    crs: str | None = None
    tiles: tuple[Tile, ...]
    sources: tuple[SourceRow, ...]
    made_by: dict[str, Any] = {}

    @model_validator(mode="after")
    def _whole(self) -> Manifest:
        if len({tile.path for tile in self.tiles}) < len(self.tiles):
            raise ValueError("two tiles have one path")
        for tile in self.tiles:
            if not 0 <= tile.source < len(self.sources):
                raise ValueError(f"tile {tile.name!r} comes from source {tile.source}, there are {len(self.sources)}")
            if sum(tile.counts.values()) != tile.points or (tile.points > 0) != (tile.bounds is not None):
                raise ValueError(f"tile {tile.name!r} does not add up: its classes, points and bounds disagree")
        return self


class _Head(BaseModel):
    schema_version: int
    taxonomy: str


def load_manifest(folder: Path) -> Manifest:
    """Read and check a manifest; raises NotFound, FileError, LabelError for another taxonomy."""
    path = folder / NAME
    if not path.is_file():
        raise NotFound("is not a corpus: it has no manifest.json", folder, "make one with pcaug convert or pcaug merge")
    try:
        head = _Head.model_validate_json(path.read_bytes())  # first: what a later layout holds is not ours to judge
        if head.schema_version > SCHEMA:
            raise FileError(f"has schema {head.schema_version}, this pcaug knows {SCHEMA}", path, "update pcaug")
        if head.taxonomy != catalogue.taxonomy().name:
            raise LabelError(f"is labelled in {head.taxonomy}", folder, f"this pcaug knows {catalogue.taxonomy().name}")
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise FileError(f"is damaged: {catalogue.mistakes(error)}", path, "make the corpus again") from None
