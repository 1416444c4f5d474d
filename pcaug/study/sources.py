"""The data of a study: real clouds, and synthetic sources: composed, fitted first, mixed, learned, off the shelf, copied."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pcaug import catalogue, formats
from pcaug.augment.recipe import AugmentRecipe, augment_corpus
from pcaug.augment.recipe import load_recipe as load_augmentation
from pcaug.corpus.convert import convert
from pcaug.corpus.manifest import NAME
from pcaug.corpus.read import Corpus
from pcaug.corpus.sample import extract
from pcaug.corpus.sources import is_corpus, sha256_of
from pcaug.corpus.split import Split
from pcaug.corpus.write import CorpusWriter, put_in_place
from pcaug.errors import LabelError, RecipeError
from pcaug.explore.like import fit_recipe
from pcaug.files import read_json, stamp, to_jsonable, write_text
from pcaug.generate.bank import ObjectSample, gather, write_bank
from pcaug.generate.fit import fit
from pcaug.generate.model import FEWEST, Generator
from pcaug.parallel import Progress, silent
from pcaug.scene.library import stamped
from pcaug.scene.recipe import load_recipe
from pcaug.sensor.compose import compose_corpus
from pcaug.study.recipe import SAMPLE, StudyRecipe, Synthetic

COST = "cost.json"
"""What a corpus took to make: in a synthetic one, beside the real one (``real.cost.json``)."""
REAL = "real.json"
"""How the real corpus was made: one that a corrected command would make otherwise is made anew."""
NOTHING = {"seconds": 0.0, "gigabytes": 0.0}


def real_corpus(recipe: StudyRecipe, folder: Path, data: str | None) -> tuple[Corpus, dict[str, float]]:
    """The real data of a study, converted into ``folder/real`` unless it is a corpus already, and what that cost. ``data`` is the
    state of its files (``state_of``); None where they are gone, but were converted before."""
    real, made, note = recipe.real, folder / "real", folder / f"real.{COST}"
    if is_corpus(Path(real.source)):
        return Corpus.open(real.source), dict(NOTHING)
    started = time.perf_counter()
    how = to_jsonable([real.model_dump(exclude_defaults=True, exclude={"test_units", "unit"}), recipe.seed, data])
    gone = data is None and real.source != SAMPLE
    if (folder / REAL).is_file() and not gone and read_json(folder / REAL) != how:
        shutil.rmtree(made, ignore_errors=True)
        note.unlink(missing_ok=True)
    if not is_corpus(made):
        write_text(folder / REAL, json.dumps(how))
        source = Path(real.source)
        if real.source == SAMPLE:
            source = folder / "sample"
            extract(source)
        convert(
            [source / name for name in real.files] or source,
            made,
            card=real.card,
            split=Split(real.split or None, real.block, real.buffer, recipe.seed),
            scans=real.scans or None,
        )
    if not note.is_file():
        note_cost(made, started, note)
    return Corpus.open(made), cost(note)


def make(source: Synthetic, real: Corpus, folder: Path, seed: int, progress: Progress = silent) -> Corpus:
    """The corpus of a source; one that was made before is opened.

    Args:
        source: How.
        real: The real clouds of a draw; nothing is made of them unless the source says so.
        folder: Of the corpus; ``cost.json`` beside the tiles says what it took to make.
        seed: Of every random choice.
        progress: Called as ``progress(text, done, total)``.
    """
    there = _is_there(source)
    if is_made(source, folder):
        return Corpus.open(str(source.corpus) if there and not source.noise else folder)
    started = time.perf_counter()
    partial, clean = folder.with_name(f".{folder.name}.making"), folder.with_name(f".{folder.name}.clean")
    target = clean if source.noise else partial
    corpus = Corpus.open(str(source.corpus)) if there else _made(source, real, target, seed, progress)
    if source.noise:
        corpus = _with_noise(corpus, partial, source.noise, seed)
        if not there:
            shutil.rmtree(clean)
    note_cost(corpus.folder, started, corpus.folder / COST)
    put_in_place(corpus.folder, folder)
    return Corpus.open(folder)


def is_made(source: Synthetic, folder: Path) -> bool:
    """Whether ``make`` would find a corpus."""
    return (folder / COST).is_file() or (_is_there(source) and not source.noise)


def _is_there(source: Synthetic) -> bool:
    """Whether a source names a corpus, which is read where it lies."""
    return source.corpus is not None and is_corpus(Path(source.corpus))


def made_by(source: Synthetic) -> dict[str, Any]:
    """What the recipe that a source names says, with its changes: a file may have been edited since."""
    if source.recipe is not None:
        recipe = load_recipe(source.recipe, source.set)
        meshes = {"meshes": stamped(recipe)} if recipe.assets or recipe.helios else {}
        return recipe.model_dump(mode="json", exclude={"folder"}) | meshes
    if source.augment is not None:
        return load_augmentation(source.augment, source.set).model_dump(mode="json")
    return {"files": state_of(source.corpus, card=source.card)} if source.corpus is not None else {}


def state_of(source: str, only: Sequence[str] = (), card: str | None = None) -> str | None:
    """What changes where a corpus, a file or a folder of files (or some in it) is made anew, or the card that a user wrote for
    them is corrected; None where nothing lies."""
    path = Path(source)
    if is_corpus(path):
        return sha256_of(path / NAME)
    below = [path / name for name in only] or (formats.below(path) if path.is_dir() else [path])
    files = [file for file in below if file.is_file()]
    stamps: list[Any] = [[str(file.relative_to(path)), *stamp(file)] for file in files]
    if card and not (read_by := catalogue.find("datasets", card)).is_relative_to(catalogue.shipped("datasets")):
        stamps.append(sha256_of(read_by))
    return hashlib.sha256(json.dumps(stamps).encode()).hexdigest() if files else None


def note_cost(folder: Path, started: float, note: Path) -> None:
    """Note what a corpus took to make since ``started`` (``time.perf_counter``), and its gigabytes on disk."""
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e9
    write_text(note, json.dumps({"seconds": time.perf_counter() - started, "gigabytes": size}) + "\n")


def cost(note: Path) -> dict[str, float]:
    """Seconds and gigabytes that were noted; nothing for a corpus that was there."""
    found: dict[str, float] = read_json(note) if note.is_file() else dict(NOTHING)
    return found


def _made(source: Synthetic, real: Corpus, folder: Path, seed: int, progress: Progress) -> Corpus:
    if source.recipe is not None:
        recipe = load_recipe(source.recipe, source.set)
        if source.like:
            recipe = fit_recipe(recipe, real, seed, progress=progress).recipe
        compose_corpus(recipe, source.number, folder, seed, force=True, progress=progress)
    elif source.corpus is not None:
        convert(source.corpus, folder, source.card, force=True, progress=progress)
    elif source.augment is not None:
        mixed = load_augmentation(source.augment, source.set)
        augment_corpus(mixed, real, folder, seed, copies=source.number, force=True, progress=progress)
    elif source.generate is not None:
        _with_learned_objects(source, real, folder, seed, progress)
    else:
        augment_corpus(AugmentRecipe(name="copies"), real, folder, seed, copies=source.number, force=True, progress=progress)
    return Corpus.open(folder)


def _with_learned_objects(source: Synthetic, real: Corpus, folder: Path, seed: int, progress: Progress) -> None:
    """Copies of the real clouds with objects that were learned from them."""
    rng = np.random.default_rng((seed, 0, 0))
    bank = folder.with_name(f".{folder.name}.objects")
    things = _learnable(source.classes, real)
    if not things:
        do = "name more common classes, or give a larger budget"
        raise RecipeError(f"{source.name}: no class of {', '.join(source.classes)} has {FEWEST} objects to learn from", do=do)
    samples = [thing for model in _fitted(source, things, seed, rng, progress) for thing in _sampled(model, source.objects, rng)]
    write_bank(samples, bank, synthetic=True, force=True)
    classes = sorted({thing.row.name for thing in samples})
    paste = AugmentRecipe(name=source.name, mix=({"name": "paste", "classes": classes, "number": 8},))
    donors = Corpus.open(bank)
    augment_corpus(paste, real, folder, seed, copies=source.number, donors=donors, force=True, progress=progress)
    shutil.rmtree(bank)


def _learnable(names: Sequence[str], real: Corpus) -> dict[str, list[ObjectSample]]:
    """Objects of the classes that have enough of them."""
    found: dict[str, list[ObjectSample]] = {}
    for name in names:
        try:
            things = gather(real, [name])
        except LabelError:
            continue
        if len(things) >= FEWEST:
            found[name] = things
    return found


def _fitted(
    source: Synthetic, things: dict[str, list[ObjectSample]], seed: int, rng: np.random.Generator, progress: Progress
) -> list[Generator]:
    family = source.generate or "shape"
    groups = [tuple(things)] if family == "flow" else [(name,) for name in things]
    models: list[Generator] = []
    for names in groups:
        chosen = [thing for name in names for thing in things[name]]
        models.append(fit(family, chosen, names, rng, steps=source.fit_steps, seed=seed, progress=progress))
    return models


def _sampled(model: Generator, objects: int, rng: np.random.Generator) -> list[ObjectSample]:
    return model.sample(objects * len(model.card.classes), rng, 1024)


def _with_noise(corpus: Corpus, folder: Path, share: float, seed: int) -> Corpus:
    """The corpus with the labels of a share of each cloud's points exchanged among these points."""
    told = corpus.manifest.made_by | {"noise": share, "noise_seed": seed}
    with CorpusWriter(folder, kind="synthetic", frame=corpus.manifest.frame, made_by=told, force=True) as writer:
        for index, tile in enumerate(corpus.tiles):
            rng = np.random.default_rng((seed, 2, index))
            cloud = corpus.read(tile)
            wrong = np.flatnonzero(rng.random(len(cloud)) < share)
            label = cloud["label"].copy()
            label[wrong] = label[rng.permutation(wrong)]
            writer.source(corpus.manifest.sources[tile.source])
            writer.add(cloud.with_fields(label=label), tile.name, tile.unit, tile.split)
    return Corpus.open(folder)
