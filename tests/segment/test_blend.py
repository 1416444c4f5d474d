"""Blending: the shares that a recipe asks for are the shares that come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segment.builders_segment import SMALL

from pcaug.corpus.read import Corpus
from pcaug.errors import RecipeError
from pcaug.segment.blend import real_blocks, share_of, source_of
from pcaug.segment.dataset import Blocks
from pcaug.segment.recipe import TrainRecipe


def sources(recipe: TrainRecipe, blocks: int, count: int) -> np.ndarray:
    return np.array([source_of(n, blocks, count, recipe, np.random.default_rng((0, n))) for n in range(blocks)])


@settings(max_examples=40, deadline=None)
@given(share=st.floats(0, 1), start=st.none() | st.floats(0, 1), anneal=st.floats(0, 1), blocks=st.integers(1, 300))
def test_real_blocks_come_as_often_as_they_should(share: float, start: float | None, anneal: float, blocks: int) -> None:
    recipe = TrainRecipe(real_share=share, real_start=start, anneal=anneal)
    real = np.cumsum(sources(recipe, blocks, 2) == 0)
    wanted = [real_blocks(n + 1, blocks, recipe) for n in range(blocks)]
    assert np.abs(real - wanted).max() <= 1 + 1e-6


def test_the_more_real_units_the_more_real_blocks(corpus: Corpus) -> None:
    shares = [share_of(TrainRecipe(), units) for units in (1, 2, 4, 6, 100)]
    assert shares == pytest.approx([1 / 2, 1 / 2, 2 / 3, 3 / 4, 3 / 4])
    assert share_of(TrainRecipe(real_share=0.1), 6) == 0.1
    data = Blocks.of([corpus, corpus], TrainRecipe(**SMALL))
    units = len(corpus.only(split="train").units)
    assert data.recipe.real_share == pytest.approx(min(0.75, max(0.5, units / (units + 2))))
    made = [float(data[n]["synthetic"]) for n in range(len(data))]
    assert 1 - np.mean(made) == pytest.approx(data.recipe.real_share, abs=0.02)


def test_a_curriculum_starts_synthetic_and_ends_real() -> None:
    drawn = sources(TrainRecipe(real_start=0.0, real_share=1.0, anneal=0.5), 400, 2)
    assert (drawn[:20] > 0).mean() > 0.9
    assert (drawn[200:] == 0).all()
    assert (drawn[:200] == 0).mean() == pytest.approx(0.5, abs=0.02)


def test_synthetic_sources_have_their_shares() -> None:
    drawn = sources(TrainRecipe(real_share=0.0, synthetic_shares=(3, 1)), 2000, 3)
    assert (drawn == 1).mean() == pytest.approx(0.75, abs=0.04)
    assert not (drawn == 0).any()


def test_real_alone_is_real_alone() -> None:
    assert not sources(TrainRecipe(real_share=0.1), 50, 1).any()


def test_blocks_say_which_are_synthetic_and_are_the_same_for_everyone(corpus: Corpus) -> None:
    recipe = TrainRecipe(**SMALL | {"real_share": 0.25})
    data = Blocks.of([corpus, corpus], recipe)
    made = [float(data[n]["synthetic"]) for n in range(len(data))]
    assert np.mean(made) == pytest.approx(0.75, abs=0.02)
    batches = list(data.batches(20))
    assert len(batches) == recipe.steps - 20
    for number in (0, 3):
        for name in ("xyz", "features", "code"):
            np.testing.assert_array_equal(batches[number][name], data.batch(20 + number)[name])


def test_as_many_shares_as_sources(corpus: Corpus) -> None:
    with pytest.raises(RecipeError, match="synthetic_shares"):
        Blocks.of([corpus, corpus], TrainRecipe(**SMALL | {"synthetic_shares": (1, 2)}))
