"""Cars as boxes, and streets of them."""

from __future__ import annotations

import numpy as np

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.generate.bank import ObjectSample
from pcaug.generate.model import View, sampled

TAXONOMY = catalogue.taxonomy()
CAR = TAXONOMY.id("car")


def make_box(length: float, width: float, height: float, rng: np.random.Generator, n: int = 300) -> np.ndarray:
    """Points on the sides and roof of a box standing at the origin."""
    points = rng.uniform(-0.5, 0.5, (n, 3)) * (length, width, height)
    face = rng.integers(0, 3, n)
    points[face == 0, 0] = np.sign(points[face == 0, 0]) * length / 2
    points[face == 1, 1] = np.sign(points[face == 1, 1]) * width / 2
    points[face == 2, 2] = height / 2
    return points + (0, 0, height / 2)


def make_street(rng: np.random.Generator, cars: int = 24, *, instances: bool) -> PointCloud:
    """Cars in a row, each turned its own way."""
    parts, owner = [], []
    for index in range(cars):
        xyz = make_box(rng.normal(4.4, 0.3), 1.8, 1.5, rng)
        angle = rng.uniform(0, np.pi)
        turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
        parts.append(xyz @ turn.T + (index * 12.0, 5.0, -1.7))
        owner.append(np.full(len(xyz), index + 1, np.int32))
    labels = np.full(len(parts) * 300, CAR, np.uint16)
    fields = {"label": labels} | ({"instance": np.concatenate(owner)} if instances else {})
    return PointCloud(np.concatenate(parts), fields, TAXONOMY)


def make_cars(n: int, seed: int = 0, points: int = 200) -> list[ObjectSample]:
    """Cars of many sizes, seen from all round."""
    rng = np.random.default_rng(seed)
    return [
        sampled(
            make_box(rng.normal(4.4, 0.4), rng.normal(1.8, 0.1), 1.5, rng, points), "car", View(rng.uniform(-3, 3), 12.0), "test"
        )
        for _ in range(n)
    ]
