"""Jobs for tests of building: in a module of their own, so that worker processes can import them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.corpus.build import Job
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError


def cloud(seed: int) -> PointCloud:
    xyz = np.random.default_rng(seed).uniform(0, 50, (300, 3))
    return PointCloud(xyz, {"label": np.full(300, seed % 3 + 1, np.uint16)}, catalogue.taxonomy(), crs="EPSG:25832")


def work(job: tuple[int, Path, str], folder: Path) -> None:
    """Writes one tile, and notes that it ran; ``job[2]`` says how it fails the first time."""
    index, log, fate = job
    first = not (log / f"ran-{index}").exists()
    with (log / f"ran-{index}").open("a") as file:
        file.write("x")
    if fate == "interrupt" and first:
        raise KeyboardInterrupt
    if fate == "kill" and first:
        os.kill(os.getpid(), signal.SIGKILL)
    if fate == "error":
        raise FileError("is broken", f"file {index}", "mend it")
    with CorpusWriter(folder) as writer:
        writer.add(cloud(index), f"scan-{index}", f"unit-{index}")


def jobs(log: Path, fates: dict[int, str], count: int = 5) -> list[Job]:
    log.mkdir(exist_ok=True)
    return [Job(work, (i, log, fates.get(i, "")), [i]) for i in range(count)]
