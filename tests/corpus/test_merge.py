"""Merging: units, splits, units of length and licences of several sources; and what the commands print of it."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Literal

import laspy
import numpy as np
import pytest
from builders import make_cloud, run
from pyproj import CRS
from scipy.spatial import cKDTree

from pcaug import catalogue, formats
from pcaug.augment.recipe import AugmentRecipe, augment_corpus, load_recipe
from pcaug.cloud import PointCloud
from pcaug.corpus import duplicates
from pcaug.corpus import merge as merging
from pcaug.corpus.convert import convert
from pcaug.corpus.export import export
from pcaug.corpus.manifest import SourceRow
from pcaug.corpus.merge import merge
from pcaug.corpus.read import Corpus
from pcaug.corpus.split import Split, leak
from pcaug.corpus.steps import Steps
from pcaug.corpus.summary import summary
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError, PcaugError, UnmappedLabels

TREE = catalogue.taxonomy()
FOOT = 1200 / 3937
SHARED = Path(__file__).parents[3] / "shared" / "data"
needs_real = pytest.mark.skipif(not SHARED.is_dir(), reason="no real scans beside the checkout")


def tile(path: Path, n: int = 900, *, seed: int = 0, at: float = 0.0, crs: str | None = None) -> Path:
    rng = np.random.default_rng(seed)
    file = laspy.create(point_format=6, file_version="1.4")
    file.header.scales, file.header.offsets = np.full(3, 0.001), np.full(3, at)
    if crs:
        file.header.add_crs(CRS.from_user_input(crs))
    file.x, file.y, file.z = rng.uniform(0, 90, (3, n)) + at
    file.classification = rng.choice([2, 5, 6], n).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.write(path)
    return path


def drive(root: Path, drives: tuple[str, ...] = ("00", "08", "11"), ids: tuple[int, ...] = (40, 50, 10)) -> Path:
    rng = np.random.default_rng(5)
    for name in drives:
        scan, labels = (root / "sequences" / name / kind for kind in ("velodyne/000000.bin", "labels/000000.label"))
        for path in (scan, labels):
            path.parent.mkdir(parents=True)
        rng.uniform((-20, -20, -20, 0), (20, 20, 20, 20), (100, 4)).astype("<f4").tofile(scan)
        rng.choice(ids, 100).astype("<u4").tofile(labels)
    return root


def test_a_resumed_merge_takes_labels_as_they_are_now(tmp_path: Path) -> None:
    drives = tuple(f"{number:02d}" for number in range(17))  # one more than a job takes
    root = drive(tmp_path / "set", drives, (40,))
    last = root / "sequences/16/velodyne/000000.bin"
    whole = last.read_bytes()
    last.write_bytes(whole[:-1])
    with pytest.raises(PcaugError, match="truncated"):
        merge([root], tmp_path / "c", ["semantickitti"])
    last.write_bytes(whole)
    np.full(100, 10, "<u4").tofile(root / "sequences/00/labels/000000.label")
    merge([root], tmp_path / "c", ["semantickitti"])
    assert Corpus.open(tmp_path / "c").counts() == {"road": 1600, "car": 100}


def test_official_splits_are_taken_when_asked_for(tmp_path: Path) -> None:
    merge([drive(tmp_path / "set")], tmp_path / "plain")
    assert Corpus.open(tmp_path / "plain").splits == []
    merge([tmp_path / "set"], tmp_path / "official", split="official")
    corpus = Corpus.open(tmp_path / "official")
    assert {tile.unit: tile.split for tile in corpus.tiles} == {"00": "train", "08": "val", "11": "test"}
    one = merge([tmp_path / "set" / "sequences" / "00"], tmp_path / "one", split="official")
    assert any("all of these scans in train" in note for note in one.notes)
    merge([tmp_path / "official"], tmp_path / "again")  # a corpus keeps its split
    assert Corpus.open(tmp_path / "again").splits == ["test", "train", "val"]
    with pytest.raises(PcaugError, match="las: no official split"):
        merge([tile(tmp_path / "a.las")], tmp_path / "none", split="official")


def test_units_of_two_datasets_are_told_apart(tmp_path: Path) -> None:
    merge(
        [drive(tmp_path / "one"), drive(tmp_path / "two", ("00", "07"), (22, 15))],
        tmp_path / "both",
        ["semantickitti", "semanticposs"],
    )
    corpus = Corpus.open(tmp_path / "both")
    assert corpus.units == ["07", "08", "11", "semantickitti-00", "semanticposs-00"]
    assert corpus.only(units=["semanticposs-00"]).points == 100


def test_units_of_what_is_appended_are_told_apart_from_those_that_are_there(tmp_path: Path) -> None:
    one, two = drive(tmp_path / "one", ("00", "01")), drive(tmp_path / "two", ("00",), (22, 15))
    np.random.default_rng(1).random((100, 4)).astype("<f4").tofile(two / "sequences/00/velodyne/000000.bin")
    merge([one], tmp_path / "c", ["semantickitti"])
    with pytest.raises(PcaugError, match="a cut is made for all sources at once"):
        merge([two], tmp_path / "c", ["semanticposs"], append=True, coarse="cut")
    merge([two], tmp_path / "c", ["semanticposs"], append=True)
    assert Corpus.open(tmp_path / "c").units == ["00", "01", "semanticposs-00"]
    for root, scan in ((one, "000001"), (two, "000002")):  # more of both drives
        for kind, suffix in (("velodyne", "bin"), ("labels", "label")):
            home = root / "sequences/00" / kind
            data = np.frombuffer((home / f"000000.{suffix}").read_bytes(), "<u4")[::-1]
            data.tofile(home / f"{scan}.{suffix}")
    merge([one, two], tmp_path / "c", ["semantickitti", "semanticposs"], append=True)
    corpus = Corpus.open(tmp_path / "c")
    assert corpus.units == ["00", "01", "semanticposs-00"]
    assert [corpus.only(units=[unit]).points for unit in corpus.units] == [200, 100, 200]


@pytest.mark.parametrize("append", [True, False])
def test_more_scans_of_a_drive_stay_in_its_split(tmp_path: Path, append: bool) -> None:
    names = ("00", "01", "02", "03")
    merge([drive(tmp_path / "one", names)], tmp_path / "c", ["semantickitti"], split="0.5/0.5")
    before = Corpus.open(tmp_path / "c")
    home = drive(tmp_path / "two", (*names, "04"))
    for path in home.glob("sequences/*/velodyne/*.bin"):
        np.random.default_rng(int(path.parts[-3])).random((100, 4)).astype("<f4").tofile(path)
    if append:
        merge([home], tmp_path / "c", ["semantickitti"], append=True)
    else:
        merge([tmp_path / "c", home], tmp_path / "all", [None, "semantickitti"])
    corpus = Corpus.open(tmp_path / ("c" if append else "all"))
    assert leak(corpus) == np.inf
    for split in ("train", "test"):
        units = set(before.only(split=split).units)
        assert set(corpus.only(split=split).units) == units | ({"04"} if split == "train" else set())


def test_a_corpus_is_not_made_within_its_source_nor_around_it(tmp_path: Path) -> None:
    drive(tmp_path / "set")
    merge([tmp_path / "set"], tmp_path / "c")
    for source, target in (("set", "set/inner"), ("set/sequences", "set"), ("c", "c/inner")):
        with pytest.raises(PcaugError, match="lies in the source"):
            merge([tmp_path / source], tmp_path / target, force=True)
    assert merge([tmp_path / "c"], tmp_path / "c", force=True).points == 300  # in its own place, anew


def test_maps_that_a_split_does_not_know_are_not_added_to_it(tmp_path: Path) -> None:
    one, two = tile(tmp_path / "a.las"), tile(tmp_path / "b.las", seed=1)
    merge([one], tmp_path / "c", split=Split("0.5/0.5", block=30.0, buffer=0.0))
    with pytest.raises(PcaugError, match="made for all sources at once"):
        merge([two], tmp_path / "c", append=True)
    with pytest.raises(PcaugError, match="some sources are split and others are not"):
        merge([tmp_path / "c", two], tmp_path / "both")
    merge([tmp_path / "c", two], tmp_path / "both", split=Split("0.5/0.5", block=30.0, buffer=5.0))
    assert leak(Corpus.open(tmp_path / "both")) >= 5


def test_leak_takes_points_without_a_split_for_training(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "c", frame="sensor") as writer:
        writer.add(make_cloud(5), "a", "u", None)
        writer.add(make_cloud(5), "b", "u", "test")
    assert leak(Corpus.open(tmp_path / "c")) == 0


def test_composed_scenes_are_not_appended_twice(tmp_path: Path) -> None:
    for seed in range(2):
        with CorpusWriter(tmp_path / f"s{seed}", kind="synthetic", frame="sensor") as writer:
            writer.source(SourceRow(path="street"))
            for index in range(2):
                cloud = make_cloud(50, seed=2 * seed + index, label=np.full(50, 1, np.uint16))
                writer.add(cloud, f"street-{index}", f"street-{index}")
    merge([tmp_path / "s0"], tmp_path / "c")
    with pytest.raises(PcaugError, match="nothing to append"):
        merge([tmp_path / "s0"], tmp_path / "c", append=True)
    report = merge([tmp_path / "s0", tmp_path / "s1"], tmp_path / "c", append=True)
    assert "2 sources in it already" in report.notes[0]
    assert Corpus.open(tmp_path / "c").points == 200


def test_clouds_that_were_made_of_scans_are_appended_to_them_once(tmp_path: Path) -> None:
    for kind in ("real", "synthetic"):
        with CorpusWriter(tmp_path / kind, kind=kind, frame="sensor") as writer:
            writer.source(SourceRow(path="00.bin", sha256="ab"))
            writer.add(make_cloud(50, seed=1, label=np.full(50, 1, np.uint16)), "00", "00")
    merge([tmp_path / "real"], tmp_path / "c")
    merge([tmp_path / "synthetic"], tmp_path / "c", append=True)
    assert [tile.kind for tile in Corpus.open(tmp_path / "c").tiles] == ["real", "synthetic"]
    with pytest.raises(PcaugError, match="nothing to append"):
        merge([tmp_path / "real", tmp_path / "synthetic"], tmp_path / "c", append=True)


def test_further_copies_are_appended_and_the_same_ones_are_not(tmp_path: Path) -> None:
    merge([drive(tmp_path / "real")], tmp_path / "c", ["semantickitti"])
    for seed in (0, 1):
        noisy = AugmentRecipe(name="noisy", step=({"name": "jitter"},))
        augment_corpus(noisy, Corpus.open(tmp_path / "c"), tmp_path / f"a{seed}", seed)
    files = {row.sha256 for row in Corpus.open(tmp_path / "c").sources}
    assert {row.sha256 for row in Corpus.open(tmp_path / "a0").common_sources} == files  # what they were made of is known
    merge([tmp_path / "c", tmp_path / "a0"], tmp_path / "both")
    report = merge([tmp_path / "a0", tmp_path / "a1"], tmp_path / "both", append=True)
    assert report.points == 900
    assert "3 sources in it already, left out" in report.notes
    with pytest.raises(PcaugError, match="has all these sources already"):
        merge([tmp_path / "a0", tmp_path / "a1"], tmp_path / "both", append=True)


def test_files_of_one_name_are_units_of_their_own(tmp_path: Path) -> None:
    for year in ("2019", "2021"):
        tile(tmp_path / "set" / year / "tile.las", seed=int(year))
    merge([tmp_path / "set"], tmp_path / "c")
    assert Corpus.open(tmp_path / "c").units == ["2019_tile", "2021_tile"]


def test_the_same_source_is_not_taken_twice(tmp_path: Path) -> None:
    path = tile(tmp_path / "a.las")
    with pytest.raises(PcaugError, match="named twice"):
        merge([path, tmp_path / "." / "a.las"], tmp_path / "c")
    (tmp_path / "b.las").write_bytes(path.read_bytes())
    report = merge([path, tmp_path / "b.las"], tmp_path / "c")
    assert any("the same file is in 2 times" in note for note in report.notes)


def test_one_scan_in_two_splits_is_told(tmp_path: Path) -> None:
    home = drive(tmp_path / "set")
    shutil.copytree(home / "sequences/00", home / "sequences/44")
    reports = [merge([home], tmp_path / f"c{seed}", split=Split("0.5/0.25/0.25", seed=seed)) for seed in range(4)]
    parted = [leak(Corpus.open(tmp_path / f"c{seed}")) == 0 for seed in range(4)]
    assert any(parted)
    for seed, report in enumerate(reports):
        split_of = {tile.unit: tile.split for tile in Corpus.open(tmp_path / f"c{seed}").tiles}
        told = [note for note in report.notes if "the same file is in 2 times, in " in note and "is known" in note]
        assert bool(told) == (split_of["00"] != split_of["44"])


def test_maps_among_scans_are_told(tmp_path: Path) -> None:
    told = "1 map among scans with an origin of their own"
    assert any(told in note for note in merge([drive(tmp_path / "set"), tile(tmp_path / "a.las")], tmp_path / "c").notes)
    assert not any("among scans" in note for note in merge([tmp_path / "a.las"], tmp_path / "map").notes)
    assert not any("among scans" in note for note in merge([tmp_path / "set"], tmp_path / "scans").notes)


def test_a_source_without_a_crs_takes_that_of_the_others(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    for number, crs in enumerate(["EPSG:25832", None, "EPSG:25832"]):
        tile(folder / f"{number}.las", seed=number, crs=crs)
    merge([folder], tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")
    assert {cloud.crs for cloud in corpus.clouds()} == {corpus.manifest.crs}


def test_scans_and_maps_together_keep_their_own_tiling(tmp_path: Path) -> None:
    merge([drive(tmp_path / "set"), tile(tmp_path / "a.las")], tmp_path / "c", tile=30.0)
    corpus = Corpus.open(tmp_path / "c")
    assert corpus.manifest.frame == "sensor"
    assert [t.points for t in corpus.tiles[:3]] == [100] * 3
    assert len(corpus.tiles) == 3 + 9
    with pytest.raises(PcaugError, match="cannot be split by shares together"):
        merge([tmp_path / "set", tmp_path / "a.las"], tmp_path / "d", split="0.5/0.5")


def test_synthetic_and_real_count_alike_in_a_merged_corpus(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "synthetic", kind="synthetic", frame="sensor") as writer:
        writer.source(SourceRow(path="street", licence="made by pcaug"))
        writer.add(make_cloud(100), "s", "street-00000")
    merge((path for path in (drive(tmp_path / "real"), tmp_path / "synthetic")), tmp_path / "both")
    corpus = Corpus.open(tmp_path / "both")
    assert [t.kind for t in corpus.tiles] == ["real"] * 3 + ["synthetic"]
    assert corpus.used_nodes == {0, 7, 21} | {0, 1, 2, 5, 7, 21}


@pytest.mark.parametrize("frame", ["sensor", "map"])
def test_shares_are_of_real_data_and_composed_scenes_are_trained_on(tmp_path: Path, frame: Literal["sensor", "map"]) -> None:
    with CorpusWriter(tmp_path / "composed", kind="synthetic", frame=frame) as writer:
        for index in range(6):
            writer.add(make_cloud(100, seed=index), f"s{index}", f"street-{index}")
    real, card = (drive(tmp_path / "real"), "semantickitti") if frame == "sensor" else (tile(tmp_path / "a.las"), "las")
    report = merge([real, tmp_path / "composed"], tmp_path / "both", [card, None], split=Split("0.4/0.3/0.3", block=30.0))
    corpus = Corpus.open(tmp_path / "both")
    for split in ("val", "test"):
        assert {t.kind for t in corpus.only(split=split).tiles} == {"real"}
    composed = [t for t in corpus.tiles if t.kind == "synthetic"]
    assert sum(t.points for t in composed) == 600
    assert {t.split for t in composed} == {"train"}
    assert any(t.kind == "real" and t.split == "train" for t in corpus.tiles)
    assert "6 synthetic clouds went to train: shares are those of real data" in report.notes


def test_what_was_made_of_a_real_scan_lies_where_its_drive_does(tmp_path: Path) -> None:
    merge([drive(tmp_path / "real")], tmp_path / "c", ["semantickitti"])
    whole = Corpus.open(tmp_path / "c")
    with CorpusWriter(tmp_path / "copies", kind="synthetic", frame="sensor") as writer:
        for t in whole.tiles:
            writer.source(whole.manifest.sources[t.source])
            writer.add(whole.read(t), f"{t.name}-copy", t.unit)
    merge([tmp_path / "c", tmp_path / "copies"], tmp_path / "both", split="0.4/0.3/0.3")
    corpus = Corpus.open(tmp_path / "both")
    assert leak(corpus) == leak(corpus, "train", "val") == np.inf
    assert len(corpus.only(split="test").tiles) == 2


def test_what_was_mixed_before_it_was_split_comes_into_no_split(tmp_path: Path) -> None:
    merge([drive(tmp_path / "real")], tmp_path / "c", ["semantickitti"])
    merge([tmp_path / "c"], tmp_path / "split", split="0.4/0.3/0.3")
    augment_corpus(load_recipe("spinning"), Corpus.open(tmp_path / "c"), tmp_path / "mixed", 0)
    merge([tmp_path / "c", tmp_path / "mixed"], tmp_path / "pool")  # which nobody can be tested on, and it knows
    stray = pytest.raises(PcaugError, match=r"was mixed or moved before it was split.*split the real data first")
    with stray:
        merge([tmp_path / "c", tmp_path / "mixed"], tmp_path / "both", split="0.4/0.3/0.3")
    for source in ("mixed", "pool"):
        with stray:
            merge([tmp_path / source], tmp_path / "both", split="0.4/0.3/0.3")
        with stray:
            merge([tmp_path / "split", tmp_path / source], tmp_path / "both")
        with stray:
            merge([tmp_path / source], tmp_path / "split", append=True)
    merge([drive(tmp_path / "more", ("05", "06", "07", "09", "10"))], tmp_path / "apart", ["semantickitti"], split="0.5/0.5")
    with stray:
        merge([tmp_path / "apart"], tmp_path / "pool", append=True)
    assert not (tmp_path / "both").exists()
    augment_corpus(load_recipe("spinning"), Corpus.open(tmp_path / "split"), tmp_path / "after", 0)
    merge([tmp_path / "split", tmp_path / "after"], tmp_path / "both")
    assert leak(Corpus.open(tmp_path / "both")) == np.inf
    assert {t.split for t in Corpus.open(tmp_path / "both").tiles} == {"train", "val", "test"}


def test_moved_copies_of_a_map_are_not_split_by_where_they_were_moved_to(tmp_path: Path) -> None:
    merge([tile(tmp_path / "a.las")], tmp_path / "c", ["las"])
    augment_corpus(AugmentRecipe(name="turned", step=({"name": "rotate_z"},)), Corpus.open(tmp_path / "c"), tmp_path / "moved", 0)
    with pytest.raises(PcaugError, match="was mixed or moved before it was split"):
        merge([tmp_path / "c", tmp_path / "moved"], tmp_path / "both", split=Split("0.5/0.5", block=30.0))


def test_copies_of_a_drive_share_its_official_split(tmp_path: Path) -> None:
    merge([drive(tmp_path / "real")], tmp_path / "c", ["semantickitti"])
    augment_corpus(AugmentRecipe(name="noisy", step=({"name": "jitter"},)), Corpus.open(tmp_path / "c"), tmp_path / "noisy", 0)
    merge([tmp_path / "real", tmp_path / "noisy"], tmp_path / "both", ["semantickitti", None], split="official")
    splits = {(t.unit, t.split) for t in Corpus.open(tmp_path / "both").tiles}
    assert splits == {("00", "train"), ("08", "val"), ("11", "test")}


def test_sources_that_split_a_drive_otherwise_are_not_merged(tmp_path: Path) -> None:
    home = drive(tmp_path / "real", ("00", "01", "02", "03"))
    for seed in (0, 3):
        merge([home], tmp_path / f"s{seed}", ["semantickitti"], split=Split("0.5/0.5", seed=seed))
    assert Corpus.open(tmp_path / "s0").only(split="test").units != Corpus.open(tmp_path / "s3").only(split="test").units
    with pytest.raises(PcaugError, match=r"has unit 0\d in two splits: .* in .*s0.* in .*s3"):
        merge([tmp_path / "s0", tmp_path / "s3"], tmp_path / "both")
    merge([tmp_path / "s0", tmp_path / "s3"], tmp_path / "both", split="0.5/0.5")
    assert leak(Corpus.open(tmp_path / "both")) == np.inf


def test_copies_of_own_labelled_files_are_no_composed_scenes(tmp_path: Path) -> None:
    files = [tmp_path / f"f{number}.ply" for number in range(4)]
    for number, path in enumerate(files):
        formats.write(path, make_cloud(100, seed=number))
    merge(files, tmp_path / "c")
    whole = Corpus.open(tmp_path / "c")
    with CorpusWriter(tmp_path / "copies", kind="synthetic") as writer:
        for t in whole.tiles:
            writer.source(whole.manifest.sources[t.source])
            writer.add(whole.read(t), f"{t.name}-copy", t.unit)
    report = merge([*files, tmp_path / "copies"], tmp_path / "both", split=Split("0.5/0.5", block=3.0))
    assert not [note for note in report.notes if "synthetic" in note]
    assert leak(Corpus.open(tmp_path / "both")) >= 2


def test_the_cut_of_a_file_with_labels_of_its_own_is_of_those_that_it_has(tmp_path: Path) -> None:
    cloud = make_cloud(90).with_fields(TREE, label=np.repeat([TREE.id("vehicle"), TREE.id("ground"), TREE.id("building")], 30))
    formats.write(tmp_path / "a.ply", cloud)
    merge([tmp_path / "a.ply"], tmp_path / "c", coarse="cut")
    assert Corpus.open(tmp_path / "c").counts() == {"vehicle": 30, "ground": 30, "building": 30}


def test_composed_scenes_alone_are_split_by_shares(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "composed", kind="synthetic", frame="sensor") as writer:
        for index in range(6):
            writer.add(make_cloud(100, seed=index), f"s{index}", f"street-{index}")
    merge([tmp_path / "composed"], tmp_path / "c", split="0.5/0.5")
    assert Corpus.open(tmp_path / "c").split_points == {"train": 300, "test": 300}


def test_feet_come_out_as_metres_and_say_so(tmp_path: Path) -> None:
    path = tile(tmp_path / "a.las", crs="EPSG:6880", at=4_000_000.0)
    before = laspy.read(path)
    convert(path, tmp_path / "corpus")
    for made in ("card.las", "corpus.las"):
        convert(path if made == "card.las" else tmp_path / "corpus", tmp_path / made, "las" if made == "card.las" else None)
        after = laspy.read(tmp_path / made)
        apart, same = cKDTree(before.xyz * FOOT).query(after.xyz)
        assert apart.max() < 1e-3
        assert sorted(same) == list(range(900))
        np.testing.assert_array_equal(np.asarray(before.classification)[same], np.asarray(after.classification))
        crs = after.header.parse_crs()
        assert {axis.unit_name for axis in crs.axis_info} == {"metre"}
    convert(path, tmp_path / "same.las")  # without a card nothing is touched
    assert laspy.read(tmp_path / "same.las").points.array.tobytes() == before.points.array.tobytes()


def test_sources_without_a_crs_are_pointed_out(tmp_path: Path) -> None:
    report = merge([tile(tmp_path / "a.las", crs="EPSG:2154"), tile(tmp_path / "b.las", seed=1)], tmp_path / "c")
    assert any("without a CRS" in note and "b.las" in note for note in report.notes)
    with pytest.raises(PcaugError, match="another CRS"):
        merge([tmp_path / "a.las", tile(tmp_path / "d.las", crs="EPSG:32631")], tmp_path / "e")
    assert not (tmp_path / "e").exists()


def test_files_that_gave_no_point_are_pointed_out(tmp_path: Path) -> None:
    root = drive(tmp_path / "kitti")
    for name in ("velodyne/000000.bin", "labels/000000.label"):
        (root / "sequences" / "08" / name).write_bytes(b"")  # a download that ended at once
    report = merge([root], tmp_path / "c", ("semantickitti",))
    assert report.points == 200
    assert any("1 source gave no point" in note and "08" in note for note in report.notes)


@pytest.mark.parametrize("buffer", [0.0, 2.0, 7.5])
def test_leak_is_the_true_distance_and_never_below_the_buffer(tmp_path: Path, buffer: float) -> None:
    convert(tile(tmp_path / "a.las", 4000), tmp_path / "c", split=Split("0.5/0.2/0.3", block=15.0, buffer=buffer), tile=20.0)
    corpus = Corpus.open(tmp_path / "c")
    for a, b in (("train", "test"), ("train", "val"), ("val", "test")):
        one, two = (np.concatenate([c.xyz[:, :2] for c in corpus.clouds(s)]) for s in (a, b))
        assert leak(corpus, a, b) == pytest.approx(cKDTree(one).query(two)[0].min())
        assert leak(corpus, a, b) >= buffer
    assert leak(corpus, "train", "nothing") == np.inf


@pytest.mark.filterwarnings("ignore:.*follows the decimal point")
@pytest.mark.parametrize("suffix", [".ply", ".laz", ".parquet", ".txt"])
def test_sources_of_several_kinds_become_one_file(tmp_path: Path, suffix: str) -> None:
    """Intensity is a float in one and 16 bits in the other; only one has return numbers and colours."""
    rgb = np.arange(60, dtype=np.uint16).reshape(20, 3)
    cloud = make_cloud(20, labelled=False, rgb=rgb, native_label=np.full(20, 6, np.int32))
    formats.write(tmp_path / "b.las", cloud)
    merge([drive(tmp_path / "set"), tile(tmp_path / "a.las"), tmp_path / "b.las"], tmp_path / "c")
    corpus = Corpus.open(tmp_path / "c")
    assert corpus.fields(corpus.tiles[-1])["rgb"] == np.uint16
    report = convert(tmp_path / "c", tmp_path / f"one{suffix}")
    told = [note.removeprefix("not every source has ").split(": ") for note in report.notes if "not every source has" in note]
    assert {"return_number", "rgb"} <= {name for names, _ in told for name in names.split(", ")}
    back = formats.read(tmp_path / f"one{suffix}")
    for names, what in told:
        assert {name in back for name in names.split(", ")} == {what != "left out"}
    assert len(back) == report.points == corpus.points == 300 + 900 + 20
    assert catalogue.taxonomy().counts(back["label"]) == corpus.counts()
    np.testing.assert_allclose(back.xyz, np.concatenate([c.xyz for c in corpus.clouds()]), rtol=0, atol=6e-4)


def test_a_guessed_card_says_how_to_read_and_leaves_the_rest_alone(tmp_path: Path) -> None:
    path = tmp_path / "part.xyz_label_conf"
    path.write_text("# a comment\n1 2 3 1203 1\n4 5 6 1400 1\n")
    convert(path, tmp_path / "a.ply")
    back = formats.read(tmp_path / "a.ply")
    assert back["native_label"].tolist() == [1203, 1400]
    assert "label" not in back


def test_leak_of_scans_goes_by_units(tmp_path: Path) -> None:
    def corpus(name: str, units: tuple[str, str]) -> Corpus:
        with CorpusWriter(tmp_path / name, frame="sensor") as writer:
            writer.add(make_cloud(5), "a", units[0], "train")
            writer.add(make_cloud(5), "b", units[1], "test")
        return Corpus.open(tmp_path / name)

    assert leak(corpus("one", ("u", "u"))) == 0
    assert leak(corpus("two", ("u", "v"))) == np.inf


def test_a_query_for_classes_needs_no_label_field(tmp_path: Path) -> None:
    convert(tile(tmp_path / "a.las"), tmp_path / "c")
    box = ([0, 0], [90, 90])
    (found,) = Corpus.open(tmp_path / "c").query(box, ["building"], fields=["intensity"])
    assert set(found.fields) == {"intensity"}
    assert len(found) == Corpus.open(tmp_path / "c").counts()["building"]


def test_licences_are_carried_and_the_strict_ones_said(tmp_path: Path) -> None:
    cloud = make_cloud(50, labelled=False)
    native = {"class": np.full(50, 2, np.int32)}
    path = tmp_path / "training_10_classes" / "Paris.ply"
    formats.write(path, PointCloud(cloud.xyz, native))
    report = merge([path, drive(tmp_path / "set")], tmp_path / "c")
    assert any("parislille3d: no derivatives" in note for note in report.notes)
    assert any("non-commercial" in note for note in report.notes)
    assert summary(tmp_path / "c")["licences"] == ["CC BY-NC-ND 3.0", "CC BY-NC-SA 4.0"]


def test_licences_that_hold_for_all_of_a_corpus_hold_for_what_it_is_merged_into(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "mixed", frame="sensor") as writer:  # as augment writes clouds that were mixed with donors
        writer.source(SourceRow(path="own.bin", licence="CC0-1.0"))
        writer.add(make_cloud(50), "a", "u")
        writer.source(SourceRow(path="donors.bin", licence="CC BY-NC-SA 4.0", flags=("nc",)))
    report = merge([tmp_path / "mixed", drive(tmp_path / "set")], tmp_path / "c")
    assert Corpus.open(tmp_path / "c").only(units=["u"]).licences == ["CC BY-NC-SA 4.0", "CC0-1.0"]
    assert not any("gave no point" in note for note in report.notes)


def test_files_that_a_card_does_not_know_are_pointed_out(tmp_path: Path) -> None:
    drive(tmp_path / "set")
    shutil.copy(tmp_path / "set" / "sequences" / "00" / "velodyne" / "000000.bin", tmp_path / "set" / "stray.bin")
    with pytest.warns(UserWarning, match=r"what does not lie as the card semantickitti says \(1 file: stray.bin\)"):
        merge([tmp_path / "set"], tmp_path / "c", ["semantickitti"])
    assert len(Corpus.open(tmp_path / "c").tiles) == 3


def test_some_scans_of_each_drive_are_taken_from_all_along_it(tmp_path: Path) -> None:
    root = drive(tmp_path / "set", ("00", "08"))
    for kind in ("velodyne", "labels"):
        (first,) = (root / "sequences" / "00" / kind).iterdir()
        for number in range(1, 7):
            shutil.copy(first, first.with_name(f"{number:06d}{first.suffix}"))
    merge([root], tmp_path / "c", scans=3)
    names = [tile.name.removeprefix("sequences_") for tile in Corpus.open(tmp_path / "c").tiles]
    assert names == ["00_velodyne_000000", "00_velodyne_000003", "00_velodyne_000006", "08_velodyne_000000"]
    merge([tmp_path / "c"], tmp_path / "fewer", scans=1)
    assert len(Corpus.open(tmp_path / "fewer").tiles) == 2
    merge([tile(tmp_path / "a.las")], tmp_path / "map", ["las"], tile=30.0)
    merge([tmp_path / "map"], tmp_path / "whole", scans=1)
    assert Corpus.open(tmp_path / "whole").points == 900
    with pytest.raises(PcaugError, match="--scans and --unique need a corpus"):
        convert(root, tmp_path / "all.ply", scans=1)


def test_scans_with_origins_of_their_own_in_one_file_are_pointed_out(tmp_path: Path) -> None:
    report = convert(drive(tmp_path / "set"), tmp_path / "all.ply")
    assert report.notes == ("3 scans, each with an origin of its own, lie on one another: a corpus keeps them apart",)
    assert convert([tile(tmp_path / "a.las"), tile(tmp_path / "b.las", seed=1)], tmp_path / "both.las").notes == ()


def test_the_commands_speak_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tile(tmp_path / "a.las")
    before = json.loads(run(capsys, "info", path, "--json")[0])
    assert {"points", "bounds", "fields", "crs", "classes"} <= set(before)
    assert set(before["classes"]) == {"ground", "high_vegetation", "building"}
    made = json.loads(run(capsys, "convert", path, tmp_path / "c", "--split", "0.6/0.4", "--block", "20", "--json")[0])
    assert made["points"] == before["points"] == 900
    split = ("--split", "0.6/0.3/0.1", "--block", "20")
    two = (tmp_path / "c", tile(tmp_path / "b.las", seed=2))
    merged = json.loads(run(capsys, "merge", *two, "-o", tmp_path / "m", *split, "--json")[0])
    assert 0 < merged["points"] <= 1800
    assert list(merged["splits"]) == ["train", "val", "test", "buffer"]
    assert sum(merged["splits"].values()) == merged["points"]
    both = json.loads(run(capsys, "info", tmp_path / "c", tmp_path / "m", "--json")[0])
    assert [item["points"] for item in both] == [900, merged["points"]]
    assert sum(both[0]["splits"].values()) == 900
    cards = json.loads(run(capsys, "datasets", "--json")[0])
    assert {"las", "semantickitti", "synthcity"} <= {card["name"] for card in cards}
    assert json.loads(run(capsys, "datasets", "oakland", "--json")[0])["classes"]["1203"]["node"] == "road"


def test_the_commands_print_tables_and_notes_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drive(tmp_path / "[bold]set")
    out, err = run(capsys, "convert", tmp_path / "[bold]set", tmp_path / "c")
    assert "300 points" in out
    assert "non-commercial" in err
    out, _ = run(capsys, "info", tmp_path / "c")
    assert "building" in out
    out, _ = run(capsys, "datasets")
    assert len(out.splitlines()) == len(json.loads(run(capsys, "datasets", "--json")[0])) + 1
    out, _ = run(capsys, "datasets", "semantic3d")
    assert "natural-terrain" in out


def test_mistakes_are_one_line_and_leave_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tile(tmp_path / "a.las")
    there = sorted(p.name for p in tmp_path.iterdir())
    for words in (
        ("convert", path, tmp_path / "c", "--split", "0.9/0.9"),
        ("convert", path, tmp_path / "c.las", "--split", "0.5/0.5"),
        ("convert", path, tmp_path / "c", "--card", "semantickiti"),
        ("convert", tmp_path / "b.las", tmp_path / "c"),
        ("merge", path, path, "-o", tmp_path / "c"),
        ("merge", path, "-o", tmp_path / "c", "--card", "las", "--card", "ahn"),
        ("info", tmp_path / "nowhere"),
        ("datasets", "oaklnd"),
    ):
        _, err = run(capsys, *words, code=1)
        lines = [line for line in err.splitlines() if line.strip()]
        assert len(lines) == 1, err
        assert lines[0].startswith("pcaug: error: ")
    assert sorted(p.name for p in tmp_path.iterdir()) == there


@needs_real
@pytest.mark.parametrize(
    ("path", "card", "suffix"),
    [
        ("semantickitti", "semantickitti", ".bin"),
        ("oakland", None, ".txt"),
        ("ign-lidarhd/dense", "lidarhd", ".laz"),
        ("ign-lidarhd/decimated", "lidarhd", ".laz"),
        ("ahn3", "ahn", ".laz"),
        ("pandaset", None, ".parquet"),  # its own pickles are only read
    ],
)
def test_real_datasets_keep_every_count_there_and_back(tmp_path: Path, path: str, card: str | None, suffix: str) -> None:
    before = summary(SHARED / path, card)
    convert(SHARED / path, tmp_path / "c", card, split=Split(None if path == "pandaset" else "0.7/0.3", block=25.0))
    corpus, after = Corpus.open(tmp_path / "c"), summary(tmp_path / "c")
    assert (after["points"], after["classes"]) == (before["points"], before["common"])
    assert path == "pandaset" or leak(corpus) >= 2.0
    export(corpus, tmp_path / "back", suffix, card if suffix == ".bin" else None)
    again = merge([tmp_path / "back"], tmp_path / "again", [card] if suffix == ".bin" else [])
    assert again.points == corpus.points
    assert Corpus.open(tmp_path / "again").counts() == corpus.counts()


def test_a_corpus_is_reprojected_into_another(tmp_path: Path) -> None:
    merge([tile(tmp_path / "a.las", crs="EPSG:25832", at=500_000.0)], tmp_path / "one")
    merge([tmp_path / "one"], tmp_path / "two", steps=Steps(crs="EPSG:25833"))
    before, after = Corpus.open(tmp_path / "one"), Corpus.open(tmp_path / "two")
    assert after.points == before.points
    assert CRS.from_user_input(after.manifest.crs).to_epsg() == 25833


def test_scans_keep_points_that_others_have_at_the_same_place(tmp_path: Path) -> None:
    for seed in range(2):
        with CorpusWriter(tmp_path / f"s{seed}", frame="sensor") as writer:
            xyz = np.vstack([np.zeros((5, 3)), np.random.default_rng(seed).uniform(1, 9, (50, 3))])
            label = np.full(len(xyz), TREE.id("road"), np.uint16)
            writer.add(PointCloud(xyz, {"label": label}, TREE), f"s{seed}", f"s{seed}")
    merge([tmp_path / "s0", tmp_path / "s1"], tmp_path / "both", unique=True)
    assert [tile.points for tile in Corpus.open(tmp_path / "both").tiles] == [51, 51]


def test_a_split_without_points_is_told(tmp_path: Path) -> None:
    report = merge([tile(tmp_path / "a.las", crs="EPSG:25832")], tmp_path / "c", split=Split("0.7/0.1/0.2", buffer=500.0))
    missing = [name for name in ("train", "val", "test") if name not in Corpus.open(tmp_path / "c").splits]
    assert missing
    assert any(f"no point is in the split {' or '.join(missing)}" in note for note in report.notes)


def test_units_that_cannot_meet_the_shares_are_told(tmp_path: Path) -> None:
    few = merge([drive(tmp_path / "three")], tmp_path / "c", ["semantickitti"], split="0.8/0.1/0.1")
    assert "3 units cannot be shared as asked for, since each stays whole: train 1, val 1, test 1" in few.notes
    names = tuple(f"{number:02}" for number in range(10))
    many = merge([drive(tmp_path / "ten", names)], tmp_path / "d", ["semantickitti"], split="0.8/0.1/0.1")
    assert not [note for note in many.notes if "shared" in note]


def test_blocks_that_cannot_meet_the_shares_are_told(tmp_path: Path) -> None:
    one = tile(tmp_path / "a.las", crs="EPSG:25832")  # 90 m
    few = merge([one], tmp_path / "c", ["las"], split=Split("0.9/0/0.1", block=45.0, buffer=0.0))
    points = Corpus.open(tmp_path / "c").split_points
    train, test = (round(100 * points[name] / sum(points.values())) for name in ("train", "test"))
    assert train < 80
    assert any(f"each stays whole: train {train} %, test {test} %" in note for note in few.notes)
    many = merge([one], tmp_path / "d", ["las"], split=Split("0.9/0/0.1", block=5.0, buffer=0.0))
    assert not [note for note in many.notes if "shared" in note]


def test_a_card_that_nobody_named_is_told_and_not_added_to_another(tmp_path: Path) -> None:
    one, two = (tile(tmp_path / f"{seed}.las", seed=seed, crs="EPSG:25832") for seed in (0, 1))
    report = merge([one], tmp_path / "guessed")
    assert any("read by the card las; --card for another: " in note and "lidarhd" in note for note in report.notes)
    report = merge([one], tmp_path / "named", ["lidarhd"])
    assert not [note for note in report.notes if "read by" in note]
    with pytest.raises(
        PcaugError, match=r"read by the card lidarhd, and what is added would be by las.*--card lidarhd, or --card las"
    ):
        merge([two], tmp_path / "named", append=True)
    merge([two], tmp_path / "named", ["las"], append=True)
    assert {source.card for source in Corpus.open(tmp_path / "named").manifest.sources} == {"las", "lidarhd"}


def test_a_file_merge_counts_the_unknown_ids_of_a_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = np.r_[np.full(50, 2), np.full(30, 77), np.full(20, 78)].astype(np.int32)
    formats.write(tmp_path / "a.ply", PointCloud(np.zeros((100, 3)), {"native_label": ids}))
    monkeypatch.setattr("pcaug.formats.CHUNK", 60)
    with pytest.raises(UnmappedLabels) as caught:
        convert([tmp_path / "a.ply"], tmp_path / "b.ply", "las")
    assert caught.value.counts == {77: 30, 78: 20}
    assert not (tmp_path / "b.ply").exists()


def test_scans_without_class_ids_are_taken_when_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "scans" / "a.ply"
    formats.write(path, make_cloud(30, labelled=False))
    home = drive(tmp_path / "set")
    for labels in home.rglob("*.label"):
        labels.unlink()
    for source, card in ((path.parent, None), (home, "semantickitti")):
        with pytest.raises(PcaugError, match=r"has no (class ids|labels).* --unlabelled"):
            merge([source], tmp_path / "c", [card])
        report = merge([source], tmp_path / "c", [card], steps=Steps(unlabelled=True))
        corpus = Corpus.open(tmp_path / "c")
        assert corpus.counts() == {"ignore": report.points}
        assert any("no point has a class" in note for note in report.notes)
        shutil.rmtree(tmp_path / "c")


def test_worlds_of_another_seed_are_other_units(tmp_path: Path) -> None:
    for seed in (0, 7):
        made_by = {"recipe": {}, "seed": seed}
        with CorpusWriter(tmp_path / f"s{seed}", kind="synthetic", frame="map", made_by=made_by) as writer:
            writer.source(SourceRow(path="town"))
            writer.add(make_cloud(50, seed=seed), "town-00000", "town-00000")
    merge([tmp_path / "s0", tmp_path / "s7"], tmp_path / "c")
    assert len(Corpus.open(tmp_path / "c").units) == 2
    merge([tmp_path / "s7"], tmp_path / "alone")
    assert Corpus.open(tmp_path / "alone").units == ["town-00000"]


def test_other_point_files_in_a_folder_are_told(tmp_path: Path) -> None:
    tile(tmp_path / "mix" / "a.las")
    formats.write(tmp_path / "mix" / "b.ply", make_cloud(5))
    with pytest.warns(UserWarning, match=r"what does not lie as the card las says \(1 file: b.ply\)"):
        merge([tmp_path / "mix"], tmp_path / "c", ["las"])


def test_info_of_a_folder_tells_what_it_cannot_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formats.write(tmp_path / "in" / "a.ply", make_cloud(30))
    (tmp_path / "in" / "b.ply").write_bytes(b"ply\nformat nonsense\n")
    found = summary(tmp_path / "in")
    assert (found["points"], list(found["unread"])) == (30, [str(tmp_path / "in" / "b.ply")])
    out, err = run(capsys, "info", tmp_path / "in", code=1)
    assert "30 in 1 scan " in out
    assert err.startswith("pcaug: error: ")
    assert str(tmp_path / "in" / "b.ply") in err
    with pytest.raises(FileError):
        summary(tmp_path / "in" / "b.ply")


def test_points_near_each_other_are_no_repeats(tmp_path: Path) -> None:
    xyz = np.column_stack([np.arange(50) * 0.002, np.zeros(50), np.zeros(50)])
    formats.write(tmp_path / "a.ply", PointCloud(xyz, {"label": np.ones(50, np.uint16)}, TREE))
    formats.write(tmp_path / "b.ply", PointCloud(xyz[:20], {"label": np.ones(20, np.uint16)}, TREE))
    assert merge([tmp_path / "a.ply", tmp_path / "b.ply"], tmp_path / "c", unique=True).points == 50


def test_a_sample_of_places_estimates_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud = make_cloud(4000)
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(cloud, "a", "a")
        writer.add(cloud.take(slice(0, 2000)), "b", "b")
    corpus = Corpus.open(tmp_path / "c")
    assert duplicates.repeats(corpus.folder, corpus.tiles) == 2000
    monkeypatch.setattr(duplicates, "HELD", 1000)
    assert duplicates.repeats(corpus.folder, corpus.tiles) == pytest.approx(2000, rel=0.2)


def test_what_was_made_of_a_split_is_not_split_anew(tmp_path: Path) -> None:
    merge([drive(tmp_path / "real")], tmp_path / "c", ["semantickitti"], split="0.4/0.3/0.3")
    augment_corpus(load_recipe("spinning"), Corpus.open(tmp_path / "c"), tmp_path / "mixed", 0)
    with pytest.raises(PcaugError, match="was mixed or moved before it was split"):
        merge([tmp_path / "c", tmp_path / "mixed"], tmp_path / "both", split="0.3/0.3/0.4")


def test_a_resumed_merge_takes_the_buffer_as_it_is_now(tmp_path: Path) -> None:
    files = [tile(tmp_path / f"{i}.las", 300, seed=i) for i in range(20)]

    def stop(text: str, done: int, total: int) -> None:
        if text == "parts" and done == 1 and total > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        merge(files, tmp_path / "c", split=Split("0.5/0.5", block=30.0, buffer=0.0), progress=stop)
    merge(files, tmp_path / "c", split=Split("0.5/0.5", block=30.0, buffer=5.0))
    assert leak(Corpus.open(tmp_path / "c")) >= 5


def test_sources_that_lost_their_place_are_told(tmp_path: Path) -> None:
    place = np.array([770_000.0, 6_277_600, 0])
    near = PointCloud(make_cloud(50).xyz, {"intensity": np.arange(50)})
    formats.write(tmp_path / "far.las", PointCloud(near.xyz + place, dict(near.fields), crs="EPSG:2154"))
    formats.write(tmp_path / "near.ply", near)
    formats.write(tmp_path / "there.ply", PointCloud(near.xyz + place + (80, 0, 0), dict(near.fields)))
    for name, is_told in (("near", True), ("there", False)):
        steps = Steps(unlabelled=True)
        notes = merge([tmp_path / "far.las", tmp_path / f"{name}.ply"], tmp_path / name, steps=steps).notes
        assert any("km from the others" in note for note in notes) is is_told


def test_what_cannot_be_merged_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(PcaugError, match="no source to merge"):
        merge([], tmp_path / "c")
    for tile in (0, -1, np.nan):
        with pytest.raises(PcaugError, match=r"tiles of .* m cannot be made"):
            merge(tmp_path, tmp_path / "c", tile=tile)
    with pytest.raises(PcaugError, match="scans is 0, give a whole number of at least 1"):
        merge(tmp_path, tmp_path / "c", scans=0)


def test_files_of_one_name_are_several_units_however_they_are_given(tmp_path: Path) -> None:
    for number, drive in enumerate(("north", "south")):
        for name in ("tile_1.las", "tile_2.las")[: number + 1]:
            tile(tmp_path / "in" / drive / name)
    steps = Steps(unlabelled=True)
    merge([tmp_path / "in" / "north", tmp_path / "in" / "south"], tmp_path / "c", ["las"], steps=steps)
    merge(tmp_path / "in", tmp_path / "d", ["las"], steps=steps)
    for name in ("c", "d"):
        assert Corpus.open(tmp_path / name).units == ["north_tile_1", "south_tile_1", "tile_2"]


def test_maps_among_scans_stay_maps(tmp_path: Path) -> None:
    merge([drive(tmp_path / "set"), tile(tmp_path / "a.las")], tmp_path / "mixed", ["semantickitti", "las"], tile=40.0)
    mixed = Corpus.open(tmp_path / "mixed")
    assert {mixed.frame_of(tile) for tile in mixed.tiles if tile.unit == "a"} == {"map"}
    assert {mixed.frame_of(tile) for tile in mixed.tiles if tile.unit != "a"} == {"sensor"}
    assert not any("the same file" in note for note in merge([tmp_path / "mixed"], tmp_path / "again").notes)
    assert [tile.frame for tile in Corpus.open(tmp_path / "again").tiles] == [tile.frame for tile in mixed.tiles]
    with pytest.raises(PcaugError, match="cannot be split by shares together"):
        merge([tmp_path / "mixed"], tmp_path / "c", split=Split("0.5/0.5"))


def test_a_split_map_among_scans_does_not_leak(tmp_path: Path) -> None:
    area = tile(tmp_path / "a.las")
    merge([area], tmp_path / "map", ["las"], split=Split("0.5/0/0.5", block=30.0, buffer=0.0))
    merge([drive(tmp_path / "set")], tmp_path / "scans", ["semantickitti"], split=Split("official"))
    merge([tmp_path / "map", tmp_path / "scans"], tmp_path / "both")
    both = Corpus.open(tmp_path / "both")
    assert leak(both) == leak(Corpus.open(tmp_path / "map")) < 5
    other = tile(tmp_path / "b.las", seed=1)
    with pytest.raises(PcaugError, match="made for all sources at once"):
        merge([other], tmp_path / "both", ["las"], append=True)
    with pytest.raises(PcaugError, match="some sources are split and others are not"):
        merge([tmp_path / "both", other], tmp_path / "c", [None, "las"])


def test_a_corpus_that_changed_meanwhile_takes_no_source_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = tile(tmp_path / "a.las"), tile(tmp_path / "b.las", seed=1)
    merge([first], tmp_path / "c", ["las"])
    begun = Corpus.open(tmp_path / "c")
    merge([second], tmp_path / "c", ["las"], append=True)
    with monkeypatch.context() as patched:  # a merge that read the corpus before the other was done
        patched.setattr(merging.Corpus, "open", lambda folder: begun)
        with pytest.raises(PcaugError, match=r"changed by another process meanwhile, .*c, give the same command again"):
            merge([second], tmp_path / "c", ["las"], append=True)
    with pytest.raises(PcaugError, match="has all these sources already"):
        merge([second], tmp_path / "c", ["las"], append=True)
    assert Corpus.open(tmp_path / "c").points == 1800


def test_names_that_no_manifest_holds_are_named(tmp_path: Path) -> None:
    name = os.fsdecode(b"ok\xff.las")
    try:
        tile(tmp_path / "in" / name)
    except OSError:
        pytest.skip("this file system takes no such names")
    with pytest.raises(FileError, match="a name that is not UTF-8"):
        merge([tmp_path / "in"], tmp_path / "c", ["las"])
