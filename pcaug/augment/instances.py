"""Single objects in labelled clouds: by instance id where there is one, else by clustering with parameters of the class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pcaug import catalogue
from pcaug.cloud import HEIGHT, PointCloud
from pcaug.errors import LabelError
from pcaug.labels import Taxonomy

Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Clustering:
    """How objects of a class are told apart where nobody did.

    Attributes:
        gap: Metres between points of one class that separate two objects (DBSCAN's eps).
        upright: Heights count so much in that distance: low for what is thin and tall, of which parts are hidden.
        size: Least and largest of the longest extent of a plausible object, metres.
        crown: Radius in metres around an object within which points of the parent class belong to it, from 1 m above its foot.
    """

    gap: float = 0.6
    upright: float = 1.0
    size: tuple[float, float] = (0.3, 30.0)
    crown: float = 0.0


CLUSTERING = {
    "car": Clustering(0.6, size=(1.2, 7.0)),
    "heavy_vehicle": Clustering(0.9, size=(2.0, 25.0)),
    "two_wheeler": Clustering(0.4, size=(0.6, 3.5)),
    "vehicle": Clustering(0.6, size=(1.0, 25.0)),
    "person": Clustering(0.4, size=(0.6, 2.5)),
    "pole": Clustering(0.5, upright=0.15, size=(1.0, 15.0)),
    "sign_light": Clustering(0.5, upright=0.3, size=(0.3, 8.0)),
    "tree": Clustering(0.8, upright=0.2, size=(1.5, 35.0), crown=2.5),
}
"""By class name; a class without its own row takes that of the nearest class above it, then the defaults."""


def instances(cloud: PointCloud, name: str, min_points: int = 1) -> Iterator[tuple[int, Rows]]:
    """Find the objects of a class and of the classes below it.

    Args:
        cloud: Labelled.
        name: A class of the taxonomy.
        min_points: Objects of fewer points are left out.

    Yields:
        The node and the indices of the points of each object.

    Raises:
        LabelError: Without labels, or for an unknown class.
    """
    if cloud.taxonomy is None or "label" not in cloud:
        raise LabelError("has no labels", cloud.source.file or None, "convert it with a card first")
    taxonomy, label = cloud.taxonomy, cloud["label"]
    upper = taxonomy.id(name)
    for node in sorted(set(np.unique(label).tolist()) & set(taxonomy.nodes)):
        if not taxonomy.covers(upper, node):
            continue
        rule = _rule(taxonomy, node)
        rows = np.flatnonzero(label == node)
        known = "instance" in cloud and bool(np.any(cloud["instance"][rows] > 0))
        for part in _numbered(cloud, rows, node, rule) if known else _clustered(cloud, rows, node, rule):
            if len(part) >= min_points and (known or rule.size[0] <= np.ptp(cloud.xyz[part], axis=0).max() <= rule.size[1]):
                yield node, part


def _rule(taxonomy: Taxonomy, node: int | None) -> Clustering:
    while node is not None:
        if taxonomy.nodes[node].name in CLUSTERING:
            return CLUSTERING[taxonomy.nodes[node].name]
        node = taxonomy.nodes[node].parent
    return Clustering()


def _numbered(cloud: PointCloud, rows: Rows, node: int, rule: Clustering) -> list[Rows]:
    """Objects by instance id; some datasets count each of their own classes from 1, so that one differs too.

    A crown goes with the trunk that has its number and stands under it: another class's number may be the same by chance.
    """
    rows = rows[cloud["instance"][rows] > 0]
    own = cloud["native_label"][rows] if "native_label" in cloud else np.zeros(len(rows), np.int32)
    owner = np.unique(np.stack([own, cloud["instance"][rows]]), axis=1, return_inverse=True)[1].ravel()
    order = np.argsort(owner, kind="stable")
    parts = np.split(rows[order], np.flatnonzero(np.diff(owner[order])) + 1)
    if not rule.crown:
        return parts
    assert cloud.taxonomy is not None
    number = cloud["instance"]
    loose = np.flatnonzero((cloud["label"] == cloud.taxonomy.nodes[node].parent) & (number > 0))
    whole = []
    for part in parts:
        crown = loose[number[loose] == number[part[0]]]
        whole.append(np.concatenate([part, crown]) if _under(cloud, part, crown, rule.crown) else part)
    return whole


def _under(cloud: PointCloud, trunk: Rows, crown: Rows, radius: float) -> bool:
    """Whether a trunk stands in the plan extent of a crown, or not farther from it than a radius."""
    if not len(crown):
        return False
    middle, plan = np.median(cloud.xyz[trunk, :2], axis=0), cloud.xyz[crown, :2]
    return bool((middle > plan.min(axis=0) - radius).all() and (middle < plan.max(axis=0) + radius).all())


def _clustered(cloud: PointCloud, rows: Rows, node: int, rule: Clustering) -> list[Rows]:
    from sklearn.cluster import DBSCAN

    if not len(rows):
        return []
    owner = DBSCAN(eps=rule.gap, min_samples=5).fit_predict(cloud.xyz[rows] * (1, 1, rule.upright))
    parts = [rows[owner == value] for value in range(owner.max() + 1)]
    return _crowned(cloud, parts, node, rule.crown) if rule.crown and parts else parts


def _crowned(cloud: PointCloud, parts: list[Rows], node: int, radius: float) -> list[Rows]:
    """Add to each trunk the points of the parent class (vegetation) around and above it."""
    assert cloud.taxonomy is not None
    loose = np.flatnonzero(cloud["label"] == cloud.taxonomy.nodes[node].parent)
    axes = np.array([np.median(cloud.xyz[part, :2], axis=0) for part in parts])
    feet = np.array([cloud.xyz[part, 2].min() for part in parts])
    distance, owner = cKDTree(axes).query(cloud.xyz[loose, :2], distance_upper_bound=radius)
    near = np.isfinite(distance)
    loose, owner = loose[near], owner[near]
    above = cloud.xyz[loose, 2] > feet[owner] + 1.0
    return [np.concatenate([part, loose[above & (owner == index)]]) for index, part in enumerate(parts)]


class Ground:
    """Height of the ground below places of a labelled cloud, from the points of class ``ground`` (or of some classes of it)."""

    def __init__(self, cloud: PointCloud, which: NDArray[np.bool_]) -> None:
        self.points = cloud.xyz[which]
        self.tree = cKDTree(self.points[:, :2]) if len(self.points) else None

    def under(self, middle: NDArray[np.float64], radius: float) -> float | None:
        """Level (metres) under an object that stands within ``radius`` of a plan position; None where it is unknown or uneven."""
        if self.tree is None:
            return None
        rows = self.tree.query_ball_point(middle[:2], radius)
        if len(rows) < 4:
            return None
        heights = self.points[rows, 2]
        return float(np.median(heights)) if np.ptp(np.percentile(heights, [10, 90])) < 0.1 + 0.2 * radius else None


def outermost(names: Iterable[str]) -> list[str]:
    """Class names without those that stand below another one of them: each object is cut out once."""
    tree, once = catalogue.taxonomy(), list(dict.fromkeys(names))
    return [name for name in once if not any(name != other and tree.covers(tree.id(other), tree.id(name)) for other in once)]


def objects(cloud: PointCloud, name: str, ground: Ground, min_points: int = 1) -> Iterator[PointCloud]:
    """Cut the objects of a class out of a cloud, as they stand there, with their height above the ground where it is known."""
    for _, rows in instances(cloud, name, min_points):
        thing = cloud.take(rows)
        middle, reach = thing.bounds.mean(axis=0), float(np.ptp(thing.bounds[:, :2], axis=0).max()) / 2 + 0.5
        level = ground.under(middle, reach) if HEIGHT not in cloud else None
        if HEIGHT not in cloud:  # what floats more than 1.5 m above an assumed ground has lost its foot behind something
            low = float(thing.bounds[0, 2])
            level = low if level is None or not -0.5 < low - level < 1.5 else level
            thing = thing.with_fields(None, **{HEIGHT: (thing.xyz[:, 2] - level).astype(np.float32)})
        yield thing
