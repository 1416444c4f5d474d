"""A small real labelled airborne sample: test files of laspy's source distribution, pinned by hash, never committed."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from pcaug.errors import FileError, NotFound
from pcaug.files import Kind, atomic_path, cache_folder

ARCHIVE = "laspy-2.7.0.tar.gz"
ARCHIVE_SHA256 = "f56feb5445e75d6ff12ee814aab6a35339290e75264ff277c6bf553f3025a3f5"
FILES = {
    "garden.las": "laspy-2.7.0/tests/data/file_with_both_wkt_and_geotiff_vlrs.las",
    "lidarhd.laz": "laspy-2.7.0/tests/data/append-bug.laz",
    "stadium.laz": "laspy-2.7.0/tests/data/autzen_trim.laz",
}
"""Name in the sample -> member of the archive. ``garden.las`` (Nebraska, in US survey feet) has ground, vegetation and
building at 114 points/m2; ``lidarhd.laz`` (IGN LiDAR HD, thinned) ground, vegetation, bridge; ``stadium.laz`` (Oregon)
ground only, the rest unclassified."""
KIND = Kind("the sample", tuple(FILES))


def fetch(archive: Path | None = None) -> Path:
    """Get the archive: as given, from the cache, or from the package index through pip.

    Args:
        archive: A copy that the user has already; it goes into the cache.

    Returns:
        Path of an archive whose sha256 is the pinned one.

    Raises:
        NotFound: If it is neither given nor cached and pip cannot get it.
        FileError: If its hash is another.
    """
    cached = cache_folder() / ARCHIVE
    if archive is not None:
        with atomic_path(cached) as partial:
            shutil.copyfile(_checked(archive), partial)
    if cached.is_file():
        return _checked(cached)
    cached.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cached.parent) as folder:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "-q",
            "--no-deps",
            "--no-binary",
            "laspy",
            "-d",
            folder,
            "laspy==2.7.0",
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        except subprocess.TimeoutExpired:
            reason = "no answer within five minutes"
        found = Path(folder) / ARCHIVE
        if not found.is_file():
            url = "https://pypi.org/project/laspy/2.7.0/#files"
            raise NotFound(
                f"the sample could not be downloaded ({reason})", ARCHIVE, f"get it from {url} and pass it with --archive"
            )
        found = _checked(found)
        found.replace(cached)
    return cached


def extract(folder: Path, archive: Path | None = None) -> list[Path]:
    """Write the sample's scans into a folder, each beside and renamed.

    Returns:
        The files, in the order of FILES.
    """
    source = fetch(archive)
    written = []
    with tarfile.open(source) as tar:
        for name, member in FILES.items():
            stream = tar.extractfile(member)
            if stream is None:
                raise FileError(f"has no {member}", source)
            target = folder / name
            with atomic_path(target) as partial, partial.open("wb") as out:
                shutil.copyfileobj(stream, out)
            written.append(target)
    return written


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise NotFound("no such file", path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != ARCHIVE_SHA256:
        raise FileError(f"has sha256 {digest[:12]}..., not the pinned {ARCHIVE_SHA256[:12]}...", path, "delete it and try again")
    return path
