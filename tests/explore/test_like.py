"""Fitting a recipe to clouds whose own recipe is known."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from builders import run

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import RecipeError
from pcaug.explore.like import RARE, _changes, fit_recipe, mismatch, separable_nodes, with_amounts, with_scanner
from pcaug.explore.profile import profile
from pcaug.scene.recipe import SceneRecipe, Transfer, load_recipe, save_recipe
from pcaug.sensor.compose import compose_corpus, compose_one
from pcaug.sensor.transfer import transferred

COARSE = "sensor.azimuth_steps=400"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> tuple[SceneRecipe, Corpus]:
    """Streets that differ from the default: full of cars, a higher scanner, more noise."""
    changes = [COARSE, "street.parked=[9.0, 18.0]", "street.parking=1.0", "sensor.height=[2.2, 2.3]", "surfaces.relief=6.0"]
    recipe = load_recipe("street", changes)
    folder = tmp_path_factory.mktemp("like") / "real"
    compose_corpus(recipe, 6, folder, seed=9)
    return recipe, Corpus.open(folder)


def test_a_fit_finds_scanner_and_amounts(
    other: tuple[SceneRecipe, Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pcaug.explore.like.ROUNDS", 2)
    recipe, real = other
    found = fit_recipe(load_recipe("street", [COARSE]), real, seed=2)
    assert found.recipe.sensor.azimuth_steps == pytest.approx(400, abs=8)
    assert found.recipe.sensor.height == pytest.approx(recipe.sensor.height, abs=0.08)
    assert found.recipe.street is not None
    assert found.recipe.street.parked[1] > 7.0  # the default's
    assert found.after < found.before
    assert found.recipe.surfaces.relief > 1.2
    save_recipe(found.recipe, tmp_path / "fitted.toml")
    assert load_recipe(tmp_path / "fitted.toml").model_copy(update={"folder": found.recipe.folder}) == found.recipe
    assert len(compose_one(found.recipe, 0, 0)) > 1000
    again = fit_recipe(load_recipe("street", [COARSE]), real, seed=2)
    assert again.recipe == found.recipe


def test_the_gain_is_measured_on_scenes_that_were_not_fitted_to(
    other: tuple[SceneRecipe, Corpus], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pcaug.explore.like.ROUNDS", 1)
    monkeypatch.setattr("pcaug.explore.like.SCENES", 2)
    seeds: list[tuple[SceneRecipe, int]] = []

    def noted(recipe: SceneRecipe, seed: int, index: int) -> PointCloud:
        seeds.append((recipe, seed))
        return compose_one(recipe, seed, index)

    monkeypatch.setattr("pcaug.explore.like.compose_one", noted)
    start, (_, real) = load_recipe("street", [COARSE]), other
    found = fit_recipe(start, real, seed=4)
    assert [seed for _, seed in seeds] == [4] * 4 + [5] * 4
    for (recipe, _), whole in zip(seeds[4::2], (start, found.recipe), strict=True):
        sensor = whole.sensor.model_copy(update={"azimuth_steps": whole.sensor.columns // 4})
        assert recipe == whole.model_copy(update={"sensor": sensor})


def test_amounts_of_a_single_place_are_not_taken(other: tuple[SceneRecipe, Corpus], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcaug.explore.like.ROUNDS", 1)
    _, real = other
    start = load_recipe("street", [COARSE])
    found = fit_recipe(start, real.only(units=real.units[:1]), seed=1)
    assert found.recipe.street == start.street
    assert found.recipe.sensor.height == pytest.approx((2.2, 2.3), abs=0.15)
    assert found.changes[-1] == "object amounts not fitted: one drive or site only"
    assert "not fitted" not in " ".join(fit_recipe(start, real, seed=1).changes)


def test_the_command_says_what_was_fitted_and_by_what_factor_shares_are_off(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pcaug.explore.like.ROUNDS", 0)
    monkeypatch.setattr("pcaug.explore.like.SCENES", 1)
    compose_corpus(load_recipe("street", [COARSE, "sensor.height=[2.2, 2.3]"]), 1, tmp_path / "one", seed=3)
    words = ("compose", "street", "-n", 1, "-o", tmp_path / "made", "--set", COARSE, "--like", tmp_path / "one")
    _, err = run(capsys, *words)
    assert "like: object amounts not fitted: one drive or site only" in err
    assert re.search(r"like: class shares off by a factor of \d\.\d before, \d\.\d after", err)


def test_what_is_rare_in_the_real_clouds_is_never_made_rarer() -> None:
    full = [COARSE, "street.parked=[20.0, 40.0]", "street.moving=[0.0, 0.0]"]
    start, more = load_recipe("street", full), load_recipe("street", [*full, "street.people=[0.0, 2.6]"])
    bare = load_recipe("street", [COARSE, "street.people=[0.0, 0.0]", "street.parking=1.0"])
    made, real = (profile((compose_one(recipe, 2, i) for i in range(3)), "sensor") for recipe in (start, bare))
    assert "person" in made.classes
    assert "person" not in real.classes
    assert real.classes["car"].share > RARE
    nodes = {catalogue.taxonomy().id(name) for name in ("person", "car")}
    first = start.street
    for recipe in (start, more):  # what an earlier round added is taken back, no more
        found = with_amounts(recipe, real, made, nodes, start).street
        assert first is not None
        assert found is not None
        assert found.people == first.people
        assert found.moving == (0.0, 0.0)  # none stays none
        assert found.parked[1] < first.parked[1]


def test_intensities_take_the_real_quantiles() -> None:
    cloud = compose_one(load_recipe("street", [COARSE]), 3, 0)
    mine = cloud["label"] == catalogue.taxonomy().id("road")
    levels = np.quantile(cloud["intensity"][mine], (0.05, 0.25, 0.5, 0.75, 0.95))
    real = (0.1, 0.2, 0.3, 0.5, 0.6)
    moved = transferred(cloud, {"road": Transfer(ranges=(0.0,), composed=(tuple(levels.tolist()),), real=(real,))})
    np.testing.assert_allclose(np.quantile(moved["intensity"][mine], (0.05, 0.25, 0.5, 0.75, 0.95)), real, atol=0.01)
    np.testing.assert_array_equal(moved["intensity"][~mine], cloud["intensity"][~mine])


def test_a_fitted_recipe_can_be_fitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its transfer is of no use to the new one, which maps what the simulation gives."""
    monkeypatch.setattr("pcaug.explore.like.ROUNDS", 0)
    monkeypatch.setattr("pcaug.explore.like.SCENES", 2)
    start = load_recipe("street", [COARSE])
    with CorpusWriter(tmp_path / "real", frame="sensor") as writer:
        for index in range(2):
            cloud = compose_one(start, 50, index)
            writer.add(cloud.with_fields(intensity=(cloud["intensity"] * 200 + 20).astype(np.float32)), f"s{index}", f"d{index}")
    real = Corpus.open(tmp_path / "real")
    once = fit_recipe(start, real).recipe
    save_recipe(once, tmp_path / "once.toml")
    twice = fit_recipe(load_recipe(tmp_path / "once.toml"), real).recipe
    levels = [25, 50, 75, 95]  # below, scenes differ by their share of black echoes
    wanted = np.percentile(np.concatenate([cloud["intensity"] for cloud in real.clouds()]), levels)
    found = []
    for recipe in (once, twice):
        values = np.concatenate([compose_one(recipe, 50, index)["intensity"] for index in range(8)])  # one scene differs by 0.4
        found.append(np.percentile(values, levels))
        np.testing.assert_allclose(found[-1], wanted, rtol=0.2)
    np.testing.assert_allclose(found[1], found[0], rtol=0.02)


@pytest.mark.parametrize("strips", [1, 2, 3])
def test_a_survey_in_strips_is_composed_as_dense_as_it_is(strips: int) -> None:
    plain = ["town.size=40.0", "sensor.density=[10.0, 10.0]", "sensor.height=[1000.0, 1000.0]", "sensor.overlap=0.9"]
    town = load_recipe("town", [*plain, f"sensor.strips=[{strips}, {strips}]"])
    real = profile((compose_one(town, 5, i) for i in range(2)), "map")
    assert real.airborne is not None
    assert real.airborne.density == pytest.approx(10 * strips, rel=0.1)
    fitted = with_scanner(load_recipe("town", plain), real)
    assert fitted.sensor.strips == (strips, strips)
    made = profile((compose_one(fitted, 6, i) for i in range(2)), "map")
    assert made.airborne is not None
    assert made.airborne.density == pytest.approx(10 * strips, rel=0.25)


def test_beyond_what_is_known_black_stays_black_and_bright_grows() -> None:
    tree = catalogue.taxonomy()
    xyz = np.array([[3.0, 0, 0], [3, 0, 0], [10, 0, 0], [10, 0, 0], [10, 0, 0]])
    fields = {"label": np.full(5, tree.id("road"), np.uint16), "intensity": np.array([0, 0.2, 0, 0.1, 0.8], np.float32)}
    rows = ((0.2, 0.4), (0.2, 0.4))
    known = Transfer(ranges=(8.0, 12.0), composed=rows, real=((0.1, 0.3), (0.1, 0.3)))
    moved = transferred(PointCloud(xyz, fields, tree), {"road": known})
    np.testing.assert_allclose(moved["intensity"], [0, 0.1, 0, 0.05, 0.6], atol=1e-6)
    black = known.model_copy(update={"composed": ((0.0, 0.4), (0.0, 0.4))})
    moved = transferred(PointCloud(xyz, fields, tree), {"road": black})
    np.testing.assert_allclose(moved["intensity"][[0, 2]], [0, 0.1], atol=1e-6)


@pytest.mark.parametrize("beams", [32, 64, 100])
def test_beams_of_another_number_take_the_focus_of_those_nearest_to_them(beams: int, tmp_path: Path) -> None:
    recipe = load_recipe("street", [COARSE])
    angles = tuple(np.linspace(2, -24, beams).tolist())
    bare = {"azimuths": (), "firing": (), "lift": (), "intensity_near": (), "elevations": angles}
    seen = compose_one(recipe.model_copy(update={"sensor": recipe.sensor.model_copy(update=bare)}), 3, 0)
    found = with_scanner(recipe, profile([seen], "sensor"))
    near = found.sensor.intensity_near
    assert isinstance(near, tuple)
    assert len(near) == len(found.sensor.elevations) > 0.9 * beams
    for angle, focus in zip(found.sensor.elevations, near, strict=True):
        assert focus == (4.2 if angle < -9 else pytest.approx(7, abs=5.6))
    save_recipe(found, tmp_path / "fitted.toml")
    assert load_recipe(tmp_path / "fitted.toml").sensor == found.sensor


@pytest.mark.parametrize(("model", "same"), [("HDL-64E", True), ("Pandar64", False), ("VLP-16", False)])
def test_another_scanner_stands_on_another_car(model: str, same: bool) -> None:
    street = load_recipe("street", [COARSE])
    seen = compose_one(load_recipe("street", [f"sensor.model={model}", COARSE]), 3, 0)
    found = with_scanner(street, profile([seen], "sensor"))
    assert street.sensor.hidden
    assert found.sensor.hidden == (street.sensor.hidden if same else ())


def test_what_becomes_empty_is_told_as_none() -> None:
    before = load_recipe("street")
    new = {"model": "", "elevations": ()}
    after = before.model_copy(update={"sensor": before.sensor.model_copy(update=new)})
    assert _changes(before, after) == ["sensor.model: HDL-64E -> none", "sensor.elevations: 64 values -> none"]


def test_what_is_mostly_left_unsplit_is_not_told_apart() -> None:
    cloud = compose_one(load_recipe("street", [COARSE]), 3, 0)
    tree = catalogue.taxonomy()
    plants = [tree.id(name) for name in ("tree", "low_vegetation")]
    label = cloud["label"].copy()
    assert set(plants) <= separable_nodes(profile([cloud], "sensor"))
    label[np.isin(label, plants) & (np.arange(len(label)) % 10 > 0)] = tree.id("vegetation")
    found = separable_nodes(profile([cloud.with_fields(label=label)], "sensor"))
    assert tree.id("vegetation") in found
    assert not set(plants) & found


def test_clouds_of_one_recipe_hardly_mismatch() -> None:
    recipe = load_recipe("street", [COARSE])
    a, b = (profile((compose_one(recipe, seed, i) for i in range(8)), "sensor") for seed in (1, 2))
    nodes = {catalogue.taxonomy().id(name) for name in ("road", "building", "terrain", "vegetation")}
    assert mismatch(a, b, nodes) < 0.5
    assert mismatch(a, a, nodes) == 0


def test_a_map_is_not_fitted_by_a_street(tmp_path: Path) -> None:
    compose_corpus(load_recipe("town", ["town.size=30.0"]), 1, tmp_path / "t", seed=0)
    with pytest.raises(RecipeError, match=r"the scanner of 'street' is spinning, the real clouds are a map, .*start from"):
        fit_recipe(load_recipe("street"), Corpus.open(tmp_path / "t"))
