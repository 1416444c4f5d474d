"""Strict decoding: every mistake is named, overrides are typed, names are found in wheel and checkout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
from pydantic import Field

from pcaug import catalogue
from pcaug.catalogue import Strict
from pcaug.errors import NotFound, RecipeError
from pcaug.labels import ClassSet
from pcaug.segment.recipe import TrainRecipe


class Beam(Strict):
    count: int = 64
    divergence: float = 0.003


class Recipe(Strict):
    name: str
    steps: int = 100
    shares: tuple[float, ...] = ()
    beam: Beam = Beam()


class Listed(Strict):
    budgets: tuple[Annotated[int, Field(ge=0)], ...] = Field(min_length=1)


def test_wrong_items_of_a_list_are_not_missing_ones() -> None:
    with pytest.raises(RecipeError) as caught:
        Listed(budgets=(-1,))
    assert "budgets.0: must be at least 0" in str(caught.value)
    assert "item" not in str(caught.value)
    with pytest.raises(RecipeError, match="budgets: must have at least 1 item"):
        Listed(budgets=())


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "r.toml"
    path.write_text(text)
    return path


def test_all_mistakes_are_reported_with_their_keys(tmp_path: Path) -> None:
    path = write(tmp_path, 'nam = "x"\nsteps = 1.5\n[beam]\ndivergance = 1\n')
    with pytest.raises(RecipeError) as caught:
        catalogue.load(path, Recipe)
    text = str(caught.value)
    assert "unknown key 'nam' (did you mean 'name'?)" in text
    assert "unknown key 'beam.divergance' (did you mean 'divergence'?)" in text
    assert "steps" in text
    assert "name: is missing" in text
    assert str(path) in text
    assert "\n" not in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("cuont = 1", r"unknown key 'cuont', "),  # near to a key of another table
        ("count = 1", r"unknown key 'count' \(did you mean 'beam\.count'\?\)"),
        ("steps = true", "steps: must be a whole number,"),
        ("shares = 1", "shares: must be a list,"),
        ("beam = 1", "beam: must be a table,"),
        ("beam = {divergence = 'a'}", "beam.divergence: must be a number,"),
    ],
)
def test_mistakes_are_told_in_plain_words_of_their_own_table(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(RecipeError, match=told):
        catalogue.load(write(tmp_path, f'name = "x"\n{text}\n'), Recipe)


def test_overrides_are_toml_and_reach_into_tables(tmp_path: Path) -> None:
    path = write(tmp_path, 'name = "x"\n')
    recipe = catalogue.load(path, Recipe, ["steps=60", "beam.count=32", "name=street", "shares=[0.5, 0.5]"])
    assert (recipe.steps, recipe.beam.count, recipe.name, recipe.shares) == (60, 32, "street", (0.5, 0.5))
    with pytest.raises(RecipeError, match="is not key=value"):
        catalogue.load(path, Recipe, ["steps"])
    with pytest.raises(RecipeError, match="is not a table"):
        catalogue.load(path, Recipe, ["name.count=3"])


@pytest.mark.parametrize("text", ["name = ", "\x00", 'name = "a"\nname = "b"'])
def test_broken_toml_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(RecipeError, match="not valid TOML"):
        catalogue.load(write(tmp_path, text), Recipe)


def test_names_are_found_and_near_ones_offered() -> None:
    assert catalogue.find("models", "pointnet", "*/recipe.toml").is_file()
    with pytest.raises(NotFound, match="did you mean pointnet"):
        catalogue.find("models", "pointnt", "*/recipe.toml")
    with pytest.raises(NotFound, match=r"named 'xyzzy', choose from .*pointnet"):
        catalogue.find("models", "xyzzy", "*/recipe.toml")
    for name, do in (("semantickiti", r"did you mean semantickitti.*\? pcaug"), ("xyzzy", "pcaug")):
        with pytest.raises(NotFound, match=f"no card named '{name}', {do} datasets lists all$"):
            catalogue.find("datasets", name)
    with pytest.raises(NotFound, match="no such file"):
        catalogue.find("models", "nowhere.toml")


def test_a_second_file_of_one_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "semantickitti.toml").write_text("")
    monkeypatch.setenv("PCAUG_CARDS", str(tmp_path))
    with pytest.raises(RecipeError, match="stands for two files"):
        catalogue.names("datasets")


def test_the_shipped_tree_is_strict() -> None:
    taxonomy = catalogue.taxonomy()
    assert len(taxonomy.leaves()) == 26
    assert len(taxonomy.nodes) == 38
    for name in taxonomy.presets:
        groups = taxonomy.preset(name)
        nodes = [node for group in groups for node in group.nodes]
        assert len(set(nodes)) == len(nodes)
        held = {node for node in nodes if any(other in taxonomy.ancestors(node)[1:] for other in nodes)}
        assert held == ({taxonomy.id("building")} if name == "drive5" else set())  # there, object is what else is manmade


def test_what_a_preset_predicts_holds_all_of_the_class() -> None:
    taxonomy = catalogue.taxonomy()
    for name in taxonomy.presets:
        classes = ClassSet(taxonomy, taxonomy.preset(name))
        index = np.arange(len(classes.groups), dtype=np.uint8)
        assert np.array_equal(classes.index(classes.node(index)), index)
        for group in classes.groups:
            told = taxonomy.label_name(group.nodes[0])
            assert len(group.nodes) == 1 or told in ("other", group.name)  # a fence is not water


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name="t"\n[nodes]\na={id=1,colour=[0,0,0]}\nb={id=1,colour=[0,0,0]}', "share an id"),
        ('name="t"\n[nodes]\na={id=1,colour=[0,0,0],parent="z"}', r"unknown nodes \['z'\]"),
        ('name="t"\n[nodes]\na={id=1,colour=[0,0]}', "nodes.a.colour"),
    ],
)
def test_a_bad_taxonomy_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        catalogue.load_taxonomy(write(tmp_path, text))


def test_a_recipe_that_is_made_in_code_is_checked_as_one_in_a_file() -> None:
    for wrong, what in (
        ({"steps": -1}, "steps: must be at least 1"),
        ({"stepz": 1}, "did you mean 'steps'"),
        ({"steps": "a"}, "steps"),
    ):
        with pytest.raises(RecipeError, match=what):
            TrainRecipe(**wrong)
