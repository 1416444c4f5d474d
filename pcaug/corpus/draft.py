"""A first card of a folder that no card knows: what lies there, which class ids occur how often, what is left to say."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug import formats
from pcaug.cloud import PointCloud
from pcaug.corpus.card import DatasetCard, all_cards, load_card
from pcaug.corpus.layouts import LAYOUTS
from pcaug.corpus.sidecar import LabelFile
from pcaug.errors import FileError, NotFound, PcaugError, counted, printable
from pcaug.formats import naming
from pcaug.labels import tally

ENOUGH = 50_000_000
"""Points after which no further file is read."""
MOST = 512
"""Distinct values that a column of class ids may have."""
LINES = 5_000
"""Lines that text without a header is judged by."""
STANDARD = "las"
"""Card of the classes of the LAS standard."""
TODO = "TODO"
"""Marks what the user has to decide; not a node of the taxonomy, so a card that still has it is refused."""


@dataclass
class _Found:
    """What a folder holds, as far as it was read."""

    encoding: str
    files: list[Path]
    options: dict[str, Any] = field(default_factory=dict)
    labels: LabelFile | None = None
    remarks: list[str] = field(default_factory=list)
    read: int = 0
    points: int = 0
    fields: dict[str, str] = field(default_factory=dict)
    ids: Counter[int] = field(default_factory=Counter)
    crs: str | None = None
    low: NDArray[np.float64] = field(default_factory=lambda: np.full(3, np.inf))
    high: NDArray[np.float64] = field(default_factory=lambda: np.full(3, -np.inf))
    centred: bool = True

    def add(self, cloud: PointCloud) -> None:
        """Take note of a chunk."""
        self.points += len(cloud)
        self.crs = self.crs or cloud.crs
        self.fields |= {name: str(values.dtype) for name, values in cloud.fields.items()}
        if len(cloud):
            low, high = cloud.bounds
            self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
            self.centred = self.centred and bool((low < 0).all() and (high > 0).all() and (high - low < 1000).all())
        if "native_label" in cloud:
            self.ids += tally(cloud["native_label"])


def draft(folder: Path, name: str | None = None, classes_of: str | Path | None = None) -> str:
    """The text of a first card: everything that the files tell, and TODO where only their owner knows.

    Args:
        folder: A folder of scans of one kind.
        name: Name of the dataset; the folder's otherwise.
        classes_of: Card whose names and nodes the class ids have; of LAS that of the standard, else none.

    Raises:
        NotFound: If there are no files of a known format, or no such card.
        PcaugError: If the folder is laid out as a known dataset that needs no card.
        FileError: If the first of them cannot be read.
    """
    if not folder.is_dir():
        raise NotFound("no such folder", folder)
    meanings = load_card(classes_of) if classes_of is not None else None
    found = _look(folder)
    meanings = meanings or (load_card(STANDARD) if found.encoding == STANDARD else None)
    plain = re.sub(r"[^a-z0-9]+", "-", (name or folder.resolve().name).lower()).strip("-")
    return _text(found, folder, meanings, plain or "mine")


def _look(folder: Path) -> _Found:
    kinds: dict[str, list[Path]] = {}
    files = formats.below(folder)
    for path in files:
        if formats.is_known(path):
            kinds.setdefault(formats.sniff(path).replace("copc", "las"), []).append(path)  # both are LAZ
    laid_out = [c.name for c in all_cards().values() if c.encoding in LAYOUTS and any(map(c.matches, files))]
    if laid_out:
        raise PcaugError(f"is laid out as {laid_out[0]}, whose card reads it", folder, "convert it without a card of your own")
    if not kinds:
        raise NotFound("nothing to read", folder, f"known formats are {', '.join(formats.FORMATS)}")
    encoding = max(kinds, key=lambda kind: sum(path.stat().st_size for path in kinds[kind]))
    found = _Found(encoding, kinds.pop(encoding))
    first = max(found.files, key=lambda path: path.stat().st_size)
    if encoding == "text":
        kinds["other text"] = [path for path in found.files if path.suffix.lower() != first.suffix.lower()]
        found.files = [path for path in found.files if path.suffix.lower() == first.suffix.lower()]
        found.options = _columns(first, found.remarks)
    found.remarks += [
        f"not read: {counted(len(files), 'further file')} of format {kind}" for kind, files in kinds.items() if files
    ]
    sample = list(formats.iter_chunks(first, encoding=encoding, rows=True, **found.options))
    if "native_label" not in sample[0]:
        _find_labels(first, sample, found)
    found.files = [path for path in found.files if not _is_label_file(path, found)]
    for path in found.files:
        chunks = formats.iter_chunks(path, encoding=encoding, rows=True, **found.options)
        try:
            for chunk in found.labels.attach(chunks, path) if found.labels else chunks:
                found.add(formats.placed(chunk, path))
            found.read += 1
        except PcaugError as error:
            if path == first:
                raise
            found.remarks.append(f"not read like the others: {error}")
        if found.points > ENOUGH:
            break
    return found


def _is_label_file(path: Path, found: _Found) -> bool:
    """Whether a file of the scans' own format holds their labels (a.xyz beside a.txt)."""
    return found.labels is not None and not re.search(found.labels.scan, path.as_posix())


def _columns(path: Path, remarks: list[str]) -> dict[str, Any]:
    """Names of the columns of text without a header, as far as their numbers tell; none where it has a header."""
    try:
        next(formats.iter_chunks(path, 1, encoding="text"))
        return {}
    except FileError as error:
        if "no header" not in error.what:
            raise
    with path.open(encoding="latin-1") as file:
        lines = [line.translate({ord(c): " " for c in ",;\t"}).split() for _, line in zip(range(LINES), file, strict=False)]
    lines = [line for line in lines if line and all(map(_is_number, line))]
    wide = Counter(map(len, lines)).most_common(1)[0][0]
    table = np.array([line for line in lines if len(line) == wide], float)
    names = ["x", "y", "z", *[""] * (wide - 3)]
    whole = [bool((column == np.rint(column)).all()) for column in table.T]
    bytes_ = [whole[i] and table[:, i].min() >= 0 and table[:, i].max() <= 255 for i in range(wide)]
    colour = next((i for i in range(3, wide - 2) if all(bytes_[i : i + 3]) and table[:, i : i + 3].max() > 31), None)
    if colour is not None:
        names[colour : colour + 3] = ["red", "green", "blue"]
    ids = [i for i in range(3, wide) if whole[i] and not names[i] and len(np.unique(table[:, i])) <= MOST]
    if ids:
        varied = [i for i in ids if np.ptp(table[:, i]) > 0]  # a constant column is not the class if another one varies
        names[(varied or ids)[-1]] = "native_label"
    for i in range(3, wide):
        kind = "whole" if whole[i] else "fractions"
        remarks.append(
            f"column {i + 1}: {table[:, i].min():g} to {table[:, i].max():g}, {kind}, taken as {names[i] or 'nothing'!r}"
        )
    return {"columns": names}


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _find_labels(first: Path, sample: list[PointCloud], found: _Found) -> None:
    """Class ids of a scan that has none under a usual name: a file beside it, or a field of few whole numbers."""
    points = sum(map(len, sample))
    for path in _namesakes(first):
        kind = _label_kind(path, points)
        if kind is None:
            continue
        here, there = first.parent.name, path.parent.name.replace("\\", "\\\\")
        same = path.parent == first.parent
        scan = rf"{re.escape(first.suffix)}$" if same else rf"{re.escape(here)}/([^/]+){re.escape(first.suffix)}$"
        labels = LabelFile(scan=scan, file=path.suffix if same else rf"{there}/\1{path.suffix}", **kind)
        try:
            values = np.concatenate([cloud["native_label"] for cloud in labels.attach(iter(sample), first)])
        except PcaugError:
            continue
        if len(np.unique(values)) <= MOST:
            found.labels = labels
            return
    whole = [
        n for n, v in sample[0].fields.items() if v.ndim == 1 and np.array_equal(v, np.rint(v)) and len(np.unique(v)) <= MOST
    ]
    if whole:
        found.remarks.append(f"no field is named like a class; whole numbers of few values: {', '.join(whole)}")
        others = [name for name in whole if name not in naming.RENAMED.values()]
        if others and found.encoding in formats.FORMATS and "label" in formats.options_of(found.encoding):
            found.options |= {"label": others[-1]}


def _namesakes(scan: Path) -> list[Path]:
    """Files with a scan's stem, in its own folder or in a neighbouring one."""
    folders = [scan.parent, *sorted(p for p in scan.parent.parent.iterdir() if p.is_dir() and p != scan.parent)]
    return [
        path for folder in folders for path in sorted(folder.glob(f"{_literal(scan.stem)}.*")) if path != scan and path.is_file()
    ]


def _literal(text: str) -> str:
    return re.sub(r"([*?\[])", r"[\1]", text)


def _label_kind(path: Path, points: int) -> dict[str, Any] | None:
    """How a file could hold one id per point: a whole number on each line, or the same number of bytes each."""
    if not points:
        return None
    if path.suffix == ".npy":
        return {"kind": "npy"}
    with path.open("rb") as file:
        head = file.read(4096)
    lines = head.split(b"\n")
    if all(re.fullmatch(rb"\s*-?\d+(\.0*)?\s*", line) for line in lines[: 100 if len(head) == 4096 else None] if line.strip()):
        return {"kind": "text"} if head.strip() else None
    size, rest = divmod(path.stat().st_size, points)
    if rest or size not in (1, 2, 4, 8):
        return None
    dtype = {1: "u1", 2: "u2", 4: "u4", 8: "i8"}[size]
    packed = size == 4 and bool((np.fromfile(path, "<u4") > 0xFFFF).any())  # instances in the upper half, as in SemanticKITTI
    return {"kind": "binary", "dtype": dtype} | ({"mask": 0xFFFF} if packed else {})


def _text(found: _Found, folder: Path, meanings: DatasetCard | None, name: str) -> str:
    frame = "sensor" if found.centred and len(found.files) > 1 and found.crs is None and found.points else "map"
    suffixes = sorted({path.suffix.lower() for path in found.files})
    lines = [
        f"# A first card of {_shown(str(folder))}.",
        f"# Name the classes and put a node of the taxonomy for each {TODO}, correct what is wrong, then",
        f"#   {_shown(shlex.join(['pcaug', 'convert', str(folder), 'CORPUS', '--card', f'{name}.toml']))}",
        *(f"# {_shown(remark)}" for remark in [*_facts(found, meanings), *found.remarks]),
        f"name = {_toml(name)}",
        f"title = {_toml(name)}",
        f"files = {_toml([f'*{suffix}' for suffix in suffixes])}",
        f"encoding = {_toml(found.encoding)}",
        *([f"options = {_table(found.options)}"] if found.options else []),
        'sensor = "any"  # spinning, solid-state, mobile, airborne, uav, terrestrial, photogrammetry, depth, object',
        f'frame = "{frame}"  # "sensor": each scan has its own origin; "map": they share coordinates',
        *([_unit_line(found.files, folder)] if frame == "sensor" else []),
        'licence = "unknown"',
    ]
    if found.labels:
        lines += [
            "",
            "[labels]",
            *(f"{key} = {_toml(value)}" for key, value in found.labels.model_dump(exclude_defaults=True).items()),
        ]
    lines += [
        "",
        "# native id = name, the deepest node of datasets/taxonomy.toml that contains it (or ignore), as counted",
        "[classes]",
    ]
    for key, count in sorted(found.ids.items()):
        known = meanings.classes.get(str(key)) if meanings else None
        name = known.name if known else f"class-{key}".replace("--", "-minus-")
        row = f"{{ name = {_toml(name)}, node = {_toml(known.node if known else TODO)} }}"
        lines.append(f"{key if key >= 0 else _toml(str(key))} = {row}  # {count:,} points")
    return "\n".join(lines) + "\n"


def _unit_line(files: list[Path], folder: Path) -> str:
    """What scans share a unit: the innermost folder whose name is not the same for all."""
    homes = [path.relative_to(folder).parts[:-1] for path in files]
    below = next((k for k, names in enumerate(zip(*map(reversed, homes), strict=False)) if len(set(names)) > 1), None)
    meaning = "first group: the drive or site of a scan, whose scans stay in one split"
    if below is None:
        return f"# unit = '([^/]+)_[0-9]+[.]'  # {meaning}; without it each scan is one of its own"
    return f"unit = {_toml('([^/]+)/' + below * '[^/]+/' + '[^/]+$')}  # {meaning}"


def _facts(found: _Found, meanings: DatasetCard | None) -> list[str]:
    some = "" if found.read == len(found.files) else f"the first {found.read:,} of "
    facts = [
        f"{counted(found.points, 'point')} in {some}{counted(len(found.files), 'file')}; "
        f"fields: {', '.join(found.fields) or 'none'}"
    ]
    if found.points:
        spans = ", ".join(f"{axis} {low:.1f} to {high:.1f}" for axis, low, high in zip("xyz", found.low, found.high, strict=True))
        facts.append(f"{spans}: {_unit(found)}")
    if not found.ids:
        facts.append("no class ids were found: say where they are with options or [labels] (datasets/README.md)")
    elif meanings:
        whose = "the LAS standard" if meanings.name == STANDARD else f"the card {meanings.name}"
        facts.append(f"names are those of {whose}: check them against this survey's own")
    knowing = [c.name for c in all_cards().values() if _may_tell(c, found) and (meanings is None or c.name != meanings.name)]
    if knowing and found.ids:
        facts.append(
            f"cards that know all these ids: {', '.join(knowing)}; pcaug datasets new --classes-of CARD takes its classes"
        )
    return facts


def _may_tell(card: DatasetCard, found: _Found) -> bool:
    """Whether a card knows all ids, and is of the same encoding, or of the standard whose ids are copied into any other."""
    return (card.encoding == found.encoding or card.name == STANDARD) and found.ids.keys() <= card.label_map().nodes.keys()


def _unit(found: _Found) -> str:
    """What the coordinates are, or seem to be."""
    if found.crs:
        from pyproj import CRS
        from pyproj.exceptions import CRSError

        try:
            crs = CRS.from_user_input(found.crs)
            return f"{crs.name}, in {crs.axis_info[0].unit_name if crs.axis_info else 'metre'}"
        except CRSError:
            return "a CRS that PROJ does not know"
    wide, tall = float((found.high - found.low)[:2].max()), float((found.high - found.low)[2])
    if np.abs(found.low[:2]).max() <= 180 and np.abs(found.high[:2]).max() <= 180 and wide < 0.1 and tall > 1:
        return "degrees? No CRS: reproject it first"
    if wide > 100_000 or tall > 5_000:
        return "millimetres or centimetres? No CRS: it is read as metres"
    return "no CRS; it is read as metres"


def _shown(text: str) -> str:
    """Text of a path or file on one line of a comment."""
    return printable(text).replace("\n", "?")


def _toml(value: Any) -> str:
    """A string, number or list as TOML: what JSON says of it."""
    return json.dumps(value, ensure_ascii=False)


def _table(values: dict[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {_toml(value)}" for key, value in values.items()) + " }"
