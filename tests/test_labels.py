"""The tree, maps into it, and the classes that datasets share: the cuts against a table worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pcaug import catalogue
from pcaug.corpus.card import all_cards
from pcaug.errors import LabelError, NotFound, UnmappedLabels
from pcaug.labels import IGNORE, ClassSet, LabelMap, common_cut, cut_shares, tally

TREE = catalogue.taxonomy()

# Native id -> node of published datasets; minor ids (negative here: ~node) left out of the cut.
USED = {
    "SynthCity": {7, 21, 2, 106, 0, 17, 5, 1},
    "Toronto-3D": {101, 0, 102, 7, 16, 106, 110, 8},
    "SemanticKITTI": {21, 23, 22, 24, 0, 1, 7, 8, 10, 102, 5, 2, 14, 15},
    "nuScenes": {24, 8, 17, 23, 22, 21, 0, 1, 2, 111, 102},
    "SemanticPOSS": {24, 21, 5, 102, 15, 14, 17, 7, 8, 23, 100},
    "Paris-Lille-3D": {100, 7, 106, 14, 17, 8, 24, 110, 102},
    "Semantic3D": {101, 2, 5, 6, 7, 110},
    "DALES": {100, 102, 21, 22, 16, 8, 106, 7},
    "SensatUrban": {100, 102, 7, 8, 9, 0, 110, 1, 23, 3},
    "CARLA": {7, 8, 24, 14, 0, 1, 102, 109, 15, 9, 3, 2},
    "Waymo": {21, 22, 24, 15, 14, 17, 23, 7, 102, 5, 1, 0},
    "STPLS3D": {100, 7, 6, 5, 21, 22, 23, 14, 15, 8, 0, 2},
    "Vaihingen3D": {16, 2, 101, 110, 7, 6, 5},
    "S3DIS": {11, 4, 12, 10, 13, 19, 18, 20},
    "ScanNet": {12, 4, 20, 18, 19, 13, 11},
}
CUTS = [
    ("SynthCity", "Toronto-3D", "building paved vegetation pole_like motor_vehicle"),
    ("SynthCity", "SemanticKITTI", "road sidewalk terrain building car vegetation pole_like"),
    ("SynthCity", "nuScenes", "road sidewalk terrain car vegetation manmade"),
    ("SynthCity", "SemanticPOSS", "building street_furniture car ground vegetation pole_like"),
    ("SynthCity", "Paris-Lille-3D", "building street_furniture ground vegetation pole_like motor_vehicle"),
    ("SynthCity", "Semantic3D", "terrain tree building paved motor_vehicle"),
    ("SynthCity", "DALES", "building car ground vegetation pole_like"),
    ("SynthCity", "SensatUrban", "building ground vegetation motor_vehicle"),
    ("SynthCity", "CARLA", "road sidewalk terrain building vegetation pole_like vehicle"),
    ("SynthCity", "Waymo", "road sidewalk building street_furniture car vegetation pole_like"),
    ("SynthCity", "Vaihingen3D", "terrain tree building paved motor_vehicle"),
    ("SemanticKITTI", "nuScenes", "road sidewalk terrain car heavy_vehicle two_wheeler person vegetation manmade"),
    ("S3DIS", "ScanNet", "floor ceiling interior_wall opening seating table other_furniture"),
    ("S3DIS", "SynthCity", ""),
]


@pytest.mark.parametrize(("one", "other", "expected"), CUTS)
def test_common_cuts(one: str, other: str, expected: str) -> None:
    used = [USED[one], USED[other]]
    cut = common_cut(TREE, used)
    shared, single = cut_shares(TREE, cut, used)
    assert {TREE.label_name(n) for n in shared} == set(expected.split())
    for a in cut:  # an antichain
        assert not any(b in TREE.ancestors(a)[1:] for b in cut)
    assert shared | single == set(cut)


def test_cards_map_as_the_table_says() -> None:
    cards = all_cards()
    assert cards["semantickitti"].label_map().used() == USED["SemanticKITTI"]
    assert cards["synthcity"].label_map().used() == USED["SynthCity"]


def test_an_unknown_id_is_refused_with_its_count() -> None:
    table = LabelMap(TREE, {1: 7, 2: IGNORE})
    assert table.apply(np.array([1, 2, 1])).tolist() == [7, 255, 7]
    with pytest.raises(UnmappedLabels, match=r"unknown class ids 9 \(2 points\), scan.las") as caught:
        table.apply(np.array([9, 1, 9]), "scan.las")
    assert caught.value.counts == {9: 2}
    with pytest.raises(LabelError, match="maps to node 99"):
        LabelMap(TREE, {1: 99})


def test_classes_take_what_stands_below_and_ignore_what_stands_above() -> None:
    classes = ClassSet(TREE, TREE.preset("drive9"))
    names = ["road", "paved", "tree", "sign_light", "car", "two_wheeler", "vehicle", "ignore"]
    index = classes.index(np.array([TREE.id(name) for name in names]))
    found = [classes.names[i] if i != IGNORE else None for i in index]
    assert found == ["road", None, "vegetation", "pole", "vehicle", None, None, None]


def test_a_class_and_all_below_it() -> None:
    below = TREE.subtree("ground")
    assert {TREE.id("ground"), TREE.id("road")} <= set(below)
    assert TREE.id("car") not in below
    assert IGNORE not in below
    assert TREE.subtree("ignore") == [IGNORE]
    assert set(TREE.subtree("ground", "ignore")) == {*below, IGNORE}


def test_classes_become_their_first_nodes_and_nothing_stays_nothing() -> None:
    classes = ClassSet(TREE, TREE.preset("urban6"))
    nodes = classes.node(np.array([1, IGNORE, 0], np.uint8))
    assert nodes.tolist() == [classes.groups[1].nodes[0], IGNORE, classes.groups[0].nodes[0]]
    assert nodes.dtype == np.uint16


def test_a_tally_counts_ids_in_their_order() -> None:
    assert list(tally(np.array([7, -1, 7], np.int32)).items()) == [(-1, 1), (7, 2)]
    assert not tally(np.zeros(0, np.int32))


def test_a_wrong_name_offers_a_near_one() -> None:
    with pytest.raises(NotFound, match="did you mean building"):
        TREE.id("buildin")
    with pytest.raises(NotFound, match="choose from"):
        TREE.preset("nope")


def test_only_nodes_have_an_index() -> None:
    classes = ClassSet(TREE, TREE.preset("coarse8"))
    for wrong in (np.array([-254]), np.array([9999]), np.array([1.0])):
        with pytest.raises(LabelError, match="are not all nodes"):
            classes.index(wrong)
