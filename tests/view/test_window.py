from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from builders import make_cloud
from PIL import Image

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.scene.asset import Asset
from pcaug.scene.recipe import load_recipe
from pcaug.sensor.compose import compose_one
from pcaug.view.census import thinned
from pcaug.view.legacy import render_open3d
from pcaug.view.stage import SAMPLES, Exhibit, describe, mesh_exhibit, nearest, parts, rows, scene_exhibit
from pcaug.view.window import show

needs_xvfb = pytest.mark.skipif(
    not (os.environ.get("PCAUG_BROWSER") and all(map(shutil.which, ("Xvfb", "xdotool", "import")))),
    reason="the window is opened by make test-browser (apt-get install xvfb xdotool imagemagick)",
)


@pytest.mark.parametrize("display", [None, ":4711"])
def test_no_display_offers_the_page_and_the_picture(monkeypatch: pytest.MonkeyPatch, display: str | None) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    with pytest.raises(PcaugError, match="--html FILE or --png FILE"):
        show([Exhibit("x", make_cloud(5))])


def test_a_window_without_points_is_an_error() -> None:
    with pytest.raises(PcaugError, match="no points"):
        show([Exhibit("x", make_cloud(5).take(slice(0, 0)))])


def test_the_legend_stays_right_where_a_class_is_missing() -> None:
    one, two = make_cloud(200), make_cloud(200, seed=1)
    two = two.take(two["label"] != 21)
    made = parts([Exhibit("one", one), Exhibit("two", two)])
    assert sum(len(p.xyz) for p in made if p.exhibit == 0) == 200
    first, second = ([p for p in made if p.exhibit == k] for k in (0, 1))
    assert max(p.xyz[:, 0].max() for p in first) < min(p.xyz[:, 0].min() for p in second)
    taxonomy = catalogue.taxonomy()
    counted = {name: counts for name, _, counts in rows(made)}
    assert counted["car"] == [int((one["label"] == 21).sum()), 0]
    for number, cloud in enumerate((one, two)):
        assert {name: counts[number] for name, counts in counted.items() if counts[number]} == taxonomy.counts(cloud["label"])
    for part in made:
        assert np.allclose(part.paint * 255, taxonomy.colour(taxonomy.id(part.name)))
        assert part.tint == tuple(part.paint[0])
    assert [p.name for p in parts([Exhibit("x", one)], "height")] == ["height"]


def test_the_legend_counts_points_that_are_not_drawn() -> None:
    cloud = make_cloud(400)
    some, whole = thinned([cloud], 100)
    for colour, expected in ((None, catalogue.taxonomy().counts(cloud["label"])), ("height", {"height": 400})):
        made = parts([Exhibit("x", some, sampled=whole)], colour)
        assert {name: counts[0] for name, _, counts in rows(made)} == expected
    assert sum(len(part.xyz) for part in made) == 100


def test_parts_stay_near_the_origin() -> None:
    cloud = make_cloud(50)
    far = cloud.moved(np.array([[1, 0, 0, 5e5], [0, 1, 0, 6e6], [0, 0, 1, 0], [0, 0, 0, 1.0]]))
    assert max(np.abs(p.xyz).max() for p in parts([Exhibit("", far)])) < 10


def test_the_point_in_front_is_picked_and_described() -> None:
    xyz = np.array([[0.0, 0, 0], [0, 0, 9], [5, 0, 0]])  # seen from above: the second hides the first
    label = np.array([0, 21, 7], np.uint16)
    exhibit = Exhibit("mine", PointCloud(xyz, {"label": label, "intensity": np.float32([0.1, 0.25, 0.3])}, catalogue.taxonomy()))
    made = parts([exhibit])
    clip = np.array([[0.1, 0, 0, 0], [0, 0.1, 0, 0], [0, 0, 0, 0], [0, 0, -0.01, 1]], dtype=float)
    shift = made[0].xyz[0] - xyz[made[0].rows[0]]
    at = ((0.1 * shift[0] / (1 - 0.01 * (9 + shift[2])) + 1) * 100, 100.0)
    found = nearest(made, clip, (200, 200), at)
    assert found
    said = describe([Exhibit("none", exhibit.cloud.take(slice(0, 0))), exhibit], *found)
    assert said == ["mine", "x 0.00  y 0.00  z 9.00", "label  car", "intensity  0.25"]
    assert nearest(made, clip, (200, 200), (199.0, 3.0)) is None
    assert nearest([p for p in made if p.name == "building"], clip, (200, 200), at) is None


@pytest.mark.parametrize("name", ["street", "town"])
def test_a_scene_stands_with_its_scan_and_its_beams(name: str) -> None:
    changes = ["sensor.azimuth_steps=200"] if name == "street" else ["sensor.density=[1.0, 1.0]"]
    recipe = load_recipe(name, changes)
    exhibit = scene_exhibit(recipe)
    cloud = exhibit.cloud
    assert len(cloud) == len(compose_one(recipe, 0, 0))
    np.testing.assert_array_equal(cloud["label"], compose_one(recipe, 0, 0)["label"])
    made = parts([exhibit])
    surfaces = np.concatenate([p.xyz for p in made if p.corners == 3])
    ground = [p for p in made if p.corners == 1 and p.name in ("road", "terrain")]
    assert surfaces.min() < min(p.xyz[:, 0].min() for p in ground) + 5
    beams = next(p for p in made if p.corners == 2).xyz.reshape(-1, 2, 3)
    length = np.linalg.norm(beams[:, 1] - beams[:, 0], axis=1)
    assert length.max() <= 60.001
    if name == "street":  # all beams of a turn leave from one place
        assert len(np.unique(np.round(exhibit.beams, 6), axis=0)) == 1
    else:
        assert (beams[:, 0, 2] > beams[:, 1, 2]).all()


def test_a_mesh_is_shown_with_points_on_its_faces() -> None:
    triangles = np.array([[[0, 0, 0], [4, 0, 0], [0, 4, 0]], [[0, 0, 0], [0, 4, 0], [0, 0, 2]]], dtype=float)
    exhibit = mesh_exhibit(Asset("thing", triangles, np.array([21, 7], np.uint16), np.zeros(2, np.uint8)))
    cloud = exhibit.cloud
    assert len(cloud) == SAMPLES
    flat = cloud["label"] == 21
    assert flat.mean() == pytest.approx(2 / 3, abs=0.01)  # as the areas are
    assert (cloud.xyz[flat, 2] == 0).all()
    assert (cloud.xyz[~flat, 0] == 0).all()
    assert {p.name for p in parts([exhibit]) if p.corners == 3} == {"car (surface)", "building (surface)"}


def test_open3d_draws_off_screen_in_exact_colours() -> None:
    try:
        image = render_open3d(make_cloud(4000), 200, 150, "class")
    except (PcaugError, OSError) as error:
        pytest.skip(f"no OpenGL here: {error}")
    assert image.shape == (150, 200, 3)
    seen = {tuple(map(int, rgb)) for rgb in np.unique(image.reshape(-1, 3), axis=0)}
    wanted = {catalogue.taxonomy().colour(k) for k in (0, 1, 2, 5, 7, 21)}
    assert wanted <= seen
    assert len(seen - wanted) == 1  # the background


@pytest.fixture
def screen() -> Iterator[str]:
    """A virtual display of 1280 x 800."""
    reads, writes = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writes), "-screen", "0", "1280x800x24"], pass_fds=(writes,), stderr=subprocess.DEVNULL
    )
    try:
        os.close(writes)
        with os.fdopen(reads) as answer:
            yield f":{answer.readline().strip()}"
    finally:
        server.terminate()
        server.wait(10)


DRIVER = """
import sys
from builders import make_cloud
from pcaug.view.stage import Exhibit, parts
cloud = make_cloud(20000, size=30.0)
exhibits = [Exhibit("all <b>", cloud), Exhibit("no car", cloud.take(cloud["label"] != 21))]
if sys.argv[1] == "legacy":
    from pcaug.view.legacy import LegacyWindow as Window
else:
    from pcaug.view.window import Window
Window(exhibits, parts(exhibits)).run()
"""


@needs_xvfb
@pytest.mark.parametrize("kind", ["vulkan", "legacy"])
def test_the_window_opens_and_a_key_hides_the_first_class(kind: str, screen: str, tmp_path: Path) -> None:
    if kind == "vulkan" and not ctypes.util.find_library("vulkan"):
        pytest.skip("no Vulkan here (apt-get install libvulkan1 mesa-vulkan-drivers)")
    env = {**os.environ, "DISPLAY": screen, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = subprocess.Popen([sys.executable, "-c", DRIVER, kind], env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def shares(name: str) -> dict[tuple[int, int, int], float]:
        subprocess.run(["import", "-window", "root", str(tmp_path / name)], env=env, check=True)
        with Image.open(tmp_path / name) as image:
            colours, counts = np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0, return_counts=True)
        return {tuple(map(int, c)): int(n) / 1280 / 800 for c, n in zip(colours, counts, strict=True)}

    first = max(rows(parts([Exhibit("", make_cloud(20000, size=30.0))])), key=lambda row: row[2])[0]
    try:
        until = time.monotonic() + 60
        while True:
            before = shares("before.png")
            if sum(before.get(catalogue.taxonomy().colour(k), 0) for k in (0, 1, 2, 5, 7, 21)) > 0.02:
                break
            assert program.poll() is None, "the window closed by itself"
            assert time.monotonic() < until, "the window draws nothing"
            time.sleep(0.5)
        subprocess.run(["xdotool", "mousemove", "400", "400", "key", "1"], env=env, check=True)
        time.sleep(3)
        after = shares("after.png")
    finally:
        program.terminate()
        program.communicate(timeout=20)
    tint = catalogue.taxonomy().colour(catalogue.taxonomy().id(first))
    assert after.get(tint, 0) < 0.25 * before[tint]
