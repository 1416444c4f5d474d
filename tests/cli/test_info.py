"""``pcaug info`` of folders: what it counts, and what it points out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from builders import make_cloud, run
from pyproj import CRS

from pcaug import formats
from pcaug.cloud import PointCloud


def test_other_crss_are_told_by_what_they_are_and_not_by_their_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    same = (CRS("EPSG:2154").to_wkt(), CRS("EPSG:2154").to_wkt("WKT1_GDAL"), CRS("EPSG:2154+5720").to_wkt())
    for index, crs in enumerate(same):
        formats.write(tmp_path / f"{index}.las", PointCloud(make_cloud(20, seed=index).xyz, {}, crs=crs))
    assert "other_crs" not in json.loads(run(capsys, "info", tmp_path, "--json")[0])
    assert "other CRSs" not in run(capsys, "info", tmp_path)[0]
    for index in (7, 8):
        formats.write(tmp_path / f"{index}.las", PointCloud(make_cloud(20).xyz, {}, crs=CRS("EPSG:32631").to_wkt()))
    out, _ = run(capsys, "info", tmp_path)
    assert "other CRSs  WGS 84 / UTM zone 31N; the bounds mix them" in out


@pytest.mark.filterwarnings("default")
def test_a_text_that_is_no_scan_is_told_and_not_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formats.write(tmp_path / "scans" / "a.ply", make_cloud(30))
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "notes.txt").write_text("some words about it\n", encoding="utf-8")
    out, err = run(capsys, "info", tmp_path)
    assert "30 in 1 scan " in out
    assert "what holds no points (1 file: docs/notes.txt) is left out" in err


def test_label_files_that_no_scan_was_read_with_are_pointed_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, drives = np.random.default_rng(0), tmp_path / "drives"
    for kind in ("points", "truth"):
        (drives / kind).mkdir(parents=True)
    for index in range(3):
        rng.uniform((-20, -20, -20, 0), (20, 20, 20, 20), (100, 4)).astype("<f4").tofile(drives / "points" / f"{index}.bin")
    assert "label file" not in run(capsys, "info", drives)[1]
    for index in range(3):
        rng.choice([40, 50], 100).astype("<u4").tofile(drives / "truth" / f"{index}.label")
    assert f"3 label files beside the scans: draft a card with pcaug datasets new {drives}" in run(capsys, "info", drives)[1]
    run(capsys, "datasets", "new", drives, "-o", tmp_path / "card.toml")
    assert "40 = " in (tmp_path / "card.toml").read_text(encoding="utf-8")
    for index in range(3):
        (drives / "truth" / f"{index}.label").rename(drives / "points" / f"{index}.label")
    assert "label file" not in run(capsys, "info", drives)[1]
