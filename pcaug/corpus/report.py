"""What a conversion tells its user: points, what is lost, and what looks wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pcaug.corpus.duplicates import repeats
from pcaug.corpus.read import Corpus
from pcaug.corpus.split import Split, parse_shares
from pcaug.errors import counted
from pcaug.labels import IGNORE

FAR = 100_000.0
"""Metres between sources from which on they are hardly one survey."""
UNEVEN = 10.0
"""Ratio of the densities of two sources from which on the user is told."""
FAR_OFF = 0.1
"""Difference of a split from the share of the units, or of a map's points, that was asked for, of which the user is told."""


FEW = 0.1
"""Share of the points that a split was to have, below which the user is told."""


@dataclass(frozen=True)
class Report:
    """What a conversion did.

    Attributes:
        points: Points written.
        lost: Fields that the target cannot hold.
        notes: What else the user should know.
        splits: Points of each split of a corpus that has any; "buffer" are those between splits, which belong to none.
        classes: Points of each class of a corpus.
    """

    points: int
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    splits: Mapping[str, int] = field(default_factory=dict)
    classes: Mapping[str, int] = field(default_factory=dict)


def losses(suffix: str, lost: Sequence[str], ids_of: str | Path | None, without: Mapping[str, int]) -> tuple[str, ...]:
    """What files of a format did not take.

    Args:
        suffix: Of the format.
        lost: Fields that it cannot hold.
        ids_of: Card whose class ids were written.
        without: Points of each class that this card has no id for.
    """
    notes = [
        f"{ids_of} has no class for {name}: {counted(count, 'point')} written as unlabelled" for name, count in without.items()
    ]
    return (*notes, *([f"{suffix[1:].upper()} cannot hold {', '.join(lost)}: lost"] if lost else []))


def notes_on(corpus: Corpus, placeless: set[str], files: set[str], split: Split, *, unique: bool) -> tuple[str, ...]:
    """What the user should know of a corpus that was merged and split from files and others, of which some have no CRS."""
    notes = (
        _split_notes(corpus, split)
        + _place_notes(corpus, placeless)
        + _twice_notes(corpus, unique=unique)
        + _density_notes(corpus)
    )
    return notes + _class_notes(corpus) + _empty_notes(corpus, files) + _licence_notes(corpus)


def _class_notes(corpus: Corpus) -> tuple[str, ...]:
    """That there is nothing to learn: a survey that nobody has classified looks like that."""
    known = any(int(node) != IGNORE for tile in corpus.tiles for node in tile.counts)
    return () if known or not corpus.points else ("no point has a class, all are ignored: pcaug predict labels such scans",)


def _split_notes(corpus: Corpus, split: Split) -> tuple[str, ...]:
    """Splits that were asked for and got no point; of an official split, that a single one got all."""
    if split and not split.by_shares and len(corpus.splits) == 1:
        do = "give the other scans too, or shares: --split 0.7/0.1/0.2"
        return (f"the official split has all of these scans in {corpus.splits[0]}: {do}",)
    wanted = parse_shares(split.shares) if split.shares and split.by_shares else {}
    empty = [name for name in wanted if name not in corpus.splits]
    if empty:
        return (f"no point is in the split {' or '.join(empty)}: lower --buffer or --block, or give more units",)
    points = {name: sum(tile.points for tile in corpus.tiles if tile.split == name) for name in wanted}
    few = [name for name, share in wanted.items() if points[name] < FEW * share * sum(points.values())]
    if few:
        listed = ", ".join(f"{name} {counted(points[name], 'point')}" for name in few)
        return (
            f"hardly a point is in a split, of {sum(points.values()):,}: {listed}; lower --buffer or --block, or give more units",
        )
    return _uneven_units(corpus, wanted) if corpus.manifest.frame == "sensor" else _uneven_blocks(points, wanted)


def _uneven_units(corpus: Corpus, wanted: Mapping[str, float]) -> tuple[str, ...]:
    """That whole units do not come near the shares that were asked for: of three, each split has one."""
    real = [tile for tile in corpus.tiles if tile.kind == "real"] or corpus.tiles
    split_of = {tile.unit: tile.split for tile in real}
    units = {name: sum(split == name for split in split_of.values()) for name in wanted}
    if all(abs(units[name] / len(split_of) - share) <= FAR_OFF for name, share in wanted.items()):
        return ()
    listed = ", ".join(f"{name} {number}" for name, number in units.items())
    return (f"{counted(len(split_of), 'unit')} cannot be shared as asked for, since each stays whole: {listed}",)


def _uneven_blocks(points: Mapping[str, int], wanted: Mapping[str, float]) -> tuple[str, ...]:
    """That whole blocks of a map do not come near the shares that were asked for: there are few, or their points differ."""
    shares = {name: number / sum(points.values()) for name, number in points.items()}
    if all(abs(shares[name] - share) <= FAR_OFF for name, share in wanted.items()):
        return ()
    listed = ", ".join(f"{name} {100 * share:.0f} %" for name, share in shares.items())
    return (f"blocks cannot be shared as asked for, since each stays whole: {listed}; lower --block, or give more tiles",)


def _place_notes(corpus: Corpus, placeless: set[str]) -> tuple[str, ...]:
    if corpus.manifest.crs is None or not placeless:
        return ()
    listed = ", ".join(sorted(placeless)[:3])
    text = "without a CRS, taken to be in that of the others (else say which with --from-crs)"
    apart = _apart(corpus, placeless)
    shift = f"; they lie {apart / 1000:,.0f} km from the others: was a shift taken off, as CloudCompare does?"
    return (f"{counted(len(placeless), 'source')} {text}: {listed}{shift if apart > FAR else ''}",)


def _apart(corpus: Corpus, placeless: set[str]) -> float:
    """Metres in plan between the middle of some sources' tiles and that of the others'; 0 where there are none."""
    rows = [(corpus.manifest.sources[tile.source].path in placeless, tile.bounds) for tile in corpus.tiles if tile.bounds]
    middles = [[np.mean(bounds, axis=0)[:2] for is_theirs, bounds in rows if is_theirs is wanted] for wanted in (True, False)]
    return float(np.linalg.norm(np.mean(middles[0], axis=0) - np.mean(middles[1], axis=0))) if all(middles) else 0.0


def _empty_notes(corpus: Corpus, files: set[str]) -> tuple[str, ...]:
    """Files that gave no point: a download that ended at once looks like that."""
    empty = [row.path for row in corpus.manifest.sources if not row.points and row.path in files]
    return (f"{counted(len(empty), 'source')} gave no point: {', '.join(empty[:3])}",) if empty else ()


def _twice_notes(corpus: Corpus, *, unique: bool) -> tuple[str, ...]:
    notes = _same_files(corpus)
    twice = 0 if unique or corpus.manifest.frame == "sensor" or notes else repeats(corpus.folder, corpus.tiles)
    if twice:
        share = 100 * twice / corpus.points
        notes += (f"about {twice:,} points ({share:.1f} %) lie exactly on another: --unique drops them",)
    return notes


def _density_notes(corpus: Corpus) -> tuple[str, ...]:
    """Sources of a map whose points lie much closer than others': one of them may be in another unit."""
    points: dict[str, list[float]] = {}
    for tile in corpus.tiles:
        if tile.area:
            row = points.setdefault(corpus.manifest.sources[tile.source].card, [0.0, 0.0])
            row[0] += tile.points
            row[1] += tile.area
    density = {name: total / area for name, (total, area) in points.items()}
    if len(density) < 2 or max(density.values()) < UNEVEN * min(density.values()):
        return ()
    listed = ", ".join(f"{name} {value:,.1f}" for name, value in sorted(density.items(), key=lambda item: item[1]))
    return (f"points per square metre differ: {listed}; thin with --voxel, and check units",)


def _same_files(corpus: Corpus) -> tuple[str, ...]:
    paths: dict[str, list[str]] = {}
    for row in corpus.manifest.sources:
        if row.sha256 and row.points:
            paths.setdefault(row.sha256, []).append(row.path)
    scans = [tile for tile in corpus.tiles if tile.kind == "real" and corpus.frame_of(tile) == "sensor"]
    times = Counter((tile.source, tile.points) for tile in scans if tile.points)  # corpora with the same scans share sources
    for (source, _), number in times.items():
        row = corpus.manifest.sources[source]
        if number > 1 and row.sha256:
            paths[row.sha256] = [row.path] * number
    splits = _splits_of_files(corpus)
    return tuple(_same(same, sorted(splits[digest])) for digest, same in paths.items() if len(same) > 1)


def _splits_of_files(corpus: Corpus) -> dict[str, set[str]]:
    """The splits that scans of a file's digest lie in; of a map, whose points at one place are in one split, none are told."""
    found: dict[str, set[str]] = defaultdict(set)
    for tile in corpus.tiles:
        if tile.split and corpus.frame_of(tile) == "sensor":
            found[corpus.manifest.sources[tile.source].sha256].add(tile.split)
    return found


def _same(paths: Sequence[str], splits: Sequence[str]) -> str:
    where = (
        f", in {' and in '.join(splits)}, so that what is tested on is known: take all but one away" if len(splits) > 1 else ""
    )
    return f"the same file is in {len(paths)} times{where}: {', '.join(paths[:3])}"


def _licence_notes(corpus: Corpus) -> tuple[str, ...]:
    flags = {flag for row in corpus.manifest.sources for flag in row.flags}
    notes = []
    if "nd" in flags:
        names = sorted({row.card for row in corpus.manifest.sources if "nd" in row.flags})
        notes.append(f"{', '.join(names)}: no derivatives, this corpus may not be passed on")
    if "nc" in flags:
        notes.append("holds sources for non-commercial use only")
    return tuple(notes)
