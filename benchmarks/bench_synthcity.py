"""SynthCity: an area in one row group, read labelled and streamed, against pyarrow reading the same columns whole.

Each reader runs in a process of its own; its figure is points a second and the most memory that it held. Quick by default:
``python benchmarks/bench_synthcity.py 24e6`` writes an area of 1.4 GB first.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NAMES = ("X", "Y", "Z", "X_noise", "Y_noise", "Z_noise", "R", "G", "B", "time", "eol", "label")
OURS = "from pcaug.corpus.sources import scans\nfor chunk in scans(path)[0].labelled():\n    pass"
WHOLE = "import pyarrow.parquet as pq\npq.read_table(path, columns=['X', 'Y', 'Z', 'R', 'G', 'B', 'time', 'eol', 'label'])"
PEAK = "\nprint(next(int(line.split()[1]) / 1024 for line in open('/proc/self/status') if line.startswith('VmHWM')))"


def make(path: Path, rows: int) -> None:
    rng = np.random.default_rng(0)
    columns = {name: rng.uniform(0, 100, rows) for name in NAMES}
    columns |= {name: rng.integers(0, 256, rows).astype(float) for name in "RGB"}
    share = np.array([27, 2, 1, 2, 0.4, 58, 0.4, 3, 6])
    columns |= {"eol": np.zeros(rows), "label": rng.choice(9, rows, p=share / share.sum()).astype(float)}
    pq.write_table(pa.table(columns), path, row_group_size=1 << 26)


def run(code: str, path: Path, rows: int) -> tuple[float, float]:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", f"path = {str(path)!r}\n{code}{PEAK}"], check=True, capture_output=True, text=True
    )
    return rows / (time.perf_counter() - began) / 1e6, float(done.stdout)


def main() -> None:
    rows = int(float(sys.argv[1])) if len(sys.argv) > 1 else 4_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "area1.parquet"
        make(path, rows)
        print(f"{rows:,} points in one row group, {path.stat().st_size / 2**20:.0f} MB")
        for name, code in (("pcaug, streamed and labelled", OURS), ("pyarrow, whole", WHOLE)):
            runs = [run(code, path, rows) for _ in range(3)]
            speed, peak = (statistics.median(column) for column in zip(*runs, strict=True))
            print(f"{name:30} {speed:6.1f} M points/s  peak {peak:6.0f} MB")


if __name__ == "__main__":
    main()
