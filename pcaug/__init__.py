"""pcaug: more, and more varied, labelled point clouds. What it offers is imported when it is first used."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # typing's own takes half of the time until Ctrl-C is heard
if TYPE_CHECKING:
    from typing import Any

    from pcaug.augment.recipe import augment_corpus as augment_corpus
    from pcaug.catalogue import taxonomy as taxonomy
    from pcaug.cloud import PointCloud as PointCloud
    from pcaug.cloud import concatenate as concatenate
    from pcaug.corpus.convert import convert as convert
    from pcaug.corpus.merge import merge as merge
    from pcaug.corpus.read import Corpus as Corpus
    from pcaug.errors import PcaugError as PcaugError
    from pcaug.formats import iter_chunks as iter_chunks
    from pcaug.formats import read as read
    from pcaug.formats import write as write
    from pcaug.labels import ClassSet as ClassSet
    from pcaug.labels import LabelMap as LabelMap
    from pcaug.labels import Taxonomy as Taxonomy
    from pcaug.segment.dataset import Blocks as Blocks
    from pcaug.segment.evaluate import evaluate as evaluate
    from pcaug.segment.predict import predict as predict
    from pcaug.segment.recipe import TrainRecipe as TrainRecipe
    from pcaug.segment.run import Run as Run
    from pcaug.segment.train import train as train
    from pcaug.sensor.compose import compose_corpus as compose_corpus
    from pcaug.study.run import run_study as run_study

__version__ = "0.1.0"

_HOMES = {
    "Blocks": "segment.dataset",
    "ClassSet": "labels",
    "Corpus": "corpus.read",
    "LabelMap": "labels",
    "PcaugError": "errors",
    "PointCloud": "cloud",
    "Run": "segment.run",
    "Taxonomy": "labels",
    "TrainRecipe": "segment.recipe",
    "augment_corpus": "augment.recipe",
    "compose_corpus": "sensor.compose",
    "concatenate": "cloud",
    "convert": "corpus.convert",
    "evaluate": "segment.evaluate",
    "iter_chunks": "formats",
    "merge": "corpus.merge",
    "predict": "segment.predict",
    "read": "formats",
    "run_study": "study.run",
    "taxonomy": "catalogue",
    "train": "segment.train",
    "write": "formats",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'pcaug' has no attribute {name!r}")
    return getattr(import_module(f"pcaug.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
