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
from view.chromium import needs_chromium, run

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import NotFound, PcaugError
from pcaug.view import colours
from pcaug.view.page import save_html

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
    assert save_html([make_cloud(1000)], tmp_path / "a.html", most=400) == 334
    row = contents(tmp_path / "a.html")["clouds"][0]
    assert (row["of"], row["points"]) == (1000, 334)


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
    assert (tmp_path / "a.html").stat().st_size < 5.2e6 * n / 1e6 + 40_000


@needs_chromium
def test_in_a_browser_it_draws_hides_picks_and_turns(tmp_path: Path) -> None:
    save_html([rich_cloud(), make_cloud(4000, seed=3)], tmp_path / "a.html", [HOSTILE, "two"], title=HOSTILE)
    found = run(
        tmp_path / "a.html",
        """
        const out = { title: document.title, heads: [...document.querySelectorAll(".title")].map(e => e.firstChild.textContent) };
        out.left = drawn(0, .5); out.right = drawn(.5, 1);
        out.rows = [...document.querySelectorAll("#legend input")].map(e => e.dataset.class);
        const tick = document.querySelector('[data-class="car"]'); tick.click(); out.without = drawn();
        $("all").querySelector('[data-show="none"]').click(); out.none = drawn();
        $("all").querySelector('[data-show="all"]').click(); out.all = drawn();
        const w = canvas.clientWidth, h = canvas.clientHeight;
        click(w / 4, h / 2); paint(); out.read = $("read").hidden ? "" : $("read").textContent; out.marked = !$("mark").hidden;
        key("Escape"); out.closed = $("read").hidden;
        const yaw = camera.yaw, at = [...camera.at], far = camera.distance;
        mouse("pointerdown", 100, 100); mouse("pointermove", 160, 100); mouse("pointerup", 160, 100);
        out.turned = camera.yaw !== yaw;
        mouse("pointerdown", 100, 100); mouse("pointermove", 160, 120, { shiftKey: true }); mouse("pointerup", 160, 120);
        out.moved = camera.at.some((v, k) => v !== at[k]);
        canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -200, cancelable: true })); out.nearer = camera.distance < far;
        const d = camera.distance; mouse("pointerdown", 100, 100); mouse("pointerdown", 200, 100, { pointerId: 2 });
        mouse("pointermove", 201, 100, { pointerId: 2 }); mouse("pointermove", 300, 100, { pointerId: 2 });
        out.pinched = camera.distance < d; mouse("pointerup", 100, 100); mouse("pointerup", 300, 100, { pointerId: 2 });
        key("t"); out.above = camera.pitch; key("r"); out.home = camera.distance === camera.home.distance;
        out.modes = {}; for (let k = 0; k < data.modes.length; k++) { out.modes[data.modes[mode].name] = drawn(0, .5); key("m"); }
        const light = pixels().slice(0, 3).join(); key("l"); out.dark = light !== pixels().slice(0, 3).join();
        return out;
        """,
    )
    assert found["title"] == HOSTILE
    assert found["heads"] == [HOSTILE, "two"]
    assert min(found["left"], found["right"]) > 3000
    assert set(found["rows"]) == set(catalogue.taxonomy().counts(make_cloud(4000)["label"]))
    assert found["none"] == 0 < found["without"] < found["all"] == found["left"] + found["right"]
    assert re.match(r"x -?[\d.]+   y -?[\d.]+   z -?[\d.]+\nclass  \w+\nprediction  \w+\nnative  -?\d+", found["read"])
    assert re.search(r"instance  \d+\nintensity  [≤≥ ]*[\d.]+\nconfidence  [≤≥ ]*[\d.]+\nrgb  \d+, \d+, \d+$", found["read"])
    flags = ("marked", "closed", "turned", "moved", "nearer", "pinched", "home", "dark")
    assert [name for name in flags if not found[name]] == []
    assert found["above"] > 1.5
    assert min(found["modes"].values()) > 3000


@needs_chromium
def test_in_a_browser_a_picked_point_is_what_the_cloud_holds(tmp_path: Path) -> None:
    xyz = np.array([[500_000.0, 4_000_000, 50], [500_010, 4_000_000, 50], [500_000, 4_000_010, 52], [500_010, 4_000_010, 55]])
    label = np.array([0, 5, 7, 21], np.uint16)
    save_html([PointCloud(xyz, {"label": label}, catalogue.taxonomy())], tmp_path / "a.html")
    found = run(
        tmp_path / "a.html",
        """
        const m = matrix(canvas.clientWidth / canvas.clientHeight), read = [];
        for (let i = 0; i < 4; i++) {
          const p = [...local(clouds[0], i), 1], row = k => m[k] * p[0] + m[k + 4] * p[1] + m[k + 8] * p[2] + m[k + 12];
          click((row(0) / row(3) + 1) * canvas.clientWidth / 2, (1 - row(1) / row(3)) * canvas.clientHeight / 2);
          read.push($("read").textContent);
        }
        return { read };
        """,
    )
    names = [catalogue.taxonomy().label_name(int(k)) for k in label]
    wanted = {f"x {x:.2f}   y {y:.2f}   z {z:.2f}\nclass  {name}" for (x, y, z), name in zip(xyz, names, strict=True)}
    assert set(found["read"]) == wanted
