"""How useful a synthetic set is, in a minute: extra trees on fixed features, with and without it.

Usage: python benchmarks/reference_measure.py SEMANTICKITTI [--recipe street] [--scans 60] [--drives 1 2 6]

Classes are SemanticKITTI's raw ids (trunks count as poles); drives 05 and 07 are the test, the others the training drives.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier

from pcaug import catalogue
from pcaug.corpus.sources import scans
from pcaug.scene.recipe import load_recipe
from pcaug.segment.features import prepare
from pcaug.sensor.compose import compose_one

CLASSES = {
    "road": (40, 44, 60),
    "sidewalk": (48,),
    "terrain": (72,),
    "building": (50,),
    "vehicle": (10, 13, 16, 18, 20, 252, 256, 257, 258, 259),
    "vegetation": (70,),
    "fence": (51,),
    "pole": (80, 81, 71),
    "person": (30, 31, 32, 253, 254, 255),
}
NODES = {
    "road": ("road",),
    "sidewalk": ("sidewalk",),
    "terrain": ("terrain",),
    "building": ("building",),
    "vehicle": ("car", "heavy_vehicle"),
    "vegetation": ("tree", "low_vegetation"),
    "fence": ("wall_fence",),
    "pole": ("pole", "sign_light"),
    "person": ("person",),
}
TEST = ("05", "07")
TRAIN = ("00", "01", "02", "04", "09", "10")


def describe(cloud, label):  # type: ignore[no-untyped-def]
    """Features and classes of a scan's voxels between 2.5 and 50 m."""
    reach = np.linalg.norm(cloud.xyz, axis=1)
    near = cloud.take((reach > 2.5) & (reach < 50)).with_fields(catalogue.taxonomy(), label=label[(reach > 2.5) & (reach < 50)])
    found = prepare(near, ("position", "geometry", "plan"), 0.15, "sensor")
    known = found.label != 255
    return found.features[known], found.label[known].astype(np.int64)


def table(mapping: dict[str, tuple], size: int, ids=lambda x: x) -> np.ndarray:  # type: ignore[no-untyped-def, type-arg]
    """Raw id -> class index, 255 for the rest."""
    result = np.full(size, 255, np.uint16)
    for index, members in enumerate(mapping.values()):
        for member in members:
            result[ids(member)] = index
    return result


def fit(pools, rng):  # type: ignore[no-untyped-def]
    """Extra trees on pools of (features, label), each pool with the same weight."""
    xs, ys, ws = [], [], []
    for x, y in pools:
        share = np.bincount(y, minlength=9) / len(y)
        weight = (1 / np.sqrt(share + 0.002))[y]
        xs.append(x)
        ys.append(y)
        ws.append(weight / weight.sum())
    weight = np.concatenate(ws)
    forest = ExtraTreesClassifier(60, min_samples_leaf=3, max_features=0.5, n_jobs=-1, random_state=int(rng.integers(1 << 31)))
    return forest.fit(np.concatenate(xs), np.concatenate(ys), weight / weight.mean())


def iou(forest, tests):  # type: ignore[no-untyped-def]
    """IoU (9,) over all test voxels; classes that the truth lacks are NaN."""
    confusion = np.zeros((9, 9))
    for x, y in tests:
        np.add.at(confusion, (y, forest.predict(x)), 1)
    hit = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - hit
    return np.where(confusion.sum(1) > 0, hit / np.maximum(union, 1), np.nan)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("semantickitti", type=Path)
    parser.add_argument("--recipe", default="street")
    parser.add_argument("--scans", type=int, default=60)
    parser.add_argument("--drives", type=int, nargs="+", default=[1, 2, 4, 6])
    options = parser.parse_args()
    raw, made = table(CLASSES, 65536), table(NODES, 256, catalogue.taxonomy().id)
    real = {}
    for drive in (*TRAIN, *TEST):
        scan = scans(options.semantickitti / "sequences" / drive / "velodyne" / "000000.bin")[0]
        cloud = next(scan.chunks())
        real[drive] = describe(cloud, raw[cloud["native_label"]])
    recipe = load_recipe(options.recipe)
    rng = np.random.default_rng(0)
    parts = []
    for index in range(options.scans):
        cloud = compose_one(recipe, 1, index)
        x, y = describe(cloud, made[cloud["label"]])
        rows = rng.choice(len(y), min(1200, len(y)), replace=False)
        parts.append((x[rows], y[rows]))
    synthetic = tuple(np.concatenate(columns) for columns in zip(*parts, strict=True))
    tests = [real[drive] for drive in TEST]
    print("drives draws  real   real+synthetic   by class: " + " ".join(CLASSES))
    alone = iou(fit([synthetic], rng), tests)
    print(f"{0:6} {1:5}      -   {np.nanmean(alone):.3f}            {np.round(100 * alone).tolist()}")
    for count in options.drives:
        rows = []
        for drives in list(combinations(TRAIN, count))[: 8 if count < 6 else 1]:
            pool = [real[d] for d in drives]
            keep = [rng.choice(len(y), min(40_000 // count, len(y)), replace=False) for _, y in pool]
            own = tuple(np.concatenate([p[column][k] for p, k in zip(pool, keep, strict=True)]) for column in (0, 1))
            rows.append([iou(fit([own], rng), tests), iou(fit([own, synthetic], rng), tests)])
        mean = np.nanmean(np.array(rows), axis=0)
        a, b = np.nanmean(mean[0]), np.nanmean(mean[1])
        by_class = f"{np.round(100 * mean[0]).tolist()} -> {np.round(100 * mean[1]).tolist()}"
        print(f"{count:6} {len(rows):5}  {a:.3f}   {b:.3f}            {by_class}")


if __name__ == "__main__":
    main()
