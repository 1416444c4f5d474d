"""The cache of prepared tiles keeps to its limit, and to what is in use."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

import numpy as np
import pytest
from segment.builders_segment import SMALL

from pcaug.corpus.read import Corpus
from pcaug.errors import PcaugError
from pcaug.segment.blocks import prepare_corpus
from pcaug.segment.cache import prepared_folder
from pcaug.segment.recipe import TrainRecipe


def test_the_least_recently_used_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path))
    monkeypatch.setenv("PCAUG_CACHE_GB", "0.0025")
    for hours, key in ((3, "older"), (5, "oldest"), (2, "old"), (0, "fresh")):
        folder = prepared_folder(key)
        np.save(folder / "x.npy", np.zeros(125_000))  # a megabyte
        used = time.time() - 3600 * hours
        os.utime(folder, (used, used))
    kept = prepared_folder("old")  # which is used again
    assert kept.is_dir()
    prepared_folder("new")
    assert sorted(path.name for path in (tmp_path / "prepared").iterdir()) == ["fresh", "new", "old"]
    monkeypatch.setenv("PCAUG_CACHE_GB", "0")
    prepared_folder("newest")
    assert {"fresh", "old", "new"} < {path.name for path in (tmp_path / "prepared").iterdir()}  # all in use
    monkeypatch.setenv("PCAUG_CACHE_GB", "much")
    with pytest.raises(PcaugError, match="no number of gigabytes"):
        prepared_folder("another")


def test_a_disk_without_room_is_named_and_nothing_half_written_stays(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # no file may grow larger, as on a disk that is full
    try:
        with pytest.raises(PcaugError, match="no room for prepared tiles"):
            prepare_corpus(corpus, TrainRecipe(**SMALL))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.rglob("*.npy"))
    assert prepare_corpus(corpus, TrainRecipe(**SMALL))
