"""Hostile files: points or an error of ours, never a crash, a hang, or a gigabyte for a kilobyte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pye57")


def test_damaged_files_of_every_format_end_well(tmp_path: Path) -> None:
    here = Path(__file__).parents[1]
    paths = os.pathsep.join([str(here.parent), str(here), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "formats.fuzzing", str(tmp_path), "60"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=os.environ | {"PYTHONPATH": paths})
    last = (done.stdout.splitlines() or [""])[-1]
    assert last == "done", f"{last}: exit code {done.returncode}, {done.stderr[-1500:]}"
