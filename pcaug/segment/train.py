"""Training: one visible loop, exactly resumable."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pcaug import augment, catalogue
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.errors import PcaugError, RecipeError
from pcaug.labels import ClassSet, common_cut, cut_shares
from pcaug.segment import trees
from pcaug.segment.blocks import Block, TilePool
from pcaug.segment.networks import NETWORKS
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import LOG, RESUME, WEIGHTS, Run

Progress = Callable[[str, int, int], None]


def class_set(name: str, corpora: Sequence[Corpus]) -> ClassSet:
    """The classes of a preset, or for "cut" those that every corpus can label.

    Raises:
        RecipeError: If the corpora share no class.
    """
    taxonomy = catalogue.taxonomy()
    if name != "cut":
        return ClassSet(taxonomy, taxonomy.preset(name))
    used = [corpus.used_nodes for corpus in corpora]
    shared, _ = cut_shares(taxonomy, common_cut(taxonomy, used), used)
    if len(shared) < 2:
        raise RecipeError("the corpora share fewer than two classes", do="choose a preset with --set classes=coarse8")
    return ClassSet.of_cut(taxonomy, sorted(shared))


def train(recipe: TrainRecipe, real: Corpus, synthetic: Sequence[Corpus], folder: Path, progress: Progress | None = None) -> Run:
    """Train a segmenter on the split "train" of corpora; go on where an interrupted training of this folder stopped.

    Args:
        recipe: How.
        real: The first pool of blocks.
        synthetic: The second; its corpora are drawn from equally often.
        folder: The run.
        progress: Called as ``progress("steps", done, total)``.

    Raises:
        PcaugError: If the folder holds a run of another recipe.
    """
    if recipe.network not in (*NETWORKS, "trees"):
        raise RecipeError(f"no network named {recipe.network!r}", do=f"choose from {', '.join([*NETWORKS, 'trees'])}")
    corpora = [corpus.only(split="train") for corpus in (real, *synthetic)]
    classes = class_set(recipe.classes, corpora)
    pools = [TilePool(corpus, classes, recipe, progress) for corpus in corpora]
    mean, spread = np.mean([pool.moments[0] for pool in pools], axis=0), np.mean([pool.moments[1] for pool in pools], axis=0)
    data = tuple({"corpus": str(c.folder), "points": c.points, "units": c.units, "classes": c.counts()} for c in corpora)
    run = Run(folder, recipe, classes, mean.astype(np.float32), spread.astype(np.float32), data)
    if (folder / "card.json").is_file():
        if Run.card(folder).recipe != recipe:
            raise PcaugError("holds a run of another recipe", folder, "choose another folder or pass --force")
        if (folder / WEIGHTS).is_file():
            return run
    run.save()
    if recipe.network == "trees":
        trees.fit(run, pools, folder / WEIGHTS)
    else:
        _fit(run, pools, progress)
    return run


def build(run: Run) -> nn.Module:
    """The run's network, its weights at random.

    Raises:
        RecipeError: For arguments that the network does not have.
    """
    try:
        return NETWORKS[run.recipe.network](len(run.mean), len(run.classes.groups), **run.recipe.arguments)
    except TypeError as error:
        raise RecipeError(f"network {run.recipe.network!r}: {error}", do="correct [arguments]") from None


def _fit(run: Run, pools: Sequence[TilePool], progress: Progress | None) -> None:
    recipe = run.recipe
    torch.manual_seed(recipe.seed)
    network = build(run).train()
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate)
    start = _resume(run.folder / RESUME, network, optimiser)
    loss_of = nn.CrossEntropyLoss(_weights(pools), ignore_index=255, label_smoothing=recipe.label_smoothing)
    cast = _precision(recipe, network, run, pools)
    log = run.folder / LOG
    _truncate(log, start)
    with log.open("a", newline="") as file:
        rows = csv.writer(file)
        if start == 0:
            rows.writerow(["step", "loss", "accuracy", "learning_rate", "seconds"])
        began = time.perf_counter()
        for step in range(start, recipe.steps):
            for group in optimiser.param_groups:
                group["lr"] = one_cycle(step, recipe)
            xyz, features, label = batch(run, pools, step)
            torch.manual_seed(recipe.seed * 1_000_003 + step)  # dropout of a resumed run draws what it would have drawn
            with torch.autocast("cpu", torch.bfloat16, enabled=cast):
                logits = network(xyz, features)
            loss = loss_of(logits.float().flatten(0, 1), label.flatten())
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
            optimiser.step()
            known = label != 255
            right = float((logits.argmax(2)[known] == label[known]).float().mean()) if known.any() else math.nan
            rows.writerow(
                [
                    step,
                    f"{loss.item():.6f}",
                    f"{right:.4f}",
                    f"{one_cycle(step, recipe):.3g}",
                    f"{time.perf_counter() - began:.2f}",
                ]
            )
            if (step + 1) % recipe.checkpoint == 0 and step + 1 < recipe.steps:
                file.flush()
                _checkpoint(run.folder / RESUME, network, optimiser, step + 1)
            if progress:
                progress("steps", step + 1, recipe.steps)
    partial = run.folder / f".{WEIGHTS}.tmp"
    save_file(network.state_dict(), partial)
    partial.replace(run.folder / WEIGHTS)
    (run.folder / RESUME).unlink(missing_ok=True)


def batch(run: Run, pools: Sequence[TilePool], step: int) -> tuple[Tensor, Tensor, Tensor]:
    """The blocks of a step: (B, P, 3) positions, (B, P, F) features, (B, P) class indices; the same for every worker."""
    recipe = run.recipe
    pipe = augment.pipeline(recipe.augment)
    blocks = []
    for item in range(recipe.batch):
        rng = np.random.default_rng((recipe.seed, step, item))
        block = _pool(pools, recipe, step, item, rng).draw(rng)
        blocks.append(_augmented(block, pipe, rng))
    xyz = np.stack([block.xyz for block in blocks]) / np.float32(recipe.block / 2)
    features = np.clip((np.stack([block.features for block in blocks]) - run.mean) / run.spread, -5, 5)
    label = np.stack([block.label for block in blocks]).astype(np.int64)
    return torch.from_numpy(xyz), torch.from_numpy(features.astype(np.float32)), torch.from_numpy(label)


def _pool(pools: Sequence[TilePool], recipe: TrainRecipe, step: int, item: int, rng: np.random.Generator) -> TilePool:
    """The real pool for its share of the batch, exactly on average over steps; else one of the synthetic ones."""
    if len(pools) == 1:
        return pools[0]
    number = step * recipe.batch + item
    if math.floor((number + 1) * recipe.real_share) > math.floor(number * recipe.real_share):
        return pools[0]
    return pools[1 + int(rng.integers(len(pools) - 1))]


def _augmented(block: Block, pipe: augment.Pipeline, rng: np.random.Generator) -> Block:
    if not pipe.steps:
        return block
    cloud = pipe(PointCloud(block.xyz.astype(np.float64), {"features": block.features, "class": block.label}), rng)
    rows = np.resize(np.arange(len(cloud)), len(block.xyz))  # an augmentation may drop points
    return Block(cloud.xyz[rows].astype(np.float32), cloud["features"][rows], cloud["class"][rows])


def _weights(pools: Sequence[TilePool]) -> Tensor:
    """Class weights 1 / sqrt(share + 0.002), of mean 1 over the classes that occur."""
    shares = np.mean([pool.counts.sum(axis=0) / pool.counts.sum() for pool in pools], axis=0)
    weights = np.where(shares > 0, 1 / np.sqrt(shares + 0.002), 0)
    return torch.tensor(weights / weights[weights > 0].mean(), dtype=torch.float32)


def one_cycle(step: int, recipe: TrainRecipe) -> float:
    """Learning rate of a step: linear rise over the first fifth, cosine fall to a hundredth (Smith and Topin 2018)."""
    rise = max(1, recipe.steps // 5)
    if step < rise:
        return recipe.learning_rate * (0.1 + 0.9 * step / rise)
    share = (step - rise) / max(1, recipe.steps - rise)
    return recipe.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def _precision(recipe: TrainRecipe, network: nn.Module, run: Run, pools: Sequence[TilePool]) -> bool:
    """Whether to train in bfloat16: as the recipe says, or as a short timing of one step says."""
    if recipe.precision != "auto":
        return recipe.precision == "bfloat16"
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return False
    xyz, features, _ = batch(run, pools, 0)
    seconds = []
    state = {name: value.clone() for name, value in network.state_dict().items()}
    for enabled in (False, True, False, True):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            network(xyz, features).float().mean().backward()
        seconds.append(time.perf_counter() - began)
    network.zero_grad(set_to_none=True)
    network.load_state_dict(state)
    return seconds[3] < 0.9 * seconds[2]


def _checkpoint(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer, step: int) -> None:
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    tensors["step"] = torch.tensor(step)
    partial = path.with_name(f".{path.name}.tmp")
    save_file(tensors, partial)
    partial.replace(path)


def _resume(path: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    if not path.is_file():
        return 0
    tensors = load_file(path)
    network.load_state_dict({k.removeprefix("network."): v for k, v in tensors.items() if k.startswith("network.")})
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(tensors["step"])


def _truncate(log: Path, step: int) -> None:
    """Keep the header and the rows of steps that are not done again."""
    if not log.is_file() or step == 0:
        log.unlink(missing_ok=True)
        return
    lines = log.read_text().splitlines(keepends=True)
    log.write_text("".join(lines[: step + 1]))


def probabilities(run: Run, network: nn.Module, blocks: Sequence[Block]) -> Iterator[NDArray[np.float32]]:
    """Class probabilities (P, K) of each block, in float32 whatever the training's precision was."""
    with torch.inference_mode():
        for block in blocks:
            xyz = torch.from_numpy(block.xyz / np.float32(run.recipe.block / 2))[None]
            features = torch.from_numpy(np.clip((block.features - run.mean) / run.spread, -5, 5).astype(np.float32))[None]
            yield network(xyz, features)[0].softmax(1).numpy()
