"""The cache of prepared tiles keeps to its limit, and to what is in use."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from segment.builders_segment import SMALL, garden

from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import NotFound, PcaugError
from pcaug.segment.blocks import prepare_corpus
from pcaug.segment.cache import keep, mapped, prepared_folder
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import digest
from pcaug.segment.train import train


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
    with pytest.raises(PcaugError, match="not a number of gigabytes"):
        prepared_folder("another")


def test_a_disk_without_room_is_named_and_nothing_half_written_stays(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # no file may grow larger, as on a disk that is full
    try:
        with pytest.raises(PcaugError, match="PCAUG_CACHE"):
            prepare_corpus(corpus, TrainRecipe(**SMALL))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert prepare_corpus(corpus, TrainRecipe(**SMALL))


def test_a_corpus_made_anew_is_prepared_anew_though_its_manifest_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path / "cache"))
    recipe, cloud = TrainRecipe(**SMALL, features=("intensity",)), garden(0)
    seen, manifests = [], []
    for seed in (0, 1):
        values = np.random.default_rng(seed).random(len(cloud)).astype(np.float32)
        shutil.rmtree(tmp_path / "corpus", ignore_errors=True)
        with CorpusWriter(tmp_path / "corpus") as writer:
            writer.add(cloud.with_fields(intensity=values), "g", "g", "train")
        made = Corpus.open(tmp_path / "corpus")
        manifests.append(made.manifest)
        (tile,) = prepare_corpus(made, recipe)
        seen.append(np.array(mapped(tile.path)["features"]))
    assert manifests[0] == manifests[1]
    assert len(seen[0]) == len(seen[1])
    assert (seen[0] != seen[1]).mean() > 0.9


def test_a_cache_that_is_removed_under_a_training_is_named_and_made_anew(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path / "cache"))
    recipe = TrainRecipe(**SMALL | {"steps": 60})

    def remove(text: str, done: int, total: int) -> None:
        if text.startswith("steps") and done == 10:
            shutil.rmtree(tmp_path / "cache")

    with pytest.raises(NotFound, match=r"is gone from the cache of prepared tiles, .*/cache/prepared/.*safetensors, .*again"):
        train(recipe, corpus, (), tmp_path / "run", progress=remove)
    run = train(recipe, corpus, (), tmp_path / "run")
    whole = train(recipe, corpus, (), tmp_path / "whole")
    assert digest(run.folder) == digest(whole.folder)


def test_tiles_may_be_more_than_open_files(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "corpus") as writer:
        for seed in range(280):
            writer.add(garden(seed, 60), f"g{seed}", f"g{seed}", "train")
    code = f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))
import numpy as np
from pcaug.corpus.read import Corpus
from pcaug.segment.dataset import Blocks
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import digest
from pcaug.segment.train import train
blocks = Blocks.of([Corpus.open({str(tmp_path / "corpus")!r})], TrainRecipe(**{SMALL | {"steps": 64}!r}))
pool, rng = blocks.pools[0], np.random.default_rng(0)
assert len(pool.tiles) == 280
assert all(len(blocks[n]["xyz"]) == 128 for n in range(256))
assert len(pool.sample(8000, rng)[0]) > 280
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_arrays_of_a_tile_are_mapped_as_they_were(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {"a": rng.normal(size=(5, 3)).astype(np.float32), "b": np.arange(7, dtype=np.uint16), "c": rng.normal(size=3)}
    arrays |= {"d": np.arange(4, dtype=np.int32)[::-1], "e": np.zeros((0, 9), np.float32), "f": np.array([1 << 40])}
    keep(arrays, tmp_path / "tile")
    found = mapped(tmp_path / "tile")
    assert found.keys() == arrays.keys()
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)
        assert not found[name].flags.writeable
        assert found[name].flags.aligned
    assert [path.name for path in tmp_path.iterdir()] == ["tile"]
