"""Objects in a real scan: on free ground, seen by its beams, hidden and hiding."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cli.app import main
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.errors import LabelError, RecipeError
from pcaug.explore.pattern import pattern_of
from pcaug.scene.library import variant
from pcaug.scene.recipe import AssetRow, load_recipe
from pcaug.scene.scanner import SensorRow
from pcaug.sensor.compose import compose_corpus
from pcaug.sensor.into import beams_of, into
from pcaug.sensor.place import place_corpus

TREE = catalogue.taxonomy()
ELEVATIONS = np.linspace(2, -24, 64)
STEPS = 1000
CLEAN = SensorRow(noise=0.0, dropout=0.0, threshold=0.0, range_min=0.5)


def scan(wall: float | None = None, bottom: float = -10.0) -> PointCloud:
    """A flat road 1.7 m below the scanner, seen by every beam that goes down; ahead a wall at x = ``wall`` from ``bottom`` up."""
    slant, angle = np.meshgrid(np.radians(ELEVATIONS), 2 * np.pi * np.arange(STEPS) / STEPS, indexing="ij")
    ray = np.stack([np.cos(slant) * np.cos(angle), np.cos(slant) * np.sin(angle), np.sin(slant)], axis=-1).reshape(-1, 3)
    reach = np.where(ray[:, 2] < 0, -1.7 / np.minimum(ray[:, 2], -1e-9), np.inf)
    label = np.full(len(ray), TREE.id("road"), np.uint16)
    if wall is not None:
        to_wall = np.where(ray[:, 0] > 1e-6, wall / np.maximum(ray[:, 0], 1e-6), np.inf)
        front = (to_wall < reach) & (to_wall * ray[:, 2] > bottom)
        reach, label = np.where(front, to_wall, reach), np.where(front, TREE.id("building"), label).astype(np.uint16)
    seen = reach < 80
    fields = {"label": label[seen], "intensity": np.full(int(seen.sum()), 0.3, np.float32)}
    return PointCloud(ray[seen] * reach[seen, None], fields, TREE)


def slots(cloud: PointCloud) -> NDArray[np.int64]:
    return beams_of(cloud, ELEVATIONS.tolist(), STEPS).slot


def test_every_point_has_the_beam_that_made_it() -> None:
    cloud = scan()
    beams = beams_of(cloud, ELEVATIONS.tolist(), STEPS)
    assert len(np.unique(beams.slot)) == len(cloud)
    unit = cloud.xyz / np.linalg.norm(cloud.xyz, axis=1, keepdims=True)
    np.testing.assert_allclose(beams.directions[beams.slot], unit, atol=1e-12)


def test_objects_stand_on_the_ground_and_hide_what_is_behind() -> None:
    cloud = scan(wall=60.0)
    assets = [variant("car", 0), variant("car", 1), variant("person", 0)]
    made, count = into(cloud, assets, beams_of(cloud, ELEVATIONS.tolist(), STEPS), CLEAN, np.random.default_rng(3))
    assert count == 3
    assert {"car", "person", "road", "building"} <= set(TREE.counts(made["label"]))
    new = made.take(made["instance"] > 0)
    assert set(np.unique(new["instance"]).tolist()) == {1, 2, 3}
    assert new.xyz[:, 2].min() > -1.75
    slot = slots(made)
    assert len(np.unique(slot)) == len(slot)  # a beam has one echo: what is behind an object is gone
    old = made.take(made["instance"] == 0)
    np.testing.assert_array_equal(np.isin(slots(cloud), slots(old)), ~np.isin(slots(cloud), slots(new)))


def test_objects_are_as_dark_as_the_beam_that_sees_them_is_near_sighted() -> None:
    near = tuple(0.0 if up > -11 else 1000.0 for up in CLEAN.elevations)
    sensor = CLEAN.model_copy(update={"intensity_near": near, "intensity_floor": 0.0, "beam_gain": 0.0})
    cloud = scan()
    made, _ = into(
        cloud, [variant("person", 0)] * 8, beams_of(cloud, ELEVATIONS.tolist(), STEPS), sensor, np.random.default_rng(3)
    )
    new = made.take(made["instance"] > 0)
    up = np.degrees(np.arctan2(new.xyz[:, 2], np.linalg.norm(new.xyz[:, :2], axis=1)))
    assert new["intensity"][up < -12].max() < 0.1 < new["intensity"][up > -10].min()


def test_what_stands_before_an_object_hides_it() -> None:
    """A screen at 3 m over all beams ahead: what is placed behind it stays unseen there."""
    screen = scan(wall=3.0, bottom=-1.0)
    for seed in range(5):
        made, count = into(
            screen, [variant("car", 0)], beams_of(screen, ELEVATIONS.tolist(), STEPS), CLEAN, np.random.default_rng(seed)
        )
        new = made.take(made["instance"] > 0)
        ahead = new.take((new.xyz[:, 0] > 3.0) & (new.xyz[:, 2] / new.xyz[:, 0] > -1.0 / 3.0 + 0.01))
        assert count == 1
        assert not len(ahead)


def test_the_same_seed_gives_the_same_scan_and_crowded_ground_takes_nothing() -> None:
    cloud = scan()
    beams = beams_of(cloud, ELEVATIONS.tolist(), STEPS)
    one, two = (into(cloud, [variant("car", 0)], beams, SensorRow(), np.random.default_rng(1))[0] for _ in range(2))
    np.testing.assert_array_equal(one.xyz, two.xyz)
    rng = np.random.default_rng(0)
    posts = np.column_stack([rng.uniform(-45, 45, (20_000, 2)), rng.uniform(-1, 1, 20_000)])
    labels = np.concatenate([cloud["label"], np.full(20_000, TREE.id("pole"), np.uint16)])
    crowded = PointCloud(np.concatenate([cloud.xyz, posts]), {"label": labels}, TREE)
    _, count = into(crowded, [variant("car", 0)], beams_of(crowded, ELEVATIONS.tolist(), STEPS), CLEAN, rng)
    assert count == 0


@pytest.mark.parametrize("numbering", ["lowest first", "two blocks"])
def test_objects_have_the_rings_of_the_beams_of_the_scan_that_see_them(numbering: str) -> None:
    """Whatever numbers the scan gives its beams: each number is one elevation, of real points and placed ones."""
    number = 63 - np.arange(64) if numbering == "lowest first" else 100 + (np.arange(64) + 32) % 64
    cloud = scan(wall=60.0)
    beams = beams_of(cloud, ELEVATIONS.tolist(), STEPS)
    cloud = cloud.with_fields(ring=number[beams.ring[beams.slot]].astype(np.uint16))
    made, count = into(cloud, [variant("car", 0)] * 4, beams, CLEAN, np.random.default_rng(3))
    assert count == 4
    assert (made["instance"] > 0).sum() > 500
    up = np.degrees(np.arcsin(made.xyz[:, 2] / np.linalg.norm(made.xyz, axis=1)))
    row = np.argsort(number)[np.searchsorted(np.sort(number), made["ring"])]
    np.testing.assert_allclose(up, ELEVATIONS[row], atol=0.01)


def test_a_beam_that_met_nothing_continues_the_count_or_nobody_is_told_a_ring() -> None:
    cloud = scan()  # beams above the horizon meet nothing
    beams = beams_of(cloud, ELEVATIONS.tolist(), STEPS)
    assert len(np.unique(beams.ring[beams.slot])) < 64
    tree = [variant("tree", 0)] * 2
    counted = cloud.with_fields(ring=(63 - beams.ring[beams.slot]).astype(np.uint16))
    made, count = into(counted, tree, beams, CLEAN, np.random.default_rng(3))
    assert count
    up = np.degrees(np.arcsin(made.xyz[:, 2] / np.linalg.norm(made.xyz, axis=1)))
    assert made["ring"].max() > counted["ring"].max()
    np.testing.assert_allclose(up, ELEVATIONS[63 - made["ring"].astype(int)], atol=0.01)
    jumbled = np.random.default_rng(0).permutation(64)[beams.ring[beams.slot]]
    made, count = into(cloud.with_fields(ring=jumbled.astype(np.uint16)), tree, beams, CLEAN, np.random.default_rng(3))
    assert count
    assert "ring" not in made


def test_a_scan_without_labels_is_refused() -> None:
    bare = PointCloud(scan().xyz)
    with pytest.raises(LabelError, match="ground"):
        into(bare, [variant("car", 0)], beams_of(bare, ELEVATIONS.tolist(), STEPS), CLEAN, np.random.default_rng(0))


def test_placed_corpora_keep_units_and_are_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    recipe = load_recipe("street", ["sensor.azimuth_steps=400", "into.objects=[6, 6]"])
    compose_corpus(recipe, 2, tmp_path / "real", seed=3)
    real = Corpus.open(tmp_path / "real")
    pattern = pattern_of(real)
    assert len(pattern[0]) == 64
    assert pattern[1] == pytest.approx(400, abs=4)
    place_corpus(recipe, real, pattern, 9, tmp_path / "one", seed=1)
    place_corpus(recipe, real, pattern, 9, tmp_path / "two", seed=1, workers=2)
    one, two = Corpus.open(tmp_path / "one"), Corpus.open(tmp_path / "two")
    assert one.units == real.units
    assert {tile.kind for tile in one.tiles} == {"synthetic"}
    for tile, same in zip(one.tiles, two.tiles, strict=True):
        assert (one.folder / tile.path).read_bytes() == (two.folder / same.path).read_bytes()
    before = {tile.unit: real.read(tile)["instance"].max() for tile in real.tiles}
    placed = [one.read(tile)["instance"].max() - before[tile.unit] for tile in one.tiles]
    assert sum(placed) > len(placed)


def test_the_licences_of_meshes_hold_for_what_is_made_of_them(tmp_path: Path) -> None:
    trimesh.creation.box((4.0, 1.8, 1.5)).export(tmp_path / "car.ply")
    recipe = load_recipe("street", ["sensor.azimuth_steps=100", "street.parking=1.0", "street.parked=[20, 20]"])
    mesh = {"path": str(tmp_path / "car.ply"), "kind": "car", "label": "car", "unit": 1.0, "licence": "CC BY-NC 4.0"}
    mine = recipe.model_copy(update={"assets": (AssetRow.model_validate(mesh),)})
    compose_corpus(mine, 2, tmp_path / "made", seed=3)
    made = Corpus.open(tmp_path / "made")
    assert {row.licence for row in made.manifest.sources} == {"made by pcaug", "CC BY-NC 4.0"}
    place_corpus(mine, made, pattern_of(made), 2, tmp_path / "placed", seed=1)
    assert "CC BY-NC 4.0" in {row.licence for row in Corpus.open(tmp_path / "placed").manifest.sources}
    unsaid = mine.model_copy(update={"assets": (AssetRow.model_validate({**mesh, "licence": ""}),)})
    compose_corpus(unsaid, 1, tmp_path / "unsaid", seed=3)
    assert {row.licence for row in Corpus.open(tmp_path / "unsaid").manifest.sources} == {"made by pcaug"}


def test_scans_of_other_splits_than_train_are_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compose_corpus(load_recipe("street", ["sensor.azimuth_steps=400"]), 3, tmp_path / "real", seed=3)
    manifest = json.loads((tmp_path / "real" / "manifest.json").read_text())
    for tile, split in zip(manifest["tiles"], ["test", "train", "val"], strict=True):
        tile["split"] = split
    (tmp_path / "real" / "manifest.json").write_text(json.dumps(manifest))
    real = Corpus.open(tmp_path / "real")
    words = ["compose", "street", "-n", "3", "-o", str(tmp_path / "out")]
    with pytest.raises(SystemExit, match=r"^0$"):
        main([*words, "--into", str(tmp_path / "real")])
    assert Corpus.open(tmp_path / "out").units == real.only(split="train").units
    assert "met nothing" not in capsys.readouterr().err  # of three scans of one unit
    for tile in manifest["tiles"]:
        tile["split"] = "test"
    (tmp_path / "real" / "manifest.json").write_text(json.dumps(manifest))
    for option in ("--into", "--like"):
        with pytest.raises(SystemExit, match=r"^1$"):
            main([*words, option, str(tmp_path / "real"), "--force"])
        assert "no tiles of split 'train'" in capsys.readouterr().err


def test_objects_are_on_the_scale_of_the_scan() -> None:
    cloud = scan()
    beams = beams_of(cloud, ELEVATIONS.tolist(), STEPS)
    assets = [variant("car", 0), variant("person", 0)]
    unit, _ = into(cloud, assets, beams, CLEAN, np.random.default_rng(3))
    for dtype in (np.float32, np.uint8):
        bright = cloud.with_fields(intensity=np.where(np.arange(len(cloud)) % 9, 60, 255).astype(dtype))
        made, _ = into(bright, assets, beams, CLEAN, np.random.default_rng(3))
        assert made["intensity"].dtype == dtype
        new = made["instance"] > 0
        np.testing.assert_allclose(
            made["intensity"][new], np.minimum(unit["intensity"][unit["instance"] > 0], 1) * 255, atol=0.51
        )
    bare = PointCloud(cloud.xyz, {"label": cloud["label"]}, TREE)
    made, count = into(bare, assets, beams, CLEAN, np.random.default_rng(3))
    assert count
    assert "intensity" not in made


@pytest.mark.parametrize(
    ("recipe", "change", "message"),
    [
        ("town", "into.objects=[1, 2]", r"does not spin .*--set sensor\.model=HDL-64E"),
        ("street", "into.kinds.cat=1", "no object kind 'cat', choose from tree"),
    ],
)
def test_recipes_that_cannot_place_are_refused(tmp_path: Path, recipe: str, change: str, message: str) -> None:
    compose_corpus(load_recipe("street", ["sensor.azimuth_steps=100"]), 1, tmp_path / "real", seed=3)
    with pytest.raises(RecipeError, match=message):
        place_corpus(
            load_recipe(recipe, [change]), Corpus.open(tmp_path / "real"), ([0.0, 1.0], 100), 1, tmp_path / "out", seed=1
        )
    assert not (tmp_path / "out").exists()


def test_the_scanner_that_a_refusal_names_is_taken(tmp_path: Path) -> None:
    compose_corpus(load_recipe("street", ["sensor.azimuth_steps=100"]), 1, tmp_path / "real", seed=3)
    real = Corpus.open(tmp_path / "real")
    place_corpus(load_recipe("town", ["sensor.model=HDL-64E"]), real, pattern_of(real), 1, tmp_path / "out", seed=1)
    assert Corpus.open(tmp_path / "out").points
