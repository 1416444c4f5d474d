"""What a set of clouds is like, in figures that a scene recipe can be fitted to: scanner, ranges, and each class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pcaug.catalogue import Strict
from pcaug.cloud import PointCloud
from pcaug.corpus.cells import own_cells
from pcaug.errors import LabelError, PcaugError
from pcaug.explore.ground import height_of_scanner, unevenness
from pcaug.explore.pattern import RANGES, Airborne, Spinning, airborne, joined, spinning
from pcaug.generate.objects import parts
from pcaug.labels import IGNORE
from pcaug.scales import bright
from pcaug.segment.ground import height_above_ground

LEVELS = (5, 25, 50, 75, 95)
"""Percentiles that stand for a distribution."""
TONES = (0, 2, 5, 15, 25, 35, 50, 65, 75, 85, 95, 98, 100)
"""Percentiles that stand for a distribution of intensities, with its ends: they are mapped on each other."""
KEPT_VALUES = 400
"""Values of a class (and of a range) that are kept of each cloud, evenly drawn."""
LEAST_POINTS = 30
"""Points below which nothing is said about a class."""
OBJECT_POINTS = 20
"""Points from which a group of points counts as an object."""
UNLIKE = 3.0
"""Times as bright as most that a cloud has to be (or as dark) for its intensities to be on another scale."""
TOP_CELL = 2.0
"""Edge in metres of the plan cells whose highest points tell how high things of a class are."""
CROWD = 20_000
"""Points of a class without instance ids that are grouped into objects at most: above that it is no class of objects."""

Frame = Literal["sensor", "map"]
Values = NDArray[np.float64]
Quantiles = tuple[float, float, float, float, float]
"""At LEVELS."""
THINGS = ("vehicle", "person", "pole_like", "object", "tree", "building")
"""Nodes whose classes are of separate things."""


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
        top: Highest point above ground in each plan cell of TOP_CELL that it is in, metres: how high trees, houses, cars are.
        intensity: As most clouds have it, at TONES; one row a bin of RANGES (scans), or one row (maps); None for few points.
        unevenness: Root mean square distance from the plane of each square metre, metres; None where it is not ground.
        objects: None where it is no class of separate things.
    """

    share: float
    height: Quantiles
    top: Quantiles
    intensity: tuple[tuple[float, ...] | None, ...]
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
        classes: By name, those with LEAST_POINTS points or more.
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
    """Describe labelled or bare clouds, one at a time: memory is that of the largest and KEPT_VALUES of each.

    Args:
        clouds: At least one with points. Labels are optional; without them there are no classes.
        frame: "sensor" where each cloud has its scanner at the origin, "map" where they share coordinates.

    Raises:
        PcaugError: If there are no points.
        LabelError: If the clouds are labelled in different taxonomies.
    """
    return join([describe_cloud(cloud, frame) for cloud in clouds if len(cloud)], frame)


@dataclass
class ClassPart:
    """What one cloud shows of a class."""

    points: int
    height: Values
    top: Values
    intensity: list[Values]
    unevenness: float | None = None
    sizes: Values = field(default_factory=lambda: np.zeros((0, 3)))
    spacing: Values = field(default_factory=lambda: np.zeros(0))


@dataclass
class Part:
    """What one cloud shows: at most KEPT_VALUES of each thing."""

    points: int
    taxonomy: str | None
    density: list[Values]
    classes: dict[str, ClassPart]
    bright: float = 0.0
    ranges: NDArray[np.int64] | None = None
    height: float | None = None
    scan: Spinning | None = None
    flight: Airborne | None = None


def describe_cloud(cloud: PointCloud, frame: Frame, height: Values | None = None) -> Part:
    """The part that one cloud (at least one point) has in a profile; ``height`` (N,) above ground is found where not given."""
    place = _bins(cloud, frame)
    part = Part(len(cloud), None, [_few(values) for values in _density(cloud, place, frame)], {})
    if frame == "sensor":
        part.ranges = np.bincount(place, minlength=len(RANGES) - 1)
        part.height = height_of_scanner(cloud.xyz, _covered(cloud, "ground") if cloud.taxonomy else None)
        part.scan = spinning(cloud)
    else:
        part.flight = airborne(cloud)
    if "intensity" in cloud:
        part.bright = bright(cloud["intensity"], 0.0)
    if cloud.taxonomy is not None:
        part.taxonomy = cloud.taxonomy.name
        height = height_above_ground(cloud.xyz) if height is None else height
        for node in np.unique(cloud["label"][cloud["label"] != IGNORE]).tolist():
            part.classes[cloud.taxonomy.label_name(node)] = _class_part(cloud, int(node), height, place, frame)
    return part


def join(parts: Sequence[Part], frame: Frame) -> Profile:
    """The profile of the clouds whose parts these are; each cloud counts alike. Errors as of ``profile``."""
    if not parts:
        raise PcaugError("no points to describe")
    taxonomies = {part.taxonomy for part in parts if part.taxonomy}
    if len(taxonomies) > 1:
        raise LabelError(f"the clouds are labelled in {' and '.join(sorted(taxonomies))}")
    parts = _one_scale(parts)
    points = sum(part.points for part in parts)
    names = sorted({name for part in parts for name in part.classes})
    rows = {name: [part.classes[name] for part in parts if name in part.classes] for name in names}
    labelled = max(sum(row.points for group in rows.values() for row in group), 1)
    heights = [part.height for part in parts if part.height is not None]
    ranges = [part.ranges for part in parts if part.ranges is not None]
    return Profile(
        clouds=len(parts),
        points=points,
        frame=frame,
        height_of_scanner=_quantiles(heights) if heights else None,
        ranges=tuple((np.sum(ranges, axis=0) / points).tolist()) if ranges else (),
        density=tuple(float(np.median(v)) if len(v) else None for v in _columns([part.density for part in parts])),
        spinning=joined([part.scan for part in parts if part.scan]),
        airborne=_airborne(parts),
        classes={
            name: _class(group, labelled, len(parts))
            for name, group in rows.items()
            if sum(row.points for row in group) >= LEAST_POINTS
        },
    )


def _one_scale(parts: Sequence[Part]) -> Sequence[Part]:
    """Intensities on the scale of most clouds: a set of several sources may count to 255 in one and to 65535 in another."""
    known = [part.bright for part in parts if part.bright > 0]
    usual = float(np.median(known)) if known else 0.0

    def scaled(part: Part) -> Part:
        if part.bright <= 0 or usual / UNLIKE <= part.bright <= usual * UNLIKE:
            return part
        factor = usual / part.bright
        rows = {n: replace(row, intensity=[v * factor for v in row.intensity]) for n, row in part.classes.items()}
        return replace(part, classes=rows)

    return [scaled(part) for part in parts]


def _class_part(cloud: PointCloud, node: int, height: Values, place: NDArray[np.int64], frame: Frame) -> ClassPart:
    assert cloud.taxonomy is not None
    mine = cloud["label"] == node
    level = cloud["intensity"].astype(np.float64) if "intensity" in cloud else np.full(len(cloud), np.nan)
    part = ClassPart(
        points=int(mine.sum()),
        height=_few(height[mine]),
        top=_few(_tops(cloud.xyz[mine], height[mine])),
        intensity=[_few(level[mine & (place == i) & np.isfinite(level)]) for i in range(_rows(frame))],
    )
    if cloud.taxonomy.covers(cloud.taxonomy.id("ground"), node):
        near = np.hypot(*cloud.xyz[:, :2].T) < RANGES[3] if frame == "sensor" else True
        part.unevenness = unevenness(cloud.xyz[mine & near])
    elif any(cloud.taxonomy.covers(cloud.taxonomy.id(name), node) for name in THINGS):
        part.sizes, part.spacing = _objects(cloud.take(mine))
    return part


def _class(parts: Sequence[ClassPart], labelled: int, clouds: int) -> ClassProfile:
    sizes, spacing = (np.concatenate(values) for values in ([p.sizes for p in parts], [p.spacing for p in parts]))
    uneven = [part.unevenness for part in parts if part.unevenness is not None]
    objects = Objects(
        per_cloud=len(sizes) / clouds,
        length=_quantiles(sizes[:, 0]),
        width=_quantiles(sizes[:, 1]),
        height=_quantiles(sizes[:, 2]),
        spacing=_quantiles(spacing) if len(spacing) else None,
    ) if len(sizes) else None  # fmt: skip
    return ClassProfile(
        share=sum(part.points for part in parts) / labelled,
        height=_quantiles(np.concatenate([part.height for part in parts])),
        top=_quantiles(np.concatenate([part.top for part in parts])),
        intensity=tuple(_tones(v) if len(v) >= LEAST_POINTS else None for v in _columns([part.intensity for part in parts])),
        unevenness=float(np.median(uneven)) if uneven else None,
        objects=objects,
    )


def _objects(cloud: PointCloud) -> tuple[Values, Values]:
    """Length, width, height (M, 3) of the objects of a cloud of one class, and the plan distance of each to the nearest other."""
    from scipy.spatial import cKDTree

    if len(cloud) > CROWD and not ("instance" in cloud and cloud["instance"].any()):
        return np.zeros((0, 3)), np.zeros(0)
    rows = [cloud.xyz[which] for which in parts(cloud) if len(which) >= OBJECT_POINTS]
    if not rows:
        return np.zeros((0, 3)), np.zeros(0)
    sizes = np.array([_extent(xyz) for xyz in rows])
    centre = np.array([(xyz[:, :2].min(axis=0) + xyz[:, :2].max(axis=0)) / 2 for xyz in rows])
    return sizes, cKDTree(centre).query(centre, k=2)[0][:, 1] if len(centre) > 1 else np.zeros(0)


def _extent(xyz: Values) -> Values:
    """Length, width and height of the upright box along the principal plan axes."""
    plan = xyz[:, :2] - xyz[:, :2].mean(axis=0)
    _, axes = np.linalg.eigh(plan.T @ plan)
    return np.append(np.sort(np.ptp(plan @ axes, axis=0))[::-1], np.ptp(xyz[:, 2]))


def _tops(xyz: Values, height: Values) -> Values:
    """Greatest height of each plan cell."""
    _, owner = np.unique(own_cells(xyz, TOP_CELL), return_inverse=True)
    top = np.full(int(owner.max()) + 1, -np.inf)
    np.maximum.at(top, owner.reshape(-1), height)
    return top


def _bins(cloud: PointCloud, frame: Frame) -> NDArray[np.int64]:
    """Bin of RANGES of each point; what is farther counts in the last. Zeros in a map."""
    if frame == "map":
        return np.zeros(len(cloud), np.int64)
    bins: NDArray[np.int64] = np.clip(np.digitize(np.linalg.norm(cloud.xyz, axis=1), RANGES) - 1, 0, len(RANGES) - 2)
    return bins


def _density(cloud: PointCloud, place: NDArray[np.int64], frame: Frame) -> list[Values]:
    """Points on each plan square metre that holds any, by bin of range."""
    _, first, counts = np.unique(own_cells(cloud.xyz, 1.0), return_index=True, return_counts=True)
    return [counts[place[first] == number].astype(np.float64) for number in range(_rows(frame))]


def _covered(cloud: PointCloud, name: str) -> NDArray[np.bool_]:
    """Which points are of a class or of one below it."""
    assert cloud.taxonomy is not None
    return np.isin(cloud["label"], cloud.taxonomy.subtree(name))


def _airborne(parts: Sequence[Part]) -> Airborne | None:
    """Medians over the points of the pieces of a map: a few points on a tile's edge may be a piece of their own."""
    seen = [(part.flight, part.points) for part in parts if part.flight]
    if not seen:
        return None

    def middle(name: str) -> float | None:
        return _middle([(value, points) for flight, points in seen if (value := getattr(flight, name)) is not None])

    angles = [flight.scan_angle for flight, _ in seen if flight.scan_angle is not None]
    returns, points = [flight.returns for flight, _ in seen if flight.returns], [n for flight, n in seen if flight.returns]
    strips = middle("strips")
    return Airborne(
        density=middle("density") or 0.0,
        strips=None if strips is None else int(strips),
        cover=middle("cover"),
        line_spacing=middle("line_spacing"),
        scan_angle=float(max(angles)) if angles else None,
        returns=tuple(np.average(returns, axis=0, weights=points).tolist()) if returns else (),
    )


def _middle(rows: Sequence[tuple[float, int]]) -> float | None:
    """The value below and above which half of the weight of (value, weight) lies; None of none."""
    values, weights = np.array(sorted(rows), np.float64).reshape(-1, 2).T
    if not len(values):
        return None
    total = np.cumsum(weights)
    low, high = (int(np.searchsorted(total, total[-1] / 2, side)) for side in ("left", "right"))
    return float((values[low] + values[min(high, len(values) - 1)]) / 2)


def _few(values: Values) -> Values:
    """At most KEPT_VALUES of them, evenly drawn from their sorted order: the quantiles stay."""
    if len(values) <= KEPT_VALUES:
        return values
    return np.asarray(np.quantile(values, (np.arange(KEPT_VALUES) + 0.5) / KEPT_VALUES))


def _columns(rows: Sequence[Sequence[Values]]) -> list[Values]:
    """Joins what belongs to the same bin of range: one array a bin."""
    return [np.concatenate(column) for column in zip(*rows, strict=True)]


def _rows(frame: Frame) -> int:
    """Bins of range: a map has but one."""
    return len(RANGES) - 1 if frame == "sensor" else 1


def _quantiles(values: Sequence[float] | Values) -> Quantiles:
    a, b, c, d, e = np.percentile(values, LEVELS).tolist()
    return a, b, c, d, e


def _tones(values: Values) -> tuple[float, ...]:
    return tuple(np.percentile(values, TONES).round(4).tolist())
