"""Scores of generated objects against real ones: MMD, coverage, 1-NNA and memorisation, by Chamfer distance.

Definitions: Achlioptas et al., ICML 2018 (MMD, COV); Yang et al., PointFlow, ICCV 2019 (1-NNA).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pcaug.cloud import PointCloud

Distances = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """How samples compare with held-out real objects.

    Attributes:
        mmd: Mean over real objects of the distance to the nearest sample, metres; lower is better.
        coverage: Share of real objects that are some sample's nearest; higher is better.
        one_nna: Accuracy of a nearest-neighbour test between the two sets; 0.5 is indistinguishable.
        memorised: Median distance of samples to training objects over that of held-out objects; far below 1 is copying.
    """

    mmd: float
    coverage: float
    one_nna: float
    memorised: float


def chamfer(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Symmetric mean nearest-point distance in metres between (N, 3) and (M, 3)."""
    return float(cKDTree(b).query(a)[0].mean() + cKDTree(a).query(b)[0].mean()) / 2


def pairwise(first: Sequence[PointCloud], second: Sequence[PointCloud]) -> Distances:
    """Chamfer distances (len(first), len(second)) float64."""
    trees = [cKDTree(cloud.xyz) for cloud in second]
    table = np.zeros((len(first), len(second)))
    for i, cloud in enumerate(first):
        own = cKDTree(cloud.xyz)
        for j, other in enumerate(second):
            table[i, j] = (trees[j].query(cloud.xyz)[0].mean() + own.query(other.xyz)[0].mean()) / 2
    return table


def score(samples: Sequence[PointCloud], held_out: Sequence[PointCloud], training: Sequence[PointCloud]) -> Scores:
    """Score samples against real objects that the generator never saw."""
    across = pairwise(samples, held_out)
    within_samples, within_real = pairwise(samples, samples), pairwise(held_out, held_out)
    copied = np.median(pairwise(samples, training).min(axis=1)) / max(np.median(pairwise(held_out, training).min(axis=1)), 1e-12)
    return Scores(
        mmd=float(across.min(axis=0).mean()),
        coverage=len(np.unique(across.argmin(axis=1))) / len(held_out),
        one_nna=one_nna(within_samples, across, within_real),
        memorised=float(copied),
    )


def one_nna(samples: Distances, across: Distances, real: Distances) -> float:
    """Accuracy of the nearest-neighbour test from distances within samples, across to real objects, and within these."""
    table = np.block([[samples, across], [across.T, real]])
    np.fill_diagonal(table, np.inf)
    is_sample = np.arange(len(table)) < len(samples)
    return float((is_sample[table.argmin(axis=1)] == is_sample).mean())
