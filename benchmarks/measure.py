"""Time and peak memory of a command in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median


def python(code: str, *arguments: object, repeat: int = 1, **environment: str) -> tuple[float, float]:
    """Run Python code in a fresh process; (median seconds, largest peak of resident memory in MB, children's included)."""
    rows = [_once([sys.executable, "-c", code, *map(str, arguments)], environment) for _ in range(repeat)]
    return median(row[0] for row in rows), max(row[1] for row in rows)


def _once(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    start = time.perf_counter()
    with subprocess.Popen(command, env=os.environ | environment) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)[:300]} failed")
    return time.perf_counter() - start, used.ru_maxrss / 1024
