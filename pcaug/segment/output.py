"""What a prediction is written as: the scan's file with two fields more, or a file of a dataset's class ids alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pcaug import catalogue, formats
from pcaug.cloud import PointCloud
from pcaug.corpus.card import DatasetCard
from pcaug.corpus.sources import Scan
from pcaug.errors import PcaugError
from pcaug.files import atomic_path
from pcaug.labels import IGNORE

IDS = ".label"
"""Suffix of files that hold nothing but a class id of each point, uint32, as SemanticKITTI's benchmark takes them."""
ADDED = ("prediction", "confidence")
"""Fields that a prediction adds."""


def is_file_name(path: Path) -> bool:
    """Whether a path names a file that predictions can be written to, and no folder."""
    return formats.is_known(path) or is_of_rows(path)


def is_of_rows(path: Path) -> bool:
    """Whether a prediction belongs to its point by its row alone."""
    return path.suffix.lower() == IDS


def named(path: Path, ending: str | None) -> Path:
    """A scan's path in its folder with the ending of its predictions; class ids of ``velodyne/*.bin`` lie in ``predictions``."""
    if ending is None:
        return path
    path = path.with_name(f"{formats.stem(path)}.{ending.lstrip('.')}")
    return path.parent.with_name("predictions") / path.name if path.suffix == IDS and path.parent.name == "velodyne" else path


def check(scan: Scan, path: Path, *, single: bool) -> None:
    """Refuse a file that cannot hold what is predicted of a scan; raises PcaugError."""
    if is_of_rows(path):
        if scan.card is None:
            raise PcaugError("class ids of which dataset?", path, "name its card with --card (pcaug datasets lists them)")
    elif not formats.is_known(path):
        do = "name the output .ply" if single else "pass --format ply, or convert it to a corpus and predict that"
        raise PcaugError(f"{scan.path.name} is of no format that is written", scan.path, do)
    elif lost := formats.lost(ADDED, path):
        do = "name the output .ply, or .label" if single else "pass --format ply, or label"
        do += " for class ids alone"
        raise PcaugError(f"{path.name} cannot hold {' and '.join(lost)}", scan.path, do)


def write(path: Path, scan: Scan, clouds: Iterator[PointCloud], *, unclassified: bool) -> tuple[Counter[str], list[str]]:
    """Write labelled chunks of a scan.

    Args:
        path: The file.
        scan: What they are of.
        clouds: Chunks with ``prediction`` and ``confidence``.
        unclassified: Whether the scan has no classes of its own; then LAS files get the predicted ones.

    Returns:
        Points of each class, and what to warn of.
    """
    classes: Counter[str] = Counter()
    counted = (_counted(cloud, classes) for cloud in clouds)
    if is_of_rows(path):
        return classes, _write_ids(path, scan, counted, classes)
    if unclassified and path.suffix.lower() in (".las", ".laz"):
        counted = (c.with_fields(native_label=formats.las.asprs(c["prediction"]).astype(np.int32)) for c in counted)
    formats.write(path, counted)
    return classes, []


def _counted(cloud: PointCloud, classes: Counter[str]) -> PointCloud:
    classes.update(catalogue.taxonomy().counts(cloud["prediction"]))
    return cloud


def _write_ids(path: Path, scan: Scan, clouds: Iterator[PointCloud], classes: Counter[str]) -> list[str]:
    """Write the class ids of the scan's dataset; returns which of the ``classes``, counted meanwhile, it does not have.

    Raises:
        PcaugError: For a class that it neither has nor parts, where it has no id for unlabelled points.
    """
    assert scan.card is not None  # checked before
    tree, ids, names = catalogue.taxonomy(), scan.card.native_of(), scan.card.label_map().names
    below = {node: _first_below(scan.card, node) for node in tree.nodes if node not in ids}
    known = ids | {node: native for node, native in below.items() if native is not None}
    table = np.full(IGNORE + 1, ids.get(IGNORE, -1), np.int64)
    table[list(known)] = list(known.values())
    with atomic_path(path) as partial, partial.open("wb") as file:
        for cloud in clouds:
            native = table[cloud["prediction"]]
            if (native < 0).any():
                strange = ", ".join(catalogue.taxonomy().counts(cloud["prediction"][native < 0]))
                raise PcaugError(
                    f"{scan.card.name} has no class for {strange}, and none for unlabelled points", path, "write .ply"
                )
            native.astype("<u4").tofile(file)
    lacking = [name for name in classes if tree.id(name) in below]
    instead = {name: names.get(int(table[tree.id(name)]), "unlabelled") for name in lacking}
    return [f"{scan.card.name} has no class for all {name}: it is written as {other}" for name, other in instead.items()]


def _first_below(card: DatasetCard, node: int) -> int | None:
    """The first class id of what a node contains, such as car of vehicle."""
    labels = card.label_map()
    return min(
        (native for native, own in labels.nodes.items() if native >= 0 and labels.taxonomy.covers(node, own)), default=None
    )
