"""Completion of objects that were seen from one side, by the symmetry of their class; and surfaces that a scanner can see.

A vehicle is mirrored at its lengthwise middle plane, what is round is turned by half a circle. What was seen stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from pcaug import catalogue
from pcaug.cloud import HEIGHT, PointCloud, concatenate
from pcaug.errors import RecipeError
from pcaug.generate.bank import ObjectRow, ObjectSample, frame_from_object, object_from_frame
from pcaug.generate.model import GROUND
from pcaug.scene.asset import MATERIAL_NAMES, Asset, Scene, placed
from pcaug.scene.scanner import SensorRow
from pcaug.sensor.scan import scan

MIRRORED = {"car": (3.2, 1.7), "heavy_vehicle": (4.5, 2.2), "two_wheeler": (1.4, 0.5)}
"""Class -> least length and width of a whole one, metres: seen shorter, it cannot be told which side was seen."""
DELIVERED = frozenset({"intensity", "ring", "time", "instance"})
"""Fields beside its label that an object seen anew has."""
TURNED = ("pole", "sign_light", "tree", "vegetation", "person")
MATERIALS = {"vehicle": "car_paint", "vegetation": "leaves", "pole_like": "metal", "person": "cloth"}
"""What a completed object of a class is made of; all else is plastic."""


def completed(thing: ObjectSample) -> tuple[PointCloud, float] | None:
    """The whole object in its own frame, foot at the origin, and where along the y axis of what was seen that frame lies, metres.

    None where too little was seen, or the class has no symmetry.
    """
    cloud, taxonomy = thing.upright, catalogue.taxonomy()
    above = [taxonomy.nodes[node].name for node in taxonomy.ancestors(taxonomy.id(thing.row.name))]
    rule = next((MIRRORED[name] for name in above if name in MIRRORED), None)
    if rule is not None:
        length, width = rule
        if thing.row.size[0] < length:
            return None
        low, high = cloud.bounds[:, 1]
        half = max(width, high - low) / 2
        middle = high - half if np.sin(thing.viewpoint) >= 0 else low + half  # the side that was seen stays where it is
        centred = _moved(cloud, -middle)
        return concatenate([centred, _scaled(centred, (1.0, -1.0, 1.0))]), float(middle)
    if any(name in TURNED for name in above):
        return concatenate([cloud, _scaled(cloud, (-1.0, -1.0, 1.0))]), 0.0
    return None


def _moved(cloud: PointCloud, y: float) -> PointCloud:
    matrix = np.eye(4)
    matrix[1, 3] = y
    return cloud.moved(matrix)


def _scaled(cloud: PointCloud, factors: tuple[float, float, float]) -> PointCloud:
    return cloud.moved(np.diag([*factors, 1.0]))


def surfels(cloud: PointCloud, name: str) -> Asset:
    """A surface of small squares, one a point, facing along the normal of its neighbourhood and as large as its gaps.

    Args:
        cloud: Labelled object in its own frame, foot at z = 0.
        name: Its class.
    """
    taxonomy = catalogue.taxonomy()
    xyz = cloud.xyz
    distance, near = cKDTree(xyz).query(xyz, k=min(12, len(xyz)))
    patches = xyz[near] - xyz[near].mean(axis=1, keepdims=True)
    axes = np.linalg.eigh(np.einsum("nki,nkj->nij", patches, patches))[1]
    edge = np.clip(distance[:, min(4, distance.shape[1] - 1)], 0.02, 0.3)[:, None] * 0.75
    u, v = axes[:, :, 2] * edge, axes[:, :, 1] * edge
    corners = np.stack([xyz - u - v, xyz + u - v, xyz + u + v, xyz - u + v], axis=1)
    triangles = corners[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 3)
    above = [taxonomy.nodes[node].name for node in taxonomy.ancestors(taxonomy.id(name))]
    material = next((MATERIALS[upper] for upper in above if upper in MATERIALS), "plastic")
    return Asset(name, triangles, np.repeat(cloud["label"], 2), np.full(len(triangles), MATERIAL_NAMES.index(material), np.uint8))


def rescanned(thing: ObjectSample, rng: np.random.Generator, sensor: SensorRow | None = None) -> ObjectSample | None:
    """See an object anew with a simulated scanner, at its own distance and viewpoint; None where no beam meets it.

    Completed by symmetry where its class has one: what the scanner sees is a surface, not points that were copied.

    Args:
        thing: The object.
        rng: Of the scanner's errors.
        sensor: A spinning scanner; None for that of a SensorRow.

    Raises:
        RecipeError: For a scanner of another kind.
    """
    sensor = sensor or SensorRow()
    if sensor.kind != "spinning":
        raise RecipeError(f"objects are seen anew by a spinning scanner, {sensor.model} is {sensor.kind}", do="take HDL-64E")
    whole = completed(thing)
    asset = surfels(thing.upright if whole is None else whole[0], thing.row.name)
    away = thing.row.distance or 15.0
    yaw = float(np.pi - thing.viewpoint)
    scene = Scene(
        (placed(asset, (away, 0.0, 0.0), yaw, instance=1),), "object", np.zeros(3), 0.0, np.full((2, 2), [[-99.0], [99.0]])
    )
    cloud = scan(scene, sensor, rng)
    if not len(cloud):
        return None
    pose = (away, 0.0, GROUND, yaw)
    upright = cloud.moved(object_from_frame(pose))
    size = np.ptp(upright.xyz, axis=0)
    cloud = cloud.with_fields(None, **{HEIGHT: np.maximum(upright.xyz[:, 2], 0).astype(np.float32)})
    row: ObjectRow = thing.row.model_copy(
        update={"points": len(cloud), "pose": pose, "size": tuple(float(e) for e in size), "sensor": "spinning", "distance": away}
    )
    return ObjectSample(replace(cloud, source=thing.cloud.source), row)


def complete_things(things: list[ObjectSample]) -> list[ObjectSample]:
    """Things made whole where they can be, what was seen where it was; the others are left out."""
    out = []
    for thing in things:
        found = completed(thing)
        if found is not None:
            whole, aside = found
            x, y, z, yaw = thing.row.pose
            pose = (x - float(np.sin(yaw)) * aside, y + float(np.cos(yaw)) * aside, z, yaw)
            size = np.ptp(whole.xyz, axis=0)
            update = {"points": len(whole), "size": tuple(float(edge) for edge in size), "pose": pose}
            if thing.row.distance is not None:
                update["distance"] = float(np.hypot(*pose[:2]))
            out.append(ObjectSample(whole.moved(frame_from_object(pose)), thing.row.model_copy(update=update)))
    return out
