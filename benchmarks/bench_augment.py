"""Points a second of the naive pipeline, against the same one in torch-pointcloud and in Open3D-ML, in the same run (medians).

Rotation about z, flips, one scale, a shift, jitter, and points dropped, on a scan of 120,000 points with intensity and label.
Peers that are not installed are left out: ``pip install torch-pointcloud``; Open3D-ML's transforms come with Open3D. They hold
positions in float32, pcaug in float64; a second arm gives them float64 too. Open3D-ML's has no shift. Each arm has a process of
its own on one core, as a loader's worker has: in one process each would find the heap that the others left. They take turns.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import product

import numpy as np

from pcaug import catalogue
from pcaug.augment import pipeline
from pcaug.cloud import PointCloud
from pcaug.sensor.engine import open3d

WARM = 20
STEPS = [
    {"name": "rotate_z", "about": "origin"},
    {"name": "flip", "about": "origin"},
    {"name": "scale", "low": 0.95, "high": 1.05, "about": "origin"},
    {"name": "shift", "xy": 0.2, "z": 0.2},
    {"name": "jitter", "sigma": 0.01, "clip": 0.05},
    {"name": "drop", "most": 0.2},
]


def ours(xyz: np.ndarray, intensity: np.ndarray, label: np.ndarray) -> Callable[[], object]:
    cloud = PointCloud(xyz, {"intensity": intensity, "label": label}, catalogue.taxonomy())
    pipe, rng = pipeline(STEPS), np.random.default_rng(0)
    return lambda: pipe(cloud, rng)


def torch_pointcloud(xyz: np.ndarray, intensity: np.ndarray, label: np.ndarray, dtype: type = np.float32) -> Callable[[], object]:
    import torch
    from torch_pointcloud import transforms as T

    keys = ("pos", "x", "y")
    pipe = T.Compose(
        [
            T.RandomRotate("pos"),
            T.RandomFlip("pos"),
            T.RandomScale("pos", scale_range=(0.95, 1.05)),
            T.RandomTranslate("pos"),
            T.RandomJitter("pos", sigma=0.01, clip=0.05),
            T.RandomDropout(keys, drop_ratio_range=(0.0, 0.2)),
        ]
    )
    data = dict(zip(keys, map(torch.from_numpy, (xyz.astype(dtype), intensity[:, None], label.astype(np.int64))), strict=True))
    return lambda: pipe(data)


def open3d_ml(xyz: np.ndarray, intensity: np.ndarray, label: np.ndarray, dtype: type = np.float32) -> Callable[[], object]:
    open3d()  # finds the libusb that it may need
    from open3d._ml3d.datasets.augment import SemsegAugmentation

    settings = {
        "rotate": {"method": "vertical"},
        "scale": {"min_s": 0.95, "max_s": 1.05},
        "noise": {"noise_std": 0.01},
        "RandomDropout": {"dropout_ratio": 0.1},
        "RandomHorizontalFlip": {"axes": [0, 1]},
    }
    pipe, points = SemsegAugmentation(settings, seed=0), xyz.astype(dtype)
    return lambda: pipe.augment(points.copy(), intensity[:, None], label, settings)


ARMS: dict[str, Callable[..., Callable[[], object]]] = {
    "pcaug": ours,
    "torch-pointcloud": torch_pointcloud,
    "torch-pointcloud float64": partial(torch_pointcloud, dtype=np.float64),
    "Open3D-ML": open3d_ml,
    "Open3D-ML float64": partial(open3d_ml, dtype=np.float64),
}


def measure(name: str, points: int, runs: int) -> float:
    """Median seconds of an arm, in this process."""
    rng = np.random.default_rng(0)
    xyz = np.concatenate([rng.normal(0, 25, (points, 2)), rng.uniform(-2, 6, (points, 1))], axis=1)
    xyz -= np.append(xyz[:, :2].mean(axis=0), 0)
    run = ARMS[name](xyz, rng.random(points, dtype=np.float32), rng.integers(0, 20, points).astype(np.uint16))
    seconds = []
    for _ in range(runs + WARM):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[WARM:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=120_000)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--arm", choices=ARMS, help="measure this one alone, and print its seconds")
    args = parser.parse_args()
    if args.arm:
        print(measure(args.arm, args.points, args.runs))
        return
    seconds: dict[str, list[float]] = {}
    for _, name in product(range(args.turns), ARMS):
        command = [sys.executable, __file__, "--arm", name, "--points", str(args.points), "--runs", str(args.runs)]
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
        if done.returncode == 0:
            seconds.setdefault(name, []).append(float(done.stdout.split()[-1]))
        elif name not in seconds:
            print(f"{name}: left out ({done.stderr.strip().splitlines()[-1]})")
    own = np.median(seconds["pcaug"])
    for name, times in seconds.items():
        middle = np.median(times)
        rate = f"{args.points / middle / 1e6:.1f} M points/s ({1e3 * middle:.2f} ms)"
        print(f"{name}: {rate}; pcaug is {middle / own:.2f} times as fast")


if __name__ == "__main__":
    main()
