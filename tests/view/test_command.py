"""``pcaug view`` from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import trimesh
from builders import make_cloud
from PIL import Image

from pcaug import formats
from pcaug.cli.app import main
from pcaug.cloud import PointCloud
from pcaug.corpus.write import CorpusWriter


def run(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    with pytest.raises(SystemExit) as end:
        main(["view", *map(str, words)])
    found = capsys.readouterr()
    assert not end.value.code, found.err
    return found.out


def contents(page: Path) -> dict[str, object]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_a_sheet_spreads_over_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in range(30):
        formats.write(tmp_path / "in" / f"{index:02d}.ply", make_cloud(60, seed=index))
    run(capsys, tmp_path / "in", "--png", tmp_path / "sheet.png", "--sheet")
    with Image.open(tmp_path / "sheet.png") as image:
        assert image.width == 4 * 420 + 5 * 20
        assert image.height > 3 * 300
    run(capsys, tmp_path / "in", "--html", tmp_path / "a.html", "--sheet", "-n", 4)
    assert [row["title"] for row in contents(tmp_path / "a.html")["clouds"]] == ["00.ply", "10.ply", "19.ply", "29.ply"]


def test_a_scene_recipe_and_a_mesh_are_shown_as_clouds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trimesh.creation.box((2, 3, 4)).export(tmp_path / "box.glb")
    assert "points" in run(capsys, "town", tmp_path / "box.glb", "--html", tmp_path / "a.html", "--most", 5000)
    clouds = contents(tmp_path / "a.html")["clouds"]
    assert [row["title"] for row in clouds] == ["town", "box"]
    assert np.allclose(sorted(np.ptp(clouds[1]["frame"], axis=0)), [2, 3, 4], atol=0.15)
    assert sum(row["points"] for row in clouds) <= 5000


def test_hostile_file_names_stay_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a'b\"c&d<img src=x onerror=alert(1)>.ply"
    formats.write(tmp_path / name, make_cloud(30))
    run(capsys, tmp_path / name, "--html", tmp_path / "a.html", "--png", tmp_path / "a.png")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert [row["title"] for row in contents(tmp_path / "a.html")["clouds"]] == [name]


def test_class_ids_that_a_card_does_not_know_are_shown_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    native = np.repeat(np.array([2, 200], np.int32), [50, 7])
    formats.write(tmp_path / "a.las", PointCloud(np.random.default_rng(0).uniform(0, 9, (57, 3)), {"native_label": native}))
    with pytest.raises(SystemExit) as end:
        main(["view", str(tmp_path / "a.las"), "--card", "las", "--html", str(tmp_path / "a.html")])
    assert not end.value.code
    assert "7 points of class ids that the card las does not know" in " ".join(capsys.readouterr().err.split())
    assert (tmp_path / "a.html").is_file()
    guess = {"native_label": native[-1:], "prediction": np.ones(1, np.uint16)}
    formats.write(tmp_path / "guess.las", PointCloud(np.zeros((1, 3)), guess))
    with pytest.raises(SystemExit):
        main(["view", str(tmp_path / "guess.las"), "--card", "las", "--html", str(tmp_path / "guess.html")])
    assert "--colour prediction shows what was predicted" in " ".join(capsys.readouterr().err.split())
    with pytest.raises(SystemExit) as end:  # to learn from, they are an error still
        main(["convert", str(tmp_path / "a.las"), str(tmp_path / "corpus"), "--card", "las"])
    assert end.value.code == 1


def test_a_large_file_is_thinned_and_counted_as_a_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    native = np.repeat(np.array([2, 5, 200], np.int32), [290_000, 9_993, 7])  # more than a chunk
    xyz = np.random.default_rng(0).uniform(0, 90, (300_000, 3))
    formats.write(tmp_path / "a.laz", PointCloud(xyz, {"native_label": native}))
    with pytest.raises(SystemExit):
        main(["view", str(tmp_path / "a.laz"), "--card", "las", "--html", str(tmp_path / "a.html"), "--most", "1000"])
    printed = capsys.readouterr()
    assert "1,000 of 300,000 points" in printed.out
    assert "7 points of class ids" in " ".join(printed.err.split())
    data = contents(tmp_path / "a.html")
    assert [(row["points"], row["of"]) for row in data["clouds"]] == [(1000, 300_000)]
    mode = next(mode for mode in data["modes"] if mode["name"] == "native")
    assert {entry["name"]: entry["counts"] for entry in mode["entries"]} == {"2": [290_000], "5": [9_993], "200": [7]}


def test_several_large_clouds_share_the_points_of_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, count in (("a", 9000), ("b", 3000), ("c", 12)):
        formats.write(tmp_path / f"{name}.ply", make_cloud(count))
    sources = [tmp_path / f"{name}.ply" for name in "abc"]
    assert "999 of 12,012 points" in run(capsys, *sources, "--html", tmp_path / "a.html", "--most", 1000)
    assert [row["points"] for row in contents(tmp_path / "a.html")["clouds"]] == [749, 249, 1]


def test_a_picture_says_of_how_many_points_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[int, list[int]]] = []

    def note(clouds: list[PointCloud], *_: object, points: list[int], **__: object) -> None:
        drawn.extend((len(cloud), count) for cloud, count in zip(clouds, points, strict=True))

    monkeypatch.setattr("pcaug.view.picture.save_png", note)
    formats.write(tmp_path / "a.ply", make_cloud(9000))
    for words in ((), ("--sheet",)):
        with pytest.raises(SystemExit):
            main(["view", str(tmp_path / "a.ply"), "--png", str(tmp_path / "a.png"), "--most", "4000", *words])
    assert drawn == [(4000, 9000), (1000, 9000)]


def test_the_tiles_of_a_site_are_thinned_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare, ringed = make_cloud(4000), make_cloud(4000, ring=np.zeros(4000, np.uint16))
    with CorpusWriter(tmp_path / "corpus", frame="map") as writer:
        writer.add(bare, "west", "town")
        writer.add(PointCloud(ringed.xyz + [12, 0, 0], ringed.fields, ringed.taxonomy), "east", "town")
    assert "1,000 of 8,000 points" in run(capsys, tmp_path / "corpus", "--html", tmp_path / "a.html", "--most", 1000)
    row = contents(tmp_path / "a.html")["clouds"][0]
    assert row["title"] == "corpus: 2 tiles"
    assert 20 < np.ptp(row["frame"], axis=0)[0] < 24


def test_colours_that_are_all_black_are_told_and_not_chosen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = make_cloud(50, labelled=False)
    for name, value in (("black", 0), ("red", 200)):
        formats.write(tmp_path / f"{name}.ply", bare.with_fields(rgb=np.full((50, 3), value, np.uint8)))
    for name, best, told in (("black", "height", True), ("red", "rgb", False)):
        run(capsys, tmp_path / f"{name}.ply", "--html", tmp_path / f"{name}.html")
        data = contents(tmp_path / f"{name}.html")
        assert data["modes"][data["start"]]["name"] == best
        with pytest.raises(SystemExit):
            main(["view", str(tmp_path / f"{name}.ply"), "--colour", "rgb", "--png", str(tmp_path / f"{name}.png")])
        assert ("black.ply: all colours are 0" in capsys.readouterr().err) == told
