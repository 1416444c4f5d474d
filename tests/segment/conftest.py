"""What all tests of this room need: a cache of their own, and a corpus of gardens."""

from __future__ import annotations

from pathlib import Path

import pytest
from segment.builders_segment import SMALL, gardens

from pcaug.corpus.read import Corpus
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import Run
from pcaug.segment.train import train


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return gardens(tmp_path_factory.mktemp("gardens") / "corpus")


@pytest.fixture(scope="session")
def trained(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A PointNet that knows gardens; tests must not write into its folder."""
    return train(TrainRecipe(**SMALL | {"steps": 80}), corpus, (), Path(tmp_path_factory.mktemp("trained")) / "run")
