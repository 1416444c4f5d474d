"""Prediction: every field and point kept, any size in the same memory, jobs that go on, and scans that look strange."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segment.builders_segment import SMALL, TREE, garden

from pcaug import catalogue, formats
from pcaug.cloud import PointCloud
from pcaug.corpus.card import load_card
from pcaug.corpus.read import Corpus
from pcaug.corpus.sources import Scan, scans
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError, PcaugError
from pcaug.files import alone
from pcaug.segment import output
from pcaug.segment.predict import Segmenter, predict
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import Run
from pcaug.segment.shift import LEVELS, Seen, _distances
from pcaug.segment.stream import CELL, Labels, layout
from pcaug.segment.train import train


def scan(folder: Path, suffix: str, seed: int = 5) -> tuple[Path, PointCloud]:
    cloud = garden(seed)
    fields = {"intensity": np.arange(len(cloud), dtype=np.uint16), "echo": np.arange(len(cloud)) % 7}
    path = folder / f"in{seed}{suffix}"
    formats.write(path, PointCloud(cloud.xyz, fields))
    return path, cloud


@pytest.mark.parametrize("suffix", [".las", ".ply"])
@pytest.mark.parametrize("most", [3_000_000, 4_000])
def test_prediction_keeps_every_field_and_point(trained: Run, tmp_path: Path, suffix: str, most: int) -> None:
    path, cloud = scan(tmp_path, suffix)
    out = tmp_path / f"out{suffix}"
    assert predict(trained, path, out, most=most).total() == len(cloud)
    before, after = formats.read(path), formats.read(out)
    np.testing.assert_array_equal(after.xyz, before.xyz)
    for name in before.fields:
        if name != "native_label":
            np.testing.assert_array_equal(after[name], before[name])
    assert np.mean(after["prediction"] == cloud["label"]) > 0.9
    assert 0 < after["confidence"].min() <= after["confidence"].max() <= 1
    if suffix == ".las":
        assert set(np.unique(after["native_label"])) <= {2, 5, 6}  # ASPRS
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([path.name, out.name])  # no work files are left


def test_tiles_agree_with_the_whole(trained: Run, tmp_path: Path) -> None:
    path, _ = scan(tmp_path, ".ply")
    for name, most in (("whole", 3_000_000), ("tiles", 4_000)):
        predict(trained, path, tmp_path / f"{name}.ply", most=most)
    whole, tiles = (formats.read(tmp_path / f"{name}.ply")["prediction"] for name in ("whole", "tiles"))
    assert np.mean(whole == tiles) > 0.97


def test_an_interrupted_prediction_goes_on(trained: Run, tmp_path: Path) -> None:
    path, _ = scan(tmp_path, ".ply")
    predict(trained, path, tmp_path / "at_once.ply", most=4_000)
    done: list[int] = []

    def stop(text: str, now: int, total: int) -> None:
        if text == "tiles" and now == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        predict(trained, path, tmp_path / "out.ply", most=4_000, progress=stop)
    marks = {p.name: p.stat().st_mtime_ns for p in (tmp_path / ".out.ply.parts").glob("*.done")}
    assert len(marks) == 2

    def watch(text: str, now: int, total: int) -> None:
        if text == "tiles":
            done.append(now)
            assert all((tmp_path / ".out.ply.parts" / name).stat().st_mtime_ns == when for name, when in marks.items())

    predict(trained, path, tmp_path / "out.ply", most=4_000, progress=watch)
    assert len(done) > 2
    assert (tmp_path / "out.ply").read_bytes() == (tmp_path / "at_once.ply").read_bytes()


def test_folders_are_shared_by_workers_and_resumed(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for seed in (5, 6):
        scan(tmp_path / "in", ".ply", seed)
    predict(trained, tmp_path / "in", tmp_path / "one")
    predict(trained, tmp_path / "in", tmp_path / "two", workers=2)
    for path in (tmp_path / "one").glob("*.ply"):
        a, b = formats.read(path), formats.read(tmp_path / "two" / path.name)
        assert np.mean(a["prediction"] == b["prediction"]) > 0.999
    (tmp_path / "one" / "in6.ply").unlink()
    kept = (tmp_path / "one" / "in5.ply").stat().st_mtime_ns
    told: list[str] = []
    assert predict(trained, tmp_path / "in", tmp_path / "one", warn=told.append).total() == len(garden(6))
    assert told[0] == "1 of 2 scans were labelled before and are not counted"
    assert (tmp_path / "one" / "in5.ply").stat().st_mtime_ns == kept
    with pytest.raises(PcaugError, match=r"holds predictions that were made otherwise \(views differ\)"):
        predict(trained, tmp_path / "in", tmp_path / "one", views=2)


def test_a_corrected_card_labels_a_folder_anew(trained: Run, tmp_path: Path) -> None:
    """What was read by the card as it was is not taken for what is read now."""
    (tmp_path / "in").mkdir()
    cloud = garden(5)
    for name in ("a", "b"):
        np.savetxt(tmp_path / "in" / f"{name}.xyz", cloud.xyz[:800])
    card = (catalogue.shipped("datasets") / "oakland.toml").read_text().replace("*.xyz_label_conf", "*.xyz")
    for columns, refused in (('["x", "z", "y"]', False), ('["x", "y", "z"]', True)):
        (tmp_path / "mine.toml").write_text(re.sub(r"columns = \[.*\]", f"columns = {columns}", card))
        if refused:
            (tmp_path / "out" / "b.ply").unlink()
            with pytest.raises(PcaugError, match=r"made otherwise \(card differ\)"):
                predict(trained, tmp_path / "in", tmp_path / "out", str(tmp_path / "mine.toml"), ending=".ply")
        else:
            predict(trained, tmp_path / "in", tmp_path / "out", str(tmp_path / "mine.toml"), ending=".ply")


@pytest.mark.parametrize("views", [0, -1, 9])
def test_a_square_has_eight_views(trained: Run, tmp_path: Path, views: int) -> None:
    with pytest.raises(PcaugError, match=f"{views} views cannot vote"):
        Segmenter.load(trained, views)
    with pytest.raises(PcaugError, match="take 1 to 8"):
        predict(trained, tmp_path, tmp_path / "out", views=views)


def test_more_views_vote(trained: Run) -> None:
    cloud = garden(7)
    right = [
        np.mean(trained.classes.node(Segmenter.load(trained, views).label(cloud, "map")[0]) == cloud["label"]) for views in (1, 8)
    ]
    assert right[1] >= right[0] - 0.01


def test_a_scan_unlike_the_training_data_is_named(trained: Run, tmp_path: Path) -> None:
    warnings: list[str] = []
    path, _ = scan(tmp_path, ".ply")
    predict(trained, path, tmp_path / "same.ply", warn=warnings.append)
    assert warnings == []
    upright = garden(5)
    formats.write(tmp_path / "strange.ply", PointCloud(upright.xyz[:, [0, 2, 1]] * (1, 1, 0.05), {}, None))
    predict(trained, tmp_path / "strange.ply", tmp_path / "out.ply", warn=warnings.append)
    assert len(warnings) == 1
    assert "does not look like the training data" in warnings[0]
    assert "m (" in warnings[0] or "neighbours (" in warnings[0]


def test_clouds_that_a_run_was_trained_on_are_not_strange(tmp_path: Path) -> None:
    """However unlike the others they are."""
    flat = garden(5)
    clouds = [garden(4), replace(flat, xyz=flat.xyz[:, [0, 2, 1]] * (1, 1, 0.05))]
    with CorpusWriter(tmp_path / "c", frame="map") as writer:
        for number, cloud in enumerate(clouds):
            writer.add(cloud, f"s{number}", f"s{number}")
    run = train(TrainRecipe(**SMALL | {"steps": 1}), tmp_path / "c", (), tmp_path / "run")
    warnings: list[str] = []
    for number, cloud in enumerate(clouds):
        formats.write(tmp_path / f"{number}.ply", PointCloud(cloud.xyz, {}, None))
        predict(run, tmp_path / f"{number}.ply", tmp_path / f"out{number}.ply", warn=warnings.append)
    assert warnings == []
    lower = replace(run, usual=np.zeros(0, np.float32))
    lower.save()  # as runs were before they told
    predict(Run.open(lower.folder), tmp_path / "1.ply", tmp_path / "again.ply", warn=warnings.append)
    assert len(warnings) == 1


def held(points: np.ndarray, low: np.ndarray, edge: np.ndarray, margin: float) -> list[int]:
    """Points of each tile with its margin, counted one by one."""
    tiles = np.unique(np.floor((points - low) / edge), axis=0)
    corners = low + tiles * edge
    return [int(((points >= c - margin) & (points < c + edge + margin)).all(axis=1).sum()) for c in corners]


@given(st.integers(0, 99), st.floats(20, 900), st.floats(20, 900), st.booleans(), st.sampled_from([1_000, 4_000, 20_000]))
@settings(max_examples=40, deadline=None)
def test_tiles_hold_what_memory_takes(seed: int, wide: float, deep: float, outlier: bool, most: int) -> None:
    rng = np.random.default_rng(seed)
    points = rng.uniform((-50, 30), (wide - 50, deep + 30), (10_000, 2))
    if outlier:
        points[0] = 1e7, -1e7
    cells, counts = np.unique(np.floor(points / CELL).astype(np.int64), axis=0, return_counts=True)
    low, edge = (np.array(pair) for pair in layout(cells, counts, 12.0, most))
    assert (points >= low).all()
    assert (edge >= 12).all()
    assert max(held(points, low, edge, 12.0)) <= most or (edge < 24).any()


def test_tiles_waste_little_on_margins() -> None:
    cells = np.array([(column, row) for column in range(100) for row in range(33)])
    low, edge = layout(cells, np.full(len(cells), 3_000), 24.0, 3_000_000)
    assert low == (0, 0)
    assert edge == (200, 330)  # strips across the flight, not squares


def test_labels_of_our_tree(trained: Run) -> None:
    assert set(trained.classes.names) == {"ground", "tree", "building"}
    assert trained.data[0]["frame"] in ("map", "sensor")
    assert TREE.id("tree") in trained.classes.node(np.arange(3))


def folder_of(path: Path, *seeds: int, suffix: str = ".ply") -> Path:
    path.mkdir()
    for seed in seeds:
        xyz = garden(seed, 600).xyz - (650_000, 6_860_000, 100)
        formats.write(path / f"in{seed}{suffix}", PointCloud(xyz, {"intensity": np.abs(xyz[:, 0])}))
    return path


@pytest.mark.parametrize("target", ["in", "in/out", "."])
def test_sources_are_never_removed(trained: Run, tmp_path: Path, target: str) -> None:
    source = folder_of(tmp_path / "in", 5)
    before = (source / "in5.ply").read_bytes()
    with pytest.raises(PcaugError, match="lies in the source"):
        predict(trained, source, tmp_path / target, force=True)
    assert (source / "in5.ply").read_bytes() == before


def test_force_removes_what_it_writes_and_nothing_else(trained: Run, tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", 5, 6), tmp_path / "out"
    out.mkdir()
    (out / "in5.ply").write_text("mine")
    for force in (True, False):
        with pytest.raises(PcaugError, match=r"holds in5.ply, which is no part of predictions of scans, .*out, choose another"):
            predict(trained, source, out, force=force)
    assert (out / "in5.ply").read_text() == "mine"
    (out / "in5.ply").unlink()
    predict(trained, source, out)
    (source / "in6.ply").unlink()
    assert not predict(trained, source, out)  # all that is left was labelled before
    with pytest.raises(PcaugError, match=r"\(views differ\), .*out, choose another name or pass --force"):
        predict(trained, source, out, views=2)
    predict(trained, source, out, views=2, force=True)
    assert [path.name for path in formats.below(out)] == ["in5.ply"]  # that of a scan which is gone went with the others
    (out / "mine").mkdir()
    (out / "mine" / "notes.txt").write_text("mine")
    predict(trained, source, out, views=2)  # going on is no matter: nothing is removed
    with pytest.raises(PcaugError, match=r"holds mine/notes\.txt"):
        predict(trained, source, out, force=True)
    folder_of(tmp_path / "more", 6)
    (tmp_path / "more" / "in6.ply").rename(source / "in6.ply")
    (out / "in6.ply").write_text("mine")
    with pytest.raises(PcaugError, match=r"holds in6\.ply"):  # where a new scan's labels would lie
        predict(trained, source, out, views=2)
    assert (out / "in6.ply").read_text() == "mine"


@pytest.mark.filterwarnings("ignore:.*follows the decimal point")
def test_formats_are_not_mixed_in_a_folder(trained: Run, tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", 5), tmp_path / "out"
    predict(trained, source, out, ending="ply")
    predict(trained, source, out, ending=".ply")
    with pytest.raises(PcaugError, match=r"holds predictions that were made otherwise \(format differ\)"):
        predict(trained, source, out, ending="las")
    predict(trained, source, out, ending="las", force=True)
    assert [path.name for path in formats.below(out)] == ["in5.las"]


def test_results_of_another_source_are_not_taken_for_this_ones(trained: Run, tmp_path: Path) -> None:
    one, other = folder_of(tmp_path / "one", 5), folder_of(tmp_path / "other", 5, 6)
    predict(trained, one, tmp_path / "out")
    with pytest.raises(PcaugError, match=r"made otherwise \(source differ\)"):
        predict(trained, other, tmp_path / "out")
    kept = (tmp_path / "out" / "in5.ply").stat().st_mtime_ns
    shutil.copy(other / "in6.ply", one)
    predict(trained, one, tmp_path / "out")  # another scan in the same source
    assert (tmp_path / "out" / "in5.ply").stat().st_mtime_ns == kept
    shutil.copy(other / "in6.ply", one / "in5.ply")  # which is another scan now
    assert predict(trained, one, tmp_path / "out").total() == len(garden(6, 600))
    np.testing.assert_array_equal(formats.read(tmp_path / "out" / "in5.ply").xyz, formats.read(other / "in6.ply").xyz)


def test_a_format_that_loses_predictions_is_refused_before_anything_is_labelled(trained: Run, tmp_path: Path) -> None:
    source = folder_of(tmp_path / "in", 5, suffix=".bin")
    with pytest.raises(PcaugError, match=r"cannot hold prediction and confidence.*--format ply"):
        predict(trained, source, tmp_path / "out")
    with pytest.raises(PcaugError, match=r"cannot hold prediction.*name the output \.ply"):
        predict(trained, source / "in5.bin", tmp_path / "out.bin")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    predict(trained, source, tmp_path / "out", ending="ply")
    assert {"prediction", "confidence", "intensity"} <= set(formats.read(tmp_path / "out" / "in5.ply").fields)
    folder_of(tmp_path / "twice", 5).joinpath("in5.xyz").write_text("0 0 0\n")
    with pytest.raises(PcaugError, match="would be written to one file"):
        predict(trained, tmp_path / "twice", tmp_path / "out2", ending="ply")


@pytest.mark.parametrize("most", [3_000_000, 400])
def test_scans_are_read_by_their_card_but_their_ids_are_not_asked(trained: Run, tmp_path: Path, most: int) -> None:
    folder = tmp_path / "samples" / "LIDAR_TOP"
    folder.mkdir(parents=True)
    cloud = garden(5, 600)
    rows = np.column_stack([cloud.xyz - (650_000, 6_860_000, 100), np.arange(1000), np.arange(1000) % 32]).astype("<f4")
    rows.tofile(folder / "n015.pcd.bin")  # 5 floats a point, which 4 floats a point divide, too
    tables = {
        "scene": [{"token": "a", "name": "scene-0001"}],
        "sample": [{"token": "b", "scene_token": "a"}],
        "category": [],
        "sample_data": [{"token": "c", "sample_token": "b", "filename": "samples/LIDAR_TOP/n015.pcd.bin"}],
    }
    (tmp_path / "v1.0-mini").mkdir()
    for name, table in tables.items():
        (tmp_path / "v1.0-mini" / f"{name}.json").write_text(json.dumps(table))
    out = tmp_path / "out.ply"
    assert predict(trained, folder / "n015.pcd.bin", out, "nuscenes", most=most).total() == 1000
    found = formats.read(out)
    np.testing.assert_array_equal(found.xyz, rows[:, :3])
    np.testing.assert_array_equal(found["ring"], rows[:, 4])


@pytest.mark.parametrize("most", [3_000_000, 4_000])
def test_class_ids_alone_are_those_of_the_scans_card(trained: Run, tmp_path: Path, most: int) -> None:
    path = scan(tmp_path, ".las")[0]
    counts = predict(trained, path, tmp_path / "out.label", "las", most=most)
    predict(trained, path, tmp_path / "out.ply", "las", most=most)
    native = {TREE.id("ground"): 2, TREE.id("tree"): 5, TREE.id("building"): 6}
    wanted = [native[int(node)] for node in formats.read(tmp_path / "out.ply")["prediction"]]
    np.testing.assert_array_equal(np.fromfile(tmp_path / "out.label", "<u4"), wanted)
    assert counts == {TREE.label_name(node): wanted.count(native[node]) for node in native}
    with pytest.raises(PcaugError, match="of which dataset"):
        predict(trained, tmp_path / "out.ply", tmp_path / "x.label")


def test_class_ids_lie_where_the_benchmark_looks_and_say_what_they_stand_for(tmp_path: Path) -> None:
    path = tmp_path / "kitti" / "sequences" / "11" / "velodyne" / "000000.bin"
    path.parent.mkdir(parents=True)
    cloud = PointCloud(np.zeros((6, 3)), {"intensity": np.zeros(6, np.float32), "native_label": np.full(6, 71, np.int32)})
    formats.write(path, cloud)
    nodes = [TREE.id(name) for name in ("road", "vehicle", "tree", "pole_like", "water", "car")]
    guess = PointCloud(cloud.xyz, {**cloud.fields, "prediction": np.array(nodes, np.uint16)}, TREE)
    target = Path("out") / output.named(path.relative_to(tmp_path / "kitti"), "label")
    assert target == Path("out/sequences/11/predictions/000000.label")
    counts, notes = output.write(tmp_path / target, scans(tmp_path / "kitti")[0], iter([guess, guess]), unclassified=False)
    assert np.fromfile(tmp_path / target, "<u4").tolist() == [40, 10, 70, 80, 0, 10] * 2  # no trunk (71) shines through
    assert counts.total() == 12
    assert [note.split(" all ")[1] for note in notes] == [
        "water: it is written as unlabeled",
        "pole_like: it is written as pole",
        "vehicle: it is written as car",
    ]


def test_predictions_of_others_are_kept_however_many(trained: Run, tmp_path: Path) -> None:
    cloud = garden(4).take(np.arange(500))
    for times in range(1, 4):
        cloud = cloud.with_fields(confidence=np.full(len(cloud), times, np.float32))
        formats.write(tmp_path / "in.ply", cloud)
        predict(trained, tmp_path / "in.ply", tmp_path / "out.ply", force=True)
        cloud = formats.read(tmp_path / "out.ply")
    assert {cloud[name][0] for name in ("confidence_", "confidence__", "confidence___")} == {1, 2, 3}


def test_a_class_id_of_zero_is_no_unlabelled_point(tmp_path: Path) -> None:
    (tmp_path / "a.pts").write_text("1 2 3 4 1 1 0\n5 6 7 8 1 1 1\n")
    scan = Scan(tmp_path / "a.pts", load_card("vaihingen"), "a", None, "a")  # 0 is powerline, no id is for unlabelled points
    nodes = np.array([TREE.id("wire"), TREE.id("manmade")], np.uint16)
    guess = PointCloud(np.zeros((2, 3)), {"prediction": nodes}, TREE)
    output.write(tmp_path / "a.label", scan, iter([guess]), unclassified=False)
    assert np.fromfile(tmp_path / "a.label", "<u4").tolist() == [0, 0]  # wire itself, and the first of what is manmade
    strange = PointCloud(np.zeros((1, 3)), {"prediction": np.array([TREE.id("person")], np.uint16)}, TREE)
    with pytest.raises(PcaugError, match="vaihingen has no class for person, and none for unlabelled points"):
        output.write(tmp_path / "b.label", scan, iter([strange]), unclassified=False)
    assert not (tmp_path / "b.label").exists()


def test_predictions_under_way_are_not_touched(trained: Run, tmp_path: Path) -> None:
    source, out = folder_of(tmp_path / "in", 5), tmp_path / "out"
    predict(trained, source, out)
    before = {path.name: path.stat().st_mtime_ns for path in out.iterdir()}
    with alone(out, out), pytest.raises(PcaugError, match="is being made by another process"):
        predict(trained, source, out, force=True)
    assert {path.name: path.stat().st_mtime_ns for path in out.iterdir()} == before
    parts = tmp_path / ".one.ply.parts"
    with alone(parts, parts), pytest.raises(PcaugError, match=r"is being made by another process, .*one\.ply"):
        predict(trained, source / "in5.ply", tmp_path / "one.ply", most=400)
    predict(trained, source / "in5.ply", tmp_path / "one.ply", most=400)
    assert not parts.exists()


@pytest.mark.filterwarnings("ignore:.*follows the decimal point")
def test_a_folder_named_velodyne_is_written_to_like_others(trained: Run, tmp_path: Path) -> None:
    folder_of(tmp_path / "in", 5, suffix=".las")
    predict(trained, tmp_path / "in", tmp_path / "velodyne", "las", ending="label")
    assert [path.name for path in (tmp_path / "velodyne").glob("*.label")] == ["in5.label"]


def test_ids_that_no_card_knows_are_kept(trained: Run, tmp_path: Path) -> None:
    cloud = garden(5, 600)
    path = tmp_path / "in.bin"
    ids = np.full(len(cloud), 77, np.int32)
    formats.write(path, PointCloud(cloud.xyz - (650_000, 6_860_000, 100), {"intensity": cloud.xyz[:, 0], "native_label": ids}))
    predict(trained, path, tmp_path / "out.ply", "semantickitti")
    np.testing.assert_array_equal(formats.read(tmp_path / "out.ply")["native_label"], ids)


@pytest.fixture(scope="module")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of scans, as those of a spinning scanner are."""
    folder = tmp_path_factory.mktemp("scanner")
    with CorpusWriter(folder / "corpus", frame="sensor") as writer:
        cloud = garden(0, 3000)
        writer.add(replace(cloud, xyz=cloud.xyz - (650_010, 6_860_010, 102)), "a", "a", "train")
    return train(TrainRecipe(**SMALL), folder / "corpus", (), folder / "run")


def test_a_georeferenced_scan_is_labelled_as_one_at_the_origin_is(scanner: Run, tmp_path: Path) -> None:
    assert scanner.frames == {"sensor"}
    far = garden(5, 600).xyz
    whole = 60.0  # metres, a multiple of all cells that features are computed in
    far = far + whole - Segmenter.load(scanner).prepared(PointCloud(far), "map").origin % whole
    origin = Segmenter.load(scanner).prepared(PointCloud(far), "map").origin
    for name, xyz in (("near", far - origin), ("far", far)):  # moved so that regions begin at the same places
        formats.write(tmp_path / f"{name}.ply", PointCloud(xyz, {}))
        predict(scanner, tmp_path / f"{name}.ply", tmp_path / f"{name}_out.ply")
    near, away = (formats.read(tmp_path / f"{name}_out.ply") for name in ("near", "far"))
    assert np.mean(near["prediction"] == away["prediction"]) > 0.999
    np.testing.assert_allclose(near["confidence"], away["confidence"], atol=1e-3)
    np.testing.assert_array_equal(away["confidence"], Segmenter.load(scanner).label(PointCloud(far), "map")[1])
    with pytest.raises(FileError, match="more than 10000 m from its scanner"):
        Segmenter.load(scanner).label(garden(5, 600), "sensor")


def test_a_sample_of_what_was_seen_is_bounded_and_fair() -> None:
    seen = Seen()
    for number in range(100):
        seen.add(np.full((12_000, 1), number, np.float32))
    rows = np.concatenate(seen.tables)
    assert 40_000 < len(rows) <= 100_000
    assert all(table.base is None for table in seen.tables)
    counts = np.bincount(rows[:, 0].astype(int), minlength=100)
    assert counts.max() <= 1.01 * counts.min()


def test_a_large_file_with_rows_of_its_own_and_colours_is_labelled_as_a_small_one(corpus: Corpus, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clouds = [corpus.read(tile) for tile in corpus.tiles]
    with CorpusWriter(tmp_path / "coloured") as writer:
        for tile, cloud in zip(corpus.tiles, clouds, strict=True):
            colour = np.where(cloud["label"][:, None] == TREE.id("tree"), (0.1, 0.8, 0.1), (0.6, 0.4, 0.3)).astype(np.float32)
            writer.add(cloud.with_fields(rgb=colour), tile.name, tile.unit, tile.split)
    run = train(TrainRecipe(**SMALL | {"features": ("plan", "colour")}), tmp_path / "coloured", (), tmp_path / "run")
    one = Corpus.open(tmp_path / "coloured")
    cloud = one.read(one.tiles[0])
    table = {"rgb": cloud["rgb"], "row": rng.integers(0, 5, len(cloud)).astype(np.int32)}
    formats.write(tmp_path / "in.ply", PointCloud(cloud.xyz, table))
    for most in (4_000, 1_000_000):
        predict(run, tmp_path / "in.ply", tmp_path / f"{most}.ply", most=most)
    tiled, whole = (formats.read(tmp_path / f"{most}.ply") for most in (4_000, 1_000_000))
    assert np.mean(tiled["prediction"] == whole["prediction"]) > 0.97
    np.testing.assert_array_equal(tiled["row"], table["row"])


def test_a_damaged_forest_is_one_line(corpus: Corpus, tmp_path: Path) -> None:
    run = train(TrainRecipe(**SMALL | {"network": "trees", "trees": 5}), corpus, (), tmp_path / "run")
    weights = run.folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(FileError, match="does not fit its card"):
        Segmenter.load(run)


def test_scans_of_no_format_that_is_written_ask_for_one(trained: Run, tmp_path: Path) -> None:
    (tmp_path / "in" / "001" / "lidar").mkdir(parents=True)
    (tmp_path / "in" / "001" / "lidar" / "00.pkl.gz").write_bytes(b"x")
    with pytest.raises(PcaugError, match=r"00.pkl.gz is of no format that is written.*--format ply"):
        predict(trained, tmp_path / "in", tmp_path / "out", "pandaset")


def test_tiles_are_as_bright_as_their_file(tmp_path: Path) -> None:
    xyz = np.random.default_rng(0).uniform(0, (200, 40, 1), (20000, 3))
    intensity = np.where(xyz[:, 0] < 100, 1.0, 100.0).astype(np.float32)
    told = []

    def prepare(cloud: PointCloud, bright: float) -> PointCloud:
        told.append(bright)
        return cloud

    cloud = PointCloud(xyz, {"intensity": intensity})
    labels = Labels(lambda: iter([cloud]), tmp_path / "parts", {}, 5.0, 6000)
    labels.fill(prepare, lambda made: (np.zeros(len(made), np.uint8), np.zeros(len(made), np.float32)), lambda a, b: None)
    assert len(told) > 3
    assert set(told) == {100.0}


@pytest.mark.parametrize("off", [-10.0, 10.0])
def test_a_scan_is_far_on_either_side(off: float) -> None:
    table = np.random.default_rng(0).normal(size=(5000, 1)).astype(np.float32)
    quantiles = np.quantile(table, LEVELS, axis=0).astype(np.float32)
    assert _distances(quantiles, table + np.float32(off))[0] == pytest.approx(0.99, abs=0.001)
    assert _distances(quantiles, table)[0] < 0.01


def test_ids_by_row_are_refused_where_points_have_no_place(trained: Run, tmp_path: Path) -> None:
    cloud = garden(3)
    gone = cloud.xyz.copy()
    gone[::3] = np.nan
    np.savez(tmp_path / "holes.npz", x=gone[:, 0], y=gone[:, 1], z=gone[:, 2])
    with pytest.raises(PcaugError, match=r"has points without a position, which \.label files count, too"):
        predict(trained, tmp_path / "holes.npz", tmp_path / "out.label", "las")
    assert not (tmp_path / "out.label").exists()
    assert predict(trained, tmp_path / "holes.npz", tmp_path / "out.ply").total() == np.isfinite(gone[:, 0]).sum()


@pytest.mark.parametrize("most", [3_000_000, 4_000])
def test_predictions_of_another_model_are_kept(trained: Run, tmp_path: Path, most: int) -> None:
    cloud = garden(4)
    theirs = {"confidence": np.arange(len(cloud), dtype=np.float32), "prediction": np.arange(len(cloud), dtype=np.uint16)}
    formats.write(tmp_path / "in.ply", PointCloud(cloud.xyz, theirs))
    predict(trained, tmp_path / "in.ply", tmp_path / "out.ply", most=most)
    after = formats.read(tmp_path / "out.ply")
    for name, values in theirs.items():
        np.testing.assert_array_equal(after[f"{name}_"], values)
    assert after["confidence"].max() <= 1
