"""PointNet: the widely copied implementation with two T-Nets, and torch-pointcloud's where it is installed, against ours.

All see the same composed streets, blocks and steps.

Points a second of training and of inference (medians, the networks in turn), peak memory of a training step at
16 x 4,096 points (each in a process of its own), and the mIoU on streets that neither has seen.

Usage: python benchmarks/bench_pointnet.py [CORPUS] [--steps 100] [--streets 8] [--blocks 8] [--points 1024] [--seeds 1]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from pcaug.corpus.read import Corpus
from pcaug.scene.recipe import load_recipe as load_scene
from pcaug.segment.blocks import prepare_corpus
from pcaug.segment.dataset import Blocks
from pcaug.segment.distributed import device
from pcaug.segment.evaluate import confusion
from pcaug.segment.evaluate import miou as mean_iou
from pcaug.segment.networks.pointnet import PointNet
from pcaug.segment.networks.zoo import Zoo
from pcaug.segment.predict import Segmenter
from pcaug.segment.recipe import TrainRecipe, load_recipe
from pcaug.segment.run import Run
from pcaug.segment.train import in_bfloat16, one_cycle
from pcaug.sensor.compose import compose_corpus


class Copied(nn.Module):
    """PointNet for segmentation as its figure 2 draws it: convolutions of width one, T-Nets of 3 and 64, one wide head.

    Qi et al., CVPR 2017, with the regulariser of their equation 2 (weight 0.001), the layout that copies of it share.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.input_tnet, self.feature_tnet = CopiedTNet(3 + features, 3), CopiedTNet(64, 64)
        self.first = conv(3 + features, 64)
        self.second, self.third = conv(64, 128), nn.Sequential(nn.Conv1d(128, 1024, 1), nn.BatchNorm1d(1024))
        self.head = nn.Sequential(conv(1088, 512), conv(512, 256), conv(256, 128), nn.Conv1d(128, classes, 1))
        self.transform = torch.empty(0)

    def forward(self, xyz: Tensor, features: Tensor) -> Tensor:
        points = torch.cat([xyz, features], dim=2).transpose(1, 2)
        turned = torch.bmm(xyz, self.input_tnet(points))
        local = self.first(torch.cat([turned, features], dim=2).transpose(1, 2))
        self.transform = self.feature_tnet(local)
        local = torch.bmm(local.transpose(1, 2), self.transform).transpose(1, 2)
        whole = self.third(self.second(local)).max(dim=2, keepdim=True).values
        joined = torch.cat([whole.expand(-1, -1, xyz.shape[1]), local], dim=1)
        return self.head(joined).transpose(1, 2)

    def regulariser(self) -> Tensor:
        product = torch.bmm(self.transform, self.transform.transpose(1, 2))
        return 0.001 * torch.linalg.matrix_norm(product - torch.eye(64, device=product.device)).mean()


class CopiedTNet(nn.Module):
    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.size = size
        self.points = nn.Sequential(conv(channels, 64), conv(64, 128), conv(128, 1024))
        self.block = nn.Sequential(full(1024, 512), full(512, 256), nn.Linear(256, size * size))

    def forward(self, points: Tensor) -> Tensor:
        matrix = self.block(self.points(points).max(dim=2).values).view(-1, self.size, self.size)
        return matrix + torch.eye(self.size, device=matrix.device)


def conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(inputs, outputs, 1), nn.BatchNorm1d(outputs), nn.ReLU())


def full(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU())


class Contestant:
    """A network with its optimiser: one ``step`` a batch, timed. Ours trains in bfloat16 where the machine has it."""

    def __init__(self, network: nn.Module, recipe: TrainRecipe | None, *, bfloat16: bool = False) -> None:
        self.network, self.recipe, self.bfloat16 = network.train().to(device()), recipe, bfloat16
        rate = (
            {"lr": 0.001, "weight_decay": 1e-4}
            if recipe is None
            else {"lr": recipe.learning_rate, "weight_decay": 0.01, "fused": True}
        )
        self.optimiser = (torch.optim.Adam if recipe is None else torch.optim.AdamW)(network.parameters(), **rate)
        self.loss_of = nn.CrossEntropyLoss(ignore_index=255)
        if recipe is not None:
            self.bfloat16 = in_bfloat16(recipe)
        self.seconds: list[float] = []

    def step(self, number: int, xyz: Tensor, features: Tensor, label: Tensor) -> None:
        xyz, features, label = (tensor.to(device()) for tensor in (xyz, features, label))
        started = now()
        if self.recipe is not None:
            for group in self.optimiser.param_groups:
                group["lr"] = one_cycle(number, self.recipe)
        with torch.autocast(device().type, torch.bfloat16, enabled=self.bfloat16):
            logits = self.network(xyz, features)
        loss = self.loss_of(logits.float().flatten(0, 1), label.flatten())
        if isinstance(self.network, Copied):
            loss = loss + self.network.regulariser()
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        self.seconds.append(now() - started)

    def infer(self, xyz: Tensor, features: Tensor) -> float:
        self.network.eval()
        xyz, features = xyz.to(device()), features.to(device())
        started = now()
        with torch.inference_mode(), torch.autocast(device().type, torch.bfloat16, enabled=self.bfloat16):
            self.network(xyz, features)
        return now() - started


def now() -> float:
    """Seconds, when all work that was given to a GPU is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def miou(network: nn.Module, run: Run, test: Corpus) -> float:
    """Mean IoU over every voxel's points of corpora that were not trained on, in float32, by the same overlapping windows."""
    segmenter, tables = Segmenter(run, network.eval()), []
    for tile, stored in zip(test.tiles, prepare_corpus(test, run.recipe), strict=True):
        truth = run.classes.index(test.read(tile, fields=["label"])["label"])
        guess, _ = segmenter.label_prepared(stored.open().prepared)
        tables.append(confusion(truth, guess, len(run.classes.groups)))
    return mean_iou(np.sum(tables, axis=0))


def peak(name: str) -> float:
    """Peak gigabytes of a fresh process that does two training steps at 16 x 4,096 points: resident ones, or the GPU's."""
    out = subprocess.run([sys.executable, __file__, "--peak", name], capture_output=True, text=True, check=True).stdout
    return float(json.loads(out.splitlines()[-1]))


def measure_peak(name: str) -> None:
    ours = name == "pcaug"
    made = PointNet(36, 9, width=0.5) if ours else Copied(36, 9) if name.startswith("copied") else Zoo(36, 9)
    contestant = Contestant(made, TrainRecipe() if ours else None, bfloat16=name.endswith("bfloat16"))
    for number in range(2):
        contestant.step(number, torch.randn(16, 4096, 3), torch.randn(16, 4096, 36), torch.randint(0, 9, (16, 4096)))
    if torch.cuda.is_available():
        return print(json.dumps(torch.cuda.max_memory_allocated() / 1e9))
    status = Path("/proc/self/status").read_text()  # not getrusage: that remembers the process it was started from
    print(json.dumps(int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) / 1e6))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "corpus", type=Path, nargs="?", help="in place of composed streets; the last quarter of its units is the test"
    )
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--streets", type=int, default=8, help="composed; the last quarter of units is the test")
    parser.add_argument("--blocks", type=int, default=8, help="a step")
    parser.add_argument("--points", type=int, default=1024, help="a block")
    parser.add_argument("--seeds", type=int, default=1, help="trainings, whose mIoU is the mean")
    parser.add_argument("--bfloat16", action="store_true", help="the copied one in bfloat16, too")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak:
        return measure_peak(options.peak)
    changes = [f"{k}={v}" for k, v in (("steps", options.steps), ("batch", options.blocks), ("points", options.points))]
    recipe = load_recipe("pointnet", [*changes, "classes=drive9"])
    with tempfile.TemporaryDirectory() as folder:
        if not options.corpus:
            compose_corpus(load_scene("street"), options.streets, Path(folder) / "streets", 0)
        corpus = Corpus.open(options.corpus or Path(folder) / "streets")
        held = max(1, len(corpus.units) // 4)
        train, test = corpus.only(units=corpus.units[:-held]), corpus.only(units=corpus.units[-held:])
        data = Blocks.of([train], recipe)
        run = Run(Path(folder) / "run", recipe, data.classes, data.mean, data.spread)
        features, count = len(data.mean), len(data.classes.groups)
        scores: dict[str, list[float]] = {}
        for seed in range(options.seeds):
            torch.manual_seed(seed)
            contestants = {
                "copied, two T-Nets": Contestant(Copied(features, count), None),
                "pcaug": Contestant(PointNet(features, count, **recipe.arguments), recipe),
            }
            if importlib.util.find_spec("torch_pointcloud"):
                contestants = {"torch-pointcloud": Contestant(Zoo(features, count), None)} | contestants
            if options.bfloat16:
                contestants = {"copied, bfloat16": Contestant(Copied(features, count), None, bfloat16=True)} | contestants
            for number in range(options.steps):
                sample = data.batch(number)
                for contestant in contestants.values():
                    contestant.step(number, sample["xyz"], sample["features"], sample["label"])
            for name, contestant in contestants.items():
                scores.setdefault(name, []).append(miou(contestant.network, run, test))
        infer: dict[str, list[float]] = {name: [] for name in contestants}
        xyz, table = torch.randn(4, 4096, 3), torch.randn(4, 4096, features)
        for _ in range(6):
            for name, contestant in contestants.items():
                infer[name].append(contestant.infer(xyz, table))
    size = options.blocks * options.points
    rows = {
        name: (
            size / statistics.median(c.seconds[2:]),
            4 * 4096 / statistics.median(infer[name][1:]),
            statistics.mean(scores[name]),
        )
        for name, c in contestants.items()
    }
    peaks = {name: peak(name) for name in contestants}
    print(f"{options.steps} steps of {options.blocks} x {options.points} points, {torch.get_num_threads()} threads")
    for name, (trained, inferred, score) in rows.items():
        speed = f"train {trained:9,.0f} points/s   infer {inferred:9,.0f} points/s"
        every = " ".join(f"{value:.3f}" for value in scores[name])
        print(f"{name:20} {speed}   mIoU {score:.3f} ({every})   {peaks[name]:.2f} GB")
    ours = rows.pop("pcaug")
    for name, other in rows.items():
        train, infer = ours[0] / other[0], ours[1] / other[1]
        print(f"pcaug / {name:18} train {train:5.1f}x   infer {infer:5.1f}x   mIoU {ours[2] - other[2]:+.3f}")


if __name__ == "__main__":
    main()
