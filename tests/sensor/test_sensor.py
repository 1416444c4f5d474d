"""Scanners against geometry that can be worked out by hand, and against Open3D on merged meshes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pcaug import catalogue
from pcaug.corpus.read import Corpus
from pcaug.errors import RecipeError
from pcaug.scene.asset import MATERIALS, Asset, Builder, Placement, Scene, placed
from pcaug.scene.ground import ground_of, height_at
from pcaug.scene.recipe import compose, load_recipe
from pcaug.scene.scanner import SensorRow
from pcaug.scene.shapes import box, grid, quad
from pcaug.sensor import SENSORS
from pcaug.sensor.compose import compose_corpus
from pcaug.sensor.engine import Caster, open3d
from pcaug.sensor.scan import scan

TREE = catalogue.taxonomy()
CLEAN = {"noise": 0.0, "dropout": 0.0, "threshold": 0.0, "beam_bias": 0.0, "lift": (), "intensity_near": 0.0}


def scene_of(*assets: tuple[Asset, tuple[float, float, float]]) -> Scene:
    placements = tuple(placed(asset, at, instance=i) for i, (asset, at) in enumerate(assets))
    return Scene(placements, "test", np.zeros(3), 0.0, np.array([[-20.0, -20.0], [20.0, 20.0]]))


def plane(size: float = 100.0, label: str = "road", material: str = "asphalt", z: float = 0.0) -> Asset:
    out = Builder()
    out.add(quad((-size, -size, z), (size, -size, z), (size, size, z), (-size, size, z)), label, material)
    return out.asset("plane")


def cube(label: str, material: str = "plaster", size: float = 2.0) -> Asset:
    out = Builder()
    out.add(box((-size / 2, -size / 2, 0), (size / 2, size / 2, size)), label, material)
    return out.asset("cube")


def test_a_spinning_scan_of_a_plane_lies_on_it_at_the_right_ranges() -> None:
    sensor = SensorRow(kind="spinning", height=(1.73, 1.73), range_max=60.0, azimuth_steps=360, **CLEAN)
    cloud = scan(scene_of((plane(), (0, 0, 0))), sensor, np.random.default_rng(0))
    np.testing.assert_allclose(cloud.xyz[:, 2], -1.73, atol=1e-3)  # the origin is the scanner
    distance = np.linalg.norm(cloud.xyz, axis=1)
    assert distance.max() <= 60
    elevation = np.degrees(np.arcsin(-1.73 / distance))
    assert elevation.min() > -25.7
    assert elevation.max() < -1.6
    assert len(np.unique(cloud["ring"])) <= 64
    assert set(cloud["label"].tolist()) == {TREE.id("road")}


def test_what_stands_in_front_hides_what_stands_behind_and_gives_its_label() -> None:
    sensor = SensorRow(kind="spinning", azimuth_steps=2000, **CLEAN)
    scene = scene_of((plane(), (0, 0, 0)), (cube("car", "car_paint"), (8, 0, 0)), (cube("person", "cloth"), (14, 0, 0)))
    cloud = scan(scene, sensor, np.random.default_rng(0))
    ahead = np.abs(np.arctan2(cloud.xyz[:, 1], cloud.xyz[:, 0])) < 0.05
    car = cloud["label"] == TREE.id("car")
    assert car.sum() > 200
    np.testing.assert_allclose(cloud.xyz[car & ahead & (cloud.xyz[:, 2] < -0.2), 0], 7.0, atol=0.05)
    assert not (ahead & (cloud["label"] == TREE.id("person")) & (cloud.xyz[:, 2] < -0.5)).any()
    assert set(cloud["instance"][car].tolist()) == {1}


def test_instancing_gives_what_one_merged_mesh_gives() -> None:
    scene = compose(load_recipe("street"), np.random.default_rng((2, 0, 0)))
    rays = SENSORS["spinning"](scene, SensorRow(azimuth_steps=200), np.random.default_rng(0))
    caster = Caster(scene)
    met = caster.surfaces(rays.origin, rays.direction, rays.bundle)
    o3d = open3d()
    merged = o3d.t.geometry.RaycastingScene()
    for p in scene.placements:
        world = p.asset.triangles.reshape(-1, 3) @ p.world_from_asset[:3, :3].T + p.world_from_asset[:3, 3]
        faces = np.arange(len(world), dtype=np.uint32).reshape(-1, 3)
        merged.add_triangles(o3d.core.Tensor.from_numpy(world.astype(np.float32)), o3d.core.Tensor.from_numpy(faces))
    both = np.concatenate([rays.origin, rays.direction], axis=1).astype(np.float32)
    found = merged.cast_rays(o3d.core.Tensor.from_numpy(both))
    distance = found["t_hit"].numpy()
    hit = np.flatnonzero(np.isfinite(distance))
    first = np.flatnonzero(np.diff(met.ray, prepend=-1) > 0)
    both_hit, ours, theirs = np.intersect1d(met.ray[first], hit, return_indices=True)
    assert len(both_hit) > 0.9995 * max(len(first), len(hit))
    assert np.isclose(met.distance[first][ours], distance[hit][theirs], atol=2e-3).mean() > 0.9995
    owner = np.searchsorted(caster.first_face, met.face[first][ours], side="right") - 1
    assert (owner == found["geometry_ids"].numpy().astype(np.int64)[hit][theirs]).mean() > 0.999


def test_all_surfaces_up_to_the_first_opaque_one_are_met_in_order() -> None:
    """Against counting by hand: panes at 5, 6 and 7 m, a wall at 9, a pane behind it; two crossings at a shared edge are one."""
    panes, wall = Builder(), Builder()
    for x in (6.0, 5.0, 7.0, 10.0):
        panes.add(quad((x, -3, -3), (x, 3, -3), (x, 3, 3), (x, -3, 3)), "building", "glass")
    wall.add(quad((9, -1, -3), (9, 3, -3), (9, 3, 3), (9, -1, 3)), "wall_fence", "plaster")
    caster = Caster(scene_of((wall.asset("wall"), (0, 0, 0)), (panes.asset("panes"), (0, 0, 0))))
    direction = np.array([[9.0, 0, 0], [9, -2, 0], [0, 0, 1]])
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    met = caster.surfaces(np.zeros((3, 3)), direction, np.arange(3))
    x = met.distance * direction[met.ray, 0]
    assert met.ray.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    np.testing.assert_allclose(x, [5, 6, 7, 9, 5, 6, 7, 10], rtol=1e-5)
    np.testing.assert_allclose(met.cosine[:4], 1, rtol=1e-5)


def test_noise_has_the_asked_spread_and_dropout_the_asked_share() -> None:
    base = {"kind": "spinning", "beam_bias": 0.0, "lift": (), "height": (1.73, 1.73), "azimuth_steps": 1000, "threshold": 0.0}
    scene = scene_of((plane(), (0, 0, 0)))
    clean = scan(scene, SensorRow(**base, noise=0.0, dropout=0.0), np.random.default_rng(0))
    noisy = scan(scene, SensorRow(**base, noise=0.05, dropout=0.0), np.random.default_rng(0))
    steep = noisy.xyz[:, 2] / np.linalg.norm(noisy.xyz, axis=1)
    error = (noisy.xyz[:, 2] + 1.73) / steep
    assert error.std() == pytest.approx(0.05, rel=0.05)
    thin = scan(scene, SensorRow(**base, noise=0.0, dropout=0.25), np.random.default_rng(0))
    assert len(thin) / len(clean) == pytest.approx(0.75, abs=0.01)


def test_intensity_falls_with_the_cosine_of_incidence() -> None:
    lambert = {"incidence": 1.0, "intensity_range": 0.0, "intensity_noise": 0.0}
    lambert |= {"intensity_floor": 0.0, "intensity_gamma": 1.0, "beam_gain": 0.0, "intensity_power": 0.0}
    lambert |= {"intensity_full": 0.85}
    sensor = SensorRow(kind="spinning", height=(1.73, 1.73), azimuth_steps=360, **CLEAN, **lambert)
    cloud = scan(scene_of((plane(), (0, 0, 0))), sensor, np.random.default_rng(0))
    cosine = 1.73 / np.linalg.norm(cloud.xyz, axis=1)
    expected = MATERIALS["asphalt"].reflectance * cosine / max(m.reflectance for m in MATERIALS.values())
    np.testing.assert_allclose(cloud["intensity"], np.maximum(expected, 0), atol=0.005)


@pytest.mark.parametrize("deskewed", [True, False])
def test_beams_leave_the_scanner_at_their_lift(deskewed: bool) -> None:
    beams = {"elevations": (-10.0, -10.0), "lift": (0.5, 0.0), "azimuths": (), "firing": (), "mounting": 0.0}
    moving = {"deskewed": deskewed, "speed": (10.0, 10.0), "range_min": 1.0}
    sensor = SensorRow(kind="spinning", height=(1.73, 1.73), azimuth_steps=360, **CLEAN | beams | moving)
    cloud = scan(scene_of((plane(), (0, 0, 0))), sensor, np.random.default_rng(0))
    np.testing.assert_allclose(cloud.xyz[:, 2], -1.73, atol=1e-3)
    high, low = (np.linalg.norm(cloud.xyz[cloud["ring"] == ring] - (0, 0, up), axis=1) for ring, up in ((0, 0.5), (1, 0.0)))
    drive = 1.1 if deskewed else 0.01  # a deskewed cloud is that of where the turn began
    np.testing.assert_allclose(high, 2.23 / np.sin(np.radians(10)), atol=drive)
    np.testing.assert_allclose(low, 1.73 / np.sin(np.radians(10)), atol=drive)


def test_what_the_carrier_hides_is_not_seen() -> None:
    """Below -10 degrees from 30 to 90 degrees to the right, of a scanner above an endless plane."""
    about = {**CLEAN, "kind": "spinning", "height": (1.8, 1.8), "azimuth_steps": 360, "mounting": 0.0}
    counts = {}
    for name, hidden in (("all", ()), ("some", ((30.0, 90.0, -10.0),))):
        row = SensorRow(**about, hidden=hidden)  # type: ignore[arg-type]
        seen = scan(scene_of((plane(), (0, 0, 0))), row, np.random.default_rng(0)).xyz
        right = -np.degrees(np.arctan2(seen[:, 1], seen[:, 0]))
        low = seen[:, 2] < -np.tan(np.radians(10.5)) * np.hypot(seen[:, 0], seen[:, 1])
        counts[name] = [int((low & (right > a) & (right < b)).sum()) for a, b in ((32, 88), (-88, -32), (92, 178))]
    assert counts["some"][0] == 0 < counts["all"][0]
    assert counts["some"][1:] == counts["all"][1:]


def test_an_airborne_scan_has_the_asked_density_and_angle() -> None:
    sensor = SensorRow(kind="airborne", height=(800, 800), density=(10, 10), strips=(1, 1), range_min=10, range_max=3000, **CLEAN)
    cloud = scan(scene_of((plane(40.0, "terrain", "grass"), (0, 0, 0))), sensor, np.random.default_rng(3))
    assert len(cloud) / 1600 == pytest.approx(10, rel=0.05)
    assert np.abs(cloud["scan_angle"]).max() <= 20.01
    assert set(cloud["number_of_returns"].tolist()) == {1}
    np.testing.assert_allclose(cloud.xyz[:, 2], 0, atol=1e-2)


@pytest.mark.parametrize(
    ("height", "scan_angle", "overlap", "strips", "flown"),
    [
        (1000, 20, 0.3, 2, 2),
        (1000, 20, 0.7, 3, 3),
        (120, 20, 0.5, 2, 2),
        (60, 40, 0.5, 3, 3),
        (1000, 20, 0.0, 2, 2),
        (1000, 20, 0.3, 9, 2),
    ],
)
def test_neighbouring_strips_overlap_by_the_asked_share(
    height: float, scan_angle: float, overlap: float, strips: int, flown: int
) -> None:
    """Along the line across the first strip through the scene's middle; and each strip sees the scene."""
    asked = {"height": (height, height), "density": (1, 1), "scan_angle": scan_angle, "overlap": overlap}
    sensor = SensorRow(kind="airborne", strips=(strips, strips), **asked)
    width = 2 * height * np.tan(np.radians(scan_angle))
    scene = replace(scene_of((plane(), (0, 0, 0))), extent=np.array([[0.0, 0.0], [80.0, 80.0]]))
    for seed in range(20):
        rays = SENSORS["airborne"](scene, sensor, np.random.default_rng(seed))
        strip = np.floor(rays.time / 600.0).astype(int)
        assert np.bincount(strip).min() > 100
        assert strip.max() == flown - 1
        ends = [rays.origin[strip == k][np.argsort(rays.time[strip == k])[[0, -1]], :2] - 40.0 for k in range(flown)]
        along = (ends[0][1] - ends[0][0]) / np.linalg.norm(ends[0][1] - ends[0][0])
        across = np.array([-along[1], along[0]])
        crossings = []
        for begin, end in ends:
            share = -(begin @ along) / ((end - begin) @ along)
            crossings.append((begin + share * (end - begin)) @ across)
        np.testing.assert_allclose(np.abs(np.diff(crossings)), width * (1 - overlap), rtol=1e-6, atol=1e-6)
        assert (np.diff(np.sign(np.diff(crossings))) == 0).all()


def test_foliage_gives_several_returns_counted_from_one() -> None:
    leaves = Builder()
    for z in (5.0, 6.0, 7.0):
        leaves.add(quad((-25, -25, z), (25, -25, z), (25, 25, z), (-25, 25, z)), "tree", "leaves")
    sensor = SensorRow(kind="airborne", height=(800, 800), density=(20, 20), strips=(1, 1), range_min=10, range_max=3000, **CLEAN)
    scene = scene_of((plane(40.0, "terrain", "grass"), (0, 0, 0)), (leaves.asset("canopy"), (0, 0, 0)))
    cloud = scan(scene, sensor, np.random.default_rng(0))
    assert cloud["number_of_returns"].max() >= 3
    assert (cloud["return_number"] <= cloud["number_of_returns"]).all()
    assert cloud["return_number"].min() == 1
    first = cloud.take(cloud["return_number"] == 1)
    under = (np.abs(first.xyz[:, :2]) < 14).all(axis=1)
    assert (first.xyz[under, 2] > 4.9).mean() > 0.97  # hardly a beam misses three layers
    ground = cloud.take((cloud["label"] == TREE.id("terrain")) & (np.abs(cloud.xyz[:, :2]) < 14).all(axis=1))
    assert len(ground)
    assert (ground["return_number"] >= 2).mean() > 0.95


def test_beams_go_through_glass_with_its_transmission() -> None:
    pane = Builder()
    pane.add(quad((5, -30, -5), (5, 30, -5), (5, 30, 10), (5, -30, 10)), "building", "glass")
    wall = Builder()
    wall.add(quad((9, -60, -9), (9, 60, -9), (9, 60, 20), (9, -60, 20)), "wall_fence", "plaster")
    sensor = SensorRow(kind="spinning", azimuth_steps=2000, **CLEAN)
    cloud = scan(scene_of((pane.asset("pane"), (0, 0, 0)), (wall.asset("wall"), (0, 0, 0))), sensor, np.random.default_rng(0))
    narrow = cloud.take(np.abs(cloud.xyz[:, 1] / cloud.xyz[:, 0]) < 1.0)
    share = (narrow["label"] == TREE.id("wall_fence")).mean()
    assert share == pytest.approx(MATERIALS["glass"].transmission, abs=0.02)


@pytest.mark.parametrize(("name", "change"), [("street", "sensor.azimuth_steps=200"), ("town", "town.size=30.0")])
def test_composed_corpora_are_the_same_for_any_number_of_workers(tmp_path: Path, name: str, change: str) -> None:
    recipe = load_recipe(name, [change])
    compose_corpus(recipe, 2, tmp_path / "one", seed=5)
    compose_corpus(recipe, 2, tmp_path / "two", seed=5, workers=2)
    compose_corpus(recipe, 2, tmp_path / "other", seed=6)
    compose_corpus(recipe, 1, tmp_path / "grown", seed=5)
    compose_corpus(recipe, 1, tmp_path / "grown", seed=5, append=True)
    for path in sorted((tmp_path / "one" / "tiles").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / "tiles" / path.name).read_bytes()
        assert path.read_bytes() == (tmp_path / "grown" / "tiles" / path.name).read_bytes()
        assert path.read_bytes() != (tmp_path / "other" / "tiles" / path.name).read_bytes()
    corpus = Corpus.open(tmp_path / "one")
    assert Corpus.open(tmp_path / "grown").manifest.sources == corpus.manifest.sources
    assert {tile.kind for tile in corpus.tiles} == {"synthetic"}
    assert corpus.manifest.made_by["seed"] == 5
    wanted = {"street": {"road", "building"}, "town": {"building", "terrain"}}[name]
    assert wanted <= set(corpus.counts())


@pytest.mark.parametrize("at", [(0.0, 0.0), (600_000.13, 5_400_000.17)])
def test_a_large_part_in_map_coordinates_keeps_its_millimetres(at: tuple[float, float]) -> None:
    x, y = np.meshgrid(at[0] + np.arange(31.0), at[1] + np.arange(31.0), indexing="ij")
    slope = Builder()
    slope.add(grid(x, y, 0.3 * (y - at[1])), "terrain", "grass")
    scene = Scene((Placement(slope.asset("slope"), np.eye(4), 1),), "x", np.zeros(3), 0.0, np.zeros((2, 2)))
    rng = np.random.default_rng(0)
    origin = np.column_stack([rng.uniform(1, 29, (400, 2)) + at, np.full(400, 50.0)])
    met = Caster(scene).surfaces(origin, np.tile([0.0, 0, -1], (400, 1)), np.zeros(400, np.int64))
    assert met.ray.tolist() == list(range(400))
    np.testing.assert_allclose(50 - met.distance, 0.3 * (origin[:, 1] - at[1]), atol=1e-3)


def test_a_placement_keeps_its_scale() -> None:
    matrix = np.diag([2.0, 2, 2, 1])
    matrix[:3, 3] = (10, 0, -2)
    scene = Scene((Placement(cube("car"), matrix, 1),), "x", np.zeros(3), 0.0, np.zeros((2, 2)))
    met = Caster(scene).surfaces(np.zeros((1, 3)), np.array([[1.0, 0, 0]]), np.zeros(1, np.int64))
    assert met.distance[0] == pytest.approx(8.0, abs=1e-4)
    assert met.cosine[0] == pytest.approx(1.0)


@pytest.mark.parametrize("pattern", ["oscillating", "polygon", "palmer"])
@pytest.mark.parametrize("legs", [(), ((-60.0, 5.0, 300.0, 60.0, 5.0, 300.0),)])
def test_scan_angles_are_negative_to_the_left_as_las_has_them(pattern: str, legs: tuple[tuple[float, ...], ...]) -> None:
    sensor = SensorRow(kind="airborne", pattern=pattern, legs=legs, height=(300, 300), strips=(1, 1), density=(2, 2), pulses=2000)
    scene = replace(scene_of((plane(), (0, 0, 0))), extent=np.array([[-40.0, -40.0], [40.0, 40.0]]))
    rays = SENSORS["airborne"](scene, sensor, np.random.default_rng(1))
    order = np.argsort(rays.time)
    way = rays.origin[order[-1]] - rays.origin[order[0]]
    left = rays.direction[:, :2] @ (-way[1], way[0])
    assert (rays.scan_angle * left <= 0).all()
    assert np.ptp(rays.scan_angle) > 10


def test_the_profiles_of_a_car_have_negative_angles_to_its_left() -> None:
    sensor = SensorRow(kind="mobile", speed=(10, 10), profile=0.0)
    scene = replace(scene_of((plane(), (0, 0, 0))), heading=0.3)
    rays = SENSORS["mobile"](scene, sensor, np.random.default_rng(1))
    left = rays.direction[:, :2] @ (-np.sin(0.3), np.cos(0.3))
    assert (rays.scan_angle * left <= 1e-9).all()
    np.testing.assert_allclose(np.cos(np.radians(rays.scan_angle)), -rays.direction[:, 2], atol=1e-6)


@pytest.mark.parametrize("name", ["mountain", "wood", "room"])
def test_stations_stand_on_the_ground_within_the_scene(name: str) -> None:
    recipe = load_recipe(name, ["sensor.model=VZ-400", "sensor.stations=[3, 3]", "sensor.azimuth_steps=64", "sensor.rows=16"])
    several = 0
    for seed in range(4):
        scene = compose(recipe, np.random.default_rng(seed))
        rays = SENSORS["terrestrial"](scene, recipe.sensor, np.random.default_rng(seed))
        at = np.unique(rays.origin, axis=0)
        several += len(at) > 1
        ground = ground_of(scene)
        assert ground is not None
        assert (at[:, :2] >= ground[..., :2].min(axis=(0, 1))).all()
        assert (at[:, :2] <= ground[..., :2].max(axis=(0, 1))).all()
        low, high = recipe.sensor.height
        for x, y, z in at:
            assert low - 0.05 <= z - height_at(ground, x, y) <= high + 0.05
    assert several >= (0 if name == "room" else 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "mobile", "speed": (10, 10), "rate": 10_000, "azimuth_steps": 50_000, "track": 2000}, "a scan of .* rays"),
        ({"kind": "airborne", "density": (9000, 9000), "height": (100, 100)}, "a scan of .* rays"),
        ({"kind": "airborne", "legs": ((0, 0, 100, 9000, 0, 100),), "pulses": 1e6, "speed": (1, 1)}, "a scan of .* rays"),
    ],
)
def test_scans_of_more_rays_than_anybody_casts_are_refused(change: dict[str, object], message: str) -> None:
    scene = replace(scene_of((plane(), (0, 0, 0))), extent=np.array([[-90.0, -90.0], [90.0, 90.0]]))
    with pytest.raises(RecipeError, match=message):
        scan(scene, SensorRow(**change), np.random.default_rng(0))
