"""Put simulated objects into a real scan, seen by the scan's own beams.

After Fang et al., "Augmented LiDAR simulator for autonomous driving" (RA-L 2020) and LiDAR-Aug (Fang et al., CVPR 2021): free
places are found on the scan's ground, objects are cast with the beams of the scan, what they hide goes, and what hides them
stays before them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pcaug import catalogue
from pcaug.cloud import PointCloud, concatenate
from pcaug.errors import LabelError
from pcaug.scales import in_type, intensity_scale
from pcaug.scene.asset import Asset, Placement, Scene, placed
from pcaug.scene.recipe import Transfer
from pcaug.scene.scanner import SensorRow
from pcaug.sensor.engine import Caster, Rays
from pcaug.sensor.physics import Echoes, detect, reported, trace
from pcaug.sensor.transfer import transferred

NEAREST, FARTHEST = 4.0, 40.0
"""Distances at which objects are placed, metres."""
CLEAR = 0.4
"""Metres between an object's plan circle and what stands around it."""
ABOVE = 0.3
"""Height above its place from which a point stands in the way, metres."""
LEVEL = 0.35
"""Largest difference of ground heights under an object, metres."""
TRIES = 40
"""Places that are tried for an object."""
GROUNDS: Mapping[str, tuple[str, ...]] = {"vehicle": ("road",), "person": ("sidewalk", "terrain", "road")}
"""Where things of a class stand; all others stand on any ground but a road."""


@dataclass(frozen=True)
class Beams:
    """The pattern of a scan: slots (B, 3) of unit vectors, and the slot of each of its points (N,)."""

    directions: NDArray[np.float64]
    slot: NDArray[np.int64]
    ring: NDArray[np.int64]


def beams_of(cloud: PointCloud, elevations: Sequence[float], steps: int) -> Beams:
    """All beams of a spinning scanner that stands at the origin; those that found something point at what they found.

    Args:
        cloud: The scan, in the scanner's frame.
        elevations: Of the beams, degrees.
        steps: Columns of a turn.
    """
    table = np.sort(np.asarray(elevations, np.float64))[::-1]
    length = np.maximum(np.linalg.norm(cloud.xyz, axis=1), 1e-6)
    up = np.degrees(np.arcsin(np.clip(cloud.xyz[:, 2] / length, -1, 1)))
    middle = (table[1:] + table[:-1]) / 2
    ring = np.searchsorted(-middle, -up)
    azimuth = np.arctan2(cloud.xyz[:, 1], cloud.xyz[:, 0]) % (2 * np.pi)
    column = np.round(azimuth / (2 * np.pi) * steps).astype(np.int64) % steps
    angle, slant = np.meshgrid(2 * np.pi * np.arange(steps) / steps, np.radians(table))
    directions = np.stack([np.cos(slant) * np.cos(angle), np.cos(slant) * np.sin(angle), np.sin(slant)], axis=-1).reshape(-1, 3)
    slot = ring * steps + column
    directions[slot] = cloud.xyz / length[:, None]
    return Beams(directions, slot, np.repeat(np.arange(len(table)), steps))


def into(
    cloud: PointCloud,
    assets: Sequence[Asset],
    beams: Beams,
    sensor: SensorRow,
    rng: np.random.Generator,
    transfers: Mapping[str, Transfer] = MappingProxyType({}),
) -> tuple[PointCloud, int]:
    """Place objects in a labelled real scan.

    Args:
        cloud: The scan in the scanner's frame, with labels in the taxonomy.
        assets: What to place, standing on z = 0.
        beams: Of ``beams_of``.
        sensor: Noise, losses and thresholds of the scanner.
        rng: Decides places, turns and echoes.
        transfers: Gives the objects' intensities the distribution of real ones, see ``transferred``.

    Returns:
        The scan with label, instance, ring (by the scan's own numbers where it has them) and (where it has one, and on its
        scale) intensity of all points; fields that cannot be simulated are left out, and so is a ring that no beam can be told
        by. And how many objects found a place.

    Raises:
        LabelError: Without labels: then nobody knows where the ground is.
    """
    if cloud.taxonomy is None or "label" not in cloud:
        raise LabelError(
            "has no labels, so nobody knows where its ground is", cloud.source.file or None, "convert it with a card"
        )
    numbers = _numbers(cloud, beams)
    cloud = _fields(cloud, beams, numbers)
    placements = _places(cloud, assets, int(cloud["instance"].max(initial=0)), rng)
    if not placements:
        return cloud, 0
    caster = Caster(Scene(tuple(placements), "into", np.zeros(3), 0.0, np.zeros((2, 2))))
    one = sensor if sensor.returns != "all" else sensor.model_copy(update={"returns": "strongest"})
    seen = _seen(caster, cloud, beams, one, rng)
    front = np.full(len(beams.directions), np.inf)
    front[seen.ray] = seen.distance
    kept = cloud.take(np.linalg.norm(cloud.xyz, axis=1) <= front[beams.slot])
    up = np.degrees(np.arcsin(np.clip(beams.directions[seen.ray, 2], -1, 1)))
    fields = {
        "label": np.concatenate([p.asset.face_label for p in placements])[seen.face],
        "instance": np.array([p.instance for p in placements], np.int32)[caster.owner(seen.face)],
        "intensity": reported(seen, one, rng, one.nearest(up) if one.elevations else None),
    }
    if numbers is not None:
        fields["ring"] = numbers[beams.ring[seen.ray]].astype(np.uint16)
    xyz = beams.directions[seen.ray] * seen.distance[:, None]
    new = replace(cloud, xyz=xyz, fields={name: fields[name] for name in cloud.fields})
    return concatenate([kept, _on_its_scale(new, cloud, transfers)]), len(placements)


def _seen(caster: Caster, cloud: PointCloud, beams: Beams, sensor: SensorRow, rng: np.random.Generator) -> Echoes:
    """Echoes of placed objects that nothing in the scan hides, one a beam."""
    count = len(beams.directions)
    rays = Rays(
        np.zeros((count, 3)),
        beams.directions,
        np.zeros(count),
        np.zeros(count, np.uint16),
        np.zeros(count, np.float32),
        (beams.ring // 16) * 256 + (np.arange(count) % (count // (beams.ring[-1] + 1))) // 16,
    )
    echoes = detect(trace(caster, rays, sensor, rng), sensor, rng)
    behind = np.full(count, np.inf)
    np.minimum.at(behind, beams.slot, np.linalg.norm(cloud.xyz, axis=1))
    return echoes.take(echoes.distance < behind[echoes.ray])


def _on_its_scale(new: PointCloud, scan: PointCloud, transfers: Mapping[str, Transfer]) -> PointCloud:
    """Simulated intensities, 0 to 1, on the scale and in the type of the scan's: by the transfer of a class, else up to the
    end of the scan's."""
    if "intensity" not in scan:
        return new
    tree, dtype = catalogue.taxonomy(), scan["intensity"].dtype
    told = np.isin(new["label"], [tree.id(name) for name in transfers])
    values = np.where(told, transferred(new, transfers)["intensity"], new["intensity"] * intensity_scale(scan["intensity"]))
    return new.with_fields(intensity=in_type(values, dtype))


def _numbers(cloud: PointCloud, beams: Beams) -> NDArray[np.int64] | None:
    """Ring number in the scan of each beam, the highest first: that of most of its points. A beam without points continues the
    count of the others, up or down; None where they do not count."""
    count = int(beams.ring[-1]) + 1
    if "ring" not in cloud or not len(cloud):
        return np.arange(count)
    own, which = np.unique(cloud["ring"], return_inverse=True)
    votes = np.bincount(beams.ring[beams.slot] * len(own) + which, minlength=count * len(own)).reshape(count, len(own))
    numbers = own[votes.argmax(axis=1)].astype(np.int64)
    met = votes.any(axis=1)
    beam, steps = np.flatnonzero(met), np.diff(numbers[met])
    if not met.all():
        if not (steps.any() and ((steps >= 0).all() or (steps <= 0).all())):
            return None
        nearest = beam[np.abs(np.arange(count)[:, None] - beam).argmin(axis=1)]
        numbers = np.maximum(numbers[nearest] + np.sign(steps.sum()) * (np.arange(count) - nearest), 0)
    return np.asarray(numbers)


def _fields(cloud: PointCloud, beams: Beams, numbers: NDArray[np.int64] | None) -> PointCloud:
    """The scan with the fields that simulated points have too."""
    zeros = np.zeros(len(cloud), np.int32)
    instance = cloud["instance"].astype(np.int32) if "instance" in cloud else zeros
    own: dict[str, NDArray[np.generic]] = {"intensity": cloud["intensity"]} if "intensity" in cloud else {}
    if numbers is not None:
        own["ring"] = (cloud["ring"] if "ring" in cloud else beams.ring[beams.slot]).astype(np.uint16)
    return PointCloud(
        cloud.xyz,
        {"label": cloud["label"], "instance": instance, **own},
        cloud.taxonomy,
        cloud.crs,
        cloud.source,
    )


def _places(cloud: PointCloud, assets: Sequence[Asset], last: int, rng: np.random.Generator) -> list[Placement]:
    """Placements that stand on level ground, clear of what is there and of each other."""
    tree = catalogue.taxonomy()
    ground = _covered(cloud, "ground")
    floor, rest = cloud.xyz[ground], cloud.xyz[~ground]
    if not len(floor):
        return []
    below, around = cKDTree(floor[:, :2]), cKDTree(rest[:, :2]) if len(rest) else None
    taken: list[tuple[NDArray[np.float64], float]] = []
    out: list[Placement] = []
    for asset in assets:
        label = int(np.bincount(asset.face_label).argmax())
        radius = float(np.linalg.norm(np.abs(asset.bounds[:, :2]).max(axis=0)))
        spots = _spots(cloud, label, floor, ground)
        for index in rng.permutation(len(spots))[:TRIES]:
            at = spots[index]
            under = below.query_ball_point(at[:2], radius)
            heights = floor[under, 2]
            if len(under) < 5 or np.ptp(np.percentile(heights, (5, 95))) > LEVEL:
                continue
            level = float(np.median(heights))
            near = rest[around.query_ball_point(at[:2], radius + CLEAR)] if around else rest
            if (near[:, 2] > level + ABOVE).any() or any(np.hypot(*(at[:2] - o)) < radius + r + CLEAR for o, r in taken):
                continue
            vehicle = tree.covers(tree.id("vehicle"), label)
            yaw = rng.normal(0, 0.1) + np.pi * rng.integers(2) if vehicle else rng.uniform(0, 2 * np.pi)
            out.append(placed(asset, (at[0], at[1], level), float(yaw), instance=last + len(out) + 1))
            taken.append((at[:2], radius))
            break
    return out


def _spots(cloud: PointCloud, label: int, floor: NDArray[np.float64], ground: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Ground points within reach where a thing of a class may stand."""
    tree = catalogue.taxonomy()
    wanted = next((names for upper, names in GROUNDS.items() if tree.covers(tree.id(upper), label)), None)
    of_ground = cloud["label"][ground]
    road = np.isin(of_ground, tree.subtree("road"))
    fits = ~road if wanted is None else np.isin(of_ground, [tree.id(name) for name in wanted])
    distance = np.hypot(*floor[:, :2].T)
    within = (distance > NEAREST) & (distance < FARTHEST)
    chosen: NDArray[np.float64] = floor[within & fits]
    return chosen if len(chosen) else np.asarray(floor[within])


def _covered(cloud: PointCloud, name: str) -> NDArray[np.bool_]:
    return np.isin(cloud["label"], catalogue.taxonomy().subtree(name))
