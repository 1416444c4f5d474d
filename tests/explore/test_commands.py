"""``pcaug view`` and ``pcaug explore`` from the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import make_cloud
from explore.builders_explore import corpus

from pcaug import formats
from pcaug.cli.app import main
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.explore.network import features_of
from pcaug.scene.recipe import load_recipe
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.train import train
from pcaug.sensor.compose import compose_corpus


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    found = capsys.readouterr()
    return int(end.value.code or 0), found.out, found.err


def test_view_writes_pictures_and_pages_of_files_and_corpora(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    formats.write(tmp_path / "scan.ply", make_cloud(300))
    corpus(tmp_path / "made", 0, scans=1)
    sources = (tmp_path / "scan.ply", tmp_path / "made")
    code, text, _ = run(capsys, "view", *sources, "--png", tmp_path / "a.png", "--html", tmp_path / "a.html")
    assert code == 0
    assert "points" in text
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.html").stat().st_size > 10_000


def test_view_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    formats.write(tmp_path / "scan.ply", make_cloud(30))
    (tmp_path / "a.png").touch()
    for words, said in (
        (("--png", tmp_path / "a.png"), "already exists"),
        (("--png", tmp_path / "b.png", "--colour", "mood"), "choose from class"),
        (("--html", tmp_path / "b.html", "--colour", "rgb"), "choose from class"),
        ((), "--html FILE or --png FILE"),
    ):
        code, _, error = run(capsys, "view", tmp_path / "scan.ply", *words)
        assert code == 1
        assert said in error
        assert error.count("\n") == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "scan.ply"]


def test_explore_writes_a_report_and_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus(tmp_path / "one", 1, scans=2)
    corpus(tmp_path / "two", 2, scans=2)
    words = ("explore", tmp_path / "one", tmp_path / "two", "-o", tmp_path / "fit.html")
    code, text, _ = run(capsys, *words, "--json")
    assert code == 0
    assert json.loads(text) == json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    code, _, error = run(capsys, *words)
    assert code == 1
    assert "already exists" in error
    (tmp_path / "fit.html").unlink()
    code, _, error = run(capsys, *words)
    assert code == 1
    assert f"already exists, {tmp_path / 'fit.json'}, " in error
    code, _, error = run(capsys, *words[:-1], tmp_path / "fit.json" / "below" / "fit.html")
    assert (code, error.count("\n")) == (1, 1)
    assert "cannot be written" in error


def test_explore_prints_several_sets_by_rank_with_the_sentence_of_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    real, near = corpus(tmp_path / "real", 1, scans=4), corpus(tmp_path / "near", 2, scans=4)
    with CorpusWriter(tmp_path / "far", kind="synthetic", frame="sensor") as writer:
        for tile in near.tiles:  # ten times as high as it is
            cloud = near.read(tile)
            writer.add(replace(cloud, xyz=cloud.xyz * (1, 1, 10)), tile.name, tile.unit)
    words = [tmp_path / name for name in ("far", "near")]
    code, text, _ = run(capsys, "explore", real.folder, *words, "-o", tmp_path / "fit.html")
    assert code == 0
    lines = text.splitlines()
    assert lines[0].startswith(f"{tmp_path / 'near'} fits best. Ranked by faults")
    assert lines.index(f"{tmp_path / 'near'}:") < lines.index(f"{tmp_path / 'far'}:")
    assert "near fits best. Ranked by faults" in (tmp_path / "fit.html").read_text(encoding="utf-8")
    found = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert [Path(gap["synthetic"]["inventory"]["folder"]).name for gap in found] == ["far", "near"]


def test_explore_writes_the_same_bytes_for_any_threads_workers_and_hash_seed(tmp_path: Path) -> None:
    made = corpus(tmp_path / "made", 1, scans=2)
    for number, cloud in enumerate(made.clouds()):
        ids = np.choose(np.searchsorted([2, 5, 7], cloud["label"]), [2, 5, 6])
        formats.write(tmp_path / "las" / f"{number}.las", PointCloud(cloud.xyz, {"native_label": ids.astype(np.int32)}))
    found = []
    for count in ("1", "2"):
        page = tmp_path / f"{count}.html"
        words = ("explore", tmp_path / "made", tmp_path / "las", "-o", page, "--card", "las", "--json", "--workers", count)
        env = os.environ | {"PYTHONHASHSEED": count, "OMP_NUM_THREADS": count}
        done = subprocess.run([sys.executable, "-m", "pcaug", *words], env=env, capture_output=True, check=True)
        found.append((done.stdout, page.read_bytes(), page.with_suffix(".json").read_bytes()))
    assert found[0] == found[1]
    assert json.loads(found[0][0])["synthetic"]["inventory"]["folder"] == str(tmp_path / "las")


def test_explore_reads_files_with_a_card_and_a_networks_features(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path / "cache"))
    made = corpus(tmp_path / "one", 1, scans=2)
    (tmp_path / "las").mkdir()
    for number, cloud in enumerate(made.clouds()):
        ids = np.choose(np.searchsorted([2, 5, 7], cloud["label"]), [2, 5, 6])  # ASPRS ground, high vegetation, building
        bare = PointCloud(cloud.xyz, {"native_label": ids.astype(np.int32)})
        formats.write(tmp_path / "las" / f"{number}.las", bare)
    run_folder = tmp_path / "run"
    small = {"steps": 2, "points": 128, "batch": 4, "block": 8.0, "voxel": 0.3, "precision": "float32", "classes": "als3"}
    train(TrainRecipe(**small), made, [], run_folder)
    capsys.readouterr()
    words = ("explore", tmp_path / "one", tmp_path / "las", "-o", tmp_path / "fit.html", "--card", "las", "--run", run_folder)
    code, text, error = run(capsys, *words)
    assert code == 0, error
    found = json.loads((tmp_path / "fit.json").read_text(encoding="utf-8"))
    assert found["synthetic"]["inventory"]["native"]["2 ground"] > 0
    assert 0 < found["network"]["value"] < 1e4
    assert "fits" in text
    one = ("explore", tmp_path / "one", tmp_path / "las" / "0.las", "-o", tmp_path / "file.html", "--card", "las")
    code, _, error = run(capsys, *one)
    assert code == 0, error
    assert f"{tmp_path / 'las' / '0.las'} (synthetic)" in (tmp_path / "file.html").read_text(encoding="utf-8")


def test_a_networks_features_do_not_depend_on_threads(tmp_path: Path) -> None:
    compose_corpus(load_recipe("street"), 1, tmp_path / "made", seed=1)  # smaller scans are summed alike by any number of them
    made = Corpus.open(tmp_path / "made")
    small = {"steps": 1, "points": 4000, "batch": 1, "block": 48.0, "voxel": 0.15, "precision": "float32"}
    train(TrainRecipe(network="pillars", **small), made, [], tmp_path / "run")
    found, before = [], torch.get_num_threads()
    for count in (1, 2):
        torch.set_num_threads(count)
        found.append(features_of(tmp_path / "run")(made).values)
    torch.set_num_threads(before)
    np.testing.assert_array_equal(*found)
