"""RandLA-Net as Open3D-ML ships it, trained and scored beside our models by ``bench_segment.py --models open3d-randla``.

Its network, grid subsampling, sampler, neighbour search, class weights and voting are its own code, run as its pipeline does;
what is ours is the loop over minutes instead of epochs, and that intensity is a feature beside the position. Needs
``pip install tqdm addict`` beside open3d-cpu, since ``open3d.ml.torch`` itself refuses any torch but the one it was built with.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pcaug.cloud import together
from pcaug.corpus.read import Corpus
from pcaug.labels import IGNORE, ClassSet
from pcaug.segment.blocks import pieces
from pcaug.segment.evaluate import confusion, iou, miou
from pcaug.segment.features import brightness
from pcaug.sensor.engine import open3d

Data = dict[str, Any]


class Peer:
    """The network for some classes, with points thinned to ``grid`` metres and ``points`` of them a sample."""

    def __init__(self, classes: ClassSet, grid: float, points: int, batch: int, *, intensity: bool, seed: int) -> None:
        open3d()
        from open3d._ml3d.torch.models.randlanet import RandLANet

        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002, TID251 - its sampler draws from there
        self.classes, self.batch, self.intensity = classes, batch, intensity
        self.model = RandLANet(
            num_points=points,
            num_classes=len(classes.groups),
            grid_size=grid,
            in_channels=4 if intensity else 3,
            augment={"recenter": {"dim": [0, 1]}},
        )
        self.model.device = torch.device("cpu")
        for part in self.model.modules():
            if isinstance(part, torch.nn.BatchNorm2d):
                part.momentum = 0.1  # its 0.01 is for trainings of many hours: after minutes it would score at random

    def prepared(self, corpus: Corpus, split: str) -> list[Data]:
        """Clouds (those of ours) thinned and with a search tree; labels from 1, 0 is ignored, as its data sets have it."""
        out = []
        for piece in pieces(corpus):
            cloud = together([corpus.read(tile) for tile in piece])
            xyz = cloud.xyz - (0 if corpus.manifest.frame == "sensor" else np.floor(cloud.xyz.mean(axis=0)))
            index = self.classes.index(cloud["label"]).astype(np.int32)
            data: Data = {"point": xyz.astype(np.float32), "label": np.where(index == IGNORE, 0, index + 1)}
            if self.intensity:
                data["feat"] = (cloud["intensity"] / brightness(cloud)).clip(0, 2).astype(np.float32)[:, None]
            out.append(self.model.preprocess(data, {"split": split}) | {"truth": index})
        return out

    def train(self, corpus: Corpus, minutes: float) -> int:
        """Adam at its rate for some minutes, thinning included; how many steps that were."""
        from open3d._ml3d.datasets.utils import DataProcessing
        from open3d._ml3d.torch.dataloaders import DefaultBatcher
        from open3d._ml3d.torch.modules.losses import filter_valid_label

        until = time.perf_counter() + 60 * minutes
        clouds, model, steps = self.prepared(corpus, "train"), self.model.train(), 0
        count = len(self.classes.groups)
        seen = np.sum([np.bincount(data["label"].reshape(-1), minlength=count + 1)[1:] for data in clouds], axis=0)
        weights = torch.tensor(DataProcessing.get_class_weights(seen.tolist()), dtype=torch.float32).reshape(-1)
        loss_of = torch.nn.CrossEntropyLoss(weight=weights)
        optimiser = torch.optim.Adam(model.parameters(), lr=0.001)
        rng = np.random.default_rng(0)
        while time.perf_counter() < until:
            chosen = [clouds[i] for i in rng.integers(len(clouds), size=self.batch)]
            samples = [{"data": model.transform(data, {"split": "train"}), "attr": {}} for data in chosen]
            inputs = DefaultBatcher().collate_fn(samples)["data"]
            scores, labels = filter_valid_label(model(inputs), inputs["labels"], count, [0], model.device)
            loss = loss_of(scores, labels)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            steps += 1
        return steps

    def score(self, corpus: Corpus) -> tuple[float, dict[str, float]]:
        """mIoU and IoU by class over every original point, by its voting: until each voxel was near a centre."""
        tables = []
        for data in self.prepared(corpus, "test"):
            guess = self._voted(data)[data["proj_inds"]]
            tables.append(confusion(data["truth"], guess, len(self.classes.groups)))
        table = np.sum(tables, axis=0)
        return miou(table), iou(table, self.classes.names)

    def _voted(self, data: Data) -> NDArray[np.intp]:
        from open3d._ml3d.torch.dataloaders import DefaultBatcher

        model, rng = self.model.eval(), np.random.default_rng(0)
        possibility = rng.random(len(data["point"])) * 1e-3
        votes = np.zeros((len(possibility), len(self.classes.groups)), np.float32)

        def sampler(pc: NDArray[np.float32], num_points: int, search_tree: Any, **_: object) -> tuple[Any, Any, Any]:
            centre = pc[[np.argmin(possibility)]]
            distance, rows = search_tree.query(centre, k=min(num_points, len(pc)))
            possibility[rows[0]] += np.square(1 - distance[0] / max(distance.max(), 1e-6))
            order = rng.permutation(len(rows[0]))
            rows = rows[0][order]
            if len(rows) < num_points:
                rows = np.append(rows, rng.choice(rows, num_points - len(rows)))
            return pc[rows], rows, centre

        usual, model.trans_point_sampler = model.trans_point_sampler, sampler
        with torch.inference_mode():
            while possibility.min() < 0.5:
                sample = model.transform(data, {"split": "test"})
                inputs = DefaultBatcher().collate_fn([{"data": sample, "attr": {}}])["data"]
                votes[sample["point_inds"]] = 0.95 * votes[sample["point_inds"]] + 0.05 * model(inputs)[0].softmax(1).numpy()
        model.trans_point_sampler = usual
        return np.asarray(votes.argmax(axis=1))
