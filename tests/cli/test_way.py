"""The whole way through the command line, on scans made here; and what each command says of bad input."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from builders import run

from pcaug import catalogue, formats
from pcaug.cloud import PointCloud

TREE = catalogue.taxonomy()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path / "cache"))


def pcaug(capsys: pytest.CaptureFixture[str], line: str, code: int = 0) -> str:
    out, err = run(capsys, *line.split(), code=code)
    return out if code == 0 else err


def scan(path: str, n: int = 3000) -> None:
    rng = np.random.default_rng(0)
    ground = np.column_stack([rng.uniform(0, 40, (n, 2)), rng.normal(0, 0.02, n)])
    house = rng.uniform((10, 10, 0), (20, 20, 5), (n // 2, 3))
    native = np.repeat([2, 6], [n, n // 2]).astype(np.int32)
    formats.write(path, PointCloud(np.concatenate([ground, house]) + (650_000, 6_860_000, 0), {"native_label": native}))


def test_force_removes_runs_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    Path("proj").mkdir()
    Path("proj/thesis.txt").write_text("years")
    scan("tile.las", 300)
    pcaug(capsys, "convert tile.las real --card las")
    small = '--set steps=2 --set batch=2 --set points=64 --set features=["plan"] --set arguments.width=0.1'
    assert "holds thesis.txt, which is no part of a run" in pcaug(
        capsys, f"train pointnet --real real -o proj --force {small}", 1
    )
    assert Path("proj/thesis.txt").read_text() == "years"
    pcaug(capsys, f"train pointnet --real real -o run {small}")
    before = Path("run/weights.safetensors").read_bytes()
    pcaug(capsys, f"train pointnet --real nothing -o run --force {small}", 1)
    assert Path("run/weights.safetensors").read_bytes() == before
    Path("real").rename("run/real")
    for force in ("--force", ""):
        told = pcaug(capsys, f"train pointnet --real run/real -o run {force} {small}", 1)
        assert "holds real/manifest.json, which is no part of a run, run, choose another folder" in told
    Path("run/real").rename("real")
    assert "holds a finished run, run, choose another name or pass --force" in pcaug(
        capsys, f"train pointnet --real real -o run {small}", 1
    )
    pcaug(capsys, f"train pointnet --real real -o run --force {small} --set seed=1")
    assert Path("run/weights.safetensors").read_bytes() != before


def test_composed_scans_are_added_to_their_like(capsys: pytest.CaptureFixture[str]) -> None:
    town = "compose town -o towns --set town.size=30.0 -n"
    pcaug(capsys, f"{town} 1")
    assert "in 3 scans in towns" in pcaug(capsys, f"{town} 2 --append")
    assert "in 4 scans in towns" in pcaug(capsys, f"{town} 1 --append")
    assert len(json.loads(pcaug(capsys, "info towns --json"))["units"]) == 4
    assert "was made otherwise (seed differ), towns" in pcaug(capsys, f"{town} 1 --append --seed 1", 1)
    assert "was made otherwise (recipe differ)" in pcaug(capsys, f"{town} 1 --append --set town.water=1.0", 1)
    scan("tile.las", 300)
    pcaug(capsys, "convert tile.las real --card las")
    for line in ("compose town -n 1 -o real --append", "compose town -n 1 -o none --append"):
        pcaug(capsys, line, 1)
    pcaug(capsys, "merge real -o towns --append")
    out, err = run(capsys, *f"{town} 1 --append".split())
    assert "in 5 scans in towns" in out
    assert "met nothing" not in err


def test_a_training_tells_how_to_score_it(capsys: pytest.CaptureFixture[str]) -> None:
    scan("tile.las", 300)
    pcaug(capsys, "convert tile.las whole --card las")
    pcaug(capsys, "convert tile.las real --card las --split 0.5/0/0.5 --block 5 --buffer 0")
    small = '--set steps=2 --set batch=2 --set points=64 --set features=["plan"] --set arguments.width=0.1'
    assert "score it" not in pcaug(capsys, f"train pointnet --real whole -o first {small}")
    told = pcaug(capsys, f"train pointnet --real real -o run {small}")
    command = re.search("score it: pcaug (.*)", told)
    assert command
    assert "mIoU" in pcaug(capsys, command[1])


@pytest.mark.parametrize("force", ["", " --force"])
@pytest.mark.parametrize(
    "line",
    [
        "convert tile.las mine --card las",
        "convert real mine --each .ply",
        "merge tile.las -o mine --card las",
        "compose street -n 1 -o mine",
        "augment spinning real -o mine",
        "objects real -o mine --class building",
        "generate fit bank -o mine",
        "generate sample model -o mine",
        "sample -o mine",
        "train pointnet --real real -o mine",
        "export street --test real -o mine",
        "predict street scans -o mine",
        "study sample -o mine",
    ],
)
def test_a_folder_of_the_users_is_refused_by_every_command(capsys: pytest.CaptureFixture[str], line: str, force: str) -> None:
    scan("tile.las", 300)
    scan("scans/tile.las", 300)
    pcaug(capsys, "convert tile.las real --card las")
    Path("mine/deep").mkdir(parents=True)
    Path("mine/deep/thesis.txt").write_text("years")
    told = pcaug(capsys, f"{line}{force}", 1)
    assert "error: holds deep/thesis.txt, which is no part of " in told
    assert "--force" not in told
    assert [path.name for path in Path("mine").rglob("*")] == ["deep", "thesis.txt"]


def test_a_picture_is_not_written_over(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pack/car").mkdir(parents=True)
    Path("pack/car/box.obj").write_text("v 0 0 0\nv 4 0 0\nv 0 2 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 2 3 4\nf 1 4 3\n")
    Path("box.png").write_text("mine")
    assert "already exists, box.png, choose another name or pass --force" in pcaug(capsys, "assets pack --png box.png", 1)
    pcaug(capsys, "assets pack --png box.png --force")
    assert Path("box.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("suffix", [".bin", ".las", ".txt"])
@pytest.mark.parametrize("line", ["info scans", "predict street scans -o out --format ply", "view scans --png out.png -n 3"])
def test_one_empty_file_among_many_is_named(capsys: pytest.CaptureFixture[str], line: str, suffix: str) -> None:
    for name in "abc":
        formats.write(f"scans/{name}{suffix}", PointCloud(np.random.default_rng(0).uniform(0, 5, (50, 3))))
    Path(f"scans/b{suffix}").write_bytes(b"")
    told = pcaug(capsys, line, 1)
    assert told == f"pcaug: error: is empty (0 bytes), scans/b{suffix}, get it again, or take it away\n"


@pytest.mark.parametrize("what", ["--png a.png", "--html a.html"])
def test_a_cloud_without_points_is_no_picture(capsys: pytest.CaptureFixture[str], what: str) -> None:
    formats.write("none.ply", PointCloud(np.zeros((0, 3))))
    assert pcaug(capsys, f"view none.ply {what}", 1).startswith("pcaug: error: no points to show")
    assert [path.name for path in Path().iterdir()] == ["none.ply"]


def test_info_names_every_crs_of_a_folder(capsys: pytest.CaptureFixture[str]) -> None:
    for name, crs in (("a.ply", "EPSG:2154"), ("b.ply", "EPSG:2154"), ("c.ply", "EPSG:25832")):
        formats.write(Path("in") / name, PointCloud(np.ones((9, 3)), crs=crs))
    out = " ".join(pcaug(capsys, "info in").split())
    assert "CRS RGF93" in out
    assert "other CRSs ETRS89 / UTM zone 32N; the bounds mix them" in out
    Path("in/c.ply").unlink()
    assert "other CRSs" not in pcaug(capsys, "info in")


def test_the_whole_way(capsys: pytest.CaptureFixture[str]) -> None:
    scan("tile.las")
    told = json.loads(pcaug(capsys, "info tile.las --json"))
    assert told["points"] == 4500
    assert set(told) >= {"points", "bounds", "fields", "crs", "classes"}
    pcaug(capsys, "convert tile.las real --card las --split 0.5/0/0.5 --block 10")
    assert json.loads(pcaug(capsys, "info real --json"))["classes"] == {"building": 1500, "ground": 3000}
    pcaug(capsys, "compose town -n 1 -o towns --seed 3 --set town.size=30.0")
    pcaug(capsys, "merge real towns -o both")
    fit = json.loads(pcaug(capsys, "explore real towns -o fit.html --json"))
    assert 0 <= fit["test"]["auc"] <= 1
    changes = "--set steps=60 --set points=64 --set batch=4 --set classes=als3 --set voxel=0.5"
    pcaug(capsys, f"train pointnet --real real --synthetic towns -o run {changes}")
    assert len(Path("run/log.csv").read_text().splitlines()) == 61
    scores = json.loads(pcaug(capsys, "evaluate run real --split test --json"))
    assert set(scores) >= {"miou", "accuracy", "iou", "confusion"}
    whole = json.loads(pcaug(capsys, "evaluate run real --json"))
    assert np.sum(whole["confusion"]) >= np.sum(scores["confusion"])
    pcaug(capsys, "predict run tile.las -o labelled.laz")
    assert len(formats.read("labelled.laz")) == 4500
    pcaug(capsys, "view real --png real.png")
    pcaug(capsys, "view labelled.laz --html labelled.html --colour prediction")
    assert Path("real.png").read_bytes()[:4] == b"\x89PNG"
    told = json.loads(pcaug(capsys, "doctor --json"))
    assert told["torch"]["ok"]


def test_a_sensor_that_meets_nothing_is_told_of(capsys: pytest.CaptureFixture[str]) -> None:
    line = "compose street -n 1 -o far --set sensor.range_min=500 --set sensor.range_max=600"
    out, err = run(capsys, *line.split(), code=0)
    assert out == "0 points in 1 scan in far\n"
    assert "warning: 1 of 1 scan met nothing" in err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("info cut.laz", "truncated"),
        ("convert scan.bin corpus --card semantickitti", "3 labels for 4 points"),
        ("convert strange.ply corpus --card las", "unknown class ids 77 (1 point)"),
        ("convert nan.bin out.ply", "not finite"),
        ("compose misspelt.toml -n 1 -o out", "did you mean 'lane'"),
        ("compose meshless.toml -n 1 -o out", "mesh without faces"),
        ("convert strange.ply corpus --card outside.toml", "points outside the dataset's folder"),
        ("train pointnet --real nowhere -o run", "is not a corpus"),
        ("evaluate nowhere nowhere", "is not a finished run"),
        ("info whole.laz --card semanticity", "no card named 'semanticity'"),
        ("view strange.ply", "use --html FILE or --png FILE"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, line: str, words: str
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    scan("whole.laz")
    Path("cut.laz").write_bytes(Path("whole.laz").read_bytes()[:9000])
    np.zeros((4, 4), "<f4").tofile("scan.bin")
    np.zeros(3, "<u4").tofile("scan.label")
    np.full((2, 4), np.nan, "<f4").tofile("nan.bin")
    formats.write("strange.ply", PointCloud(np.zeros((1, 3)), {"native_label": np.array([77], np.int32)}))
    Path("misspelt.toml").write_text('name = "x"\n[street]\nlanes = [3.0, 3.5]\n')
    Path("empty.obj").write_text("v 0 0 0\n")
    Path("meshless.toml").write_text('name = "x"\n[street]\n[[assets]]\npath = "empty.obj"\nlabel = "car"\n')
    card = Path(catalogue.shipped("datasets") / "las.toml").read_text()
    Path("outside.toml").write_text(card.replace('"*.las"', '"../../*.las"'))
    before = {p.name for p in Path().iterdir()}
    err = pcaug(capsys, line, code=1)
    assert err.startswith("pcaug: error: ")
    assert err.count("\n") == 1
    assert words in err
    assert {p.name for p in Path().iterdir()} - {"cache"} == before
