"""Entries of a pack of meshes: files with their cards, from a folder, one file, or a catalogue."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from pcaug import catalogue
from pcaug.errors import NotFound, RecipeError
from pcaug.scene.meshes.bundle import Bundle
from pcaug.scene.meshes.card import AssetCard
from pcaug.scene.meshes.load import Loaded, load_asset
from pcaug.scene.meshes.read import READERS

PACK = "assets.toml"
"""Card of a whole folder: the keys of an asset card for all its files, and ``[files]`` for some."""


@dataclass(frozen=True)
class Entry:
    """A mesh that is known but not yet read.

    Attributes:
        folder: The folder or archive that holds it.
        file: Its name in there.
        card: What is said of it.
        name: How it is called.
        tags: Words that say what it is: category, tags, folders.
    """

    folder: Path
    file: str
    card: AssetCard
    name: str
    tags: tuple[str, ...] = ()

    def load(self, **changes: Any) -> Loaded:
        """Its asset, with keys of the card replaced."""
        return load_asset(self.folder, self.file, self.card.model_copy(update=changes))

    def covers(self, pattern: str) -> bool:
        """Whether a pattern matches its name, its file or one of its tags; upper and lower case are one."""
        return any(fnmatchcase(text.lower(), pattern.lower()) for text in (self.name, self.file, *self.tags))


class PackCard(AssetCard):
    """Card of a folder (``assets.toml``): an asset card for all, and ``files``: pattern on the path -> keys for some."""

    files: dict[str, AssetCard] = {}


def entries(path: Path, only: str = "*") -> tuple[Entry, ...]:
    """What a path holds: a folder, a mesh, a zip, a Sweet Home 3D library (.sh3f) or a HELIOS++ scene (.xml).

    Args:
        path: Where.
        only: Pattern on names, files or tags.

    Raises:
        NotFound: Nothing there.
        FileError, RecipeError: A catalogue or a card that is damaged.
    """
    from pcaug.scene.meshes import helios, sweethome

    if not path.exists():
        raise NotFound("no such file or folder", path)
    if path.suffix.lower() == ".xml":
        found = helios.entries(path)
    elif path.suffix.lower() in READERS:
        found = _files(Bundle(path.parent), [path.name])
    elif sweethome.CATALOGUE in (bundle := Bundle(path)):
        found = sweethome.entries(bundle)
    else:
        found = _files(bundle, [n for n in bundle.names() if PurePosixPath(n).suffix.lower() in READERS])
        for name in bundle.names():
            if name.lower().endswith(".sh3f") and path.is_dir():
                found += sweethome.entries(Bundle(path / name))
    found = [entry for entry in found if entry.covers(only)]
    if not found:
        raise NotFound("no meshes" if only == "*" else f"no mesh matches {only!r}", path, f"known formats: {', '.join(READERS)}")
    return tuple(found)


def _files(bundle: Bundle, names: list[str]) -> list[Entry]:
    """Plain files: the folder's card, then its ``[files]`` that match, then the file's own card (``<mesh stem>.toml``)."""
    pack = _decode(bundle, PACK, PackCard) if PACK in bundle else PackCard()
    home = PurePosixPath(bundle.path.resolve().name if bundle.path.is_dir() else "")
    out = []
    for name in names:
        at = PurePosixPath(name)
        keys: dict[str, Any] = {"label": _class_of(home / at.parent)} | _said(pack)
        for pattern, card in pack.files.items():
            if fnmatchcase(name.lower(), pattern.lower()):
                keys |= _said(card)
        own = str(at.with_suffix(".toml"))
        if own in bundle:
            keys |= _said(_decode(bundle, own, AssetCard))
        card = catalogue.decode(keys, Path(bundle.where(name)), AssetCard)  # each card is right, together they may not be
        out.append(Entry(bundle.path, name, card, at.stem, at.parts[:-1]))
    return out


def _said(card: AssetCard) -> dict[str, Any]:
    return card.model_dump(mode="json", exclude_unset=True, exclude={"files"})


def _class_of(folder: PurePosixPath) -> str | None:
    """The innermost folder that is named after a class."""
    known = {node.name for node in catalogue.taxonomy().nodes.values()}
    return next((part.lower() for part in reversed(folder.parts) if part.lower() in known), None)


def _decode(bundle: Bundle, name: str, model: type[Any]) -> Any:
    if bundle.path.is_dir():
        return catalogue.load(bundle.path / name, model)
    import tomllib

    try:
        table = tomllib.loads(bundle.read(name).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"is not an asset card: {error}", bundle.where(name)) from None
    return catalogue.decode(table, Path(bundle.where(name)), model)


def card_of(path: Path) -> str:
    """A card to start from, as TOML text with comments, for what a path holds."""
    rows = [(e.file, e.card) for e in entries(path)]
    lines = ["# What the meshes in this folder do not say themselves. All keys are optional.", 'licence = ""']
    for file, card in rows:
        size = card.size if card.size is not None else 1.0
        text = {
            "label": f'"{card.label or ""}"   # class of the taxonomy',
            "size": f"{list(size) if isinstance(size, tuple) else size}   # largest extent or [ahead, left, up], metres",
            "up": f'"{card.up or "y"}"', "forward": f'"{card.forward or "z"}"',
        }  # fmt: skip
        lines += ["", f"[files.{json.dumps(file)}]"]
        lines += [("" if getattr(card, key) is not None else "# ") + f"{key} = {value}" for key, value in text.items()]
    return "\n".join(lines) + "\n"
