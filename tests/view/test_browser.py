"""The page in a real, headless Chromium: it opens from disk, draws, hides, compares, walks, picks, and asks no network."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from builders import make_cloud
from view.builders_view import rich_cloud
from view.chromium import needs_chromium, run

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.view.page import save_html

pytestmark = needs_chromium
HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'"


def test_it_draws_hides_picks_and_turns(tmp_path: Path) -> None:
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
        click(w / 4, h / 2); paint(); out.read = $("read").textContent;
        out.marked = $("marks").children.length === 2;
        key("Escape"); out.closed = $("read").hidden;
        const begun = camera.distance, yaw = camera.yaw, at = [...camera.at], far = camera.distance;
        mouse("pointerdown", 100, 100); mouse("pointermove", 160, 100); mouse("pointerup", 160, 100);
        out.turned = camera.yaw !== yaw;
        mouse("pointerdown", 100, 100); mouse("pointermove", 160, 120, { shiftKey: true }); mouse("pointerup", 160, 120);
        out.moved = camera.at.some((v, k) => v !== at[k]);
        canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -200, cancelable: true })); out.nearer = camera.distance < far;
        const d = camera.distance; mouse("pointerdown", 100, 100); mouse("pointerdown", 200, 100, { pointerId: 2 });
        mouse("pointermove", 201, 100, { pointerId: 2 }); mouse("pointermove", 300, 100, { pointerId: 2 });
        out.pinched = camera.distance < d; mouse("pointerup", 100, 100); mouse("pointerup", 300, 100, { pointerId: 2 });
        key("t"); out.above = camera.pitch; key("r"); out.home = camera.distance === begun;
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


def test_a_picked_point_is_what_the_cloud_holds(tmp_path: Path) -> None:
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


def test_one_cloud_is_swiped_over_the_other(tmp_path: Path) -> None:
    ground, roof = np.uint16(2), np.uint16(7)
    cloud = make_cloud(4000, size=40.0)
    one, two = (cloud.with_fields(label=np.full(4000, value, np.uint16)) for value in (ground, roof))
    save_html([one, two], tmp_path / "a.html", ["one", "two"])
    found = run(
        tmp_path / "a.html",
        """
        const out = { layouts: layouts(), beside: shades(0, 1) }, bar = $("swipe");
        arrange("swipe"); $("edges").value = 0; out.half = [shades(0, .5), shades(.5, 1)];
        swipeTo(1); out.left = shades(0, 1); swipeTo(0); out.right = shades(0, 1);
        const move = (type, x) => bar.dispatchEvent(new PointerEvent(type, {
          clientX: x + canvas.getBoundingClientRect().left, pointerId: 1, bubbles: true }));
        bar.setPointerCapture = () => {};
        move("pointerdown", 0); move("pointermove", canvas.clientWidth / 4); move("pointerup", canvas.clientWidth / 4);
        move("pointermove", 9); out.dragged = split;
        bar.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true })); out.keyed = split;
        swipeTo(.5); click(canvas.clientWidth * .5 - 20, canvas.clientHeight / 2); out.picked = [$("read").textContent];
        click(canvas.clientWidth * .5 + 20, canvas.clientHeight / 2); out.picked.push($("read").textContent);
        return out;
        """,
    )
    names = [catalogue.taxonomy().label_name(int(k)) for k in (ground, roof)]
    tints = [",".join(map(str, catalogue.taxonomy().colour(int(k)))) for k in (ground, roof)]
    assert found["layouts"] == ["beside", "swipe"]
    assert [set(half) & set(tints) for half in found["half"]] == [{tints[0]}, {tints[1]}]
    assert (set(found["left"]) & set(tints), set(found["right"]) & set(tints)) == ({tints[0]}, {tints[1]})
    assert found["dragged"] == pytest.approx(0.25, abs=0.01)
    assert found["keyed"] == pytest.approx(0.27, abs=0.01)
    assert [text.split("class  ")[1].split("\n")[0] for text in found["picked"]] == names


def test_truth_stands_beside_prediction(tmp_path: Path) -> None:
    save_html([rich_cloud().take(slice(0, 2000))], tmp_path / "a.html")
    found = run(
        tmp_path / "a.html",
        """
        const out = { layouts: layouts(), first: layout };
        out.heads = [...document.querySelectorAll(".title")].map(e => e.firstChild.textContent);
        out.counts = [...document.querySelectorAll('[data-class="car"]')].map(
          e => [...e.parentNode.querySelectorAll("span")].map(s => s.title));
        const before = [drawn(0, .5), drawn(.5, 1)]; document.querySelector('[data-class="car"]').click();
        out.fewer = [drawn(0, .5) < before[0], drawn(.5, 1) < before[1]];
        colourBy(data.modes.findIndex(m => m.name === "error"));
        out.parts = [...document.querySelectorAll(".part")].map(e => e.textContent);
        return out;
        """,
    )
    cloud = rich_cloud().take(slice(0, 2000))
    assert found["layouts"] == ["one", "beside", "swipe"]
    assert found["first"] == "beside"
    assert found["heads"] == ["truth", "prediction"]
    assert found["counts"] == [[f"{(cloud[field] == 21).sum():,}" for field in ("label", "prediction")]]
    assert found["fewer"] == [True, True]
    assert found["parts"] == ["class", "error"]


def test_truth_of_one_file_meets_the_prediction_of_another(tmp_path: Path) -> None:
    one = make_cloud(2000)
    two = PointCloud(one.xyz, {"prediction": one["label"]}, catalogue.taxonomy())
    three = PointCloud(one.xyz)
    save_html([one, two, three], tmp_path / "a.html", ["one", "two", "three"])
    found = run(
        tmp_path / "a.html",
        """
        return { drawn: [drawn(0, 1 / 3), drawn(1 / 3, 2 / 3), drawn(2 / 3, 1)], layouts: layouts(),
                 last: [...document.querySelectorAll(".title small")].map(e => e.textContent) };
        """,
    )
    assert found["drawn"][0] == pytest.approx(found["drawn"][1], rel=0.05)
    assert found["drawn"][2] == 0
    assert found["last"] == ["2,000 points", "2,000 points", "has no class"]
    assert found["layouts"] == ["beside"]


def test_one_walks_over_the_ground(tmp_path: Path) -> None:
    x, y = (axis.ravel() for axis in np.meshgrid(np.arange(0, 60, 0.5), np.arange(0, 60, 0.5)))
    xyz = np.column_stack([x, y, 0.1 * x])  # a slope
    xyz[77, 2] = -40.0  # a stray under the ground
    save_html([PointCloud(xyz, {"label": np.full(len(x), 2, np.uint16)}, catalogue.taxonomy())], tmp_path / "a.html")
    found = run(
        tmp_path / "a.html",
        """
        const out = {}, height = () => camera.at[2] + clouds[0].origin[2] - .1 * (camera.at[0] + clouds[0].origin[0]);
        out.far = drawn(); const first = camera.distance; key("f"); out.eye = height(); out.near = drawn();
        camera.yaw = Math.PI; const at = [...camera.at]; step(0, 10); step(0, 5);
        out.went = camera.at.map((v, k) => v - at[k]); for (let k = 0; k < 40; k++) step(0, 0); out.after = height();
        const yaw = camera.yaw; mouse("pointerdown", 100, 100); mouse("pointermove", 160, 100); mouse("pointerup", 160, 100);
        out.left = camera.yaw > yaw; key("w"); await new Promise(done => setTimeout(done, 300));
        dispatchEvent(new KeyboardEvent("keyup", { key: "w" })); out.pressed = $("walk").getAttribute("aria-pressed");
        const here = [...camera.at]; await new Promise(done => setTimeout(done, 150));
        out.stands = here.every((v, k) => v === camera.at[k]);
        key("f"); out.back = camera.walk === null && camera.distance <= first; out.again = drawn();
        return out;
        """,
    )
    assert found["eye"] == pytest.approx(1.7, abs=0.15)
    assert found["went"][:2] == pytest.approx([15, 0], abs=1e-6)
    assert found["after"] == pytest.approx(1.7, abs=0.15)
    assert min(found["far"], found["near"], found["again"]) > 1000
    assert (found["left"], found["pressed"], found["stands"], found["back"]) == (True, "true", True, True)


def test_opacity_and_haste_draw_less(tmp_path: Path) -> None:
    save_html([make_cloud(4000)], tmp_path / "a.html")
    found = run(
        tmp_path / "a.html",
        """
        const out = { all: drawn() }; $("opacity").value = .25; out.pale = drawn(); $("opacity").value = 1;
        out.few = drawn(0, 1, 40); return out;
        """,
    )
    assert 0.1 * found["all"] < found["pale"] < 0.6 * found["all"]
    assert 0 < found["few"] < 0.6 * found["all"]


def test_it_draws_again_after_the_browser_took_its_graphics(tmp_path: Path) -> None:
    save_html([make_cloud(4000)], tmp_path / "a.html")
    found = run(
        tmp_path / "a.html",
        """
        const out = { before: drawn() }, gone = gl.getExtension("WEBGL_lose_context");
        const event = name => new Promise(done => canvas.addEventListener(name, done, { once: true }));
        let told = event("webglcontextlost"); gone.loseContext(); await told; await new Promise(done => setTimeout(done, 50));
        told = event("webglcontextrestored"); gone.restoreContext(); await told;
        out.after = drawn(); return out;
        """,
    )
    assert found["before"] == found["after"] > 1000
