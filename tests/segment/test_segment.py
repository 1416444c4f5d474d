"""Features, blocks, PointNet, exact resume, and scores of every original point."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save
from scipy.spatial import cKDTree
from segment.builders_segment import SMALL, TREE, garden, gardens

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError, NotFound, PcaugError, RecipeError
from pcaug.labels import ClassSet
from pcaug.segment.blocks import GridIndex
from pcaug.segment.evaluate import Scores, evaluate
from pcaug.segment.features import GROUPS, Setting, brightness, names, prepare
from pcaug.segment.log import spent
from pcaug.segment.networks import NETWORKS
from pcaug.segment.networks.pillars import pooled
from pcaug.segment.networks.pointnet import PointNet
from pcaug.segment.networks.randla import nearest
from pcaug.segment.recipe import TrainRecipe, load_recipe
from pcaug.segment.run import Run
from pcaug.segment.shapes import TRIANGLE, principal
from pcaug.segment.train import one_cycle, train
from pcaug.segment.voxel import voxels

FEATURES = len(names(TrainRecipe().features))


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 200), edge=st.floats(0.05, 3.0), seed=st.integers(0, 9))
def test_every_point_knows_its_voxel(n: int, edge: float, seed: int) -> None:
    xyz = np.random.default_rng(seed).uniform(-5, 5, (n, 3))
    first, of = voxels(xyz, edge)
    assert len(of) == n
    if n:
        np.testing.assert_array_equal(np.floor(xyz / edge), np.floor(xyz[first][of] / edge))
        assert len(np.unique(np.floor(xyz / edge), axis=0)) == len(first)


def test_a_voxel_has_its_majoritys_label() -> None:
    cloud = PointCloud(np.full((5, 3), 0.01), {"label": np.array([7, 5, 5, 7, 5], np.uint16)}, TREE)
    assert prepare(cloud, (), 0.1, "sensor").label.tolist() == [5]


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("n", [0, 1, 3, 50])
def test_features_are_finite_for_any_number_of_points(name: str, n: int) -> None:
    xyz = np.random.default_rng(0).uniform(0, 5, (n, 3))
    found = prepare(PointCloud(xyz), (name,), 0.01, "map")
    assert found.features.shape[0] == len(found.xyz)
    assert np.isfinite(found.features).all()


def test_geometry_tells_a_plane_from_a_wall_from_a_ball() -> None:
    rng = np.random.default_rng(0)
    flat = np.column_stack([rng.uniform(0, 5, (2000, 2)), np.zeros(2000)])
    wall = flat[:, [0, 2, 1]]
    ball = rng.normal(0, 1, (2000, 3))
    tables = [GROUPS["geometry"].of(PointCloud(x), x, Setting("map")).mean(axis=0) for x in (flat, wall, ball)]
    assert [t[0] < 0.02 for t in tables] == [True, True, False]  # smallest eigenvalue's root
    assert tables[0][3] > 0.98  # the normal of a plane is upright
    assert tables[1][3] < 0.02


def test_principal_directions_are_those_of_a_decomposition() -> None:
    rng = np.random.default_rng(0)
    near = rng.normal(size=(5000, 6, 3)) * rng.lognormal(0, 1.5, (5000, 1, 3))
    covariance = near.transpose(0, 2, 1) @ near / 6
    values, upright = principal(covariance[:, *TRIANGLE].T)
    known, vectors = np.linalg.eigh(covariance)
    assert (np.abs(values.T - known) <= 1e-8 * known[:, 2:]).all()
    np.testing.assert_allclose(np.percentile(np.abs(upright.T - np.abs(vectors[:, 2])), 99.9), 0, atol=1e-5)


def test_geometry_is_that_of_the_nearest_neighbours() -> None:
    xyz = np.random.default_rng(3).normal(0, (3, 2, 1), (400, 3))
    found = GROUPS["geometry"].of(PointCloud(xyz), xyz, Setting("map", voxel=1e-4))
    for row in (0, 57, 399):
        order = np.argsort(np.linalg.norm(xyz - xyz[row], axis=1))
        for scale, k in enumerate((10, 24, 48)):
            near = xyz[order[:k]]
            values, vectors = np.linalg.eigh(np.cov(near.T, bias=True))
            roots = np.sqrt(values)
            reach = np.linalg.norm(near[-1] - xyz[row])
            wanted = [*roots / roots.sum(), abs(vectors[2, 0]), abs(vectors[2, 2]), np.log(roots.sum() + 1e-3)]
            wanted += [np.log(reach + 1e-3), near[:, 2].std(), xyz[row, 2] - near[:, 2].mean()]
            np.testing.assert_allclose(found[row, 9 * scale : 9 * scale + 9], wanted, atol=1e-6)


def test_points_of_a_cell_of_two_voxels_share_the_neighbours_of_the_first_but_have_their_own_height() -> None:
    xyz = np.random.default_rng(3).uniform(0, 4, (3000, 3))
    alone, shared = (GROUPS["geometry"].of(PointCloud(xyz), xyz, Setting("map", voxel=v)) for v in (1e-4, 0.25))
    first, cell = voxels(xyz, 0.5)
    assert len(first) <= 8**3
    of_first, height = alone[first][cell], [8, 17, 26]
    np.testing.assert_array_equal(np.delete(shared, height, axis=1), np.delete(of_first, height, axis=1))
    middle = xyz[first][cell][:, 2:] - of_first[:, height]  # mean height of the neighbours
    np.testing.assert_allclose(xyz[:, 2:] - shared[:, height], middle, atol=1e-9)


def test_shapes_of_cells_are_those_of_all_points_in_the_27_around() -> None:
    xyz = np.random.default_rng(3).normal((0, 0, 500), (3, 2, 1), (400, 3))
    found = GROUPS["cells"].of(PointCloud(xyz), xyz, Setting("map", voxel=0.4))
    for row in (0, 57, 399):
        for scale, edge in enumerate((0.4, 0.8, 1.6, 3.2)):
            cells = np.floor(xyz / edge)
            near = xyz[(np.abs(cells - cells[row]) <= 1).all(axis=1)]
            values, vectors = np.linalg.eigh(np.cov(near.T, bias=True))
            roots = np.sqrt(np.maximum(values, 0))
            mine = found[row, 9 * scale : 9 * scale + 9]
            wanted = [np.log(roots.sum() + 0.01), np.log(len(near)), near[:, 2].std(), xyz[row, 2] - near[:, 2].mean()]
            np.testing.assert_allclose(mine[5:], wanted, atol=1e-4)
            if len(near) > 3:  # else directions are anybody's choice
                wanted = [*roots / roots.sum(), abs(vectors[2, 0]), abs(vectors[2, 2])]
                np.testing.assert_allclose(mine[:5], wanted, atol=1e-3)


@pytest.mark.parametrize("group", ["geometry", "cells"])
def test_features_do_not_know_where_on_earth_they_are(group: str) -> None:
    cloud = garden(0, 900)
    moved = PointCloud(cloud.xyz + (1000.0, -2000.0, 0.0), cloud.fields, TREE)
    a, b = (prepare(c, (group,), 0.5, "map") for c in (cloud, moved))
    np.testing.assert_allclose(a.features, b.features, atol=1e-4)
    assert a.xyz.dtype == np.float32
    assert np.abs(a.xyz).max() < 100


def test_a_grid_index_finds_what_a_full_scan_finds() -> None:
    xy = np.random.default_rng(0).uniform(-30, 30, (3000, 2)).astype(np.float32)
    index = GridIndex.of(xy, 2.5)
    for centre in ((0.0, 0.0), (-29.0, 29.5), (100.0, 0.0)):
        expected = np.flatnonzero((np.abs(xy - np.array(centre)) <= 5).all(axis=1))
        np.testing.assert_array_equal(np.sort(index.square(xy, np.array(centre), 10.0)), expected)


@pytest.mark.parametrize("name", ["pointnet", "pillars"])
def test_networks_do_not_care_about_the_order_of_points(name: str) -> None:
    torch.manual_seed(0)
    network = NETWORKS[name](4, 3).eval()
    xyz, features = torch.randn(2, 50, 3), torch.randn(2, 50, 4)
    order = torch.randperm(50)
    with torch.inference_mode():
        out = network(xyz, features)
        torch.testing.assert_close(network(xyz[:, order], features[:, order]), out[:, order], rtol=1e-4, atol=1e-5)
    assert out.shape == (2, 50, 3)


def test_randla_finds_the_nearest() -> None:
    torch.manual_seed(0)
    points, among = torch.rand(2, 30, 3), torch.rand(2, 40, 3)
    found = nearest(points, among, 5)
    torch.testing.assert_close(found, torch.cdist(points, among).topk(5, largest=False).indices)
    np.testing.assert_array_equal(found[0], cKDTree(among[0].numpy()).query(points[0].numpy(), 5)[1])


def test_pillars_pool_what_lies_in_a_cell() -> None:
    own = torch.tensor([[1.0, 4.0], [3.0, 2.0], [5.0, 6.0]])
    table = pooled(own, torch.tensor([9, 9, 0]), (1, 8, 8))
    assert table.shape == (1, 5, 8, 8)
    torch.testing.assert_close(table[0, :, 1, 1], torch.tensor([3.0, 4.0, 2.0, 3.0, math.log(3.0)]))
    torch.testing.assert_close(table[0, :, 0, 0], torch.tensor([5.0, 6.0, 5.0, 6.0, math.log(2.0)]))
    assert not table[0, :, 2:].any()


@pytest.mark.parametrize("name", ["pillars", "randla"])
def test_local_networks_learn_gardens(corpus: Corpus, tmp_path: Path, name: str) -> None:
    arguments = {"grid": 16, "width": 16, "depth": 2} if name == "pillars" else {"levels": 2, "neighbours": 8}
    recipe = TrainRecipe(**SMALL | {"network": name, "steps": 40, "arguments": arguments})
    assert evaluate(train(recipe, corpus, (), tmp_path / "run"), corpus, "test").miou > 0.8


def test_the_split_head_is_the_published_head() -> None:
    torch.manual_seed(0)
    network = PointNet(0, 5).eval()
    local, whole = torch.randn(2, 30, 64), torch.randn(2, 1024)
    joined = torch.nn.Linear(1088, 512, bias=False)
    with torch.no_grad():
        joined.weight.copy_(torch.cat([network.head_local.weight, network.head_global.weight], dim=1))
        published = joined(torch.cat([local, whole[:, None].expand(-1, 30, -1)], dim=2))
        split = network.head_local(local) + network.head_global(whole)[:, None]
    torch.testing.assert_close(split, published, rtol=1e-4, atol=1e-5)


def test_tnets_start_as_identities() -> None:
    torch.manual_seed(0)
    network = PointNet(2, 3, tnets=True).eval()
    assert network.input_tnet is not None
    with torch.inference_mode():
        matrix = network.input_tnet(torch.randn(4, 20, 3))
    torch.testing.assert_close(matrix, torch.eye(3).expand(4, 3, 3))


def test_a_trained_pointnet_tells_ground_tree_and_house_apart(corpus: Corpus, tmp_path: Path) -> None:
    run = train(TrainRecipe(**SMALL | {"steps": 80}), corpus, (), tmp_path / "run")
    scores = evaluate(run, corpus, "test")
    assert scores.confusion.sum() == 10_000  # every original point
    assert scores.miou > 0.8
    assert set(scores.iou) == {"ground", "tree", "building"}
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert len(log) == 81


def test_trees_are_a_model_like_any_other(corpus: Corpus, tmp_path: Path) -> None:
    run = train(TrainRecipe(**SMALL | {"network": "trees", "trees": 20, "trees_points": 2000}), corpus, (), tmp_path / "run")
    one, two = (evaluate(Run.open(tmp_path / "run"), corpus, "test").confusion for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert evaluate(run, corpus, "test").miou > 0.85


@pytest.mark.parametrize(
    ("change", "wanted"),
    [
        ({}, (0.5, 0.25, 0.25)),
        ({"synthetic_shares": (3.0, 1.0), "real_share": 0.6}, (0.6, 0.3, 0.1)),
        ({"synthetic_weight": 0.5}, (0.5, 0.125, 0.125)),
    ],
)
def test_trees_weigh_their_sources_as_the_recipe_says(
    corpus: Corpus, tmp_path: Path, change: dict[str, object], wanted: tuple[float, ...]
) -> None:
    recipe = TrainRecipe(**SMALL | {"network": "trees", "trees": 2, "trees_points": 600} | change)
    run = train(recipe, corpus, [corpus, corpus], tmp_path / "run")
    weight = load_file(run.folder / "weights.safetensors")["weight"]
    np.testing.assert_allclose(weight.reshape(3, -1).sum(axis=1), wanted, rtol=1e-5)


def test_an_interrupted_training_goes_on_bit_by_bit(corpus: Corpus, tmp_path: Path) -> None:
    recipe = TrainRecipe(**SMALL)

    class Stop(Exception):
        pass

    def stop(text: str, done: int, total: int) -> None:
        if text.startswith("steps") and done == 19:
            raise Stop

    whole = train(recipe, corpus, (corpus,), tmp_path / "whole")
    with pytest.raises(Stop):
        train(recipe, corpus, (corpus,), tmp_path / "cut", progress=stop)
    assert (tmp_path / "cut" / "resume.safetensors").is_file()
    with pytest.raises(NotFound, match="is not a finished run"):
        Run.open(tmp_path / "cut")
    log = tmp_path / "cut" / "log.csv"
    rows = log.read_text().splitlines()
    assert rows[-1].split(",")[4] not in ("", "0")
    log.write_text("\n".join([*rows[:-1], ",".join([*rows[-1].split(",")[:4], "5000", *rows[-1].split(",")[5:]])]) + "\n17,0.")
    again = train(recipe, corpus, (corpus,), tmp_path / "cut")
    assert 5000 < spent(log) < 6000  # with what was spent before the interruption, also on steps that were done again
    assert (whole.folder / "weights.safetensors").read_bytes() == (again.folder / "weights.safetensors").read_bytes()
    losses = [[row.split(",")[:3] for row in (r.folder / "log.csv").read_text().splitlines()] for r in (whole, again)]
    assert losses[0] == losses[1]


def test_a_folder_with_another_run_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    train(TrainRecipe(**SMALL | {"steps": 1}), corpus, (), tmp_path / "run")
    with pytest.raises(PcaugError, match="holds a run of another recipe"):
        train(TrainRecipe(**SMALL | {"steps": 2}), corpus, (), tmp_path / "run")


def test_a_folder_with_a_run_of_other_data_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    recipe, other = TrainRecipe(**SMALL | {"steps": 9}), gardens(tmp_path / "other", ("train",))

    def stop(text: str, done: int, total: int) -> None:
        if text.startswith("steps") and done == 8:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, corpus, (), tmp_path / "run", progress=stop)
    for _ in range(2):  # of an interrupted run, then of a finished one
        with pytest.raises(PcaugError, match="holds a run of other corpora"):
            train(recipe, other, (), tmp_path / "run")
        with pytest.raises(PcaugError, match="holds a run of other corpora"):
            train(recipe, corpus, [other], tmp_path / "run")
        with pytest.raises(PcaugError, match="holds a run of other classes"):
            train(recipe, corpus, (), tmp_path / "run", classes=ClassSet(TREE, TREE.preset("coarse8")))
        train(recipe, corpus, (), tmp_path / "run")
    shutil.copytree(corpus.folder, tmp_path / "moved")
    train(recipe, tmp_path / "moved", (), tmp_path / "run")
    with CorpusWriter(tmp_path / "corrected") as writer:  # as many points of each class, but others
        for tile in corpus.tiles:
            cloud = corpus.read(tile)
            writer.add(cloud.with_fields(label=np.roll(cloud["label"], 7)), tile.name, tile.unit, tile.split)
    with pytest.raises(PcaugError, match="holds a run of other corpora"):
        train(recipe, tmp_path / "corrected", (), tmp_path / "run")


def test_scores_of_a_confusion_known_by_hand() -> None:
    table = np.array([[8, 2, 0], [1, 9, 0], [0, 0, 0]])
    scores = Scores(["a", "b", "c"], table, np.stack([table] * 5))
    assert scores.iou == {"a": pytest.approx(8 / 11), "b": pytest.approx(9 / 12)}
    assert scores.miou == pytest.approx((8 / 11 + 9 / 12) / 2)
    assert scores.accuracy == pytest.approx(0.85)
    assert scores.interval() == (pytest.approx(scores.miou), pytest.approx(scores.miou))


def test_the_schedule_rises_and_falls() -> None:
    recipe = TrainRecipe(steps=100, learning_rate=1.0)
    rates = [one_cycle(step, recipe) for step in range(100)]
    assert np.argmax(rates) == 20
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] < 0.02


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"features": ["smell"]}, "unknown features"),
        ({"augment": [{"name": "rotat_z"}]}, "did you mean rotate_z"),
        ({"stepz": 5}, "did you mean 'steps'"),
        ({"real_share": 1.5}, "real_share"),
        ({"seed": -1}, "seed"),
        ({"network": "trees", "features": []}, "^trees need features"),
        ({"arguments": {"width": 0}}, "width must be 1 or more"),
        (
            {"network": "pillars", "arguments": {"gird": 16}},
            "^network 'pillars' has no argument 'gird', it has grid, width, depth,",
        ),
        ({"network": "pillars", "arguments": {"grid": "wide"}}, "arguments.grid must be a whole number"),
        ({"arguments": {"tnets": 1}}, "arguments.tnets must be true or false"),
        ({"arguments": {"dropout": 1.0}}, "dropout must be a share below 1"),
        ({"label_smoothing": 0.75, "synthetic_smoothing": 0.25}, "must be less than 1 together"),
    ],
)
def test_a_wrong_recipe_is_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    import json

    text = "".join(f"{key} = {json.dumps(value).replace(': ', ' = ')}\n" for key, value in change.items())
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(RecipeError, match=message):
        catalogue.load(tmp_path / "r.toml", TrainRecipe)


@pytest.mark.parametrize(
    "change",
    [
        {"network": "randla", "points": 16},
        {"network": "pillars", "arguments": {"grid": 8}, "points": 256},
    ],
)
def test_a_batch_that_is_too_small_is_one_line(corpus: Corpus, tmp_path: Path, change: dict[str, object]) -> None:
    with pytest.raises(RecipeError, match="take a larger batch or more points"):
        train(TrainRecipe(**SMALL | {"batch": 1} | change), corpus, (), tmp_path / "run")  # type: ignore[arg-type]
    train(TrainRecipe(**SMALL | {"batch": 2, "steps": 1} | change), corpus, (), tmp_path / "two")  # type: ignore[arg-type]


@pytest.mark.parametrize("network", ["pointnet", "randla", "trees", "torch-pointcloud"])
def test_another_network_brings_its_own_arguments(network: str) -> None:
    recipe = load_recipe("pillars", [f"network={network}", "steps=7"])
    own = load_recipe(network).arguments if network in ("pointnet", "randla") else {}
    assert (recipe.network, recipe.arguments, recipe.steps, recipe.block) == (network, own, 7, load_recipe("pillars").block)
    assert load_recipe("pillars", ["arguments.width=8", "network=pillars"]).arguments["grid"] == 96


def test_what_cannot_be_trained_says_so(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no network named 'pointnot'"):
        train(TrainRecipe(network="pointnot"), corpus, (), tmp_path / "r")
    with pytest.raises(RecipeError, match="network 'pillars': a grid of 10 cells cannot be halved 3 times"):
        train(TrainRecipe(**SMALL | {"network": "pillars", "arguments": {"grid": 10}}), corpus, (), tmp_path / "r2")
    train(TrainRecipe(**SMALL | {"steps": 1}), corpus, (), tmp_path / "r3")
    (tmp_path / "r3" / "weights.safetensors").write_bytes(b"not weights")
    with pytest.raises(FileError, match="does not fit its card"):
        evaluate(Run.open(tmp_path / "r3"), corpus)
    card = tmp_path / "r3" / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text()) | {"features": 0}))
    with pytest.raises(FileError, match="features that are computed otherwise in this version"):
        Run.open(tmp_path / "r3")
    card.write_text("{}")
    with pytest.raises(FileError, match="is damaged"):
        Run.open(tmp_path / "r3")


def test_intensities_that_are_no_numbers_count_as_none(corpus: Corpus) -> None:
    cloud = garden(0)
    values = np.random.default_rng(0).random(len(cloud)).astype(np.float32)
    one = values.copy()
    one[:5] = np.nan
    groups = ("intensity", "returns", "plan")
    known, found = (prepare(cloud.with_fields(intensity=v), groups, 0.3, "map") for v in (np.nan_to_num(one), one))
    assert np.isfinite(found.features).all()
    np.testing.assert_allclose(found.features, known.features, rtol=1e-3)
    assert brightness(cloud.with_fields(intensity=np.full(len(cloud), np.nan, np.float32))) == 1


def test_pieces_of_a_map_have_the_features_of_the_whole() -> None:
    cloud = garden(3)
    cloud = PointCloud(np.round(cloud.xyz, 2), {})  # surveys are on a grid, and so lie on the edges of cells
    piece = cloud.take(cloud.xyz[:, 0] < 650_020)  # whole cells of 1, 4 and 10 m
    whole, part = (prepare(c, ("plan",), 0.2, "map") for c in (cloud, piece))
    known = {tuple(np.rint(100 * (x + whole.origin)).astype(int)): row for x, row in zip(whole.xyz, whole.features, strict=True)}
    found = [
        (known.get(tuple(np.rint(100 * (x + part.origin)).astype(int))), r) for x, r in zip(part.xyz, part.features, strict=True)
    ]
    both = [(there, here) for there, here in found if there is not None]
    assert len(both) == len(part.xyz)
    there, here = map(np.stack, zip(*both, strict=True))
    np.testing.assert_allclose(here, there, atol=1e-4)


@pytest.mark.parametrize("damage", ["cut", "other"])
def test_a_damaged_checkpoint_is_one_line(corpus: Corpus, tmp_path: Path, damage: str) -> None:
    recipe = TrainRecipe(**SMALL)

    def stop(text: str, done: int, total: int) -> None:
        if text.startswith("steps") and done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(recipe, corpus, (), tmp_path / "run", progress=stop)
    kept = tmp_path / "run" / "resume.safetensors"
    kept.write_bytes(kept.read_bytes()[:100] if damage == "cut" else save({"a": np.zeros(3)}))
    with pytest.raises(FileError, match="is damaged, or of another training"):
        train(recipe, corpus, (), tmp_path / "run")


@pytest.mark.parametrize(
    "change",
    [
        {"data": [1]},
        {"data": [{"units": ["a"], "classes": {}}]},
        {"data": [{"units": 1, "classes": {}, "corpus": "a"}]},
        {"mean": [0.0]},
        {"mean": 0.0},
        {"mean": [float("nan")] * FEATURES},
        {"mean": [[0.0]] * FEATURES},
        {"mean": [[0.0]] * FEATURES, "spread": [[1.0]] * FEATURES},
        {"spread": [0.0] * FEATURES},
        {"spread": [float("inf")] * FEATURES},
        {"quantiles": [[0.0] * FEATURES] * 8},
        {"quantiles": [0.0] * FEATURES},
        {"usual": [0.0]},
        {"recipe": {"network": "pointnot"}},
        {"classes": []},
        {"classes": [{"name": "a", "nodes": [9999], "colour": [0, 0, 0]}]},
    ],
)
def test_a_card_that_does_not_fit_together_is_one_line(trained: Run, tmp_path: Path, change: dict[str, object]) -> None:
    card = json.loads((trained.folder / "card.json").read_text())
    (tmp_path / "card.json").write_text(json.dumps(card | change))
    with pytest.raises(FileError, match="is damaged"):
        Run.card(tmp_path)


@pytest.mark.parametrize("shares", [[0], [-1], [1, 0]])
def test_shares_are_above_zero(shares: list[float]) -> None:
    with pytest.raises(RecipeError, match="synthetic_shares"):
        load_recipe("pillars", [f"synthetic_shares={shares}"])


def test_heights_in_a_cell_are_told_from_its_lowest_and_highest() -> None:
    xyz = np.column_stack([np.full(3, 0.5), np.full(3, 0.5), [0.0, 1.0, 3.0]])
    found = prepare(PointCloud(xyz), ("plan",), 0.1, "sensor").features
    np.testing.assert_allclose(found[:, :3], [[0, 3, np.log(3)], [1, 2, np.log(3)], [3, 0, np.log(3)]], atol=1e-6)


def test_returns_are_the_number_and_how_many() -> None:
    fields = {"return_number": np.uint8([1, 2]), "number_of_returns": np.uint8([3, 2])}
    found = prepare(PointCloud(np.array([[0.0, 0, 0], [5, 5, 5]]), fields), ("returns",), 0.1, "sensor").features
    np.testing.assert_array_equal(found, [[1, 3], [2, 2]])


def test_returns_that_nobody_measured_are_the_only_ones() -> None:
    xyz = np.array([[0.0, 0, 0], [5, 5, 5]])
    zeros = {name: np.zeros(2, np.uint8) for name in ("return_number", "number_of_returns")}  # as LAS files of bare points hold
    for cloud in (PointCloud(xyz), PointCloud(xyz, zeros)):
        np.testing.assert_array_equal(prepare(cloud, ("returns",), 0.1, "map").features, np.ones((2, 2)))


def test_a_recipe_takes_lists_as_files_do() -> None:
    said = {"features": ["plan", "geometry"], "synthetic_shares": [1, 2], "augment": [{"name": "flip"}]}
    assert TrainRecipe(**said) == TrainRecipe(**{key: tuple(value) for key, value in said.items()})
    assert TrainRecipe(**said).synthetic_shares == (1.0, 2.0)
