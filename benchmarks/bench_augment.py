"""Points a second of the naive pipeline, against the same one in torch-pointcloud and in Open3D-ML, in the same run (medians).

Rotation about z, flips, one scale, a shift, jitter, and points dropped, on a scan of 120,000 points with intensity and label.
Peers that are not installed are left out: ``pip install torch-pointcloud``; Open3D-ML's transforms come with Open3D. They hold
positions in float32, pcaug in float64; a second arm gives them float64 too. Open3D-ML's has no shift. Arms take turns of a
few runs, so that each has warm caches.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from pcaug import catalogue
from pcaug.augment import pipeline
from pcaug.cloud import PointCloud
from pcaug.sensor.engine import open3d

IN_A_ROW = 20
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=120_000)
    parser.add_argument("--runs", type=int, default=25)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    xyz = np.concatenate([rng.normal(0, 25, (args.points, 2)), rng.uniform(-2, 6, (args.points, 1))], axis=1)
    xyz -= np.append(xyz[:, :2].mean(axis=0), 0)
    values = rng.random(args.points, dtype=np.float32), rng.integers(0, 20, args.points).astype(np.uint16)
    arms: dict[str, Callable[[], object]] = {}
    for name, make in (
        ("pcaug", ours),
        ("torch-pointcloud", torch_pointcloud),
        ("torch-pointcloud float64", partial(torch_pointcloud, dtype=np.float64)),
        ("Open3D-ML", open3d_ml),
        ("Open3D-ML float64", partial(open3d_ml, dtype=np.float64)),
    ):
        try:
            arms[name] = make(xyz, *values)
            arms[name]()
        except ImportError as error:
            arms.pop(name, None)
            print(f"{name}: left out ({error})")
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(args.runs):
        for name, run in arms.items():
            for _ in range(IN_A_ROW):
                start = time.perf_counter()
                run()
                seconds[name].append(time.perf_counter() - start)
    own = np.median(seconds["pcaug"])
    for name, times in seconds.items():
        middle, rate = np.median(times), args.points / np.median(times) / 1e6
        print(f"{name}: {rate:.1f} M points/s ({1e3 * middle:.1f} ms); pcaug is {middle / own:.2f} times as fast")


if __name__ == "__main__":
    main()
