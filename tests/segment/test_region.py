"""What a network sees at once: squares, discs, balls and whole scans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from segment.builders_segment import SMALL, garden, gardens

from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import RecipeError
from pcaug.segment import region
from pcaug.segment.blocks import GridIndex
from pcaug.segment.evaluate import evaluate
from pcaug.segment.predict import Segmenter
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.train import train

REGIONS = ("block", "column", "sphere", "scan")


def cloud(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, (15, 8, 4), (n, 3)).astype(np.float32)


@pytest.mark.parametrize("name", REGIONS)
@given(n=st.integers(1, 300), width=st.floats(0.5, 30), seed=st.integers(0, 99))
def test_regions_leave_no_point_out(name: str, n: int, width: float, seed: int) -> None:
    xyz, recipe = cloud(n, seed), TrainRecipe(region=name, block=width)
    grid = GridIndex.of(xyz[:, :2])
    seen = [region.rows(xyz, grid, centre, recipe) for centre in region.covering(xyz, recipe)]
    assert set(np.concatenate(seen)) == set(range(n))


@pytest.mark.parametrize("name", REGIONS)
def test_a_region_holds_what_its_shape_says_and_the_point_it_was_drawn_for(name: str) -> None:
    xyz, recipe, rng = cloud(2000, 0), TrainRecipe(region=name, block=6.0), np.random.default_rng(1)
    grid = GridIndex.of(xyz[:, :2])
    for seed in range(50):
        centre = region.drawn(xyz, seed, recipe, rng)
        found = region.rows(xyz, grid, centre, recipe)
        off = xyz - centre
        inside = {
            "block": np.abs(off[:, :2]).max(axis=1) <= 3,
            "column": np.hypot(off[:, 0], off[:, 1]) <= 3,
            "sphere": np.linalg.norm(off, axis=1) <= 3,
            "scan": np.ones(len(xyz), bool),
        }[name]
        assert sorted(found) == np.flatnonzero(inside).tolist()
        assert seed in found


def test_no_region_covers_nothing() -> None:
    for name in REGIONS:
        assert not len(region.covering(np.zeros((0, 3)), TrainRecipe(region=name)))


@pytest.mark.parametrize("name", ["column", "sphere"])
def test_networks_learn_gardens_by_any_region(tmp_path: Path, name: str) -> None:
    corpus = gardens(tmp_path / "c")
    recipe = TrainRecipe(**SMALL | {"steps": 40, "region": name, "network": "pillars", "arguments": {"grid": 16}})
    assert evaluate(train(recipe, corpus, (), tmp_path / "run"), corpus, "test").miou > 0.6


def spinning(folder: Path) -> Corpus:
    """Gardens around the origin, as one scan each."""
    with CorpusWriter(folder, frame="sensor") as writer:
        for seed, split in enumerate(("train", "train", "test")):
            made = garden(seed)
            writer.add(
                type(made)(made.xyz - (650_015, 6_860_015, 102), dict(made.fields), made.taxonomy), f"s{seed}", f"s{seed}", split
            )
    return Corpus.open(folder)


def test_whole_scans_are_learnt_and_labelled_at_once(tmp_path: Path) -> None:
    corpus = spinning(tmp_path / "c")
    changes = {"steps": 40, "region": "scan", "block": 40.0, "points": 1500, "network": "pillars", "arguments": {"grid": 40}}
    run = train(TrainRecipe(**SMALL | changes), corpus, (), tmp_path / "run")
    assert evaluate(run, corpus, "test").miou > 0.6


def test_whole_scans_are_refused_on_maps(tmp_path: Path) -> None:
    recipe = TrainRecipe(**SMALL | {"region": "scan", "block": 40.0, "steps": 2})
    with pytest.raises(RecipeError, match="one sweep"):
        train(recipe, gardens(tmp_path / "maps"), (), tmp_path / "no")
    run = train(recipe, spinning(tmp_path / "scans"), (), tmp_path / "run")
    with pytest.raises(RecipeError, match="one sweep"):
        Segmenter.load(run).label(garden(0), "map")
    with pytest.raises(RecipeError, match="one sweep"):
        evaluate(run, Corpus.open(tmp_path / "maps"))
