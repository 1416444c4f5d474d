"""A statistical shape model: objects in point-to-point correspondence, their mean and principal variations.

After Cootes et al., "Active Shape Models", CVIU 1995: x = mean + P b, with b drawn from the normal distribution of the
training objects' own coefficients. Correspondence is the optimal assignment (least squared distance) of each object's
points to those of a template.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from pcaug.generate.bank import ObjectSample
from pcaug.generate.model import ModelCard, View, check_enough, resampled, sampled

Shapes = NDArray[np.float32]


@dataclass(frozen=True)
class ShapeModel:
    """Mean and variations of a class of objects.

    Attributes:
        card: What it was fitted to.
        mean: (M, 3) float32, metres, foot at z = 0.
        modes: (K, M, 3) float32, unit variations.
        spread: (K,) float32, standard deviation of each coefficient.
        rest: (M,) float32, standard deviation of what the modes leave over, per coordinate of a point.
        views: (N, 2) float32, azimuth and distance from which the training objects were seen.
    """

    card: ModelCard
    mean: Shapes
    modes: Shapes
    spread: NDArray[np.float32]
    rest: NDArray[np.float32]
    views: NDArray[np.float32]

    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """Everything to be kept, by name."""
        return {name: getattr(self, name) for name in ("mean", "modes", "spread", "rest", "views")}

    @classmethod
    def of(cls, card: ModelCard, arrays: Mapping[str, NDArray[Any]]) -> ShapeModel:
        """From its card and arrays; raises KeyError where one is missing."""
        return cls(card, *(arrays[name] for name in ("mean", "modes", "spread", "rest", "views")))

    def sample(self, n: int, rng: np.random.Generator, points: int | None = None) -> list[ObjectSample]:
        """Draw new objects, each (points, 3); coefficients are clipped at 2.5 deviations.

        More points than the model has are drawn between neighbours, fewer are a subset.
        """
        draws = np.clip(rng.standard_normal((n, len(self.spread))), -2.5, 2.5) * self.spread
        shapes = self.mean + np.tensordot(draws, self.modes, axes=1)
        shapes = shapes + rng.standard_normal(shapes.shape) * self.rest[:, None]
        views = self.views[rng.integers(len(self.views), size=n)]
        name = self.card.classes[0]
        return [
            sampled(_sized(shape, points or len(self.mean), rng), name, View(float(view[0]), float(view[1])), "shape")
            for shape, view in zip(shapes, views, strict=True)
        ]


def fit(things: Sequence[ObjectSample], card: ModelCard, rng: np.random.Generator, *, modes: int = 12) -> ShapeModel:
    """Fit a shape model to objects of one class.

    Args:
        things: The objects.
        card: Says class and points.
        rng: Chooses the points of each object.
        modes: Most variations to keep; fewer where 98 % of the variance needs fewer.

    Raises:
        PcaugError: With fewer than three objects.
    """
    check_enough(things, card.classes[0])
    shapes = np.stack([resampled(thing.upright.xyz, card.points, rng) for thing in things])
    template = shapes[np.argmin([_size_rank(shapes, index) for index in range(len(shapes))])]
    for _ in range(2):  # the second round corresponds to the mean, which is smoother than any one object
        shapes = np.stack([shape[_correspondence(template, shape)] for shape in shapes])
        template = shapes.mean(axis=0)
    offsets = (shapes - template).reshape(len(shapes), -1)
    _, singular, axes = np.linalg.svd(offsets, full_matrices=False)
    share = np.cumsum(singular**2) / max(float(np.sum(singular**2)), 1e-12)
    kept = min(modes, len(shapes) - 1, int(np.searchsorted(share, 0.98)) + 1)
    left = offsets - (offsets @ axes[:kept].T) @ axes[:kept]
    return ShapeModel(
        card,
        template.astype(np.float32),
        axes[:kept].reshape(kept, card.points, 3).astype(np.float32),
        (singular[:kept] / np.sqrt(len(shapes) - 1)).astype(np.float32),
        np.sqrt((left.reshape(shapes.shape) ** 2).mean(axis=(0, 2))).astype(np.float32),
        np.array([[thing.viewpoint, thing.row.distance or 15.0] for thing in things], np.float32),
    )


def _sized(shape: NDArray[Any], points: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """So many points of a shape: a subset, or its own and more on the lines between neighbours."""
    shape = np.asarray(shape, np.float64)
    if points <= len(shape):
        return shape[rng.permutation(len(shape))[:points]]
    from scipy.spatial import cKDTree

    start = rng.integers(len(shape), size=points - len(shape))
    near = cKDTree(shape).query(shape[start], k=4)[1][np.arange(len(start)), rng.integers(1, 4, len(start))]
    between = shape[start] + rng.random((len(start), 1)) * (shape[near] - shape[start])
    return np.concatenate([shape, between])


def _size_rank(shapes: NDArray[np.float64], index: int) -> float:
    """How far an object's extents are from the median object's."""
    extents = np.ptp(shapes, axis=1)
    return float(np.abs(extents[index] - np.median(extents, axis=0)).sum())


def _correspondence(template: NDArray[np.float64], shape: NDArray[np.float64]) -> NDArray[np.intp]:
    order: NDArray[np.intp] = linear_sum_assignment(cdist(template, shape, "sqeuclidean"))[1]
    return order
