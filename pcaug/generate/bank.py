"""Object banks: the single objects of labelled clouds, with size, pose, range and sensor, kept as a corpus.

A tile of a bank is one object where its sensor saw it, so that ``paste`` can turn it about the sensor; its row in
``made_by.objects`` of the manifest says the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcaug.augment.instances import Ground, objects, outermost
from pcaug.augment.mixing import members
from pcaug.catalogue import Strict
from pcaug.cloud import PointCloud
from pcaug.corpus.manifest import SourceRow
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError, LabelError

KEY = "objects"
"""Of the manifest's ``made_by``: it makes a corpus a bank."""


class ObjectRow(Strict):
    """What a bank says of an object.

    Attributes:
        name: Class.
        unit: Independent unit that it comes from (drive, site).
        points: Number of points.
        size: Length, width, height in metres of what was seen, length along its own x axis.
        pose: x, y, z (metres) of the foot's centre and yaw (radians) of the own x axis, in the frame of its sensor or map.
        distance: Horizontal metres from the sensor; None in a map.
        sensor: "spinning", or "map".
        dataset: Card or generator that it comes from.
        split: Of the cloud that it was cut out of; None where there was none.
    """

    name: str
    unit: str
    points: int
    size: tuple[float, float, float]
    pose: tuple[float, float, float, float]
    distance: float | None
    sensor: str
    dataset: str = ""
    split: str | None = None


@dataclass(frozen=True, eq=False)
class ObjectSample:
    """An object and what is known of it. ``cloud`` is where its sensor saw it, ``source`` what it was cut out of, if anything."""

    cloud: PointCloud
    row: ObjectRow
    source: SourceRow | None = None

    @property
    def upright(self) -> PointCloud:
        """The object in its own frame: foot at the origin, longer side along x."""
        return self.cloud.moved(object_from_frame(self.row.pose))

    @property
    def viewpoint(self) -> float:
        """Azimuth of the sensor as the object sees it, radians from its x axis; 0 in a map."""
        x, y, _, yaw = self.row.pose
        return float(np.arctan2(-y, -x) - yaw) if self.row.distance is not None else 0.0


def frame_from_object(pose: Sequence[float]) -> NDArray[np.float64]:
    """(4, 4) of a pose x, y, z, yaw."""
    x, y, z, yaw = pose
    matrix = np.eye(4)
    cos, sin = np.cos(yaw), np.sin(yaw)
    matrix[:2, :2] = [[cos, -sin], [sin, cos]]
    matrix[:3, 3] = x, y, z
    return matrix


def object_from_frame(pose: Sequence[float]) -> NDArray[np.float64]:
    """(4, 4) that undoes ``frame_from_object``."""
    return np.asarray(np.linalg.inv(frame_from_object(pose)), np.float64)


def fitted_yaw(plan: NDArray[np.float64]) -> float:
    """Direction of the longer side of the upright box that plan points (N, 2) lie closest to, radians.

    Zhang et al., "Efficient L-shape fitting for vehicle detection using laser scanners", IV 2017, closeness criterion: of two
    sides of a box that a sensor sees, a principal axis would be the diagonal.
    """
    angles = np.radians(np.arange(0, 90, 1.5))
    axes = np.stack([np.stack([np.cos(angles), np.sin(angles)]), np.stack([-np.sin(angles), np.cos(angles)])])
    along = np.einsum("nk,akj->ajn", plan, axes)  # (2 axes, angles, N)
    low, high = along.min(axis=2, keepdims=True), along.max(axis=2, keepdims=True)
    side = np.minimum(along - low, high - along).min(axis=0)
    best = int((1 / np.maximum(side, 0.1)).sum(axis=1).argmax())
    extent = np.ptp(along[:, best], axis=1)
    return float(angles[best] + (np.pi / 2 if extent[1] > extent[0] else 0.0))


def described(cloud: PointCloud, name: str, unit: str, sensor: str, dataset: str = "", split: str | None = None) -> ObjectSample:
    """Measure an object where it stands: pose, size, distance from the origin (of a spinning sensor).

    Which end of the x axis is ahead cannot be told from one side: the end that the sensor sees is.
    """
    plan = cloud.xyz[:, :2].mean(axis=0)
    yaw = fitted_yaw(cloud.xyz[:, :2] - plan)
    if sensor == "spinning" and plan @ (np.cos(yaw), np.sin(yaw)) > 0:
        yaw -= np.pi
    turned = cloud.moved(object_from_frame((0, 0, 0, yaw))).bounds
    middle = frame_from_object((0, 0, 0, yaw))[:2, :2] @ turned.mean(axis=0)[:2]
    size = np.ptp(turned, axis=0)
    distance = float(np.linalg.norm(middle)) if sensor == "spinning" else None
    pose = (float(middle[0]), float(middle[1]), float(turned[0, 2]), yaw)
    row = ObjectRow(
        name=name, unit=unit, points=len(cloud), size=(float(size[0]), float(size[1]), float(size[2])), pose=pose,
        distance=distance, sensor=sensor, dataset=dataset, split=split,
    )  # fmt: skip
    return ObjectSample(cloud, row)


def gather(corpus: Corpus, names: Sequence[str], *, least: int = 64, most: int = 2000) -> list[ObjectSample]:
    """Cut the objects of some classes out of a corpus, at most ``most`` of each, none of fewer than ``least`` points.

    Raises:
        LabelError: If there is none.
    """
    found: dict[str, list[ObjectSample]] = {name: [] for name in names}
    sensor = "spinning" if corpus.manifest.frame == "sensor" else "map"
    for tile in corpus.tiles:
        cloud = corpus.read(tile)
        ground = Ground(cloud, members(cloud, ("ground",)))
        source = corpus.manifest.sources[tile.source]
        for name in outermost(names):
            for thing in objects(cloud, name, ground, least):
                if len(found[name]) < most:
                    found[name].append(replace(described(thing, name, tile.unit, sensor, source.card, tile.split), source=source))
    things = [thing for name in names for thing in found[name]]
    if not things:
        raise LabelError(f"no object of class {', '.join(names)} with at least {least} points", corpus.folder, "lower --least")
    return things


def write_bank(
    things: Iterable[ObjectSample], folder: Path, *, made_by: dict[str, Any] | None = None, licence: str = "",
    synthetic: bool = False, force: bool = False,
) -> None:  # fmt: skip
    """Write objects as a bank: a corpus of one tile each.

    An object that was cut out of a source keeps its licence and flags; ``licence``, of all or several joined by "; ", holds for
    the bank, each in a row of its own.
    """
    licences = SourceRow(path="", licence=licence).licences
    rows: list[dict[str, Any]] = []
    told = {**(made_by or {}), KEY: rows}
    with CorpusWriter(folder, kind="synthetic" if synthetic else "real", frame="sensor", made_by=told, force=force) as writer:
        for index, thing in enumerate(things):
            of = thing.source or SourceRow(path="", licence=licences[0] if licences else "")
            writer.source(SourceRow(path=thing.row.dataset or thing.row.unit, licence=of.licence, flags=of.flags))
            writer.add(thing.cloud, f"{thing.row.name}-{index:05d}", thing.row.unit, thing.row.split)
            rows.append(thing.row.model_dump(mode="json"))
        for other in licences:
            if other not in {row.licence for row in writer.sources}:
                writer.source(SourceRow(path=folder.name, licence=other))


def read_bank(folder: Path, names: Sequence[str] = (), split: str | None = None) -> list[ObjectSample]:
    """The objects of a bank, all or of some classes and of one split (objects without one are of "train").

    Raises:
        FileError: Where it is no bank.
        NotFound: Where it has no objects of the split.
        LabelError: Where it has none of the classes.
    """
    corpus = Corpus.open(folder)
    rows = corpus.manifest.made_by.get(KEY)
    if not isinstance(rows, list) or len(rows) != len(corpus.tiles):
        raise FileError("is not an object bank", folder, "make one with pcaug objects CORPUS -o BANK")
    try:
        known = [ObjectRow.model_validate(row, strict=False) for row in rows]
    except ValueError as error:
        raise FileError(f"holds objects that are not described ({error})", folder, "make the bank again") from None
    row_of = {tile.path: row for tile, row in zip(corpus.tiles, known, strict=True)}
    found = [(tile, row_of[tile.path]) for tile in corpus.only(split=split).tiles]
    things = [ObjectSample(corpus.read(tile), row) for tile, row in found if not names or row.name in names]
    if not things:
        do = f"it has {', '.join(sorted({row.name for _, row in found}))}"
        raise LabelError(f"no object of class {', '.join(names)}", folder, do)
    return things
