"""Write the tiles of a corpus as files of another format, one each: a folder of LAZ tiles, or KITTI's layout."""

from __future__ import annotations

from collections import Counter
from itertools import count
from pathlib import Path

from pcaug import formats
from pcaug.cloud import concatenate
from pcaug.corpus.convert import with_ids
from pcaug.corpus.read import Corpus
from pcaug.corpus.report import Report, losses
from pcaug.corpus.sources import refuse_nested
from pcaug.corpus.steps import Steps, nothing_left
from pcaug.corpus.write import named, put_in_place
from pcaug.errors import NotFound, first_few
from pcaug.files import Kind, beside, claim, contents, told_of
from pcaug.parallel import Progress, silent

WRITTEN = ".pcaug-export"
"""File that lists what an export wrote: all that the next may replace."""


def export(
    corpus: Corpus,
    folder: Path,
    suffix: str,
    ids_of: str | Path | None = None,
    *,
    steps: Steps = Steps(),
    force: bool = False,
    progress: Progress = silent,
) -> Report:
    """Write each tile of a corpus to a file, but those that filters leave nothing of; the folder appears when all are written.

    ``.bin`` gives the layout of SemanticKITTI (Behley et al., ICCV 2019): a unit is a drive
    ``sequences/NN``, its scans are ``velodyne/NNNNNN.bin`` with ``labels/NNNNNN.label``; drives are numbered in the order of
    the corpus. Other formats keep the names of the tiles.

    Args:
        corpus: What to write.
        folder: Where; it must not exist, or be an empty one, unless forced.
        suffix: Of the files, such as ``.laz``.
        ids_of: Card whose class ids the labels become.
        steps: Filters, reprojection, new ids.
        force: Replace the folder of an earlier export.
        progress: Called as ``progress("tiles", done, total)``.

    Raises:
        PcaugError: If the folder is not to be replaced, or no points are left.
    """
    if suffix.lower() not in formats.SUFFIXES:
        raise NotFound(f"--each {suffix!r} names no format", do=f"choose from {', '.join(formats.SUFFIXES)}")
    folder = named(folder)
    refuse_nested(corpus.folder, folder)
    claim(folder, force=force, kind=_kind(folder))
    without: Counter[str] = Counter()
    found: set[str] = set()
    written = 0
    with beside(folder) as home:
        partial = home / folder.name
        partial.mkdir()
        for index, (tile, name) in enumerate(zip(corpus.tiles, _names(corpus, suffix), strict=True)):
            path = partial / name
            clouds = steps.apply([steps.prepare(corpus.read(tile))])
            if ids_of:
                clouds = with_ids(clouds, ids_of, without)
            if pieces := list(clouds):
                found |= set(formats.lost(pieces[0].fields, path))
                with told_of(path, folder / name):
                    written += formats.write(path, concatenate(pieces))
                if suffix == ".bin":
                    _to_labels(path)
            progress("tiles", index + 1, len(corpus.tiles))
        if steps and not written:
            raise nothing_left(folder)
        (partial / WRITTEN).write_text("\n".join(contents(partial)) + "\n", encoding="utf-8")
        put_in_place(partial, folder, _kind(folder))
    lost = tuple(sorted(found))
    return Report(written, lost, _numbered(corpus, suffix) + losses(suffix, lost, ids_of, without))


def _numbered(corpus: Corpus, suffix: str) -> tuple[str, ...]:
    """What KITTI's numbers stand for: its layout has no place for names."""
    if suffix != ".bin":
        return ()
    units = list(dict.fromkeys(tile.unit for tile in corpus.tiles))
    told = first_few([f"{number:02d} is {unit}" for number, unit in enumerate(units)], 4)
    return (f"KITTI's layout numbers drives and scans, in the order of the corpus: sequences/{told}",)


def _kind(folder: Path) -> Kind:
    """What the last export wrote into a folder."""
    listed = folder / WRITTEN
    return Kind("an export", (WRITTEN,), listed=frozenset(listed.read_text("utf-8").splitlines() if listed.is_file() else ()))


def _names(corpus: Corpus, suffix: str) -> list[str]:
    """Where each tile goes in an export."""
    if suffix != ".bin":
        return [Path(tile.path).with_suffix("").name + suffix for tile in corpus.tiles]
    scans = {unit: (drive, count()) for drive, unit in enumerate(dict.fromkeys(tile.unit for tile in corpus.tiles))}
    drives = [scans[tile.unit] for tile in corpus.tiles]
    return [f"sequences/{drive:02d}/velodyne/{next(number):06d}.bin" for drive, number in drives]


def _to_labels(path: Path) -> None:
    made = path.with_suffix(".label")
    if made.exists():
        home = path.parent.parent / "labels"
        home.mkdir(exist_ok=True)
        made.rename(home / made.name)
