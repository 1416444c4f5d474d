"""Worlds are labelled, seeded and in real sizes; meshes come in upright, or are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pcaug import catalogue
from pcaug.errors import PcaugError, RecipeError
from pcaug.scene.asset import MATERIAL_NAMES, Builder
from pcaug.scene.library import MAKERS, variant
from pcaug.scene.recipe import WORLDS, SceneRecipe, compose, load_recipe
from pcaug.scene.shapes import box, grid, loft, tube

SIZES = {  # lowest and highest plausible length, width, height in metres
    "car": ((3.7, 5.5), (1.7, 2.4), (1.3, 2.1)),
    "lorry": ((5.9, 12.6), (2.3, 2.6), (2.4, 3.7)), "person": ((0.2, 1.2), (0.2, 0.8), (1.45, 2.0)),
    "tree": ((3, 16), (3, 16), (4, 16)),
    "lamp": ((0.3, 2.2), (0.1, 0.5), (4.4, 9.6)), "sign": ((0.05, 0.4), (0.4, 1.0), (2.2, 3.4)),
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


@pytest.mark.parametrize("name", WORLDS)
def test_the_same_seed_gives_the_same_world(name: str) -> None:
    recipe = load_recipe(name)
    one, two, other = (compose(recipe, np.random.default_rng((seed, 0, 0))) for seed in (3, 3, 4))
    assert len(one.placements) == len(two.placements)
    for a, b in zip(one.placements, two.placements, strict=True):
        np.testing.assert_array_equal(a.world_from_asset, b.world_from_asset)
        np.testing.assert_array_equal(a.asset.triangles, b.asset.triangles)
    assert not np.array_equal(one.placements[0].asset.triangles[:50], other.placements[0].asset.triangles[:50])


def test_kerbs_raise_the_pavement_above_the_road() -> None:
    changes = ["street.kerb=[0.12, 0.12]", "street.kinds={urban=1.0}", "street.junction=0.0", "street.slope=[0.0, 0.0]"]
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


def test_a_builder_without_triangles_is_refused() -> None:
    with pytest.raises(PcaugError, match="mesh without faces, nothing"):
        Builder().asset("nothing")


def test_a_misspelt_recipe_says_which_key(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('name = "x"\n[street]\nlanes = [3.0, 3.5]\n')
    with pytest.raises(RecipeError, match=r"unknown key 'street.lanes' \(did you mean 'lane'\?\)"):
        load_recipe(tmp_path / "r.toml")
    (tmp_path / "r.toml").write_text('name = "x"\n')
    with pytest.raises(RecipeError, match=r"needs one world: \[street\], \[town\], \[wood\] or \[room\]"):
        load_recipe(tmp_path / "r.toml")
    assert isinstance(load_recipe("town"), SceneRecipe)
