"""Scan a scene: rays, hits, echoes, and a labelled point cloud of them."""

from __future__ import annotations

import numpy as np

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source
from pcaug.scene.asset import Scene
from pcaug.scene.recipe import SensorRow
from pcaug.sensor import SENSORS, spinning
from pcaug.sensor.engine import REFLECTANCE, Caster, Rays
from pcaug.sensor.physics import Echoes, detect, trace


def scan(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> PointCloud:
    """See a scene with a sensor, each point labelled by what its beam hit.

    Returns:
        A cloud with label, instance, intensity (0..1 float32), time (s), and for spinning scanners ring, in the scanner's
        frame; for airborne ones return_number, number_of_returns and scan_angle (degrees), in the scene's frame.
    """
    rays = SENSORS[sensor.kind](scene, sensor, rng)
    several = sensor.kind == "airborne"
    caster = Caster(scene)
    echoes = detect(trace(caster, rays, rng, several=several), sensor, rng)
    cloud = _cloud(caster, rays, echoes, several=several)
    return cloud if several else cloud.moved(spinning.sensor_from_world(scene, rays))


def _cloud(caster: Caster, rays: Rays, echoes: Echoes, *, several: bool) -> PointCloud:
    xyz = rays.origin[echoes.ray] + rays.direction[echoes.ray] * echoes.distance[:, None]
    count = len(xyz)
    placements = caster.scene.placements
    label = np.concatenate([p.asset.face_label for p in placements])[echoes.face]
    owner = np.searchsorted(caster.first_face, echoes.face, side="right") - 1
    instance = np.array([p.instance for p in placements], np.int32)[owner]
    intensity = np.clip(echoes.strength / REFLECTANCE.max(), 0, 1).astype(np.float32)
    fields = {"label": label, "instance": instance, "intensity": intensity, "time": rays.time[echoes.ray]}
    if several:
        first = np.flatnonzero(np.diff(echoes.ray, prepend=-1))
        sizes = np.diff(np.append(first, count))
        fields["return_number"] = (np.arange(count) - np.repeat(first, sizes) + 1).astype(np.uint8)
        fields["number_of_returns"] = np.repeat(sizes, sizes).astype(np.uint8)
        fields["scan_angle"] = rays.scan_angle[echoes.ray]
    else:
        fields["ring"] = rays.ring[echoes.ray]
    return PointCloud(xyz, fields, catalogue.taxonomy(), source=Source(dataset=caster.scene.name))
