"""Convert, merge, split: every label accounted for, nothing half-written, errors in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from builders import make_cloud
from scipy.spatial import cKDTree

from pcaug import catalogue, formats
from pcaug.cloud import PointCloud
from pcaug.corpus.card import all_cards, load_card
from pcaug.corpus.convert import convert
from pcaug.corpus.merge import merge
from pcaug.corpus.read import Corpus
from pcaug.corpus.sources import scans
from pcaug.corpus.split import BlockSplit, Split, block_split, count_blocks, parse_shares, unit_split
from pcaug.corpus.steps import IdMap, Steps
from pcaug.corpus.summary import summary
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError, LabelError, NotFound, PcaugError, RecipeError, UnmappedLabels

SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_real = pytest.mark.skipif(not SHARED.is_dir(), reason="no real scans beside the checkout")


def als(n: int = 4000, seed: int = 0, size: float = 120.0) -> PointCloud:
    """A map tile with ASPRS classes."""
    rng = np.random.default_rng(seed)
    native = rng.choice([2, 5, 6], n).astype(np.int32)
    xyz = rng.uniform(0, size, (n, 3)) + (650_000, 6_860_000, 30)
    return PointCloud(xyz, {"native_label": native, "intensity": rng.integers(0, 999, n).astype(np.uint16)})


def kitti(folder: Path, drives: int = 3) -> Path:
    rng = np.random.default_rng(1)
    for drive in range(drives):
        scan = folder / "sequences" / f"{drive:02d}" / "velodyne" / "000000.bin"
        labels = scan.parents[1] / "labels" / "000000.label"
        scan.parent.mkdir(parents=True)
        labels.parent.mkdir()
        rng.uniform(-20, 20, (500, 4)).astype("<f4").tofile(scan)
        rng.choice([40, 48, 50, 70, 10], 500).astype("<u4").tofile(labels)
    return folder


def test_a_las_survives_the_way_through_a_corpus(tmp_path: Path) -> None:
    formats.write(tmp_path / "a.las", als())
    convert(tmp_path / "a.las", tmp_path / "b.las")  # a LAS encoding to carry
    convert(tmp_path / "b.las", tmp_path / "corpus")
    convert(tmp_path / "corpus", tmp_path / "c.las")
    one, two = formats.read(tmp_path / "b.las"), formats.read(tmp_path / "c.las")
    assert len(one) == len(two)
    pairs = cKDTree(one.xyz).query(two.xyz)
    assert pairs[0].max() < 1e-6
    for name in ("native_label", "intensity"):
        np.testing.assert_array_equal(one[name][pairs[1]], two[name])


def test_counts_in_are_counts_out(tmp_path: Path) -> None:
    formats.write(tmp_path / "a.las", als())
    before = summary(tmp_path / "a.las")
    convert(tmp_path / "a.las", tmp_path / "corpus", split=Split("0.6/0.2/0.2", block=30.0))
    after = summary(tmp_path / "corpus")
    assert after["points"] == before["points"] == 4000
    assert after["classes"] == before["common"]
    np.testing.assert_allclose(after["bounds"], before["bounds"])
    assert sum(after["splits"].values()) == 4000
    assert set(after["splits"]) == {"train", "val", "test", "buffer"}


def test_splits_keep_their_distance_and_their_shares(tmp_path: Path) -> None:
    cloud = als(6000)
    formats.write(tmp_path / "a.las", cloud)
    convert(tmp_path / "a.las", tmp_path / "corpus", split=Split("0.7/0.1/0.2", block=20.0, buffer=3.0))
    corpus = Corpus.open(tmp_path / "corpus")
    parts = {s: np.concatenate([c.xyz[:, :2] for c in corpus.clouds(s)]) for s in ("train", "val", "test")}
    for a, b in (("train", "test"), ("train", "val"), ("val", "test")):
        assert cKDTree(parts[a]).query(parts[b])[0].min() >= 3.0
    assert 0.15 < len(parts["test"]) / 6000 < 0.25


def test_same_seed_same_split_and_every_class_everywhere() -> None:
    taxonomy = catalogue.taxonomy()
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0, 100, (5000, 3))
    label = np.where(xyz[:, 0] < 30, taxonomy.id("building"), taxonomy.id("ground")).astype(np.uint16)
    counts = count_blocks([PointCloud(xyz, {"label": label}, taxonomy)], 10.0)
    one, two = (block_split(counts, {"train": 0.7, "test": 0.3}, 10.0, 1.0, np.random.default_rng(4)) for _ in range(2))
    assert one.blocks == two.blocks
    for split in ("train", "test"):
        inside = [counts[block] for block, owner in one.blocks.items() if owner == split]
        assert all(sum(inside)[taxonomy.id(name)] > 0 for name in ("building", "ground"))


def test_units_are_never_split() -> None:
    owner = unit_split(["a", "b", "c", "a"], {"train": 0.6, "test": 0.4}, np.random.default_rng(0))
    assert set(owner) == {"a", "b", "c"}
    assert set(owner.values()) == {"train", "test"}
    with pytest.raises(PcaugError, match="cannot be split"):
        unit_split(["a"], {"train": 0.5, "test": 0.5}, np.random.default_rng(0))


@pytest.mark.parametrize("text", ["0.7", "a/b", "-0.5/1.5", "nan/nan", "1/nan", "inf/-inf"])
def test_bad_shares_are_refused(text: str) -> None:
    with pytest.raises(PcaugError, match="does not name shares"):
        parse_shares(text)


@pytest.mark.parametrize(("text", "total"), [("0.7/0.7", "1.4"), ("70/10/20", "100"), ("0.7/0.1/0.1", "0.9")])
def test_shares_that_miss_one_are_told_their_sum(text: str, total: str) -> None:
    with pytest.raises(PcaugError, match=f"'{text}' sum to {total}, make them sum to 1"):
        parse_shares(text)


def test_kitti_is_recognised_by_its_layout(tmp_path: Path) -> None:
    convert(kitti(tmp_path / "set"), tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    assert corpus.units == ["00", "01", "02"]
    assert corpus.manifest.frame == "sensor"
    assert set(corpus.counts()) == {"road", "sidewalk", "building", "vegetation", "car"}
    assert corpus.points == 1500
    assert corpus.only(units=["01"]).points == 500
    assert corpus.manifest.sources[0].flags == ("by", "nc", "sa")
    assert len(corpus.manifest.sources[0].sha256) == 64


def test_a_scan_in_two_formats_is_read_once(tmp_path: Path) -> None:
    for name in ("tile.laz", "tile.copc.laz", "tile.las", "other.laz", "other.b.laz"):
        formats.write(tmp_path / name, make_cloud(5, labelled=False, native_label=np.full(5, 2, np.int32)))
    found = scans(tmp_path, "ahn")
    assert [scan.path.name for scan in found] == ["other.b.laz", "other.laz", "tile.copc.laz"]
    assert [(scan.name, scan.unit) for scan in found] == [("other.b", "other.b"), ("other", "other"), ("tile", "tile")]


def test_merging_keeps_every_source(tmp_path: Path) -> None:
    for index in range(2):
        formats.write(tmp_path / f"{index}.las", als(1000, index))
    convert(tmp_path / "0.las", tmp_path / "zero")
    report = merge([tmp_path / "zero", tmp_path / "1.las"], tmp_path / "both")
    corpus = Corpus.open(tmp_path / "both")
    assert report.points == corpus.points == 2000
    total = {k: summary(tmp_path / "0.las")["common"][k] + v for k, v in summary(tmp_path / "1.las")["common"].items()}
    assert corpus.counts() == total


def test_query_reads_a_box_and_a_class(tmp_path: Path) -> None:
    cloud = als(3000)
    formats.write(tmp_path / "a.las", cloud)
    convert(tmp_path / "a.las", tmp_path / "corpus", tile=25.0)
    box = ([650_020, 6_860_020], [650_060, 6_860_050])
    found = list(Corpus.open(tmp_path / "corpus").query(box, classes=["vegetation"]))
    inside = ((cloud.xyz[:, :2] >= box[0]) & (cloud.xyz[:, :2] <= box[1])).all(axis=1) & (cloud["native_label"] == 5)
    assert abs(sum(len(c) for c in found) - inside.sum()) <= 2  # LAS rounds positions to a millimetre


def test_a_misspelt_field_and_a_box_that_is_none_are_told(tmp_path: Path) -> None:
    formats.write(tmp_path / "a.las", als(300))
    convert(tmp_path / "a.las", tmp_path / "corpus")
    corpus = Corpus.open(tmp_path / "corpus")
    with pytest.raises(NotFound, match=r"no field 'lable', .*this tile has .*label"):
        corpus.read(corpus.tiles[0], ["lable"])
    assert set(corpus.read(corpus.tiles[0], "label").fields) == {"label"}
    assert set(corpus.read(corpus.tiles[0], ["label", "rgb"]).fields) == {"label"}  # a field that some tiles have
    assert corpus.only(units=corpus.units[0]).points == corpus.points
    for box in ([0, 0, 9, 9], [(0, 0), (9, 9, 9)], [(0,), (9,)]):
        with pytest.raises(PcaugError, match="bounds are two corners"):
            next(corpus.query(box))  # type: ignore[arg-type]


def test_a_link_stays_a_link_and_its_folder_gets_the_corpus(tmp_path: Path) -> None:
    formats.write(tmp_path / "a.las", als(300))
    (tmp_path / "big").mkdir()
    for name, target in (("link", "big"), ("dangling", "later")):
        (tmp_path / name).symlink_to(tmp_path / target)
        for _ in range(2):
            convert(tmp_path / "a.las", tmp_path / name, force=True)
        assert (tmp_path / name).is_symlink()
        assert Corpus.open(tmp_path / target).points == 300
    assert not list(tmp_path.glob(".*"))


def test_a_split_of_hardly_a_point_is_told_of(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    places = np.concatenate([rng.uniform(0, 49, (5000, 2)), [[55.0, 20.0], [105.0, 20.0]]])  # and two points that stray
    native = np.full(len(places), 2, np.int32)
    formats.write(tmp_path / "a.ply", PointCloud(np.column_stack([places, np.zeros(len(places))]), {"native_label": native}))
    report = convert(tmp_path / "a.ply", tmp_path / "c", "las", split=Split("0.6/0.2/0.2", buffer=0.0))
    assert any("hardly a point is in a split, of 5,002: " in note for note in report.notes)


def test_a_scan_that_two_corpora_share_is_named(tmp_path: Path) -> None:
    for frame in range(2):
        path = tmp_path / "sequences" / "00" / "velodyne" / f"{frame:06d}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        formats.write(path, make_cloud(20, seed=frame, labelled=False, native_label=np.full(20, 40, np.int32)))
    convert(tmp_path / "sequences", tmp_path / "all")
    convert(tmp_path / "sequences", tmp_path / "one", scans=1)
    assert not any("times" in note for note in merge([tmp_path / "all"], tmp_path / "alone").notes)
    report = merge([tmp_path / "all", tmp_path / "one"], tmp_path / "both")
    assert any(note.startswith("the same file is in 2 times: ") for note in report.notes)


def test_composed_towns_at_one_place_are_sites_of_their_own(tmp_path: Path) -> None:
    for kind, sites in (("synthetic", [["b0", "b1"], ["a0", "a1"]]), ("real", [["a0", "a1", "b0", "b1"]])):
        with CorpusWriter(tmp_path / kind, kind=kind) as writer:  # type: ignore[arg-type]
            for unit, count in (("a", 40), ("b", 50)):
                for part in (0, 1):
                    cloud = make_cloud(count, seed=part)
                    writer.add(replace(cloud, xyz=cloud.xyz + (part * 10.0, 0, 0)), f"{unit}{part}", unit)
        found = [sorted(tile.name for tile in site) for site in Corpus.open(tmp_path / kind).sites()]
        assert found == sites


def test_tiles_open_in_pyarrow_as_they_are(tmp_path: Path) -> None:
    import pyarrow.dataset as ds

    formats.write(tmp_path / "a.las", als(500))
    convert(tmp_path / "a.las", tmp_path / "corpus")
    table = ds.dataset(tmp_path / "corpus" / "tiles").to_table(columns=["x", "label"])
    assert table.num_rows == 500


def test_an_unknown_class_stops_the_job_and_leaves_nothing(tmp_path: Path) -> None:
    cloud = als(100)
    strange = np.array(cloud["native_label"])
    strange[:3] = 77
    formats.write(tmp_path / "a.ply", cloud.with_fields(native_label=strange))
    card = tmp_path / "mine.toml"
    card.write_text(CARD)
    with pytest.raises(UnmappedLabels, match=r"77 \(3 points\)"):
        convert(tmp_path / "a.ply", tmp_path / "corpus", card)
    assert {p.name for p in tmp_path.iterdir()} == {"a.ply", "mine.toml"}
    assert summary(tmp_path / "a.ply", card)["unknown"] == {"77": 3}


CARD = """
name = "mine"
title = "mine"
files = ["*.ply"]
encoding = "ply"
sensor = "airborne"
licence = "mine"
[classes]
2 = { name = "ground", node = "ground" }
5 = { name = "tree", node = "tree" }
6 = { name = "house", node = "building" }
"""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('["*.ply"]', '["../*.ply"]'), "points outside the dataset's folder"),
        (('["*.ply"]', '["/etc/*"]'), "points outside the dataset's folder"),
        (('node = "tree"', 'node = "tre"'), "did you mean tree"),
        (("licence", "license"), "did you mean 'licence'"),
        (("5 =", "five ="), "is not a whole number of 32 bits"),
        (('sensor = "airborne"', 'sensor = "airborne"\nunit = "("'), "not a regular expression"),
    ],
)
def test_a_wrong_card_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(CARD.replace(*change))
    with pytest.raises(RecipeError, match=message):
        load_card(path)


@pytest.mark.parametrize("name", all_cards())
def test_shipped_cards_are_whole(name: str) -> None:
    card = load_card(name)
    assert card.name == name
    assert card.licence
    assert card.obtain
    assert card.verified
    assert card.label_map().used()
    members = [m for split in card.splits.values() for m in split]
    assert len(members) == len(set(members))


def test_class_ids_without_names_lead_to_a_card(tmp_path: Path) -> None:
    formats.write(tmp_path / "ids.ply", make_cloud(9, labelled=False, native_label=np.arange(9, dtype=np.int32)))
    assert "nothing tells what its class ids mean: give --card" in summary(tmp_path / "ids.ply")["hint"]
    formats.write(tmp_path / "odd.ply", make_cloud(9, labelled=False, scalar_kind=np.arange(9, dtype=np.float32)))
    assert "if scalar_kind does: give --card" in summary(tmp_path / "odd.ply")["hint"]
    formats.write(tmp_path / "none.ply", make_cloud(9, labelled=False))
    assert "hint" not in summary(tmp_path / "none.ply")


def test_bad_sources_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no such file or folder"):
        convert(tmp_path / "nowhere", tmp_path / "corpus")
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match="nothing to read"):
        convert(tmp_path / "empty", tmp_path / "corpus")
    formats.write(tmp_path / "a.ply", make_cloud(5, labelled=False))
    with pytest.raises(NotFound, match="give --card"):
        convert(tmp_path / "a.ply", tmp_path / "corpus")
    with pytest.raises(LabelError, match=r"has no labels.*--card"):
        convert(tmp_path / "a.ply", tmp_path / "b.ply", ids_of="las")
    with pytest.raises(NotFound, match=r"no format \.xyzz.*did you mean \.xyz"):
        convert(tmp_path / "a.ply", tmp_path / "b.xyzz")
    with pytest.raises(NotFound, match=r"no file lies as the card semantickitti says.*velodyne"):
        convert(tmp_path, tmp_path.with_name("corpus"), "semantickitti")
    with pytest.raises(PcaugError, match=r"nothing to write.*filters keep none"):
        convert(tmp_path / "a.ply", tmp_path / "b.ply", steps=Steps(bounds=((1e6, 1e6), (2e6, 2e6))))
    native = np.repeat([2, 6, 7], [1, 3, 5]).astype(np.int32)
    formats.write(tmp_path / "ids.ply", make_cloud(9, labelled=False, native_label=native))
    with pytest.raises(UnmappedLabels) as told:  # all of them, though the first point alone would do
        convert(tmp_path / "ids.ply", tmp_path / "b.ply", steps=Steps(ids=IdMap(ids={"6": 1})))
    assert told.value.counts == {2: 1, 7: 5}
    (tmp_path / "mine.toml").write_text(CARD)
    with pytest.raises(LabelError, match="has no labels"):
        convert(tmp_path / "a.ply", tmp_path / "corpus", tmp_path / "mine.toml")
    with pytest.raises(NotFound, match="is not a corpus"):
        Corpus.open(tmp_path / "empty")


def test_a_hostile_or_damaged_manifest_is_refused(tmp_path: Path) -> None:
    formats.write(tmp_path / "a.las", als(100))
    convert(tmp_path / "a.las", tmp_path / "corpus")
    path = tmp_path / "corpus" / "manifest.json"
    whole = json.loads(path.read_text())
    whole["tiles"][0]["path"] = "../../etc/passwd"
    path.write_text(json.dumps(whole))
    with pytest.raises(FileError, match="points outside the corpus"):
        Corpus.open(tmp_path / "corpus")
    path.write_text("{")
    with pytest.raises(FileError, match="is damaged"):
        Corpus.open(tmp_path / "corpus")


def test_a_writer_that_fails_leaves_nothing_and_overwrites_nothing(tmp_path: Path) -> None:
    def half_way() -> None:
        with CorpusWriter(tmp_path / "c") as writer:
            writer.add(make_cloud(10), "a", "a")
            raise FileError("source broke")

    with pytest.raises(FileError, match="source broke"):
        half_way()
    assert not list(tmp_path.iterdir())
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(make_cloud(10), "a", "a")
    with pytest.raises(PcaugError, match="already exists"):
        CorpusWriter(tmp_path / "c")


def test_empty_scans_are_kept_as_empty_tiles(tmp_path: Path) -> None:
    formats.write(tmp_path / "a.las", als(0))
    assert summary(tmp_path / "a.las")["points"] == 0
    convert(tmp_path / "a.las", tmp_path / "corpus")
    assert Corpus.open(tmp_path / "corpus").points == 0


@needs_real
@pytest.mark.parametrize(
    ("path", "card", "unit"), [("semantickitti/sequences/00", None, "00"), ("ahn3", "ahn", "ahn3_cropped_1")]
)
def test_real_scans_keep_their_histogram(tmp_path: Path, path: str, card: str | None, unit: str) -> None:
    before = summary(SHARED / path, card)
    convert(SHARED / path, tmp_path / "corpus", card)
    corpus = Corpus.open(tmp_path / "corpus")
    assert corpus.counts() == before["common"]
    assert corpus.units == [unit]


def test_a_buffer_wider_than_a_block_reaches_over_it() -> None:
    split = BlockSplit(10.0, 25.0, {(0, 0): "test", (1, 0): "train", (2, 0): "train", (3, 0): "train"})
    xyz = np.column_stack([[5.0, 15, 25, 34.9, 35.1], np.full(5, 5.0), np.zeros(5)])
    assert split.assign(xyz).tolist() == ["test", "buffer", "buffer", "buffer", "train"]


@pytest.mark.parametrize("bounds", [((5, 5), (1, 1)), ((np.nan, 0), (1, 1)), (("a", "b"), ("c", "d"))])
def test_a_query_needs_a_box(tmp_path: Path, bounds: object) -> None:
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(make_cloud(10), "a", "a")
    with pytest.raises(PcaugError, match="do not go from low to high"):
        next(Corpus.open(tmp_path / "c").query(bounds))  # type: ignore[arg-type]
