"""1-NNA, COV and MMD of both generator families against two floors, class by class; CPU seconds of fitting and sampling.

pcaug objects CORPUS -o BANK --class car --class pole --class tree --least 48
python benchmarks/bench_generate.py BANK --held-out 00 04 10

Without a bank, objects are whole meshes of composed worlds, evenly sampled, as ModelNet's and ShapeNet's are: 200 a class to
learn from, 100 held out.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import trimesh

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.generate import flow, model, shape
from pcaug.generate.bank import ObjectSample, described, read_bank
from pcaug.generate.model import ModelCard
from pcaug.generate.report import floors, row, scored
from pcaug.scene import objects

SAMPLED = (300, 1024)
"""Objects, and points of each, whose sampling is timed."""
MESHES = {"car": objects.car, "tree": objects.tree, "pole": objects.lamp}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bank", type=Path, nargs="?")
    parser.add_argument("--held-out", nargs="+", help="units of the bank that no generator sees")
    parser.add_argument("--classes", nargs="+", default=["car", "tree", "pole"])
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--points", type=int, default=64, help="points by which objects are compared; smaller ones are left out")
    parser.add_argument("--flow", type=Path, help="a model that was fitted to the other units before")
    args = parser.parse_args()
    if args.bank and not args.held_out:
        parser.error("a bank needs --held-out")
    args.held_out = args.held_out or ["held out"]
    things = read_bank(args.bank, args.classes) if args.bank else meshes(args.classes)
    training = [thing for thing in things if thing.row.unit not in args.held_out]
    held = [thing for thing in things if thing.row.unit in args.held_out and thing.row.points >= args.points]
    fitted = model.load(args.flow) if args.flow else fit_flow(training, args.classes, args.steps)
    start = time.process_time()
    fitted.sample(*(SAMPLED[0], np.random.default_rng(0), SAMPLED[1]))
    print(f"flow: {SAMPLED[0]} objects of {SAMPLED[1]:,} points sampled in {time.process_time() - start:.0f} CPU s")
    print("| class | samples | 1-NNA CD | 1-NNA EMD | COV CD | COV EMD | MMD CD | MMD EMD | memorised | copies |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in args.classes:
        own = [[thing for thing in part if thing.row.name == name] for part in (training, held)]
        measure(name, own[0], own[1], fitted, args.points)


def meshes(classes: list[str], counts: tuple[int, int] = (200, 100), points: int = 512) -> list[ObjectSample]:
    """Points of the surfaces of composed objects, each in its own frame, drawn by area."""
    rng, tree, things = np.random.default_rng(0), catalogue.taxonomy(), []
    for name in classes:
        for index in range(sum(counts)):
            triangles = MESHES[name](rng).triangles
            mesh = trimesh.Trimesh(triangles.reshape(-1, 3), np.arange(3 * len(triangles)).reshape(-1, 3), process=False)
            xyz = np.asarray(trimesh.sample.sample_surface(mesh, points, seed=int(rng.integers(1 << 31)))[0])
            cloud = PointCloud(xyz, {"label": np.full(points, tree.id(name), np.uint16)}, tree)
            things.append(described(cloud, name, "known" if index < counts[0] else "held out", "map"))
    return things


def fit_flow(training: list[ObjectSample], classes: list[str], steps: int) -> model.Generator:
    """One flow of all classes."""
    counts = tuple(sum(thing.row.name == name for thing in training) for name in classes)
    card = ModelCard(family="flow", classes=tuple(classes), objects=counts, points=128)
    start = time.process_time()
    fitted = flow.fit(training, card, np.random.default_rng((0, 0, 0)), steps=steps)
    print(f"flow: {len(training)} objects, {steps} steps, {time.process_time() - start:.0f} CPU s")
    return fitted


def measure(name: str, training: list[ObjectSample], held: list[ObjectSample], fitted: model.Generator, points: int) -> None:
    """The rows of a class: what real objects of the training units score, both families, both floors."""
    rng, n = np.random.default_rng(1), len(held)
    card = ModelCard(family="shape", classes=(name,), objects=(len(training),), points=256)
    start = time.process_time()
    simple = shape.fit(training, card, rng)
    spent = time.process_time() - start
    flown: list[ObjectSample] = []
    while len(flown) < n:  # one flow of several classes draws them all
        flown += [thing for thing in fitted.sample(2 * n, rng, 4 * points) if thing.row.name == name]
    arms = {
        "real, of the training units": [training[i] for i in rng.permutation(len(training))[:n]],
        "flow": flown[:n],
        "shape": simple.sample(n, rng),
        **floors(training, n, rng),
    }
    for arm, result in scored(arms, held, training, 0, points).items():
        print(f"| {name} ({len(training)} / {n}) | {arm} | " + " | ".join(row(result)) + " |")
    print(f"<!-- shape of {name}: {spent:.1f} CPU s -->")


if __name__ == "__main__":
    main()
