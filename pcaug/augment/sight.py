"""What a sensor sees: where it stood, how far things are, and what hides what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import grey_opening

from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError

View = Literal["sensor", "above"]
FLOOR = -0.4
"""Metres: the ground lies at least so far below a sensor that stands on it."""
APART = np.radians(2.0)
"""By what points lie off the median elevation of their ring at most, but for FEW: beams do not meet in the origin."""
FEW = 0.25
"""Share of the points that may lie farther off."""


def why_not_spinning(cloud: PointCloud) -> str | None:
    """The reason why a cloud cannot be one scan of a spinning sensor in its own frame; None where it may be one."""
    if cloud.crs is not None:
        return "it is georeferenced, not in a sensor's frame"
    if "number_of_returns" in cloud and "ring" not in cloud and np.any(cloud["number_of_returns"] > 1):
        return "its pulses have several returns, as airborne and mobile surveys have"
    if not len(cloud):
        return None
    low, high = cloud.bounds
    if (low[:2] > 0).any() or (high[:2] < 0).any():
        return "its points lie on one side of the origin, where the sensor would stand"
    if np.percentile(cloud.xyz[:, 2], 5) > FLOOR:
        return "nothing lies below the origin, where the sensor would stand"
    return None


def require_spinning(cloud: PointCloud, what: str, instead: str) -> None:
    """Refuse what makes sense only for a scan in its sensor's frame; raises PcaugError with the reason."""
    reason = why_not_spinning(cloud)
    if reason:
        raise PcaugError(
            f"{what} needs scans of a spinning sensor in its own frame: {reason}", cloud.source.file or None, instead
        )


def origins(cloud: PointCloud, what: str) -> NDArray[np.float64]:
    """Where the sensor was for each point, (N, 3) or (3,) metres: the field ``sensor_origin``, else the origin of a scan.

    Raises:
        PcaugError: Where neither is known.
    """
    if "sensor_origin" in cloud:
        return cloud["sensor_origin"].astype(np.float64)
    require_spinning(cloud, what, "take the recipe airborne or mobile for maps, or give the cloud a field sensor_origin")
    return np.zeros(3)


def inclination(xyz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Angle of points (N, 3) above the horizon of the origin, radians (N,)."""
    angle: NDArray[np.float64] = np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1]))
    return angle


def rings(cloud: PointCloud, beams: int) -> NDArray[np.int64]:
    """Beam of each point (N,), 0 the lowest: from ``ring`` where there is one, else from equal bins of inclination."""
    if "ring" in cloud:
        values = cloud["ring"].astype(np.int64)
        order = np.unique(values)
        rank = np.searchsorted(order, values)
        angle = inclination(cloud.xyz)
        rising = len(order) < 2 or np.median(angle[rank == 0]) <= np.median(angle[rank == len(order) - 1])
        return rank if rising else len(order) - 1 - rank
    require_spinning(cloud, "telling beams apart without a field ring", "choose a step that needs no beams")
    angle = inclination(cloud.xyz)
    low, high = np.percentile(angle, [0.1, 99.9]) if len(angle) else (0.0, 1.0)
    return np.clip((angle - low) / max(high - low, 1e-9) * beams, 0, beams - 1).astype(np.int64)


@dataclass(frozen=True)
class Beams:
    """The rings of a spinning scan in its sensor's frame, the lowest first.

    Attributes:
        ring: (B,) their numbers.
        elevation: (B,) median inclination of their points, radians, rising.
    """

    ring: NDArray[Any]
    elevation: NDArray[np.float64]

    @classmethod
    def of(cls, cloud: PointCloud) -> Beams:
        """Of a scan with one point or more and the field ``ring``."""
        order = np.argsort(cloud["ring"], kind="stable")
        ring, first = np.unique(cloud["ring"][order], return_index=True)
        angle = np.array([np.median(part) for part in np.split(inclination(cloud.xyz[order]), first[1:])])
        rising = np.argsort(angle, kind="stable")
        return cls(ring[rising], angle[rising])

    def saw(self, cloud: PointCloud) -> bool:
        """Whether the rings of a cloud in its sensor's frame may be these: most of its points lie where their ring looks."""
        order = np.argsort(self.ring)
        at = np.minimum(np.searchsorted(self.ring[order], cloud["ring"]), len(order) - 1)
        off = np.abs(inclination(cloud.xyz) - self.elevation[order][at])
        return bool(np.mean((self.ring[order][at] != cloud["ring"]) | (off > APART)) <= FEW)

    def numbered(self, cloud: PointCloud) -> PointCloud:
        """A cloud with the rings of these that look nearest to its points."""
        at = np.searchsorted((self.elevation[1:] + self.elevation[:-1]) / 2, inclination(cloud.xyz))
        return cloud.with_fields(None, ring=self.ring[at])


class DepthImage:
    """Nearest distance per cell, as a sensor at the origin sees points, or as one far above does.

    Args:
        xyz: (N, 3) what is looked at.
        view: "sensor": cells are of azimuth and inclination, distance is range. "above": cells are of the plan, distance is
            depth below the highest point.
        cell: Edge of a cell, radians or metres.
        close: Fill gaps up to two cells wide between points: surfaces, not dots, hide what is behind them.
    """

    def __init__(self, xyz: NDArray[np.float64], view: View, cell: float, *, close: bool = False) -> None:
        self.view, self.cell = view, cell
        cells = self._cells(xyz)
        self.low = cells.min(axis=0) - 2
        shape = cells.max(axis=0) - self.low + 3
        image = np.full(shape, np.inf)
        np.minimum.at(image, tuple((cells - self.low).T), self._distance(xyz))
        self.image: NDArray[np.float64] = grey_opening(image, size=(3, 3)) if close else image

    def behind(self, xyz: NDArray[np.float64], margin: float = 0.0) -> NDArray[np.bool_]:
        """Mask (N,) of points that stand more than ``margin`` metres behind what the image shows in their cell."""
        found = np.full(len(xyz), np.inf)
        cells = self._cells(xyz) - self.low
        inside = ((cells >= 0) & (cells < self.image.shape)).all(axis=1)
        found[inside] = self.image[tuple(cells[inside].T)]
        hidden: NDArray[np.bool_] = self._distance(xyz) > found + margin
        return hidden

    def _cells(self, xyz: NDArray[np.float64]) -> NDArray[np.int64]:
        if self.view == "above":
            plan: Any = xyz[:, :2]
        else:
            plan = np.stack([np.arctan2(xyz[:, 1], xyz[:, 0]), inclination(xyz)], axis=1)
        cells: NDArray[np.int64] = np.floor(plan / self.cell).astype(np.int64)
        return cells

    def _distance(self, xyz: NDArray[np.float64]) -> NDArray[np.float64]:
        return -xyz[:, 2] if self.view == "above" else np.linalg.norm(xyz, axis=1)
