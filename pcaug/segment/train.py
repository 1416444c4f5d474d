"""Training: one visible loop, exactly resumable."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pcaug.corpus.read import Corpus, opened
from pcaug.corpus.sources import is_corpus
from pcaug.errors import LabelError, NotFound, PcaugError, RecipeError
from pcaug.files import alone
from pcaug.labels import IGNORE, ClassSet
from pcaug.parallel import Progress, silent
from pcaug.segment import distributed, trees
from pcaug.segment.blocks import Stored, labels_digest, prepare_corpus
from pcaug.segment.checkpoint import State, write
from pcaug.segment.dataset import Blocks, Sample, class_set
from pcaug.segment.distributed import device
from pcaug.segment.evaluate import confusion, iou, miou
from pcaug.segment.log import Log
from pcaug.segment.loss import Loss, class_weights
from pcaug.segment.model import build
from pcaug.segment.networks import MODELS
from pcaug.segment.norms import per_domain
from pcaug.segment.predict import Segmenter
from pcaug.segment.recipe import TrainRecipe, load_recipe
from pcaug.segment.run import BEST, CARD, LAST, LOG, RESUME, SOURCE_CLASSES, WEIGHTS, Run
from pcaug.segment.shift import learned

SEEDS = 1 << 63
"""Seeds that torch takes."""
FEW = "Expected more than 1 value per channel"
"""How torch says that batch norm has a single row."""


def train(
    recipe: TrainRecipe | str | Path,
    real: Corpus | str | Path,
    synthetic: Corpus | str | Path | Sequence[Corpus | str | Path] = (),
    folder: str | Path = "run",
    *,
    progress: Progress = silent,
    start: Run | None = None,
    classes: ClassSet | None = None,
    tensorboard: bool = False,
) -> Run:
    """Train a segmenter on the split "train" of corpora; go on where an interrupted training of this folder stopped.

    What the caller draws from torch's generator afterwards does not depend on it.

    Under ``torchrun`` all processes train together, as one would at the same total batch.

    Args:
        recipe: How: a recipe, the name of one in ``models/``, or a TOML file.
        real: The first pool of blocks; its split "val" is what ``validate_every`` scores.
        synthetic: The second, one corpus or several; they are drawn from equally often unless the recipe says otherwise.
        folder: The run.
        progress: Called as ``progress("steps: loss 0.41, ...", done, total)``: what follows the colon tells how it goes.
        start: A run of the same network, features and classes whose weights are the first ones: fine-tuning.
        classes: What to predict, in place of the recipe's ``classes``.
        tensorboard: Whether to write TensorBoard's events beside ``log.csv``.

    Raises:
        PcaugError: If the folder holds a run of another recipe, other corpora or other classes, or another process trains in it.
        RecipeError: For a recipe that cannot be followed.
    """
    if not isinstance(recipe, TrainRecipe):
        recipe = load_recipe(recipe)
    if is_corpus(Path(folder)):
        raise PcaugError("is a corpus, and no place for a run", folder, "choose another folder")
    corpora = [*opened(real), *opened(synthetic)]
    _join(recipe)
    if distributed.rank() > 0:
        distributed.barrier()  # the first one fills the cache and writes the card
    data = Blocks.of(corpora, recipe, progress, classes)
    if start:
        data = _following(start, data)
    validation = _validation(recipe, corpora[0], data.classes)
    run = _run(data, corpora, validation, Path(folder))
    with alone(run.folder, run.folder) if distributed.rank() == 0 else nullcontext(), torch.random.fork_rng():
        begun = _begun(run)
        if begun and not recipe.is_forest:
            _fit(run, data, validation, progress, tensorboard, start)
        elif begun and distributed.rank() == 0:
            trees.fit(run, data.pools, run.folder / WEIGHTS)
    distributed.barrier()
    return run


def check(recipe: TrainRecipe, corpora: Sequence[Corpus], unlabelled: int = 0) -> None:
    """Raise RecipeError, LabelError or NotFound for what cannot be trained on corpora, and on so many unlabelled ones, before an
    earlier run is removed."""
    _check_network(recipe)
    recipe.check_shares(len(corpora) - 1 + unlabelled)
    classes = class_set(recipe.classes, [corpus.only(split="train") for corpus in corpora])
    _validation(recipe, corpora[0], classes)


def _check_network(recipe: TrainRecipe) -> None:
    if recipe.network not in MODELS:
        raise RecipeError(f"no network named {recipe.network!r}", do=f"choose from {', '.join(MODELS)}")


def _join(recipe: TrainRecipe) -> None:
    """Join the other processes, where there are some; raises RecipeError for a recipe that cannot be followed."""
    _check_network(recipe)
    distributed.start()
    if recipe.batch % distributed.world():
        raise RecipeError(
            f"a batch of {recipe.batch} blocks cannot be shared by {distributed.world()} processes", do="take a multiple"
        )
    if recipe.source_norms and distributed.world() > 1:
        raise RecipeError("source_norms works in one process alone", do="train without torchrun, or set source_norms=false")


def _following(start: Run, data: Blocks) -> Blocks:
    """The data as the run before saw it, whose weights mean its features; raises RecipeError where they do not fit."""
    for what in ("network", "arguments", "features"):
        if getattr(start.recipe, what) != getattr(data.recipe, what):
            raise RecipeError(f"{start.folder} has other {what}, and cannot be the start", do="train with the same recipe")
    if start.recipe.is_forest or start.classes.names != data.classes.names:
        raise RecipeError(f"{start.folder} is not a network for the classes {', '.join(data.classes.names)}", do="start from one")
    return replace(data, mean=start.mean, spread=start.spread)


def _begun(run: Run) -> bool:
    """Whether there is something to train, which the first process then writes the card of; False where the run is finished."""
    finished = _is_finished(run)
    if distributed.rank() == 0:
        if not finished:
            run.save()
        distributed.barrier()
    return not distributed.agreed(finished)  # the first may have finished since: a forest takes a second


def _is_finished(run: Run) -> bool:
    """Whether the folder holds this very run, finished; raises PcaugError where it holds another."""
    if not (run.folder / CARD).is_file():
        return False
    if other := _differs(run, Run.card(run.folder)):
        raise PcaugError(f"holds a run of {other}", run.folder, "choose another folder, or remove this one (--force)")
    return (run.folder / WEIGHTS).is_file()


def _differs(run: Run, kept: Run) -> str | None:
    """In what a run is another than the one on a card; a corpus may have moved meanwhile, and older cards say less."""
    if kept.recipe != run.recipe:
        return "another recipe"
    if kept.classes.groups != run.classes.groups:
        return "other classes"
    alike = len(run.data) == len(kept.data) and all(
        {**row, **before, "corpus": row["corpus"]} == row for row, before in zip(run.data, kept.data, strict=True)
    )
    close = all(np.allclose(a, b, rtol=1e-4, atol=1e-6) for a, b in ((run.mean, kept.mean), (run.spread, kept.spread)))
    return None if alike and close else "other corpora"


def _run(data: Blocks, corpora: Sequence[Corpus], validation: Sequence[Stored], folder: Path) -> Run:
    parts = [corpus.only(split="train") for corpus in corpora]
    seen = tuple(
        {
            "corpus": str(c.folder.resolve()),
            "points": c.points,
            "units": c.units,
            "classes": c.counts(),
            "frame": c.manifest.frame,
            "labels": labels_digest(pool.tiles),
        }
        | {key: c.manifest.made_by[key] for key in (SOURCE_CLASSES,) if key in c.manifest.made_by}
        for c, pool in zip(parts, data.pools, strict=True)
    )
    if validation:
        seen[0]["validated"] = labels_digest(validation)
    return Run(folder, data.recipe, data.classes, data.mean, data.spread, seen, *learned(data.pools, data.recipe.seed))


def _validation(recipe: TrainRecipe, real: Corpus, classes: ClassSet) -> list[Stored]:
    if recipe.is_forest or not recipe.validate_every:
        return []
    if "val" not in real.splits:
        raise NotFound("has no split val to validate on", real.folder, "convert with --split, or set validate_every=0")
    part = real.only(split="val")
    nodes = np.array([node for tile in part.tiles for node in tile.counts], np.int64)
    if (classes.index(nodes) == IGNORE).all():
        do = f"the classes are {', '.join(classes.names)}; or set validate_every=0"
        raise LabelError("no point of the split val has a class of the training", real.folder, do)
    return prepare_corpus(part, recipe)


def _fit(run: Run, data: Blocks, validation: Sequence[Stored], progress: Progress, tensorboard: bool, start: Run | None) -> None:
    recipe, folder, first = run.recipe, run.folder, distributed.rank() == 0
    trainer = Trainer.of(run, data, start)
    state = trainer.state
    with Log(folder / LOG, state.step, run.classes.names, tensorboard=tensorboard) if first else nullcontext() as log:
        batches, told = data.batches(state.step * recipe.accumulate), ""
        while state.step < recipe.steps and not _patience_lost(state, recipe):
            step = state.step
            values = trainer.step(batches)
            if recipe.validate_every and state.step % recipe.validate_every == 0:
                values |= _validate(run, state, validation)
            if log:
                log.row(step, values)
            if first and state.step % recipe.checkpoint == 0 and state.step < recipe.steps:
                state.save(folder / RESUME)
            told = _told(values) or told
            progress(f"steps: loss {values['loss']:.3f}{told}", state.step, recipe.steps)
        batches.close()
    if first:
        _finish(state, folder)


def _told(values: dict[str, float]) -> str:
    """The scores of a validation in words; nothing where there was none."""
    classes = ", ".join(f"{name.removeprefix('iou ')} {100 * v:.0f}" for name, v in values.items() if name.startswith("iou "))
    return f", mIoU {100 * values['miou']:.1f} ({classes})" if "miou" in values else ""


@dataclass
class Trainer:
    """The loop's body: batches in, steps out.

    Attributes:
        recipe: How.
        state: Network and optimiser.
        forward: The network as it is called: compiled, or shared by processes.
        loss_of: The loss.
        cast: Whether to work in bfloat16.
    """

    recipe: TrainRecipe
    state: State
    forward: Callable[..., Tensor]
    loss_of: Loss
    cast: bool

    @classmethod
    def of(cls, run: Run, data: Blocks, start: Run | None = None) -> Trainer:
        """A trainer for a run, gone on to where an interrupted one stopped."""
        recipe = run.recipe
        torch.manual_seed(recipe.seed % SEEDS)
        network = (build(run) if start is None else Segmenter.load(start).model).train().to(device())
        if distributed.world() > 1:
            network = distributed.share_norms(network)
        cast = distributed.agreed(in_bfloat16(recipe))
        state = State(network, _optimiser(network, recipe), recipe.ema)
        state.load(run.folder / RESUME)
        seen = distributed.joined(network)
        shares = np.mean([pool.counts.sum(axis=0) / pool.counts.sum() for pool in data.pools], axis=0)
        loss_of = Loss(recipe, data.pools[0].targets, class_weights(shares, recipe.balance)).to(device())
        return cls(recipe, state, torch.compile(seen) if recipe.compile else seen, loss_of, cast)

    def step(self, batches: Generator[Sample]) -> dict[str, float]:
        """One optimiser step; its loss, the share of points that were right, and the learning rate."""
        recipe, state = self.recipe, self.state
        rate = one_cycle(state.step, recipe)
        for group in state.optimiser.param_groups:
            group["lr"] = rate
        seed = (recipe.seed * 1_000_003 + state.step) * 64 + distributed.rank()
        torch.manual_seed(seed % SEEDS)  # a resumed run drops the same again
        state.optimiser.zero_grad(set_to_none=True)
        seen = [self._backward(sample) for sample in itertools.islice(batches, recipe.accumulate)]
        nn.utils.clip_grad_norm_(state.network.parameters(), recipe.clip)
        state.optimiser.step()
        state.advance()
        mean = distributed.total(torch.stack(seen).mean(0)) / distributed.world()
        loss, right = mean.tolist()  # the one place of a step where a GPU is waited for
        if not math.isfinite(loss):
            do = "lower learning_rate or clip, and look for fields that are no numbers"
            raise PcaugError(f"the loss of step {state.step} is {loss}, nothing is learned from there on", do=do)
        return {"loss": loss, "accuracy": right, "learning_rate": rate}

    def _backward(self, sample: Sample) -> Tensor:
        """Gradients of a batch; its loss and the share of points that were right, (2,)."""
        names = ("xyz", "features", "code", "label", "synthetic")
        xyz, features, code, label, made = (sample[name].to(device()) for name in names)
        logits = self._logits(xyz, features, made[:, 0])
        trust = 1 + (self.recipe.synthetic_weight - 1) * made.flatten()
        smoothing = self.recipe.synthetic_smoothing * made.flatten()
        loss = self.loss_of(logits.float().flatten(0, 1), code.flatten(), trust, smoothing)
        (loss / self.recipe.accumulate).backward()
        known = label != IGNORE
        right = ((logits.argmax(2) == label) & known).sum() / known.sum()  # nan where nothing is known
        return torch.stack([loss.detach(), right])

    def _logits(self, xyz: Tensor, features: Tensor, made: Tensor) -> Tensor:
        """Answers (B, P, K); raises RecipeError for a batch with nothing to normalise over."""
        try:
            with torch.autocast(device().type, torch.bfloat16, enabled=self.cast):
                if self.recipe.source_norms:
                    return per_domain(self.state.network, self.forward, xyz, features, made)
                return self.forward(xyz, features)
        except ValueError as error:
            if FEW not in str(error):
                raise
            do = "take a larger batch or more points"
            raise RecipeError("a batch is too small for the network's batch norm", do=do) from None


def _optimiser(network: nn.Module, recipe: TrainRecipe) -> torch.optim.Optimizer:
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)


def one_cycle(step: int, recipe: TrainRecipe) -> float:
    """Learning rate of a step: linear rise over the first fifth, cosine fall to a hundredth (Smith and Topin 2018)."""
    rise = max(1, recipe.steps // 5)
    if step < rise:
        return recipe.learning_rate * (0.1 + 0.9 * step / rise)
    share = (step - rise) / max(1, recipe.steps - rise)
    return recipe.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))


def in_bfloat16(recipe: TrainRecipe) -> bool:
    """Whether to train in bfloat16: as the recipe says, or where the machine has instructions for it. A timing would choose now
    this and now that, and the same seed give other weights."""
    if recipe.precision != "auto":
        return recipe.precision == "bfloat16"
    if device().type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    told = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # which older versions of torch lack
    return any(getattr(torch.cpu, name, bool)() for name in told)


def _validate(run: Run, state: State, tiles: Sequence[Stored]) -> dict[str, float]:
    """IoU of the averaged weights on the voxels of the validation split; the best weights are kept."""
    network = build(run).to(device())
    network.load_state_dict(state.average)
    segmenter, count = Segmenter(run, network.eval()), len(run.classes.groups)
    tables = []
    for tile in tiles:
        prepared = tile.open().prepared
        truth, votes = run.classes.index(prepared.label), segmenter.votes(prepared)
        tables.append(confusion(truth, votes.argmax(axis=1), count))
    table = np.sum(tables, axis=0)
    score = miou(table)
    if score > state.best:
        state.best, state.best_step = score, state.step
        if distributed.rank() == 0:
            write(state.average, run.folder / BEST)
    return {"miou": score} | {f"iou {name}": value for name, value in iou(table, run.classes.names).items()}


def _patience_lost(state: State, recipe: TrainRecipe) -> bool:
    if not (recipe.validate_every and recipe.patience):
        return False
    return distributed.agreed(state.step - state.best_step >= recipe.patience * recipe.validate_every)


def _finish(state: State, folder: Path) -> None:
    """Name the best weights the run's, or the last where nothing was validated; the last are kept beside the best."""
    if (folder / BEST).is_file():
        write(state.average, folder / LAST)
        (folder / BEST).replace(folder / WEIGHTS)
    else:
        write(state.average, folder / WEIGHTS)
    (folder / RESUME).unlink(missing_ok=True)
