"""pcaug: more, and more varied, labelled point clouds. What it offers is imported when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pcaug.cloud import PointCloud, concatenate
    from pcaug.corpus.convert import convert
    from pcaug.corpus.merge import merge
    from pcaug.corpus.read import Corpus
    from pcaug.errors import PcaugError
    from pcaug.formats import iter_chunks, read, write
    from pcaug.labels import ClassSet, LabelMap, Taxonomy

__version__ = "0.1.0"
__all__ = [
    "ClassSet",
    "Corpus",
    "LabelMap",
    "PcaugError",
    "PointCloud",
    "Taxonomy",
    "concatenate",
    "convert",
    "iter_chunks",
    "merge",
    "read",
    "write",
]

_HOMES = {
    "pcaug.cloud": ("PointCloud", "concatenate"),
    "pcaug.corpus.convert": ("convert",),
    "pcaug.corpus.merge": ("merge",),
    "pcaug.corpus.read": ("Corpus",),
    "pcaug.errors": ("PcaugError",),
    "pcaug.formats": ("iter_chunks", "read", "write"),
    "pcaug.labels": ("ClassSet", "LabelMap", "Taxonomy"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'pcaug' has no attribute {name!r}")
