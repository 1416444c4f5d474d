"""Single objects out of labelled clouds: by instance id where there is one, by clustering otherwise."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from pcaug.cloud import PointCloud
from pcaug.errors import LabelError

GAP = 0.6
"""Metres between points of one class that separate two objects without instance ids."""


def gather(clouds: Iterable[PointCloud], name: str, *, least: int = 64, most: int = 400, empty: bool = False) -> list[PointCloud]:
    """Cut the objects of a class out of labelled clouds.

    Args:
        clouds: Labelled clouds, all in one taxonomy.
        name: A class of the taxonomy; objects of all nodes below it count.
        least: Objects of fewer points are left out: they say little about a shape.
        most: Stop after so many objects.
        empty: Whether to return an empty list, and not to raise, where there is none.

    Returns:
        Clouds of single objects: plan centre at the origin, foot at z = 0, longer plan axis along x.

    Raises:
        LabelError: If a cloud has no labels, or there is no object of the class.
    """
    found: list[PointCloud] = []
    for cloud in clouds:
        if cloud.taxonomy is None:
            raise LabelError("has no labels", cloud.source.file or None, "convert it with a card first")
        upper = cloud.taxonomy.id(name)
        nodes = [node for node in cloud.taxonomy.nodes if cloud.taxonomy.covers(upper, node)]
        members = cloud.take(np.isin(cloud["label"], nodes))
        for which in parts(members):
            if len(which) >= least and len(found) < most:
                found.append(_upright(members.take(which)))
    if not found and not empty:
        raise LabelError(f"no object of class {name!r} with at least {least} points", do="lower --least or give more clouds")
    return found


def parts(cloud: PointCloud) -> list[NDArray[np.intp]]:
    """Indices of the points of each object of a cloud of one class: by instance id where there is one, else by distance."""
    if not len(cloud):
        return []
    if "instance" in cloud and np.any(cloud["instance"] > 0):
        owner = cloud["instance"].astype(np.int64)
        if "native_label" in cloud:  # datasets count the objects of each native class on its own
            owner = np.where(owner > 0, owner + (cloud["native_label"].astype(np.int64) << 32), 0)
        return [np.flatnonzero(owner == value) for value in np.unique(owner[owner > 0])]
    from sklearn.cluster import DBSCAN

    owner = DBSCAN(eps=GAP, min_samples=5).fit_predict(cloud.xyz)
    return [np.flatnonzero(owner == value) for value in range(owner.max() + 1)]


def _upright(cloud: PointCloud) -> PointCloud:
    """Move to the origin and turn the longer plan axis (of the covariance) onto x."""
    plan = cloud.xyz[:, :2] - cloud.bounds.mean(axis=0)[:2]
    _, axes = np.linalg.eigh(plan.T @ plan)
    along = axes[:, 1]
    turn = np.eye(4)
    turn[:2, :2] = [[along[0], along[1]], [-along[1], along[0]]]
    centre = np.eye(4)
    centre[:3, 3] = -np.append(cloud.bounds.mean(axis=0)[:2], cloud.bounds[0, 2])
    return cloud.moved(turn @ centre)
