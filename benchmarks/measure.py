"""Time and peak memory of a command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median


def python(code: str, *arguments: object, repeat: int = 1, **environment: str) -> tuple[float, float]:
    """Run Python code in a fresh process; (median seconds, largest peak of resident memory in MB)."""
    rows = [_once([sys.executable, "-c", code, *map(str, arguments)], environment) for _ in range(repeat)]
    return median(row[0] for row in rows), max(row[1] for row in rows)


PEAK = """
import pathlib, sys
peak = pathlib.Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]  # getrusage counts the parent's memory too
print(f"peak {peak} kB", file=sys.stderr)
"""


def _once(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    command = [*command[:2], command[2] + PEAK, *command[3:]]
    start = time.perf_counter()
    done = subprocess.run(command, env=os.environ | environment, stderr=subprocess.PIPE, text=True)
    took = time.perf_counter() - start
    if done.returncode:
        raise SystemExit(f"{' '.join(command)[:300]} failed: {done.stderr[-300:]}")
    return took, int(done.stderr.rsplit("peak ", 1)[1].split()[0]) / 1024
