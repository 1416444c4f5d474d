"""Compose end to end (worlds, labels, physics, Parquet) against bare ray casting of the same scenes and rays, taken in turn.

Both sides on one core, in CPU seconds, medians over scenes; both use more cores by more processes. Bare is Open3D's
RaycastingScene: building its structure of the scene's triangles, which a new scene needs, and cast_rays, told apart.
``bench_compose.py N``: also N scans by the command, with two workers, and the peak memory of a quarter of them and of all.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pcaug.corpus.write import CorpusWriter
from pcaug.scene.asset import Scene
from pcaug.scene.recipe import SceneRecipe, compose, load_recipe
from pcaug.sensor import SENSORS, frame_of
from pcaug.sensor.engine import open3d
from pcaug.sensor.scan import scan

SCENES, WARM = 10, 3


def bare(scene: Scene, recipe: SceneRecipe) -> tuple[float, float, int]:
    """CPU seconds of the structure and of the cast, and the number of rays."""
    o3d = open3d()
    rays = SENSORS[recipe.sensor.kind](scene, recipe.sensor, np.random.default_rng(0))
    both = np.concatenate([rays.origin, rays.direction], axis=1).astype(np.float32)
    start = time.process_time()
    merged = o3d.t.geometry.RaycastingScene()
    for p in scene.placements:
        world = p.asset.triangles.reshape(-1, 3) @ p.world_from_asset[:3, :3].T + p.world_from_asset[:3, 3]
        faces = np.arange(len(world), dtype=np.uint32).reshape(-1, 3)
        merged.add_triangles(o3d.core.Tensor.from_numpy(world.astype(np.float32)), o3d.core.Tensor.from_numpy(faces))
    merged.cast_rays(o3d.core.Tensor.from_numpy(both[:1]))  # builds it
    built = time.process_time()
    merged.cast_rays(o3d.core.Tensor.from_numpy(both))
    return built - start, time.process_time() - built, len(both)


def side_by_side(name: str, folder: Path) -> None:
    recipe, rows = load_recipe(name), []
    with CorpusWriter(folder / name, kind="synthetic", frame=frame_of(recipe.sensor)) as writer:
        for index in range(WARM + SCENES):
            rng = np.random.default_rng((1, 0, index))
            start = time.process_time()
            scene = compose(recipe, rng)
            made = time.process_time()
            cloud = scan(scene, recipe.sensor, rng)
            seen = time.process_time()
            writer.add(cloud, str(index), str(index))
            rows.append((made - start, seen - made, time.process_time() - seen, *bare(scene, recipe), len(cloud)))
    world, see, write, structure, cast, rays, points = np.median(rows[WARM:], axis=0)
    whole = world + see + write
    print(f"{name}: {rays:,.0f} rays, {points:,.0f} points; {rays / whole:,.0f} rays/s end to end on a core")
    print(f"  compose {whole:.3f} s: world {world:.3f}, scan {see:.3f}, write {write:.3f}")
    print(f"  bare {structure + cast:.3f} s: structure {structure:.3f}, cast {cast:.3f}")
    print(f"  rays/s of bare: {(structure + cast) / whole:.0%} of structure and cast, {cast / whole:.0%} of the cast alone")


def by_command(number: int, folder: Path) -> None:
    for count in (number // 4, number):
        command = [sys.executable, "-m", "pcaug", "compose", "street", "-n", str(count), "-o", str(folder / f"c{count}")]
        start, peak = time.perf_counter(), 0
        running = subprocess.Popen([*command, "--workers", "2", "--seed", "1"], stdout=subprocess.DEVNULL)
        while running.poll() is None:
            children = subprocess.run(["ps", "-o", "rss=", "--ppid", str(running.pid)], capture_output=True, text=True).stdout
            peak = max([peak, *(int(rss) for rss in children.split())])
            time.sleep(0.5)
        print(f"{count} street scans, two workers: {time.perf_counter() - start:.0f} s, a worker's peak {peak / 1e6:.2f} GB")


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        for recipe in ("street", "town"):
            side_by_side(recipe, Path(name))
        if len(sys.argv) > 1:
            by_command(int(sys.argv[1]), Path(name))


if __name__ == "__main__":
    main()
