"""Find and strictly decode the TOML that comes with pcaug or from a user: cards, recipes, the taxonomy."""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from pcaug.errors import NotFound, RecipeError
from pcaug.labels import Node, Taxonomy

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)


class _Told(ModelMetaclass):
    """Makes the mistakes of a constructor's arguments an error of ours."""

    def __call__(cls, *arguments: Any, **values: Any) -> Any:
        try:
            return super().__call__(*arguments, **values)
        except ValidationError as error:
            raise RecipeError(mistakes(error, cls), cls.__name__, "correct the arguments") from None


class Strict(BaseModel, metaclass=_Told):
    """Base of every card and recipe: frozen, unknown keys, nan and inf refused, no silent conversion of types.

    Raises:
        RecipeError: Where one is made of arguments that do not fit.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


Model = TypeVar("Model", bound=Strict)
Key = tuple[str, ...]
"""A key of a file after the tables that it stands in."""
PLAIN = {
    "Value error, ": "", "Field required": "is missing", ", unable to parse string as a number": "", " after validation": "",
    "Input should be a valid array": "must be a list", "Input should be an object": "must be a table",
    "Input should be a valid string": "must be text", "Input should be a valid integer": "must be a whole number",
    "Input should be a valid number": "must be a number", "Input should be a valid boolean": "must be true or false",
    "Input should": "must", "Tuple should": "must", "String should": "must",
    "greater than or equal to": "at least", "less than or equal to": "at most",
}  # fmt: skip
"""What pydantic says -> what users are told."""


def shipped(kind: str) -> Path:
    """Folder of the content that comes with pcaug: inside the wheel, or at the top of a checkout."""
    package = Path(__file__).parent
    installed = package / "_shipped" / kind
    return installed if installed.is_dir() else package.parent / kind


def folders(kind: str) -> list[Path]:
    """Folders that are searched for named content: each in ``PCAUG_CARDS`` (``:``-separated), then the shipped one.

    Cards lie in such a folder itself, scene recipes in its ``recipes``, scanners in its ``sensors``, augmentations in its
    ``augmentations``, training recipes in its ``models``.
    """
    inner = kind.removeprefix("datasets").lstrip("/")
    extra = [Path(part) / inner for part in os.environ.get("PCAUG_CARDS", "").split(os.pathsep) if part]
    return [*extra, shipped(kind)]


def names(kind: str, pattern: str = "*.toml") -> dict[str, Path]:
    """Named content of a kind: name -> file.

    Args:
        kind: "datasets", "datasets/recipes", "datasets/sensors", "datasets/augmentations", "models", "models/studies".
        pattern: "*.toml" names files by their stem; "*/recipe.toml" names folders.

    Raises:
        RecipeError: If two folders hold the same name: never a silent override.
    """
    found: dict[str, Path] = {}
    for folder in folders(kind):
        for path in sorted(folder.glob(pattern)):
            name = path.parent.name if "/" in pattern else path.stem
            if name == "taxonomy":
                continue
            if name in found:
                raise RecipeError(f"the name {name!r} stands for two files", f"{found[name]} and {path}", "rename one")
            found[name] = path
    return found


def find(kind: str, name: str | Path, pattern: str = "*.toml") -> Path:
    """File of a named piece of content, or the path itself if it is one (``.toml`` suffix).

    Raises:
        NotFound: With near names.
    """
    path = Path(name)
    if path.suffix == ".toml":
        if path.is_file():
            return path
        raise NotFound("no such file", path)
    known = names(kind, pattern)
    if str(name) in known:
        return known[str(name)]
    near = get_close_matches(str(name), known, n=2)
    what = {"models/studies": "study", "datasets": "card"}.get(kind, kind.rsplit("/", 1)[-1].rstrip("s"))
    hints = [f"did you mean {' or '.join(near)}?"] if near else []
    if kind == "datasets":
        hints.append("pcaug datasets lists all")
    elif known and not near:
        hints.append(f"choose from {', '.join(sorted(known))}")
    raise NotFound(f"no {what} named {str(name)!r}", do=" ".join(hints) or None)


def load(path: Path, model: type[Model], changes: Sequence[str] = ()) -> Model:
    """Decode a TOML file strictly.

    Args:
        path: The file.
        model: The type that it must have.
        changes: ``key=value`` or ``table.key=value`` lines that override it (``--set``); the value is TOML,
            a bare word counts as a string.

    Raises:
        RecipeError: Every mistake in one line, each with its key and, for an unknown key, the nearest known one.
    """
    return decode(read_toml(path), path, model, changes)


def decode(data: dict[str, Any], path: Path, model: type[Model], changes: Sequence[str] = ()) -> Model:
    """Decode what a file holds, as ``load``."""
    for change in changes:
        override(data, change)
    try:
        return model.model_validate_json(json.dumps(data, default=str))  # JSON mode: arrays may be tuples, all else strict
    except ValidationError as error:
        raise RecipeError(mistakes(error, model), path, "see the comments in the shipped recipes and cards") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Parse a TOML file into a plain dictionary; raises NotFound or RecipeError."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise NotFound("no such file", path) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"not valid TOML: {error}", path, "correct it there") from None


@cache
def taxonomy() -> Taxonomy:
    """The shipped class tree."""
    return load_taxonomy(shipped("datasets") / "taxonomy.toml")


class _NodeRow(Strict):
    id: int
    colour: tuple[int, int, int]
    parent: str | None = None


class _TaxonomyFile(Strict):
    name: str
    nodes: dict[str, _NodeRow]
    presets: dict[str, dict[str, list[str]]] = {}


def load_taxonomy(path: Path) -> Taxonomy:
    """Decode a taxonomy file; raises RecipeError where it is not a strict tree with unique ids."""
    file = load(path, _TaxonomyFile)
    ids = {name: row.id for name, row in file.nodes.items()}
    if len(set(ids.values())) != len(ids):
        raise RecipeError("two nodes share an id", path)
    unknown = {row.parent for row in file.nodes.values() if row.parent} - set(ids)
    unknown |= {name for preset in file.presets.values() for nodes in preset.values() for name in nodes} - set(ids)
    if unknown:
        raise RecipeError(f"unknown nodes {sorted(unknown)}", path)
    nodes = {row.id: Node(row.id, name, ids[row.parent] if row.parent else None, row.colour) for name, row in file.nodes.items()}
    presets = {
        name: {key: tuple(ids[n] for n in members) for key, members in rows.items()} for name, rows in file.presets.items()
    }
    return Taxonomy(file.name, nodes, presets)


def override(data: dict[str, Any], change: str) -> None:
    """Apply a ``key=value`` of ``--set`` to what a file holds; raises RecipeError for anything else."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise RecipeError(f"--set {change!r} is not key=value", do="write for example --set steps=60")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    *tables, last = key.strip().split(".")
    for table in tables:
        data = data.setdefault(table, {})
        if not isinstance(data, dict):
            raise RecipeError(f"--set {change!r}: {table!r} is not a table", do="write TABLE.KEY=VALUE, or KEY=VALUE")
    data[last] = value


def mistakes(error: ValidationError, model: Any = None) -> str:
    """What pydantic found, in plain words: all of it, with the known keys of a model that are near to unknown ones."""
    found = error.errors(include_url=False)
    inner = {item["loc"][:-1] for item in found}  # a list of wrong items is counted without them, and is not too short
    return "; ".join(_problem(item, model) for item in found if item["type"] != "too_short" or item["loc"] not in inner)


def _problem(error: Any, model: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] != "extra_forbidden":
        return f"{where}: {plain(error['msg'])}" if where else plain(error["msg"])
    near = _near(error["loc"], _known_keys(model)) if model else None
    return f"unknown key {where!r}" + (f" (did you mean {near!r}?)" if near else "")


def plain(said: str) -> str:
    """What pydantic says of a value, in plain words."""
    for theirs, ours in PLAIN.items():
        said = said.replace(theirs, ours)
    return said


def _near(place: Sequence[str | int], known: Sequence[Key]) -> str | None:
    """The key that was meant: a near one of the same table, or one of the same name in another."""
    table: Key = ()
    for part in place[:-1]:  # numbers of a list, and names that the user chose, stand for no key
        table = (*table, str(part)) if (*table, part) in known else table
    wanted = str(place[-1])
    near = get_close_matches(wanted, [key[-1] for key in known if key[:-1] == table], n=1)
    return next(iter([*near, *(".".join(key) for key in known if key[-1] == wanted)]), None)


def _known_keys(annotation: Any, table: Key = ()) -> list[Key]:
    """Keys of a model and of the models inside it, each with its tables, through optional values and tuples."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        keys = [(info, (*table, name)) for name, info in annotation.model_fields.items()]
        return [found for info, key in keys for found in (key, *_known_keys(info.annotation, key))]
    return [found for inner in get_args(annotation) for found in _known_keys(inner, table)]
