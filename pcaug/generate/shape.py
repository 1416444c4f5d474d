"""A statistical shape model: objects in point-to-point correspondence, their mean and principal variations.

After Cootes et al., "Active Shape Models", CVIU 1995: x = mean + P b, with b drawn from the normal distribution of the
training objects' own coefficients. Correspondence is the optimal assignment (least squared distance) of each object's
points to those of a template.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, PcaugError

Shapes = NDArray[np.float32]


@dataclass(frozen=True)
class ShapeModel:
    """Mean and variations of a class of objects.

    Attributes:
        mean: (M, 3) float32, metres, foot at z = 0.
        modes: (K, M, 3) float32, unit variations.
        spread: (K,) float32, standard deviation of each coefficient.
        label: Name of the class.
        trained_on: Number of objects that it was fitted to.
    """

    mean: Shapes
    modes: Shapes
    spread: NDArray[np.float32]
    label: str
    trained_on: int

    def sample(self, n: int, rng: np.random.Generator) -> list[PointCloud]:
        """Draw new objects, each (M, 3), labelled with the class; coefficients are clipped at 2.5 deviations."""
        taxonomy = catalogue.taxonomy()
        node = taxonomy.id(self.label)
        draws = np.clip(rng.standard_normal((n, len(self.spread))), -2.5, 2.5) * self.spread
        shapes = self.mean + np.tensordot(draws, self.modes, axes=1)
        labels = np.full(len(self.mean), node, np.uint16)
        return [PointCloud(shape, {"label": labels}, taxonomy, source=Source("generated", self.label)) for shape in shapes]

    def save(self, folder: Path) -> None:
        """Write ``weights.safetensors`` and ``card.json`` into a folder, beside and renamed."""
        from safetensors.numpy import save_file

        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / f".weights.tmp-{os.getpid()}"
        save_file({"mean": self.mean, "modes": self.modes, "spread": self.spread}, partial)
        card = {"kind": "shape", "label": self.label, "trained_on": self.trained_on, "points": len(self.mean)}
        (folder / "card.json").write_text(json.dumps(card, indent=2) + "\n")
        partial.replace(folder / "weights.safetensors")

    @classmethod
    def load(cls, folder: Path) -> ShapeModel:
        """Read a saved model; raises FileError."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            card = json.loads((folder / "card.json").read_text())
            arrays = load_file(folder / "weights.safetensors")
            return cls(arrays["mean"], arrays["modes"], arrays["spread"], str(card["label"]), int(card["trained_on"]))
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise FileError(f"is no generator ({error})", folder, "make one with pcaug generate fit") from None


def fit(objects: Sequence[PointCloud], label: str, rng: np.random.Generator, *, points: int = 256, modes: int = 12) -> ShapeModel:
    """Fit a shape model.

    Args:
        objects: Single objects, upright at the origin (``gather``).
        label: Class name that samples will carry.
        rng: Chooses the points of each object.
        points: M, points of an object.
        modes: Most variations to keep; fewer where 98 % of the variance needs fewer.

    Raises:
        PcaugError: With fewer than three objects.
    """
    if len(objects) < 3:
        raise PcaugError(f"{len(objects)} objects are too few to learn from", label, "give at least three, better fifty")
    shapes = np.stack([_resample(cloud.xyz, points, rng) for cloud in objects])
    template = shapes[np.argmin([_size_rank(shapes, index) for index in range(len(shapes))])]
    for _ in range(2):  # the second round corresponds to the mean, which is smoother than any one object
        shapes = np.stack([shape[_correspondence(template, shape)] for shape in shapes])
        template = shapes.mean(axis=0)
    offsets = (shapes - template).reshape(len(shapes), -1)
    _, singular, axes = np.linalg.svd(offsets, full_matrices=False)
    share = np.cumsum(singular**2) / max(float(np.sum(singular**2)), 1e-12)
    kept = min(modes, len(objects) - 1, int(np.searchsorted(share, 0.98)) + 1)
    spread = singular[:kept] / np.sqrt(len(shapes) - 1)
    return ShapeModel(
        template.astype(np.float32),
        axes[:kept].reshape(kept, points, 3).astype(np.float32),
        spread.astype(np.float32),
        label,
        len(objects),
    )


def _resample(xyz: NDArray[np.float64], count: int, rng: np.random.Generator) -> NDArray[np.float64]:
    chosen: NDArray[np.float64] = xyz[rng.choice(len(xyz), count, replace=len(xyz) < count)]
    return chosen


def _size_rank(shapes: NDArray[np.float64], index: int) -> float:
    """How far an object's extents are from the median object's."""
    extents = np.ptp(shapes, axis=1)
    return float(np.abs(extents[index] - np.median(extents, axis=0)).sum())


def _correspondence(template: NDArray[np.float64], shape: NDArray[np.float64]) -> NDArray[np.intp]:
    order: NDArray[np.intp] = linear_sum_assignment(cdist(template, shape, "sqeuclidean"))[1]
    return order
