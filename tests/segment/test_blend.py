"""Blending: the shares that a recipe asks for are the shares that come."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segment.builders_segment import SMALL

from pcaug.corpus.read import Corpus
from pcaug.errors import RecipeError
from pcaug.segment.blend import cut_together, cutmix_of, is_cut, partner_of, real_blocks, share_of, source_of
from pcaug.segment.blocks import Block
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
    assert [cutmix_of(TrainRecipe(), units) for units in (1, 2, 4, 6, 100)] == pytest.approx([0, 0, 1 / 3, 1 / 2, 1 / 2])
    assert cutmix_of(TrainRecipe(cutmix=0.1), 6) == 0.1
    assert cutmix_of(TrainRecipe(source_norms=True), 6) == 0
    data = Blocks.of([corpus, corpus], TrainRecipe(**SMALL))
    for alone in (corpus.folder, str(corpus.folder), (one for one in [corpus])):
        assert len(Blocks.of(alone, TrainRecipe(**SMALL)).pools) == 1
    units = len(corpus.only(split="train").units)
    assert data.recipe.real_share == pytest.approx(min(0.75, max(0.5, units / (units + 2))))
    made = [float(data[n]["synthetic"].mean()) for n in range(len(data))]
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
    made = [float(data[n]["synthetic"].mean()) for n in range(len(data))]
    assert np.mean(made) == pytest.approx(0.75, abs=0.02)
    batches = list(data.batches(20))
    assert len(batches) == recipe.steps - 20
    for number in (0, 3):
        for name in ("xyz", "features", "code"):
            np.testing.assert_array_equal(batches[number][name], data.batch(20 + number)[name])


def test_as_many_shares_as_sources(corpus: Corpus) -> None:
    with pytest.raises(RecipeError, match="synthetic_shares"):
        Blocks.of([corpus, corpus], TrainRecipe(**SMALL | {"synthetic_shares": (1, 2)}))


def block(count: int, value: int, rng: np.random.Generator) -> Block:
    """Points all over a block of 12 m, whose feature and label say which block it is."""
    xyz = rng.uniform(-6, 6, (count, 3)).astype(np.float32)
    return Block(xyz, np.full((count, 1), value, np.float32), np.full(count, value, np.uint8))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32), count=st.integers(50, 500))
def test_a_cut_block_is_one_block_on_one_side_and_the_other_beyond(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = block(count, 1, rng), block(count, 2, rng)
    joined, theirs = cut_together(one, other, TrainRecipe(), rng)
    assert len(joined.xyz) == count
    np.testing.assert_array_equal(joined.label, np.where(theirs, 2, 1))
    np.testing.assert_array_equal(joined.features[:, 0], joined.label)
    for source, mine in ((one, ~theirs), (other, theirs)):  # every point stands where it stood
        assert set(map(tuple, joined.xyz[mine].tolist())) <= set(map(tuple, source.xyz.tolist()))
    angles = np.linspace(0, 2 * np.pi, 720)
    away = joined.xyz[:, :2] @ np.array([np.cos(angles), np.sin(angles)])
    apart = away[~theirs].min(axis=0, initial=9) - away[theirs].max(axis=0, initial=-9)
    assert apart.max() > -0.1  # some vertical plane, near enough, has one block on either side
    assert 0.15 < theirs.mean() < 0.85


def test_a_cut_that_leaves_nothing_keeps_the_block() -> None:
    rng = np.random.default_rng(0)
    one = block(20, 1, rng)
    for _ in range(50):
        far = Block(one.xyz * 0, one.features, one.label)
        joined, theirs = cut_together(far, far, TrainRecipe(), rng)
        assert len(joined.xyz) == 20
        assert theirs.all() or not theirs.any()


def test_blocks_are_cut_as_often_as_asked_but_not_while_all_are_of_one_kind() -> None:
    rng = np.random.default_rng(0)

    def cut(recipe: TrainRecipe, first: int, last: int, count: int = 2) -> float:
        return float(np.mean([is_cut(n, 1000, count, recipe, rng) for n in range(first, last)]))

    assert cut(TrainRecipe(cutmix=0.3), 0, 1000) == pytest.approx(0.3, abs=0.04)
    assert cut(TrainRecipe(), 0, 1000) == 0
    assert cut(TrainRecipe(cutmix=1.0), 0, 1000, count=1) == 0
    for share in (0.0, 1.0):
        assert cut(TrainRecipe(cutmix=1.0, real_share=share), 0, 1000) == 0
    ends_real = TrainRecipe(cutmix=1.0, real_start=0.0, real_share=1.0, anneal=0.5)
    assert cut(ends_real, 1, 499) == 1
    assert cut(ends_real, 500, 1000) == 0


def test_a_block_is_cut_together_with_one_of_the_other_kind(corpus: Corpus) -> None:
    recipe, rng = TrainRecipe(synthetic_shares=(3, 1)), np.random.default_rng(0)
    assert {partner_of(source, 3, recipe, rng) for source in (1, 2)} == {0}
    assert np.mean([partner_of(0, 3, recipe, rng) == 1 for _ in range(2000)]) == pytest.approx(0.75, abs=0.04)
    data = Blocks.of([corpus, corpus], TrainRecipe(**SMALL | {"cutmix": 1.0, "real_share": 0.5}))
    made = [float(data[n]["synthetic"].mean()) for n in range(len(data))]
    assert np.mean([0 < share < 1 for share in made]) > 0.9
    assert np.mean(made) == pytest.approx(0.5, abs=0.08)


def test_norms_by_source_need_whole_blocks() -> None:
    with pytest.raises(RecipeError, match="cutmix=0"):
        TrainRecipe(source_norms=True, cutmix=0.5)
