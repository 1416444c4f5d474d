"""Objects are found, measured, kept, completed and seen anew."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import make_cloud, run
from generate.builders_generate import CAR, TAXONOMY, make_box, make_cars, make_street

from pcaug.augment.recipe import AugmentRecipe, draws
from pcaug.cli.app import main
from pcaug.cloud import PointCloud
from pcaug.corpus.manifest import SourceRow
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError, LabelError
from pcaug.generate.bank import described, fitted_yaw, frame_from_object, gather, read_bank, write_bank
from pcaug.generate.complete import DELIVERED, complete_things, completed, rescanned, surfels
from pcaug.generate.model import View, sampled


def make_corpus(folder: Path, *, instances: bool = True, frame: str = "sensor") -> Corpus:
    with CorpusWriter(folder, frame=frame) as writer:  # type: ignore[arg-type]
        for unit in ("a", "b"):
            writer.add(make_street(np.random.default_rng(len(unit)), cars=6, instances=instances), f"scan-{unit}", unit)
    return Corpus.open(folder)


@pytest.mark.parametrize("instances", [True, False])
def test_objects_are_found_and_set_upright(instances: bool, tmp_path: Path) -> None:
    things = gather(make_corpus(tmp_path / "c", instances=instances), ["vehicle"])
    assert [thing.row.unit for thing in things] == ["a"] * 6 + ["b"] * 6
    for thing in things:
        low, high = thing.upright.bounds
        assert low[2] == pytest.approx(0, abs=1e-9)
        assert high[0] == pytest.approx(-low[0], abs=1e-6)
        assert 3.2 < high[0] - low[0] < 5.5
        assert high[1] - low[1] < 2.1
        np.testing.assert_allclose(high - low, thing.row.size, atol=1e-6)
        middle = thing.cloud.bounds.mean(axis=0)[:2]
        assert thing.row.distance == pytest.approx(np.linalg.norm(middle), abs=0.3)
        assert np.cos(thing.viewpoint) >= -1e-9  # the end that the sensor sees is ahead


@pytest.mark.parametrize("degrees", [0, 20, 45, 70, 110, 160])
def test_two_sides_of_a_box_tell_its_direction(degrees: float) -> None:
    along = np.column_stack([np.linspace(-2.2, 2.2, 120), np.full(120, -0.9)])
    across = np.column_stack([np.full(50, 2.2), np.linspace(-0.9, 0.9, 50)])
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    found = fitted_yaw(np.concatenate([along, across]) @ turn.T + np.random.default_rng(0).normal(0, 0.02, (170, 2)))
    assert np.degrees(np.abs(np.angle(np.exp(2j * (found - angle))))) / 2 < 2.0


def test_a_bank_gives_back_what_went_in(tmp_path: Path) -> None:
    things = gather(make_corpus(tmp_path / "c"), ["car"])
    write_bank(things, tmp_path / "bank", licence="CC0")
    back = read_bank(tmp_path / "bank", ["car"])
    assert [thing.row for thing in back] == [thing.row for thing in things]
    np.testing.assert_array_equal(back[3].cloud.xyz, things[3].cloud.xyz)
    assert (back[3].cloud["label"] == CAR).all()
    with pytest.raises(LabelError, match="it has car"):
        read_bank(tmp_path / "bank", ["pole"])
    with pytest.raises(FileError, match="is not an object bank"):
        read_bank(tmp_path / "c")
    with pytest.raises(LabelError, match="no object of class person"):
        gather(Corpus.open(tmp_path / "c"), ["person"])


def split_corpus(folder: Path) -> Corpus:
    """Two drives to train on and one to test on, marked by intensity 777."""
    with CorpusWriter(folder, frame="sensor") as writer:
        for index, split in enumerate(("train", "train", "test")):
            cloud = make_street(np.random.default_rng(index), cars=4, instances=True)
            mark = np.full(len(cloud), 777.0 if split == "test" else 1.0, np.float32)
            writer.add(cloud.with_fields(intensity=mark), f"scan{index}", f"drive{index}", split)
    return Corpus.open(folder)


def marked(cloud: PointCloud) -> int:
    return int((cloud["intensity"] == 777).sum())


def test_a_bank_of_a_whole_corpus_gives_train_no_object_of_the_test(tmp_path: Path) -> None:
    corpus = split_corpus(tmp_path / "c")
    things = gather(corpus, ["car"])
    assert [thing.row.split for thing in things] == ["train"] * 8 + ["test"] * 4
    write_bank(things, tmp_path / "bank")
    bank = Corpus.open(tmp_path / "bank")
    assert [tile.split for tile in bank.tiles] == ["train"] * 8 + ["test"] * 4
    assert [thing.row.split for thing in read_bank(tmp_path / "bank", ["car"], "test")] == ["test"] * 4
    laid = AugmentRecipe(name="laid", mix=({"name": "mix3d"},))
    for tile, _, cloud in draws(laid, corpus, 0, copies=2, donors=bank):
        own = len(corpus.read(tile))
        assert len(cloud) > own
        assert marked(cloud) == (len(cloud) if tile.split == "test" else 0)


def test_a_bank_has_a_row_for_every_licence_and_each_object_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    terms = (("CC BY 4.0", ("by",)), ("CC BY-NC-ND 4.0", ("nc", "nd")))
    with CorpusWriter(tmp_path / "c", frame="sensor") as writer:
        for index, (licence, flags) in enumerate(terms):
            writer.source(SourceRow(path=f"{index}.bin", card=f"data{index}", licence=licence, flags=flags))
            writer.add(make_street(np.random.default_rng(index), cars=3, instances=True), f"scan{index}", f"drive{index}")
        writer.source(SourceRow(path="mesh", licence="CC BY-SA 4.0"))
    with pytest.raises(SystemExit):
        main(["objects", str(tmp_path / "c"), "-o", str(tmp_path / "bank"), "--class", "car"])
    bank = Corpus.open(tmp_path / "bank")
    assert [row.licence for row in bank.manifest.sources] == ["CC BY 4.0", "CC BY-NC-ND 4.0", "CC BY-SA 4.0"]
    of = [bank.manifest.sources[tile.source] for tile in bank.tiles]
    assert [(row.licence, row.flags) for row in of] == [terms[0]] * 3 + [terms[1]] * 3
    write_bank(make_cars(2), tmp_path / "samples", licence="CC BY 4.0; CC BY-NC-ND 4.0")  # learned from both
    assert [row.licence for row in Corpus.open(tmp_path / "samples").manifest.sources] == [terms[0][0], terms[1][0]]


def test_objects_and_fits_take_train_unless_told_otherwise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    split_corpus(tmp_path / "c")

    def run(*words: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main([*words])
        return int(ended.value.code or 0)

    assert run("objects", str(tmp_path / "c"), "-o", str(tmp_path / "bank"), "--class", "car") == 0
    assert {thing.row.split for thing in read_bank(tmp_path / "bank")} == {"train"}
    assert run("objects", str(tmp_path / "c"), "-o", str(tmp_path / "tested"), "--class", "car", "--split", "test") == 0
    assert {thing.row.split for thing in read_bank(tmp_path / "tested")} == {"test"}
    assert run("generate", "fit", str(tmp_path / "tested"), "-o", str(tmp_path / "m")) == 1
    assert "no tiles of split 'train'" in capsys.readouterr().err
    write_bank(gather(Corpus.open(tmp_path / "c"), ["car"]), tmp_path / "whole")
    assert run("generate", "fit", str(tmp_path / "whole"), "-o", str(tmp_path / "m")) == 0
    assert json.loads((tmp_path / "m" / "card.json").read_text())["units"] in (["drive0"], ["drive1"])  # one is held out


def make_half_car(azimuth: float) -> np.ndarray:
    """What a sensor at an azimuth sees of a car: its front and its left or right side."""
    box = make_box(4.4, 1.8, 1.5, np.random.default_rng(0), 3000)
    seen = (box[:, 0] > 2.15) | (box[:, 1] * np.sign(np.sin(azimuth)) > 0.85)
    return box[seen] - (0, 0.45 * np.sign(np.sin(azimuth)), 0)  # its own frame has what was seen in the middle


@pytest.mark.parametrize("azimuth", [0.6, -0.6])
def test_a_mirrored_car_is_whole_and_keeps_what_was_seen(azimuth: float) -> None:
    half = make_half_car(azimuth)
    thing = sampled(half, "car", View(azimuth, 12.0), "test")
    found = completed(thing)
    assert found is not None
    whole, _ = found
    assert len(whole) == 2 * len(half)
    np.testing.assert_allclose(np.ptp(whole.xyz, axis=0), (4.4, 1.8, 1.5), atol=0.15)
    np.testing.assert_allclose(whole.xyz[:, 1].mean(), 0, atol=1e-9)
    short = sampled(half[half[:, 0] > 1.0], "car", View(azimuth, 12.0), "test")
    assert completed(short) is None
    assert completed(described(make_cloud(30), "building", "u", "map")) is None


@pytest.mark.parametrize(("y", "sensor"), [(6.0, "spinning"), (-6.0, "spinning"), (6.0, "map")])
def test_a_completed_thing_has_what_was_seen_where_it_was_and_the_rest_behind_it(y: float, sensor: str) -> None:
    side = np.random.default_rng(0).uniform((2.0, -0.06, -1.7), (6.4, 0.06, -0.2), (800, 3)) + (0, y, 0)
    turn = frame_from_object((0, 0, 0, 0.3))
    cloud = PointCloud(side, {"label": np.full(len(side), CAR, np.uint16)}, TAXONOMY).moved(turn)
    thing = described(cloud, "car", "u", sensor)
    (whole,) = complete_things([thing])
    np.testing.assert_allclose(whole.cloud.xyz[: len(side)], cloud.xyz, atol=1e-6)
    np.testing.assert_allclose(np.ptp(whole.upright.xyz, axis=0), (4.4, 1.7, 1.5), atol=0.1)
    np.testing.assert_allclose(whole.upright.bounds.mean(axis=0)[:2], 0, atol=1e-6)
    straight = whole.cloud.moved(np.linalg.inv(turn)).xyz[:, 1]
    if sensor == "map":
        assert whole.row.distance is None
        return
    assert np.abs(straight).min() > 5.9
    assert np.abs(straight).max() == pytest.approx(7.64, abs=0.1)
    assert whole.row.distance == pytest.approx(np.hypot(*whole.row.pose[:2]))
    assert whole.row.distance > thing.row.distance + 0.5


def test_surfels_close_a_surface_and_a_scan_of_them_is_labelled_and_one_sided() -> None:
    rng = np.random.default_rng(1)
    thing = sampled(make_box(4.4, 1.8, 1.5, rng, 1500), "car", View(0.5, 10.0), "test")
    asset = surfels(thing.upright, "car")
    assert (asset.face_label == CAR).all()
    np.testing.assert_allclose(np.ptp(asset.bounds, axis=0), (4.4, 1.8, 1.5), atol=0.5)
    seen = rescanned(thing, rng)
    assert seen is not None
    assert set(seen.cloud["label"]) == {CAR}
    assert np.linalg.norm(seen.cloud.xyz[:, :2], axis=1).mean() == pytest.approx(10, abs=1.5)
    towards = np.array([np.cos(0.5), np.sin(0.5)])
    assert (seen.upright.xyz[:, :2] @ towards).mean() > 0.4  # more of the side that faces the sensor
    assert seen.row.distance == pytest.approx(10.0, abs=0.01)
    assert set(seen.cloud.fields) >= DELIVERED


def test_a_sample_stands_before_the_sensor_as_it_is_seen() -> None:
    xyz = make_box(4.0, 1.8, 1.5, np.random.default_rng(2))
    thing = sampled(xyz, "car", View(2.0, 14.0), "test")
    np.testing.assert_allclose(thing.upright.xyz, xyz, atol=1e-9)
    assert np.cos(thing.viewpoint - 2.0) == pytest.approx(1)
    assert thing.cloud.xyz[:, 2].min() == pytest.approx(-1.73, abs=0.05)
    np.testing.assert_allclose(frame_from_object(thing.row.pose)[:2, 3], (14, 0))
    assert TAXONOMY.label_name(int(thing.cloud["label"][0])) == "car"


def test_classes_of_which_no_object_was_found_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with CorpusWriter(tmp_path / "c", frame="sensor") as writer:
        writer.add(make_street(np.random.default_rng(0), 3, instances=True), "a", "a")
    for name, words, told in (("one", ("car", "person"), True), ("two", ("vehicle", "car"), False)):
        asked = [word for each in words for word in ("--class", each)]
        _, err = run(capsys, "objects", tmp_path / "c", "-o", tmp_path / name, *asked)
        assert ("note: found no person with at least 64 points" in err) == told
        assert ("found no" in err) == told
