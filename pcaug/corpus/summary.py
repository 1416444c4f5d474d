"""What there is to know of a file, a folder or a corpus, without converting it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcaug.cloud import PointCloud
from pcaug.corpus.metres import plan_crs, same_crs
from pcaug.corpus.read import Corpus
from pcaug.corpus.sources import Scan, hint, is_corpus, scans
from pcaug.errors import PcaugError
from pcaug.labels import tally


def summary(path: str | Path, card: str | Path | None = None) -> dict[str, Any]:
    """What ``pcaug info`` says of a file, a folder or a corpus.

    Returns:
        ``points``, ``bounds`` (2 x 3, None without points), ``fields`` {name: dtype}, ``crs``, ``classes`` {name: points};
        and ``common`` {taxonomy name: points}, ``card``, ``scans``, for a corpus also ``splits`` and ``units``. Files in several
        CRSs have ``other_crs``, too, and bounds that mix them; those whose classes another card than the guessed one names have a
        ``hint``. ``unread`` {path: why}: files of a folder that cannot be read, or not to their end.
    """
    path = Path(path)
    if is_corpus(path):
        return _corpus_summary(Corpus.open(path))
    found = scans(path, card)
    names = {int(key): c.name for key, c in found[0].card.classes.items()} if found[0].card else {}
    low, high = np.full(3, np.inf), np.full(3, -np.inf)
    points = 0
    systems: dict[str, None] = {}
    unknown: Counter[int] = Counter()
    ids: Counter[int] = Counter()
    fields: dict[str, str] = {}
    first: tuple[str, ...] = ()
    classes: Counter[str] = Counter()
    common: Counter[str] = Counter()
    unread: dict[str, str] = {}
    for scan, chunk in _chunks(found, unread):
        first = first or tuple(chunk.fields)
        points += len(chunk)
        systems |= {chunk.crs: None} if chunk.crs else {}
        fields |= {name: _type(values) for name, values in chunk.fields.items()}
        if len(chunk):
            low, high = np.minimum(low, chunk.xyz.min(axis=0)), np.maximum(high, chunk.xyz.max(axis=0))
        named = _named(chunk)
        if not named and "native_label" in chunk:
            ids += tally(chunk["native_label"])
            named = _mapped(chunk, scan, unknown)
        else:
            classes.update(named)  # which is what training sees, whatever card is guessed
        common.update(named)
    told = _unlike(systems)
    for native, count in ids.items():
        classes[names.get(native, str(native))] += count
    better = hint(found[0].card, first, set(ids)) if card is None else None
    return (
        {
            "points": points,
            "bounds": [low.tolist(), high.tolist()] if points else None,
            "fields": fields,
            "crs": told[0] if told else None,
            "classes": dict(classes),
            "common": dict(common),
            "card": found[0].card.name if found[0].card else None,
            "scans": len(found) - len(unread),
        }
        | ({"unknown": {str(k): v for k, v in unknown.items()}} if unknown else {})
        | ({"other_crs": told[1:]} if told[1:] else {})
        | ({"hint": better} if better else {})
        | ({"unread": unread} if unread else {})
    )


def _chunks(found: Sequence[Scan], unread: dict[str, str]) -> Iterator[tuple[Scan, PointCloud]]:
    """Each scan with its chunks; what cannot be read, or not to its end, is noted, unless none can."""
    for scan in found:
        try:
            for chunk in scan.raw():
                yield scan, chunk
        except PcaugError as error:
            if len(unread) == len(found) - 1:
                raise
            unread[str(scan.path)] = str(error)


def _unlike(systems: Iterable[str]) -> list[str]:
    """The first of those CRS texts whose x and y are counted alike."""
    kept: list[str] = []
    for text in systems:
        if not any(same_crs(plan_crs(text), plan_crs(seen)) for seen in kept):
            kept.append(text)
    return kept


def _named(chunk: PointCloud) -> dict[str, int]:
    """Points of each class of the taxonomy that a file says itself."""
    return chunk.taxonomy.counts(chunk["label"]) if "label" in chunk and chunk.taxonomy else {}


def _mapped(chunk: PointCloud, scan: Scan, unknown: Counter[int]) -> dict[str, int]:
    """Points of each class that native ids mean; ids that the card does not know are counted, not refused: info is to report."""
    if scan.card is None:
        return {}
    known, native = scan.card.label_map(), chunk["native_label"]
    unknown += tally(native[~known.knows(native)])
    return known.taxonomy.counts(known.apply(native, strict=False))


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
        "splits": corpus.split_points,
        "units": corpus.units,
        "licences": corpus.licences,
    }


def _type(values: Any) -> str:
    return str(values.dtype) if values.ndim == 1 else f"{values.dtype} x {values.shape[1]}"
