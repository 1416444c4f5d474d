"""Scores of generated objects against real ones: MMD, coverage, 1-NNA, each by Chamfer and earth mover's distance; memorisation.

Definitions: Achlioptas et al., ICML 2018 (MMD, COV, both distances); Yang et al., PointFlow, ICCV 2019 (1-NNA, section 5.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from pcaug.errors import PcaugError
from pcaug.generate.bank import ObjectSample
from pcaug.generate.model import resampled

Points = NDArray[np.float64]
Table = NDArray[np.float64]
SAME = 1e-9
"""Chamfer distance, m^2, up to which a held-out object is a training object."""
BY_CHANCE = 0.05
"""Share of held-out objects that would be called copies."""
COPIED = 0.5
"""Samples that lie less than this share as far from the training objects as held-out objects do are copies of them."""


def chamfer(a: Points, b: Points) -> float:
    """Chamfer distance of (N, 3) and (M, 3): mean squared nearest distance there plus back, in m^2."""
    table = cdist(a, b, "sqeuclidean")
    return float(table.min(axis=1).mean() + table.min(axis=0).mean())


def emd(a: Points, b: Points) -> float:
    """Earth mover's distance of two sets of N points: mean distance in metres under the best one-to-one assignment."""
    table = cdist(a, b)
    return float(np.mean(table[linear_sum_assignment(table)]))


def unsquared_chamfer(a: Points, b: Points) -> float:
    """Mean nearest distance there and back of (N, 3) and (M, 3), in metres: Chamfer without squares, for objects of any size."""
    return float(cKDTree(b).query(a)[0].mean() + cKDTree(a).query(b)[0].mean()) / 2


Distance = Callable[[Points, Points], float]
DISTANCES: dict[str, Distance] = {"CD": chamfer, "EMD": emd}


def pairwise(first: Sequence[Points], second: Sequence[Points], distance: Distance) -> Table:
    """Distances (len(first), len(second)); the upper half is computed once where both are the same sequence."""
    table = np.zeros((len(first), len(second)))
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            if first is second and j <= i:
                table[i, j] = table[j, i] if j < i else 0.0
            else:
                table[i, j] = distance(one, other)
    return table


def mmd(across: Table) -> float:
    """Minimum matching distance: mean over real objects (columns) of the distance to the nearest sample; lower is better."""
    return float(across.min(axis=0).mean())


def coverage(across: Table) -> float:
    """Share of real objects (columns) that are some sample's nearest; higher is better."""
    return len(np.unique(across.argmin(axis=1))) / int(across.shape[1])


def one_nna(samples: Table, across: Table, real: Table) -> float:
    """Accuracy of telling samples from real objects by their nearest neighbour among all others; 0.5 is the best."""
    table = np.block([[samples, across], [across.T, real]])
    np.fill_diagonal(table, np.inf)
    is_sample = np.arange(len(table)) < len(samples)
    return float(np.mean(is_sample[table.argmin(axis=1)] == is_sample))


@dataclass(frozen=True)
class Scores:
    """How samples compare with held-out real objects, by Chamfer (cd) and earth mover's (emd) distance.

    Attributes:
        mmd_cd, mmd_emd: Minimum matching distance, m^2 and m; lower is better.
        cov_cd, cov_emd: Coverage; higher is better.
        nna_cd, nna_emd: 1-NN accuracy; 0.5 is indistinguishable.
        memorised: Median over samples of their Chamfer distance to the nearest training object, over the median of the held-out
            objects of their class (of all, where there is none: poles are nearer to poles than trees to trees).
        copies: Share of samples that are nearer to a training object than 95 % of those held-out ones are.
        nearest: For each sample the row of the nearest training object.
        by_chance: ``copies`` to be expected of samples that are like held-out ones, which few of these tell but roughly.
    """

    mmd_cd: float
    mmd_emd: float
    cov_cd: float
    cov_emd: float
    nna_cd: float
    nna_emd: float
    memorised: float
    copies: float
    nearest: tuple[int, ...]
    by_chance: float = BY_CHANCE

    @property
    def verdict(self) -> str:
        """What the memorisation figures mean."""
        share = f"{100 * self.copies:.0f} % of the samples lie nearer to a training object than 95 % of held-out objects do"
        if self.memorised < COPIED and self.copies > self.by_chance:
            return f"COPIES ITS TRAINING SET: {share}; such samples add nothing that the training data has not"
        told = f"{share} ({100 * self.by_chance:.0f} % by chance)"
        found = "some may be copies, look at the pairs" if self.copies > 2 * self.by_chance else "no sign of copying"
        return f"{found}: {told}"


def score(
    samples: Sequence[ObjectSample],
    held_out: Sequence[ObjectSample],
    training: Sequence[ObjectSample],
    rng: np.random.Generator,
    *,
    points: int = 128,
) -> Scores:
    """Score samples against real objects that the generator never saw, each in its own frame with so many points.

    As many samples as held-out objects are the fair number for COV and 1-NNA.

    Raises:
        PcaugError: Without samples or held-out objects, or where all held-out ones are training objects: nothing tells of copies.
    """
    if not samples or not held_out:
        raise PcaugError("no objects to score", do="give a generator's bank and one of real objects")
    new, real, known = ([resampled(t.upright.xyz, points, rng) for t in things] for things in (samples, held_out, training))
    values = {}
    for name, distance in DISTANCES.items():
        across = pairwise(new, real, distance)
        key = name.lower()
        values[f"mmd_{key}"], values[f"cov_{key}"] = mmd(across), coverage(across)
        values[f"nna_{key}"] = one_nna(pairwise(new, new, distance), across, pairwise(real, real, distance))
    to_known = pairwise(new, known, chamfer)
    own, usual = to_known.min(axis=1), pairwise(real, known, chamfer).min(axis=1)
    classes = np.array([thing.row.name for thing in held_out])[usual > SAME]
    usual = usual[usual > SAME]
    if not len(usual):
        raise PcaugError("all held-out objects are training objects", do="hold out objects of other units")
    alike = [usual[classes == thing.row.name] if thing.row.name in classes else usual for thing in samples]
    return Scores(
        **values,
        memorised=float(np.median([d / max(float(np.median(u)), 1e-12) for d, u in zip(own, alike, strict=True)])),
        copies=float(np.mean([d < np.quantile(u, BY_CHANCE) for d, u in zip(own, alike, strict=True)])),
        nearest=tuple(int(row) for row in to_known.argmin(axis=1)),
        by_chance=float(np.mean([(BY_CHANCE * (len(u) - 1) + 1) / (len(u) + 1) for u in alike])),
    )
