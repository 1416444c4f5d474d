from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from explore.builders_explore import corpus

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.explore import statistics
from pcaug.explore.statistics import QUANTITIES, describe, sample, to_shares
from pcaug.labels import ClassSet

NAMES = list(QUANTITIES)
CLASSES = ClassSet.of_cut(catalogue.taxonomy(), [catalogue.taxonomy().id(name) for name in ("terrain", "building", "tree")])


def column(values: np.ndarray, name: str) -> np.ndarray:
    return values[:, NAMES.index(name)]


def grid(step: float, count: int = 60) -> np.ndarray:
    side = np.arange(count) * step
    return np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)


def test_a_plane_is_flat_level_and_spaced_as_it_is() -> None:
    xy = grid(0.1)
    cloud = PointCloud(np.column_stack([xy, np.full(len(xy), 5.0)]))
    values, normal, twin = describe(cloud, np.arange(0, len(xy), 7), "map")
    assert np.abs(column(values, "height above ground")).max() < 1e-12
    assert np.median(column(values, "point spacing")) == pytest.approx(0.1, rel=0.5)
    assert column(values, "roughness").max() < 1e-6
    assert column(values, "verticality").max() < 1e-6
    assert normal[:, 2].min() > 0.999
    assert not twin.any()
    assert np.isnan(column(values, "range")).all()
    assert np.isnan(column(values, "intensity")).all()


def test_a_wall_is_upright_and_stands_on_its_foot() -> None:
    xy = grid(0.1)
    cloud = PointCloud(np.column_stack([xy[:, 0], np.full(len(xy), 1.0), xy[:, 1] + 3]))
    values, normal, _ = describe(cloud, np.arange(len(xy)), "sensor")
    assert np.median(column(values, "verticality")) == pytest.approx(1)
    assert column(values, "height above ground").max() == pytest.approx(5.9)
    assert np.median(normal[:, 1]) == pytest.approx(1)
    np.testing.assert_allclose(column(values, "range"), np.linalg.norm(cloud.xyz, axis=1))


def test_clouds_of_one_point_and_of_twins() -> None:
    values, _, twin = describe(PointCloud(np.zeros((1, 3))), np.array([0]), "map")
    assert values.shape == (1, len(NAMES))
    assert not twin.any()
    assert describe(PointCloud(np.zeros((30, 3))), np.arange(30), "map")[2].all()


def test_an_intensity_that_is_always_the_same_says_nothing() -> None:
    cloud = PointCloud(np.random.default_rng(0).random((50, 3)), {"intensity": np.full(50, 7.0)})
    assert np.isnan(column(describe(cloud, np.arange(50), "map")[0], "intensity")).all()


def test_a_sample_counts_whole_tiles_and_halves_are_whole_units(tmp_path: Path) -> None:
    made = corpus(tmp_path / "c", 0, scans=4)
    classes = CLASSES
    found = sample(made, classes, (0,))
    counts = made.counts()
    np.testing.assert_array_equal(found.groups.sum(axis=0), [counts[g.name] for g in classes.groups])
    np.testing.assert_allclose(found.shares.sum(), 1)
    cuts = list(found.halves(5, np.random.default_rng(1)))
    assert len(cuts) == 3  # four units make three different pairs of pairs
    assert all(half.sum() == 2 for half in cuts)
    assert found.level == "units"
    assert found.tiles == (4, 4)


def test_few_tiles_are_cut_into_blocks_whose_counts_add_up(tmp_path: Path) -> None:
    made = corpus(tmp_path / "c", 0, scans=2)
    found = sample(made, CLASSES, (0,))
    assert found.level == "blocks"
    assert found.groups.shape == (18, 3)
    assert found.groups.sum() == pytest.approx(made.points)
    np.testing.assert_allclose(found.shares, np.array([made.counts()[g.name] for g in CLASSES.groups]) / made.points, atol=0.02)
    assert set(found.group) == set(range(18))


def test_a_sample_does_not_depend_on_the_number_of_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "PER_TILE", 6_000)  # as in the processes, which know nothing of a patch
    made = corpus(tmp_path / "c", 0, scans=2)
    one, two = sample(made, CLASSES, (0,)), sample(made, CLASSES, (0,), workers=2)
    np.testing.assert_array_equal(one.values, two.values)
    np.testing.assert_array_equal(one.groups, two.groups)


def test_a_large_tile_is_sampled_in_windows_with_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = corpus(tmp_path / "c", 0, scans=1)
    whole = sample(made, CLASSES, (0,))
    monkeypatch.setattr(statistics, "LARGE", made.points // 2)
    parts = sample(made, CLASSES, (0,))
    assert len(parts.values) < len(whole.values) or parts.shares.tolist() != whole.shares.tolist()
    for name in ("point spacing", "roughness", "flatness"):
        one, two = (column(found.values[found.label == 0], name) for found in (whole, parts))
        assert np.median(two) == pytest.approx(np.median(one), rel=0.1), name


def test_units_take_turns_until_enough_tiles_are_read() -> None:
    units = ["a"] * 100 + ["b"] * 5 + ["c"]
    chosen = [units[i] for i in statistics.stratified(units, 9, np.random.default_rng(0))]
    assert [chosen.count(name) for name in "abc"] == [4, 4, 1]
    assert statistics.stratified(units, 500, np.random.default_rng(0)) == list(range(106))


def test_shares_of_nothing_are_nothing() -> None:
    assert to_shares(np.zeros(3)).tolist() == [0, 0, 0]
