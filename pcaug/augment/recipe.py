"""Augmentation recipes: which mixers and which steps, in order, in TOML; and a corpus made with one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import field_validator

from pcaug import catalogue
from pcaug.augment import MIXERS, Mixer, Pipeline, build, pipeline, split_chance
from pcaug.augment.mixing import join
from pcaug.catalogue import Strict
from pcaug.cloud import PointCloud
from pcaug.corpus.manifest import BUFFER, Tile
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import PcaugError, RecipeError, check_whole
from pcaug.parallel import Progress, silent

Tables = tuple[dict[str, Any], ...]


class AugmentRecipe(Strict):
    """Mixers, each with another cloud, and then the steps that change one cloud.

    Attributes:
        name: Name of the recipe.
        title: What it is for.
        mix: Tables of ``pcaug.augment.MIXERS``: ``name``, ``chance`` (1), arguments.
        step: Tables of ``pcaug.augment.AUGMENTATIONS``, likewise.
    """

    name: str
    title: str = ""
    mix: Tables = ()
    step: Tables = ()

    @field_validator("step")
    @classmethod
    def _steps(cls, tables: Tables) -> Tables:
        return _checked(tables, lambda: pipeline(tables))

    @field_validator("mix")
    @classmethod
    def _mixers(cls, tables: Tables) -> Tables:
        return _checked(tables, lambda: mixers(tables))

    @property
    def pipeline(self) -> Pipeline:
        """The steps."""
        return pipeline(self.step)


def _checked(tables: Tables, make: Callable[[], object]) -> Tables:
    try:
        make()
    except RecipeError as error:
        raise ValueError(str(error)) from None
    return tables


def mixers(tables: Sequence[dict[str, Any]]) -> list[tuple[Mixer, float]]:
    """Mixers with the probability of each; raises RecipeError."""
    return [(build(MIXERS, table), chance) for table, chance in map(split_chance, tables)]


def load_recipe(name: str | Path, changes: Sequence[str] = ()) -> AugmentRecipe:
    """A recipe by name or path, with ``key=value`` changes; raises RecipeError, NotFound."""
    return catalogue.load(catalogue.find("datasets/augmentations", name), AugmentRecipe, changes)


def augment(recipe: AugmentRecipe, cloud: PointCloud, another: Callable[[], PointCloud], rng: np.random.Generator) -> PointCloud:
    """One draw of a recipe.

    Args:
        recipe: What to do.
        cloud: Labelled.
        another: Gives the cloud to mix with, drawn anew for every mixer that is taken.
        rng: Of every random choice.
    """
    for mixer, chance in mixers(recipe.mix):
        own = np.random.default_rng(rng.integers(2**63))
        if rng.random() < chance:
            cloud = mixer(cloud, another(), own)
    return recipe.pipeline(cloud, rng)


REPLACE = ("polarmix", "lasermix", "cutmix")
"""Mixers that put parts of one scan in the place of another's."""


@dataclass(frozen=True)
class Donors:
    """Where clouds to mix with come from: tiles of a corpus, of another unit where there is one, else other tiles of the unit;
    several tiles of a bank at once.

    Attributes:
        corpus: The clouds.
        bank: Whether a tile is a single object: then ``many`` of them make one donor.
        many: Objects of a donor.
    """

    corpus: Corpus
    bank: bool = False
    many: int = 60

    def draw(self, tile: Tile, rng: np.random.Generator) -> PointCloud:
        """A cloud of another unit than ``tile``, else another one, where there is any: mixed with itself, none is new."""
        away = [other for other in self.corpus.tiles if other.unit != tile.unit]
        tiles = away or [other for other in self.corpus.tiles if other != tile] or list(self.corpus.tiles)
        if not self.bank:
            return self.corpus.read(tiles[rng.integers(len(tiles))])
        chosen = rng.permutation(len(tiles))[: self.many]
        return reduce(join, (_numbered(self.corpus.read(tiles[index])) for index in chosen))


def _numbered(thing: PointCloud) -> PointCloud:
    """An object with a number of its own (``join`` counts on): several may stand in one place, where clustering merges them."""
    return thing.with_fields(None, instance=np.ones(len(thing), np.int32))


def augment_corpus(
    recipe: AugmentRecipe | str | Path,
    corpus: Corpus | str | Path,
    folder: str | Path,
    seed: int,
    *,
    copies: int = 1,
    donors: Corpus | str | Path | None = None,
    force: bool = False,
    progress: Progress = silent,
) -> None:
    """Write augmented copies of every tile of a corpus as a new one, but of buffers between splits; units and splits stay, so
    that no test data leaks.

    The sources of the corpus and, where the recipe mixes, of the donors are its common sources: their licences hold for what is
    made.

    Args:
        recipe: What to do: a recipe, the name of one, or a TOML file.
        corpus: The clouds: a corpus, or its folder.
        folder: The new corpus.
        seed: The same seed gives the same bytes.
        copies: Of every tile, at least one.
        donors: What to mix with; None takes the corpus itself. Of one with splits, tiles of the cloud's own, else of "train".
        force: Replace a corpus that exists.
        progress: Called as ``progress("clouds", done, total)``.
    """
    recipe = recipe if isinstance(recipe, AugmentRecipe) else load_recipe(recipe)
    corpus = corpus if isinstance(corpus, Corpus) else Corpus.open(corpus)
    donors = donors if isinstance(donors, Corpus | None) else Corpus.open(donors)
    check_whole(0, seed=seed, copies=copies)
    if copies < 1:
        raise PcaugError(f"{copies} copies cannot be made", folder, "ask for at least one")
    made_by = {"augmentation": recipe.model_dump(mode="json"), "seed": seed, "copies": copies, "source": str(corpus.folder)}
    mixed = donors if recipe.mix else None
    made_by |= {} if mixed is None else {"donors": str(mixed.folder)}
    done, total = 0, copies * sum(tile.split != BUFFER for tile in corpus.tiles)
    with CorpusWriter(Path(folder), kind="synthetic", frame=corpus.manifest.frame, made_by=made_by, force=force) as writer:
        for tile, copy, cloud in draws(recipe, corpus, seed, copies=copies, donors=donors):
            writer.source(corpus.manifest.sources[tile.source].model_copy(update={"sha256": ""}))  # no longer that file's points
            writer.add(cloud, f"{tile.name}-{copy:03d}", tile.unit, tile.split)
            done += 1
            progress("clouds", done, total)
        for row in [*corpus.sources, *(mixed.sources if mixed else ())]:
            if row.model_copy(update={"points": 0}) not in writer.sources:
                writer.source(row)


def _check_donors(recipe: AugmentRecipe, corpus: Corpus, donors: Corpus) -> None:
    """Refuse to mix scans with single objects, which would leave half of a scan empty, and to paste objects of a map into scans:
    from its origin nobody saw them. (A bank is a corpus of objects, each with its sensor; from ``pcaug.generate.bank``.)"""
    names = [str(table["name"]) for table in recipe.mix]
    if "objects" in donors.manifest.made_by and (whole := [name for name in names if name in REPLACE]):
        do = """paste alone takes them: --set 'mix=[{name="paste"}]'"""
        raise PcaugError(f"holds single objects, which {', '.join(whole)} cannot mix with scans", donors.folder, do)
    if "paste" not in names:
        return
    rows = donors.manifest.made_by.get("objects", ())
    of_map = donors.manifest.frame == "map" or any(isinstance(row, dict) and row.get("sensor") == "map" for row in rows)
    if corpus.manifest.frame == "sensor" and of_map:
        do = "take a bank of scans, or objects of pcaug generate sample --rescan"
        raise PcaugError("holds objects of a map, which have no range and no visible side for a scan", donors.folder, do)


def _of_split(corpus: Corpus, split: str | None) -> Corpus:
    """Donors of a split, of "train" where it has none: what is tested on never reaches a cloud to train on."""
    return corpus.only(split=split if split in corpus.splits else "train")


def draws(
    recipe: AugmentRecipe, corpus: Corpus, seed: int, *, copies: int = 1, donors: Corpus | None = None
) -> Iterator[tuple[Tile, int, PointCloud]]:
    """Augmented clouds, tile by tile and copy by copy: each from its own stream, whatever was drawn before."""
    if donors is not None:
        _check_donors(recipe, corpus, donors)
    for index, tile in enumerate(corpus.tiles):
        if tile.split == BUFFER:  # which nothing is trained or tested on
            continue
        source = Donors(_of_split(donors or corpus, tile.split), bank=donors is not None and "objects" in donors.manifest.made_by)
        for copy in range(copies):
            rng = np.random.default_rng((seed, copy, index))
            yield tile, copy, augment(recipe, corpus.read(tile), partial(source.draw, tile, rng), rng)
