"""Build a corpus from many jobs: each makes a small corpus of its own, side by side, and those are joined.

What is done is kept beside the corpus until all is: a run that was killed goes on where it stood. The result depends on
the jobs alone, not on how many workers shared them or in what order they finished.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pcaug import __version__
from pcaug.corpus.duplicates import drop_repeats
from pcaug.corpus.manifest import NAME, Manifest, SourceRow, Tile, load_manifest
from pcaug.corpus.steps import nothing_left
from pcaug.corpus.write import check_target, named, put_in_place, tile_name
from pcaug.errors import PcaugError
from pcaug.files import alone, told_of, write_text
from pcaug.parallel import Progress, completed, silent


@dataclass(frozen=True)
class Job:
    """A piece of work.

    Attributes:
        work: ``work(payload, folder)`` writes a corpus there; a module's function, so that it travels to other processes.
        payload: What it works on.
        about: JSON of everything that its result depends on: names what is done already.
    """

    work: Callable[[Any, Path], None]
    payload: Any
    about: Any

    @property
    def key(self) -> str:
        """Name of the job's result."""
        text = json.dumps([__version__, self.work.__qualname__, self.about], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def build(
    folder: Path,
    jobs: Sequence[Job],
    made_by: dict[str, Any],
    *,
    workers: int = 1,
    scheduler: str | None = None,
    force: bool = False,
    onto: Manifest | None = None,
    unique: bool = False,
    text: str = "parts",
    progress: Progress = silent,
) -> None:
    """Run jobs and join what they made.

    Args:
        folder: The corpus.
        jobs: In the order that their tiles will have.
        made_by: What made it; kept in the manifest.
        workers: Processes.
        scheduler: Address of a Dask scheduler instead.
        force: Replace a corpus that exists.
        onto: Of the corpus there, whose tiles are not touched and to which the others are added.
        unique: Drop points at exactly the place of an earlier one.
        text: What progress calls a job.
        progress: Called as ``progress(text, done, total)``.

    Raises:
        PcaugError: Of a job, or where another process changed the corpus to add to meanwhile; what is done is kept for the next
            run.
    """
    folder = named(folder)
    if onto is None:
        check_target(folder, force=force)
    staging = folder.with_name(f".{folder.name}.parts")
    homes = [staging / job.key for job in jobs]
    with alone(staging, folder):
        todo = [(job, home) for job, home in zip(jobs, homes, strict=True) if not (home / NAME).is_file()]
        done = len(jobs) - len(todo)
        progress(text, done, len(jobs))
        try:
            with told_of(staging, folder):
                for _ in completed(_run, todo, workers=workers, scheduler=scheduler):
                    done += 1
                    progress(text, done, len(jobs))
                _join(folder, staging, homes, made_by, onto, unique=unique)
        except BaseException:  # Ctrl-C too
            if not any(staging.glob("*/tiles/*")):  # nothing to go on with
                shutil.rmtree(staging, ignore_errors=True)
            raise
        shutil.rmtree(staging, ignore_errors=True)


def _run(job_and_home: tuple[Job, Path]) -> None:
    job, home = job_and_home
    if not (home / NAME).is_file():
        job.work(job.payload, home)


def _join(
    folder: Path, staging: Path, parts: Sequence[Path], made_by: dict[str, Any], before: Manifest | None, *, unique: bool
) -> None:
    """One corpus of many, put together in the staging folder; their tiles are linked, not moved, so that being killed midway
    loses nothing."""
    if before and load_manifest(folder) != before:
        raise PcaugError("was changed by another process meanwhile", folder, "give the same command again")
    target = folder if before else staging / "whole"
    shutil.rmtree(target, ignore_errors=True) if not before else None
    (target / "tiles").mkdir(parents=True, exist_ok=True)
    try:
        sources: dict[str, tuple[int, SourceRow]] = {}
        for row in before.sources if before else ():
            _numbered(sources, row)
        tiles = list(before.tiles) if before else []
        first, number = len(tiles), _free(tiles)
        crs = before.crs if before else None
        frame = before.frame if before else None
        for part in parts:
            manifest = load_manifest(part)
            crs, frame = crs or manifest.crs, frame or manifest.frame
            rows = [_numbered(sources, row) for row in manifest.sources]
            for tile in manifest.tiles:
                path = f"tiles/{tile_name(number + len(tiles) - first, tile.name)}"
                _link(part / tile.path, target / path)
                tiles.append(tile.model_copy(update={"path": path, "source": rows[tile.source]}))
        if not tiles and "steps" in made_by:
            raise nothing_left(folder)
        if unique:
            tiles[first:] = drop_repeats(target, tiles, first, alone=frame == "sensor")
        made = {"pcaug": __version__, **made_by}
        if before:
            made = {**before.made_by, "appended": [*before.made_by.get("appended", []), made]}
        whole = Manifest(
            taxonomy=before.taxonomy if before else load_manifest(parts[0]).taxonomy,
            frame=frame or "map",
            crs=crs,
            tiles=tuple(tiles),
            sources=_counted([row for _, row in sources.values()], tiles),
            made_by=made,
        )
        write_text(target / NAME, whole.model_dump_json(indent=1) + "\n")
        if not before:
            put_in_place(target, folder)
    finally:
        if not before:
            shutil.rmtree(target, ignore_errors=True)


def _free(tiles: Sequence[Tile]) -> int:
    """The first free number for files of tiles: dropping repeats leaves gaps, so the count of tiles may be in use."""
    return max((int(found[1]) + 1 for tile in tiles if (found := re.match(r"tiles/(\d+)_", tile.path))), default=0)


def _identity(row: SourceRow) -> str:
    """A source as text, but for the points that came from it: parts of one corpus share their sources."""
    return row.model_copy(update={"points": 0}).model_dump_json()


def _numbered(sources: dict[str, tuple[int, SourceRow]], row: SourceRow) -> int:
    """Number of a source among those before it, added if it is new."""
    return sources.setdefault(_identity(row), (len(sources), row))[0]


def _counted(sources: Sequence[SourceRow], tiles: Sequence[Tile]) -> tuple[SourceRow, ...]:
    points = [0] * len(sources)
    for tile in tiles:
        points[tile.source] += tile.points
    return tuple(row.model_copy(update={"points": n}) for row, n in zip(sources, points, strict=True))


def _link(old: Path, new: Path) -> None:
    with suppress(FileNotFoundError):
        new.unlink()  # left by an append that was killed
    try:
        os.link(old, new)
    except OSError:  # a file system without links
        shutil.copyfile(old, new)
