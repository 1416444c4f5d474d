"""Compose a corpus: many worlds of one recipe, each seen once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcaug.cloud import PointCloud
from pcaug.corpus.build import Job, build
from pcaug.corpus.manifest import Manifest, SourceRow, load_manifest
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import PcaugError, check_whole
from pcaug.parallel import Progress, silent
from pcaug.scene.asset import NOT_STATED, Asset, Scene
from pcaug.scene.library import stamped
from pcaug.scene.recipe import SceneRecipe, compose, load_recipe
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
    recipe: SceneRecipe | str | Path,
    n: int,
    folder: str | Path,
    seed: int,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    force: bool = False,
    append: bool = False,
    progress: Progress = silent,
) -> None:
    """Write ``n`` scans of a recipe as a synthetic corpus, each an independent unit in one tile.

    A run that is killed goes on where it stood when it is started again, or anew where the user's meshes have changed since.

    Args:
        recipe: World and sensor: a recipe, the name of one in ``datasets/recipes``, or a TOML file.
        n: How many, at least one.
        folder: The corpus.
        seed: The same seed gives the same bytes for any number of workers.
        workers: Processes.
        scheduler: Address of a Dask scheduler instead.
        force: Replace a corpus that exists.
        append: Add ``n`` scans to those of the same recipe and seed, as if all had been composed at once.
        progress: Called as ``progress("scenes", done, n)``.

    Raises:
        PcaugError: To append to what was composed of another recipe or seed.
    """
    recipe = recipe if isinstance(recipe, SceneRecipe) else load_recipe(recipe)
    described = recipe.model_dump(mode="json", exclude={"folder"})
    about, made_by = [described, recipe.folder, stamped(recipe), seed], {"recipe": described, "seed": seed, "n": n}
    how = {"workers": workers, "scheduler": scheduler, "force": force, "text": "scenes"}
    build_scans(Path(folder), n, _write, (recipe, seed), about, made_by, progress, append=append, **how)


def build_scans(
    folder: Path,
    n: int,
    work: Callable[[Any, Path], None],
    payload: tuple[Any, ...],
    about: Sequence[Any],
    made_by: dict[str, Any],
    progress: Progress,
    *,
    append: bool,
    **how: Any,
) -> None:
    """Build a corpus of ``n`` scans, TOGETHER of them a job.

    Args:
        folder: The corpus.
        n: How many.
        work: ``work((*payload, numbers), folder)`` writes the scans of some numbers, see ``pcaug.corpus.build.Job``.
        payload: What they are made of.
        about: What they depend on beside their numbers.
        made_by, how: Of ``pcaug.corpus.build.build``.
        progress: Called as ``progress(text, done, n)``.
        append: Whether to add them to the corpus there.

    Raises:
        PcaugError: For fewer than one, a seed that is no whole number from 0 on, or to append to what was made otherwise.
    """
    check_whole(0, seed=made_by["seed"], n=n)
    if n < 1:
        raise PcaugError(f"{n} scans cannot be made", folder, "ask for at least one")
    onto = load_manifest(folder) if append else None
    have = _asked(onto, made_by, folder) if onto else 0
    parts = [range(first, min(first + TOGETHER, have + n)) for first in range(have, have + n, TOGETHER)]
    jobs = [Job(work, (*payload, part), [*about, list(part)]) for part in parts]

    def in_scans(text: str, done: int, total: int) -> None:
        progress(text, min(done * TOGETHER, n), n)

    build(folder, jobs, made_by, onto=onto, progress=in_scans, **how)


def _asked(onto: Manifest, made_by: dict[str, Any], folder: Path) -> int:
    """Scans that a corpus was asked for so far; raises PcaugError where it was made otherwise."""
    changed = [name for name, value in made_by.items() if name != "n" and onto.made_by.get(name) != value]
    if changed:
        do = "give the same recipe, --set, --seed and sources, or merge two corpora"
        raise PcaugError(f"was made otherwise ({' and '.join(changed)} differ)", folder, do)
    return asked(onto.made_by)


def asked(made_by: dict[str, Any]) -> int:
    """Scans that a composed corpus was asked for, with those that were appended."""
    return sum(part.get("n", 0) for part in (made_by, *made_by.get("appended", [])))


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
