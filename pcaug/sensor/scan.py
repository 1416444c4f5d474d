"""Scan a scene: rays, hits, echoes, and a labelled point cloud of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source
from pcaug.labels import IGNORE
from pcaug.scene.asset import Scene
from pcaug.scene.scanner import SensorRow
from pcaug.sensor import SENSORS
from pcaug.sensor.engine import Caster, Rays
from pcaug.sensor.motion import Sweep, drifted
from pcaug.sensor.physics import Echoes, bloomed, detect, reported, resolved, trace
from pcaug.sensor.weather import through

STEEP = 0.05
"""Sine of the angle to the ground below which a beam is taken to be that steep: a flat one meets the tops alone."""


def scan(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> PointCloud:
    """See a scene with a sensor, each point labelled by what its beam hit.

    Returns:
        A cloud with label (``IGNORE`` for echoes of the air), instance, intensity (0..1 float32), time (s); with all returns
        also return_number and number_of_returns. In the scanner's frame with ring for scanners that make one sweep, in the
        scene's frame with scan_angle (degrees) for those that map: see ``frame_of``.
    """
    rays = SENSORS[sensor.kind](scene, sensor, rng)
    caster = Caster(scene)
    echoes = trace(caster, rays, sensor, rng)
    if scene.air is not None:
        echoes = through(caster, echoes, len(rays.direction), scene.air, sensor, rng)
    echoes = detect(echoes, sensor, rng, rays.ring)
    echoes = bloomed(caster, rays, _uneven(caster, rays, echoes, rng), sensor, rng)
    if sensor.returns == "all":  # noise, relief and the air may have changed their order
        echoes = resolved(echoes, sensor.pulse)
    owner = caster.owner(echoes.face)
    fields = _fields(caster, rays, echoes, owner, several=sensor.returns == "all")
    fields["intensity"] = reported(_weathered(caster, rays, echoes, owner), sensor, rng, rays.ring[echoes.ray])
    return _cloud(scene, sensor, rays, echoes, fields, rng)


def _uneven(caster: Caster, rays: Rays, echoes: Echoes, rng: np.random.Generator) -> Echoes:
    """The echoes of ground where its blades and stones are: as much higher or lower as its relief, each by itself."""
    weathering = caster.scene.weathering
    if weathering is None:
        return echoes
    lift = weathering.relief[caster.material[echoes.face]] * rng.normal(size=len(echoes.face)) * (echoes.face >= 0)
    steep = np.maximum(np.abs(rays.direction[echoes.ray, 2]), STEEP)
    return replace(echoes, distance=echoes.distance - lift / steep)


def _weathered(caster: Caster, rays: Rays, echoes: Echoes, owner: NDArray[np.intp]) -> Echoes:
    """The echoes as bright as the surfaces of this scene make them."""
    weathering = caster.scene.weathering
    if weathering is None:
        return echoes
    at = rays.origin[echoes.ray] + rays.direction[echoes.ray] * echoes.distance[:, None]
    factor = weathering.factor(caster.material[echoes.face], owner, at.astype(np.float64))
    return replace(echoes, shown=(echoes.shown * np.where(echoes.face < 0, 1, factor)).astype(np.float32))


def _fields(
    caster: Caster, rays: Rays, echoes: Echoes, owner: NDArray[np.intp], *, several: bool
) -> dict[str, NDArray[np.generic]]:
    placements, count = caster.scene.placements, len(echoes.ray)
    air = [np.array([IGNORE], np.uint16)]  # the last row, which face and owner -1 are
    label = np.concatenate([p.asset.face_label for p in placements] + air)[echoes.face]
    instance = np.array([p.instance for p in placements] + [0], np.int32)[owner]
    fields: dict[str, NDArray[np.generic]] = {"label": label, "instance": instance, "time": rays.time[echoes.ray]}
    if several:
        first = np.flatnonzero(np.diff(echoes.ray, prepend=-1))
        sizes = np.diff(np.append(first, count))
        fields["return_number"] = (np.arange(count) - np.repeat(first, sizes) + 1).astype(np.uint8)
        fields["number_of_returns"] = np.repeat(sizes, sizes).astype(np.uint8)
    if isinstance(rays, Sweep):
        fields["ring"] = rays.ring[echoes.ray]
    else:
        fields["scan_angle"] = rays.scan_angle[echoes.ray]
    return fields


def _cloud(
    scene: Scene, sensor: SensorRow, rays: Rays, echoes: Echoes, fields: dict[str, NDArray[np.generic]], rng: np.random.Generator
) -> PointCloud:
    """Points where the scanner believes them to be: its idea of its beams' directions and of its path has errors."""
    raw = isinstance(rays, Sweep) and not sensor.deskewed
    direction = (rays.local if isinstance(rays, Sweep) and raw else rays.direction)[echoes.ray]
    if sensor.angle_noise:
        direction = direction + rng.normal(0, np.radians(sensor.angle_noise), direction.shape)
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    xyz = direction * echoes.distance[:, None]
    if isinstance(rays, Sweep) and raw:
        xyz[:, 2] += rays.lift[echoes.ray]
    else:
        xyz = xyz + rays.origin[echoes.ray]
    if not isinstance(rays, Sweep):
        xyz = drifted(xyz, rays.time[echoes.ray], sensor.drift, rng)
    cloud = PointCloud(xyz, fields, catalogue.taxonomy(), source=Source(dataset=scene.name))
    return cloud.moved(rays.sensor_from_world) if isinstance(rays, Sweep) and not raw else cloud
