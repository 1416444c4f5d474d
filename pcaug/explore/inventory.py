"""What is in a set: fields and their values, native classes, instances; and what is odd about it, seen on its own."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pcaug.catalogue import Strict
from pcaug.cloud import PointCloud
from pcaug.corpus.card import all_cards
from pcaug.corpus.metres import crs_name
from pcaug.corpus.read import Corpus
from pcaug.labels import IGNORE, tally


class Attribute(Strict):
    """A field of points: its type, lowest, typical (median of tiles' medians) and highest value."""

    dtype: str
    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Contents:
    """What the tiles read hold beside positions and classes.

    Attributes:
        attributes: Field name -> its values.
        native: Native class ("10 car") -> points.
        instances: Single objects that are numbered.
    """

    attributes: dict[str, Attribute]
    native: dict[str, int]
    instances: int

    @classmethod
    def joined(cls, rows: Sequence[Contents]) -> Contents:
        """Of several tiles."""
        native: Counter[str] = Counter()
        for row in rows:
            native.update(row.native)
        names = list(dict.fromkeys(name for row in rows for name in row.attributes))
        fields = {name: [row.attributes[name] for row in rows if name in row.attributes] for name in names}
        return cls(
            {name: _over(found) for name, found in fields.items()}, dict(native.most_common()), sum(r.instances for r in rows)
        )


def _over(rows: Sequence[Attribute]) -> Attribute:
    return Attribute(
        dtype=rows[0].dtype,
        low=min(row.low for row in rows),
        middle=float(np.median([row.middle for row in rows])),
        high=max(row.high for row in rows),
    )


def contents(cloud: PointCloud, card: str) -> Contents:
    """What one tile holds; ``card`` names the dataset card that knows its native classes, or is empty."""
    attributes = {}
    for name, values in cloud.fields.items():
        known = values[np.isfinite(values)] if np.issubdtype(values.dtype, np.floating) else values
        if known.size and name not in ("label", "native_label", "instance"):
            low, middle, high = (float(f(known)) for f in (np.min, np.median, np.max))
            attributes[name] = Attribute(dtype=str(values.dtype), low=low, middle=middle, high=high)
    known_cards = all_cards()
    names = known_cards[card].label_map().names if card in known_cards else {}
    native = {}
    if "native_label" in cloud:
        native = {f"{i} {names.get(i, '')}".rstrip(): n for i, n in tally(cloud["native_label"]).items()}
    return Contents(attributes, native, _instances(cloud))


def _instances(cloud: PointCloud) -> int:
    if "instance" not in cloud:
        return 0
    numbered = cloud["instance"].astype(np.int64)
    if "native_label" in cloud:
        numbered = np.where(numbered > 0, numbered + (cloud["native_label"].astype(np.int64) << 32), 0)
    return len(np.unique(numbered[numbered > 0]))


def inventory(corpus: Corpus, found: Contents, name: str) -> dict[str, Any]:
    """Plain values about a corpus, for the report and its JSON; ``name`` is where it comes from."""
    bounds = np.array([tile.bounds for tile in corpus.tiles if tile.bounds])
    size = np.median(bounds[:, 1] - bounds[:, 0], axis=0).tolist()
    manifest = corpus.manifest
    return {
        "folder": name,
        "points": corpus.points,
        "tiles": len(corpus.tiles),
        "units": len(corpus.units),
        "frame": manifest.frame,
        "crs": crs_name(manifest.crs),
        "extent": [round(v, 2) for v in size],
        "cards": sorted({row.card for row in manifest.sources if row.card}),
        "classes": corpus.counts(),
        "native": found.native,
        "instances": found.instances,
        "attributes": {name: row.model_dump() for name, row in found.attributes.items()},
    }


def oddities(corpus: Corpus, found: Contents) -> list[str]:
    """What is odd about a set on its own: colours of 8 bits in 16, constant fields, classes that no point has."""
    said = []
    for name, row in found.attributes.items():
        if name == "rgb" and row.dtype == "uint16" and 0 < row.high <= 255:
            said.append("its colours use 8 of their 16 bits: multiply them by 257, or they look black beside others")
        elif row.low == row.high and name not in ("return_number", "number_of_returns"):
            said.append(f"its {name} is {row.low:g} everywhere: it says nothing")
    counts = corpus.counts()
    wanted = {node for row in corpus.manifest.sources for node in row.nodes}
    empty = [corpus.taxonomy.label_name(node) for node in sorted(wanted) if not counts.get(corpus.taxonomy.label_name(node))]
    if empty:
        said.append(f"classes that its card knows and no point has: {', '.join(empty)}")
    ignored = counts.get(corpus.taxonomy.label_name(IGNORE), 0) / max(corpus.points, 1)
    if ignored > 0.2:
        said.append(f"{100 * ignored:.0f} % of its points have no class")
    return said
