"""What a beam makes of what it meets: echoes, energy, noise, loss.

Echo strength of a Lambertian surface that fills the beam: P = rho cos(theta) (R0 / R)^2 (Wagner et al., ISPRS Journal
60(2), 2006, eq. 13 with the footprint inside the target), with R0 = 10 m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcaug.scene.recipe import SensorRow
from pcaug.sensor.engine import REFLECTANCE, RETRO, TRANSMISSION, Caster, Rays

R0 = 10.0
FEW = 0.06
"""Share of a beam's energy below which what is left makes no echo."""
LITTLE = 0.02
"""Share of what arrives below which a surface makes no echo of its own."""


@dataclass
class Echoes:
    """Echoes of all beams, by beam and distance.

    Attributes:
        ray: (M,) int64 index of the beam.
        distance: (M,) float64 metres.
        face: (M,) int64 what was hit: index into the faces of the scene, see ``Caster``.
        strength: (M,) float32 share of the beam's energy that the surface met, times reflectance times cosine.
    """

    ray: NDArray[np.int64]
    distance: NDArray[np.float64]
    face: NDArray[np.int64]
    strength: NDArray[np.float32]

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Echoes:
        """Some of the echoes."""
        return Echoes(self.ray[which], self.distance[which], self.face[which], self.strength[which])


def trace(caster: Caster, rays: Rays, rng: np.random.Generator, *, several: bool) -> Echoes:
    """Follow every beam to its end.

    A porous surface (leaves, glass, wire mesh) of transmission t meets a share 1 - t of the beam. With ``several`` the
    footprint is wide: that share makes an echo and the rest goes on, the share drawn from a Beta law of mean 1 - t.
    Otherwise the beam is a line: it goes on whole with probability t.
    """
    met = caster.surfaces(rays.origin, rays.direction, rays.bundle)
    material = caster.material[met.face]
    through = TRANSMISSION[material]
    if several:
        share = _shares(through, rng)
        left = _left(met.ray, share)
        makes = np.flatnonzero((share > LITTLE) & (left > FEW))
        energy = (share * left)[makes]
    else:
        stops = np.flatnonzero(rng.random(len(through)) >= through)
        makes = stops[np.diff(met.ray[stops], prepend=-1) > 0]  # the first of each ray
        energy = np.ones(len(makes), np.float32)
    cosine = np.where(RETRO[material[makes]], 1.0, np.maximum(met.cosine[makes], 0.02))
    strength = (energy * REFLECTANCE[material[makes]] * cosine).astype(np.float32)
    return Echoes(met.ray[makes], met.distance[makes].astype(np.float64), met.face[makes], strength)


def _shares(through: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float64]:
    """(M,) shares of a wide footprint that surfaces of these transmissions meet."""
    share = np.ones(len(through))
    porous = through > 0
    share[porous] = rng.beta(2 * (1 - through[porous]), 2 * through[porous])
    return share


def _left(ray: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) share of its beam that arrives at each surface: the product of 1 - share over the beam's surfaces before it."""
    fall = np.cumsum(np.log1p(-np.minimum(share, 1 - 1e-9)))
    before = np.concatenate([[0.0], fall[:-1]]) if len(fall) else fall
    first = np.flatnonzero(np.diff(ray, prepend=-1))
    return np.asarray(np.exp(before - np.repeat(before[first], np.diff(np.append(first, len(ray))))))


def detect(echoes: Echoes, sensor: SensorRow, rng: np.random.Generator) -> Echoes:
    """Echoes that the receiver notices: in range, not lost at random, and strong enough.

    Detection probability rises from 0 to 1 as P passes the threshold (logistic in log P, width a factor of two).
    Distances get Gaussian noise.
    """
    law = (R0 / np.maximum(echoes.distance, 1.0)) ** 2 if sensor.kind == "spinning" else np.ones(len(echoes.distance))
    power = echoes.strength * law
    chance = 1 / (1 + (sensor.threshold / np.maximum(power, 1e-12)) ** 3) if sensor.threshold else np.ones(len(power))
    kept = (rng.random(len(power)) < chance * (1 - sensor.dropout)) & (echoes.distance >= sensor.range_min)
    out = echoes.take(kept & (echoes.distance <= sensor.range_max))
    out.distance = out.distance + rng.normal(0, sensor.noise, len(out.distance))
    return out
