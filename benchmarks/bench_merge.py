"""Merge two LAZ files into one against pywolken and laspy; corpora by one and two workers; crops against LAZ and COPC.

Usage: python benchmarks/bench_merge.py [MILLIONS OF POINTS A FILE]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import laspy
import numpy as np
from measure import python

from pcaug.corpus.read import Corpus

OURS = "import sys; from pcaug.corpus.convert import convert; convert(sys.argv[2:], sys.argv[1])"
CORPUS = "import sys; from pcaug.corpus.merge import merge; merge(sys.argv[2:], sys.argv[1], ['las'])"
SHARED = (
    "import sys; from pcaug.corpus.merge import merge; "
    "merge(sys.argv[3:], sys.argv[1], ['las'], workers=int(sys.argv[2]), force=True)"
)
LASPY = """
import sys, laspy
with laspy.open(sys.argv[2]) as first:
    header = first.header
with laspy.open(sys.argv[1], mode="w", header=header, laz_backend=laspy.LazBackend.LazrsParallel) as out:
    for path in sys.argv[2:]:
        with laspy.open(path, laz_backend=laspy.LazBackend.LazrsParallel) as file:
            for chunk in file.chunk_iterator(500_000):
                out.write_points(chunk)
"""
WOLKEN = """
import sys, pywolken
clouds = [pywolken.read(path) for path in sys.argv[2:]]
pywolken.write(clouds[0].merge(clouds[1]), sys.argv[1])
"""


def tile(path: Path, count: int, column: int, seed: int) -> None:
    """A LAZ tile like an airborne survey's: point format 6, waves of ground with objects, classes by height."""
    rng = np.random.default_rng(seed)
    header = laspy.LasHeader(version="1.4", point_format=6)
    header.scales, header.offsets = [0.01] * 3, [600_000, 6_000_000, 0]
    las = laspy.LasData(header)
    edge = np.sqrt(count / 10)
    x, y = rng.uniform(0, edge, count) + column * edge, rng.uniform(0, edge, count)
    height = np.where(rng.random(count) < 0.4, rng.gamma(2, 3, count), 0)
    las.x, las.y, las.z = 600_000 + x, 6_000_000 + y, 10 * np.sin(x / 90) + 5 * np.cos(y / 70) + height
    las.classification = np.where(height > 5, 5, np.where(height > 0, 65 % 20, 2)).astype(np.uint8)
    las.intensity = rng.integers(0, 4000, count).astype(np.uint16)
    las.return_number[:], las.number_of_returns[:] = 1, 1
    las.gps_time = np.sort(rng.uniform(0, 1000, count))
    las.write(path, laz_backend=laspy.LazBackend.LazrsParallel)


def main() -> None:
    millions = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        pair = [folder / "a.laz", folder / "b.laz"]
        for index, path in enumerate(pair):
            tile(path, int(millions * 1e6), index, index)
        one_file(folder, pair)
        side_by_side(folder)
        crops(folder, pair)


def one_file(folder: Path, pair: list[Path]) -> None:
    print("two LAZ files into one: seconds, peak MB")
    truth = np.concatenate([laspy.read(path).classification for path in pair])
    for name, code in (("pcaug", OURS), ("laspy", LASPY), ("pywolken", WOLKEN)):
        target = folder / f"{name}.laz"
        try:
            seconds, peak = python(code, target, *pair, repeat=1)
        except SystemExit:
            print(f"  {name:9} not installed, or failed")
            continue
        got = np.array(laspy.read(target).classification)
        same = len(got) == len(truth) and bool((got == truth).all())
        print(f"  {name:9} {seconds:6.2f} s {peak:7.0f} MB, labels identical: {same}")
    seconds, peak = python(CORPUS, folder / "merged", *pair)
    print(f"  pcaug, into a corpus: {seconds:6.2f} s {peak:7.0f} MB")


def side_by_side(folder: Path) -> None:
    files = [folder / f"part-{index}.laz" for index in range(40)]
    for index, path in enumerate(files):
        tile(path, 500_000, index, index)
    print("40 files to a corpus: seconds")
    ways = {"1 worker": (1, ""), "1 worker on one core": (1, "import os; os.sched_setaffinity(0, {0}); "), "2 workers": (2, "")}
    took = {}
    for name, (workers, before) in ways.items():  # one worker alone uses more than a core: LAZ is decompressed ahead of it
        took[name], peak = python(before + SHARED, folder / "shared", workers, *files)
        print(f"  {name:20} {took[name]:6.2f} s {peak:7.0f} MB")
    for name in list(ways)[:2]:
        print(f"  2 workers against {name}: {took[name] / took['2 workers']:.2f} times as fast")


def crops(folder: Path, pair: list[Path]) -> None:
    """Boxes of 20 m out of a corpus, a COPC file and a LAZ file, which has to be read whole."""
    from pcaug import formats

    corpus = Corpus.open(folder / "merged")
    formats.write(folder / "a.copc.laz", formats.iter_chunks(pair[0]))
    with laspy.open(pair[0]) as whole:
        low, high = whole.header.mins[:2], whole.header.maxs[:2]
    boxes = [(corner, corner + 20) for corner in np.random.default_rng(0).uniform(low, high - 20, (10, 2))]

    def of_laz(low: np.ndarray, high: np.ndarray) -> int:
        las = laspy.read(pair[0])
        return int(np.count_nonzero((las.x >= low[0]) & (las.x <= high[0]) & (las.y >= low[1]) & (las.y <= high[1])))

    with laspy.CopcReader.open(folder / "a.copc.laz") as reader:
        readers = {
            "corpus": lambda low, high: sum(len(cloud) for cloud in corpus.query((low, high))),
            "COPC": lambda low, high: len(reader.query(laspy.Bounds(mins=low, maxs=high))),
            "LAZ": of_laz,
        }
        print("boxes of 20 m")
        for name, read in readers.items():
            points, seconds = [], []
            for box in boxes:
                start = time.perf_counter()
                points.append(read(*box))
                seconds.append(time.perf_counter() - start)
            rate = sum(points) / sum(seconds)
            print(f"  {name:7} {median(seconds) * 1e3:6.0f} ms, {rate:10,.0f} points/s, {sum(points):,} points")


if __name__ == "__main__":
    main()
