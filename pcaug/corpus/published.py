"""Do the class ids of a file mean what its card says? Published counts tell, where the order of classes is hearsay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pcaug.cloud import PointCloud
from pcaug.corpus.card import DatasetCard
from pcaug.errors import LabelError
from pcaug.labels import tally

ENOUGH = 0.02
"""Share of the whole dataset's points that a file must hold before its classes say anything."""
FAR = 0.5
"""Half the sum of differences of shares above which ids mean something else. Areas of one town differ by a third of that."""


def watched(chunks: Iterator[PointCloud], card: DatasetCard | None, path: Path) -> Iterator[PointCloud]:
    """Pass the clouds of a file on, counting its classes; refuse it at its end where they are far from what was published.

    Raises:
        LabelError: With the shares of the classes that differ most.
    """
    published = {int(key): c.points for key, c in card.classes.items() if c.points is not None} if card else {}
    if not published:
        yield from chunks
        return
    found: Counter[int] = Counter()
    for chunk in chunks:
        if "native_label" in chunk:
            found += tally(chunk["native_label"])
        yield chunk
    if found.total() >= ENOUGH * sum(published.values()):
        assert card is not None
        _compare(found, published, card, path)


def _compare(found: Counter[int], published: dict[int, int], card: DatasetCard, path: Path) -> None:
    total, whole = found.total(), sum(published.values())
    gaps = {key: found[key] / total - published.get(key, 0) / whole for key in {*found, *published}}
    if sum(map(abs, gaps.values())) / 2 <= FAR:
        return
    worst = sorted(gaps, key=lambda key: -abs(gaps[key]))[:3]
    told = ", ".join(
        f"{card.classes[str(key)].name} {found[key] / total:.1%} (published {published.get(key, 0) / whole:.1%})"
        for key in worst
        if str(key) in card.classes
    )
    do = "look at it (pcaug view): its ids may mean other classes; a card of your own without points is not checked"
    raise LabelError(f"has other classes than published: {told}", path, do)
