"""Scores against the definitions of their papers, written down once more; and what they must be able to tell."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from generate.builders_generate import make_cars

from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.generate import score as room
from pcaug.generate.bank import ObjectSample, described
from pcaug.generate.model import View, sampled
from pcaug.generate.report import floors, scored
from pcaug.generate.score import chamfer, coverage, emd, mmd, one_nna, pairwise, score


def test_distances_are_those_of_the_papers() -> None:
    """Achlioptas et al., ICML 2018: CD = sum of mean squared nearest distances, EMD = min over bijections, by brute force."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(6, 3)), rng.normal(size=(6, 3))
    cd = np.mean([min(np.sum((x - y) ** 2) for y in b) for x in a]) + np.mean([min(np.sum((x - y) ** 2) for x in a) for y in b])
    best = min(np.mean([np.linalg.norm(a[i] - b[j]) for i, j in enumerate(order)]) for order in itertools.permutations(range(6)))
    assert chamfer(a, b) == pytest.approx(cd)
    assert emd(a, b) == pytest.approx(best)


def test_earth_movers_distance_is_that_of_python_optimal_transport() -> None:
    ot = pytest.importorskip("ot")
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(40, 3)), rng.normal(1, 2, (40, 3))
    assert emd(a, b) == pytest.approx(ot.emd2([], [], ot.dist(a, b, metric="euclidean")))


def test_scores_are_those_of_the_papers() -> None:
    """Definitions of PointFlow (ICCV 2019), section 5.1, loop by loop."""
    rng = np.random.default_rng(1)
    new = [rng.normal(0, 1, (12, 3)) for _ in range(7)]
    real = [rng.normal(0.3, 1.2, (12, 3)) for _ in range(7)]
    across = pairwise(new, real, chamfer)
    assert mmd(across) == pytest.approx(np.mean([min(chamfer(x, y) for x in new) for y in real]))
    matched = {min(range(7), key=lambda j, x=x: chamfer(x, real[j])) for x in new}
    assert coverage(across) == pytest.approx(len(matched) / 7)
    everyone = [(x, True) for x in new] + [(y, False) for y in real]
    right = 0
    for i, (x, mine) in enumerate(everyone):
        nearest = min((j for j in range(14) if j != i), key=lambda j, x=x: chamfer(x, everyone[j][0]))
        right += everyone[nearest][1] == mine
    table = one_nna(pairwise(new, new, chamfer), across, pairwise(real, real, chamfer))
    assert table == pytest.approx(right / 14)


def test_copies_of_the_training_set_are_called_out() -> None:
    cars = make_cars(36)
    rng = np.random.default_rng(0)
    copied = [sampled(t.upright.xyz + rng.normal(0, 0.005, t.upright.xyz.shape), "car", View(0.0, 9.0), "x") for t in cars[:10]]
    caught = score(copied, cars[24:], cars[:24], rng, points=200)
    assert caught.memorised < room.COPIED
    assert "COPIES ITS TRAINING SET" in caught.verdict
    assert caught.nearest == tuple(range(10))
    honest = score(cars[12:24], cars[24:], cars[:12], rng)
    assert "no sign of copying" in honest.verdict


def test_held_out_objects_that_are_training_objects_tell_nothing() -> None:
    cars, rng = make_cars(30), np.random.default_rng(0)
    size = max(len(car.upright) for car in cars)  # all their points
    with pytest.raises(PcaugError, match="all held-out objects are training objects"):
        score(cars[:10], cars[:10], cars[:20], rng, points=size)
    mixed = score(cars[:10], [*cars[:4], *cars[20:]], cars[:20], rng, points=size)
    assert "COPIES ITS TRAINING SET" in mixed.verdict
    assert mixed.by_chance == pytest.approx((0.05 * 9 + 1) / 11)  # of ten that are held out
    with pytest.raises(PcaugError, match="no objects to score"):
        score([], cars[:3], cars, rng)


def test_identical_sets_cannot_be_told_apart_and_noise_can() -> None:
    cars = make_cars(45)
    rng = np.random.default_rng(0)
    arms = {"real": cars[:15]} | floors(cars[15:30], 15, rng)
    scores = scored(arms, cars[30:], cars[15:30], 0, 64)
    assert 0.2 < scores["real"].nna_cd < 0.8
    assert scores["Gaussian noise"].nna_cd > 0.9
    assert scores["Gaussian noise"].mmd_emd > 1.5 * scores["real"].mmd_emd
    assert scores["training objects, naively augmented"].cov_emd >= scores["Gaussian noise"].cov_emd


def test_classes_are_compared_with_their_own_held_out_objects() -> None:
    """Poles lie centimetres from the next pole and trees metres from the next tree: neither says that poles are copies."""
    rng = np.random.default_rng(0)

    def things(name: str, count: int, spread: float) -> list[ObjectSample]:
        clouds = [PointCloud(rng.normal(0, spread, (60, 3)) + rng.normal(0, spread / 5, 3)) for _ in range(count)]
        return [described(cloud, name, "unit", "spinning") for cloud in clouds]

    training = things("pole", 12, 0.05) + things("tree", 12, 2.0)
    mixed = things("pole", 4, 0.05) + things("tree", 12, 2.0)
    scores = score(things("pole", 12, 0.05), mixed, training, rng, points=32)
    assert "no sign of copying" in scores.verdict
    assert scores.memorised > 0.5
    copied = score(training[:12], mixed, training, np.random.default_rng(1), points=60)
    assert "COPIES ITS TRAINING SET" in copied.verdict
