"""What a profile says of clouds whose scanner and world are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from builders import make_cloud
from explore.builders_explore import world

from pcaug import catalogue
from pcaug.cloud import PointCloud, concatenate
from pcaug.errors import PcaugError
from pcaug.explore.ground import unevenness
from pcaug.explore.pattern import airborne, beams, joined, spinning
from pcaug.explore.profile import Profile, profile
from pcaug.scene.recipe import SceneRecipe, load_recipe
from pcaug.scene.scanner import SensorRow
from pcaug.segment.ground import height_above_ground
from pcaug.sensor.compose import compose_one

ID = catalogue.taxonomy().id


def street(*changes: str, **sensor: object) -> SceneRecipe:
    recipe = load_recipe("street", changes)
    return recipe.model_copy(update={"sensor": recipe.sensor.model_copy(update=sensor)})


@pytest.fixture(scope="module")
def scan() -> PointCloud:
    return compose_one(street(height=(1.73, 1.73), dropout=0.1, threshold=0.0, noise=0.02, lift=()), 3, 0)


def truth(scan: PointCloud) -> np.ndarray:
    """Elevation of each ring, degrees, highest first."""
    elevation = np.degrees(np.arctan2(scan.xyz[:, 2], np.hypot(*scan.xyz[:, :2].T)))
    return np.sort([np.median(elevation[scan["ring"] == ring]) for ring in np.unique(scan["ring"])])[::-1]


def as_kitti(scan: PointCloud) -> PointCloud:
    """Without rings, beam after beam, each counter-clockwise from ahead."""
    azimuth = np.arctan2(scan.xyz[:, 1], scan.xyz[:, 0]) % (2 * np.pi)
    return scan.take(np.lexsort((azimuth, scan["ring"]))).with_fields(ring=None)


def shuffled(scan: PointCloud) -> PointCloud:
    return scan.take(np.random.default_rng(0).permutation(len(scan))).with_fields(ring=None)


@pytest.mark.parametrize("as_found", [lambda scan: scan, as_kitti, shuffled], ids=["rings", "turns", "elevations"])
def test_beams_and_steps_are_recovered(scan: PointCloud, as_found) -> None:  # type: ignore[no-untyped-def]
    found = spinning(as_found(scan))
    assert found is not None
    assert len(found.elevations) == 64
    np.testing.assert_allclose(found.elevations, truth(scan), atol=0.005)
    np.testing.assert_allclose(found.elevations, SensorRow().elevations, atol=0.15)
    assert found.azimuth_steps == 2083
    assert found.noise == pytest.approx(0.02, rel=0.15)
    assert [value for value in found.dropout[1:4] if value] == pytest.approx([0.1] * 3, abs=0.02)


def test_second_returns_of_a_pulse_leave_the_pattern_as_it_is(scan: PointCloud) -> None:
    once, twice = spinning(scan), spinning(concatenate([scan, replace(scan, xyz=scan.xyz * 1.5)]))
    assert once is not None
    assert twice is not None
    assert twice.azimuth_steps == once.azimuth_steps
    np.testing.assert_allclose((twice.noise, *twice.dropout[1:4]), (once.noise, *once.dropout[1:4]), rtol=1e-2)


def test_columns_of_two_widths_and_beams_of_one_direction_end_in_no_error() -> None:
    ring, column = (v.ravel() for v in np.meshgrid(np.arange(16), np.arange(81), indexing="ij"))
    for azimuth in (np.cumsum(np.where(column % 2, 4.0, 0.01).reshape(16, 81), axis=1).ravel(), np.full(16 * 81, 7.0)):
        turn, up = np.radians(azimuth), np.radians(ring - 20.0)
        xyz = 10 * np.column_stack([np.cos(turn) * np.cos(up), np.sin(turn) * np.cos(up), np.sin(up)])
        found = spinning(PointCloud(xyz, {"ring": ring.astype(np.uint16)}))
        assert (found is None) == (np.ptp(azimuth) == 0)


@pytest.mark.parametrize("as_found", [lambda scan: scan, as_kitti], ids=["rings", "turns"])
def test_how_high_beams_leave_the_scanner_is_recovered(as_found) -> None:  # type: ignore[no-untyped-def]
    lift = (0.25,) * 32 + (0.1,) * 32
    recipe = street(lift=lift, beam_bias=0.0, mounting=0.0)
    found = joined([seen for index in range(4) if (seen := spinning(as_found(compose_one(recipe, 5, index))))])
    assert found is not None
    np.testing.assert_allclose(found.lift[:24], lift[:24], atol=0.03)
    np.testing.assert_allclose(found.angles[:24], recipe.sensor.elevations[:24], atol=0.15)
    assert found.elevations[10] > found.angles[10] + 0.4


@pytest.mark.parametrize("bias", [0.0, 0.03])
def test_what_beams_are_off_each_other_is_recovered(bias: float) -> None:
    changes = [f"sensor.beam_bias={bias}", "sensor.azimuth_steps=800"]
    seen = [spinning(compose_one(load_recipe("street", changes), 0, index)) for index in range(4)]
    assert float(np.mean([found.bias for found in seen if found])) == pytest.approx(bias, rel=0.25, abs=0.002)


def test_a_mobile_map_shows_no_beams() -> None:
    assert beams(world(np.random.default_rng(0))) is None
    assert spinning(make_cloud(20)) is None
    assert joined([]) is None


def test_the_scanner_stands_where_it_stood_with_and_without_labels() -> None:
    plain = ("street.kinds={residential=1.0}", "street.crossroads=0.0", "street.junction=0.0")
    scan = compose_one(street(*plain, height=(1.73, 1.73)), 3, 0)
    bare = replace(scan, fields={}, taxonomy=None)
    for cloud in (scan, bare):
        found = profile([cloud], "sensor").height_of_scanner
        assert found is not None
        assert found[2] == pytest.approx(1.73, abs=0.05)


def test_an_airborne_survey_is_recovered() -> None:
    recipe = load_recipe("town")
    sensor = recipe.sensor.model_copy(update={"density": (12.0, 12.0), "strips": (1, 1), "dropout": 0.0})
    found = airborne(compose_one(recipe.model_copy(update={"sensor": sensor}), 2, 0))
    assert found.density == pytest.approx(12, abs=1)
    assert found.strips == 1
    assert found.line_spacing == pytest.approx(1 / np.sqrt(12), rel=0.1)
    assert found.scan_angle is not None
    assert found.scan_angle <= 20
    assert sum(found.returns) == pytest.approx(1)
    assert found.returns[0] > 0.8


def test_a_few_points_on_the_edges_of_tiles_say_nothing_of_a_survey() -> None:
    recipe = load_recipe("town")
    sensor = recipe.sensor.model_copy(update={"density": (12.0, 12.0), "strips": (1, 1), "dropout": 0.0})
    cloud = compose_one(recipe.model_copy(update={"sensor": sensor}), 2, 0)
    slivers = [cloud.take(slice(i, i + 5)) for i in range(0, 15, 5)]
    found = profile([cloud, *slivers], "map").airborne
    assert found is not None
    alone = profile([cloud], "map").airborne
    assert alone is not None
    assert (found.density, found.strips, found.line_spacing) == (alone.density, alone.strips, alone.line_spacing)
    assert found.returns == pytest.approx(alone.returns, abs=0.01)


def test_strips_that_lie_half_over_each_other_cover_a_place_one_and_a_half_times_where_they_meet() -> None:
    plan = np.stack(np.meshgrid(np.arange(0.25, 20, 0.5), np.arange(0.25, 10, 0.5)), axis=-1).reshape(-1, 2)
    xyz = np.column_stack([np.concatenate([plan, plan + (10, 0)]), np.zeros(2 * len(plan))])
    time = np.repeat([0.0, 600.0], len(plan)) + np.tile(np.linspace(0, 1, len(plan)), 2)
    found = airborne(PointCloud(xyz, {"time": time}))
    assert (found.strips, found.density) == (2, 4.0)
    assert found.cover == pytest.approx(4 / 3)  # of 30 m, 10 m have two
    assert airborne(PointCloud(xyz)).cover is None


def test_a_tile_without_first_returns_is_described_by_those_it_has() -> None:
    cloud = PointCloud(np.arange(12.0).reshape(4, 3), {"return_number": np.full(4, 2, np.uint8)})
    assert airborne(cloud).density == 1
    assert profile([cloud], "map").points == 4


def test_classes_have_the_sizes_they_were_given() -> None:
    rng = np.random.default_rng(0)
    ground = np.column_stack([rng.uniform(0, 60, (20_000, 2)), rng.normal(0, 0.03, 20_000)])
    boxes = np.concatenate([rng.uniform(0, 1, (300, 3)) * [4.5, 1.8, 1.5] + [10 * k, 30, 0.2] for k in range(1, 5)])
    label = np.repeat([ID("terrain"), ID("car")], [len(ground), len(boxes)]).astype(np.uint16)
    cloud = PointCloud(np.concatenate([ground, boxes]), {"label": label}, catalogue.taxonomy())
    found = profile([cloud, cloud], "map")
    car, terrain = found.classes["car"], found.classes["terrain"]
    assert car.objects is not None
    assert car.objects.per_cloud == 4
    sizes = (car.objects.length[2], car.objects.width[2], car.objects.height[2])
    assert sizes == pytest.approx((4.5, 1.8, 1.5), abs=0.2)
    assert car.objects.spacing is not None
    assert car.objects.spacing[2] == pytest.approx(10, abs=0.2)
    assert car.share == pytest.approx(len(boxes) / len(label))
    assert terrain.objects is None
    assert terrain.unevenness == pytest.approx(0.03, rel=0.3)
    assert car.intensity == (None,)
    assert found.clouds == 2
    assert found.points == 2 * len(label)


def test_intensity_is_told_by_range(scan: PointCloud) -> None:
    reach = np.linalg.norm(scan.xyz, axis=1)
    rows = (
        profile([scan.with_fields(intensity=(100 / np.maximum(reach, 1)).astype(np.float32))], "sensor").classes["road"].intensity
    )
    known = [row[2] for row in rows if row is not None]
    assert len(known) >= 3
    assert known == sorted(known, reverse=True)
    assert rows[1] is not None
    assert 100 / 10 <= rows[1][2] <= 100 / 5


def test_a_profile_travels_as_json(scan: PointCloud) -> None:
    for found in (profile([scan], "sensor"), profile([make_cloud(400)], "map"), profile([make_cloud(40, labelled=False)], "map")):
        assert Profile.model_validate_json(found.model_dump_json()) == found


def test_nothing_to_describe_is_refused() -> None:
    with pytest.raises(PcaugError, match="no points"):
        profile([make_cloud(0)], "map")


def test_roofs_and_slopes_stand_on_the_ground() -> None:
    side = np.arange(0, 60, 0.5)
    plan = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    slope = 0.1 * plan[:, 0]
    roof = (np.abs(plan - 30) < 7).all(axis=1)
    height = height_above_ground(np.column_stack([plan, slope + 6.0 * roof]))
    np.testing.assert_allclose(height[roof], 6, atol=0.8)
    inside = (np.abs(plan - 30) < 19).all(axis=1)  # a window that leaves the cloud cannot follow a slope
    assert height[~roof & inside].max() < 0.8
    assert height_above_ground(np.array([[0.0, 0, 0], [1e7, 1e7, 5]])).max() == 0  # no grid of 10 000 km
    assert unevenness(np.zeros((3, 3))) is None
