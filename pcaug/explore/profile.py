"""What a set of clouds is like, in figures that a scene recipe can be fitted to: scanner, ranges, and each class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pcaug.catalogue import Strict
from pcaug.cloud import PointCloud
from pcaug.errors import LabelError, PcaugError
from pcaug.explore.ground import CELL, height_above_ground, height_of_scanner, unevenness
from pcaug.explore.pattern import RANGES, Airborne, Spinning, airborne, joined, spinning
from pcaug.generate.objects import parts
from pcaug.labels import IGNORE

LEVELS = (5, 25, 50, 75, 95)
"""Percentiles that stand for a distribution."""
KEPT = 400
"""Values of a class (and of a range) that are kept of each cloud, evenly drawn."""
LEAST = 30
"""Points below which nothing is said about a class."""
OBJECT = 20
"""Points from which a group of points counts as an object."""
CROWD = 20_000
"""Points of a class without instance ids that are grouped into objects at most: above that it is no class of objects."""

Frame = Literal["sensor", "map"]
Quantiles = tuple[float, float, float, float, float]
"""At LEVELS."""


class Objects(Strict):
    """Separate things of a class, as far as they were seen.

    Attributes:
        per_cloud: Mean number.
        length, width, height: Metres; length along the longer plan axis.
        spacing: Plan distance to the nearest other one of the same cloud, metres; None where they stand alone.
    """

    per_cloud: float
    length: Quantiles
    width: Quantiles
    height: Quantiles
    spacing: Quantiles | None


class ClassProfile(Strict):
    """One class, named as the taxonomy's node.

    Attributes:
        share: Of the labelled points.
        height: Of its points above the ground, metres.
        top: Highest point above ground in each plan cell of 2 m that it is in, metres: how high trees, houses, cars are.
        intensity: As the clouds have it; one row a bin of RANGES (scans), or one row (maps); None for few points.
        unevenness: Root mean square distance from the plane of each square metre, metres; None where it is not ground.
        objects: None where it is no class of separate things.
    """

    share: float
    height: Quantiles
    top: Quantiles
    intensity: tuple[Quantiles | None, ...]
    unevenness: float | None
    objects: Objects | None


class Profile(Strict):
    """What a set of clouds is like. ``model_dump_json`` and ``model_validate_json`` write and read it.

    Attributes:
        clouds, points: How many.
        frame: "sensor" where each cloud has its scanner at the origin, "map" otherwise.
        height_of_scanner: Above the ground, metres; None in a map, or where no ground is seen.
        ranges: Share of points by RANGES; empty in a map.
        density: Points on a plan square metre, by RANGES (scans), or one value (maps); median of those that hold any; None
            for few.
        spinning: The spinning scanner; None where the clouds show none.
        airborne: The airborne scanner; None for scans.
        classes: By name, those with LEAST points or more.
    """

    clouds: int
    points: int
    frame: Frame
    height_of_scanner: Quantiles | None
    ranges: tuple[float, ...]
    density: tuple[float | None, ...]
    spinning: Spinning | None
    airborne: Airborne | None
    classes: dict[str, ClassProfile]


def profile(clouds: Iterable[PointCloud], frame: Frame) -> Profile:
    """Describe labelled or bare clouds, one at a time: memory is that of the largest and KEPT values of each.

    Args:
        clouds: At least one with points. Labels are optional; without them there are no classes.
        frame: "sensor" where each cloud has its scanner at the origin, "map" where they share coordinates.

    Raises:
        PcaugError: If there are no points.
        LabelError: If the clouds are labelled in different taxonomies.
    """
    sums = _Sums()
    for cloud in clouds:
        if len(cloud):
            _add(sums, cloud, frame)
    if not sums.clouds:
        raise PcaugError("no points to describe")
    labelled = max(sum(row.points for row in sums.classes.values()), 1)
    rows = {name: _class(row, labelled, sums.clouds) for name, row in sorted(sums.classes.items()) if row.points >= LEAST}
    return Profile(
        clouds=sums.clouds,
        points=sums.points,
        frame=frame,
        height_of_scanner=_quantiles(sums.heights) if sums.heights else None,
        ranges=tuple((sums.ranges / sums.points).tolist()) if frame == "sensor" else (),
        density=tuple(float(np.median(v)) if len(v) else None for v in map(_all, sums.density)),
        spinning=joined(sums.scans),
        airborne=_airborne(sums.flights),
        classes=rows,
    )


@dataclass
class _Class:
    """What was gathered of a class so far."""

    points: int = 0
    height: list[NDArray[np.float64]] = field(default_factory=list)
    top: list[NDArray[np.float64]] = field(default_factory=list)
    intensity: list[list[NDArray[np.float64]]] = field(default_factory=list)
    unevenness: list[float] = field(default_factory=list)
    sizes: list[NDArray[np.float64]] = field(default_factory=list)
    spacing: list[NDArray[np.float64]] = field(default_factory=list)


@dataclass
class _Sums:
    """What was gathered so far."""

    clouds: int = 0
    points: int = 0
    taxonomy: str | None = None
    heights: list[float] = field(default_factory=list)
    ranges: NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(RANGES) - 1, np.int64))
    density: list[list[NDArray[np.float64]]] = field(default_factory=list)
    scans: list[Spinning] = field(default_factory=list)
    flights: list[Airborne] = field(default_factory=list)
    classes: dict[str, _Class] = field(default_factory=dict)


def _add(sums: _Sums, cloud: PointCloud, frame: Frame) -> None:
    height = height_above_ground(cloud.xyz)
    place = _bins(cloud, frame)
    sums.clouds += 1
    sums.points += len(cloud)
    counts = _density(cloud, place, frame)
    sums.density = sums.density or [[] for _ in counts]
    for gathered, values in zip(sums.density, counts, strict=True):
        gathered.append(_few(values))
    if frame == "sensor":
        sums.ranges += np.bincount(place, minlength=len(RANGES) - 1)
        ground = _covered(cloud, "ground") if cloud.taxonomy else None
        above = height_of_scanner(cloud.xyz, ground)
        sums.heights += [] if above is None else [above]
        seen = spinning(cloud)
        sums.scans += [] if seen is None else [seen]
    else:
        sums.flights.append(airborne(cloud))
    if cloud.taxonomy is not None:
        if sums.taxonomy not in (None, cloud.taxonomy.name):
            raise LabelError(f"is labelled in {cloud.taxonomy.name}, others in {sums.taxonomy}", cloud.source.file or None)
        sums.taxonomy = cloud.taxonomy.name
        for node in np.unique(cloud["label"][cloud["label"] != IGNORE]).tolist():
            row = sums.classes.setdefault(cloud.taxonomy.label_name(node), _Class())
            _add_class(row, cloud, cloud["label"] == node, height, place, int(node), frame)


def _add_class(
    row: _Class,
    cloud: PointCloud,
    mine: NDArray[np.bool_],
    height: NDArray[np.float64],
    place: NDArray[np.int64],
    node: int,
    frame: Frame,
) -> None:
    row.points += int(mine.sum())
    row.height.append(_few(height[mine]))
    row.top.append(_few(_tops(cloud.xyz[mine], height[mine])))
    bins = len(RANGES) - 1 if frame == "sensor" else 1
    row.intensity = row.intensity or [[] for _ in range(bins)]
    if "intensity" in cloud:
        level = cloud["intensity"].astype(np.float64)
        for number, values in enumerate(row.intensity):
            values.append(_few(level[mine & (place == number) & np.isfinite(level)]))
    assert cloud.taxonomy is not None
    if cloud.taxonomy.covers(cloud.taxonomy.id("ground"), node):
        near = np.hypot(*cloud.xyz[:, :2].T) < RANGES[3] if frame == "sensor" else True
        found = unevenness(cloud.xyz[mine & near])
        row.unevenness += [] if found is None else [found]
    elif any(cloud.taxonomy.covers(cloud.taxonomy.id(name), node) for name in THINGS):
        sizes, spacing = _objects(cloud.take(mine))
        row.sizes.append(sizes)
        row.spacing.append(spacing)


THINGS = ("vehicle", "person", "pole_like", "object", "tree", "building")
"""Nodes whose classes are of separate things."""


def _class(row: _Class, labelled: int, clouds: int) -> ClassProfile:
    sizes = np.concatenate(row.sizes) if row.sizes else np.zeros((0, 3))
    spacing = _all(row.spacing)
    objects = Objects(
        per_cloud=len(sizes) / clouds,
        length=_quantiles(sizes[:, 0]),
        width=_quantiles(sizes[:, 1]),
        height=_quantiles(sizes[:, 2]),
        spacing=_quantiles(spacing) if len(spacing) else None,
    ) if len(sizes) else None  # fmt: skip
    return ClassProfile(
        share=row.points / labelled,
        height=_quantiles(_all(row.height)),
        top=_quantiles(_all(row.top)),
        intensity=tuple(_quantiles(v) if len(v) >= LEAST else None for v in map(_all, row.intensity)),
        unevenness=float(np.median(row.unevenness)) if row.unevenness else None,
        objects=objects,
    )


def _objects(cloud: PointCloud) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Length, width, height (M, 3) of the objects of a cloud of one class, and the plan distance of each to the nearest other."""
    from scipy.spatial import cKDTree

    if len(cloud) > CROWD and not ("instance" in cloud and cloud["instance"].any()):
        return np.zeros((0, 3)), np.zeros(0)
    rows = [cloud.xyz[which] for which in parts(cloud) if len(which) >= OBJECT]
    if not rows:
        return np.zeros((0, 3)), np.zeros(0)
    sizes = np.array([_extent(xyz) for xyz in rows])
    centre = np.array([(xyz[:, :2].min(axis=0) + xyz[:, :2].max(axis=0)) / 2 for xyz in rows])
    return sizes, cKDTree(centre).query(centre, k=2)[0][:, 1] if len(centre) > 1 else np.zeros(0)


def _extent(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Length, width and height of the upright box along the principal plan axes."""
    plan = xyz[:, :2] - xyz[:, :2].mean(axis=0)
    _, axes = np.linalg.eigh(plan.T @ plan)
    return np.append(np.sort(np.ptp(plan @ axes, axis=0))[::-1], np.ptp(xyz[:, 2]))


def _tops(xyz: NDArray[np.float64], height: NDArray[np.float64]) -> NDArray[np.float64]:
    """Greatest height of each plan cell."""
    cells = np.floor((xyz[:, :2] - xyz[:, :2].min(axis=0)) / CELL).astype(np.int64)
    _, owner = np.unique(cells[:, 0] * (int(cells[:, 1].max()) + 1) + cells[:, 1], return_inverse=True)
    top = np.full(int(owner.max()) + 1, -np.inf)
    np.maximum.at(top, owner.reshape(-1), height)
    return top


def _bins(cloud: PointCloud, frame: Frame) -> NDArray[np.int64]:
    """Bin of RANGES of each point; what is farther counts in the last. Zeros in a map."""
    if frame == "map":
        return np.zeros(len(cloud), np.int64)
    bins: NDArray[np.int64] = np.clip(np.digitize(np.linalg.norm(cloud.xyz, axis=1), RANGES) - 1, 0, len(RANGES) - 2)
    return bins


def _density(cloud: PointCloud, place: NDArray[np.int64], frame: Frame) -> list[NDArray[np.float64]]:
    """Points on each plan square metre that holds any, by bin of range."""
    cells = np.floor(cloud.xyz[:, :2] - cloud.xyz[:, :2].min(axis=0)).astype(np.int64)
    _, first, counts = np.unique(cells[:, 0] * (int(cells[:, 1].max()) + 1) + cells[:, 1], return_index=True, return_counts=True)
    bins = len(RANGES) - 1 if frame == "sensor" else 1
    return [counts[place[first] == number].astype(np.float64) for number in range(bins)]


def _covered(cloud: PointCloud, name: str) -> NDArray[np.bool_]:
    """Which points are of a class or of one below it."""
    assert cloud.taxonomy is not None
    upper = cloud.taxonomy.id(name)
    return np.isin(cloud["label"], [node for node in cloud.taxonomy.nodes if cloud.taxonomy.covers(upper, node)])


def _airborne(flights: list[Airborne]) -> Airborne | None:
    """Medians over the pieces of a map."""
    if not flights:
        return None
    lines, angles, strips = (
        [v for v in (getattr(f, name) for f in flights) if v is not None] for name in ("line_spacing", "scan_angle", "strips")
    )
    returns = [f.returns for f in flights if f.returns]
    return Airborne(
        density=float(np.median([f.density for f in flights])),
        strips=int(np.median(strips)) if strips else None,
        line_spacing=float(np.median(lines)) if lines else None,
        scan_angle=float(max(angles)) if angles else None,
        returns=tuple(np.mean(returns, axis=0).tolist()) if returns else (),
    )


def _few(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """At most KEPT of them, evenly drawn from their sorted order: the quantiles stay."""
    if len(values) <= KEPT:
        return values
    return np.asarray(np.quantile(values, (np.arange(KEPT) + 0.5) / KEPT))


def _all(values: list[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.concatenate(values) if values else np.zeros(0)


def _quantiles(values: Sequence[float] | NDArray[np.float64]) -> Quantiles:
    a, b, c, d, e = np.percentile(values, LEVELS).tolist()
    return a, b, c, d, e
