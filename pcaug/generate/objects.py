"""Single objects out of labelled clouds, upright at the origin. (A bank keeps them where they stood: ``pcaug.generate.bank``.)"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pcaug.augment.instances import instances
from pcaug.cloud import PointCloud
from pcaug.errors import LabelError
from pcaug.generate.bank import described


def gather(clouds: Iterable[PointCloud], name: str, *, least: int = 64, most: int = 400, empty: bool = False) -> list[PointCloud]:
    """Cut the objects of a class out of labelled clouds.

    Args:
        clouds: Labelled clouds, all in one taxonomy.
        name: A class of the taxonomy; objects of all nodes below it count.
        least: Objects of fewer points are left out: they say little about a shape.
        most: Stop after so many objects.
        empty: Whether to return an empty list, and not to raise, where there is none.

    Returns:
        Clouds of single objects: plan centre at the origin, foot at z = 0, longer side along x.

    Raises:
        LabelError: If a cloud has no labels, or there is no object of the class.
    """
    found: list[PointCloud] = []
    for cloud in clouds:
        for _, rows in instances(cloud, name, least):
            if len(found) < most:
                found.append(described(cloud.take(rows), name, "", "map").upright)
    if not found and not empty:
        raise LabelError(f"no object of class {name!r} with at least {least} points", do="lower --least or give more clouds")
    return found


def parts(cloud: PointCloud) -> list[NDArray[np.intp]]:
    """Indices of the points of each object of a cloud, class by class: by instance id where there is one, else by distance."""
    if cloud.taxonomy is None or not len(cloud):
        return []
    roots = [node.name for node in cloud.taxonomy.nodes.values() if node.parent is None]
    return [rows for name in roots for _, rows in instances(cloud, name)]
