"""Convert: a source to one file, or to a corpus."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import reduce
from itertools import combinations
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue, formats
from pcaug.cloud import PointCloud
from pcaug.corpus.card import DatasetCard, load_card
from pcaug.corpus.merge import CorpusOptions, merge
from pcaug.corpus.metres import same_crs
from pcaug.corpus.read import Corpus
from pcaug.corpus.report import Report, losses
from pcaug.corpus.sources import Scan, is_corpus, refuse_nested, scans
from pcaug.corpus.steps import Steps, labels_of, reprojected
from pcaug.errors import FileError, NotFound, PcaugError, UnmappedLabels, counted
from pcaug.files import claim
from pcaug.formats import las_header
from pcaug.labels import IGNORE
from pcaug.parallel import Progress, silent
from pcaug.scales import colour_scale, in_type


def convert(
    src: str | Path | Sequence[str | Path],
    dst: str | Path,
    card: str | Path | None = None,
    *,
    steps: Steps = Steps(),
    ids_of: str | Path | None = None,
    force: bool = False,
    progress: Progress = silent,
    **corpus_options: Unpack[CorpusOptions],
) -> Report:
    """Convert a file, a dataset's folder or a corpus to one file, or to a corpus where ``dst`` has no known suffix.

    Args:
        src: Source; several become one.
        dst: Destination file or corpus folder.
        card: How to read the source.
        steps: Filters, reprojection, new ids.
        ids_of: Card whose class ids the labels become; only for files.
        force: Replace what exists.
        progress: Called as ``progress(text, done, total)``.
        **corpus_options: As of ``merge``.
    """
    sources = [Path(src)] if isinstance(src, str | Path) else [Path(path) for path in src]
    dst = Path(dst)
    if not formats.is_known(dst):
        if not dst.exists() and (near := get_close_matches(dst.suffix, formats.SUFFIXES, cutoff=0.75)):
            raise NotFound(
                f"no format {dst.suffix}", dst, f"did you mean {' or '.join(near)}? (A corpus is a folder: no such ending)"
            )
        if ids_of:
            raise PcaugError("a corpus holds labels of the taxonomy", dst, "--ids-of needs a file as destination")
        cards = [card] if card else ()
        return merge(sources, dst, cards, steps=steps, force=force, progress=progress, **corpus_options)
    for path in sources if dst.exists() else ():
        for read in formats.below(path) if path.is_dir() else [path]:
            if read.is_file():
                refuse_nested(read, dst)
    claim(dst, force=force)
    if labels := formats.FORMATS[formats.sniff(dst)].labels:  # its writer puts labels there, or takes away those of before
        claim(labels(dst), force=force)
    if any(corpus_options.get(key) for key in ("split", "tile", "append", "unique", "coarse", "scans")):
        raise PcaugError(
            "a split, tiles, appending, --coarse, --scans and --unique need a corpus", dst, "give a folder as destination"
        )
    if sources and not (card or ids_of or steps) and formats.copies(sources, dst):
        return Report(formats.copy(sources, dst, _counter(progress)))
    streams = [stream for path in sources for stream in _streams(path, card, steps)]
    if not (card or ids_of or steps.ids):
        _check_ids(streams, dst)
    chunks, uneven = _even(streams, dst)
    notes = _clock_note(streams)
    without: Counter[str] = Counter()
    if ids_of:
        chunks = with_ids(chunks, ids_of, without)
    names: set[str] = set()
    written = formats.write(dst, _watched(chunks, names, sum(s.points for s in streams), progress))
    lost = tuple(formats.lost(sorted(names), dst))
    notes += _uneven_notes(uneven, dst)
    if (own := sum(stream.frame == "sensor" for stream in streams)) and len(streams) > 1:
        lie = "lie on one another" if own > 1 else "lies among the points of the others"
        notes += (f"{counted(own, 'scan')}, each with an origin of its own, {lie}: a corpus keeps them apart",)
    placeless = sum(stream.first.crs is None for stream in streams)
    if placeless < len(streams) and placeless:
        text = "without a CRS, taken to be in that of the others (else say which with --from-crs)"
        notes += (f"{counted(placeless, 'source')} {text}",)
    return Report(written, lost, notes + losses(dst.suffix, lost, ids_of, without))


def _clock_note(streams: Sequence[_Stream]) -> tuple[str, ...]:
    """That GPS times do not compare."""
    encodings = [stream.first.source.encoding for stream in streams]
    clocks = {las_header.clock(encoding) for encoding in encodings if "global_encoding" in encoding}
    if len(clocks) < 2 or not all("time" in stream.first for stream in streams):
        return ()
    return ("times of some sources count from the week's beginning, those of others are adjusted standard GPS times",)


def _uneven_notes(uneven: Sequence[str], dst: Path) -> tuple[str, ...]:
    """That fields of some sources alone are left out; LAS has a place for some of them in every point all the same."""
    if not uneven:
        return ()
    there = next(formats.iter_chunks(dst, 1)).fields
    empty, gone = ([name for name in uneven if (name in there) is has] for has in (True, False))
    return tuple(
        f"not every source has {', '.join(names)}: {what}"
        for names, what in ((gone, "left out"), (empty, "0 in all points, which have a place for it in this format"))
        if names
    )


@dataclass(frozen=True)
class _Stream:
    """Clouds alike in fields and encoding: a file, or a tile of a corpus.

    Attributes:
        first: A cloud of at least one point, where there is one: its fields and encoding are those of all.
        points: How many, 0 where unknown.
        frame: "sensor" where its origin is its own; "" where nobody said.
        card: What its class ids mean, where they go along as they are.
    """

    clouds: Callable[[], Iterator[PointCloud]]
    first: PointCloud
    points: int
    frame: str
    card: DatasetCard | None = None


def _streams(path: Path, card: str | Path | None, steps: Steps) -> list[_Stream]:
    if is_corpus(path):
        corpus = Corpus.open(path)
        return [_of_tile(corpus, index, steps) for index in range(len(corpus.tiles))]
    return [_of_scan(scan, steps, labelled=card is not None) for scan in scans(path, card)]


def _of_tile(corpus: Corpus, index: int, steps: Steps) -> _Stream:
    tile = corpus.tiles[index]

    def clouds() -> Iterator[PointCloud]:
        return steps.apply(steps.prepare(cloud) for cloud in [corpus.read(tile)])

    return _Stream(clouds, steps.prepare(corpus.head(tile)), tile.points, corpus.manifest.frame)


def _of_scan(scan: Scan, steps: Steps, *, labelled: bool) -> _Stream:
    scan = replace(scan, prepare=steps.prepare) if steps else scan

    def clouds() -> Iterator[PointCloud]:
        if labelled:  # which is read in metres, whatever its CRS counts in
            return (_asked(cloud, steps) for cloud in steps.apply(scan.chunks()))
        return steps.apply(scan.raw())  # as its file counts, which may be in feet

    try:
        first = _asked(next(scan.chunks(1)), steps) if labelled else next(scan.raw(1))
    except UnmappedLabels:
        deque(clouds(), 0)  # raises it again, with the ids of more than one point
        raise
    own = scan.card if "native_label" in first and "label" not in first else None
    return _Stream(clouds, first, 0, scan.card.frame if scan.card else "", own)


def _check_ids(streams: Sequence[_Stream], dst: Path) -> None:
    """Refuse to put class ids of several datasets into one file where they mean different things."""
    cards = list({stream.card.name: stream.card for stream in streams if stream.card}.values())
    maps = [card.label_map().nodes for card in cards]
    for (card, one), (other, two) in combinations(zip(cards, maps, strict=True), 2):
        if any(one[number] != two[number] for number in one.keys() & two.keys()):
            do = (
                "say whose to write with --ids-of, or what reads all with --card; a folder gets a corpus, with classes of its own"
            )
            raise PcaugError(f"{card.name} and {other.name} mean different classes by the same ids", dst, do)


def _asked(cloud: PointCloud, steps: Steps) -> PointCloud:
    """A cloud in metres in the CRS that was asked for, which may count in feet."""
    return reprojected(cloud, steps.crs) if steps.crs and cloud.crs else cloud


def _even(streams: Sequence[_Stream], dst: Path) -> tuple[Iterator[PointCloud], tuple[str, ...]]:
    """The clouds of all with the fields that all have, each in a type that holds it everywhere; and what was left out."""
    if not streams:
        raise PcaugError("nothing to write", dst, "name at least one source")
    firsts = [stream.first for stream in streams]
    crs = next((cloud.crs for cloud in firsts if cloud.crs), None)
    for cloud in firsts:
        if crs and cloud.crs and not same_crs(cloud.crs, crs):
            raise PcaugError("is in another CRS than the points before it", cloud.source.file, "choose one with --crs EPSG:...")
    shared = set(firsts[0].fields).intersection(*(cloud.fields for cloud in firsts))
    types = {name: reduce(np.promote_types, (cloud[name].dtype for cloud in firsts)) for name in shared}
    factors = _on_one_scale(streams, types)
    order = [name for name in firsts[0].fields if name in shared]
    encoding = _one_encoding(firsts)

    def clouds() -> Iterator[PointCloud]:
        first = True
        for number, stream in enumerate(streams):
            for cloud in stream.clouds():
                same = cloud.crs == crs and {name: values.dtype for name, values in cloud.fields.items()} == types
                if first or not same:  # a cloud as it was read is written without encoding it again
                    fields = {name: _widened(cloud, name, types[name]) for name in order if name not in factors}
                    fields |= {name: _scaled(cloud, name, factor[number], types[name]) for name, factor in factors.items()}
                    cloud = replace(
                        cloud,
                        fields={name: fields[name] for name in order},
                        crs=crs,
                        source=replace(cloud.source, encoding=encoding),
                    )
                first = False
                yield cloud

    return clouds(), tuple(sorted(set().union(*(cloud.fields for cloud in firsts)) - shared))


def _widened(cloud: PointCloud, name: str, kind: np.dtype[Any]) -> NDArray[Any]:
    """A field in a type; raises FileError where that cannot hold all its values as they are."""
    values = cloud[name]
    with np.errstate(invalid="ignore", over="ignore"):  # what does not fit is found below
        wide = values.astype(kind, copy=False)
        same = wide is values or np.array_equal(wide.astype(values.dtype), values, equal_nan=values.dtype.kind == "f")
    if not same:
        what = f"field {name!r} ({values.dtype}) holds values that do not fit {kind}, the type that it has in all sources"
        raise FileError(what, cloud.source.file or None, "give it one type in all of them")
    return wide


def _on_one_scale(streams: Sequence[_Stream], types: dict[str, np.dtype[Any]]) -> dict[str, list[float]]:
    """What each source's colours and intensities are multiplied by, where sources count them in several types: 0..1, 0..255 and
    16 bits mean the same. The ``types`` become those that hold them. What whole intensities mean is their instrument's matter."""
    factors = {}
    for name in {"intensity", "rgb"} & types.keys():
        kinds = [stream.first[name].dtype for stream in streams]
        if len(set(kinds)) == 1:
            continue
        heads = [next(stream.clouds(), stream.first)[name] for stream in streams]
        scales = [colour_scale(head) if head.any() or head.dtype != np.uint16 else 65535.0 for head in heads]
        unit = [kind.kind == "f" and scale == 1 for kind, scale in zip(kinds, scales, strict=True)]
        if all(unit) or max(scales) > 65535 or any(np.nanmin(head, initial=0) < 0 for head in heads):  # decibels
            continue
        if name == "intensity":
            others = [kind for kind, is_unit in zip(kinds, unit, strict=True) if not is_unit]
            types[name] = reduce(np.promote_types, others)
            top = 255.0 if types[name] == np.uint8 else 65535.0
            factors[name] = [top if is_unit else 1.0 for is_unit in unit]
        else:
            top = max(scales)
            types[name] = np.dtype(np.uint8 if top <= 255 else np.uint16)
            factors[name] = [top / scale for scale in scales]
    return factors


def _scaled(cloud: PointCloud, name: str, factor: float, kind: np.dtype[Any]) -> NDArray[Any]:
    """Values times a factor in a type; raises FileError where they are far beyond the scale that the first of them were of."""
    values = cloud[name] * factor
    if kind.kind in "iu" and np.nanmax(values, initial=0) > 2 * np.iinfo(kind).max:
        what = f"{name} goes up to {np.nanmax(cloud[name]):g} after points of a smaller scale"
        raise FileError(what, cloud.source.file or None, "bring it to the scale of the others, one file at a time")
    return in_type(values, kind)


def _one_encoding(firsts: Sequence[PointCloud]) -> Any:
    """The encoding of all, or that of the richest LAS point format on one grid; none where they do not go together."""
    encodings = [cloud.source.encoding for cloud in firsts]
    if all(e == encodings[0] for e in encodings):
        return encodings[0]
    kinds = {(e.get("format"), str(e.get("scales"))) for e in encodings}
    if len(kinds) == 1 and "point_format" in encodings[0]:
        richest = max(encodings, key=lambda e: int(e["point_format"]))
        alike = [extra for extra in richest.get("extra", []) if all(extra in e.get("extra", []) for e in encodings)]
        return {**richest, "extra": alike}  # other extra bytes take the type that holds them all
    return {}


def with_ids(chunks: Iterator[PointCloud], card: str | Path, without: Counter[str]) -> Iterator[PointCloud]:
    """Labels as the class ids of a dataset; what it has no class for is counted and becomes its class for unlabelled points.

    Points that came from that dataset get the id back that they had, where their label is still that id's.

    Raises:
        PcaugError: Where it has no such class either.
    """
    loaded = load_card(card)
    ids = loaded.native_of()
    table = np.full(IGNORE + 1, ids.get(IGNORE, 0), np.int32)
    named = np.zeros(IGNORE + 1, np.bool_)
    for node, number in ids.items():
        table[node], named[node] = number, True
    nodes = loaded.label_map()
    for cloud in chunks:
        label = labels_of(cloud, "say how to read it with --card (pcaug datasets lists them)")
        strange = catalogue.taxonomy().counts(label[~named[label]])
        if strange and IGNORE not in ids:
            do = "choose others with --classes"
            raise PcaugError(f"{loaded.name} has no class for {', '.join(strange)}", cloud.source.file or None, do)
        without.update(strange)
        native = table[label]
        if cloud.source.dataset == loaded.name and "native_label" in cloud:
            had = cloud["native_label"]
            same = nodes.knows(had) & (nodes.apply(had, strict=False) == label)  # what augmentation scattered has no id
            native = np.where(same, had, native).astype(np.int32)
        yield replace(cloud.with_fields(native_label=native, label=None), taxonomy=None)


def _counter(progress: Progress) -> Callable[[int], None]:
    """Report points as they are done, where the total is unknown."""
    done = 0

    def count(points: int) -> None:
        nonlocal done
        done += points
        progress("points", done, done)

    return count


def _watched(chunks: Iterator[PointCloud], names: set[str], total: int, progress: Progress) -> Iterator[PointCloud]:
    count = _counter(lambda text, done, _: progress(text, done, max(total, done)))
    for chunk in chunks:
        names.update(chunk.fields)
        count(len(chunk))
        yield chunk
