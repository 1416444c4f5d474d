"""Seconds and memory of explore by size of the sets, and how far a sample's figures are from those of all tiles.

Usage: python benchmarks/bench_explore.py [--points 1e6 1e7 1e8] [--workers 2]

Sets of any size are made of a few composed tiles that the manifest names many times: each is read and described as if it
were another. "scans" are streets of 0.12 M points; "maps" are tiles of a town of 2 M points each.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from pcaug.cloud import PointCloud, concatenate
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.explore import statistics
from pcaug.explore.gap import explore
from pcaug.scene.recipe import load_recipe
from pcaug.sensor.compose import compose_one

TILES = {"scans": 8, "maps": 2}
"""Tiles that are composed."""


def tile(kind: str, seed: int, index: int) -> PointCloud:
    if kind == "scans":
        return compose_one(load_recipe("street"), seed, index)
    town = compose_one(load_recipe("town"), seed, index)
    side = 6  # towns beside each other
    shifts = [np.array([x, y, 0.0]) * 80.0 for x in range(side) for y in range(side)]
    return concatenate([PointCloud(town.xyz + shift, dict(town.fields), town.taxonomy) for shift in shifts])


def make(folder: Path, kind: str, seed: int, points: int) -> Corpus:
    with CorpusWriter(folder, frame="sensor" if kind == "scans" else "map", kind="synthetic") as writer:
        for index in range(TILES[kind]):
            writer.add(tile(kind, seed, index), f"t{index}", f"u{index}")
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    times = max(1, round(points / sum(row["points"] for row in manifest["tiles"])))
    manifest["tiles"] = [
        row | {"name": f"{row['name']}-{i}", "unit": f"{row['unit']}-{i}"} for i in range(times) for row in manifest["tiles"]
    ]
    path.write_text(json.dumps(manifest))
    return Corpus.open(folder)


def one(real: str, synthetic: str, workers: int) -> None:
    """Compare two corpora in a process of its own; print seconds and peak memory."""
    start = time.perf_counter()
    gap = explore(Corpus.open(real), Corpus.open(synthetic), 0, workers=workers)
    took = time.perf_counter() - start
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    cpu = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(json.dumps({"seconds": took, "cpu": cpu, "peak": peak, "frechet": gap.frechet.value, "auc": gap.test.auc}))


def error(real: Corpus, synthetic: Corpus) -> None:
    """Distances of all points from samples of 60 tiles against those of every tile."""
    rows = []
    for seed in range(3):
        found = explore(real, synthetic, seed)
        rows.append({q: m.value for q, m in found.overall.distance.items()} | {"Fréchet": found.frechet.value})
        width = {q: (m.high - m.low) / 2 for q, m in found.overall.distance.items()}
    statistics.TILES = 10_000
    whole = explore(real, synthetic, 0).overall.distance
    for quantity, exact in whole.items():
        off = max(abs(row[quantity] - exact.value) for row in rows)
        said = width[quantity]
        print(
            f"  {quantity}: {exact.value:.3f} from all tiles; samples off by {off:.3f} at most; half of their interval {said:.3f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=float, nargs="+", default=[1e6, 1e7, 1e8])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--error", action="store_true", help="also compare samples with all tiles of sets of 1e7 points")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(*options.one, options.workers)
        return
    for kind in TILES:
        for points in options.points:
            with tempfile.TemporaryDirectory() as folder:
                sets = [make(Path(folder) / name, kind, seed, int(points)) for seed, name in enumerate(("a", "b"))]
                command = [sys.executable, __file__, "--workers", str(options.workers), "--one", *(str(s.folder) for s in sets)]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
                sizes = " against ".join(f"{s.points / 1e6:.0f} M" for s in sets)
                cost = f"{found['seconds']:.0f} s ({found['cpu']:.0f} s CPU), peak {found['peak']:.0f} MB a process"
                print(f"{kind}: {sizes} points in {len(sets[0].tiles)} tiles: {cost}", flush=True)
                if options.error and kind == "scans" and points == 1e7:
                    error(*sets)


if __name__ == "__main__":
    main()
