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
    with pytest.raises(SystemExit) as end:  # to learn from, they are an error still
        main(["convert", str(tmp_path / "a.las"), str(tmp_path / "corpus"), "--card", "las"])
    assert end.value.code == 1
