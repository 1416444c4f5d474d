"""Formats against their peers, in the same run, medians of whole processes: LAZ to LAZ, text, and one file read in all formats.

    python benchmarks/bench_formats.py [--points 20_000_000] [--source real.laz] [--repeats 5]

A real tile is laid side by side until there are enough points. For LAZ the peak memory is given at a quarter of the points too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import laspy

from pcaug import formats
from pcaug.corpus import sample

CLOCK = """
import json, pathlib, sys, time
{imports}
source, target = sys.argv[1:3]
begin = time.perf_counter()
{work}
took = time.perf_counter() - begin
status = pathlib.Path("/proc/self/status")  # getrusage would count the parent's memory too
peak = status.read_text().split("VmHWM:")[1].split()[0] if status.exists() else 0
print(json.dumps([took, int(peak) / 1024]))
"""
LAZ = {
    "laspy, parallel lazrs": (
        "import laspy",
        "with laspy.open(source) as r, laspy.open(target, 'w', header=r.header, do_compress=True) as w:\n"
        "    for points in r.chunk_iterator(500_000): w.write_points(points)",
    ),
    "pcaug": ("from pcaug import convert", "convert(source, target, force=True)"),
}
TEXT = {
    "polars": ("import polars", "polars.read_csv(source, infer_schema_length=10_000)"),
    "pyarrow": ("from pyarrow import csv", "csv.read_csv(source)"),
    "pcaug": ("from pcaug import formats", "formats.read(source)"),
    "pcaug, in chunks": ("from pcaug import formats", "for chunk in formats.iter_chunks(source): pass"),
}
SUFFIXES = ("txt", "ply", "pcd", "npy", "npz", "h5", "parquet", "e57", "copc.laz")
READ = {"pcaug": ("from pcaug import formats", "for chunk in formats.iter_chunks(source): pass")}


def measure(rivals: dict[str, tuple[str, str]], source: Path, target: Path, repeats: int) -> dict[str, tuple[float, float]]:
    """Median seconds and highest peak MB of each rival; they take turns, each run is a process of its own."""
    runs: dict[str, list[list[float]]] = {name: [] for name in rivals}
    for _ in range(repeats):
        for name, (imports, work) in rivals.items():
            code = CLOCK.format(imports=imports, work=work)
            target.unlink(missing_ok=True)  # a rename over a file has the system flush it first
            out = subprocess.run([sys.executable, "-c", code, source, target], check=True, capture_output=True, text=True)
            runs[name].append(json.loads(out.stdout.splitlines()[-1]))
    return {name: (statistics.median(r[0] for r in rows), max(r[1] for r in rows)) for name, rows in runs.items()}


def show(title: str, found: dict[str, tuple[float, float]], points: int, peer: str) -> None:
    print(title)
    for name, (seconds, peak) in found.items():
        ratio = found[peer][0] / seconds
        print(f"  {name:24s} {points / seconds / 1e6:6.2f} M points/s  {ratio:5.2f} of {peer}'s speed  {peak:5.0f} MB")


def tiled(source: Path, target: Path, points: int) -> None:
    """Lay a tile side by side, eastward, until there are enough points."""
    tile = laspy.read(source)
    step = int(tile.X.max()) - int(tile.X.min()) + 1
    with laspy.open(target, "w", header=tile.header) as writer:
        for start in range(0, points, len(tile.points)):
            part = tile.points[: min(len(tile.points), points - start)].copy()
            part.array = part.array.copy()
            part.array["X"] += start // len(tile.points) * step
            writer.write_points(part)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=lambda text: int(text.replace("_", "")), default=2_000_000)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = asked.source or sample.extract(work)[-1]
        for points in (asked.points // 4, asked.points):
            tiled(source, work / "a.laz", points)
            found = measure(LAZ, work / "a.laz", work / "b.laz", asked.repeats)
            show(f"LAZ to LAZ, {points:,} points", found, points, "laspy, parallel lazrs")
        few = min(asked.points, 2_000_000)
        tiled(source, work / "a.laz", few)
        for suffix in SUFFIXES:
            formats.write(work / f"a.{suffix}", formats.iter_chunks(work / "a.laz"))
        lines = (work / "a.txt").read_bytes().split(b"\n", 1)[1]  # the first line is a comment of ours
        (work / "plain.csv").write_bytes(lines)
        show(f"text, {few:,} points", measure(TEXT, work / "plain.csv", work / "b", asked.repeats), few, "polars")
        for suffix in ("laz", *SUFFIXES):
            show(suffix, measure(READ, work / f"a.{suffix}", work / "b", 1), few, "pcaug")


if __name__ == "__main__":
    main()
