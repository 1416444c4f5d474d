"""What a beam makes of what it meets: echoes, energy, noise, loss.

Echo strength of a Lambertian surface that fills the beam: P = rho cos(theta) (R0 / R)^2 (Wagner et al., ISPRS Journal
60(2), 2006, eq. 13 with the footprint inside the target), with R0 = 10 m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from pcaug.scene.scanner import SensorRow
from pcaug.sensor.engine import REFLECTANCE, RETRO, TRANSMISSION, Caster, Rays, Surfaces
from pcaug.sensor.footprint import merged, split, sub_beams

Floats = NDArray[np.float32]
R0 = 10.0
LINES = 2_000_000
"""Sub-rays that are cast at once: what bounds memory, however long a flight is."""
LEAST_BEAM = 0.06
"""Share of a beam's energy below which what is left makes no echo."""
LEAST_MET = 0.02
"""Share of what arrives below which a surface makes no echo of its own."""
DARK = 1e-30
"""Least power of an echo: what dense fog leaves of one has still a place."""
GRAZING = 0.02
"""Smallest cosine of incidence: flatter ones count as this."""
SHINE = 10.0
"""How much more of a beam a retroreflector sends back than white paint; scanners that can tell show full scale for less."""


@dataclass
class Echoes:
    """Echoes of all beams, by beam and distance.

    Attributes:
        ray: (M,) int64 index of the beam.
        distance: (M,) float64 metres.
        face: (M,) int64 what was hit: index into the faces of the scene, see ``Caster``; -1 for the air.
        strength: (M,) float32 share of the beam's energy that the surface met, times reflectance times cosine.
        shown: (M,) float32 the same with the cosine to the power ``incidence``: what the scanner reports, before its range law.
    """

    ray: NDArray[np.int64]
    distance: NDArray[np.float64]
    face: NDArray[np.int64]
    strength: Floats
    shown: Floats

    def take(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Echoes:
        """Some of the echoes."""
        return Echoes(self.ray[which], self.distance[which], self.face[which], self.strength[which], self.shown[which])


def joined(parts: Sequence[Echoes]) -> Echoes:
    """Echoes of several, one after the other."""
    return Echoes(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Echoes)))


def trace(caster: Caster, rays: Rays, sensor: SensorRow, rng: np.random.Generator) -> Echoes:
    """Follow every beam to its end.

    A porous surface (leaves, glass, wire mesh) of transmission t meets a share 1 - t of the beam. A beam with sub-rays is as
    many lines, each of which goes on whole with probability t, and whose hits add up to echoes. Without sub-rays the footprint
    is wide: the share that a surface meets follows a Beta law of mean 1 - t. With all returns that share makes an echo, which
    ``resolved`` adds to those near it, and the rest goes on; with one the beam stops with its probability, and the echo has
    that share.
    """
    if sensor.sub_rays > 1:
        return _of_sub_rays(caster, rays, sensor, rng)
    if sensor.returns != "all":
        met = caster.surfaces(rays.origin, rays.direction, rays.bundle, rng)
        return _echoes(caster, met, footprint_shares(TRANSMISSION[caster.material[met.face]], rng, met=True), sensor.incidence)
    met = caster.surfaces(rays.origin, rays.direction, rays.bundle)
    share = footprint_shares(TRANSMISSION[caster.material[met.face]], rng)
    left = _left(met.ray, share)
    makes = (share > LEAST_MET) & (left > LEAST_BEAM)
    return resolved(_echoes(caster, met, share * left, sensor.incidence).take(makes), sensor.pulse)


def _of_sub_rays(caster: Caster, rays: Rays, sensor: SensorRow, rng: np.random.Generator) -> Echoes:
    """Echoes of beams of several lines, as many beams at once as LINES allow."""
    number, parts = sensor.sub_rays, []
    _, shares = sub_beams(number)
    together = LINES // number
    for first in range(0, max(len(rays.direction), 1), together):
        some = rays.part(slice(first, first + together))
        met = caster.surfaces(*split(some, number, sensor.divergence, rng), rng)
        lines = _echoes(caster, met, shares[met.ray % number], sensor.incidence)
        parts.append(resolved(replace(lines, ray=lines.ray // number + first), sensor.pulse))
    return joined(parts)


def resolved(echoes: Echoes, pulse: float) -> Echoes:
    """Echoes by beam and distance, those within half a pulse (ns) as one, which belongs to what sends back most: ``merged``."""
    power = np.maximum(echoes.strength.astype(np.float64), DARK)
    echo = merged(echoes.ray, echoes.distance, power, pulse)
    if not len(echo.ray):
        return echoes
    strength, shown = (np.add.reduceat(values[echo.order], echo.first) for values in (echoes.strength, echoes.shown))
    return Echoes(echo.ray, echo.distance, echoes.face[echo.strongest], strength, shown)


def _echoes(caster: Caster, met: Surfaces, energy: NDArray[np.float64], incidence: float) -> Echoes:
    """An echo of each surface, of the energy that it meets."""
    material = caster.material[met.face]
    cosine = np.where(RETRO[material], np.float32(1), np.maximum(met.cosine, np.float32(GRAZING)))
    back = energy.astype(np.float32) * REFLECTANCE[material]
    shown = back * np.where(RETRO[material], np.float32(SHINE), cosine ** np.float32(incidence))
    return Echoes(met.ray, met.distance.astype(np.float64), met.face, back * cosine, shown)


def footprint_shares(through: Floats, rng: np.random.Generator, *, met: bool = False) -> NDArray[np.float64]:
    """(M,) shares of a wide footprint that surfaces of these transmissions meet; ``met``: given that they stopped the beam, which
    they do the more likely the larger the share is."""
    share = np.ones(len(through))
    porous = through > 0
    share[porous] = rng.beta(2 * (1 - through[porous]) + met, 2 * through[porous])
    return share


def _left(ray: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """(M,) share of its beam that arrives at each surface: the product of 1 - share over the beam's surfaces before it."""
    fall = np.cumsum(np.log1p(-np.minimum(share, 1 - 1e-9)))
    before = np.concatenate([[0.0], fall[:-1]]) if len(fall) else fall
    first = np.flatnonzero(np.diff(ray, prepend=-1))
    return np.asarray(np.exp(before - np.repeat(before[first], np.diff(np.append(first, len(ray))))))


def detect(echoes: Echoes, sensor: SensorRow, rng: np.random.Generator, ring: NDArray[np.integer] | None = None) -> Echoes:
    """Echoes that the receiver notices: in range, not lost at random, and strong enough.

    Detection probability rises from 0 to 1 as P passes the threshold (logistic in log P, width a factor of two), so dark,
    grazing and far surfaces are lost first. For flights R0 is their height. Distances get Gaussian noise, and those of a beam
    an error in common; ``ring`` (R,) is the beam of each ray.
    """
    power = _power(echoes, sensor)
    chance = 1 / (1 + (sensor.threshold / np.maximum(power, 1e-12)) ** 3) if sensor.threshold else np.ones(len(power))
    kept = (rng.random(len(power)) < chance * (1 - sensor.dropout)) & (echoes.distance >= sensor.range_min)
    kept &= echoes.distance <= sensor.range_max
    out = _chosen(echoes.take(kept), power[kept], sensor.returns)
    out.distance = out.distance + rng.normal(0, sensor.noise, len(out.distance))
    if sensor.beam_bias and sensor.kind == "spinning" and ring is not None:
        out.distance += rng.normal(0, sensor.beam_bias, len(sensor.elevations))[ring[out.ray]]
    return out


def _power(echoes: Echoes, sensor: SensorRow) -> NDArray[np.floating]:
    """P (M,) of each echo, 1 for a white wall at 10 m, from the air at any height."""
    return echoes.strength * (1.0 if sensor.kind == "airborne" else (R0 / np.maximum(echoes.distance, 1.0)) ** 2)


def _chosen(echoes: Echoes, power: NDArray[np.floating], returns: str) -> Echoes:
    """All echoes, or of each beam the first, the strongest (of these powers (M,)) or the last."""
    if returns == "all" or not len(echoes.ray):
        return echoes
    first = np.flatnonzero(np.diff(echoes.ray, prepend=-1) > 0)
    if returns == "first" or len(first) == len(echoes.ray):
        return echoes.take(first)
    last = np.append(first[1:], len(echoes.ray)) - 1
    if returns == "last":
        return echoes.take(last)
    return echoes.take(np.lexsort((power, echoes.ray))[last])


def reported(echoes: Echoes, sensor: SensorRow, rng: np.random.Generator, ring: NDArray[np.integer] | None = None) -> Floats:
    """Intensity 0..1; ``ring`` (M,) is the beam of each echo.

    rho cos^k / F / (1 + (R / R1)^m), F what shows as 1: with k = 1, m = 2 and a small R1 the radar equation; makers calibrate
    intensities to the reflectance, so that k is near 0 and R1 where their compensation ends. It ends for weak echoes too,
    P / (P + P1), and within the focus, 1 - exp(-(R / Rn)^4), which every beam has at its own distance. Beams differ in gain
    (Levinson and Thrun, ISER 2010), and the curve of the receiver is ((value - floor) / (1 - floor)) ** gamma. The noise is
    log-normal: speckle, and surfaces that vary within a footprint.
    """
    value = echoes.shown / sensor.intensity_full
    if sensor.intensity_range:
        value = value / (1 + (echoes.distance / sensor.intensity_range) ** sensor.intensity_fall)
    if sensor.intensity_power:
        power = np.maximum(_power(echoes, sensor), 1e-12)
        value = value * power / (power + sensor.intensity_power)
    near = np.asarray(sensor.intensity_near)
    if near.any():
        focus = near[ring] if near.ndim else near
        value = value * -np.expm1(-((echoes.distance / np.maximum(focus, 1e-6)) ** 4))
    if sensor.beam_gain and sensor.kind == "spinning" and ring is not None:
        value = value * np.exp(rng.normal(0, sensor.beam_gain, len(sensor.elevations)))[ring]
    if sensor.intensity_noise:
        value = value * np.exp(rng.normal(0, sensor.intensity_noise, len(value)))
    above = np.clip((value - sensor.intensity_floor) / (1 - sensor.intensity_floor), 0, 1)
    return np.asarray(above**sensor.intensity_gamma, np.float32)


def bloomed(caster: Caster, rays: Rays, echoes: Echoes, sensor: SensorRow, rng: np.random.Generator) -> Echoes:
    """Echoes with the halo of retroreflectors: beams that pass one closely see it too, at its distance.

    The optics scatter a little of each beam, and a retroreflector is some hundred times brighter than paint, so the scatter
    that meets it still makes an echo. Its share falls as exp(-angle^2 / (2 blooming^2)); the beam reports it with that
    probability, and in place of what lies behind. A plausible law, not a measured one. The angle is that at which the beam's own
    origin sees the retroreflector: a scanner that moves passes it once.
    """
    from scipy.spatial import cKDTree

    bright = np.flatnonzero(RETRO[caster.material[echoes.face]] & (echoes.face >= 0))
    if not sensor.blooming or not len(bright):
        return echoes
    spread = np.radians(sensor.blooming)
    origin = np.broadcast_to(rays.origin, rays.direction.shape)
    places = np.hstack([rays.direction, origin / R0])
    shining = echoes.ray[bright]
    at = origin[shining] + echoes.distance[bright, None] * rays.direction[shining]
    _, nearest = cKDTree(places[shining]).query(places, distance_upper_bound=3 * spread)
    beam = np.flatnonzero(nearest < len(bright))
    way = at[nearest[beam]] - origin[beam]
    distance = np.linalg.norm(way, axis=1)
    angle = np.linalg.norm(way / distance[:, None] - rays.direction[beam], axis=1)
    kept = rng.random(len(beam)) < np.exp(-0.5 * (angle / spread) ** 2)
    beam, distance = beam[kept], distance[kept]
    source = bright[nearest[beam]]
    ahead = np.full(len(rays.direction), np.inf)
    np.minimum.at(ahead, echoes.ray, echoes.distance)
    seen = distance < ahead[beam] - 1e-6
    halo = replace(echoes.take(source[seen]), ray=beam[seen], distance=distance[seen])
    out = joined([echoes.take(~np.isin(echoes.ray, halo.ray)), halo])
    return out.take(np.lexsort((out.distance, out.ray)))
