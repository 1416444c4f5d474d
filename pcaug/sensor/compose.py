"""Compose a corpus: many worlds of one recipe, each seen once."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pcaug.cloud import PointCloud
from pcaug.corpus.build import Job, build
from pcaug.corpus.manifest import SourceRow
from pcaug.corpus.write import CorpusWriter
from pcaug.parallel import Progress, silent
from pcaug.scene.asset import NOT_STATED, Asset, Scene
from pcaug.scene.library import stamped
from pcaug.scene.recipe import SceneRecipe, compose
from pcaug.sensor import frame_of
from pcaug.sensor.scan import scan
from pcaug.sensor.transfer import transferred

TOGETHER = 8
"""Scans that one job makes."""


def compose_one(recipe: SceneRecipe, seed: int, index: int) -> PointCloud:
    """The index-th scan of a recipe and seed: always the same, whoever asks."""
    return _seen(recipe, seed, index)[1]


def _seen(recipe: SceneRecipe, seed: int, index: int) -> tuple[Scene, PointCloud]:
    rng = np.random.default_rng((seed, 0, index))
    scene = compose(recipe, rng)
    return scene, transferred(scan(scene, recipe.sensor, rng), recipe.transfer)


def compose_corpus(
    recipe: SceneRecipe,
    n: int,
    folder: Path,
    seed: int,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> None:
    """Write ``n`` scans of a recipe as a synthetic corpus, each an independent unit in one tile.

    A run that is killed goes on where it stood when it is started again, or anew where the user's meshes have changed since.

    Args:
        recipe: World and sensor.
        n: How many.
        folder: The corpus.
        seed: The same seed gives the same bytes for any number of workers.
        workers: Processes.
        scheduler: Address of a Dask scheduler instead.
        force: Replace a corpus that exists.
        progress: Called as ``progress("scenes", done, n)``.
    """
    described = recipe.model_dump(mode="json", exclude={"folder"})
    meshes = stamped(recipe)
    jobs = []
    for first in range(0, n, TOGETHER):
        indices = range(first, min(first + TOGETHER, n))
        jobs.append(Job(_write, (recipe, seed, indices), [described, recipe.folder, meshes, seed, list(indices)]))

    def told(text: str, done: int, total: int) -> None:
        progress(text, min(done * TOGETHER, n), n)

    made_by = {"recipe": described, "seed": seed, "n": n}
    build(folder, jobs, made_by, workers=workers, scheduler=scheduler, force=force, text="scenes", progress=told)


def _write(job: tuple[SceneRecipe, int, range], folder: Path) -> None:
    recipe, seed, indices = job
    with CorpusWriter(folder, kind="synthetic", frame=frame_of(recipe.sensor)) as writer:
        writer.source(SourceRow(path=recipe.name, card="", licence="made by pcaug"))
        assets: set[Asset] = set()
        for index in indices:
            name = f"{recipe.name}-{index:05d}"
            scene, cloud = _seen(recipe, seed, index)
            writer.add(cloud, name, name)
            assets |= {placement.asset for placement in scene.placements}
        credit(writer, recipe, assets)


def credit(writer: CorpusWriter, recipe: SceneRecipe, assets: Iterable[Asset]) -> None:
    """Note the licences of the user's meshes as sources of the recipe's corpus: they hold for what was made of them."""
    for licence in sorted({asset.licence for asset in assets} - {"", NOT_STATED}):
        writer.source(SourceRow(path=recipe.name, licence=licence))
