"""Memory of a wood of 300 trees of 100,000 triangles each: placements that share assets, against copies in one scene.

Each side runs in a process of its own; peak resident memory less that of an empty one. The copies are of 60 trees, times five.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pcaug.scene.asset import Asset, Builder
from pcaug.scene.meshes.card import AssetCard
from pcaug.scene.meshes.load import load_asset
from pcaug.scene.recipe import compose, load_recipe
from pcaug.scene.shapes import leaves, tube
from pcaug.sensor.engine import open3d
from pcaug.sensor.scan import scan

TREES, TRIANGLES, KINDS = 300, 100_000, 4


def tree(rng: np.random.Generator) -> Asset:
    """A trunk and a crown of single leaves."""
    out = Builder()
    out.add(tube((0, 0, 0), (0, 0, 12), 0.25, 0.05, 12), "tree", "bark")
    out.add(leaves(rng.normal((0, 0, 11), (2.0, 2.0, 2.5), (TRIANGLES, 3)), 0.08, rng), "tree", "leaves")
    return out.asset("tree")


def shared(folder: Path) -> None:
    """A wood composed and scanned."""
    (folder / "wood.toml").write_text(
        'name = "w"\n[wood]\ntrees = [1350.0, 1350.0]\nspacing = [0.5, 0.5]\ntrack = 0.0\nconifers = [0.0, 0.0]\n'
        'tree_height = [14.0, 14.0]\n[[assets]]\npath = "trees"\nkind = "broadleaf"\nlabel = "tree"\nup = "z"\n'
        '[sensor]\nkind = "airborne"\ndensity = [20.0, 20.0]\nheight = [500.0, 500.0]\nrange_max = 3000.0\n'
    )
    recipe, rng = load_recipe(folder / "wood.toml"), np.random.default_rng(0)
    start = time.perf_counter()
    scene = compose(recipe, rng)
    cloud = scan(scene, recipe.sensor, rng)
    count = sum(len(p.asset.triangles) > TRIANGLES for p in scene.placements)
    print(f"{count} trees shared: {len(cloud):,} points in {time.perf_counter() - start:.1f} s", file=sys.stderr)


def copied(folder: Path) -> None:
    """A fifth of the trees, each with triangles of its own, in one acceleration structure."""
    o3d = open3d()
    merged = o3d.t.geometry.RaycastingScene()
    for index in range(TREES // 5):
        asset = load_asset(folder / "trees", f"{index % KINDS}.stl", AssetCard(label="tree", up="z")).asset
        points = asset.triangles.reshape(-1, 3).astype(np.float32) + np.float32((index, 0, 0))
        faces = np.arange(len(points), dtype=np.uint32).reshape(-1, 3)
        merged.add_triangles(o3d.core.Tensor.from_numpy(points), o3d.core.Tensor.from_numpy(faces))
    merged.cast_rays(o3d.core.Tensor.from_numpy(np.zeros((4, 6), np.float32)))  # builds the acceleration structure


def main() -> None:
    import trimesh

    if len(sys.argv) == 3:
        {"shared": shared, "copied": copied, "nothing": lambda folder: open3d()}[sys.argv[1]](Path(sys.argv[2]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
        return
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "trees").mkdir()
        for kind in range(KINDS):
            triangles = tree(np.random.default_rng(kind)).triangles
            mesh = trimesh.Trimesh(triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), process=False)
            mesh.export(Path(name) / "trees" / f"{kind}.stl")
        used = {}
        for what in ("nothing", "shared", "copied"):
            done = subprocess.run([sys.executable, __file__, what, name], check=True, stdout=subprocess.PIPE, text=True)
            used[what] = int(done.stdout.split()[-1]) / 1e6
    ours, copies = used["shared"] - used["nothing"], 5 * (used["copied"] - used["nothing"])
    print(
        f"{TREES} trees of {TRIANGLES:,} triangles: {ours:.2f} GB shared (process {used['shared']:.2f}), {copies:.1f} GB copied"
    )
    print(f"{copies / ours:.0f} times less")


if __name__ == "__main__":
    main()
