"""Cells of the plan: every point in exactly one, the one that its coordinates name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcaug.corpus.cells import by_cell
from pcaug.errors import PcaugError


@given(
    n=st.integers(0, 200),
    size=st.sampled_from([0.01, 1.0, 37.5, 1e6]),
    shift=st.sampled_from([0.0, -652_000.5, 6_860_000.0]),
    seed=st.integers(0, 50),
)
def test_every_point_is_in_its_cell(n: int, size: float, shift: float, seed: int) -> None:
    xyz = np.random.default_rng(seed).uniform(-50, 50, (n, 3)) + shift
    groups = list(by_cell(xyz, size))
    assert [cell for cell, _ in groups] == sorted({cell for cell, _ in groups})
    assert sorted(i for _, which in groups for i in which) == list(range(n))
    for cell, which in groups:
        assert (np.floor(xyz[which, :2] / size) == cell).all()
        assert (np.diff(which) > 0).all()


def test_a_wrong_unit_is_no_wrong_cell() -> None:
    with pytest.raises(PcaugError, match="spread over"):
        list(by_cell(np.array([[0.0, 0.0, 0.0], [1e12, 1e12, 0.0]]), 0.1))
