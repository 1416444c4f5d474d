"""Which model buys the most mIoU a minute of training, and how fast a whole file is labelled.

Usage: python benchmarks/bench_segment.py CORPUS --test UNIT UNIT [--minutes 0.5 2] [--classes drive9] [--repeat 1]
           [--models trees pillars open3d-randla] [--set 'features=["plan", "geometry"]']
       python benchmarks/bench_segment.py --predict RUN SCAN

The first trains every model for about as many minutes (steps from a short timing) on the units that are not the test. The
second labels a file end to end, and the same voxels with the bare network, and says how much of its speed is left.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from pcaug import formats
from pcaug.corpus.read import Corpus
from pcaug.segment.blocks import Block, prepare_corpus
from pcaug.segment.dataset import Blocks, class_set
from pcaug.segment.evaluate import evaluate
from pcaug.segment.model import probabilities
from pcaug.segment.networks import FOREST
from pcaug.segment.predict import Segmenter, predict
from pcaug.segment.recipe import TrainRecipe, load_recipe
from pcaug.segment.run import Run
from pcaug.segment.train import Trainer, train

MODELS = (FOREST, "pointnet", "pillars", "randla")
PEER = "open3d-randla"
"""RandLA-Net of Open3D-ML, see ``open3d_randla.py``."""
FEATURES = '["position", "intensity", "plan", "geometry"]'


def recipe_of(model: str, classes: str, *changes: str) -> TrainRecipe:
    wanted = [f"network={model}", f"classes={classes}", f"features={FEATURES}", *changes]
    recipe = load_recipe(model, wanted)
    if not recipe.is_forest:
        return recipe
    best = tuple(group.replace("geometry", "cells") for group in recipe.features)  # a forest learns more from these
    return recipe.model_copy(update={"features": best})


def step_seconds(recipe: TrainRecipe, corpus: Corpus, folder: Path) -> float:
    """Median seconds of a training step."""
    data = Blocks.of([corpus], recipe)
    trainer = Trainer.of(Run(folder, recipe, data.classes, data.mean, data.spread), data)
    batches, seconds = data.batches(0), []
    for _ in range(7):
        started = time.perf_counter()
        trainer.step(batches)
        seconds.append(time.perf_counter() - started)
    batches.close()
    return statistics.median(seconds[2:])


def compare(options: argparse.Namespace) -> None:
    corpus = Corpus.open(options.corpus)
    learn = corpus.only(units=[unit for unit in corpus.units if unit not in options.test])
    test = corpus.only(units=options.test)
    print("model         minutes   steps   mIoU   label s   by class")
    for model in options.models:
        if model == PEER:
            compare_peer(options, learn, test)
            continue
        for part in (learn, test):
            prepare_corpus(part, recipe_of(model, options.classes, *options.set))  # features are made once, for all models alike
        for minutes in options.minutes:
            for seed in range(options.repeat):
                with tempfile.TemporaryDirectory() as folder:
                    steps = 1
                    if model != FOREST:
                        probe = recipe_of(model, options.classes, *options.set, "steps=8")
                        steps = max(10, int(60 * minutes / step_seconds(probe, learn, Path(folder) / "probe")))
                    recipe = recipe_of(model, options.classes, *options.set, f"steps={steps}", f"seed={seed}")
                    started = time.perf_counter()
                    run = train(recipe, learn, (), Path(folder) / "run")
                    trained = time.perf_counter()
                    scores = evaluate(run, test)
                    taken = time.perf_counter() - trained
                tell(model, (trained - started) / 60, steps, scores.miou, taken, scores.iou)
            if model == FOREST:
                break  # more minutes buy a forest nothing


def compare_peer(options: argparse.Namespace, learn: Corpus, test: Corpus) -> None:
    """RandLA-Net of Open3D-ML with our voxels and intensity, samples of a size that allows hundreds of steps in minutes."""
    from open3d_randla import Peer

    recipe, classes = recipe_of("pillars", options.classes, *options.set), class_set(options.classes, [learn])
    for minutes in options.minutes:
        for seed in range(options.repeat):
            peer = Peer(classes, recipe.voxel, 11_264, 2, intensity="intensity" in recipe.features, seed=seed)
            started = time.perf_counter()
            steps = peer.train(learn, minutes)
            trained = time.perf_counter()
            score, by_class = peer.score(test)
            tell(PEER, (trained - started) / 60, steps, score, time.perf_counter() - trained, by_class)


def tell(model: str, minutes: float, steps: int, score: float, labelling: float, iou: dict[str, float]) -> None:
    by_class = " ".join(f"{name} {100 * value:.0f}" for name, value in iou.items())
    print(f"{model:13} {minutes:7.2f} {steps:7} {score:7.3f} {labelling:8.1f}   {by_class}", flush=True)


def end_to_end(options: argparse.Namespace) -> None:
    folder, scan = options.predict
    run = Run.open(folder)
    segmenter = Segmenter.load(run)
    with tempfile.TemporaryDirectory() as out:
        started = time.perf_counter()
        points = predict(run, scan, Path(out) / Path(scan).name).total()
        whole = time.perf_counter() - started
    cloud = formats.read(scan)
    tile = cloud.take(np.arange(min(len(cloud), 3_000_000)))
    started = time.perf_counter()
    segmenter.label(tile, str(run.data[0].get("frame", "map")))
    labelled = time.perf_counter() - started
    recipe = run.recipe
    xyz = np.random.default_rng(0).uniform(-1, 1, (recipe.points, 3)).astype(np.float32)
    table = np.zeros((recipe.points, len(run.mean)), np.float32)
    made = [Block(xyz, table, np.zeros(recipe.points, np.uint8))] * max(4, 262_144 // recipe.points)
    seconds = []
    for _ in range(3):  # the first warms up
        started = time.perf_counter()
        for _ in probabilities(run, segmenter.model, made):
            pass
        seconds.append(time.perf_counter() - started)
    bare = len(made) * recipe.points / min(seconds)
    print(f"{points:,} points in {whole:.1f} s: {points / whole:,.0f} points/s end to end, {len(tile) / labelled:,.0f} labelled")
    print(f"bare network: {bare:,.0f} points/s; end to end is {100 * points / whole / bare:.0f} % of it")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--test", nargs="+", default=[], help="units of the corpus that are scored")
    parser.add_argument("--classes", default="drive9")
    parser.add_argument("--minutes", type=float, nargs="+", default=[0.5, 2.0])
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--set", nargs="*", default=[], help="changes of the recipes")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--predict", nargs=2, metavar=("RUN", "SCAN"))
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads")
    if options.predict:
        end_to_end(options)
    elif options.corpus and options.test:
        compare(options)
    else:
        parser.error("give a corpus and its test units, or --predict RUN SCAN")


if __name__ == "__main__":
    main()
