from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_cloud
from view.builders_view import rich_cloud

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import NotFound, PcaugError
from pcaug.view import colours
from pcaug.view.page import _sample, save_html

HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'"


def contents(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    data: dict[str, Any] = json.loads(found[1])
    return data


def unpack(text: str) -> np.ndarray:
    return np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)


def positions(cloud: dict[str, Any]) -> np.ndarray:
    planes = unpack(cloud["position"]).reshape(6, -1).astype(np.int64)
    place = np.cumsum(sum(planes[k] << 8 * k for k in range(6)))
    grid = np.stack([sum((place >> (3 * bit + axis) & 1) << bit for bit in range(16)) for axis in range(3)], axis=1)
    return np.asarray(grid * cloud["step"] + cloud["low"] + cloud["origin"])


def test_positions_come_back_within_half_a_step(tmp_path: Path) -> None:
    cloud = make_cloud(3000, size=500.0)
    moved = PointCloud(cloud.xyz + [650_000, 6_860_000, 100])
    assert save_html([moved], tmp_path / "a.html") == 3000
    row = contents(tmp_path / "a.html")["clouds"][0]
    found = positions(row)
    assert row["step"] == pytest.approx(500 / 65535, rel=0.01)
    near = np.abs(found[:, None, :] - moved.xyz[None, :300]).max(axis=2).min(axis=0)
    assert near.max() <= row["step"] * 0.5001 + 1e-9


def test_the_legend_counts_every_class_of_every_cloud(tmp_path: Path) -> None:
    one, two = make_cloud(500), make_cloud(300, seed=1)
    two = two.take(two["label"] != 21)
    save_html([one, two], tmp_path / "a.html", ["one", "two"])
    data = contents(tmp_path / "a.html")
    mode = next(m for m in data["modes"] if m["name"] == "class")
    taxonomy = catalogue.taxonomy()
    for number, cloud in enumerate((one, two)):
        counted = {e["name"]: e["counts"][number] for e in mode["entries"] if e["counts"][number]}
        assert counted == taxonomy.counts(cloud["label"])
        codes = unpack(data["clouds"][number]["values"][data["modes"].index(mode)])
        named = {e["index"]: e["name"] for e in mode["entries"]}
        values, counts = np.unique(codes, return_counts=True)
        assert {named[int(v)]: int(c) for v, c in zip(values, counts, strict=True)} == counted
    for entry in mode["entries"]:
        assert tuple(mode["palette"][entry["index"]]) == taxonomy.colour(taxonomy.id(entry["name"]))


def test_every_colour_mode_that_the_cloud_has_the_field_of(tmp_path: Path) -> None:
    save_html([rich_cloud(), make_cloud(50)], tmp_path / "a.html")
    data = contents(tmp_path / "a.html")
    names = [mode["name"] for mode in data["modes"]]
    assert set(names) == {*colours.MODES, "confidence"}
    assert [name for name, values in zip(names, data["clouds"][1]["values"], strict=True) if values] == [
        "class",
        "intensity",
        "height",
    ]
    assert names[data["start"]] == "class"


def test_ids_beyond_a_byte_share_a_row_and_are_all_counted(tmp_path: Path) -> None:
    cloud = make_cloud(3000, labelled=False, native_label=np.random.default_rng(0).integers(-5, 900, 3000).astype(np.int32))
    save_html([cloud], tmp_path / "a.html")
    mode = next(m for m in contents(tmp_path / "a.html")["modes"] if m["name"] == "native")
    assert len(mode["entries"]) == 256
    assert sum(e["counts"][0] for e in mode["entries"]) == 3000
    assert mode["entries"][-1]["name"].endswith("rarer ids")


def test_instances_keep_their_ids(tmp_path: Path) -> None:
    cloud = rich_cloud(500)
    save_html([cloud], tmp_path / "a.html")
    planes = unpack(contents(tmp_path / "a.html")["clouds"][0]["instance"]).reshape(4, -1).astype(np.int64)
    ids = sum(planes[k] << 8 * k for k in range(4))
    assert sorted(ids) == sorted(cloud["instance"])


def test_numbers_that_are_none_are_no_numbers(tmp_path: Path) -> None:
    intensity = np.full(100, np.nan, np.float32)
    intensity[:10] = np.inf
    save_html([make_cloud(100, intensity=intensity)], tmp_path / "a.html")
    data = contents(tmp_path / "a.html")
    index = [m["name"] for m in data["modes"]].index("intensity")
    assert (unpack(data["clouds"][0]["values"][index]) == 0).all()


def test_too_many_points_are_thinned_evenly_and_it_says_so(tmp_path: Path) -> None:
    assert save_html([make_cloud(1000)], tmp_path / "a.html", most=400) == 400
    row = contents(tmp_path / "a.html")["clouds"][0]
    assert (row["of"], row["points"]) == (1000, 400)
    mode = contents(tmp_path / "a.html")["modes"][0]
    assert sum(sum(entry["counts"]) for entry in mode["entries"]) == 1000


def test_a_sample_is_in_step_with_no_ring_of_the_scan(tmp_path: Path) -> None:
    cloud = make_cloud(64_000, native_label=np.tile(np.arange(64, dtype=np.int32), 1000))
    few = _sample(cloud, 1000)
    assert len(few) == 1000
    assert len(np.unique(few["native_label"])) == 64
    np.testing.assert_array_equal(few.xyz, _sample(cloud, 1000).xyz)


def test_classes_and_predictions_share_ids_and_colours(tmp_path: Path) -> None:
    one = make_cloud(3).with_fields(label=np.array([2, 2, 5], np.uint16), prediction=np.array([5, 7, 7], np.uint16))
    save_html([one], tmp_path / "a.html")
    truth, guess = contents(tmp_path / "a.html")["modes"][:2]
    assert truth["palette"] == guess["palette"]
    named = {entry["index"]: entry["name"] for entry in truth["entries"]}
    assert all(named.get(entry["index"], "building") == entry["name"] for entry in guess["entries"])
    assert [entry["counts"] for entry in guess["entries"]] == [[1], [2]]


def test_an_empty_cloud_is_left_out_with_its_title(tmp_path: Path) -> None:
    save_html([make_cloud(5).take(slice(0, 0)), make_cloud(5)], tmp_path / "a.html", ["empty", "full"])
    assert [row["title"] for row in contents(tmp_path / "a.html")["clouds"]] == ["full"]


def test_clouds_of_other_places_are_each_seen_from_their_own_middle(tmp_path: Path) -> None:
    here, there = make_cloud(50), make_cloud(50)
    far = PointCloud(there.xyz + 1e6)
    save_html([here, far], tmp_path / "a.html")
    rows = contents(tmp_path / "a.html")["clouds"]
    assert np.abs(rows[1]["low"]).max() < 20
    save_html([here, there], tmp_path / "b.html")
    rows = contents(tmp_path / "b.html")["clouds"]
    assert rows[0]["origin"] == rows[1]["origin"]


def test_no_points_and_unknown_modes_are_one_line_and_leave_nothing(tmp_path: Path) -> None:
    with pytest.raises(PcaugError, match="no points"):
        save_html([make_cloud(5).take(slice(0, 0))], tmp_path / "a.html")
    with pytest.raises(NotFound, match="choose from class"):
        save_html([make_cloud(5)], tmp_path / "a.html", colour="rgb")
    with pytest.raises(PcaugError, match="positions that are not finite"):
        save_html([make_cloud(5), PointCloud(np.array([[0, 0, 0], [1, np.nan, 0]]))], tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


def test_hostile_names_stay_names(tmp_path: Path) -> None:
    save_html([make_cloud(5)], tmp_path / "a.html", [HOSTILE], title=HOSTILE)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<img" not in page
    assert page.count("<script") == 2
    assert contents(tmp_path / "a.html")["clouds"][0]["title"] == HOSTILE


def test_a_million_points_stay_small(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 250_000
    xy = rng.uniform(0, 150, (n, 2))
    z = np.sin(xy[:, 0] / 20) * 3 + rng.normal(0, 0.02, n) + np.where(rng.random(n) < 0.2, rng.uniform(0, 8, n), 0)
    label = (xy // 30).sum(axis=1).astype(np.uint16) % 3
    cloud = PointCloud(np.column_stack([xy, z]), {"label": label, "intensity": rng.random(n)}, catalogue.taxonomy())
    save_html([cloud], tmp_path / "a.html")
    assert (tmp_path / "a.html").stat().st_size < 5.2e6 * n / 1e6 + 60_000


def test_a_notebook_shows_a_sample_and_an_empty_cloud_only_its_summary() -> None:
    cloud = make_cloud(250_000)
    shown = cloud._repr_html_()
    assert shown.startswith("<p>PointCloud(250,000 points")
    assert shown.count("<iframe") == 1
    assert "srcdoc=" in shown
    assert len(shown) < 900_000
    assert "iframe" not in cloud.take(slice(0, 0))._repr_html_()
