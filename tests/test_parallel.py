"""Workers do not outlive the process that they work for, and what is made ahead keeps its order."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest

from pcaug.parallel import map_ahead

PARENT = """
from pathlib import Path
from sleepers import sleep
from pcaug.parallel import completed

if __name__ == "__main__":
    list(completed(sleep, [Path({folder!r}) / str(i) for i in range(4)], workers=2))
"""
SLEEPERS = """
import os, time
def sleep(path):
    path.write_text(str(os.getpid()))
    time.sleep(300)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc").is_dir() else True
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "sleepers.py").write_text(SLEEPERS)
    (tmp_path / "parent.py").write_text(PARENT.format(folder=str(tmp_path)))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    parent = subprocess.Popen([sys.executable, str(tmp_path / "parent.py")], env=environment)
    deadline = time.monotonic() + 120
    while not all((tmp_path / name).exists() and (tmp_path / name).read_text() for name in "01"):
        assert time.monotonic() < deadline
        assert parent.poll() is None
        time.sleep(0.1)
    workers = [int((tmp_path / name).read_text()) for name in "01"]
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while any(map(alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, workers))


def test_what_is_made_ahead_comes_in_order_while_the_caller_works() -> None:
    begun = [Event() for _ in range(5)]

    def make(number: int) -> int:
        begun[number].set()
        return number

    for number, made in enumerate(map_ahead(make, range(5))):
        assert made == number
        if number < 4:
            assert begun[number + 1].wait(60)  # the next one is under way


def test_an_error_ahead_reaches_the_caller() -> None:
    made = map_ahead(lambda number: 1 // number, [2, 1, 0, 3])
    assert [next(made), next(made)] == [0, 1]
    with pytest.raises(ZeroDivisionError):
        next(made)
