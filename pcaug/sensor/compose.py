"""Compose a corpus: many worlds of one recipe, each seen once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from pcaug.cloud import PointCloud
from pcaug.corpus.manifest import SourceRow
from pcaug.corpus.write import CorpusWriter
from pcaug.scene.recipe import SceneRecipe, compose
from pcaug.sensor.scan import scan

Progress = Callable[[str, int, int], None]


def compose_one(recipe: SceneRecipe, seed: int, index: int) -> PointCloud:
    """The index-th scan of a recipe and seed: always the same, whoever asks."""
    rng = np.random.default_rng((seed, 0, index))
    return scan(compose(recipe, rng), recipe.sensor, rng)


def compose_corpus(
    recipe: SceneRecipe,
    n: int,
    folder: Path,
    seed: int,
    *,
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> None:
    """Write ``n`` scans of a recipe as a synthetic corpus, each an independent unit in one tile.

    Args:
        recipe: World and sensor.
        n: How many.
        folder: The corpus.
        seed: The same seed gives the same bytes for any number of workers.
        workers: Processes.
        force: Replace a corpus that exists.
        progress: Called as ``progress("scenes", done, n)``.
    """
    made_by = {"recipe": recipe.model_dump(mode="json", exclude={"folder"}), "seed": seed, "n": n}
    frame = "sensor" if recipe.sensor.kind == "spinning" else "map"
    with CorpusWriter(folder, kind="synthetic", frame=frame, made_by=made_by, force=force) as writer:  # type: ignore[arg-type]
        writer.source(SourceRow(path=recipe.name, card="", licence="made by pcaug"))
        for index, cloud in enumerate(_scans(recipe, n, seed, workers)):
            name = f"{recipe.name}-{index:05d}"
            writer.add(cloud, name, name)
            if progress:
                progress("scenes", index + 1, n)


def _scans(recipe: SceneRecipe, n: int, seed: int, workers: int) -> Iterator[PointCloud]:
    if workers <= 1:
        for index in range(n):
            yield compose_one(recipe, seed, index)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(compose_one, [recipe] * n, [seed] * n, range(n), chunksize=max(1, min(8, n // (4 * workers) or 1)))
