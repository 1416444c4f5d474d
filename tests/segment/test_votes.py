from __future__ import annotations

import numpy as np
import pytest
import torch
from segment.builders_segment import TREE, garden

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import FileError
from pcaug.labels import ClassSet
from pcaug.segment import votes as module
from pcaug.segment.features import Prepared
from pcaug.segment.networks.pillars import Pillars
from pcaug.segment.predict import Segmenter
from pcaug.segment.recipe import TrainRecipe
from pcaug.segment.run import Run
from pcaug.segment.votes import votes

CELL = 0.5


def network(depth: int = 1) -> Pillars:
    torch.manual_seed(0)
    made = Pillars(2, 3, grid=64, width=8, depth=depth).eval()
    for norm in made.modules():
        if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.normal_(norm.bias)  # so that empty cells say something
    return made


def run(frame: str = "map", **changes: object) -> Run:
    taxonomy = catalogue.taxonomy()
    classes = ClassSet(taxonomy, {name: (name,) for name in ("road", "building", "tree")})
    recipe = TrainRecipe(network="pillars", block=64 * CELL, points=256, **changes)  # type: ignore[arg-type]
    return Run(catalogue.shipped("models"), recipe, classes, np.zeros(2, np.float32), np.ones(2, np.float32), ({"frame": frame},))


def cloud(extent: float, count: int = 3000, seed: int = 0) -> Prepared:
    rng = np.random.default_rng(seed)
    xyz = rng.uniform(0, extent, (count, 3)).astype(np.float32)
    rows = np.arange(count, dtype=np.int32)
    return Prepared(xyz, rng.normal(size=(count, 2)).astype(np.float32), rows.astype(np.uint16), rows, np.zeros(3))


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_pieces_say_what_the_whole_plan_says(depth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tile = cloud(40.0)
    whole = votes(run(), network(depth), tile)
    monkeypatch.setattr(module, "PIECE", 16)
    np.testing.assert_allclose(votes(run(), network(depth), tile), whole, atol=1e-5)
    np.testing.assert_allclose(whole.sum(axis=1), 1, atol=1e-5)


def test_a_point_sees_as_far_as_its_network_and_no_farther() -> None:
    made = network(depth=2)
    for distance, seen in ((made.reach, False), (4, True)):
        pair = torch.tensor([[100.5, 40.5], [100.5 + distance, 40.5]])
        with torch.inference_mode():
            first, second = (made.plane(pair, torch.tensor([[0.0, 0.0], [value, 1.0]]).__getitem__)[0] for value in (-1.0, 3.0))
        assert bool((first != second).any()) is seen


def test_far_from_a_blocks_edge_the_plan_is_the_block() -> None:
    made, rng = network(), np.random.default_rng(1)
    xyz = torch.from_numpy(rng.uniform(-1, 1, (2000, 3)).astype(np.float32))
    features = torch.from_numpy(rng.normal(size=(2000, 2)).astype(np.float32))
    place = (xyz[:, :2] + 1) * 32
    inside = ((place > made.reach) & (place < 64 - made.reach)).all(dim=1)
    with torch.inference_mode():
        torch.testing.assert_close(
            made.plane(place, features.__getitem__)[inside], made(xyz[None], features[None])[0][inside], rtol=1e-4, atol=1e-5
        )
    assert inside.sum() > 500


def test_where_a_cloud_lies_does_not_matter() -> None:
    made, tile = network(), cloud(20.0)
    moved = Prepared(tile.xyz + np.float32([64, -128, 3]), tile.features, tile.label, tile.voxel_of, tile.origin)
    np.testing.assert_allclose(votes(run(), made, moved), votes(run(), made, tile), atol=1e-4)


def test_turned_views_see_a_turned_cloud() -> None:
    made, tile = network(), cloud(20.0)
    turned = Prepared(tile.xyz[:, [1, 0, 2]] * np.float32([-1, 1, 1]), tile.features, tile.label, tile.voxel_of, tile.origin)
    np.testing.assert_allclose(votes(run(), made, turned, 4), votes(run(), made, tile, 4), atol=1e-4)
    assert np.abs(votes(run(), made, turned) - votes(run(), made, tile)).max() > 1e-3


def test_a_stray_point_far_away_costs_nothing() -> None:
    tile = cloud(20.0)
    xyz = np.concatenate([tile.xyz, np.float32([[3e6, 0, 0]])])
    rows = np.arange(len(xyz), dtype=np.int32)
    found = votes(
        run(),
        network(),
        Prepared(xyz, np.concatenate([tile.features, tile.features[:1]]), rows.astype(np.uint16), rows, np.zeros(3)),
    )
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("far", [1e9, 1e12])
def test_a_point_too_far_to_be_placed_is_one_line(trained: Run, far: float) -> None:
    near = garden(9, 60)
    stray = PointCloud(np.concatenate([near.xyz, near.xyz[:1] + (far, 0, 0)]), {}, TREE)
    with pytest.raises(FileError, match="m from the middle of the cloud, check its unit"):
        Segmenter.load(trained).label(stray, "map")
    tile = cloud(20.0)
    tile.xyz[0, 0] = far
    for shape in ("block", "sphere"):
        with pytest.raises(FileError, match="check its unit"):
            votes(run(region=shape), network(), tile)


@pytest.mark.parametrize(("frame", "shape"), [("map", "sphere"), ("sensor", "block")])
def test_balls_and_scans_are_seen_by_regions(frame: str, shape: str) -> None:
    found = votes(run(frame, region=shape), network(), cloud(60.0, 500))
    assert found.sum(axis=1).min() >= 1 - 1e-5
    assert found.sum(axis=1).max() > 1.5  # overlapping regions vote
