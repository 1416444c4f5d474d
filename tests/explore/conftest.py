"""Smaller samples than a user's: what is tested does not hang on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pcaug.explore import gap, statistics


@pytest.fixture(autouse=True, scope="module")
def fewer_points() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(statistics, "PER_TILE", 2000)
        patch.setattr(gap, "TEST_POINTS", 2000)
        patch.setattr(gap, "CLASS_POINTS", 1000)
        patch.setattr(gap, "DRAWS", 15)
        yield
