"""Points and rays a second of compose, against bare ray casting of the same triangles and rays in the same run (medians)."""

from __future__ import annotations

import time

import numpy as np

from pcaug.scene.recipe import compose, load_recipe
from pcaug.sensor import SENSORS
from pcaug.sensor.engine import open3d
from pcaug.sensor.scan import scan


def main() -> None:
    o3d = open3d()
    for name in ("street", "town"):
        recipe = load_recipe(name)
        rows = []
        for index in range(8):
            rng = np.random.default_rng((1, 0, index))
            start = time.perf_counter()
            scene = compose(recipe, rng)
            built = time.perf_counter()
            cloud = scan(scene, recipe.sensor, rng)
            made, see = built - start, time.perf_counter() - built
            rays = SENSORS[recipe.sensor.kind](scene, recipe.sensor, np.random.default_rng(0))
            start = time.perf_counter()
            merged = o3d.t.geometry.RaycastingScene()
            for p in scene.placements:
                world = (p.asset.triangles.reshape(-1, 3) @ p.world_from_asset[:3, :3].T + p.world_from_asset[:3, 3]).astype(
                    np.float32
                )
                merged.add_triangles(
                    o3d.core.Tensor.from_numpy(world),
                    o3d.core.Tensor.from_numpy(np.arange(len(world), dtype=np.uint32).reshape(-1, 3)),
                )
            both = np.concatenate([rays.origin, rays.direction], axis=1).astype(np.float32)
            merged.cast_rays(o3d.core.Tensor.from_numpy(both[:10]))  # builds the acceleration structure
            structure = time.perf_counter()
            merged.cast_rays(o3d.core.Tensor.from_numpy(both))
            rows.append((made, see, structure - start, time.perf_counter() - structure, len(cloud), len(both)))
        build, see, structure, bare, points, rays_count = np.median(rows, axis=0)
        print(f"{name}: {points:,.0f} points, {rays_count:,.0f} rays: world {build:.3f} s, scan {see:.3f} s")
        print(
            f"  bare: structure {structure:.3f} s, cast {bare:.3f} s; scan has {(structure + bare) / see:.2f} of the bare speed"
        )
        print(f"  {points / (build + see):,.0f} points/s")


if __name__ == "__main__":
    main()
