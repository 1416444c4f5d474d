"""Prediction: every field and point kept, any size in the same memory, jobs that go on, and scans that look strange."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from segment.builders_segment import TREE, garden

from pcaug import formats
from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.segment.predict import Segmenter, predict
from pcaug.segment.run import Run
from pcaug.segment.stream import CELL, layout


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
    assert predict(trained, path, out, most=most) == len(cloud)
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
    assert predict(trained, tmp_path / "in", tmp_path / "one") == len(garden(6))
    assert (tmp_path / "one" / "in5.ply").stat().st_mtime_ns == kept
    with pytest.raises(PcaugError, match="already exists"):
        predict(trained, tmp_path / "in", tmp_path / "one", views=2)


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
