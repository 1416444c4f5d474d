"""Prediction: whole clouds, every original point, all fields kept."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from pcaug import formats
from pcaug.cloud import PointCloud, concatenate
from pcaug.corpus.metres import to_metres
from pcaug.corpus.sources import Scan, refuse_nested, scans
from pcaug.errors import FileError, PcaugError, check_whole
from pcaug.files import Kind, alone, claim, read_json, stamp, write_text
from pcaug.parallel import Progress, completed, silent
from pcaug.segment import output, region, shift, stream, trees
from pcaug.segment.distributed import device
from pcaug.segment.features import Prepared, is_far, prepare
from pcaug.segment.model import build
from pcaug.segment.run import WEIGHTS, Run, digest
from pcaug.segment.votes import votes

NOTE = ".predict.json"
"""What a folder was labelled with, and which scans."""


Pair = tuple[Scan, Path]
"""A scan, and the file that it is labelled into."""
Told = tuple[Counter[str], list[str]]
"""Points of each class that a scan was labelled with, and what to warn of."""


@dataclass
class Segmenter:
    """A run, ready to label clouds.

    Attributes:
        run: Its card.
        model: The network, or the forest.
        views: Turned and mirrored views that vote (test-time augmentation): 1 to 8, the square's symmetries.
        vote: What a model of its kind makes of a cloud: ``pcaug.segment.votes.votes``, or a forest's.
    """

    run: Run
    model: Any
    views: int = 1
    vote: Callable[[Run, Any, Prepared, int], NDArray[np.float32]] = votes

    def __post_init__(self) -> None:
        check_views(self.views)

    @classmethod
    def load(cls, run: Run, views: int = 1) -> Segmenter:
        """Load the weights; raises FileError where they do not fit the card."""
        network = None if run.recipe.is_forest else build(run)
        try:
            if network is None:
                return cls(run, trees.load(run), views, trees.votes)
            network.load_state_dict(load_file(run.folder / WEIGHTS))
        except (RuntimeError, OSError, SafetensorError, KeyError, ValueError) as error:
            raise FileError(f"does not fit its card ({type(error).__name__})", run.folder / WEIGHTS, "train again") from None
        return cls(run, network.eval().to(device()), views)

    def label(self, cloud: PointCloud, frame: str, bright: float | None = None) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Class index (N,) uint8 and its probability (N,) float32 of every point of a cloud (see ``prepare``)."""
        return self.label_prepared(self.prepared(cloud, frame, bright))

    def prepared(self, cloud: PointCloud, frame: str, bright: float | None = None) -> Prepared:
        """A cloud as the network wants it."""
        recipe = self.run.recipe
        region.check(recipe, frame, self.run.folder)
        return prepare(cloud, recipe.features, recipe.voxel, frame, bright)

    def label_prepared(self, tile: Prepared) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """As ``label``, of a cloud that is prepared already."""
        votes = self.votes(tile)
        best = votes.argmax(axis=1).astype(np.uint8) if len(votes) else np.zeros(0, np.uint8)
        sure = votes.max(axis=1) / np.maximum(votes.sum(axis=1), 1e-9) if len(votes) else np.zeros(0)
        return best[tile.voxel_of], sure[tile.voxel_of].astype(np.float32)

    def votes(self, tile: Prepared) -> NDArray[np.float32]:
        """Summed probabilities (V, K) of all that votes."""
        return self.vote(self.run, self.model, tile, self.views)


@dataclass(frozen=True)
class Job:
    """How to label scans.

    Attributes:
        run: Folder of the run.
        views: See ``Segmenter``.
        frame: Of scans whose card does not say, unless they lie as far from the origin as maps do.
        most: Points of a file that is labelled in one piece; larger ones are labelled by tiles of as many with their margins.
    """

    run: Path
    views: int = 1
    frame: str = "sensor"
    most: int = stream.PIECE_POINTS

    @property
    def identity(self) -> dict[str, Any]:
        """What a label depends on beside the scan."""
        return {"weights": digest(self.run), "views": self.views, "frame": self.frame}


def check_views(views: int) -> None:
    """Raise PcaugError unless a square has so many symmetries."""
    if not 1 <= views <= 8:
        raise PcaugError(f"{views} views cannot vote", do="take 1 to 8")


def predict(
    run: Run | str | Path,
    source: str | Path,
    target: str | Path,
    card: str | Path | None = None,
    *,
    force: bool = False,
    views: int = 1,
    workers: int = 1,
    most: int = stream.PIECE_POINTS,
    ending: str | None = None,
    progress: Progress = silent,
    warn: Callable[[str], None] | None = None,
) -> Counter[str]:
    """Label a scan, or each scan of a folder, in bounded memory. An interrupted job goes on where it stopped.

    Args:
        run: A finished run, its folder, or the name of a published model.
        source: A file, or a folder of files.
        target: A file of a known format for a file; a folder for a folder (same names, same formats). A ".label" gets nothing but
            the class ids of the card's dataset, uint32, as SemanticKITTI's benchmark takes them.
        card: How to read the source.
        force: Write over what was predicted there before.
        views: Turned and mirrored views that vote, 1 to 8.
        workers: Processes that share a folder's files.
        most: Points of a piece, of which each of them holds two at once: one is labelled, the next prepared.
        ending: Of the files in a target folder, ".ply" or ".label", where the source's format cannot hold predictions.
        progress: Called as ``progress("scans", done, total)``, and for large files as ``progress("tiles", done, total)``.
        warn: Called with a line for each scan that does not look like the training data, and for those that were labelled before.

    Returns:
        Points labelled now, by class. In LAS it goes into ``classification`` too, unless the file holds classes of its own.

    Raises:
        PcaugError: If the target exists and is not what an interrupted job of the same run, source, card and format left, lies in
            the source or around it, or is of a format that cannot hold predictions.
    """
    check_views(views)
    check_whole(1, most=most, workers=workers)
    run = run if isinstance(run, Run) else Run.open(run)
    source, target = Path(source), Path(target)
    found = scans(source, card)
    if output.is_file_name(target) != source.is_file():
        raise PcaugError(
            "source and target must both be files or both be folders", target, "name a file for a scan, a folder for a folder"
        )
    frame = "map" if "map" in run.frames else "sensor"
    job = Job(run.folder, views, frame, most)
    pairs = [(scan, target if source.is_file() else _target_of(scan, source, target, ending)) for scan in found]
    _check(pairs, source, target)
    total: Counter[str] = Counter()
    said: set[str] = set()
    with alone(target, target) if source.is_dir() else nullcontext():
        left = _left(pairs, source, target, job, ending, force=force)
        if warn and len(left) < len(found):
            warn(f"{len(found) - len(left)} of {len(found)} scans were labelled before and are not counted")
        for done, (index, (classes, warnings)) in enumerate(_done(left, job, run, workers, progress), start=1):
            total += classes
            for warning in warnings:
                if warn and warning not in said:  # what holds for all scans is said of the first
                    warn(f"{left[index][0].path}: {warning}")
                said.add(warning)
            progress("scans", len(found) - len(left) + done, len(found))
    return total


def _target_of(scan: Scan, source: Path, target: Path, ending: str | None) -> Path:
    """Where a folder's scan goes: the same name, and that of the scan where its file holds several."""
    path = scan.path.relative_to(source)
    if scan.part:
        path = path.with_name(f"{formats.stem(path)}_{scan.part}{path.suffix}")
    return target / output.named(path, ending)


def _left(pairs: list[Pair], source: Path, target: Path, job: Job, ending: str | None, *, force: bool) -> list[Pair]:
    """The scans that an interrupted job left, or all of them; raises PcaugError where the target is not for this job."""
    if source.is_dir():
        how = {"format": ending and ending.lstrip(".")}
        _claim(target, pairs, job.identity | _source(source, pairs[0][0]) | how, force=force)
        return [(scan, path) for scan, path in pairs if not path.exists()]
    claim(target, force=force)
    return pairs


def _check(pairs: Sequence[Pair], source: Path, target: Path) -> None:
    """Refuse what would lose predictions or sources; raises PcaugError before anything is labelled or removed."""
    refuse_nested(source, target)
    named: dict[Path, list[str]] = {}
    for scan, path in pairs:
        named.setdefault(path, []).append(str(scan.path))
    if clash := next((path for path, names in named.items() if len(names) > 1), None):
        do = "predict their folder" if source.is_file() else "give them names of their own, or another --format"
        raise PcaugError(f"{', '.join(named[clash][:3])} would be written to one file", clash, do)
    for scan, path in pairs:
        output.check(scan, path, single=source.is_file())


def _source(path: Path, scan: Scan) -> dict[str, Any]:
    """What a source is known by: where it lies, and how one of its scans is read, which a card that is corrected changes."""
    card = scan.card and [scan.card.name, hashlib.sha256(scan.card.model_dump_json().encode()).hexdigest()]
    return {"source": str(path.resolve()), "card": card}


def _claim(folder: Path, pairs: Sequence[Pair], identity: dict[str, Any], *, force: bool) -> None:
    """Take a folder for a job: a new or empty one, its own, or that of another job when forced. Labels that are out of date there
    are removed: all of them when forced, else those of scans that have changed."""
    note = folder / NOTE
    kept = read_json(note) if note.is_file() else {"job": {}, "scans": {}}
    job, before = kept["job"], kept["scans"]
    stamps = {path.relative_to(folder).as_posix(): [stamp(file) for file in scan.files] for scan, path in pairs}
    in_the_way = any((folder / name).exists() for name in stamps.keys() - before.keys())
    changed = [key for key, value in identity.items() if job.get(key) != value]
    what = f"holds predictions that were made otherwise ({', '.join(changed)} differ)"
    kind = Kind("predictions of scans", (NOTE,), listed=frozenset(before))
    claim(folder, force=force, resumes=not changed and not in_the_way, kind=kind, what=what)
    for name, then in before.items():
        if force or stamps.get(name, then) != then:
            (folder / name).unlink(missing_ok=True)
    write_text(note, json.dumps({"job": identity, "scans": stamps if force else before | stamps}))


def _done(left: Sequence[Pair], job: Job, run: Run, workers: int, progress: Progress) -> Iterator[tuple[int, Told]]:
    """Number of each scan, with what was labelled of it, as they are done."""
    if workers <= 1 or len(left) <= 1:
        segmenter = Segmenter.load(run, job.views)
        for index, (scan, path) in enumerate(left):
            yield index, label_file(segmenter, scan, path, job, progress)
    else:
        yield from completed(_alone, [(job, scan, path) for scan, path in left], workers=workers)


def _alone(task: tuple[Job, Scan, Path]) -> Told:
    """One scan in a process of its own, on one thread."""
    job, scan, path = task
    torch.set_num_threads(1)
    return label_file(_kept(job), scan, path, job, silent)


@cache
def _kept(job: Job) -> Segmenter:
    return Segmenter.load(Run.open(job.run), job.views)


def label_file(segmenter: Segmenter, scan: Scan, path: Path, job: Job, progress: Progress) -> Told:
    """Label a file into another: in memory if it is small, else tile by tile."""
    frame, seen = _frame(scan, job), shift.Seen()

    def prepared(cloud: PointCloud, bright: float | None = None) -> Prepared:
        tile = segmenter.prepared(cloud, frame, bright)
        seen.add(tile.features)
        return tile

    chunks, points = [], 0
    for chunk in _clouds(scan, path):
        chunks.append(chunk)
        points += len(chunk)
        if points > job.most:
            break
    else:
        cloud = concatenate([c for c in chunks if len(c)] or chunks)
        done = _with(segmenter, cloud, *segmenter.label_prepared(prepared(cloud)))
        classes, warnings = output.write(path, scan, iter([done]), unclassified=_unclassified(done))
        return classes, warnings + seen.warnings(segmenter.run)
    del chunks, chunk
    identity = (
        job.identity
        | _source(scan.path, scan)
        | {"scan": [stamp(file) for file in scan.files], "most": job.most, "layout": stream.LAYOUT}
    )
    margin = segmenter.run.recipe.block / 2
    parts = path.with_name(f".{path.name}.parts")
    with alone(parts, path):
        labels = stream.Labels(lambda: _clouds(scan, path), parts, identity, margin, job.most)
        labels.fill(prepared, segmenter.label_prepared, lambda done, total: progress("tiles", done, total))
        clouds = labels.attached(lambda cloud, best, sure: _with(segmenter, cloud, best, sure))
        classes, warnings = output.write(path, scan, clouds, unclassified=labels.survey.unclassified)
        labels.remove()
    return classes, warnings + seen.warnings(segmenter.run)


def _frame(scan: Scan, job: Job) -> str:
    """The frame that its card names, or the job's; without a card, what lies far from the origin is a map."""
    if scan.card:
        return scan.card.frame
    return "map" if is_far(next(_clouds(scan, scan.path))) else job.frame


def _clouds(scan: Scan, path: Path) -> Iterator[PointCloud]:
    """A scan as its card reads it, in metres, with its own ids: what they mean is not asked, and unknown ones are no error.

    Raises:
        PcaugError: Where points without a position are left out, and what is written to ``path`` counts them, too.
    """
    for chunk in scan.raw():
        if chunk.source.gaps and output.is_of_rows(path):
            what = f"has points without a position, which {path.suffix} files count, too"
            raise PcaugError(what, scan.path, "write .ply, which has positions")
        yield to_metres(replace(chunk, source=replace(chunk.source, unit=scan.unit)))


def labelled(segmenter: Segmenter, cloud: PointCloud, frame: str) -> PointCloud:
    """The cloud with ``prediction`` (taxonomy node) and ``confidence`` beside its own fields; those of these names get a "_"."""
    return _with(segmenter, cloud, *segmenter.label(cloud, frame))


def _with(segmenter: Segmenter, cloud: PointCloud, best: NDArray[np.uint8], sure: NDArray[np.float32]) -> PointCloud:
    added: dict[str, NDArray[Any]] = {"prediction": segmenter.run.classes.node(best), "confidence": sure}
    theirs: dict[str, NDArray[Any]] = {}
    for name in filter(cloud.fields.__contains__, added):
        free = f"{name}_"
        while free in cloud:
            free += "_"
        theirs[free] = cloud[name]
    return cloud.with_fields(cloud.taxonomy, **(theirs | added))


def _unclassified(cloud: PointCloud) -> bool:
    return "native_label" not in cloud or bool(np.isin(cloud["native_label"], [0, 1]).all())
