"""Convert and merge: sources become one file, or one corpus; and what there is to know of a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pcaug import formats
from pcaug.cloud import PointCloud, Source
from pcaug.corpus.manifest import SourceRow, Tile
from pcaug.corpus.metres import to_metres
from pcaug.corpus.read import Corpus
from pcaug.corpus.sources import Scan, is_corpus, scans
from pcaug.corpus.split import block_split, count_blocks, parse_shares, unit_split
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import NotFound, PcaugError

Progress = Callable[[str, int, int], None]
Frame = Literal["sensor", "map"]
TILE = 100.0
"""Edge of a tile of a map, metres."""


@dataclass(frozen=True)
class Report:
    """What a conversion did.

    Attributes:
        points: Points written.
        lost: Fields that the target cannot hold.
        notes: What else the user should know.
    """

    points: int
    lost: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def convert(
    src: str | Path,
    dst: str | Path,
    card: str | Path | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
    **corpus_options: Any,
) -> Report:
    """Convert a file, a dataset's folder or a corpus to one file, or to a corpus where ``dst`` has no known suffix.

    Args:
        src: Source.
        dst: Destination file or corpus folder.
        card: How to read the source.
        force: Replace what exists.
        progress: Called as ``progress(text, done, total)``.
        **corpus_options: As of ``merge``.
    """
    src, dst = Path(src), Path(dst)
    uneven: tuple[str, ...] = ()
    if not formats.is_known(dst):
        return merge([src], dst, [card] if card else (), force=force, progress=progress, **corpus_options)
    if dst.exists() and not force:
        raise PcaugError("already exists", dst, "choose another name or pass --force")
    if any(value is not None for key, value in corpus_options.items() if key in ("split", "tile")):
        raise PcaugError("a split needs a corpus", dst, "give a folder as destination")
    if is_corpus(src):
        corpus = Corpus.open(src)
        encodings = [row.encoding for row in corpus.manifest.sources]
        chunks, uneven = _even(corpus)
        if any(e != encodings[0] for e in encodings):  # no one LAS header fits them all
            chunks = (replace(c, source=Source(c.source.dataset, c.source.file, c.source.unit)) for c in chunks)
        total = corpus.points
    else:
        found = scans(src, card)
        if len(found) > 1:
            raise PcaugError(f"holds {len(found)} scans, one file can hold one", src, "give a folder as destination for a corpus")
        chunks, total = found[0].chunks() if card else found[0].raw(), 0
    if uneven:
        uneven = (f"not every source has {', '.join(uneven)}: left out",)
    names: set[str] = set()
    written = formats.write(dst, _watched(chunks, names, total, progress))
    lost = tuple(formats.lost(sorted(names), dst))
    notes = (f"{dst.suffix[1:].upper()} cannot hold {', '.join(lost)}: lost",) if lost else ()
    return Report(written, lost, (*uneven, *notes))


def _even(corpus: Corpus) -> tuple[Iterator[PointCloud], tuple[str, ...]]:
    """The clouds of a corpus with the fields that all have, each in a type that holds it everywhere; and what was left out."""
    schemas = [corpus.fields(tile) for tile in corpus.tiles]
    shared = set(schemas[0]).intersection(*schemas) if schemas else set()
    types = {name: reduce(np.promote_types, (schema[name] for schema in schemas)) for name in shared}
    order = [name for name in schemas[0] if name in shared] if schemas else []

    def clouds() -> Iterator[PointCloud]:
        for cloud in corpus.clouds(fields=order):
            yield replace(cloud, fields={name: cloud[name].astype(types[name], copy=False) for name in order})

    return clouds(), tuple(sorted(set().union(*schemas) - shared))


def _watched(chunks: Iterator[PointCloud], names: set[str], total: int, progress: Progress | None) -> Iterator[PointCloud]:
    done = 0
    for chunk in chunks:
        names.update(chunk.fields)
        done += len(chunk)
        if progress:
            progress("points", done, max(total, done))
        yield chunk


def merge(
    sources: Sequence[str | Path],
    dst: str | Path,
    cards: Sequence[str | Path | None] = (),
    *,
    split: str | None = None,
    block: float = 50.0,
    buffer: float = 2.0,
    tile: float | None = None,
    seed: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Merge sources into one corpus. Every point goes in with its label in the taxonomy, or nothing is written.

    Args:
        sources: Files, dataset folders, corpora.
        dst: The corpus.
        cards: How to read each source; one card serves all.
        split: "0.7/0.1/0.2": shares of train, val, test, by blocks of a map or by units of scans. "official": the cards'
            own. None: none, or the one that a source corpus has.
        block: Edge of a block, metres.
        buffer: Width of the strip between blocks of different splits that belongs to neither, metres.
        tile: Edge of a tile of a map, metres.
        seed: Of the split.
        force: Replace what exists.
        progress: Called as ``progress(text, done, total)``.

    Raises:
        UnmappedLabels: For class ids that a card does not know, with counts.
    """
    dst = Path(dst)
    if len(cards) > 1 and len(cards) != len(sources):
        raise PcaugError(f"{len(cards)} cards for {len(sources)} sources", do="give one --card for all, or one for each")
    per_source = list(cards) * len(sources) if len(cards) == 1 else list(cards) or [None] * len(sources)
    _once(sources)
    parts = _apart([part for path, card in zip(sources, per_source, strict=True) for part in _parts(Path(path), card)])
    frames = {part.frame for part in parts}
    if len(frames) > 1 and split not in (None, "official"):
        raise PcaugError(
            "scans with an origin of their own and maps cannot be split by shares together", dst, "split before merging"
        )
    frame: Frame = "map" if frames == {"map"} else "sensor"
    if split == "official" and not any(part.split for part in parts):
        names = ", ".join(sorted({part.dataset for part in parts}))
        raise PcaugError(f"{names}: no official split of these files is known", dst, "give shares: --split 0.7/0.1/0.2")
    rng = np.random.default_rng((seed, 0, 0))
    split_of, by_unit = None, None
    if split not in (None, "official"):
        shares = parse_shares(split)
        if frame == "map":
            counts = count_blocks((chunk for part in parts for chunk in part.chunks()), block)
            split_of = block_split(counts, shares, block, buffer, rng).assign
        else:
            by_unit = unit_split([part.unit for part in parts], shares, rng)
    made_by = {"sources": [str(path) for path in sources], "split": split, "block": block, "buffer": buffer, "seed": seed}
    placeless: set[str] = set()
    with CorpusWriter(dst, frame=frame, split_of=split_of, made_by=made_by, force=force) as writer:
        for index, part in enumerate(parts):
            if progress:
                progress("sources", index, len(parts))
            row = part.row()
            writer.source(row)
            writer.tile = (tile or TILE) if part.frame == "map" else None
            own = by_unit[part.unit] if by_unit else part.split if split == "official" or part.settled else None
            for chunk in part.chunks():
                if chunk.crs is None and part.frame == "map":
                    placeless.add(row.path)
                writer.add(chunk, part.name, part.unit, own, part.kind)
    if progress:
        progress("sources", len(parts), len(parts))
    corpus = Corpus.open(dst)
    return Report(corpus.points, notes=(*_place_notes(corpus, placeless), *_twice_notes(corpus), *_licence_notes(corpus)))


def _once(sources: Sequence[str | Path]) -> None:
    """Refuse a source that is named twice: its points would be in twice."""
    seen: set[Path] = set()
    for path in sources:
        real = Path(path).resolve()
        if real in seen:
            raise PcaugError("is named twice", path, "name each source once")
        seen.add(real)


def _apart(parts: list[_Part]) -> list[_Part]:
    """Units of different datasets that happen to share a name (drive "00" of two) are told apart by their dataset's."""
    owners: dict[str, set[str]] = {}
    for part in parts:
        owners.setdefault(part.unit, set()).add(part.dataset)
    return [replace(p, unit=f"{p.dataset}-{p.unit}") if len(owners[p.unit]) > 1 else p for p in parts]


def _place_notes(corpus: Corpus, placeless: set[str]) -> tuple[str, ...]:
    if corpus.manifest.crs is None or not placeless:
        return ()
    return (f"{len(placeless)} source(s) have no CRS and were taken as they are: {', '.join(sorted(placeless)[:3])}",)


def _twice_notes(corpus: Corpus) -> tuple[str, ...]:
    paths: dict[str, list[str]] = {}
    for row in corpus.manifest.sources:
        if row.sha256 and row.points:
            paths.setdefault(row.sha256, []).append(row.path)
    return tuple(f"the same file is in {len(same)} times: {', '.join(same[:3])}" for same in paths.values() if len(same) > 1)


def _licence_notes(corpus: Corpus) -> tuple[str, ...]:
    flags = {flag for row in corpus.manifest.sources for flag in row.flags}
    notes = []
    if "nd" in flags:
        names = sorted({row.card for row in corpus.manifest.sources if "nd" in row.flags})
        notes.append(f"{', '.join(names)}: no derivatives, this corpus may not be passed on")
    if "nc" in flags:
        notes.append("holds sources for non-commercial use only")
    return tuple(notes)


@dataclass(frozen=True)
class _Part:
    """One scan, or one tile of a corpus, as merge sees it. A corpus's split is settled: it stays unless another is asked for."""

    name: str
    unit: str
    split: str | None
    kind: str
    frame: Frame
    dataset: str
    settled: bool
    chunks: Callable[[], Iterator[PointCloud]]
    row: Callable[[], SourceRow]


def _parts(path: Path, card: str | Path | None) -> list[_Part]:
    if is_corpus(path):
        corpus = Corpus.open(path)
        return [_of_tile(corpus, tile) for tile in corpus.tiles]
    return [_of_scan(scan) for scan in scans(path, card)]


def _of_tile(corpus: Corpus, tile: Tile) -> _Part:
    source = corpus.manifest.sources[tile.source]
    frame = corpus.manifest.frame
    dataset = source.card or source.path
    return _Part(
        tile.name, tile.unit, tile.split, tile.kind, frame, dataset, True, lambda: iter([corpus.read(tile)]), lambda: source
    )


def _of_scan(scan: Scan) -> _Part:
    if scan.card is None:
        raise NotFound("nothing tells what its class ids mean", scan.path, "give --card (pcaug datasets lists them)")
    card = scan.card

    def row() -> SourceRow:
        encoding = dict(to_metres(next(scan.raw(1))).source.encoding)
        return SourceRow(
            path=str(scan.path),
            sha256=scan.sha256(),
            card=card.name,
            licence=card.licence,
            flags=card.flags,
            nodes=tuple(sorted(card.label_map().used())),
            encoding=encoding,
        )

    kind = "synthetic" if card.synthetic else "real"
    return _Part(scan.name, scan.unit, scan.split, kind, card.frame, card.name, False, scan.labelled, row)


def summary(path: str | Path, card: str | Path | None = None) -> dict[str, Any]:
    """What ``pcaug info`` says of a file, a folder or a corpus.

    Returns:
        ``points``, ``bounds`` (2 x 3, None without points), ``fields`` {name: dtype}, ``crs``, ``classes`` {name: points};
        and ``common`` {taxonomy name: points}, ``card``, ``scans``, for a corpus also ``splits`` and ``units``.
    """
    path = Path(path)
    if is_corpus(path):
        return _corpus_summary(Corpus.open(path))
    found = scans(path, card)
    names = {int(key): c.name for key, c in found[0].card.classes.items()} if found[0].card else {}
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    points, crs = 0, None
    unknown: dict[int, int] = {}
    fields: dict[str, str] = {}
    classes: dict[str, int] = {}
    common: dict[str, int] = {}
    for scan in found:
        for chunk in _tolerant(scan, unknown):
            points += len(chunk)
            crs = crs or chunk.crs
            fields |= {name: _type(values) for name, values in chunk.fields.items()}
            if len(chunk):
                low, high = np.minimum(low, chunk.xyz.min(axis=0)), np.maximum(high, chunk.xyz.max(axis=0))
            if "native_label" in chunk:
                _count(classes, {names.get(v, str(v)): n for v, n in _unique(chunk["native_label"])})
            if "label" in chunk and chunk.taxonomy:
                _count(common, chunk.taxonomy.counts(chunk["label"]))
    return {
        "points": points,
        "bounds": [low.tolist(), high.tolist()] if points else None,
        "fields": fields,
        "crs": crs,
        "classes": classes or common,
        "common": common,
        "card": found[0].card.name if found[0].card else None,
        "scans": len(found),
    } | ({"unknown": {str(k): v for k, v in unknown.items()}} if unknown else {})


def _tolerant(scan: Scan, unknown: dict[int, int]) -> Iterator[PointCloud]:
    """Chunks of a scan; class ids that its card does not know are counted, not refused: info must tell, not stop."""
    known = scan.card.label_map() if scan.card else None
    for chunk in scan.raw():
        if known is not None and "native_label" in chunk and "label" not in chunk:
            native = chunk["native_label"]
            strange = ~np.isin(native, list(known.nodes))
            _count(unknown, dict(_unique(native[strange])))
            mapped = np.full(len(native), 255, np.uint16)
            mapped[~strange] = known.apply(native[~strange])
            chunk = chunk.with_fields(known.taxonomy, label=mapped)
        yield chunk


def _corpus_summary(corpus: Corpus) -> dict[str, Any]:
    boxes = np.array([tile.bounds for tile in corpus.tiles if tile.bounds])
    first = corpus.read(min(corpus.tiles, key=lambda t: t.points or 1 << 60)) if corpus.tiles else None
    counts = corpus.counts()
    return {
        "points": corpus.points,
        "bounds": [boxes[:, 0].min(axis=0).tolist(), boxes[:, 1].max(axis=0).tolist()] if len(boxes) else None,
        "fields": {name: _type(values) for name, values in first.fields.items()} if first else {},
        "crs": corpus.manifest.crs,
        "classes": counts,
        "common": counts,
        "card": None,
        "scans": len(corpus.tiles),
        "splits": {split: sum(t.points for t in corpus.tiles if t.split == split) for split in corpus.splits},
        "units": corpus.units,
        "licences": sorted({row.licence for row in corpus.manifest.sources if row.licence}),
    }


def _type(values: Any) -> str:
    return str(values.dtype) if values.ndim == 1 else f"{values.dtype} x {values.shape[1]}"


def _unique(values: Any) -> list[tuple[int, int]]:
    found, counts = np.unique(values, return_counts=True)
    return list(zip(found.tolist(), counts.tolist(), strict=True))


def _count(total: dict[Any, int], more: dict[Any, int]) -> None:
    for key, number in more.items():
        total[key] = total.get(key, 0) + number
