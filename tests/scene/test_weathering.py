"""Surfaces brighter or darker than their material: the same for the same scene, of the spread that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from pcaug.scene.asset import MATERIAL_NAMES, Builder, Scene, placed
from pcaug.scene.shapes import box
from pcaug.scene.weathering import Surfaces, weathered


def scene(objects: int) -> Scene:
    builder = Builder()
    builder.add(box((0, 0, 0), (1, 1, 1)), "building", "plaster")
    asset = builder.asset("cube")
    return Scene(tuple(placed(asset, (3.0 * i, 0, 0)) for i in range(objects)), "cubes", np.zeros(3), 0.0, np.zeros((2, 2)))


def test_factors_have_the_asked_spread_and_median_one() -> None:
    surfaces = Surfaces(materials=0.2, objects=0.5, patches=0.0)
    made = [weathered(scene(400), surfaces, np.random.default_rng(i)).weathering for i in range(200)]
    objects = np.log(np.concatenate([w.placements for w in made if w]))
    plaster = np.log([w.materials[MATERIAL_NAMES.index("plaster")] for w in made if w])
    assert objects.std() == pytest.approx(0.5, rel=0.02)
    assert np.median(objects) == pytest.approx(0, abs=0.02)
    assert plaster.std() == pytest.approx(0.2, rel=0.15)


def test_patches_vary_over_their_grain_and_not_within() -> None:
    weathering = weathered(
        scene(1), Surfaces(materials=0, objects=0, patches=0.15, grain=4.0), np.random.default_rng(0)
    ).weathering
    assert weathering is not None
    rng = np.random.default_rng(1)
    xyz = np.column_stack([rng.uniform(0, 200, (5000, 2)), np.zeros(5000)])
    both, none = np.concatenate([xyz, xyz + (0.02, 0, 0)]), np.zeros(10_000, int)
    log = np.log(weathering.factor(none, none, both))
    assert log.std() == pytest.approx(0.15, rel=0.35)
    assert np.abs(log[:5000] - log[5000:]).mean() < 0.05 * log.std()


def test_nothing_changes_where_nothing_varies() -> None:
    weathering = weathered(scene(2), Surfaces(materials=0, objects=0, patches=0), np.random.default_rng(0)).weathering
    assert weathering is not None
    np.testing.assert_array_equal(weathering.factor(np.zeros(3, int), np.array([0, 1, 1]), np.ones((3, 3))), 1)
