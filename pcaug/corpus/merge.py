"""Merge: many sources become one labelled corpus; every point goes in with its label, or nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.corpus.build import Job, build
from pcaug.corpus.manifest import BUFFER
from pcaug.corpus.parts import (
    Frame,
    Part,
    alternatives,
    few,
    groups,
    one_crs,
    parts_of,
    refuse_twice,
    with_files_apart,
    with_unique_units,
)
from pcaug.corpus.read import STRAYS, Corpus
from pcaug.corpus.report import Report, notes_on
from pcaug.corpus.sources import refuse_nested
from pcaug.corpus.split import BlockSplit, Split, block_split, count_blocks, parse_shares, unit_split
from pcaug.corpus.steps import Steps
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import PcaugError, check_whole, counted
from pcaug.files import stamp
from pcaug.labels import IGNORE, ClassSet, common_cut
from pcaug.parallel import Progress, completed, silent

TILE = 100.0
"""Edge of a tile of a map, metres."""


class CorpusOptions(TypedDict, total=False):
    """The keyword arguments of ``merge`` that only a corpus takes, for functions that hand them on."""

    split: Split | str | None
    tile: float | None
    coarse: str | None
    unique: bool
    append: bool
    scans: int | None
    workers: int
    scheduler: str | None


def merge(
    sources: str | Path | Iterable[str | Path],
    dst: str | Path,
    cards: str | Path | Sequence[str | Path | None] = (),
    *,
    split: Split | str | None = None,
    tile: float | None = None,
    coarse: str | None = None,
    steps: Steps = Steps(),
    unique: bool = False,
    append: bool = False,
    scans: int | None = None,
    workers: int = 1,
    scheduler: str | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> Report:
    """Merge sources into one corpus. Every point goes in with its label in the taxonomy, or nothing is written.

    A run that is killed goes on where it stood when it is started again. The result is the same bytes for any number of
    workers.

    Args:
        sources: Files, dataset folders, corpora.
        dst: The corpus.
        cards: How to read each source; one card serves all.
        split: How points are shared among train, val and test; text is short for ``Split(text)``. Shares are those of real data;
            composed scenes beside it go to train.
        tile: Edge of a tile of a map, metres.
        coarse: Make labels as coarse as "cut" (the finest classes that all sources can tell) or as a preset.
        steps: Filters, reprojection, new ids.
        unique: Drop points at exactly the place of an earlier one.
        append: Add to a corpus that exists; sources that it has already are left out.
        scans: At most so many scans of each unit (drive), evenly spread; maps stay whole.
        workers: Processes.
        scheduler: Address of a Dask scheduler instead.
        force: Replace what exists.
        progress: Called as ``progress(text, done, total)``.

    Raises:
        UnmappedLabels: For class ids that a card does not know, with counts.
    """
    dst = Path(dst)
    sources = [sources] if isinstance(sources, (str, Path)) else list(sources)
    cards = [cards] if isinstance(cards, (str, Path)) else cards
    split = split if isinstance(split, Split) else Split(split)
    _check(sources, dst, tile, scans, workers)
    found = [(card, few(parts_of(Path(path), card, steps), scans)) for path, card in _with_cards(sources, cards)]
    parts = [part for _, own in found for part in own]
    guessed = alternatives(part for card, own in found if card is None for part in own)
    notes = tuple(f"class ids were read by the card {name}; --card for another: {', '.join(o)}" for name, o in guessed.items())
    before = Corpus.open(dst) if append else None
    if before:
        _check_guessed(before, guessed)
        parts, known_ones = _new_parts(before, parts, split, coarse)
        notes += known_ones
    parts = with_unique_units(with_files_apart(parts), before)
    _check_strays(parts, before, split)
    if coarse is not None:
        used = _used(parts)
        classes = _class_set(coarse, used)
        steps, notes = replace(steps, coarse=classes), notes + _coarse_note(classes, used)
    frame = _frame(parts, before)
    crs, placeless = one_crs(parts, before.manifest.crs if before else None, steps)
    known = {} if split.by_shares else _splits_of_units(parts, before, official=bool(split))
    plan = _Plan(frame, crs, tile or TILE, steps, known=known)
    plan = _with_split(plan, parts, split, dst, workers, scheduler)
    jobs = [Job(_write, (plan, group), _about(plan, group)) for group in groups(parts)]
    made_by = _made_by(sources, split, steps, with_strays=any(part.strays for part in parts) or bool(before and before.strays))
    onto = before.manifest if before else None
    build(dst, jobs, made_by, workers=workers, scheduler=scheduler, force=force, onto=onto, unique=unique, progress=progress)
    corpus = Corpus.open(dst)
    notes += _frame_note(parts, before) + _composed_note(plan, parts) + _unit_note(plan, parts)
    notes += notes_on(corpus, placeless, {str(part.scan.path) for part in parts if part.scan}, split, unique=unique)
    return Report(corpus.points, notes=notes, splits=corpus.split_points, classes=corpus.counts())


def _check(sources: Sequence[str | Path], dst: Path, tile: float | None, scans: int | None, workers: int) -> None:
    """Refuse what cannot be merged before any of it is read; raises PcaugError."""
    if not sources:
        raise PcaugError("no source to merge", dst, "name at least one file, folder or corpus")
    if tile is not None and not 0 < tile < np.inf:
        raise PcaugError(f"tiles of {tile:g} m cannot be made", dst, "give metres, such as 100")
    check_whole(1, scans=1 if scans is None else scans, workers=workers)
    refuse_twice(sources)
    for path in map(Path, sources):
        if path.resolve() != dst.resolve() or path.is_file():  # a corpus may be made anew of itself
            refuse_nested(path, dst)


def _check_guessed(before: Corpus, guessed: Mapping[str, Sequence[str]]) -> None:
    """Refuse to add by a card that nobody named to what was read by another card for the same files; raises PcaugError."""
    used = {source.card for source in before.manifest.sources} - {""}
    for name, others in guessed.items():
        if name not in used and (theirs := sorted(used.intersection(others))):
            do = f"name it: --card {theirs[0]}, or --card {name} if that is right"
            raise PcaugError(f"was read by the card {theirs[0]}, and what is added would be by {name}", before.folder, do)


def _frame(parts: Sequence[Part], before: Corpus | None) -> Frame:
    """The frame of a corpus of all parts; raises PcaugError for those that an existing one cannot take."""
    frame: Frame = "map" if _frames(parts, before) == {"map"} else "sensor"
    if before and frame != before.manifest.frame:
        raise PcaugError("maps and scans with an origin of their own do not go together", before.folder, "make a corpus of each")
    return frame


def _frames(parts: Sequence[Part], before: Corpus | None) -> set[Frame]:
    return {part.frame for part in parts} | ({before.manifest.frame} if before else set())


def _made_by(sources: Sequence[str | Path], split: Split, steps: Steps, *, with_strays: bool) -> dict[str, Any]:
    """What the manifest tells of how a corpus was made."""
    made_by: dict[str, Any] = {
        "sources": [str(path) for path in sources],
        "split": split.shares,
        "block": split.block,
        "buffer": split.buffer,
        "seed": split.seed,
    }
    return made_by | ({"steps": steps.about()} if steps else {}) | ({STRAYS: True} if with_strays else {})


@dataclass(frozen=True)
class _Plan:
    """What all parts have in common.

    Attributes:
        composed: Units of which no point is real, beside real ones that are split by shares: they go to train.
        known: Splits that some source gave to units of scans.
    """

    frame: Frame
    crs: str | None
    tile: float
    steps: Steps
    blocks: BlockSplit | None = None
    units: dict[str, str] | None = None
    official: bool = False
    composed: frozenset[str] = frozenset()
    known: dict[str, str] = field(default_factory=dict)

    def split_of(self, part: Part) -> str | None:
        """Split of all points of a part, where blocks do not decide: a unit that some source has split stays whole."""
        if part.unit in self.composed:
            return "train"
        if self.units:
            return self.units[part.unit]
        return (part.split if self.official else part.kept_split) or self.known.get(part.unit)


def _with_cards(sources: Sequence[str | Path], cards: Sequence[str | Path | None]) -> list[tuple[str | Path, str | Path | None]]:
    """Each source with its card; raises PcaugError where there are neither as many cards nor one for all."""
    if len(cards) > 1 and len(cards) != len(sources):
        raise PcaugError(
            f"{counted(len(cards), 'card')} for {counted(len(sources), 'source')}", do="give one --card for all, or one for each"
        )
    return list(zip(sources, cards if len(cards) > 1 else [*cards, None][:1] * len(sources), strict=True))


def _used(parts: Sequence[Part]) -> dict[str, set[int]]:
    """The nodes that each dataset tells."""
    seen: dict[str, set[int]] = {}
    for part in parts:
        seen.setdefault(part.dataset, set()).update(part.used())
    return seen


def _class_set(coarse: str, used: Mapping[str, set[int]]) -> ClassSet:
    """The classes of a preset, or of the common cut of all datasets."""
    tree = catalogue.taxonomy()
    if coarse != "cut":
        return ClassSet(tree, tree.preset(coarse))
    return ClassSet.of_cut(tree, common_cut(tree, used.values()))


def _coarse_note(coarse: ClassSet, used: Mapping[str, set[int]]) -> tuple[str, ...]:
    """Which labels are ignored now, because they do not tell which of the coarse classes they are."""
    nodes = np.array(sorted(set().union(*used.values())), np.intp)
    gone = [coarse.taxonomy.label_name(int(node)) for node in nodes[coarse.index(nodes) == IGNORE]]
    return (f"--coarse has no class for points known only as {', '.join(gone)}: they are ignored",) if gone else ()


def _with_split(plan: _Plan, parts: Sequence[Part], split: Split, dst: Path, workers: int, scheduler: str | None) -> _Plan:
    """The plan with the split of every block or unit."""
    if split.shares is None:
        _check_places(parts, dst)
        return plan
    if not split.by_shares:
        if not any(part.split for part in parts):
            names = ", ".join(sorted({part.dataset for part in parts}))
            raise PcaugError(f"{names}: no official split of these files is known", dst, "give shares: --split 0.7/0.1/0.2")
        return replace(plan, official=True)
    if len({part.frame for part in parts}) > 1:
        raise PcaugError(
            "scans with an origin of their own and maps cannot be split by shares together", dst, "split before merging"
        )
    rng = np.random.default_rng((split.seed, 0, 0))
    shares = parse_shares(split.shares)
    real = {part.unit for part in parts if part.kind == "real"}  # what was made of them beside them, too
    shared = [part for part in parts if part.unit in real or not real]
    plan = replace(plan, composed=frozenset(part.unit for part in parts) - {part.unit for part in shared})
    if plan.frame == "sensor":
        return replace(plan, units=unit_split([part.unit for part in shared], shares, rng))
    counts: dict[tuple[int, int], NDArray[np.int64]] = {}
    jobs = [(plan, group, split.block) for group in groups(shared)]
    for _, found in completed(_count, jobs, workers=workers, scheduler=scheduler):
        for place, number in found.items():
            counts[place] = counts.get(place, 0) + number
    return replace(plan, blocks=block_split(counts, shares, split.block, split.buffer, rng))


def _frame_note(parts: Sequence[Part], before: Corpus | None) -> tuple[str, ...]:
    """That maps lie beside scans: of a corpus, all is taken for scans, whose heights and ranges count from the scanner."""
    if len(_frames(parts, before)) < 2:
        return ()
    maps = sum(part.frame == "map" for part in parts)
    do = "to train on both, make a corpus of each"
    return (f"{counted(maps, 'map')} among scans with an origin of their own, for which no height or range is right: {do}",)


def _composed_note(plan: _Plan, parts: Sequence[Part]) -> tuple[str, ...]:
    """That composed scenes are not tested on."""
    number = sum(part.unit in plan.composed for part in parts)
    return (f"{counted(number, 'synthetic cloud')} went to train: shares are those of real data",) if number else ()


def _unit_note(plan: _Plan, parts: Sequence[Part]) -> tuple[str, ...]:
    """That scans whose card names no unit were split one by one."""
    cards = [part.scan.card for part in parts if part.scan and part.unit not in plan.composed]
    alone = sum(card is None or not card.tells_unit for card in cards)
    if not plan.units or alone < 2:
        return ()
    do = 'scans of one drive may lie in train and in test, unless the card says unit = "..."'
    return (f"each of {counted(alone, 'scan')} is a unit of its own: {do}",)


def _check_strays(parts: Sequence[Part], before: Corpus | None, split: Split) -> None:
    """Refuse to split, or to add to what is split, clouds that were mixed or moved before: they would carry test points into
    train. Those that were made of each split by itself stay where they are."""
    kept = [(part.folder, part.kept_split) for part in parts if part.strays]
    kept += [(before.folder, tile.split) for tile in before.tiles] if before and before.strays else []
    splits = split or any(part.kept_split for part in parts) or (before and before.splits)
    for folder, own in kept if splits else ():
        if own is None or split.by_shares:
            do = "split the real data first, augment it then, and merge them without --split"
            raise PcaugError("was mixed or moved before it was split: points of the test would be trained on", folder, do)


def _splits_of_units(parts: Sequence[Part], before: Corpus | None, *, official: bool) -> dict[str, str]:
    """Units of scans that lie in one split already: of the corpus to append to, of sources that are corpora, or the official one.

    Raises:
        PcaugError: Where two sources have a unit in different splits.
    """
    rows = [(p.unit, p.folder, p.split if official else p.kept_split) for p in parts if p.frame == "sensor"]
    if before:
        rows = [(tile.unit, before.folder, tile.split) for tile in before.tiles if before.frame_of(tile) == "sensor"] + rows
    found: dict[str, dict[str, Path]] = {}
    for unit, folder, own in rows:
        if own:
            found.setdefault(unit, {}).setdefault(own, folder)
    for unit, places in found.items():
        if len(set(places.values())) > 1:
            listed = ", ".join(f"{own} in {folder}" for own, folder in places.items())
            do = "make all of them of one source that is split, or split them anew with --split"
            raise PcaugError(f"has unit {unit} in two splits: {listed}", do=do)
    return {unit: next(iter(places)) for unit, places in found.items() if len(places) == 1}


def _check_places(parts: Sequence[Part], dst: Path) -> None:
    """Refuse real maps without a split beside some with one: their points may lie in its test area."""
    maps = [part for part in parts if part.frame == "map" and part.kind == "real"]
    if len({part.kept_split is None for part in maps}) > 1:
        raise PcaugError("some sources are split and others are not", dst, "split all of them: --split 0.7/0.1/0.2")


def _count(job: tuple[_Plan, tuple[Part, ...], float]) -> dict[tuple[int, int], NDArray[np.int64]]:
    plan, group, block = job
    return count_blocks((chunk for part in group for chunk in part.chunks(plan.steps)), block)


def _about(plan: _Plan, group: Sequence[Part]) -> Any:
    """Everything that the result of a job depends on."""
    split = sorted((place, name) for place, name in plan.blocks.blocks.items()) if plan.blocks else None
    common = [plan.frame, plan.crs, plan.tile, plan.steps.about(), split, plan.official]
    common += [plan.blocks.size, plan.blocks.buffer] if plan.blocks else []
    rows = []
    for part in group:
        stats = [[str(file.resolve()), *stamp(file)] for file in part.files]
        card = part.scan.card.model_dump_json() if part.scan and part.scan.card else None
        rows.append([stats, part.name, part.unit, plan.split_of(part), card])
    return [common, rows]


def _write(job: tuple[_Plan, tuple[Part, ...]], folder: Path) -> None:
    """Write the corpus of some parts."""
    plan, group = job
    with CorpusWriter(folder, frame=plan.frame, crs=plan.crs) as writer:
        for part in group:
            for row in part.common_sources():
                writer.source(row)
            writer.source(part.row(plan.steps.coarse))
            writer.own_frame = None if part.frame == plan.frame else part.frame
            writer.tile = plan.tile if part.frame == "map" else None
            writer.split_of = plan.blocks.assign if plan.blocks and part.unit not in plan.composed else None
            for chunk in part.chunks(plan.steps):
                if part.frame == "map" and chunk.crs is None:
                    chunk = replace(chunk, crs=plan.crs)  # where it lies is taken to be told as the others' is
                writer.add(chunk, part.name, part.unit, plan.split_of(part), part.kind)


def _new_parts(before: Corpus, parts: list[Part], split: Split, coarse: str | None) -> tuple[list[Part], tuple[str, ...]]:
    """The parts that a corpus does not have yet; what was made of a real scan is another part than the scan."""
    if coarse == "cut":
        raise PcaugError("a cut is made for all sources at once", before.folder, "merge all sources anew, or name a preset")
    placed = split.shares is None and any(tile.split and before.frame_of(tile) == "map" for tile in before.tiles)
    if split.by_shares or BUFFER in before.splits or placed:
        do = "merge all sources anew, or append without --split to a corpus without"
        raise PcaugError("a split by shares is made for all sources at once", before.folder, do)
    sources = before.manifest.sources
    held = {(sources[tile.source].sha256, tile.kind) for tile in before.tiles}
    new = [part for part in parts if (part.row().sha256, part.kind) not in held]
    if not new:
        raise PcaugError("has all these sources already", before.folder, "nothing to append")
    known = len(parts) - len(new)
    return new, ((f"{counted(known, 'source')} in it already, left out",) if known else ())
