"""Frames a second and file sizes of the HTML page against k3d's page, plotly's and rerun's file of the same cloud (medians).

Usage: python benchmarks/bench_view.py [--points 1000000 5000000]; needs Chromium, and pip install k3d plotly rerun-sdk.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from pcaug.cloud import PointCloud
from pcaug.scene.recipe import load_recipe
from pcaug.sensor.compose import compose_one
from pcaug.view.colours import colours
from pcaug.view.page import save_html

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
os.environ["PCAUG_BROWSER"] = "1"
from view.chromium import READY, Browser

FRAMES = 9
OURS = """(async () => {
  fold(); const b = new Uint8Array(4), times = [];
  const frame = () => { camera.yaw += .05; paint(); gl.readPixels(0, 0, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, b); };
  for (let k = 0; k < FRAMES; k++) { const t = performance.now(); frame(); times.push(performance.now() - t); }
  const marks = [], until = performance.now() + 8000;  // while it moves: as a user sees it, with fewer points
  await new Promise(done => (function on(t) {
    marks.push(t); turn(.02, 0); if (t < until) requestAnimationFrame(on); else done();
  })(performance.now()));
  const gaps = marks.slice(1).map((t, k) => t - marks[k]);
  const size = [canvas.width, canvas.height];
  return { times, moving: gaps.slice(gaps.length >> 1), few: 2 ** Math.floor(Math.log2(few)), size };
})()""".replace("FRAMES", str(FRAMES))
K3D = """(async () => {
  const k = await K3DInstance, w = k.getWorld(), g = w.renderer.getContext(), b = new Uint8Array(4), times = [];
  const middle = w.controls.target, size = w.camera.position.distanceTo(middle);
  for (let i = 0; i < FRAMES; i++) {
    const t = performance.now();
    w.camera.position.set(middle.x + size * Math.cos(i * .05), middle.y + size * Math.sin(i * .05), middle.z + size * .6);
    w.camera.lookAt(middle); w.renderer.render(w.scene, w.camera);
    g.readPixels(0, 0, 1, 1, g.RGBA, g.UNSIGNED_BYTE, b); times.push(performance.now() - t);
  }
  return { times, size: [g.canvas.width, g.canvas.height] };
})()""".replace("FRAMES", str(FRAMES))


def town(n: int) -> PointCloud:
    """Composed tiles of a town beside each other until there are n points."""
    recipe, tiles, total = load_recipe("town"), [], 0
    while total < n:
        tile = compose_one(recipe, 0, len(tiles) % 4)
        tiles.append((tile.xyz + [len(tiles) % 5 * 110.0, len(tiles) // 5 * 110.0, 0], tile["label"], tile["intensity"]))
        total += len(tile)
    xyz, label, intensity = (np.concatenate(values)[:n] for values in zip(*tiles, strict=True))
    jitter = np.random.default_rng(0).normal(0, 0.02, xyz.shape)  # the tiles are no copies of each other
    return PointCloud(xyz + jitter, {"label": label, "intensity": intensity}, compose_one(recipe, 0, 0).taxonomy)


def timed(page: Path, script: str, ready: str) -> tuple[dict[str, list[float]], float]:
    """What a script measures in a page, and seconds until the page was ready."""
    browser = Browser(Path(tempfile.mkdtemp()))
    browser.until = time.monotonic() + 600
    try:
        start = time.perf_counter()
        browser.call("Page.navigate", url=page.as_uri())
        while not browser.evaluate(ready):
            time.sleep(0.1)
        opened = time.perf_counter() - start
        return dict(browser.evaluate(script)), opened
    finally:
        browser.close()


def k3d_page(cloud: PointCloud, path: Path) -> None:
    """The same points in the same colours, by k3d."""
    import k3d

    r, g, b = colours(cloud, "class").astype(np.uint32).T
    plot = k3d.plot(grid_visible=False)
    plot += k3d.points((cloud.xyz - cloud.xyz.mean(0)).astype(np.float32), r << 16 | g << 8 | b, point_size=0.3, shader="flat")
    path.write_text(plot.get_snapshot(), encoding="utf-8")


def other_sizes(cloud: PointCloud, folder: Path) -> dict[str, float]:
    """Megabytes of plotly's page and rerun's recording, with positions in float32 and colours, where they are installed."""
    found, xyz, rgb = {}, (cloud.xyz - cloud.xyz.mean(0)).astype(np.float32), colours(cloud, "class")
    if find_spec("rerun"):
        import rerun

        rerun.init("pcaug")
        rerun.save(str(folder / "cloud.rrd"))
        rerun.log("cloud", rerun.Points3D(xyz, colors=rgb))
        rerun.disconnect()
        found["rerun"] = (folder / "cloud.rrd").stat().st_size / 1e6
    if find_spec("plotly") and len(cloud) <= 1_000_000:
        import plotly.graph_objects as plotly

        marker = {"size": 1, "color": cloud["label"].astype(np.uint8)}
        figure = plotly.Figure(plotly.Scatter3d(x=xyz[:, 0], y=xyz[:, 1], z=xyz[:, 2], mode="markers", marker=marker))
        figure.write_html(folder / "plotly.html")
        found["plotly"] = (folder / "plotly.html").stat().st_size / 1e6
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, nargs="+", default=[1_000_000])
    folder = Path(tempfile.mkdtemp())
    for n in parser.parse_args().points:
        cloud = town(n)
        start = time.perf_counter()
        save_html([cloud], folder / "ours.html")
        wrote = time.perf_counter() - start
        k3d_page(cloud, folder / "k3d.html")
        sizes = {name: (folder / f"{name}.html").stat().st_size / 1e6 for name in ("ours", "k3d")} | other_sizes(cloud, folder)
        print(
            f"{n:,} points: " + ", ".join(f"{name} {size:.1f} MB" for name, size in sizes.items()) + f"; written in {wrote:.1f} s"
        )
        ours, opened = timed(folder / "ours.html", OURS, READY)
        theirs, opened_k3d = timed(
            folder / "k3d.html", K3D, "typeof K3DInstance === 'object' && !!K3DInstance && !!document.querySelector('canvas')"
        )
        mine, moving, k3d = (statistics.median(times) for times in (ours["times"], ours["moving"], theirs["times"]))
        print(f"  canvas {ours['size']} and {theirs['size']}; open {opened:.1f} s, k3d {opened_k3d:.1f} s")
        print(f"  every point: ours {1000 / mine:.2f} fps, k3d {1000 / k3d:.2f} fps, ratio {k3d / mine:.2f}")
        print(f"  while turning (one point in {ours['few']}): ours {1000 / moving:.1f} fps, {k3d / moving:.1f} times k3d's")


if __name__ == "__main__":
    main()
