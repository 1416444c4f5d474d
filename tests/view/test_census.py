"""Clouds that are thinned while they are read."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import assert_same_cloud, make_cloud
from view.builders_view import rich_cloud

from pcaug import formats
from pcaug.cloud import PointCloud
from pcaug.view.census import Census, thinned, told


@pytest.mark.parametrize("suffix", [".laz", ".ply", ".parquet"])
def test_a_file_gives_the_same_points_whatever_the_size_of_its_chunks(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    formats.write(path, make_cloud(5000))
    (one, whole), (two, again) = (thinned(formats.iter_chunks(path, size), 700) for size in (5000, 130))
    assert len(one) == 700
    assert len(np.unique(one.xyz, axis=0)) == 700
    assert_same_cloud(one, two)
    assert whole == again == Census.of(formats.read(path))


@pytest.mark.parametrize("most", [300, 301])
def test_what_is_not_too_large_stays_as_it_is(most: int) -> None:
    cloud = rich_cloud(300)
    found, whole = thinned([cloud.take(slice(0, 0)), cloud.take(slice(0, 70)), cloud.take(slice(70, None))], most)
    assert_same_cloud(found, cloud)
    assert whole.points == 300


def test_every_part_of_a_file_has_its_share() -> None:
    cloud = make_cloud(64_000, ring=np.arange(64_000) % 64, part=np.arange(64_000) // 8000)
    few, _ = thinned((cloud.take(slice(i, i + 999)) for i in range(0, 64_000, 999)), 16_000)
    for name in ("ring", "part"):
        counts = np.bincount(few[name])
        expected = 16_000 / len(counts)
        assert np.abs(counts - expected).max() < 4 * np.sqrt(expected)


def test_agreement_is_counted_over_all_points() -> None:
    cloud = rich_cloud(3000)
    found, whole = thinned([cloud.take(slice(i, i + 100)) for i in range(0, 3000, 100)], 100)
    assert len(found) == 100
    assert sum(whole.agreement) == 3000
    assert whole == Census.of(cloud)


def test_memory_is_that_of_the_points_that_are_kept() -> None:
    def chunks() -> Iterator[PointCloud]:
        for start in range(0, 3_000_000, 20_000):
            yield PointCloud(np.full((20_000, 3), float(start)))

    tracemalloc.start()
    try:
        found, whole = thinned(chunks(), 20_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (len(found), whole.points) == (20_000, 3_000_000)
    assert peak < 6 * found.xyz.nbytes  # all of them would be 150 times as many


def test_a_sample_is_said_to_be_one() -> None:
    assert told(1000, 1000) == "1,000 points"
    assert told(400, 1000) == "400 of 1,000 points"
