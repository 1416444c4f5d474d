"""Sources that differ: norms of their own, and labels that a run made itself."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from segment.builders_segment import SMALL, TREE, garden, gardens

from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import MissingExtra, RecipeError
from pcaug.labels import IGNORE
from pcaug.segment.networks.pointnet import PointNet
from pcaug.segment.networks.zoo import Zoo
from pcaug.segment.norms import per_domain
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import Run
from pcaug.segment.selftrain import pseudo_labelled, self_train
from pcaug.segment.train import train


def test_sources_do_not_meet_in_a_norm() -> None:
    torch.manual_seed(0)
    network = PointNet(2, 3, width=0.1, dropout=0.0).train()
    alone = PointNet(2, 3, width=0.1, dropout=0.0).train()
    alone.load_state_dict(network.state_dict())
    xyz, features = torch.randn(4, 32, 3), torch.randn(4, 32, 2)
    made = torch.tensor([0.0, 1.0, 1.0, 0.0])
    logits = per_domain(network, network, xyz, features, made)
    torch.testing.assert_close(logits[made == 0], alone(xyz[made == 0], features[made == 0]))
    moments = {name: value for name, value in network.state_dict().items() if "running" in name}
    assert moments
    for name, value in moments.items():
        torch.testing.assert_close(value, alone.state_dict()[name])
    torch.testing.assert_close(logits[made > 0], alone(xyz[made > 0], features[made > 0]))
    assert all(m.momentum == 0.1 for m in network.modules() if isinstance(m, torch.nn.BatchNorm1d))


def test_norms_of_their_own_train(corpus: Corpus, tmp_path: Path) -> None:
    run = train(TrainRecipe(**SMALL | {"steps": 4, "source_norms": True}), corpus, [corpus], tmp_path / "run")
    assert (run.folder / "weights.safetensors").is_file()


@pytest.mark.parametrize("share", [0.3, 1.0])
def test_a_run_labels_what_it_is_sure_of(trained: Run, corpus: Corpus, tmp_path: Path, share: float) -> None:
    made = pseudo_labelled(trained, corpus, tmp_path / "made", share)
    learn = corpus.only(split="train")
    assert made.points == learn.points
    labels = np.concatenate([made.read(tile)["label"] for tile in made.tiles])
    known = labels != IGNORE
    assert share - 0.02 <= known.mean() <= min(1.0, share + 0.2)
    truth = np.concatenate([learn.read(tile)["label"] for tile in learn.tiles])
    assert (labels[known] == truth[known]).mean() > 0.9
    assert set(np.unique(labels[known])) <= {TREE.id(name) for name in ("ground", "tree", "building")}


def test_self_training_goes_the_whole_way_and_on(corpus: Corpus, tmp_path: Path) -> None:
    recipe = TrainRecipe(**SMALL | {"steps": 6})
    unlabelled = gardens(tmp_path / "more", ("train",))
    run = self_train(recipe, corpus, [unlabelled], (), tmp_path / "run")
    assert len(run.data) == 2
    before = (run.folder / "weights.safetensors").read_bytes()
    labelled = {tile.path: (run.folder / "unlabelled-0" / tile.path).stat().st_mtime_ns for tile in unlabelled.tiles}
    again = self_train(recipe, corpus, [unlabelled], (), tmp_path / "run")
    assert (again.folder / "weights.safetensors").read_bytes() == before
    assert {path: (run.folder / "unlabelled-0" / path).stat().st_mtime_ns for path in labelled} == labelled  # not made again


def test_labels_of_another_share_or_corpus_are_made_anew(corpus: Corpus, tmp_path: Path) -> None:
    recipe, run = TrainRecipe(**SMALL | {"steps": 6}), tmp_path / "run"

    def known(unlabelled: Corpus, share: float) -> int:
        (run / "card.json").unlink(missing_ok=True)
        self_train(recipe, corpus, [unlabelled], (), run, share=share)
        made = Corpus.open(run / "unlabelled-0")
        return sum(int((made.read(tile)["label"] != IGNORE).sum()) for tile in made.tiles)

    one, two = gardens(tmp_path / "one", ("train",)), gardens(tmp_path / "two", ("train", "train"))
    few = known(one, 0.2)
    assert known(one, 0.9) > 2 * few
    assert Corpus.open(run / "unlabelled-0").points == one.points
    known(two, 0.9)
    assert Corpus.open(run / "unlabelled-0").points == two.points


def test_shares_name_the_unlabelled_too(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="unlabelled"):
        self_train(TrainRecipe(**SMALL | {"synthetic_shares": (1.0,)}), corpus, [corpus], [corpus], tmp_path / "run")


def test_a_teacher_of_maps_labels_no_scans(corpus: Corpus, tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "scans", frame="sensor") as writer:
        cloud = garden(9)
        writer.add(PointCloud(cloud.xyz - cloud.xyz.mean(axis=0), dict(cloud.fields), TREE), "a", "new")
    with pytest.raises(RecipeError, match="another frame than all that the teacher learns from"):
        self_train(TrainRecipe(**SMALL), corpus, [tmp_path / "scans"], (), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_networks_of_another_zoo_run_or_say_what_is_missing() -> None:
    if importlib.util.find_spec("torch_pointcloud") is None:
        with pytest.raises(MissingExtra, match="torch-pointcloud"):
            Zoo(4, 3)
        return
    logits = Zoo(4, 3)(torch.rand(2, 64, 3) * 2 - 1, torch.randn(2, 64, 4))
    assert logits.shape == (2, 64, 3)
    with pytest.raises(RecipeError, match="no segmentation network"):
        Zoo(4, 3, model="pointnot")
