"""Sources: a file or a dataset's folder as a list of scans, each a stream of labelled clouds."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from pcaug import catalogue, formats
from pcaug.cloud import FIELDS, PointCloud
from pcaug.corpus import layouts
from pcaug.corpus.card import DatasetCard, all_cards, load_card, official_split
from pcaug.corpus.layouts import LAYOUTS
from pcaug.corpus.metres import to_metres
from pcaug.corpus.published import watched
from pcaug.errors import FileError, LabelError, NotFound, PcaugError, UnmappedLabels, counted, first_few
from pcaug.formats.naming import skipped
from pcaug.labels import IGNORE, tally

PREDICTED = "pcaug-las"
"""Card of the classes that predictions are written as in LAS; it is never guessed."""
NAME_THEM = "give --card (pcaug datasets lists them), or draft one with pcaug datasets new FOLDER"
"""What to do where class ids have no names."""


@dataclass(frozen=True)
class Scan:
    """One file of points, or one of the scans in it.

    Attributes:
        path: The file.
        card: How to read it; None where nobody said: then it has native ids without names.
        unit: Independent unit that it belongs to.
        split: Official split, if its card names one.
        name: Name within its source, unique there.
        prepare: What is done to its clouds before its card is applied.
        part: Which of the file's scans, where it holds several.
    """

    path: Path
    card: DatasetCard | None
    unit: str
    split: str | None
    name: str
    prepare: Callable[[PointCloud], PointCloud] | None = None
    part: str = ""

    def chunks(self, size: int = formats.CHUNK, *, strict: bool = True) -> Iterator[PointCloud]:
        """Stream clouds in metres; with a card and native labels, ``label`` holds taxonomy nodes.

        Args:
            size: Points of a chunk.
            strict: Whether ids that the card does not know are an error, or unlabelled: to look at, not to learn from.

        Raises:
            UnmappedLabels: For ids that the card does not know, with their counts over the whole file.
        """
        card = self.card
        labels = card.label_map() if card else None
        for chunk in self.raw(size):
            source = replace(chunk.source, dataset=card.name if card else "", unit=self.unit)
            cloud = to_metres(replace(chunk, source=source))
            if labels is not None and "native_label" in cloud and "label" not in cloud:
                try:
                    mapped = labels.apply(cloud["native_label"], self.path, strict=strict)
                except UnmappedLabels:
                    raise self._unmapped() from None
                cloud = cloud.with_fields(labels.taxonomy, label=mapped)
            yield cloud

    def _unmapped(self) -> UnmappedLabels:
        """That the card does not know some ids of the file, all of which are counted."""
        assert self.card is not None
        found: Counter[int] = Counter()
        for chunk in self.raw():
            found += tally(chunk["native_label"])
        known = self.card.label_map().nodes
        strange = {native: count for native, count in found.items() if native not in known}
        return UnmappedLabels(strange, self.path, _better(self.card, set(found)))

    def labelled(self, *, unlabelled: bool = False) -> Iterator[PointCloud]:
        """As ``chunks``; what has no labels is refused, or ``unlabelled``: all ignored."""
        for chunk in watched(self.chunks(), self.card, self.path):
            if "label" in chunk:
                yield chunk
            elif unlabelled:
                yield chunk.with_fields(catalogue.taxonomy(), label=np.full(len(chunk), IGNORE, np.uint16))
            else:
                raise LabelError("has no labels in the taxonomy", self.path, self._how_to_label())

    def _how_to_label(self) -> str:
        """What to do about a scan without class ids."""
        if self.card is None:
            return "say how to read it with --card (pcaug datasets lists them)"
        form = formats.FORMATS.get(self.card.encoding)  # none of a layout, whose labels are a file of their own
        apart = self.card.labels or form is None or form.labels
        where = "its label file is missing" if apart else "name their column in its card"
        return f"{where}; or take it in as it is with --unlabelled"

    def raw(self, size: int = formats.CHUNK) -> Iterator[PointCloud]:
        """Stream the file as it is: its own ids and units.

        The card's encoding is for files of the card's kind; a copy of them in another format is read as what it is.
        """
        chunks = self._raw(size)
        return (self.prepare(chunk) for chunk in chunks) if self.prepare else chunks

    def _raw(self, size: int) -> Iterator[PointCloud]:
        card = self._reads_by
        if card is None:
            return formats.iter_chunks(self.path, size)
        if card.encoding in LAYOUTS:
            return layouts.iter_chunks(card.encoding, self.path, self.part, card.ids, size)
        chunks = formats.iter_chunks(self.path, size, card.encoding, rows=card.labels is not None, **card.options)
        if card.labels:
            chunks = (formats.placed(chunk, self.path) for chunk in card.labels.attach(chunks, self.path))
        chunks = (_typed(chunk, card, self.path) for chunk in chunks) if card.types else chunks
        return (_numbered(chunk, card.counted) for chunk in chunks) if card.counted else chunks

    @property
    def _reads_by(self) -> DatasetCard | None:
        """The card, where the file is of its kind and not a copy in another format."""
        card = self.card
        if card is None or (card.encoding in LAYOUTS and (self.part or card.matches(self.path))):
            return card
        found = formats.sniff(self.path) if formats.is_known(self.path) else card.encoding
        return card if found == card.encoding or (found, card.encoding) == ("copc", "las") else None

    @property
    def files(self) -> list[Path]:
        """The files that its clouds depend on: its own, and those of labels and whatever else lies beside it."""
        card, found = self._reads_by, [self.path]
        if card is not None and card.encoding in LAYOUTS:
            found += LAYOUTS[card.encoding].companions(self.path)
        elif labels := formats.FORMATS[card.encoding if card else formats.sniff(self.path)].labels:
            found.append(labels(self.path))
        if card is not None and card.labels:
            found.append(card.labels.path_of(self.path))
        return [file for file in found if file.is_file()]

    def sha256(self) -> str:
        """Hash of the file's bytes; of that hash and its own name where it is one scan of several in a file."""
        whole = sha256_of(self.path)
        return hashlib.sha256(f"{whole} {self.part}".encode()).hexdigest() if self.part else whole


def _typed(cloud: PointCloud, card: DatasetCard, path: Path) -> PointCloud:
    """Fields in the types that the card gives them; raises FileError for values that these cannot hold."""
    with np.errstate(invalid="ignore"):  # what does not fit is found below
        cast = {name: cloud[name].astype(kind) for name, kind in card.types.items() if name in cloud}
    for name, values in cast.items():
        if not np.array_equal(values, cloud[name]):
            raise FileError(f"has values in {name!r} that do not fit {card.types[name]}", path, "correct the card's types")
    return replace(cloud, fields={**cloud.fields, **cast})


def _numbered(cloud: PointCloud, counted: int) -> PointCloud:
    """A cloud whose instances of number 0 among ``counted`` of each class are none: what is not told apart."""
    instance = cloud.fields.get("instance")
    return cloud if instance is None else cloud.with_fields(instance=np.where(instance % counted == 0, 0, instance))


def sha256_of(path: Path) -> str:
    """Hash of a file's bytes."""
    return _sha256(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=64)
def _sha256(path: Path, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _better(card: DatasetCard, ids: set[int]) -> str | None:
    """A hint at the cards of the same encoding that know all ids of a file. Who has a card of his own shall correct that."""
    if card.name not in all_cards():
        return None
    cards = [c.name for c in all_cards().values() if c.encoding == card.encoding and ids <= c.label_map().nodes.keys()]
    return f"--card {' or '.join(cards)} knows them, or add them to a card of your own" if cards else None


def hint(card: DatasetCard | None, fields: Collection[str], ids: set[int]) -> str | None:
    """What would name the class ids of a file better than the card that was guessed: pcaug's, where it predicted them, another
    that knows them all, or one of the user's own. None where nothing does, or the file holds labels of the taxonomy."""
    if "label" in fields:
        return None
    if card is None:
        strange = [name for name in fields if name not in FIELDS]
        if ids:
            return f"nothing tells what its class ids mean: {NAME_THEM}"
        return f"no field is known to hold class ids; if {' or '.join(strange[:3])} does: {NAME_THEM}" if strange else None
    ours = load_card(PREDICTED)
    if "prediction" in fields and card.encoding == ours.encoding and ids <= ours.label_map().nodes.keys():
        return f"pcaug predicted its classes: --card {PREDICTED} names them"
    better = None if ids <= card.label_map().nodes.keys() else _better(card, ids)
    return better and f"{card.name} does not know all class ids: {better}"


def refuse_nested(source: Path, target: Path) -> None:
    """Refuse to write what is read, even by force: the file itself, or a folder that lies in a folder that is read, whose next
    reading would find it, or around it. Raises PcaugError."""
    one, other = source.resolve(), target.resolve()
    if source.is_file() and one == other:
        raise PcaugError("is the source itself", target, "choose another name")
    if source.is_dir() and (one.is_relative_to(other) or other.is_relative_to(one)):
        raise PcaugError(f"lies in the source {source} or around it", target, "choose a folder beside it")


def is_corpus(path: Path) -> bool:
    """Whether a folder is a corpus."""
    return (path / "manifest.json").is_file()


def scans(path: str | Path, card: str | Path | None = None) -> list[Scan]:
    """The scans of a file or folder, in order of their names.

    Args:
        path: A file of a known format, or a folder.
        card: Name or path of a card; without it, the layout may prove one.

    Raises:
        NotFound: If there is nothing, or nothing that can be read.
        FileError: If the files of a folder match several cards.
    """
    path = Path(path)
    if not path.exists():
        raise NotFound("no such file or folder", path)
    chosen = load_card(card) if card is not None else None
    files = [path] if path.is_file() else _below(path, chosen)
    if not files:
        what = (
            f"no file lies as the card {chosen.name} says ({', '.join(chosen.files)})" if chosen else "no file of a known format"
        )
        raise NotFound(f"nothing to read: {what}", path, "check the folder" if chosen else "check the folder, or give --card")
    for file in files:
        try:
            str(file).encode()
        except UnicodeEncodeError:  # which no manifest could hold
            raise FileError("has a name that is not UTF-8", file, "rename it") from None
    guessed = chosen or _guess(files, path)
    if guessed is None and path.is_dir():
        files = _without_prose(path, files)
        guessed = _guess(files, path)
    if guessed:
        files = _distinct([file for file in files if guessed.matches(file) or path.is_file()], guessed)
    base = path if path.is_dir() else path.parent
    stems = Counter(map(formats.stem, files))
    return [scan for file in files for scan in _scans(file, guessed, base, unique=stems[formats.stem(file)] == 1)]


def _distinct(files: list[Path], card: DatasetCard) -> list[Path]:
    """One file per scan: where a folder holds a scan in several formats, the one that the card's patterns name first."""
    first: dict[Path, Path] = {}
    for file in sorted(files, key=lambda file: (card.pattern_of(file), file)):
        first.setdefault(file.with_name(formats.stem(file)), file)
    return sorted(first.values())


def _scans(file: Path, card: DatasetCard | None, base: Path, *, unique: bool) -> list[Scan]:
    stem = formats.stem(file)
    name = "_".join((*file.relative_to(base).parts[:-1], stem))
    own = stem if unique else name  # files of one name in several folders are several units
    if card is None:
        return [Scan(file, None, own, None, name)]
    unit = card.unit_of(file) if card.tells_unit else own
    split = official_split(card, file, unit)
    if card.encoding not in LAYOUTS or not card.matches(file):
        return [Scan(file, card, unit, split, name)]
    parts = LAYOUTS[card.encoding].parts(file)
    return [Scan(file, card, unit, split, f"{name}_{part}" if part else name, part=part) for part in parts]


def _below(folder: Path, card: DatasetCard | None) -> list[Path]:
    files = formats.below(folder)
    if card is not None:
        matching = [p for p in files if card.matches(p)]
        if matching:
            _tell_left_out(folder, card, files)
        return matching
    special = [c for c in all_cards().values() if c.guess and c.encoding in LAYOUTS]
    found = [p for p in files if formats.is_known(p) or any(c.matches(p) for c in special)]
    return [p for p in found if not (p.suffix == ".txt" and p.stem in {"calib", "poses", "times", "class-names", "README"})]


def _without_prose(folder: Path, files: list[Path]) -> list[Path]:
    """The files without texts that hold no points, such as notes and logs, where there are scans in other formats; told."""
    texts = [path for path in files if formats.is_known(path) and formats.sniff(path) == "text"]
    prose = [path for path in texts if not _holds_points(path)] if len(texts) < len(files) else []
    if prose:
        skipped(f"what holds no points {_few(folder, prose)}", folder)
    return [path for path in files if path not in prose]


def _holds_points(path: Path) -> bool:
    try:
        next(formats.iter_chunks(path, 1))
    except FileError:
        return False
    return True


def _tell_left_out(folder: Path, card: DatasetCard, files: list[Path]) -> None:
    """Warn of point files that do not lie as the card says: somebody may have renamed a scan, or laid another one beside. Texts
    and arrays may be anything."""
    points = formats.FORMATS.keys() - {"text", "npy", "npz", "hdf5", "parquet"}
    left = [p for p in files if not card.knows(p) and formats.is_known(p) and formats.sniff(p) in points]
    if left:
        skipped(f"what does not lie as the card {card.name} says {_few(folder, left)}", folder)


def _few(folder: Path, files: list[Path]) -> str:
    """How many files, and the first of them, as a warning names them."""
    named = first_few([str(path.relative_to(folder)) for path in files], 3)
    return f"({counted(len(files), 'file')}: {named})"


def _guess(files: list[Path], where: Path) -> DatasetCard | None:
    """The card that the paths prove: the most specific that knows every file, and some of them as scans."""
    matching = []
    for card in all_cards().values():
        if card.guess and all(card.knows(p) for p in files) and any(card.matches(p) for p in files):
            matching.append(card)
    if not matching:
        return None
    best = max(len(max(card.files, key=len)) for card in matching)
    longest = [card for card in matching if len(max(card.files, key=len)) == best]
    if len(longest) > 1:
        names = " or ".join(card.name for card in longest)
        raise FileError("could be of several datasets", where, f"say which with --card {names}")
    return longest[0]
