"""Laws that hold for every augmentation and mixer, and known answers for each."""

from __future__ import annotations

import numpy as np
import pytest
from builders import assert_same_cloud, make_cloud

from pcaug.augment import AUGMENTATIONS, MIXERS, build, naive, pipeline
from pcaug.augment.mixing import LaserMix, Mix3D, PasteObjects, PolarMix
from pcaug.cloud import PointCloud
from pcaug.errors import RecipeError

DROPPING = {"drop", "drop_rings"}


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_same_key_gives_same_bytes_and_labels_are_kept(name: str) -> None:
    cloud = make_cloud(500, ring=(np.arange(500) % 8).astype(np.uint16), row=np.arange(500))
    step = build(AUGMENTATIONS, {"name": name})
    once, again = (step(cloud, np.random.default_rng((7, 1, 2))) for _ in range(2))
    assert_same_cloud(once, again)
    if name not in DROPPING:
        assert len(once) == len(cloud)
    np.testing.assert_array_equal(once["label"], cloud["label"][once["row"]])


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("n", [0, 1])
def test_tiny_clouds_pass(name: str, n: int) -> None:
    cloud = make_cloud(n)
    assert len(build(AUGMENTATIONS, {"name": name})(cloud, np.random.default_rng(0))) <= n


def test_rotation_keeps_distances_and_turns_normals() -> None:
    cloud = make_cloud(20, normal=np.tile(np.float32([1, 0, 0]), (20, 1)))
    turned = naive.RotateZ(about="origin")(cloud, np.random.default_rng(3))
    np.testing.assert_allclose(np.linalg.norm(turned.xyz, axis=1), np.linalg.norm(cloud.xyz, axis=1))
    angle = np.arctan2(*turned.xyz[0, 1::-1]) - np.arctan2(*cloud.xyz[0, 1::-1])
    np.testing.assert_allclose(turned["normal"][0], [np.cos(angle), np.sin(angle), 0], atol=1e-6)


def test_flip_mirrors_about_the_centre() -> None:
    cloud = make_cloud(30)
    flipped = naive.Flip(probability=1.0)(cloud, np.random.default_rng(0))
    np.testing.assert_allclose(flipped.xyz[:, :2], 2 * cloud.bounds.mean(axis=0)[:2] - cloud.xyz[:, :2])
    np.testing.assert_allclose(flipped.bounds, cloud.bounds)


def test_elastic_displacement_has_the_asked_size_and_is_smooth() -> None:
    line = PointCloud(np.column_stack([np.linspace(0, 40, 4000), np.zeros(4000), np.zeros(4000)]))
    move = naive.Elastic(grain=2, sigma=0.2)(line, np.random.default_rng(5)).xyz - line.xyz
    assert 0.05 < np.abs(move).mean() < 0.4
    assert np.abs(np.diff(move, axis=0)).max() < 0.01


def test_integer_intensity_stays_in_its_range() -> None:
    cloud = make_cloud(10).with_fields(intensity=np.full(10, 65535, np.uint16))
    for seed in range(5):
        assert naive.IntensityShift(gain=0.5)(cloud, np.random.default_rng(seed))["intensity"].dtype == np.uint16


def test_pipeline_refuses_unknown_names_and_arguments() -> None:
    with pytest.raises(RecipeError, match="did you mean rotate_z"):
        pipeline([{"name": "rotatez"}])
    with pytest.raises(RecipeError, match="no argument 'degree'"):
        pipeline([{"name": "rotate_z", "degree": 5}])


def two_scans() -> tuple[PointCloud, PointCloud]:
    first, second = (make_cloud(3000, seed=s, origin=np.full(3000, s, np.uint8)) for s in (1, 2))
    centre = np.eye(4)
    centre[:3, 3] = -5
    return first.moved(centre), second.moved(centre)


@pytest.mark.parametrize("name", MIXERS)
def test_mixers_invent_no_point_and_no_label(name: str) -> None:
    first, second = two_scans()
    mixed = build(MIXERS, {"name": name})(first, second, np.random.default_rng(0))
    assert set(np.unique(mixed["label"])) <= set(np.unique(np.concatenate([first["label"], second["label"]])))
    assert set(np.unique(mixed["origin"])) == {1, 2}


def test_polarmix_swaps_one_sector() -> None:
    first, second = two_scans()
    mixed = PolarMix(90, 90)(first, second, np.random.default_rng(4))
    azimuth = np.degrees(np.arctan2(mixed.xyz[:, 1], mixed.xyz[:, 0])) % 360
    of_second = np.sort(azimuth[mixed["origin"] == 2])
    gaps = np.diff(np.append(of_second, of_second[0] + 360))
    assert 260 < gaps.max() < 275  # what is not the sector: 270 degrees
    in_sector = np.isin(mixed["origin"], 2).sum() / len(second)
    assert 0.15 < in_sector < 0.35


def test_lasermix_bands_are_disjoint() -> None:
    first, second = two_scans()
    mixed = LaserMix(bands=(4,), low=-90, high=90)(first, second, np.random.default_rng(0))
    inclination = np.degrees(np.arctan2(mixed.xyz[:, 2], np.hypot(mixed.xyz[:, 0], mixed.xyz[:, 1])))
    band = np.clip((inclination + 90) / 180 * 4, 0, 3).astype(int)
    for value in range(4):
        assert len(np.unique(mixed["origin"][band == value])) == 1


def test_mix3d_is_the_sum_with_ground_aligned() -> None:
    first, second = two_scans()
    mixed = Mix3D()(first, second, np.random.default_rng(0))
    assert len(mixed) == len(first) + len(second)
    low = [np.percentile(mixed.xyz[mixed["origin"] == o, 2], 2) for o in (1, 2)]
    assert low[0] == pytest.approx(low[1])


def test_a_pasted_object_hides_what_stands_behind_it() -> None:
    taxonomy = make_cloud().taxonomy
    wall = PointCloud(
        np.column_stack([np.full(200, 20.0), np.linspace(-5, 5, 200), np.zeros(200)]),
        {"label": np.full(200, 7, np.uint16)},
        taxonomy,
    )
    car = PointCloud(
        np.column_stack([np.full(50, 5.0), np.linspace(-0.5, 0.5, 50), np.zeros(50)]),
        {"label": np.full(50, 21, np.uint16)},
        taxonomy,
    )

    class Still(np.random.Generator):
        def uniform(self, low: float = 0.0, high: float = 1.0, size: object = None) -> float:  # type: ignore[override]
            return 0.0

    mixed = PasteObjects(turns=1, bin=1.0)(wall, car, Still(np.random.PCG64(0)))
    kept = mixed.xyz[mixed["label"] == 7]
    assert (mixed["label"] == 21).sum() == 50
    behind = np.abs(kept[:, 1] / kept[:, 0]) < 0.08
    assert not behind.any()
    assert 100 < len(kept) < 200
