"""Laws that hold for every augmentation, and known answers for each."""

from __future__ import annotations

import numpy as np
import pytest
from builders import assert_same_cloud, make_cloud
from hypothesis import given, settings
from hypothesis import strategies as st

from pcaug.augment import AUGMENTATIONS, Pipeline, build, naive, pipeline, thinning, values
from pcaug.augment.attributes import kept, moved
from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError, RecipeError
from pcaug.labels import IGNORE

DROPPING = {"drop", "drop_blocks", "drop_rings", "drop_beams", "fewer_beams", "crop", "fog", "rain", "snow"}
AIR = {"fog", "rain", "snow"}


def make_scan(n: int = 600) -> PointCloud:
    """A scan in its sensor's frame, the ground 1.7 m below it, with every field that an augmentation knows."""
    rng = np.random.default_rng(1)
    xyz = np.column_stack([rng.uniform(-30, 30, (n, 2)), rng.choice([-1.7, 0.5], n)])
    taxonomy = make_cloud(1).taxonomy
    fields = {
        "label": rng.choice([0, 5, 21], n).astype(np.uint16),
        "instance": rng.integers(0, 5, n).astype(np.int32),
        "ring": rng.integers(0, 64, n).astype(np.uint16),
        "intensity": rng.random(n).astype(np.float32),
        "rgb": rng.integers(0, 256, (n, 3)).astype(np.uint16),
        "normal": np.tile(np.float32([0, 0, 1]), (n, 1)),
        "sensor_origin": np.zeros((n, 3)),
        "height_above_ground": (xyz[:, 2] + 1.7).astype(np.float32),
        "row": np.arange(n),
    }
    return PointCloud(xyz, fields, taxonomy)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_same_key_gives_same_bytes_and_labels_are_kept(name: str) -> None:
    cloud = make_scan()
    step = build(AUGMENTATIONS, {"name": name})
    once, again = (step(cloud, np.random.default_rng((7, 1, 2))) for _ in range(2))
    assert_same_cloud(once, again)
    if name not in DROPPING:
        assert len(once) == len(cloud)
    same = once["label"] == cloud["label"][once["row"]]
    if name in AIR:
        assert set(once["label"][~same]) <= {IGNORE}
        assert not once["instance"][~same].any()
    else:
        assert same.all()
    assert np.isfinite(once.xyz).all()
    assert all(once[field].dtype == cloud[field].dtype for field in cloud.fields)


@pytest.mark.parametrize("name", AUGMENTATIONS)
@pytest.mark.parametrize("n", [0, 1])
def test_tiny_clouds_pass(name: str, n: int) -> None:
    cloud = make_scan(n)
    assert len(build(AUGMENTATIONS, {"name": name})(cloud, np.random.default_rng(0))) <= n


@pytest.mark.parametrize("name", sorted(set(AUGMENTATIONS) - AIR - {"range_noise", "fewer_beams", "drop_rings"}))
def test_what_needs_no_sensor_takes_bare_points(name: str) -> None:
    bare = PointCloud(np.random.default_rng(0).uniform(0, 9, (50, 3)))
    assert len(build(AUGMENTATIONS, {"name": name})(bare, np.random.default_rng(0))) > 0


@pytest.mark.parametrize("name", sorted(AIR | {"range_noise", "fewer_beams", "drop_rings"}))
def test_what_needs_a_sensor_refuses_a_map_with_the_reason(name: str) -> None:
    bare = PointCloud(np.random.default_rng(0).uniform(5, 9, (50, 3)))
    with pytest.raises(PcaugError, match="one side of the origin"):
        build(AUGMENTATIONS, {"name": name})(bare, np.random.default_rng(0))


def test_rotation_keeps_distances_and_turns_normals_and_the_sensor() -> None:
    cloud = make_cloud(20, normal=np.tile(np.float32([1, 0, 0]), (20, 1)), sensor_origin=np.tile([2.0, 0, 0], (20, 1)))
    turned = naive.RotateZ(about="origin")(cloud, np.random.default_rng(3))
    np.testing.assert_allclose(np.linalg.norm(turned.xyz, axis=1), np.linalg.norm(cloud.xyz, axis=1))
    angle = np.arctan2(*turned.xyz[0, 1::-1]) - np.arctan2(*cloud.xyz[0, 1::-1])
    np.testing.assert_allclose(turned["normal"][0], [np.cos(angle), np.sin(angle), 0], atol=1e-6)
    np.testing.assert_allclose(turned["sensor_origin"][0], [2 * np.cos(angle), 2 * np.sin(angle), 0], atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.5, 2), st.floats(0.5, 2), st.floats(-0.2, 0.2))
def test_heights_above_a_level_ground_follow_any_affine_map(seed: int, a: float, b: float, lean: float) -> None:
    rng = np.random.default_rng(seed)
    height = rng.uniform(0, 5, 10)
    plan = rng.uniform(-5, 5, (10, 2))
    cloud = PointCloud(np.column_stack([plan, height - 2]), {"height_above_ground": height})
    matrix = np.eye(4)
    matrix[:3, :3] = [[a, 0.1, lean], [0, 1, 0], [-lean, 0.05, b]]
    out = moved(cloud, matrix)
    ground = np.array([[x, y, -2.0] for x, y in [(0, 0), (1, 0), (0, 1)]]) @ matrix[:3, :3].T
    normal = np.cross(ground[1] - ground[0], ground[2] - ground[0])
    below = ground[0, 2] - ((out.xyz[:, :2] - ground[0, :2]) @ normal[:2]) / normal[2]
    np.testing.assert_allclose(out["height_above_ground"], out.xyz[:, 2] - below, atol=1e-9)


def test_elastic_heights_count_from_the_ground_that_moved_along() -> None:
    plan = np.random.default_rng(0).uniform(0, 20, (400, 2))
    xyz = np.concatenate([np.column_stack([plan, np.zeros(400)]), np.column_stack([plan, np.full(400, 3.0)])])
    cloud = PointCloud(xyz, {"height_above_ground": xyz[:, 2]})
    out = naive.Elastic(grain=2, sigma=0.2)(cloud, np.random.default_rng(5))
    np.testing.assert_allclose(out["height_above_ground"][:400], 0, atol=1e-6)
    np.testing.assert_allclose(out["height_above_ground"][400:], out.xyz[400:, 2] - out.xyz[:400, 2], atol=1e-6)


def test_flip_mirrors_about_the_centre() -> None:
    cloud = make_cloud(30)
    flipped = naive.Flip(probability=1.0)(cloud, np.random.default_rng(0))
    np.testing.assert_allclose(flipped.xyz[:, :2], 2 * cloud.xyz[:, :2].mean(axis=0) - cloud.xyz[:, :2])
    np.testing.assert_array_equal(flipped.xyz[:, 2], cloud.xyz[:, 2])


def test_tilt_leans_by_the_asked_angle_and_keeps_distances() -> None:
    up = make_cloud(1000, normal=np.tile(np.float32([0, 0, 1]), (1000, 1)))
    angles = []
    for seed in range(200):
        out = naive.Tilt(degrees=2)(up, np.random.default_rng(seed))
        angles.append(np.degrees(np.arccos(np.clip(out["normal"][0, 2], -1, 1))))
    assert 1.6 < np.sqrt(np.mean(np.square(angles))) < 2.4
    np.testing.assert_allclose(np.linalg.norm(out.xyz[1:] - out.xyz[0], axis=1), np.linalg.norm(up.xyz[1:] - up.xyz[0], axis=1))


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from(["rotate_z", "tilt", "flip", "scale", "shift", "jitter", "drop"]), max_size=7), st.integers(0, 999)
)
def test_a_pipeline_does_what_its_steps_do_one_by_one(names: list[str], seed: int) -> None:
    cloud = make_scan(60)
    steps = [build(AUGMENTATIONS, {"name": name}) for name in names]
    rng = np.random.default_rng(seed)
    by_hand = cloud
    for step in steps:
        by_hand = step(by_hand, rng)
    out = Pipeline(tuple(steps))(cloud, np.random.default_rng(seed))
    np.testing.assert_allclose(out.xyz, by_hand.xyz, atol=1e-9)
    np.testing.assert_allclose(out["normal"], by_hand["normal"], atol=1e-5)
    # step by step, the second tilt takes the leaning ground for level: together they are the better account
    np.testing.assert_allclose(out["height_above_ground"], by_hand["height_above_ground"], atol=0.03)
    np.testing.assert_array_equal(out["row"], by_hand["row"])


def test_a_chance_takes_a_step_so_often() -> None:
    cloud = make_cloud(5)
    pipe = pipeline([{"name": "shift", "xy": 5.0, "chance": 0.3}])
    changed = sum(not np.array_equal(pipe(cloud, np.random.default_rng(s)).xyz, cloud.xyz) for s in range(300))
    assert 60 < changed < 120


def test_range_noise_moves_along_the_beam_and_grows_with_range() -> None:
    directions = np.random.default_rng(0).normal(size=(4000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    ranges = np.repeat([5.0, 50.0], 2000)
    cloud = PointCloud(directions * ranges[:, None], {"sensor_origin": np.zeros((4000, 3))})
    out = naive.RangeNoise(sigma=0.01, per_metre=0.002)(cloud, np.random.default_rng(1))
    error = np.linalg.norm(out.xyz, axis=1) - ranges
    assert 0.018 < error[:2000].std() < 0.022
    assert 0.10 < error[2000:].std() < 0.12
    np.testing.assert_allclose(out.xyz / np.linalg.norm(out.xyz, axis=1, keepdims=True), directions, atol=1e-12)


def test_elastic_displacement_has_the_asked_size_and_is_smooth() -> None:
    line = PointCloud(np.column_stack([np.linspace(0, 40, 4000), np.zeros(4000), np.zeros(4000)]))
    move = naive.Elastic(grain=2, sigma=0.2)(line, np.random.default_rng(5)).xyz - line.xyz
    assert 0.05 < np.abs(move).mean() < 0.4
    assert np.abs(np.diff(move, axis=0)).max() < 0.01


def make_pulses(sizes: list[int]) -> PointCloud:
    """Pulses of so many echoes each, in a shuffled order."""
    time = np.repeat(np.arange(len(sizes)), sizes).astype(float)
    number = np.concatenate([np.arange(1, s + 1) for s in sizes])
    order = np.random.default_rng(0).permutation(len(time))
    fields = {
        "time": time,
        "return_number": number.astype(np.uint8),
        "number_of_returns": np.repeat(sizes, sizes).astype(np.uint8),
    }
    return PointCloud(np.random.default_rng(1).normal(size=(len(time), 3)), {k: v[order] for k, v in fields.items()})


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.integers(0, 2**32 - 1))
def test_pulses_that_lose_echoes_count_those_that_are_left(sizes: list[int], seed: int) -> None:
    cloud = make_pulses(sizes)
    keep = np.random.default_rng(seed).random(len(cloud)) < 0.6
    out = kept(cloud, keep)
    for pulse in np.unique(out["time"]):
        own = out["time"] == pulse
        assert (out["number_of_returns"][own] == own.sum()).all()
        assert sorted(out["return_number"][own]) == list(range(1, own.sum() + 1))
        before = cloud["return_number"][keep][own]
        np.testing.assert_array_equal(np.argsort(before), np.argsort(out["return_number"][own]))


def test_dropped_beams_are_whole_pulses() -> None:
    cloud = make_pulses([1, 2, 3, 4] * 20)
    out = thinning.DropBeams(most=0.9)(cloud, np.random.default_rng(0))
    assert 0 < len(out) < len(cloud)
    for pulse in np.unique(out["time"]):
        assert (out["time"] == pulse).sum() == (cloud["time"] == pulse).sum()


@pytest.mark.parametrize(("to", "left"), [(32, 32), (16, 16), (64, 64)])
def test_a_smaller_sensor_keeps_every_second_or_fourth_ring(to: int, left: int) -> None:
    cloud = make_scan(6000)
    out = thinning.FewerBeams(64, to)(cloud, np.random.default_rng(2))
    rings = np.unique(cloud["ring"][out["row"]])
    assert len(rings) == left
    assert len(set(np.diff(rings))) == 1
    np.testing.assert_array_equal(np.unique(out["ring"]), np.arange(left))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 128), st.integers(1, 128), st.integers(1, 128), st.integers(0, 2**32 - 1))
def test_a_smaller_sensor_has_the_beams_it_should_have_evenly_chosen(there: int, to: int, beams: int, seed: int) -> None:
    ring = np.repeat(np.arange(there, dtype=np.uint16), 3)
    up = np.radians(np.linspace(-24, 2, there))[ring]
    cloud = PointCloud(np.column_stack([np.cos(up), np.zeros(len(up)), np.sin(up)]), {"ring": ring, "own": ring})
    own = np.unique(thinning.FewerBeams(beams, to)(cloud, np.random.default_rng(seed))["own"])
    assert len(own) == min(there, to)
    if len(own) > 2:
        assert np.ptp(np.diff(own)) <= 1


def test_beams_without_ring_numbers_are_told_by_inclination() -> None:
    ring = np.repeat(np.arange(16), 100)
    angle, azimuth = np.radians(np.linspace(-24, 2, 16))[ring], np.tile(np.linspace(0, 6.2, 100), 16)
    xyz = 10 * np.column_stack([np.cos(angle) * np.cos(azimuth), np.cos(angle) * np.sin(azimuth), np.sin(angle)])
    out = thinning.FewerBeams(16, 8)(PointCloud(xyz, {"own": ring}), np.random.default_rng(0))
    assert set(np.diff(np.unique(out["own"]))) == {2}


def test_crop_and_blocks_cut_squares() -> None:
    cloud = make_cloud(5000, size=50.0)
    crop = thinning.Crop(edge=10)(cloud, np.random.default_rng(0))
    assert (np.ptp(crop.xyz[:, :2], axis=0) <= 10).all()
    row = np.arange(5000)
    out = thinning.DropBlocks(most=1, edge=20)(cloud.with_fields(row=row), np.random.default_rng(4))
    gone = cloud.xyz[~np.isin(row, out["row"]), :2]
    assert len(gone)
    assert (np.ptp(gone, axis=0) <= 20).all()


def test_dropped_intensities_are_the_darkest_of_their_scale() -> None:
    for levels, dropped in ((np.float32([-30.5, -12, -3]), -30.5), (np.uint16([7, 300, 20]), 0), (np.float32([0.2, 0.4, 1]), 0)):
        out = values.IntensityDrop(1.0)(make_cloud(3, intensity=levels), np.random.default_rng(0))
        assert out["intensity"].dtype == levels.dtype
        np.testing.assert_array_equal(out["intensity"], np.full(3, dropped))


def test_an_elastic_distortion_turns_normals_with_the_surface() -> None:
    rng, count, step = np.random.default_rng(0), 2000, 1e-3
    normal, at = rng.normal(size=(count, 3)), rng.uniform(0, 30, (count, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    one = np.cross(normal, rng.normal(size=(count, 3)))
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    two = np.cross(normal, one)
    cloud = PointCloud(np.concatenate([at, at + step * one, at + step * two]), {"normal": np.tile(normal, (3, 1))})
    out = naive.Elastic(sigma=0.4)(cloud, np.random.default_rng(1))
    assert out["normal"].dtype == cloud["normal"].dtype
    middle, first, second = out.xyz.reshape(3, count, 3)
    surface = np.cross(first - middle, second - middle)
    surface /= np.linalg.norm(surface, axis=1, keepdims=True)

    def off(normals: np.ndarray) -> np.ndarray:
        return np.degrees(np.arccos(np.clip((surface * normals).sum(axis=1), -1, 1)))

    assert np.median(off(normal)) > 5
    assert np.quantile(off(out["normal"][:count]), 0.98) < 0.2  # the rest lies across the edge of two cells


def test_integer_values_stay_in_their_range() -> None:
    cloud = make_cloud(10).with_fields(intensity=np.full(10, 65535, np.uint16), rgb=np.full((10, 3), 200, np.uint16))
    for seed in range(5):
        out = values.IntensityShift(gain=0.5)(cloud, np.random.default_rng(seed))
        assert out["intensity"].dtype == np.uint16
        coloured = values.ColourJitter(brightness=1.0)(cloud, np.random.default_rng(seed))
        assert coloured["rgb"].dtype == np.uint16
        assert coloured["rgb"].max() <= 255


def test_gamma_keeps_the_order_and_the_ends() -> None:
    cloud = make_cloud(100).with_fields(intensity=np.linspace(0, 1, 100, dtype=np.float32))
    out = values.IntensityGamma(most=3)(cloud, np.random.default_rng(1))["intensity"]
    assert (np.diff(out) >= 0).all()
    assert out[0] == 0
    assert out[-1] == 1


def test_grey_has_the_luma_of_the_colour() -> None:
    cloud = PointCloud(np.zeros((1, 3)), {"rgb": np.array([[255, 128, 0]], np.uint16)})
    assert values.ColourDrop(1.0)(cloud, np.random.default_rng(0))["rgb"].tolist() == [[151, 151, 151]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"name": "rotatez"}, "did you mean rotate_z"),
        ({"name": "rotate_z", "degree": 5}, "no argument 'degree'"),
        ({"name": "jitter", "sigma": -1.0}, "must be at least 0"),
        ({"name": "rotate_z", "about": "middle"}, "'centre' or 'origin'"),
        ({"name": "flip", "probability": "often"}, "must be a number"),
        ({"name": "flip", "chance": 2}, "not a probability"),
        ({"name": "scale", "low": 2.0}, "low is above high"),
        ({"name": "shift", "z": float("inf")}, "finite"),
    ],
)
def test_pipeline_refuses_what_does_not_fit(table: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        pipeline([table])


def test_a_drop_is_taken_before_what_moves_points_one_by_one_and_after_all_else() -> None:
    origin = {"about": "origin"}
    tables = (
        {"name": "rotate_z"},
        {"name": "crop"},
        {"name": "jitter"},
        {"name": "flip"} | origin,
        {"name": "drop"},
        {"name": "shift"},
    )
    taken = [type(step).__name__ for step in pipeline(tables).steps]
    assert taken == ["RotateZ", "Crop", "Drop", "Jitter", "Flip", "Shift"]
    about_centre = pipeline([{"name": "jitter"}, {"name": "scale"}, {"name": "drop"}])  # whose centre the drop would move
    assert [type(step).__name__ for step in about_centre.steps] == ["Jitter", "Scale", "Drop"]
    moved_then_thinned = pipeline([{"name": "shift", "xy": 0.0, "z": 0.0}, {"name": "drop", "most": 0.5}])
    cloud = PointCloud(np.arange(3000.0).reshape(-1, 3))
    out = moved_then_thinned(cloud, np.random.default_rng(0))
    assert 500 <= len(out) < 1000
    assert set(map(tuple, out.xyz)) <= set(map(tuple, cloud.xyz))


def test_a_file_that_counts_fewer_returns_than_it_numbers_wraps_nothing() -> None:
    fields = {"return_number": np.arange(1, 5, dtype=np.uint8), "number_of_returns": np.full(4, 2, np.uint8), "time": np.ones(4)}
    out = kept(make_cloud(4).with_fields(**fields), np.array([False, False, False, True]))
    assert (out["return_number"].tolist(), out["number_of_returns"].tolist()) == ([1], [1])


def test_scan_angles_change_sides_in_a_mirror() -> None:
    cloud = make_cloud(10).with_fields(scan_angle=np.arange(10, dtype=np.float32))
    for probability in (1.0, 0.0):  # mirrored twice, or not at all: a turn
        out = naive.Flip(probability=probability)(cloud, np.random.default_rng(0))
        np.testing.assert_array_equal(out["scan_angle"], cloud["scan_angle"])
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    np.testing.assert_array_equal(moved(cloud, mirror)["scan_angle"], -cloud["scan_angle"])


def test_echoes_keep_their_numbers_where_pulses_share_a_time() -> None:
    number = np.tile([1, 2], 1000).astype(np.uint8)
    fields = {"return_number": number, "number_of_returns": np.full(2000, 2, np.uint8), "time": np.zeros(2000)}
    cloud = PointCloud(np.random.default_rng(0).uniform(0, 9, (2000, 3)), fields)
    out = thinning.Drop(most=0.2)(cloud, np.random.default_rng(0))
    assert 0 < len(out) < 2000
    assert set(out["return_number"]) == {1, 2}
    assert set(out["number_of_returns"]) == {2}
    lost = 1 - len(thinning.DropBeams(most=0.9)(cloud, np.random.default_rng(0))) / 2000
    assert 0.02 < lost < 0.98


def test_negative_intensities_stay_numbers_and_negative() -> None:
    cloud = PointCloud(np.zeros((4, 3)), {"intensity": np.float32([-12, -3, 0.5, 2])})
    for step in (values.IntensityGamma(most=2), values.IntensityShift(gain=0.0, shift=0.01)):
        out = step(cloud, np.random.default_rng(0))["intensity"]
        assert np.isfinite(out).all()
        assert (np.diff(out) > 0).all()
        assert out[1] < 0


@pytest.mark.parametrize("step", ["intensity_shift", "intensity_gamma", "intensity_drop"])
def test_one_intensity_that_is_no_number_stays_the_only_one(step: str) -> None:
    cloud = make_cloud(50, intensity=np.r_[np.nan, np.linspace(0, 200, 49)].astype(np.float32))
    found = build(AUGMENTATIONS, {"name": step})(cloud, np.random.default_rng(0))["intensity"]
    assert np.isfinite(found[1:]).all()


def test_a_gain_multiplies_every_intensity_alike() -> None:
    cloud = make_cloud(100, intensity=np.linspace(0.1, 0.6, 100).astype(np.float32))
    ratios = [
        values.IntensityShift(gain=0.5, shift=0.0)(cloud, np.random.default_rng(s))["intensity"] / cloud["intensity"]
        for s in range(20)
    ]
    assert all(np.ptp(r) < 1e-4 for r in ratios)
    found = np.array([r[0] for r in ratios])
    assert 0.5 <= found.min() < 0.8 < 1.2 < found.max() <= 1.5


def test_jitter_is_clipped() -> None:
    cloud = make_cloud(20000)
    off = naive.Jitter(sigma=0.05, clip=0.06)(cloud, np.random.default_rng(0)).xyz - cloud.xyz
    assert np.abs(off).max() == pytest.approx(0.06)


def test_a_shift_is_as_far_as_asked_in_plan_and_height() -> None:
    cloud = make_cloud(1)
    off = np.array([(naive.Shift(xy=2.0, z=0.1)(cloud, np.random.default_rng(s)).xyz - cloud.xyz)[0] for s in range(200)])
    np.testing.assert_allclose(np.abs(off).max(axis=0), (2, 2, 0.1), rtol=0.05)


def test_pulses_of_beams_that_fire_at_once_are_told_by_their_rings() -> None:
    """Two blocks of beams: of the pulse of ring 0 the first echo goes, that of ring 32 stays whole."""
    fields = {
        "time": np.zeros(4),
        "ring": np.array([0, 0, 32, 32], np.uint16),
        "return_number": np.array([1, 2, 1, 2], np.uint8),
        "number_of_returns": np.full(4, 2, np.uint8),
    }
    out = kept(make_cloud(4).with_fields(**fields), np.array([False, True, True, True]))
    assert out["return_number"].tolist() == [1, 1, 2]
    assert out["number_of_returns"].tolist() == [1, 2, 2]


def test_pulses_that_start_at_once_are_lost_one_by_one() -> None:
    time, ring = np.repeat(np.arange(500.0), 4), np.tile(np.array([0, 0, 32, 32], np.uint16), 500)
    cloud = make_cloud(2000).with_fields(time=time, ring=ring, number_of_returns=np.full(2000, 2, np.uint8))
    out = thinning.DropBeams(most=0.9)(cloud, np.random.default_rng(0))
    left = np.unique(out["time"] * 64 + out["ring"], return_counts=True)[1]
    assert set(left.tolist()) == {2}  # with both of its echoes, or neither
    alone = [len(np.unique(out["ring"][out["time"] == start])) for start in np.unique(out["time"])]
    assert 1 in alone
