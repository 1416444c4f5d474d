"""Compose a corpus out of real scans with simulated objects placed into them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import RecipeError
from pcaug.files import stamp
from pcaug.parallel import Progress, silent
from pcaug.scene.asset import Asset
from pcaug.scene.library import Library, check_kinds, stamped
from pcaug.scene.recipe import SceneRecipe
from pcaug.sensor.compose import build_scans, credit
from pcaug.sensor.into import beams_of, into

Pattern = tuple[Sequence[float], int]
"""Elevations of the beams, degrees, and columns of a turn."""


def place_corpus(
    recipe: SceneRecipe,
    real: Corpus,
    pattern: Pattern,
    n: int,
    folder: Path,
    seed: int,
    *,
    workers: int = 1,
    scheduler: str | None = None,
    force: bool = False,
    append: bool = False,
    progress: Progress = silent,
) -> None:
    """Write ``n`` real scans with objects of the recipe's ``[into]`` placed into them, as a synthetic corpus.

    Scans are taken in turn, and keep their unit: what is made of a drive counts as that drive.

    Args:
        recipe: Objects, the user's own meshes, noise and losses of the scanner.
        real: Labelled scans of a spinning scanner, each with its origin at the scanner.
        pattern: Of the scanner.
        n: How many.
        folder: The corpus.
        seed: The same seed gives the same bytes for any number of workers.
        workers, scheduler, force, append, progress: As of ``compose_corpus``.

    Raises:
        RecipeError: For kinds of objects that do not exist, or a recipe of another kind of scanner.
    """
    check_kinds(recipe.into.kinds)
    if recipe.sensor.kind != "spinning":
        do = "take a recipe of one (street), or --set sensor.model=HDL-64E"
        raise RecipeError(f"{recipe.name} has a scanner that does not spin as that of the real scans does", do=do)
    described = recipe.model_dump(mode="json", exclude={"folder"})
    scans = [str(real.folder.resolve()), [[t.path, *stamp(real.folder / t.path)] for t in real.tiles], list(pattern)]
    about = [described, recipe.folder, stamped(recipe), *scans, seed]
    made_by = {"recipe": described, "into": str(real.folder), "seed": seed, "n": n}
    how = {"workers": workers, "scheduler": scheduler, "force": force, "text": "scans"}
    build_scans(folder, n, _write, (recipe, real, pattern, seed), about, made_by, progress, append=append, **how)


def _write(job: tuple[SceneRecipe, Corpus, Pattern, int, range], folder: Path) -> None:
    recipe, real, (elevations, steps), seed, indices = job
    library = Library(recipe.assets, Path(recipe.folder))
    kinds, weights = list(recipe.into.kinds), np.array(list(recipe.into.kinds.values()))
    placed: list[Asset] = []
    with CorpusWriter(folder, kind="synthetic", frame="sensor") as writer:
        for index in indices:
            rng = np.random.default_rng((seed, 1, index))
            tile = real.tiles[index % len(real.tiles)]
            cloud = real.read(tile)
            count = int(rng.integers(recipe.into.objects[0], recipe.into.objects[1] + 1))
            assets = [library.pick(str(kind), rng) for kind in rng.choice(kinds, count, p=weights / weights.sum())]
            made, _ = into(cloud, assets, beams_of(cloud, elevations, steps), recipe.sensor, rng, recipe.transfer)
            writer.source(real.manifest.sources[tile.source].model_copy(update={"encoding": {}, "sha256": ""}))
            writer.add(made, f"{tile.name}-{index:05d}", tile.unit)
            placed += assets
        credit(writer, recipe, placed)
