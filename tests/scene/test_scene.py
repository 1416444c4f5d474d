"""Worlds are labelled, seeded and in real sizes; meshes come in upright, or are refused by name."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

from pcaug import catalogue
from pcaug.errors import PcaugError, RecipeError
from pcaug.scene import road, street
from pcaug.scene.asset import MATERIAL_NAMES, Builder, Scene
from pcaug.scene.library import MAKERS, variant
from pcaug.scene.recipe import WORLDS, SceneRecipe, compose, load_recipe
from pcaug.scene.road import Side, World
from pcaug.scene.shapes import box, grid, height_on, loft, tube
from pcaug.sensor.engine import Caster

SIZES = {  # lowest and highest plausible length, width, height in metres
    "car": ((3.7, 5.5), (1.7, 2.4), (1.3, 2.1)),
    "lorry": ((5.9, 12.6), (2.3, 2.6), (2.4, 3.7)), "person": ((0.2, 1.2), (0.2, 0.8), (1.45, 2.0)),
    "tree": ((3, 16), (3, 16), (4, 16)),
    "lamp": ((0.3, 2.2), (0.1, 0.5), (4.4, 9.6)), "sign": ((0.05, 0.4), (0.4, 1.1), (2.1, 3.4)),
    "board": ((0.08, 0.2), (1.0, 3.9), (1.3, 4.5)),
    "bicycle": ((1.5, 2.2), (0.3, 0.8), (0.9, 1.3)), "fence": ((2.4, 2.7), (0.01, 0.4), (0.8, 2.2)),
}  # fmt: skip


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("index", range(3))
def test_objects_are_whole_and_in_real_size(name: str, index: int) -> None:
    asset = variant(name, index)
    assert set(asset.face_label.tolist()) <= set(catalogue.taxonomy().nodes)
    assert asset.face_material.max() < len(MATERIAL_NAMES)
    assert name == "ceiling_lamp" or -0.4 <= asset.bounds[0, 2] <= 0.3
    for extent, (low, high) in zip(np.ptp(asset.bounds, axis=0), SIZES.get(name, ((0, 50),) * 3), strict=True):
        assert low <= extent <= high, name


def test_shapes_have_the_area_of_geometry_books() -> None:
    def area(triangles: np.ndarray) -> float:
        return float(
            np.linalg.norm(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]), axis=1).sum() / 2
        )

    assert area(box((0, 0, 0), (1, 2, 3))) == pytest.approx(22)
    assert area(tube((0, 0, 0), (0, 0, 2), 1.0, sides=400)) == pytest.approx(6 * np.pi, rel=1e-3)
    square = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    assert area(loft(np.stack([square, square + (0, 0, 1)]))) == pytest.approx(6)
    x, y = np.meshgrid([0.0, 1, 2], [0.0, 1], indexing="ij")
    assert area(grid(x, y, np.zeros_like(x))) == pytest.approx(2)


def test_heights_are_those_of_the_triangles() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(0, 1, (6, 6))
    x, y = np.meshgrid(np.arange(6.0), np.arange(6.0), indexing="ij")
    triangles = grid(x, y, z)
    on = np.einsum("tk,tkc->tc", rng.dirichlet(np.ones(3), len(triangles)), triangles)
    np.testing.assert_allclose(height_on(z, on[:, :2]), on[:, 2], atol=1e-9)
    np.testing.assert_allclose(height_on(z, np.array([[-3.0, 7.0]])), z[0, 5])


@pytest.mark.parametrize("name", WORLDS[:4])
def test_the_same_seed_gives_the_same_world(name: str) -> None:
    recipe = load_recipe(name)
    one, two, other = (compose(recipe, np.random.default_rng((seed, 0, 0))) for seed in (3, 3, 4))
    assert len(one.placements) == len(two.placements)
    for a, b in zip(one.placements, two.placements, strict=True):
        np.testing.assert_array_equal(a.world_from_asset, b.world_from_asset)
        np.testing.assert_array_equal(a.asset.triangles, b.asset.triangles)
    assert not np.array_equal(one.placements[0].asset.triangles[:50], other.placements[0].asset.triangles[:50])


def test_kerbs_raise_the_pavement_above_the_road() -> None:
    changes = [
        "street.kerb=[0.12, 0.12]",
        "street.kinds={urban=1.0}",
        "street.junction=0.0",
        "street.crossroads=0.0",
        "street.slope=[0.0, 0.0]",
    ]
    scene = compose(load_recipe("street", [*changes, "street.roughness=[0.0, 0.0]", "street.bend=0.0"]), np.random.default_rng(1))
    ground, tree = scene.placements[0].asset, catalogue.taxonomy()
    middle = ground.triangles.mean(axis=1)
    near = np.abs(middle[:, 0]) < 30
    road = middle[(ground.face_label == tree.id("road")) & near]
    edge = np.abs(road[:, 1]).max()
    walk = middle[(ground.face_label == tree.id("sidewalk")) & near]
    beside = walk[(np.abs(walk[:, 1]) > edge + 0.3) & (np.abs(walk[:, 1]) < edge + 1.2)]
    gutter = road[np.abs(road[:, 1]) > edge - 0.8]
    assert np.median(beside[:, 2]) - np.median(gutter[:, 2]) == pytest.approx(0.12, abs=0.05)


def world(name: str, *changes: str, seed: int = 0) -> Scene:
    return compose(load_recipe(name, changes), np.random.default_rng(seed))


def points_of(scene: Scene, label: str) -> np.ndarray:
    """Middles (N, 3) of the faces of a class, in the scene."""
    node, found = catalogue.taxonomy().id(label), []
    for p in scene.placements:
        middle = p.asset.triangles[p.asset.face_label == node].mean(axis=1)
        found.append(middle @ p.world_from_asset[:3, :3].T + p.world_from_asset[:3, 3])
    return np.concatenate(found)


def test_a_crossing_is_painted_on_the_road_and_its_kerb_lowered() -> None:
    urban = ["street.kinds={urban=1.0}", "street.junction=0.0", "street.crossroads=0.0", "street.markings=0.0", "street.bend=0.0"]
    urban += ["street.kerb=[0.14, 0.14]", "street.slope=[0.0, 0.0]"]
    painted, walk = MATERIAL_NAMES.index("marking"), catalogue.taxonomy().id("sidewalk")
    plain = world("street", *urban, "street.crossing=0.0").placements[0].asset
    assert not (plain.face_material == painted).any()
    ground = world("street", *urban, "street.crossing=1.0").placements[0].asset
    stripes = ground.triangles[ground.face_material == painted].mean(axis=1)
    assert len(stripes) > 20
    assert set(ground.face_label[ground.face_material == painted].tolist()) == {catalogue.taxonomy().id("road")}
    a, b, c = np.moveaxis(ground.triangles, 1, 0)
    kerb = (np.abs(np.cross(b - a, c - a)[:, 2]) < 1e-9) & (ground.face_label == walk)  # vertical faces of the pavement
    rise, x = np.ptp(ground.triangles[kerb][:, :, 2], axis=1), ground.triangles[kerb][:, :, 0].mean(axis=1)
    away = np.abs(x[:, None] - stripes[None, :, 0]).min(axis=1)
    assert np.percentile(rise[away < 0.3], 90) < 0.08
    assert np.median(rise[away > 4]) == pytest.approx(0.14, abs=0.02)


def test_nothing_grows_or_stands_in_a_house(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trunks, shrubs and posts; crowns may reach over a roof."""
    worlds: list[World] = []
    begin = World.__init__
    monkeypatch.setattr(World, "__init__", lambda self, *given: (begin(self, *given), worlds.append(self))[0])
    for seed in range(12):
        compose(load_recipe("street", ["street.bend=0.0", "street.trees=[8.0, 10.0]"]), np.random.default_rng(seed))
    assert sum(len(world.houses) for world in worlds) > 50
    for world in worlds:
        for placement in world.placements:
            x, y, _ = placement.world_from_asset[:3, 3]
            for sign, low, high, front, back in world.houses:
                assert not (low < x < high and front < y * sign < back), placement.asset.name


def test_the_foot_of_a_house_is_nowhere_in_the_air(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds: list[World] = []
    begin = World.__init__
    monkeypatch.setattr(World, "__init__", lambda self, *given: (begin(self, *given), worlds.append(self))[0])
    for seed in range(6):
        scene = compose(load_recipe("street", ["street.bend=0.0", "street.kinds={suburban=1.0}"]), np.random.default_rng(seed))
        walls = points_of(scene, "building")
        for sign, low, high, front, back in worlds[-1].houses:
            inside = (walls[:, 0] > low - 0.1) & (walls[:, 0] < high + 0.1)
            inside &= (walls[:, 1] * sign > front - 0.1) & (walls[:, 1] * sign < back + 0.1)
            edge = np.array(worlds[-1].base(np.array(low), np.array(back * sign), np.array(5.0)))
            assert walls[inside, 2].min() < edge + 0.3  # kerbs and the road's edge are not known here


def test_no_car_drives_in_another() -> None:
    tree, many = catalogue.taxonomy(), ["street.bend=0.0", "street.moving=[6.0, 9.0]", "street.parked=[0.0, 0.0]"]
    driven = 0
    for seed in range(12):
        found = []
        for p in world("street", *many, seed=seed).placements[1:]:
            if np.isin(p.asset.face_label, [tree.id("car"), tree.id("heavy_vehicle")]).any():
                corners = p.standing().reshape(-1, 3)[:, :2]
                found.append((corners.min(axis=0) + 0.1, corners.max(axis=0) - 0.1))
        driven += len(found)
        for (low, high), (lower, higher) in combinations(found, 2):
            assert not ((low < higher).all() and (lower < high).all())
    assert driven > 60


def test_nothing_stands_on_the_shoulder_of_a_motorway(monkeypatch: pytest.MonkeyPatch) -> None:
    sides: list[Side] = []
    made = road.side_of

    def noted(*given: Any) -> Side:
        sides.append(made(*given))
        return sides[-1]

    monkeypatch.setattr(street, "side_of", noted)
    for seed in range(8):
        compose(load_recipe("street", ["street.kinds={motorway=1.0}"]), np.random.default_rng(seed))
    assert all(side.walk[0] >= side.road_edge for side in sides)


def test_houses_of_a_narrow_street_stand_beside_the_scanner() -> None:
    """Nearer than in any other kind of street: there a facade is cut off by the scanner's field of view."""
    recipe = ["street.junction=0.0", "street.crossroads=0.0", "street.parking=0.0", "street.bend=0.0"]
    near = {}
    for kind in ("narrow", "urban"):
        distances = []
        for seed in range(8):
            scene = compose(load_recipe("street", [*recipe, f"street.kinds={{{kind}=1.0}}"]), np.random.default_rng(seed))
            walls = points_of(scene, "building")
            beside = walls[np.abs(walls[:, 0] - scene.viewpoint[0]) < 10]
            distances.append(np.abs(beside[:, 1] - scene.viewpoint[1]).min())
        near[kind] = float(np.median(distances))
    assert near["narrow"] < 5 < near["urban"]


def test_wires_hang_between_poles_of_one_kind() -> None:
    scene = world("street", "street.kinds={suburban=1.0}", "street.wires=1.0", "street.lamps=[0.0, 0.0]")
    wires = points_of(scene, "wire")
    tops = [p.asset.bounds[1, 2] + p.world_from_asset[2, 3] for p in scene.placements if p.asset.name == "utility pole"]
    assert len(tops) >= 6
    assert wires[:, 2].max() < max(tops)
    assert wires[:, 2].min() > min(tops) - 6


def test_a_brook_is_wet_low_and_bridged() -> None:
    scene = world("town", "town.water=1.0", "town.relief=[0.0, 0.0]")
    water, terrain, deck = (points_of(scene, name) for name in ("water", "terrain", "bridge"))
    beside = terrain[(np.abs(terrain[:, 0] - np.median(water[:, 0])) > 20)]
    assert np.median(water[:, 2]) < np.median(beside[:, 2]) - 0.3
    assert deck[:, 2].max() > water[:, 2].max()
    assert not len(points_of(world("town", "town.water=0.0"), "water"))


def test_a_power_line_spans_the_town() -> None:
    scene = world("town", "town.power_line=1.0")
    wires = points_of(scene, "wire")
    assert wires[:, 2].min() > 5
    assert np.ptp(wires[:, :2], axis=0).max() > 100


@given(st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_all_that_a_room_holds_is_within_its_walls_and_the_scanner_stands_free(seed: int) -> None:
    scene = world("room", seed=seed)
    size = scene.extent[1]
    assert {"floor", "ceiling", "interior_wall", "opening"} <= {
        catalogue.taxonomy().label_name(int(v)) for v in np.unique(scene.placements[0].asset.face_label)
    }
    for p in scene.placements[1:]:
        corners = p.asset.triangles.reshape(-1, 3) @ p.world_from_asset[:3, :3].T + p.world_from_asset[:3, 3]
        assert corners.min() >= -0.05, p.asset.name
        assert (corners[:, :2] <= size + 0.05).all(), p.asset.name
        low, high = corners[:, :2].min(axis=0), corners[:, :2].max(axis=0)
        inside = (scene.viewpoint[:2] > low).all() and (scene.viewpoint[:2] < high).all()
        assert p.asset.name == "ceiling lamp" or not inside, p.asset.name


def test_trees_of_a_wood_stand_apart_on_the_ground_off_the_track() -> None:
    scene = world("wood", "wood.spacing=[2.5, 2.5]", "wood.trees=[700.0, 700.0]", "wood.track=1.0", "wood.conifers=[0.5, 0.5]")
    trees = [p for p in scene.placements if p.asset.name in ("broadleaf", "spruce")]
    feet = np.array([p.world_from_asset[:3, 3] for p in trees])
    assert {p.asset.name for p in trees} == {"broadleaf", "spruce"}
    assert pdist(feet[:, :2]).min() > 2.5
    ground = scene.placements[0].asset
    middle = ground.triangles.mean(axis=1)
    distance, near = cKDTree(middle[:, :2]).query(feet[:, :2])
    assert distance.max() < 0.6
    assert np.abs(middle[near, 2] - feet[:, 2]).max() < 0.7
    gravel = ground.face_material == MATERIAL_NAMES.index("gravel")
    assert gravel.any()
    assert not gravel[near].all()
    heights = [np.ptp(p.asset.bounds[:, 2]) * np.linalg.norm(p.world_from_asset[:3, 0]) for p in trees]
    assert 7 < min(heights) < max(heights) < 32
    few = world("wood", "wood.trees=[100.0, 100.0]").placements
    assert 3 * sum(p.asset.name in ("broadleaf", "spruce") for p in few) < len(trees)


@pytest.mark.parametrize("name", ["wood", "mountain"])
def test_things_stand_on_the_faces_of_the_slope(name: str) -> None:
    """Against a ray straight down on the ground."""
    for seed in range(3):
        scene = world(name, seed=seed)
        feet = np.array([p.world_from_asset[:3, 3] for p in scene.placements[1:]])
        sky = feet * (1, 1, 0) + (0, 0, 200)
        caster = Caster(replace(scene, placements=scene.placements[:1]))
        met = caster.surfaces(sky, np.tile([0.0, 0, -1], (len(sky), 1)), np.arange(len(sky)))
        dry = np.isin(met.face, np.flatnonzero(scene.placements[0].asset.face_label == catalogue.taxonomy().id("terrain")))
        assert dry.sum() > 100
        np.testing.assert_allclose(200 - met.distance[dry], feet[met.ray[dry], 2], atol=2e-3)


def test_a_mountain_side_breaks_off_in_faces_and_nothing_grows_on_rock_or_in_the_water() -> None:
    shape = ("wood.slope=[0.6, 0.6]", "wood.relief=[1.0, 1.0]", "wood.rock=[0.3, 0.3]", "wood.water=1.0", "wood.track=0.0")
    scene = world("mountain", *shape, "wood.faces=[8.0, 8.0]", "wood.roughness=[0.0, 0.0]", "wood.ledges=[0.0, 0.0]")
    static, nodes = scene.placements[0].asset, catalogue.taxonomy()
    wet = static.face_label == nodes.id("water")
    level = static.triangles[wet][..., 2]
    assert wet.sum() == 2
    assert np.ptp(level) == 0
    ground = static.triangles[~wet]
    assert 0.05 < (ground[..., 2].max(axis=1) < level.min()).mean() < 0.6
    normal = np.cross(ground[:, 1] - ground[:, 0], ground[:, 2] - ground[:, 0])
    fall = np.linalg.norm(normal[:, :2], axis=1) / normal[:, 2]
    assert np.percentile(fall, 40) < 0.45 < 1.2 < np.percentile(fall, 90)  # ledges and faces, of a slope of 0.6
    smooth = world("mountain", *shape, "wood.faces=[0.0, 0.0]", "wood.roughness=[0.0, 0.0]", "wood.ledges=[0.0, 0.0]")
    corners = smooth.placements[0].asset.triangles[..., 2]
    assert abs(np.ptp(corners) / np.ptp(ground[..., 2]) - 1) < 0.3  # as high as without faces
    plants = np.array([p.world_from_asset[:3, 3] for p in scene.placements[1:] if p.asset.name not in ("stone", "log")])
    assert len(plants) > 20
    assert plants[:, 2].min() > level.min()
    middle = ground.mean(axis=1)
    _, near = cKDTree(middle[:, :2]).query(plants[:, :2])
    soil = static.face_material[~wet] == MATERIAL_NAMES.index("soil")
    assert soil.mean() < 0.8
    assert soil[near].mean() > 0.9


def test_a_builder_without_triangles_is_refused() -> None:
    with pytest.raises(PcaugError, match="mesh without faces, nothing"):
        Builder().asset("nothing")


def test_a_misspelt_recipe_says_which_key(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('name = "x"\n[street]\nlanes = [3.0, 3.5]\n')
    with pytest.raises(RecipeError, match=r"unknown key 'street.lanes' \(did you mean 'lane'\?\)"):
        load_recipe(tmp_path / "r.toml")
    (tmp_path / "r.toml").write_text('name = "x"\n')
    with pytest.raises(RecipeError, match=r"needs one world: \[street\], \[town\], \[wood\], \[room\] or \[helios\]"):
        load_recipe(tmp_path / "r.toml")
    assert isinstance(load_recipe("town"), SceneRecipe)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("street.kinds={narow=1.0}", "street.kinds.narow"),
        ("street.kinds={narrow=0.0}", "one of them above 0"),
        ("street.kinds={narrow=1.0, urban=-1.0}", "weights of 0 or more"),
        ("street.lane=[5.0, 2.0]", r"lane: .*must be \[lowest, highest\]"),
        ("street.lane=[0.0, 1e12]", "lengths from 0 to 200 m"),
        ("street.slope=[nan, nan]", "finite"),
        ("street.trees=[-3.0, -1.0]", "from 0 to 10000"),
        ("street.length=inf", "street.length"),
        ("street.parking=2.0", "must be at most 1"),
        ("street.bend=-1.0", "street.bend"),
        ("surfaces.grain=0.0", "surfaces.grain"),
        ("sensor.noise=1e12", "sensor.noise"),
        ("sensor.azimuth_steps=1000000000", "a scan of 64,000,000,000 rays"),
        ("sensor.stations=[0, 0]", "must be 1 or more"),
        ("sensor.model=64", "sensor.model"),
        ("sensor.kind=mobile", "the model HDL-64E is spinning, not mobile: take one that is, --set sensor.model=mobile"),
        ("sensor.kind=solid", "the model HDL-64E is spinning, not solid: take one that is, --set sensor.model=solid-state"),
        ("sensor={kind='mobile', speed=[0.0, 0.0]}", "a mobile scanner needs a speed"),
        ("sensor.height=[-1.0, -1.0]", "height: must be 0 or more"),
        ("assets=[{path='a', kind='car', count=[1, 2]}]", "count of meshes with a kind would do nothing"),
        ("assets=[{path='a', kind='car', distance=[1.0, 2.0]}]", "distance of meshes with a kind would do nothing"),
        ("assets=[{path='a', share=0.5}]", "share of meshes without a kind would do nothing"),
        ("into.kinds={car=1e308, lorry=1e308}", "needs weights"),
        ("sensor.strips=[5, 2]", r"must be \[lowest, highest\]"),
    ],
)
def test_values_that_no_scene_can_be_made_of_are_refused_by_name(change: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("street", [change])


@pytest.mark.parametrize(
    ("world", "change"),
    [("town", "town.plot=[0.0, 0.0]"), ("wood", "wood.rock=[0.0, 2.0]"), ("wood", "wood.tree_height=[0.0, 0.0]"),
     ("room", "room.edge=[0.0, 0.0]"), ("room", "room.height=[0.5, 0.5]"), ("town", "sensor.density=[0.0, 0.0]")],
)  # fmt: skip
def test_other_worlds_refuse_what_they_cannot_be_made_of(world: str, change: str) -> None:
    with pytest.raises(RecipeError, match="must be"):
        load_recipe(world, [change])
