"""Synthetic sources of a study: what is made of real clouds is made of those of the draw alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import RecipeError
from pcaug.study.plan import plan
from pcaug.study.recipe import StudyRecipe, Synthetic
from pcaug.study.run import run_study
from pcaug.study.sources import COST, cost, make

TREE = catalogue.taxonomy()


def gardens(folder: Path, units: int = 3, heads: int = 4, seed: int = 0) -> Corpus:
    """Flat ground with round trees, one tile a unit."""
    with CorpusWriter(folder) as writer:
        for unit in range(units):
            rng = np.random.default_rng((seed, unit))
            flat = np.column_stack([rng.uniform(0, 30, (4000, 2)), rng.normal(0, 0.02, 4000)])
            places = rng.permutation([(x, y) for x in (5, 12, 19, 26) for y in (5, 12, 19, 26)])[:heads]
            balls = [rng.normal((x, y, 2.5), (0.6, 0.6, 0.9), (150, 3)) for x, y in places]
            label = np.repeat([TREE.id("ground"), TREE.id("tree")], [4000, 150 * heads]).astype(np.uint16)
            fields = {"label": label, "instance": np.repeat(np.arange(heads + 1), [4000, *[150] * heads]).astype(np.int32)}
            writer.add(PointCloud(np.concatenate([flat, *balls]), fields, TREE), f"u{unit}", f"u{unit}")
    return Corpus.open(folder)


def source(**values: object) -> Synthetic:
    return Synthetic.model_validate({"name": "s", "number": 2, **values}, strict=False)


def test_copies_are_the_real_clouds(tmp_path: Path) -> None:
    real = gardens(tmp_path / "real")
    made = make(source(copies=True), real.only(units=["u0"]), tmp_path / "made", 0)
    assert made.units == ["u0"]
    assert {tile.kind for tile in made.tiles} == {"synthetic"}
    for tile in made.tiles:
        np.testing.assert_array_equal(made.read(tile).xyz, real.read(real.tiles[0]).xyz)
    assert cost(made.folder / COST)["gigabytes"] > 0


def test_noise_exchanges_labels_and_keeps_their_counts(tmp_path: Path) -> None:
    real = gardens(tmp_path / "real")
    clean = make(source(copies=True, number=1), real, tmp_path / "clean", 0)
    noisy = make(source(copies=True, number=1, noise=0.5), real, tmp_path / "noisy", 0)
    assert noisy.counts() == clean.counts()
    share = np.mean([a["label"] != b["label"] for a, b in zip(clean.clouds(), noisy.clouds(), strict=True)])
    trees = clean.counts()["tree"] / clean.points
    assert share == pytest.approx(0.5 * 2 * trees * (1 - trees), rel=0.1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clean", "noisy", "real"]


def test_learned_objects_are_pasted_into_copies(tmp_path: Path) -> None:
    real = gardens(tmp_path / "real")
    made = make(source(generate="shape", classes=["tree", "car"], objects=5), real.only(units=["u1"]), tmp_path / "made", 0)
    assert set(made.units) == {"u1"}
    before = real.only(units=["u1"]).counts()
    assert made.counts()["tree"] > 2 * before["tree"] + 50  # two copies, and new trees in them
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made", "real"]
    with pytest.raises(RecipeError, match="no class of car has 3 objects to learn from"):
        make(source(generate="shape", classes=["car"]), real, tmp_path / "none", 0)


def test_a_source_is_made_in_one_way() -> None:
    for values in ({}, {"recipe": "town", "copies": True}, {"corpus": "x", "like": True}):
        with pytest.raises(ValidationError):
            source(**values)


def study(real: Corpus, **changes: object) -> StudyRecipe:
    values = {
        "title": "can it say no",
        "real": {"source": str(real.folder), "test_units": ["u4", "u5"]},
        "synthetic": [{"name": "copies", "copies": True, "number": 2}, {"name": "noise", "copies": True, "noise": 1.0}],
        "arms": [
            {"name": "real"},
            {"name": "copies", "synthetic": ["copies"]},
            {"name": "noise", "synthetic": ["noise"], "set": ["real_share=0.1"]},
        ],
        "baseline": "real",
        "models": ["trees"],
        "set": ["voxel=0.2", "trees=20", "classes=als3"],
        "budgets": [1],
        "draws": 4,
        "seeds": 1,
    }
    return StudyRecipe.model_validate(values | changes, strict=False)


def test_copies_do_not_help_and_wrong_labels_hurt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path / "cache"))
    real = gardens(tmp_path / "real", 6)
    done = run_study(study(real), tmp_path / "study")
    gains = {row.arm: row.gain for row in done.summaries}
    copies, noise = gains["copies"], gains["noise"]
    assert copies is not None
    assert copies.low <= 0.005
    assert abs(copies.mean) < 0.02
    assert noise is not None
    assert noise.high < -0.02
    assert set(done.synthetic) == {f"{name}_b1_d{draw}" for name in ("copies", "noise") for draw in range(4)}
    for job in done.jobs:
        if job.arm.synthetic:
            assert done.synthetic[f"{job.arm.synthetic[0]}_b1_d{job.draw}"].units == list(job.units)


def test_workers_give_the_same_numbers_and_pretraining_is_for_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PCAUG_CACHE", str(tmp_path / "cache"))
    real = gardens(tmp_path / "real", 6)
    recipe = study(
        real,
        models=["trees", "pointnet"],
        synthetic=[{"name": "more", "corpus": str(gardens(tmp_path / "more", 2, seed=1).folder)}],
        arms=[{"name": "real"}, {"name": "first", "synthetic": ["more"], "pretrain": True}],
        set=["steps=8", "points=64", "batch=4", "block=8.0", "voxel=0.3", "classes=als3", "precision=float32", "trees=5"],
        draws=1,
    )
    assert [(job.model, job.arm.name) for job in plan(recipe, ["u0"])] == [
        ("trees", "real"), ("pointnet", "real"), ("pointnet", "first"),
    ]  # fmt: skip
    one = run_study(recipe, tmp_path / "one")
    two = run_study(recipe, tmp_path / "two", workers=2)
    assert [r.iou for r in one.results] == [r.iou for r in two.results]
    assert (tmp_path / "one/runs/pointnet_first_b1_d0_s0/pretrained/log.csv").read_text().count("\n") == 1 + 4
