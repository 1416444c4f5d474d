"""Features follow augmentation: what is computed from changed points is what becomes of the computed features."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pcaug import augment
from pcaug.cloud import PointCloud
from pcaug.segment.blocks import Block
from pcaug.segment.features import GROUPS, Follow, follows, names, prepare
from pcaug.segment.follow import augmented


def block_of(cloud: PointCloud, groups: tuple[str, ...], voxel: float = 1e-4) -> Block:
    made = prepare(cloud, groups, voxel, "sensor", bright=1.0)
    return Block(made.xyz, made.features, np.zeros(len(made.xyz), np.uint8))


def pipe(*tables: dict[str, object]) -> augment.Pipeline:
    return augment.pipeline(tables)


@pytest.fixture
def cloud() -> PointCloud:
    rng = np.random.default_rng(3)
    xyz = rng.uniform(-4, 4, (400, 3))
    return PointCloud(
        xyz, {"intensity": rng.uniform(0, 1, 400).astype(np.float32), "rgb": rng.integers(0, 255, (400, 3)).astype(np.uint16)}
    )


@pytest.mark.parametrize("factor", [0.8, 1.25])
def test_stretched_features_are_those_of_the_stretched_cloud(cloud: PointCloud, factor: float) -> None:
    groups = ("geometry", "position", "intensity")
    wide = block_of(replace(cloud, xyz=cloud.xyz * factor), groups)
    step = {"name": "scale", "low": factor, "high": factor, "about": "origin"}
    found = augmented(block_of(cloud, groups), groups, pipe(step), np.random.default_rng(0))
    one, other = np.lexsort(found.xyz.T), np.lexsort(wide.xyz.T)
    np.testing.assert_allclose(found.xyz[one], wide.xyz[other], atol=1e-4)
    np.testing.assert_allclose(found.features[one], wide.features[other], atol=5e-3)


def test_turned_and_mirrored_features_stay(cloud: PointCloud) -> None:
    before = block_of(cloud, tuple(GROUPS))
    after = augmented(before, tuple(GROUPS), pipe({"name": "rotate_z"}, {"name": "flip"}), np.random.default_rng(0))
    np.testing.assert_allclose(after.features, before.features, atol=1e-5)
    assert not np.allclose(after.xyz, before.xyz)


def test_intensity_and_colour_are_what_their_augmentations_change(cloud: PointCloud) -> None:
    groups = ("geometry", "intensity", "colour")
    before = block_of(cloud, groups)
    steps = pipe({"name": "intensity_drop", "probability": 1.0}, {"name": "colour_drop", "probability": 1.0})
    after = augmented(before, groups, steps, np.random.default_rng(0))
    kinds = np.array([kind.value for kind in follows(groups)])
    assert (after.features[:, kinds == "intensity"] == 0).all()
    colour = after.features[:, kinds == "colour"]
    np.testing.assert_allclose(colour, colour[:, :1].repeat(3, axis=1), atol=1e-6)
    rest = ~np.isin(kinds, ["intensity", "colour"])
    np.testing.assert_allclose(after.features[:, rest], before.features[:, rest], atol=1e-6)
    assert before.features[:, kinds == "intensity"].any(), "the block that was drawn is left as it was"


def test_dropped_points_are_made_up_for(cloud: PointCloud) -> None:
    before = block_of(cloud, ("geometry",))
    after = augmented(before, ("geometry",), pipe({"name": "drop", "most": 0.5}), np.random.default_rng(0))
    assert after.xyz.shape == before.xyz.shape
    known = {tuple(row) for row in before.features.tolist()}
    assert {tuple(row) for row in after.features.tolist()} <= known


def test_every_column_says_what_becomes_of_it() -> None:
    assert len(names(tuple(GROUPS))) == len(follows(tuple(GROUPS))) == len(set(names(tuple(GROUPS))))
    assert set(follows(("intensity",))) == {Follow.INTENSITY}


@pytest.mark.parametrize(("top", "dtype"), [(255, np.uint8), (65535, np.uint16)])
def test_colour_is_from_zero_to_one_in_either_depth(top: int, dtype: type) -> None:
    rgb = np.array([[0, 0, 0], [top, top, top], [0, top, 0]], dtype)
    made = prepare(PointCloud(np.arange(9.0).reshape(3, 3), {"rgb": rgb}), ("colour",), 0.1, "sensor")
    np.testing.assert_allclose(made.features, rgb / top, atol=1e-6)


def test_density_is_what_thinning_takes_away() -> None:
    xyz = np.array([[0.01, 0, 0], [0.02, 0, 0], [0.03, 0, 0], [5.0, 0, 0]])
    made = prepare(PointCloud(xyz), ("density",), 0.1, "sensor")
    np.testing.assert_allclose(np.exp(made.features[:, 0]), [3, 1])
