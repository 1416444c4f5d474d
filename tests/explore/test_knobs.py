from __future__ import annotations

from typing import Any

import pytest

from pcaug import catalogue
from pcaug.explore.knobs import OTHERWISE, SHAPES, SHARES, advice, keys, turn
from pcaug.explore.statistics import QUANTITIES
from pcaug.explore.verdict import WORDS, phrases
from pcaug.scene.recipe import load_recipe

TREE = catalogue.taxonomy()


def recipe(name: str) -> dict[str, Any]:
    return load_recipe(name).model_dump(mode="json")


@pytest.mark.parametrize("name", ["street", "town"])
def test_every_knob_is_a_key_of_the_recipe_and_every_class_is_in_the_tree(name: str) -> None:
    made = recipe(name)
    tables = [SHARES[name], *SHAPES[name].values(), *SHAPES.get(made["sensor"]["kind"], {}).values()]
    for table in tables:
        for label, row in table.items():
            assert not label or TREE.id(label) is not None
            for key in row:
                part, last = key.lstrip("-").split(".")
                assert made[part][last] is not None, key


def test_every_quantity_has_words_and_something_to_do() -> None:
    assert set(WORDS) == set(QUANTITIES)
    assert set(OTHERWISE) == {*QUANTITIES, "share"}
    assert {q for table in SHAPES.values() for q in table} <= set(QUANTITIES)


def test_advice_knows_directions() -> None:
    street, town = recipe("street"), recipe("town")
    assert advice("share", "car", True, street, TREE) == "lower street.parked (now 0 to 7)"
    assert advice("share", "car", False, street, TREE) == "raise street.parked (now 0 to 7)"
    assert advice("roughness", "terrain", False, street, TREE) == "raise surfaces.relief (now 1)"
    assert advice("point spacing", "building", False, town, TREE) == "lower sensor.density (now 8 to 20)"


def test_empty_plots_give_no_terrain() -> None:
    """Groves stand on them: with more of them the share of terrain falls."""
    assert keys("share", "terrain", recipe("town"), TREE) == ("town.plot",)
    assert "-town.empty" in keys("share", "building", recipe("town"), TREE)


def test_advice_follows_the_tree() -> None:
    assert keys("share", "vegetation", recipe("street"), TREE)[:1] == ("street.trees",)
    assert keys("roughness", "terrain", recipe("street"), TREE)[:1] == ("surfaces.relief",)
    assert keys("roughness", "road", recipe("street"), TREE)[:1] == ("surfaces.relief",)
    assert keys("roughness", "car", recipe("street"), TREE) == ()


def test_without_a_recipe_there_is_advice_still() -> None:
    for what, words in OTHERWISE.items():
        assert advice(what, "car", True, None, TREE) == words
    assert advice("share", "car", True, {"street": None, "town": None}, TREE) == OTHERWISE["share"]


def test_a_key_of_the_sensor_is_turned_towards_the_real_one() -> None:
    assert turn("height", True, recipe("street")) == ": lower sensor.height (now 1.7 to 1.76)"
    wide = {**recipe("town"), "sensor": recipe("town")["sensor"] | {"sub_rays": 7}}
    assert turn("-divergence", True, wide) == ": raise sensor.divergence (now 0.0004)"
    assert turn("-divergence", False, wide) == ": lower sensor.divergence (now 0.0004)"
    assert turn("height", True, None) == ""
    assert turn("", True, recipe("street")) == ""


def test_the_divergence_of_a_beam_that_is_a_line_is_turned_with_its_sub_rays() -> None:
    line = recipe("town")
    wide = {**line, "sensor": line["sensor"] | {"sub_rays": 7}}
    both = "raise sensor.sub_rays (now 1) to 7, then sensor.divergence (now 0.0004)"
    assert line["sensor"]["sub_rays"] == 1
    assert advice("returns", "tree", False, line, TREE) == both
    assert turn("-divergence", True, line) == f": {both}"
    assert advice("returns", "tree", True, line, TREE) == "raise sensor.pulse (now 4)"
    assert turn("-divergence", False, line) == ""
    assert advice("returns", "tree", False, wide, TREE) == "raise sensor.divergence (now 0.0004)"
    assert advice("returns", "tree", True, wide, TREE) == "lower sensor.divergence (now 0.0004)"
    named = phrases([(2.0, "of fewer returns", both), (1.0, "more varied in returns", both)])
    assert named == [f"of fewer returns: {both}", "more varied in returns"]
