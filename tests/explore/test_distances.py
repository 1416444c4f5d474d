"""Distances against known answers and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import wasserstein_distance

from pcaug.explore.distances import (
    Grouped,
    Measured,
    frechet,
    interval,
    jensen_shannon,
    maximum_mean_discrepancy,
    two_sample,
    wasserstein,
)

RNG = np.random.default_rng(0)
shares = st.lists(st.floats(0, 1), min_size=4, max_size=4).filter(lambda v: sum(v) > 0.1).map(lambda v: np.array(v) / sum(v))


def test_jensen_shannon_is_that_of_the_paper() -> None:
    p, q = np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.0, 1.0])
    assert jensen_shannon(p, p) == 0
    assert jensen_shannon(p, q) == pytest.approx(1)
    a, b = np.array([0.7, 0.3]), np.array([0.4, 0.6])
    m = (a + b) / 2
    assert jensen_shannon(a, b) == pytest.approx(sum((x * np.log2(x / m)).sum() for x in (a, b)) / 2)


@given(shares, shares)
def test_jensen_shannon_is_symmetric_and_bounded(p: np.ndarray, q: np.ndarray) -> None:
    assert jensen_shannon(p, q) == pytest.approx(jensen_shannon(q, p), abs=1e-12)
    assert -1e-12 <= jensen_shannon(p, q) <= 1 + 1e-12


def test_wasserstein_is_that_of_scipy() -> None:
    x, y = RNG.gamma(2, 1, 4000), RNG.normal(1, 2, 3000)
    assert wasserstein(x, y) == pytest.approx(wasserstein_distance(x, y), rel=0.03)
    assert wasserstein(x, x + 3) == pytest.approx(3)


def test_frechet_of_gaussians_is_the_closed_form() -> None:
    x, y = RNG.normal(0, 1, (40_000, 3)), RNG.normal([1, 0, 2], [1, 2, 3], (40_000, 3))
    assert frechet(x, y) == pytest.approx((1 + 4) + (0 + 1 + 4), rel=0.05)  # |means|^2 + sum of (s1 - s2)^2
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)


def test_mmd_is_nothing_for_one_law_and_something_for_two() -> None:
    x, y, z = RNG.normal(0, 1, (300, 2)), RNG.normal(0, 1, (300, 2)), RNG.normal(2, 1, (300, 2))
    assert abs(maximum_mean_discrepancy(x, y, 1.0)) < 0.01
    # E k(x, x') of N(0, 1)^2 with width 1 is 1/3; across, 1/3 exp(-8 / 6)
    assert maximum_mean_discrepancy(x, z, 1.0) == pytest.approx(2 / 3 * (1 - np.exp(-8 / 6)), rel=0.1)


def test_a_classifier_tells_what_differs_and_by_what() -> None:
    x, y = RNG.normal(0, 1, (1500, 3)), RNG.normal(0, 1, (1500, 3))
    one, two = (Grouped(values, RNG.integers(0, 6, 1500)) for values in (x, y))
    alike = two_sample(one, two, ["a", "b", "c"], np.random.default_rng(1), 1500)
    assert alike.auc == pytest.approx(0.5, abs=0.05)
    assert alike.low < alike.auc < alike.high
    y[:, 1] += 2
    apart = two_sample(one, two, ["a", "b", "c"], np.random.default_rng(1), 1500)
    assert apart.auc == pytest.approx(0.92, abs=0.03)  # Phi(2 / sqrt 2)
    assert apart.giveaways[0][0] == "b"
    assert two_sample(one.take(np.arange(20)), two, ["a", "b", "c"], RNG, 100).giveaways == []


def test_a_distance_is_beyond_the_floor_with_its_whole_interval() -> None:
    nothing = float("nan")
    assert Measured(2.0, 1.5, 2.5, 0.5, 1.0).beyond
    assert not Measured(2.0, 0.9, 2.5, 0.5, 1.0).beyond
    assert Measured(2.0, nothing, nothing, 0.5, 1.0).beyond
    assert not Measured(2.0, 1.5, 2.5, nothing, nothing).beyond
    assert np.isnan(interval([1.0, 2.0])).all()
    assert interval(list(range(101))) == pytest.approx((2.5, 97.5))
