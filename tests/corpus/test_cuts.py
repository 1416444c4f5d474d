"""The classes that pairs of datasets share, from their cards, against a table worked out apart."""

from __future__ import annotations

import numpy as np
import pytest

from pcaug import catalogue
from pcaug.corpus.card import load_card
from pcaug.labels import IGNORE, ClassSet, common_cut, cut_shares

TREE = catalogue.taxonomy()
REST = None
"""The table does not spell out the classes that only one of the pair has."""
CUTS: list[tuple[str, str, str, str | None]] = [
    (
        "synthcity",
        "toronto3d",
        "building paved vegetation pole_like motor_vehicle",
        "terrain wall_fence wire street_furniture",
    ),
    (
        "synthcity",
        "semantickitti",
        "road sidewalk terrain building car vegetation pole_like",
        "wall_fence other_structure street_furniture heavy_vehicle two_wheeler person",
    ),
    ("synthcity", "nuscenes", "road sidewalk terrain car vegetation manmade", "heavy_vehicle two_wheeler person"),
    ("synthcity", "semanticposs", "building street_furniture car ground vegetation pole_like", "wall_fence two_wheeler person"),
    ("synthcity", "parislille3d", "building street_furniture ground vegetation pole_like motor_vehicle", "wall_fence person"),
    ("synthcity", "semantic3d", "terrain tree building paved motor_vehicle", "low_vegetation street_furniture pole_like"),
    ("synthcity", "dales", "building car ground vegetation pole_like", "wall_fence wire street_furniture heavy_vehicle"),
    (
        "synthcity",
        "sensaturban",
        "building ground vegetation motor_vehicle",
        "water wall_fence bridge street_furniture two_wheeler pole_like",
    ),
    ("synthcity", "kitti360", "road sidewalk terrain building street_furniture car vegetation pole_like", REST),
    ("synthcity", "synlidar", "road sidewalk terrain building street_furniture car vegetation pole_like", REST),
    (
        "synthcity",
        "kitticarla",
        "road sidewalk terrain building vegetation pole_like vehicle",
        "water wall_fence bridge street_furniture person",
    ),
    (
        "synthcity",
        "pariscarla",
        "road sidewalk terrain building vegetation pole_like vehicle",
        "water wall_fence bridge street_furniture person",
    ),
    (
        "synthcity",
        "waymo",
        "road sidewalk building street_furniture car vegetation pole_like",
        "terrain heavy_vehicle two_wheeler person",
    ),
    ("synthcity", "stpls3d + its six", "building ground vegetation pole_like motor_vehicle", REST),
    ("synthcity", "hessigheim", "terrain tree building paved motor_vehicle", REST),
    ("synthcity", "vaihingen", "terrain tree building paved motor_vehicle", REST),
    ("semantickitti", "nuscenes", "road sidewalk terrain car heavy_vehicle two_wheeler person vegetation manmade", ""),
    ("s3dis", "scannet", "floor ceiling interior_wall opening seating table other_furniture", "other_structure"),
    ("s3dis", "synthcity", "", REST),
]


SIX = {100, 102, 110, 106, 8}
"""Major nodes of the six classes that STPLS3D's benchmark lumps its ids into: the table counts them in."""


def used_by(name: str) -> set[int]:
    card, _, more = name.partition(" + ")
    return load_card(card).label_map().used() | (SIX if more else set())


@pytest.mark.parametrize(("one", "other", "shared", "single"), CUTS)
def test_pairs_share_what_the_table_says(one: str, other: str, shared: str, single: str | None) -> None:
    used = [used_by(name) for name in (one, other)]
    cut = common_cut(TREE, used)
    both, alone = cut_shares(TREE, cut, used)
    assert {TREE.label_name(n) for n in both} == set(shared.split())
    if single is not None:
        assert {TREE.label_name(n) for n in alone} == set(single.split())
    assert common_cut(TREE, used[::-1]) == cut


@pytest.mark.parametrize(("one", "other"), [pair[:2] for pair in CUTS])
def test_every_major_class_finds_its_place_in_the_cut(one: str, other: str) -> None:
    maps = [load_card(name.partition(" ")[0]).label_map() for name in (one, other)]
    classes = ClassSet.of_cut(TREE, common_cut(TREE, [table.used() for table in maps]))
    for table in maps:
        for native, node in table.nodes.items():
            lost = classes.index(np.array([node]))[0] == IGNORE
            if node == IGNORE:
                assert lost
            elif native not in table.minor:
                assert not lost, table.names[native]
