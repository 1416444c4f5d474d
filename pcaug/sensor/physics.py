"""What a beam makes of what it meets: echoes, energy, noise, loss.

Echo strength of a Lambertian surface that fills the beam: P = rho cos(theta) (R0 / R)^2 (Wagner et al., ISPRS Journal
60(2), 2006, eq. 13 with the footprint inside the target), with R0 = 10 m.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pcaug.scene.recipe import SensorRow
from pcaug.sensor.engine import PASSES, REFLECTANCE, RETRO, SKIN, TRANSMISSION, Caster, Rays

R0 = 10.0
FEW = 0.06
"""Share of a beam's energy below which what is left makes no echo."""


class Echoes:
    """Echoes of all beams, in no order.

    Attributes:
        ray: (M,) int64 index of the beam.
        distance: (M,) float64 metres.
        placement, face: (M,) int32 what was hit.
        strength: (M,) float32 share of the beam's energy that the surface met, times reflectance times cosine.
    """

    def __init__(self) -> None:
        self.ray: NDArray[np.int64] = np.zeros(0, np.int64)
        self.distance: NDArray[np.float64] = np.zeros(0)
        self.placement: NDArray[np.int32] = np.zeros(0, np.int32)
        self.face: NDArray[np.int32] = np.zeros(0, np.int32)
        self.strength: NDArray[np.float32] = np.zeros(0, np.float32)

    def add(
        self,
        ray: NDArray[np.int64],
        distance: NDArray[np.float64],
        hits: tuple[NDArray[np.int32], NDArray[np.int32]],
        strength: NDArray[np.float32],
    ) -> None:
        """Append echoes."""
        self.ray = np.concatenate([self.ray, ray])
        self.distance = np.concatenate([self.distance, distance])
        self.placement = np.concatenate([self.placement, hits[0]])
        self.face = np.concatenate([self.face, hits[1]])
        self.strength = np.concatenate([self.strength, strength])

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Echoes:
        """Some of the echoes."""
        out = Echoes()
        for name in ("ray", "distance", "placement", "face", "strength"):
            setattr(out, name, getattr(self, name)[which])
        return out


def trace(caster: Caster, rays: Rays, rng: np.random.Generator, *, several: bool) -> Echoes:
    """Follow every beam to its end.

    A porous surface (leaves, glass, wire mesh) of transmission t meets a share 1 - t of the beam. With ``several`` the
    footprint is wide: that share makes an echo and the rest goes on, the share drawn from a Beta law of mean 1 - t.
    Otherwise the beam is a line: it goes on whole with probability t.
    """
    echoes = Echoes()
    materials = [p.asset.face_material for p in caster.scene.placements]
    alive = np.arange(len(rays.direction))
    energy = np.ones(len(rays.direction), np.float32)
    travelled = np.zeros(len(rays.direction))
    for step in range(PASSES):
        start = rays.origin[alive] + rays.direction[alive] * travelled[alive, None]
        hits = caster.cast(start, rays.direction[alive], rays.bundle[alive])
        met = hits.placement >= 0
        alive, placement, face = alive[met], hits.placement[met], hits.face[met]
        material = np.zeros(len(alive), np.uint8)
        for index in np.unique(placement):
            mine = placement == index
            material[mine] = materials[index][face[mine]]
        through = TRANSMISSION[material] if step < PASSES - 1 else np.zeros(len(alive), np.float32)
        distance = travelled[alive] + hits.distance[met]
        if several:
            porous = through > 0
            share = np.ones(len(alive), np.float32)
            share[porous] = rng.beta(2 * (1 - through[porous]), 2 * through[porous]).astype(np.float32)
            stops = share > 0.02
            goes_on = porous & (energy[alive] * (1 - share) > FEW)
        else:
            goes_on = rng.random(len(alive)) < through
            share, stops = np.ones(len(alive), np.float32), ~goes_on
        answer = REFLECTANCE[material] * np.where(RETRO[material], 1.0, np.maximum(hits.cosine[met], 0.02)).astype(np.float32)
        echoes.add(alive[stops], distance[stops], (placement[stops], face[stops]), (energy[alive] * share * answer)[stops])
        energy[alive] *= 1 - share if several else 1
        travelled[alive] = distance + SKIN
        alive = alive[goes_on]
        if not len(alive):
            break
    return echoes


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
