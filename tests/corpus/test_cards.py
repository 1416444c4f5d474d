"""Cards: every class table maps as published, every layout that proves its dataset is recognised and read."""

from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import plyfile
import pytest

from pcaug import catalogue
from pcaug.corpus.card import DatasetCard, all_cards, check_download, load_card
from pcaug.corpus.card_page import page
from pcaug.corpus.convert import convert
from pcaug.corpus.layouts import LAYOUTS
from pcaug.corpus.read import Corpus
from pcaug.corpus.sidecar import LabelFile
from pcaug.corpus.sources import scans
from pcaug.corpus.steps import IdMap
from pcaug.corpus.summary import summary
from pcaug.errors import FileError, LabelError, NotFound, RecipeError, UnmappedLabels
from pcaug.formats import FORMATS
from pcaug.formats.las import asprs
from pcaug.labels import IGNORE

# Native id -> node of the taxonomy, "~" minor; what is not named is ignored.
MAPPINGS = {
    "synthcity": "0>7 1>21 2>2 3>~100 4>106 5>0 6>17 7>5 8>1",
    "semantickitti": "10>21 252>21 11>23 15>23 13>22 16>22 18>22 20>22 256>22 257>22 258>22 259>22 30>24 31>24 32>24 253>24 "
    "254>24 255>24 40>0 44>0 60>0 48>1 49>~100 50>7 51>8 52>10 70>102 71>5 72>2 80>14 81>15 99>~107",
    "nuscenes": "2,3,4,6>24 5,7,8>~24 9>8 10>~107 11>~107 12>17 13>~107 14>23 15,16>22 17>21 18>22 19>~110 20>21 21>23 "
    "22>22 23>22 24>0 25>~100 26>1 27>2 28>111 30>102",
    "semanticposs": "4,5,6>24 7>21 8>5 9>102 10,11,12>15 13>14 14>17 15>7 16>17 17>8 21>23 22>100",
    "synlidar": "1,2>21 3,4,7>22 5,6>23 8>0 9>1 10>0 11>~100 12,13,14,15,16,17>24 18>7 19>10 20>102 21>5 22>2 23>15 24>14 "
    "25>17 26>8 27,28>17 29,30,31>17 32>~107",
    "kitticarla": "1>7 2>8 4>24 5>14 6>0 7>0 8>1 9>102 10>109 11>8 12>15 14>~100 15>9 16>~100 17>8 18>15 19>~107 20>~107 "
    "21>3 22>2",
    "toronto3d": "1>101 2>0 3>102 4>7 5>16 6>106 7>110 8>8",
    "parislille3d": "1>100 2>7 3>106 4>14 5>17 6>8 7>24 8>110 9>102",
    "semantic3d": "1>101 2>2 3>5 4>6 5>7 6>~104 8>110",
    "scannet": "1>12 2>4 3>20 4>20 5>18 6>18 7>19 8>13 9>13 10>20 11>20 12>19 14>19 16>20 24>20 28>20 33>20 34>20 36>20 "
    "39>20 22>11 38>~103 40>~107",
    "dales": "1>100 2>102 3>21 4>22 5>16 6>8 7>106 8>7",
    "sensaturban": "0>100 1>102 2>7 3>8 4>9 5>0 6>~100 7>0 8>~111 9>110 10>1 11>23 12>3",
    "stpls3d": "0>100 1>7 2>6 3>~102 4>5 5>21 6>22 7>~109 8>~110 9>23 10>23 11>14 12>15 13>~107 14>8 15>0 17>7 18>2 19>2",
    "hessigheim": "0>2 1>101 2>110 3>~111 4>7 5>7 6>6 7>5 8>2 9>~104 10>7",
    "vaihingen": "0>16 1>2 2>101 3>110 4>~8 5>7 6>7 7>6 8>5",
    "las": "2>100 3>6 4>~102 5>5 6>7 8>100 9>3 10>~100 11>0 13,14>16 15>14 16>~16 17>9 19>10 20>100 21>~100",
    "lidarhd": "2>100 3>~102 4>~102 5>5 6>7 9>3 17>9 64>10 67>~10",
    "ahn": "2>100 6>7 9>3 26>9 14>16",
    "3dep": "2>100 3>6 4>~102 5>5 6>7 9>3 10>~100 17>9 20>100 21>~100",
    "kitti360": "6>~100 7>0 8>1 9>0 10>~100 11>7 12>8 13>8 14>8 15>9 16>9 17>14 18>14 19>15 20>15 21>102 22>2 24>24 25>24 "
    "26>21 27>22 28>22 29>22 30>22 31>22 32>23 33>23 34>7 35>8 36>10 37>14 38>14 39>17 40>17 41>17 42>~103 "
    "43>~109 44>~107 4>~107",
    "waymo": "1>21 2>22 3>22 4>22 5,6>24 7>24 8>15 9>15 10>14 11>17 12>23 13>23 14>7 15>102 16>5 17>1 18>0 19>0 "
    "20>~100 21>~100 22>1",
    "rellis3d": "1>2 3>2 4>5 5>14 6>3 8>109 9>~107 10>0 12>7 15>~107 17>24 18>8 19>6 23>101 27>8 31>3 33>2 34>~100",
    "fractal": "2>100 3,4,5>102 6>7 9>3 17>9 64>10",
    "synthia": "2>7 3>0 4>1 5>8 6>102 7>14 8>21 9>15 10>24 11>23 12>0 15>15",
}
TWINS = {"pariscarla": "kitticarla", "dales-las": "dales", "stpls3d-synthetic": "stpls3d", "helios": "las"}
NAMED = {
    "s3dis": "ceiling>11 floor>4 wall>12 beam>10 column>10 window>13 door>13 table>19 chair>18 sofa>18 bookcase>20 "
    "board>20 clutter>~107",
    "sydney": "car,4wd,van,ute>21 truck,bus,trailer,excavator>22 bicycle,scooter>23 pedestrian,cyclist,biker>24 "
    "tree,trunk>5 vegetation>102 pole,post,pillar>14 traffic_sign,traffic_lights>15 building>7 "
    "bench,ticket_machine,umbrella,trash>17",
    "pandaset": "Vegetation>102 Ground>~100 Road,Driveway>0 Sidewalk>1 Car>21 Bus,Train,Trolley>22 Motorcycle,Bicycle>23 "
    "Pedestrian>24 Pylons,Cones>17 Signs>15 Building>7",
}
CARDS = all_cards()


def pairs(text: str) -> dict[str, tuple[int, bool]]:
    found = {}
    for item in text.split():
        keys, node = item.split(">")
        found |= {key: (int(node.lstrip("~")), node.startswith("~")) for key in keys.split(",")}
    return found


@pytest.mark.parametrize("name", [*MAPPINGS, *TWINS])
def test_ids_map_as_published(name: str) -> None:
    table = CARDS[name].label_map()
    found = {str(i): (node, i in table.minor) for i, node in table.nodes.items() if node != IGNORE}
    assert found == pairs(MAPPINGS[TWINS.get(name, name)])


@pytest.mark.parametrize("name", NAMED)
def test_names_map_as_published(name: str) -> None:
    table = CARDS[name].label_map()
    found = {table.names[i]: (node, i in table.minor) for i, node in table.nodes.items()}
    assert found.items() >= pairs(NAMED[name]).items()
    if name != "pandaset":  # its table here is a part
        assert {key for key, (node, _) in found.items() if node != IGNORE} == set(pairs(NAMED[name]))


def test_what_is_written_as_las_is_read_back_as_it_or_what_it_is_part_of() -> None:
    tree, table = catalogue.taxonomy(), CARDS["pcaug-las"].label_map()
    nodes = np.array([node for node in tree.nodes if node != tree.id("other")], np.uint16)
    codes = asprs(nodes)
    back = table.apply(codes.astype(np.int32))
    assert all(tree.covers(int(read), int(node)) for node, read in zip(nodes, back, strict=True))
    own = codes >= 64  # user classes are for one node each
    np.testing.assert_array_equal(back[own], nodes[own])
    assert set(table.nodes) == {0, 1, *codes.tolist()}


def test_class_names_are_unique_and_every_test_names_a_card() -> None:
    assert {*MAPPINGS, *TWINS, *NAMED, "oakland", "pcaug-las"} == set(CARDS)
    for card in CARDS.values():
        names = [c.name for c in card.classes.values()]
        assert len(set(names)) == len(names), card.name


@pytest.mark.parametrize("card", CARDS.values(), ids=CARDS)
def test_every_card_is_complete(card: DatasetCard) -> None:
    for key in ("title", "layout", "files", "encoding", "device", "licence", "citation", "url", "obtain", "verified"):
        assert getattr(card, key), key
    assert card.fields
    assert card.splits or card.split_lists or card.split_note.startswith("none"), "say why there is no official split"
    assert card.url.startswith("http")
    assert len(card.classes) >= 2
    taxonomy = catalogue.taxonomy()
    for row in card.classes.values():
        assert len(row.colour or taxonomy.colour(taxonomy.id(row.node))) == 3
        assert all(0 <= value <= 255 for value in row.colour or ())
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in card.checksums.values())


def test_the_page_of_all_cards_is_current() -> None:
    shown = Path(__file__).parents[2] / "docs" / "datasets.md"
    assert shown.read_text(encoding="utf-8") == page(CARDS.values()), "run make docs"


def test_downloads_are_compared_with_their_checksums(tmp_path: Path) -> None:
    card = CARDS["synthcity"].model_copy(
        update={"checksums": {"a": hashlib.sha256(b"a").hexdigest(), "b": "0" * 64, "c": "0" * 64}}
    )
    (tmp_path / "in").mkdir()
    for name in "ab":
        (tmp_path / "in" / name).write_text(name)
    assert check_download(card, tmp_path) == {"a": "as published", "b": "differs", "c": "missing"}
    with pytest.raises(NotFound, match="no checksums"):
        check_download(CARDS["las"], tmp_path)


def las(path: Path, classes: list[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    file = laspy.create(point_format=6, file_version="1.4")
    file.x = file.y = file.z = np.arange(len(classes), dtype=float)
    file.classification = np.array(classes, np.uint8)
    file.write(path)


def ply(path: Path, label: str, classes: list[int], kind: str = "i4", element: str = "vertex") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = np.zeros(len(classes), [("x", "f4"), ("y", "f4"), ("z", "f4"), (label, kind)])
    table["x"], table[label] = np.arange(len(classes)), classes
    plyfile.PlyData([plyfile.PlyElement.describe(table, element)]).write(str(path))


def text(path: Path, columns: int, classes: list[int], at: int, separator: str = " ", head: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = np.zeros((len(classes), columns))
    rows[:, 0], rows[:, at] = np.arange(len(classes)), classes
    path.write_text(head + "".join(separator.join(f"{v:g}" for v in row) + "\n" for row in rows))


def scan(path: Path, labels: Path, classes: list[int], dtype: str = "<u4") -> None:
    for file in (path, labels):
        file.parent.mkdir(parents=True, exist_ok=True)
    np.random.default_rng(0).random((len(classes), 4)).astype("<f4").tofile(path)
    np.array(classes).astype(dtype).tofile(labels)


def lay_out(root: Path, name: str) -> list[int]:
    """Write a file or two of a dataset in its own layout; returns the native ids of its points."""
    ids = [int(key) for key in CARDS[name].classes if int(key) >= 0][:12]
    match name:
        case "kitticarla":
            ply(root / "Town01/generated/frames/frame_0001.ply", "semantic", ids, "u4")
        case "toronto3d":
            ply(root / "L002.ply", "scalar_Label", ids, "f4")
        case "parislille3d":
            ply(root / "training_10_classes/Lille2.ply", "class", ids)
        case "scannet":
            ply(root / "scans/scene0001_00/scene0001_00_vh_clean_2.labels.ply", "label", ids, "u2")
        case "dales":
            ply(root / "test/5080_54470_new.ply", "sem_class", ids, "i4", "testing")
        case "sensaturban":
            ply(root / "train/birmingham_block_1.ply", "class", ids, "u1")
        case "kitti360":
            ply(root / "data_3d_semantics/train/2013_05_28_drive_0003_sync/static/0000000002_0000000282.ply", "semantic", ids)
        case "dales-las":
            las(root / "dales_las/train/5145_54340.las", ids)
        case "hessigheim":
            las(root / "Epoch_March2018/LiDAR/Mar18_train.laz", ids)
        case "fractal":
            las(root / "data/train/TRAIN-0956_6363-002955257.laz", ids)
        case "stpls3d":
            text(root / "RealWorldData/WMSC_points.txt", 7, ids, 6, ",", "x,y,z,r,g,b,sem\n")
        case "stpls3d-synthetic":
            text(root / "Synthetic_v3_InstanceSegmentation/5_points_GTv3.txt", 8, ids, 6, ",")
        case "vaihingen":
            text(root / "Vaihingen3D_Traininig.pts", 7, ids, 6)
        case "helios":
            text(root / "leg000_points.xyz", 11, ids, 9)
        case "semantic3d":
            text(root / "bildstein_station3_xyz_intensity_rgb.txt", 7, [0] * len(ids), 6)
            (root / "bildstein_station3_xyz_intensity_rgb.labels").write_text("".join(f"{i}\n" for i in ids))
        case "rellis3d":
            part = root / "00002"
            scan(part / "os1_cloud_node_kitti_bin/000104.bin", part / "os1_cloud_node_semantickitti_label_id/000104.label", ids)
        case "semantickitti" | "semanticposs":
            scan(root / "sequences/03/velodyne/000001.bin", root / "sequences/03/labels/000001.label", ids)
        case "synlidar":
            scan(root / "SubDataset/07/velodyne/000001.bin", root / "SubDataset/07/labels/000001.label", ids)
        case "pariscarla":
            ply(root / "CARLA/test/Town01.ply", "semantic", ids, "u4")
        case "ahn" | "3dep" | "lidarhd" | "las" | "pcaug-las":
            las(root / "tile.laz", ids)
        case "oakland":
            text(root / "oakland_part3_al_validation.xyz_label_conf", 5, ids, 3, head="# comment\n")
        case _:
            raise AssertionError(name)
    return ids


LAID_OUT = {  # dataset -> the unit and the official split of what lay_out writes
    "kitticarla": ("Town01", None), "toronto3d": ("L002", "test"), "parislille3d": ("Lille2", "val"),
    "scannet": ("scene0001", None), "dales": ("5080_54470_new", "test"), "dales-las": ("5145_54340", "train"),
    "sensaturban": ("birmingham_block_1", "val"),
    "kitti360": ("drive_0003", None), "hessigheim": ("Epoch_March2018", "train"), "fractal": ("0956_6363", "train"),
    "stpls3d": ("WMSC_points", "test"), "stpls3d-synthetic": ("5_points_GTv3", "val"),
    "vaihingen": ("Vaihingen3D_Traininig", "train"),
    "helios": ("leg000_points", None), "semantic3d": ("bildstein", "val"), "rellis3d": ("00002", None),
    "semantickitti": ("03", "train"), "semanticposs": ("03", "val"), "synlidar": ("07", None), "pariscarla": ("Town01", "test"),
    "ahn": ("tile", None), "3dep": ("tile", None), "lidarhd": ("tile", None),
    "las": ("tile", None), "pcaug-las": ("tile", None), "oakland": ("oakland_part3_al_validation", "val"),
}  # fmt: skip


NAMED_ONLY = ("semanticposs", "synlidar", "pariscarla", "ahn", "3dep", "lidarhd", "pcaug-las")
"""Cards whose layout is another's too: the user names them."""


@pytest.mark.parametrize("name", LAID_OUT)
def test_layouts_are_recognised_and_read(tmp_path: Path, name: str) -> None:
    ids = lay_out(tmp_path / "set", name)
    card = name if name in NAMED_ONLY else None
    (found,) = scans(tmp_path / "set", card)
    assert found.card is not None
    assert (found.card.name, found.unit, found.split) == (name, *LAID_OUT[name])
    convert(tmp_path / "set", tmp_path / "corpus", card)
    cloud = next(Corpus.open(tmp_path / "corpus").clouds())
    assert sorted(cloud["native_label"].tolist()) == sorted(ids)
    nodes = CARDS[name].label_map().nodes
    assert cloud["label"].tolist() == [nodes[int(i)] for i in cloud["native_label"]]


def test_every_card_is_read_in_its_layout() -> None:
    elsewhere = {"synthcity", *LAYOUTS}  # test_synthcity.py, test_layouts.py
    assert {*LAID_OUT, *elsewhere} == {card.encoding if card.encoding in LAYOUTS else name for name, card in CARDS.items()}


@pytest.mark.parametrize("name", NAMED_ONLY)
def test_layouts_that_prove_nothing_need_their_card(name: str) -> None:
    assert not CARDS[name].guess


@pytest.mark.parametrize("name", [name for name in LAID_OUT if CARDS[name].guess and CARDS[name].companions])
def test_files_beside_the_scans_do_not_hide_a_dataset(tmp_path: Path, name: str) -> None:
    lay_out(tmp_path, name)
    for pattern in CARDS[name].companions:
        path = tmp_path / re.sub(r"\[[^]]*\]|\?", "0", pattern).replace("*", "x")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"1 2 3\n")
    (found,) = scans(tmp_path)
    assert found.card is not None
    assert found.card.name == name


def test_a_scan_in_two_formats_is_one(tmp_path: Path) -> None:
    for end in ("las", "laz", "txt"):
        las(tmp_path / f"Epoch_March2018/LiDAR/Mar18_val.{end}", [1, 2])
    (found,) = scans(tmp_path)
    assert (found.path.suffix, found.split) == (".laz", "val")


def test_other_ids_of_a_las_point_at_the_cards_that_know_them(tmp_path: Path) -> None:
    las(tmp_path / "tile.laz", [1, 2, 66, 67, 67])
    with pytest.raises(UnmappedLabels, match=r"66 \(1 point\), 67 \(2 points\).*--card lidarhd knows them"):
        convert(tmp_path / "tile.laz", tmp_path / "corpus")
    las(tmp_path / "tile.laz", [1, 2, 200])
    with pytest.raises(UnmappedLabels, match=r"200 \(1 point\).*add them to the card"):
        convert(tmp_path / "tile.laz", tmp_path / "corpus")


def test_an_encoding_that_nobody_reads_is_refused(tmp_path: Path) -> None:
    card = tmp_path / "mine.toml"
    card.write_text(CARD.replace('"text"', '"e58"', 1))
    with pytest.raises(RecipeError, match=r"unknown encoding 'e58': choose from .*las, "):
        load_card(card)


def test_names_tell_not_the_targets_of_links(tmp_path: Path) -> None:
    las(tmp_path / "blobs" / "d41d8cd9", [2])
    link = tmp_path / "set" / "Epoch_Mar" / "LiDAR" / "Mar18_train.LAZ"
    link.parent.mkdir(parents=True)
    (tmp_path / "blobs" / "d41d8cd9").rename(tmp_path / "blobs" / "d41d8cd9.laz")
    link.symlink_to(tmp_path / "blobs" / "d41d8cd9.laz")
    (found,) = scans(tmp_path / "set")
    assert found.card is not None
    assert found.card.name == "hessigheim"


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    las(tmp_path / "disk" / "tile.las", [2])
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "part").symlink_to(tmp_path / "disk", target_is_directory=True)
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "set", target_is_directory=True)
    (found,) = scans(tmp_path / "set", "las")
    assert found.path == tmp_path / "set" / "part" / "tile.las"


def npy(values: list[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array(values), allow_pickle=True)
    return stream.getvalue()


BESIDE = LabelFile(kind="text", scan=r"\.xyz$", file=".ids")
CARD = """
name = "mine"
title = "mine"
files = ["*.xyz"]
encoding = "text"
options = { columns = ["x", "y", "z"] }
sensor = "terrestrial"
licence = "mine"
[labels]
kind = "KIND"
scan = '\\.xyz$'
file = ".ids"
dtype = "u2"
mask = 0xFF
[classes]
3 = { name = "house", node = "building" }
4 = { name = "tree", node = "tree" }
"""


def pair(root: Path, kind: str, ids: bytes, points: int = 3) -> tuple[Path, Path]:
    (root / "a.xyz").write_text("1 2 3\n" * points)
    (root / "a.ids").write_bytes(ids)
    (root / "mine.toml").write_text(CARD.replace("KIND", kind))
    return root / "a.xyz", root / "mine.toml"


@pytest.mark.parametrize(
    ("kind", "ids"),
    [
        ("text", b"3\n4\n3\n"),
        ("text", b"3\r\n\r\n4\r\n3"),
        ("binary", np.array([0x703, 4, 0xFF03], "<u2").tobytes()),
        ("npy", npy([0x703, 4, 0xFF03])),
        ("npy", npy([[3.0], [4.0], [3.0]])),
    ],
)
def test_ids_beside_the_scan_are_paired_point_by_point(tmp_path: Path, kind: str, ids: bytes) -> None:
    path, card = pair(tmp_path, kind, ids)
    (found,) = scans(path, card)
    assert found.files == [path, path.with_suffix(".ids")]
    for size in (1, 2, 500):
        assert np.concatenate([c["native_label"] for c in found.chunks(size)]).tolist() == [3, 4, 3]


@pytest.mark.parametrize(
    ("kind", "ids", "message"),
    [
        ("text", b"3\n4\n", "has 2 ids for more points"),
        ("text", b"3\n4\n3\n3\n", "has more ids than the scan's 3 points"),
        ("text", b"3\nx\n3\n", "are not class ids"),
        ("text", b"3\n99999999999999\n3\n", "beyond 32 bits"),
        ("binary", b"\3\0\4\0", "has 2 ids for more points"),
        ("binary", b"\3\0\4\0\3", "is truncated"),
        ("binary", b"\3\0\4\0\3\0\3\0", "has more ids"),
        ("npy", npy([3, 4]), "has 2 ids for more points"),
        ("npy", npy([3, 4, 3, 3]), "has more ids"),
        ("npy", npy([3, 4.5, 3]), "are not class ids"),
        ("npy", npy(["3", "4", "3"]), "are not class ids"),
        ("npy", npy([3, {}, 3]), "not a numpy array of numbers"),
        ("npy", npy([3, 4, 3])[:-9], "not a numpy array of numbers"),
        ("npy", b"", "not a numpy array of numbers"),
    ],
)
def test_ids_that_do_not_fit_are_refused(tmp_path: Path, kind: str, ids: bytes, message: str) -> None:
    path, card = pair(tmp_path, kind, ids)
    with pytest.raises(FileError, match=message):
        convert(path, tmp_path / "corpus", card)
    assert not (tmp_path / "corpus").exists()


def test_a_scan_without_its_ids_says_so(tmp_path: Path) -> None:
    path, card = pair(tmp_path, "text", b"")
    (tmp_path / "a.ids").unlink()
    assert summary(path, card)["points"] == 3
    with pytest.raises(LabelError, match="its label file is missing"):
        convert(path, tmp_path / "corpus", card)
    with pytest.raises(LabelError, match="does not tell its label file"):
        BESIDE.path_of(Path("a.txt"))
    with pytest.raises(LabelError, match="does not tell its label file"):
        LabelFile(kind="text", scan=r"\.bin$", file=r"\1.label").path_of(Path("a.bin"))


@pytest.mark.parametrize("file", ["../../secret", "/etc/passwd", "~/x"])
def test_label_files_stay_inside(tmp_path: Path, file: str) -> None:
    card = tmp_path / "mine.toml"
    card.write_text(CARD.replace("KIND", "text").replace('".ids"', f'"{file}"'))
    with pytest.raises(RecipeError, match="points outside"):
        load_card(card)


def test_the_readme_of_cards_names_every_encoding() -> None:
    text = (Path(__file__).parents[2] / "datasets/README.md").read_text(encoding="utf-8")
    formats = re.search(r"^encoding = .*# a format: (.*)$", text, re.MULTILINE)
    layouts = re.search(r"`pcaug/corpus/layouts/`: (.*?)\.", text)
    assert formats
    assert set(re.split(r", | or ", formats[1])) == set(FORMATS)
    assert layouts
    assert set(layouts[1].split(", ")) == set(LAYOUTS)


def test_what_kitti360_does_not_tell_apart_has_no_instance(tmp_path: Path) -> None:
    table = np.zeros(4, [("x", "f4"), ("y", "f4"), ("z", "f4"), ("semantic", "i4"), ("instance", "i4")])
    table["semantic"], table["instance"] = (13, 13, 26, 26), (13000, 13000, 26001, 26002)
    path = tmp_path / "data_3d_semantics/train/2013_05_28_drive_0003_sync/static/0000000002_0000000282.ply"
    path.parent.mkdir(parents=True)
    plyfile.PlyData([plyfile.PlyElement.describe(table, "vertex")]).write(str(path))
    cloud = next(scans(tmp_path)[0].chunks())
    assert cloud["instance"].tolist() == [0, 0, 26001, 26002]


@pytest.mark.parametrize("name", ["TRAIN-file-0956_6363-patch-0065405.laz", "VAL-0956_6363-002955257.laz"])
def test_patches_of_fractal_are_known_by_either_name(tmp_path: Path, name: str) -> None:
    las(tmp_path / name, [2, 5])
    (found,) = scans(tmp_path)
    assert found.card is not None
    assert (found.card.name, found.unit, found.split) == ("fractal", "0956_6363", name.partition("-")[0].lower())


@pytest.mark.parametrize("file", [r"\1/\056\056/secret.ids", r"\1/../secret.ids", "/secret.ids"])
def test_labels_stay_in_their_folder_whatever_a_card_expands_to(tmp_path: Path, file: str) -> None:
    home = tmp_path / "a/b/c/d/e/f"
    home.mkdir(parents=True)
    for scan in (r"^(.*)/[^/]+$", r"^/?(.*)/[^/]+$"):
        with pytest.raises((LabelError, RecipeError), match="outside the dataset's folder"):
            LabelFile(kind="text", scan=scan, file=file).path_of(home / "scan.xyz")
    beside = LabelFile(kind="text", scan=r"velodyne/([^/]+)\.bin$", file=r"labels/\1.label")
    assert beside.path_of(home / "velodyne/000.bin") == home / "labels/000.label"
    assert beside.path_of(Path("velodyne/000.bin")) == Path("labels/000.label")


@pytest.mark.parametrize("key", ["01", "-0", "2147483648", "-2147483649", "9" * 5000, "1.0", "+1", " 1", "\u0661"])
def test_class_ids_are_whole_numbers_of_32_bits_written_plainly(tmp_path: Path, key: str) -> None:
    card = CARD.replace("KIND", "text").replace("\n3 =", f'\n"{key}" =')
    (tmp_path / "mine.toml").write_text(card)
    with pytest.raises(RecipeError, match=r"class id .* is not a whole number of 32 bits"):
        load_card(tmp_path / "mine.toml")
    with pytest.raises(RecipeError, match="is not a whole number of 32 bits"):
        IdMap(ids={key: 1})
