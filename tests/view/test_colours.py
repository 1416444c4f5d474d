from __future__ import annotations

import numpy as np
import pytest
from builders import make_cloud
from hypothesis import given
from hypothesis import strategies as st
from view.builders_view import rich_cloud

from pcaug import catalogue
from pcaug.errors import PcaugError
from pcaug.view.colours import (
    MODES,
    RIGHT,
    UNKNOWN,
    WRONG,
    agreement,
    best_mode,
    class_table,
    colours,
    eight_bit,
    node_name,
    ramp,
)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_gives_a_colour_a_point(mode: str) -> None:
    cloud = rich_cloud(200)
    found = colours(cloud, mode)
    assert found.shape == (200, 3)
    assert found.dtype == np.uint8


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_takes_an_empty_cloud(mode: str) -> None:
    assert colours(rich_cloud(10).take(slice(0, 0)), mode).shape == (0, 3)


def test_an_unknown_mode_and_a_missing_field_are_one_line() -> None:
    with pytest.raises(PcaugError, match="choose from class"):
        colours(make_cloud(5), "colour")
    with pytest.raises(PcaugError, match="this cloud has"):
        colours(make_cloud(5), "rgb")


def test_classes_have_the_colours_of_the_taxonomy() -> None:
    cloud = make_cloud(100)
    taxonomy = catalogue.taxonomy()
    for label, rgb in zip(cloud["label"], colours(cloud, "class"), strict=True):
        assert tuple(rgb) == taxonomy.colour(int(label))


def test_a_node_that_the_taxonomy_lacks_is_grey_and_numbered() -> None:
    assert node_name(77) == "node 77"
    assert node_name(255) == "ignore"
    assert tuple(class_table()[77]) == UNKNOWN


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), max_size=30))
def test_a_ramp_takes_any_numbers(values: list[float]) -> None:
    array = np.array(values, dtype=float)
    found = ramp(array)
    assert found.shape == (len(values), 3)
    assert (found[~np.isfinite(array)] == UNKNOWN).all()


def test_colours_in_16_bits_are_scaled_and_8_bits_in_16_are_not() -> None:
    wide = np.array([[0, 32768, 65535]], np.uint16)
    assert eight_bit(wide).tolist() == [[0, 128, 255]]
    assert eight_bit(np.array([[0, 128, 255]], np.uint16)).tolist() == [[0, 128, 255]]
    assert eight_bit(np.array([[0, 0.5, 1.0]], np.float32)).tolist() == [[0, 127, 255]]


def test_colours_of_floats_end_at_1_255_or_65535() -> None:
    for top in (1.0, 255.0, 65535.0):
        assert eight_bit(np.array([[0.0, 0.5, 1.0]]) * top).tolist() == [[0, 127, 255]]
    assert eight_bit(np.array([[10.0, 20.0, 200.0]])).tolist() == [[10, 20, 200]]
    assert eight_bit(np.array([[0.0, 0.5, 1.02]])).tolist() == [[0, 127, 255]]  # noise above 1 makes nothing black


def test_agreement_knows_the_tree() -> None:
    taxonomy = catalogue.taxonomy()
    road, ground, car = (taxonomy.id(name) for name in ("road", "ground", "car"))
    truth, guess = np.array([road, road, ground, road, 255], np.uint16), np.array([road, ground, road, car, road], np.uint16)
    cloud = make_cloud(5).with_fields(label=truth, prediction=guess)
    assert agreement(cloud).tolist() == [0, 0, 0, 1, 2]
    assert colours(cloud, "error").tolist() == [list(RIGHT)] * 3 + [list(WRONG), list(UNKNOWN)]


def test_the_best_mode_is_what_the_cloud_has() -> None:
    assert best_mode(make_cloud(3)) == "class"
    assert best_mode(make_cloud(3, labelled=False)) == "height"
