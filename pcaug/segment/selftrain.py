"""Self-training: a run labels real scans that nobody has labelled, and what it is sure of trains the next one.

Of the points that are called a class, the surest share is kept, class by class, so that easy classes do not drive out the others
(Zou et al., Class-Balanced Self-Training, ECCV 2018). The rest stays unlabelled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import together
from pcaug.corpus.read import Corpus, opened
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import RecipeError
from pcaug.labels import IGNORE
from pcaug.parallel import Progress, silent
from pcaug.segment import distributed
from pcaug.segment.blocks import pieces
from pcaug.segment.predict import Segmenter
from pcaug.segment.recipe import TrainRecipe, load_recipe
from pcaug.segment.run import SOURCE_CLASSES, TEACHER, Run, digest
from pcaug.segment.train import train

LEVELS = 1000
"""Bins of confidence in which the surest share of a class is found, so that any corpus takes the same memory."""


def self_train(
    recipe: TrainRecipe | str | Path,
    real: Corpus | str | Path,
    unlabelled: Corpus | str | Path | Sequence[Corpus | str | Path],
    synthetic: Corpus | str | Path | Sequence[Corpus | str | Path] = (),
    folder: str | Path = "run",
    *,
    progress: Progress = silent,
    share: float = 0.5,
    tensorboard: bool = False,
) -> Run:
    """Train a teacher, let it label real scans, and train the run with them as one more source beside the synthetic ones.

    The teacher lies in ``folder/teacher``, what it labelled in ``folder/unlabelled-N``. An interrupted job goes on.

    Args:
        recipe, real, synthetic, progress, tensorboard: As of ``train``.
        unlabelled: One corpus or several of real scans; labels that they have are not looked at.
        folder: The run.
        share: Of the points of each class that are kept.

    Raises:
        RecipeError: Under torchrun, where ``synthetic_shares`` does not name the unlabelled sources, too, or for scans where all
            that is labelled are maps, and maps where it is scans.
    """
    if distributed.launched():
        raise RecipeError("self-training works in one process alone", do="train without torchrun")
    if not isinstance(recipe, TrainRecipe):
        recipe = load_recipe(recipe)
    unlabelled, synthetic = opened(unlabelled), opened(synthetic)
    learned = {corpus.manifest.frame for corpus in (*opened(real), *synthetic)}
    for corpus in unlabelled:
        if corpus.manifest.frame not in learned:
            do = "label maps with maps, and scans with scans"
            raise RecipeError("is of another frame than all that the teacher learns from", corpus.folder, do)
    if recipe.synthetic_shares and len(recipe.synthetic_shares) != len(synthetic) + len(unlabelled):
        raise RecipeError("synthetic_shares must name the unlabelled sources, too, after the synthetic ones")
    before = recipe.model_copy(update={"synthetic_shares": recipe.synthetic_shares[: len(synthetic)]})
    teacher = train(before, real, synthetic, Path(folder) / TEACHER, progress=progress)
    guessed = []
    for index, corpus in enumerate(unlabelled):
        target = Path(folder) / f"unlabelled-{index}"
        done = Corpus.open(target) if target.is_dir() else None
        if done is None or not _made_by(teacher, corpus, share).items() <= done.manifest.made_by.items():
            done = pseudo_labelled(teacher, corpus, target, share, progress)
        guessed.append(done)
    sources, classes = [*synthetic, *guessed], teacher.classes
    return train(recipe, real, sources, folder, progress=progress, classes=classes, tensorboard=tensorboard)


def pseudo_labelled(run: Run, corpus: Corpus, folder: Path, share: float = 0.5, progress: Progress = silent) -> Corpus:
    """A copy of a corpus whose labels are the run's own, where it is sure, and 255 elsewhere.

    Args:
        run: The teacher.
        corpus: Its labels are not looked at; splits val and test are left out.
        folder: The copy; replaced if it exists.
        share: Of the points that are called a class, the surest are kept.
        progress: Called as ``progress("labelling scans", done, total)``.
    """
    segmenter, count = Segmenter.load(run), len(run.classes.groups)
    clouds = pieces(corpus.only(split="train"))
    steps, table = 2 * len(clouds), np.zeros((count, LEVELS), np.int64)
    for index, piece in enumerate(clouds):
        best, sure = segmenter.label(together([corpus.read(tile) for tile in piece]), corpus.manifest.frame)
        np.add.at(table, (best, _level(sure)), 1)
        progress("labelling scans", index + 1, steps)
    least = _least(table, share)
    nodes = tuple(int(node) for node in run.classes.node(np.arange(count, dtype=np.uint8)))
    made_by = _made_by(run, corpus, share) | {SOURCE_CLASSES: corpus.counts("train")}
    with CorpusWriter(folder, frame=corpus.manifest.frame, crs=corpus.manifest.crs, made_by=made_by, force=True) as writer:
        for index, piece in enumerate(clouds):
            read = [corpus.read(tile) for tile in piece]
            best, sure = segmenter.label(together(read), corpus.manifest.frame)
            label = np.where(_level(sure) >= least[best], run.classes.node(best), IGNORE).astype(np.uint16)
            for tile, cloud, own in zip(piece, read, np.split(label, np.cumsum([*map(len, read)])[:-1]), strict=True):
                writer.source(corpus.manifest.sources[tile.source].model_copy(update={"nodes": nodes}))
                writer.add(cloud.with_fields(catalogue.taxonomy(), label=own), tile.name, tile.unit, tile.split)
            progress("labelling scans", len(clouds) + index + 1, steps)
    return Corpus.open(folder)


def _made_by(run: Run, corpus: Corpus, share: float) -> dict[str, Any]:
    """All that labels which a run made of a corpus depend on."""
    manifest = hashlib.sha256(corpus.manifest.model_dump_json().encode()).hexdigest()
    return {"teacher": digest(run.folder), "share": share, "source": str(corpus.folder), "manifest": manifest}


def _level(sure: NDArray[np.float32]) -> NDArray[np.intp]:
    return np.minimum((sure * LEVELS).astype(np.intp), LEVELS - 1)


def _least(table: NDArray[np.int64], share: float) -> NDArray[np.intp]:
    """Level (K,) from which the surest share of the points of each class lies, of counts (K, LEVELS)."""
    above = np.cumsum(table[:, ::-1], axis=1)
    wanted = np.ceil(share * above[:, -1:])
    least: NDArray[np.intp] = LEVELS - 1 - np.argmax(above >= np.maximum(wanted, 1), axis=1)
    return least
