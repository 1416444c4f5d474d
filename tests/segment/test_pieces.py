"""Tiles of a map that are prepared as one cloud: what surrounds a point does not end where its tile does."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from segment.builders_segment import SMALL, TREE, garden

from pcaug.augment.recipe import AugmentRecipe, augment_corpus
from pcaug.cloud import PointCloud, concatenate
from pcaug.corpus.merge import merge
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.segment.blocks import TilePool, pieces, prepare_corpus
from pcaug.segment.dataset import class_set
from pcaug.segment.evaluate import evaluate
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import Run
from pcaug.segment.selftrain import pseudo_labelled

LATTICE = np.stack(np.meshgrid(*[np.arange(24.0)] * 2, np.arange(3.0)), axis=-1).reshape(-1, 3)


def in_tiles(folder: Path, cloud: PointCloud, edge: float | None, unit: str = "a") -> Corpus:
    with CorpusWriter(folder, tile=edge) as writer:
        writer.add(cloud, unit, unit)
    return Corpus.open(folder)


def bumpy() -> PointCloud:
    """A point in each voxel of a metre, none where another grid would put it elsewhere."""
    xyz = LATTICE + np.random.default_rng(0).uniform(0.2, 0.8, LATTICE.shape)
    fields = {"label": np.full(len(xyz), TREE.id("ground"), np.uint16), "intensity": np.arange(len(xyz), dtype=np.float32)}
    return PointCloud(xyz, fields, TREE)


def test_features_do_not_know_the_tiles(tmp_path: Path) -> None:
    recipe = TrainRecipe(**SMALL | {"voxel": 1.0, "features": ("plan", "geometry", "cells", "intensity", "ground")})
    tables = []
    for edge in (None, 7.0):
        corpus = in_tiles(tmp_path / str(edge), bumpy(), edge)
        assert len(corpus.tiles) == (1 if edge is None else 16)
        (stored,) = prepare_corpus(corpus, recipe)
        made = stored.open().prepared
        xyz = made.xyz + made.origin
        tables.append(np.column_stack([xyz, made.features])[np.lexsort(np.rint(xyz * 100).T)])
    np.testing.assert_allclose(*tables, atol=1e-4)


@pytest.mark.parametrize("most", [1, 100, 400, 10**6])
def test_every_tile_is_in_one_piece_that_is_not_too_large(tmp_path: Path, most: int) -> None:
    corpus = in_tiles(tmp_path / "c", bumpy(), 7.0)
    found = pieces(corpus, most)
    assert Counter(tile.path for piece in found for tile in piece) == Counter(tile.path for tile in corpus.tiles)
    assert all(len(piece) == 1 or sum(tile.points for tile in piece) <= most for piece in found)
    assert len(found) == {1: 16, 10**6: 1}.get(most, len(found))
    if most == 400:  # neighbours, not tiles from all over
        assert all(np.ptp([np.mean(tile.bounds or (), axis=0) for tile in piece], axis=0).min() < 8 for piece in found)


def test_scans_and_other_splits_files_and_units_stay_apart(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "map") as writer:
        for name, unit, split in (("a", "u", "train"), ("b", "u", "train"), ("c", "u", "test"), ("d", "v", "train")):
            writer.add(bumpy(), name, unit, split)
    assert [[tile.name for tile in piece] for piece in pieces(Corpus.open(tmp_path / "map"))] == [["a", "b"], ["c"], ["d"]]
    with CorpusWriter(tmp_path / "scans", frame="sensor") as writer:
        for name in "ab":
            writer.add(bumpy(), name, "u")
    assert [len(piece) for piece in pieces(Corpus.open(tmp_path / "scans"))] == [1, 1]


def test_moved_copies_stay_apart(tmp_path: Path) -> None:
    corpus = in_tiles(tmp_path / "c", bumpy(), 12.0)
    turn = AugmentRecipe(name="turn", step=({"name": "rotate_z"},))
    augment_corpus(turn, corpus, tmp_path / "turned", 0, copies=2)
    turned = Corpus.open(tmp_path / "turned")
    assert [len(piece) for piece in pieces(turned)] == [1] * 8
    assert [len(site) for site in turned.sites()] == [1] * 8
    merge([tmp_path / "c", tmp_path / "turned"], tmp_path / "both")
    both = Corpus.open(tmp_path / "both")
    real = [piece for piece in pieces(both) if piece[0].kind == "real"]
    assert [len(piece) for piece in real] == [4]
    copies = [tile for tile in both.tiles if tile.kind == "synthetic"]
    assert len(pieces(both)) == 1 + len(copies)
    assert sorted(len(site) for site in both.sites()) == [1] * len(copies) + [4]


def test_slivers_are_hardly_drawn(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(garden(0), "whole", "whole")
        writer.add(garden(1).take(np.arange(4)), "sliver", "sliver")
    corpus = Corpus.open(tmp_path / "c")
    recipe = TrainRecipe(**SMALL | {"rare": 0.0, "features": ("plan",)})
    pool, rng = TilePool(corpus, class_set("cut", [corpus]), recipe), np.random.default_rng(0)
    drawn = [len(np.unique(pool.draw(rng).xyz, axis=0)) for _ in range(200)]
    assert sum(number <= 4 for number in drawn) < 20


def test_slivers_are_no_units(tmp_path: Path) -> None:
    cloud = bumpy()
    edge = PointCloud(np.array([[24.0, 3.0, 0.0], [24.0, 9.0, 1.0]]), {name: cloud[name][:2] for name in cloud.fields}, TREE)
    corpus = in_tiles(tmp_path / "c", concatenate([cloud, edge]), 12.0)
    assert len(corpus.tiles) == 5
    assert corpus.by_tile().units == ["a_0_0", "a_0_1", "a_1_0", "a_1_1"]


def test_scores_and_own_labels_are_those_of_the_undivided_cloud(trained: Run, tmp_path: Path) -> None:
    whole, tiled = (in_tiles(tmp_path / str(edge), garden(9), edge) for edge in (None, 10.0))
    one, other = evaluate(trained, whole), evaluate(trained, tiled)
    assert one.confusion.sum() == other.confusion.sum()
    assert other.miou == pytest.approx(one.miou, abs=0.02)
    assert set(other.clouds) == {tile.name for tile in tiled.tiles}
    np.testing.assert_array_equal(other.per_cloud.sum(axis=0), other.confusion)
    labelled = pseudo_labelled(trained, tiled, tmp_path / "own", share=1.0)
    assert [(tile.name, tile.points) for tile in labelled.tiles] == [(tile.name, tile.points) for tile in tiled.tiles]
    guess = np.concatenate([cloud["label"] for cloud in labelled.clouds()])
    truth = np.concatenate([cloud["label"] for cloud in tiled.clouds()])
    assert np.trace(other.confusion) == (guess == truth).sum()
