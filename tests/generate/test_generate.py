"""The shape model learns sizes and shapes, and its scores can tell good samples from bad ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import make_cloud

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import FileError, LabelError, PcaugError
from pcaug.generate import ShapeModel, fit, gather, score

TAXONOMY = catalogue.taxonomy()
CAR = TAXONOMY.id("car")


def box(length: float, width: float, height: float, rng: np.random.Generator, n: int = 300) -> np.ndarray:
    """Points on the sides and roof of a box standing at the origin."""
    points = rng.uniform(-0.5, 0.5, (n, 3)) * (length, width, height)
    face = rng.integers(0, 3, n)
    points[face == 0, 0] = np.sign(points[face == 0, 0]) * length / 2
    points[face == 1, 1] = np.sign(points[face == 1, 1]) * width / 2
    points[face == 2, 2] = height / 2
    return points + (0, 0, height / 2)


def street(rng: np.random.Generator, cars: int = 24, *, instances: bool) -> PointCloud:
    parts, owner = [], []
    for index in range(cars):
        xyz = box(rng.normal(4.4, 0.3), 1.8, 1.5, rng)
        angle = rng.uniform(0, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        parts.append(xyz @ turn.T + (index * 12.0, 5.0, -1.7))
        owner.append(np.full(len(xyz), index + 1, np.int32))
    labels = np.full(len(parts) * 300, CAR, np.uint16)
    fields = {"label": labels} | ({"instance": np.concatenate(owner)} if instances else {})
    return PointCloud(np.concatenate(parts), fields, TAXONOMY)


@pytest.mark.parametrize("instances", [True, False])
def test_objects_are_found_and_set_upright(instances: bool) -> None:
    objects = gather([street(np.random.default_rng(0), instances=instances)], "vehicle")
    assert len(objects) == 24
    for cloud in objects:
        low, high = cloud.bounds
        assert low[2] == pytest.approx(0, abs=1e-9)
        assert high[0] - low[0] > high[1] - low[1]


def test_samples_have_the_sizes_of_the_class_and_beat_noise() -> None:
    rng = np.random.default_rng(1)
    objects = gather([street(rng, 40, instances=True)], "car")
    model = fit(objects[:30], "car", rng, points=200)
    samples = model.sample(10, rng)
    lengths = [np.ptp(cloud.xyz[:, 0]) for cloud in samples]
    assert 3.5 < np.mean(lengths) < 5.0
    assert all((cloud["label"] == CAR).all() for cloud in samples)
    noise = [PointCloud(rng.normal(0, 1, (200, 3)) + (0, 0, 0.75), {"label": cloud["label"]}, TAXONOMY) for cloud in samples]
    ours, theirs = score(samples, objects[30:], objects[:30]), score(noise, objects[30:], objects[:30])
    assert ours.mmd < 0.5 * theirs.mmd
    assert ours.coverage >= theirs.coverage


def test_copies_of_the_training_set_are_called_out() -> None:
    rng = np.random.default_rng(2)
    objects = gather([street(rng, 30, instances=True)], "car")
    assert score(objects[:10], objects[20:], objects[:20]).memorised < 0.1
    assert score(objects[10:20], objects[20:], objects[:10]).memorised > 0.7


def test_identical_sets_cannot_be_told_apart() -> None:
    rng = np.random.default_rng(3)
    objects = gather([street(rng, 40, instances=True)], "car")
    assert 0.2 < score(objects[:20], objects[20:], objects[:20]).one_nna < 0.8


def test_saved_model_samples_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    model = fit(gather([street(rng, instances=True)], "car"), "car", rng, points=64)
    model.save(tmp_path / "m")
    a, b = (m.sample(2, np.random.default_rng(9)) for m in (model, ShapeModel.load(tmp_path / "m")))
    np.testing.assert_array_equal(a[1].xyz, b[1].xyz)


def test_what_cannot_be_learned_says_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    with pytest.raises(LabelError, match="no object of class 'car'"):
        gather([make_cloud(20)], "car")
    with pytest.raises(PcaugError, match="too few"):
        fit(gather([street(rng, 2, instances=True)], "car"), "car", rng)
    (tmp_path / "card.json").write_text("{}")
    with pytest.raises(FileError, match="is no generator"):
        ShapeModel.load(tmp_path)
