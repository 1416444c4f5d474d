"""Training: what interrupts it, what stops it, what is kept, and several processes as one."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import run as command_line
from safetensors.torch import load_file
from segment.builders_segment import SMALL, garden, gardens
from segment.together import CLAIMS

from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError, LabelError, NotFound, PcaugError, RecipeError
from pcaug.files import alone
from pcaug.labels import IGNORE
from pcaug.segment.checkpoint import State, write
from pcaug.segment.dataset import Blocks, Sample
from pcaug.segment.evaluate import evaluate
from pcaug.segment.log import COLUMNS
from pcaug.segment.predict import Segmenter
from pcaug.segment.recipe import TrainRecipe, load_recipe
from pcaug.segment.run import BEST, LAST, WEIGHTS, Run, clear
from pcaug.segment.train import Trainer, _finish, check, in_bfloat16, train


def test_a_cut_training_with_everything_on_goes_on_bit_by_bit(tmp_path: Path) -> None:
    corpus = gardens(tmp_path / "corpus", ("train", "val"))
    recipe = TrainRecipe(
        **SMALL
        | {"steps": 12, "ema": 0.9, "accumulate": 2, "validate_every": 4, "checkpoint": 4, "loss": "lovasz", "real_start": 0.0}
    )

    def stop(text: str, done: int, total: int) -> None:
        if text.startswith("steps") and done == 10:
            raise KeyboardInterrupt

    whole = train(recipe, corpus, [corpus], tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        train(recipe, corpus, [corpus], tmp_path / "cut", progress=stop)
    cut = train(recipe, corpus, [corpus], tmp_path / "cut")
    for name in ("weights.safetensors", "last.safetensors"):
        assert (whole.folder / name).read_bytes() == (cut.folder / name).read_bytes()
    logs = [(r.folder / "log.csv").read_text().splitlines() for r in (whole, cut)]
    seconds = COLUMNS.index("seconds")
    rows = [[[v for i, v in enumerate(row.split(",")) if i != seconds] for row in log] for log in logs]
    assert rows[0] == rows[1]
    assert not any(b"\r" in (r.folder / "log.csv").read_bytes() for r in (whole, cut))
    assert logs[0][0].endswith("miou,iou tree,iou building,iou ground")
    assert float(rows[0][4][COLUMNS.index("miou") - 1]) >= 0  # the fourth step was validated
    assert not list((tmp_path / "cut").glob("*resume*"))


def test_training_stops_when_validation_no_longer_gets_better(tmp_path: Path) -> None:
    corpus = gardens(tmp_path / "corpus", ("train", "val"))
    recipe = TrainRecipe(**SMALL | {"steps": 60, "learning_rate": 1e-12, "validate_every": 2, "patience": 3})
    run = train(recipe, corpus, (), tmp_path / "run")
    assert len((run.folder / "log.csv").read_text().splitlines()) < 60


def test_validation_needs_a_split(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no split val"):
        train(TrainRecipe(**SMALL | {"validate_every": 5}), corpus, (), tmp_path / "run")


def test_a_validation_without_a_point_to_score_is_refused_before_anything_is_removed(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "blank") as writer:
        for seed, split in enumerate(("train", "val")):
            cloud = garden(seed)
            label = cloud["label"] if split == "train" else np.full(len(cloud), IGNORE, np.uint16)
            writer.add(cloud.with_fields(label=label), split, split, split)
    blank = Corpus.open(tmp_path / "blank")
    recipe = TrainRecipe(**SMALL | {"validate_every": 1, "patience": 2})
    for training in (lambda: check(recipe, [blank]), lambda: train(recipe, blank, (), tmp_path / "run")):
        with pytest.raises(LabelError, match=r"no point of the split val has a class.*blank, the classes are tree, building,"):
            training()
    assert not (tmp_path / "run").exists()


def test_the_average_follows_the_weights() -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    state = State(network, torch.optim.SGD(network.parameters()), decay=0.5)
    with torch.no_grad():
        network.weight.fill_(1.0)
        state.average["weight"].fill_(0.0)
    state.advance()  # early on the average forgets fast: decay (1 + 1) / (10 + 1)
    assert state.average["weight"].item() == pytest.approx(1 - 2 / 11)
    for _ in range(50):
        state.advance()
    assert state.average["weight"].item() == pytest.approx(1.0)


def test_accumulated_gradients_are_those_of_the_mean(corpus: Corpus, tmp_path: Path) -> None:
    recipe = TrainRecipe(**SMALL | {"accumulate": 3, "clip": 1e9, "arguments": {"dropout": 0.0}})
    data = Blocks.of([corpus], recipe)
    batches = [data.batch(number) for number in range(3)]

    def gradients(recipe: TrainRecipe, *batches: Sample) -> list[torch.Tensor]:
        trainer = Trainer.of(Run(tmp_path, recipe, data.classes, data.mean, data.spread), data)
        trainer.step(batch for batch in batches)
        return [parameter.grad for parameter in trainer.state.network.parameters()]

    alone = [gradients(recipe.model_copy(update={"accumulate": 1}), batch) for batch in batches]
    for found, *each in zip(gradients(recipe, *batches), *alone, strict=True):
        torch.testing.assert_close(found, torch.stack(each).mean(dim=0), rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def wrong(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What of ``together.CLAIMS`` does not hold in each of two processes."""
    folder = tmp_path_factory.mktemp("together")
    path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path, "PCAUG_CACHE": str(folder / "cache")}
    command = [sys.executable, "-m", "segment.together"]
    both = [subprocess.Popen([*command, str(rank), str(folder), str(corpus.folder)], env=environment) for rank in range(2)]
    try:
        assert [process.wait(300) for process in both] == [0, 0]
    finally:
        for process in both:
            process.kill()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.parametrize("claim", CLAIMS)
def test_of_two_processes(wrong: list[dict[str, str]], claim: str) -> None:
    assert [found.get(claim) for found in wrong] == [None, None]


def test_a_run_that_somebody_trains_is_not_touched(corpus: Corpus, tmp_path: Path) -> None:
    recipe = TrainRecipe(**SMALL | {"steps": 2})
    run = train(recipe, corpus, (), tmp_path / "run")
    (run.folder / "weights.safetensors").rename(run.folder / "resume.safetensors")  # as a training under way leaves it
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    for home in (run.folder, run.folder / "teacher"):
        home.mkdir(exist_ok=True)
        with alone(home, home), pytest.raises(PcaugError, match="is being made by another process"):
            clear(run.folder)
    (run.folder / "teacher").rmdir()
    with alone(run.folder, run.folder), pytest.raises(PcaugError, match="is being made by another process"):
        train(recipe, corpus, (), run.folder)
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before


def test_any_seed_trains(corpus: Corpus, tmp_path: Path) -> None:
    for seed in (10**12, 2**80):
        assert train(TrainRecipe(**SMALL | {"steps": 2, "seed": seed}), corpus, (), tmp_path / f"{seed}").recipe.seed == seed


def test_a_network_without_features_learns_from_places_alone(corpus: Corpus, tmp_path: Path) -> None:
    run = train(TrainRecipe(**SMALL | {"network": "pointnet", "features": ()}), corpus, (), tmp_path / "run")
    assert run.mean.shape == (0,)
    assert evaluate(run, corpus.only(split="test")).accuracy > 0.5


def test_tensorboard_has_events(corpus: Corpus, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run = train(TrainRecipe(**SMALL | {"steps": 2}), corpus, (), tmp_path / "run", tensorboard=True)
    assert list((run.folder / "tensorboard").glob("events.out.tfevents.*"))


@pytest.mark.skipif(torch.cuda.is_available() or not Path("/proc/cpuinfo").is_file(), reason="asks the CPU by its flags")
def test_the_precision_is_the_machines() -> None:
    flags = set(Path("/proc/cpuinfo").read_text().split())
    assert in_bfloat16(TrainRecipe(precision="auto")) == bool(flags & {"avx512_bf16", "amx_tile"})
    assert in_bfloat16(TrainRecipe(precision="bfloat16"))
    assert not in_bfloat16(TrainRecipe(precision="float32"))


@pytest.mark.slow
@pytest.mark.parametrize(("network", "width"), [("pointnet", 0.25), ("pillars", 8), ("randla", 8)])
def test_two_processes_train_what_one_trains(network: str, width: float, corpus: Corpus, tmp_path: Path) -> None:
    small = {**SMALL, "steps": 4, "learning_rate": 1e-4}  # steps so small that roundings do not grow
    changes = [f"{key}={value}" for key, value in small.items()]
    changes += [f"network={network}", "arguments.dropout=0.0", f"arguments.width={width}"]
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[arguments]\n")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as each of the two: other sums in other orders differ more than the processes do
    alone = train(load_recipe(recipe, changes), corpus, (), tmp_path / "alone")
    torch.set_num_threads(threads)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "pcaug", "train"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command += [str(recipe), "--real", str(corpus.folder), "-o", str(tmp_path / "both"), *(f"--set={c}" for c in changes)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [(f / "log.csv").read_text().splitlines()[1:] for f in (alone.folder, tmp_path / "both")]
    losses = [[float(row.split(",")[1]) for row in log] for log in rows]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
    xyz, features = torch.randn(2, 50, 3), torch.randn(2, 50, len(alone.mean))
    with torch.inference_mode():  # outputs, not weights: a shift that the next norm takes away may differ
        one, two = (Segmenter.load(Run.open(f)).model(xyz, features) for f in (alone.folder, tmp_path / "both"))
    torch.testing.assert_close(one, two, rtol=1e-2, atol=1e-3)


def test_a_checkpoint_that_finds_no_room_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    write({"a": torch.zeros(10)}, path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, hard))  # no file may grow larger, as on a disk that is full
    try:
        with pytest.raises(FileError, match="File too large"):
            write({"a": torch.zeros(10_000)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert load_file(path)["a"].shape == (10,)


def test_a_block_cannot_have_weather() -> None:
    with pytest.raises(RecipeError, match="fog: a block does not know"):
        TrainRecipe(augment=({"name": "fog", "chance": 0.1},))


def test_a_run_of_another_class_tree_is_refused(trained: Run, tmp_path: Path) -> None:
    folder = shutil.copytree(trained.folder, tmp_path / "run")
    card = json.loads((folder / "card.json").read_text())
    (folder / "card.json").write_text(json.dumps(card | {"taxonomy": "another"}))
    with pytest.raises(FileError, match="another class tree"):
        Run.open(folder)


def test_a_folder_that_holds_other_things_is_no_place_for_a_run(
    corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sets = [word for key, value in (SMALL | {"steps": 12}).items() for word in ("--set", f"{key}={value}")]
    command = ["train", "pointnet", "--real", corpus.folder, *sets, "--unlabelled", corpus.folder]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "log.csv").write_text("my own")
    _, error = command_line(capsys, *command, "-o", tmp_path / "mine", code=1)
    assert error == (
        f"pcaug: error: holds log.csv, which is no part of a run, {tmp_path / 'mine'}, choose another folder, or move that away\n"
    )
    assert [path.read_text() for path in (tmp_path / "mine").iterdir()] == ["my own"]
    command_line(capsys, *command, "-o", tmp_path / "run")
    for name in ("card.json", "weights.safetensors", "log.csv"):  # as where it was interrupted when only its teacher was done
        (tmp_path / "run" / name).unlink()
    command_line(capsys, *command, "-o", tmp_path / "run")
    assert (tmp_path / "run" / "weights.safetensors").is_file()


def test_a_training_that_learns_nothing_any_more_ends(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(PcaugError, match=r"the loss of step \d+ is (nan|inf), nothing is learned"):
        train(TrainRecipe(**SMALL | {"learning_rate": 1e30, "clip": 1e30}), corpus, (), tmp_path / "run")


@pytest.mark.parametrize("change", ["classes=urban7", "network=poinnet", "validate_every=1", "synthetic_shares=[0.5,0.5]"])
def test_force_keeps_a_run_where_the_next_cannot_begin(
    trained: Run, corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str
) -> None:
    shutil.copytree(trained.folder, tmp_path / "run")
    words = ("train", "pointnet", "--real", corpus.folder, "-o", tmp_path / "run", "--force", "--set", change)
    command_line(capsys, *words, code=1)
    assert (tmp_path / "run" / "weights.safetensors").is_file()


def test_force_counts_the_unlabelled_among_the_shares(corpus: Corpus, tmp_path: Path) -> None:
    recipe = TrainRecipe(**SMALL | {"synthetic_shares": (1.0, 2.0)})
    check(recipe, [corpus, corpus], unlabelled=1)
    with pytest.raises(RecipeError, match="2 values for 1 source"):
        check(recipe, [corpus, corpus])


def test_the_best_weights_are_the_runs_and_the_last_lie_beside(tmp_path: Path) -> None:
    network = torch.nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        network.weight.fill_(1.0)
    state = State(network, torch.optim.SGD(network.parameters()))
    write({"weight": torch.full((1, 1), 7.0)}, tmp_path / BEST)
    _finish(state, tmp_path)
    assert load_file(tmp_path / WEIGHTS)["weight"].item() == 7
    assert load_file(tmp_path / LAST)["weight"].item() == 1


def test_synthetic_points_count_and_are_smoothed_as_the_recipe_says(corpus: Corpus, tmp_path: Path) -> None:
    recipe = TrainRecipe(
        **SMALL
        | {
            "synthetic_weight": 0.25,
            "synthetic_smoothing": 0.2,
            "real_share": 0.5,
            "balance": 0.0,
            "label_smoothing": 0.0,
            "arguments": {"dropout": 0.0},
        }
    )
    data = Blocks.of([corpus, corpus], recipe)
    trainer = Trainer.of(Run(tmp_path, recipe, data.classes, data.mean, data.spread), data)
    batch = next(b for b in map(data.batch, range(9)) if 0 < b["synthetic"].mean() < 1)
    logits = trainer.forward(batch["xyz"], batch["features"]).detach()
    total = weight = 0.0
    for block, label, made in zip(logits, batch["label"], batch["synthetic"][:, 0], strict=True):
        each = torch.nn.functional.cross_entropy(
            block, label, ignore_index=IGNORE, reduction="sum", label_smoothing=0.2 * float(made)
        )
        w = 0.25 if made else 1.0
        total, weight = total + w * float(each), weight + w * int((label != IGNORE).sum())
    assert (batch["code"] == batch["label"]).all()
    assert trainer.step(iter([batch]))["loss"] == pytest.approx(total / weight, rel=1e-4)


def test_biases_and_norms_do_not_decay(corpus: Corpus, tmp_path: Path) -> None:
    recipe = TrainRecipe(**SMALL)
    data = Blocks.of([corpus], recipe)
    trainer = Trainer.of(Run(tmp_path, recipe, data.classes, data.mean, data.spread), data)
    for group in trainer.state.optimiser.param_groups:
        assert all((p.ndim > 1) == (group["weight_decay"] > 0) for p in group["params"])


def test_a_corpus_is_no_place_for_a_run(corpus: Corpus) -> None:
    with pytest.raises(PcaugError, match="is a corpus, and no place for a run"):
        train(TrainRecipe(**SMALL), corpus, (), corpus.folder)
    assert not (corpus.folder / "card.json").exists()
