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
    from pcaug.segment.dataset import Blocks
    from pcaug.segment.evaluate import evaluate
    from pcaug.segment.predict import predict
    from pcaug.segment.recipe import TrainRecipe
    from pcaug.segment.run import Run
    from pcaug.segment.train import train

__version__ = "0.1.0"
__all__ = [
    "Blocks",
    "ClassSet",
    "Corpus",
    "LabelMap",
    "PcaugError",
    "PointCloud",
    "Run",
    "Taxonomy",
    "TrainRecipe",
    "concatenate",
    "convert",
    "evaluate",
    "iter_chunks",
    "merge",
    "predict",
    "read",
    "train",
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
    "pcaug.segment.dataset": ("Blocks",),
    "pcaug.segment.evaluate": ("evaluate",),
    "pcaug.segment.predict": ("predict",),
    "pcaug.segment.recipe": ("TrainRecipe",),
    "pcaug.segment.run": ("Run",),
    "pcaug.segment.train": ("train",),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'pcaug' has no attribute {name!r}")
