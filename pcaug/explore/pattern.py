"""How a scanner looked, from its points: beams, steps, noise, losses of a spinning one, lines and returns of an airborne one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pcaug.catalogue import Strict
from pcaug.cloud import PointCloud
from pcaug.corpus.cells import numbered, own_cells
from pcaug.corpus.read import Corpus
from pcaug.errors import PcaugError

RANGES = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 120.0)
"""Edges of the bins of range, metres."""
BEAMS = range(4, 257)
"""How many beams a spinning scanner may have."""
WIDE = 0.1
"""Degrees that the points of one beam spread over at most, where beams are found by their elevations alone."""
GAP = 0.05
"""Degrees between points that separate two beams there."""
DOWN = -10.0
"""Degrees below which beams mostly meet the ground, which is smooth from one column to the next."""
ARC = 300
"""Neighbours that an arc of a beam has."""
NEAR = 18.0
"""Metres within which several beams cross a square metre of ground."""
CROSSING = 5
"""Beams that a square metre has to show for the errors that they have in common."""
CROSSED = 20
"""Square metres in which a beam is compared with the others."""
PLANE = 0.08
"""Metres off its plane at which a square metre is no road."""
SPAN = 1.8
"""Times that a beam's farthest points have to be as far as its nearest to tell how high it leaves the scanner."""
LIFT = 0.03
"""Metres below which that is taken for nothing."""
ALIKE = 0.05
"""Relative difference of ranges up to which two points lie on one surface."""
SAME = 1e-4
"""Degrees below which two points of a beam are returns of one pulse."""
PAUSE = 5.0
"""Seconds without a point that separate two flight strips."""


class Spinning(Strict):
    """A spinning multi-beam scanner as one cloud or several show it.

    Attributes:
        elevations: Of the beams as seen from the origin, median over their points, degrees, highest first.
        angles: Of the same beams, as seen from where they leave the scanner, degrees.
        lift: Height above the origin from which each leaves, metres.
        azimuth_steps: Columns of a full turn.
        noise: Standard deviation of ranges, metres.
        bias: Standard deviation of what the ranges of one beam are off those of the others, metres; 0 where it cannot be told.
        dropout: Share of beams between two points of one surface that found nothing, by RANGES; None for few points.
    """

    elevations: tuple[float, ...]
    angles: tuple[float, ...]
    lift: tuple[float, ...]
    azimuth_steps: int
    noise: float
    bias: float
    dropout: tuple[float | None, ...]


class Airborne(Strict):
    """A scanner that flew over a map.

    Attributes:
        density: First returns per square metre, median over the square metres that have any.
        strips: Flight strips; None without times.
        cover: Strips that cover a square metre, mean over those that have first returns; None without times.
        line_spacing: Metres between scan lines along the flight; None without times and scan angles.
        scan_angle: Largest angle from nadir, degrees; None where the file does not say.
        returns: Share of pulses with 1, 2, 3, 4, and 5 or more returns; empty where the file does not say.
    """

    density: float
    strips: int | None
    line_spacing: float | None
    scan_angle: float | None
    returns: tuple[float, ...]
    cover: float | None = None


def beams(cloud: PointCloud) -> NDArray[np.int64] | None:
    """Beam (N,) of each point of a spinning scan in the scanner's frame; None where they cannot be told.

    From the field ``ring``; or from turns in the order of the points, as KITTI's files have it; or from elevations that
    stand apart, as clouds have that are true to one origin.
    """
    if "ring" in cloud and len(np.unique(cloud["ring"])) in BEAMS:
        return cloud["ring"].astype(np.int64)
    azimuth, elevation = _angles(cloud.xyz)
    turn = np.cumsum(np.diff(azimuth, prepend=azimuth[:1]) < -180)
    if len(turn) and turn[-1] + 1 in BEAMS and np.bincount(turn).min() > 50:
        return turn.astype(np.int64)
    order = np.argsort(elevation, kind="stable")
    step = np.diff(elevation[order], prepend=elevation[order][:1]) > GAP
    level = np.zeros(len(cloud), np.int64)
    level[order] = np.cumsum(step)
    count = int(level.max()) + 1 if len(level) else 0
    if count not in BEAMS:
        return None
    first = np.flatnonzero(np.r_[True, step[1:]])
    ends = np.r_[first[1:], len(order)] - 1
    narrow = elevation[order][ends] - elevation[order][first] < WIDE
    return level if narrow.mean() > 0.9 else None


def _angles(xyz: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Azimuth 0..360 and elevation, degrees."""
    return np.degrees(np.arctan2(xyz[:, 1], xyz[:, 0])) % 360, np.degrees(np.arctan2(xyz[:, 2], np.hypot(xyz[:, 0], xyz[:, 1])))


def spinning(cloud: PointCloud) -> Spinning | None:
    """The pattern of one scan in the scanner's frame; None where it shows none."""
    beam = beams(cloud) if len(cloud) >= 1000 else None
    if beam is None:
        return None
    azimuth, elevation = _angles(cloud.xyz)
    reach = np.linalg.norm(cloud.xyz, axis=1)
    order = np.lexsort((reach, np.rint(azimuth / SAME), beam))  # of a pulse's returns the nearest stays
    again = (np.diff(beam[order]) == 0) & (np.diff(azimuth[order]) < SAME)
    order = order[np.append(True, ~again)]
    same = np.diff(beam[order]) == 0
    if not same.any():
        return None
    turn, far = np.diff(azimuth[order]), reach[order]
    step = _step(turn[same])
    rows = sorted((_beam(elevation[beam == b], reach[beam == b]) for b in np.unique(beam)), reverse=True)
    elevations, near, lift = (np.array(column) for column in zip(*rows, strict=True))
    known = np.flatnonzero(np.isfinite(lift))
    lift = lift[known[np.abs(np.arange(len(lift))[:, None] - known).argmin(axis=1)]] if len(known) else np.zeros(len(lift))
    return Spinning(
        elevations=tuple(elevations.tolist()),
        angles=tuple((elevations - np.degrees(lift * near)).tolist()),
        lift=tuple(lift.tolist()),
        azimuth_steps=round(360 / step),
        noise=_noise(far, same & (turn < 1.5 * step), elevation[order] < DOWN),
        bias=_bias(cloud.xyz, beam, (elevation < 0) & (reach < NEAR)),
        dropout=_dropout(far, same, turn / step),
    )


def _beam(elevation: NDArray[np.float64], reach: NDArray[np.float64]) -> tuple[float, float, float]:
    """Median elevation of a beam, median of 1 / range, and its lift, the slope of one over the other; NaN where its ranges do
    not differ enough to tell."""
    near = 1 / np.maximum(reach, 1.0)
    edges = np.quantile(near, np.linspace(0.02, 0.98, 9))
    slots = [(near >= low) & (near < high) for low, high in pairwise(edges)]
    x, y = (np.array([np.median(values[slot]) for slot in slots if slot.any()]) for values in (near, np.radians(elevation)))
    wide = len(x) > 3 and x.max() > SPAN * x.min()
    slope = float(np.polyfit(x, y, 1)[0]) if wide else np.nan
    lift = slope if not wide or abs(slope) > LIFT else 0.0
    return float(np.median(elevation)), float(np.median(near)), lift


def _step(turn: NDArray[np.float64]) -> float:
    """Degrees between columns: most neighbours of a beam are one column apart."""
    middle = float(np.quantile(turn, 0.5, method="lower"))  # one of them: between two the mean of the middle ones may be alone
    return float(turn[(turn > 0.5 * middle) & (turn < 1.5 * middle)].mean())


def _noise(far: NDArray[np.float64], neighbours: NDArray[np.bool_], down: NDArray[np.bool_]) -> float:
    """From second differences of three neighbours on the ground, whose variance is six times that of one range.

    Taken in short arcs of a beam, the lower quartile of which is smooth road.
    """
    bend = np.abs(far[2:] - 2 * far[1:-1] + far[:-2])[neighbours[:-1] & neighbours[1:] & down[1:-1]]
    arcs = bend[: len(bend) // ARC * ARC].reshape(-1, ARC)
    return float(1.4826 * np.percentile(np.median(arcs, axis=1), 25) / np.sqrt(6)) if len(arcs) else 0.0


def _bias(xyz: NDArray[np.float64], beam: NDArray[np.int64], near: NDArray[np.bool_]) -> float:
    """From plane square metres that several beams cross: how far off the plane a beam is, along it, median over all of them."""
    xyz, beam = xyz[near], beam[near]
    cell, _, _ = numbered(xyz, 1.0)
    pairs, owner, counts = np.unique(np.column_stack([cell, beam]), axis=0, return_inverse=True, return_counts=True)
    mean = np.column_stack([np.bincount(owner.reshape(-1), xyz[:, i]) for i in range(3)]) / counts[:, None]
    pairs, mean = pairs[counts >= 4], mean[counts >= 4]
    if not len(pairs):
        return 0.0
    starts = np.flatnonzero(np.diff(pairs[:, 0], prepend=-1))
    off: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    for first, end in zip(starts, np.append(starts[1:], len(pairs)), strict=True):
        if end - first < CROSSING:
            continue
        at = mean[first:end]
        plan = np.column_stack([at[:, :2] - at[:, :2].mean(axis=0), np.ones(len(at))])
        rest = at[:, 2] - plan @ np.linalg.lstsq(plan, at[:, 2], rcond=None)[0]
        if np.abs(rest).max() < PLANE:  # three of them the plane takes for itself
            along = rest * np.linalg.norm(at, axis=1) / -at[:, 2]
            off.append((pairs[first:end, 1], along * np.sqrt(len(at) / (len(at) - 3))))
    if not off:
        return 0.0
    which, along = (np.concatenate(column) for column in zip(*off, strict=True))
    medians = [np.median(along[which == b]) for b in np.unique(which) if np.count_nonzero(which == b) >= CROSSED]
    return float(np.std(medians)) if len(medians) >= CROSSING else 0.0


def _dropout(far: NDArray[np.float64], same: NDArray[np.bool_], columns: NDArray[np.float64]) -> tuple[float | None, ...]:
    one_surface = same & (np.abs(np.diff(far)) < ALIKE * far[:-1]) & (columns < 4.5)
    lost = np.maximum(np.rint(columns[one_surface]) - 1, 0)
    place = np.digitize(far[:-1][one_surface], RANGES) - 1
    sums = np.bincount(place, lost, len(RANGES))[: len(RANGES) - 1]
    kept = np.bincount(place, minlength=len(RANGES))[: len(RANGES) - 1]
    return tuple(float(s / (s + k)) if k >= 100 else None for s, k in zip(sums, kept, strict=True))


def joined(scans: list[Spinning]) -> Spinning | None:
    """The scanner behind several scans: medians over those with the usual number of beams."""
    if not scans:
        return None
    numbers = [len(scan.elevations) for scan in scans]
    usual = max(set(numbers), key=numbers.count)
    alike = [scan for scan in scans if len(scan.elevations) == usual]
    lost = [[scan.dropout[i] for scan in alike if scan.dropout[i] is not None] for i in range(len(RANGES) - 1)]
    return Spinning(
        elevations=tuple(np.median([scan.elevations for scan in alike], axis=0).tolist()),
        angles=tuple(np.median([scan.angles for scan in alike], axis=0).tolist()),
        lift=tuple(np.median([scan.lift for scan in alike], axis=0).tolist()),
        azimuth_steps=int(np.median([scan.azimuth_steps for scan in alike])),
        noise=float(np.median([scan.noise for scan in alike])),
        bias=float(np.median([scan.bias for scan in alike])),
        dropout=tuple(float(np.mean(values)) if values else None for values in lost),  # type: ignore[arg-type]
    )


def airborne(cloud: PointCloud) -> Airborne:
    """The pattern of one piece of a map."""
    first = cloud.take(cloud["return_number"] <= 1) if "return_number" in cloud else cloud
    if not len(first):  # a sliver of a tile, or some classes alone
        first = cloud
    code = own_cells(first.xyz, 1.0)
    _, counts = np.unique(code, return_counts=True)
    timed = "time" in cloud and np.ptp(first["time"]) > 0
    angled = "scan_angle" in cloud and np.ptp(first["scan_angle"]) > 0
    strips, cover = _strips(first["time"], code) if timed else (None, None)
    several = np.minimum(first["number_of_returns"].astype(np.int64), 5) if "number_of_returns" in cloud else None
    return Airborne(
        density=float(np.median(counts)),
        strips=strips,
        cover=cover,
        line_spacing=_line_spacing(first) if timed and angled else None,
        scan_angle=float(np.abs(first["scan_angle"]).max()) if angled else None,
        returns=() if several is None else tuple((np.bincount(several, minlength=6)[1:] / len(several)).tolist()),
    )


def _strips(time: NDArray[np.float64], code: NDArray[np.int64]) -> tuple[int, float]:
    """Strips of first returns, told by the pauses between them, and how many cover one of their cells (N,), on average."""
    order = np.argsort(time, kind="stable")
    strip = np.cumsum(np.diff(time[order], prepend=time[order[0]]) > PAUSE)
    pairs = len(np.unique(code[order] * (int(strip[-1]) + 1) + strip))
    return int(strip[-1]) + 1, pairs / len(np.unique(code))


def _line_spacing(first: PointCloud) -> float | None:
    """Median distance between neighbouring scan lines, which end where the mirror turns back or jumps."""
    order = np.argsort(first["time"], kind="stable")
    time, angle, plan = first["time"][order], first["scan_angle"][order].astype(float), first.xyz[order, :2]
    apart = []
    for piece in np.split(np.arange(len(time)), np.flatnonzero(np.diff(time) > PAUSE) + 1):
        moves = np.sign(np.diff(angle[piece]))
        last = np.maximum.accumulate(np.where(moves != 0, np.arange(len(moves)), 0))  # whole degrees stand still for a while
        ends = np.flatnonzero(np.diff(moves[last]) != 0) + 1
        lines = [line for line in np.split(piece, ends) if len(line) >= 5]
        if len(lines) < 5:
            continue
        centre = np.array([np.median(plan[line], axis=0) for line in lines])
        _, _, axes = np.linalg.svd(centre - centre.mean(axis=0), full_matrices=False)
        apart += np.abs(np.diff(centre @ axes[0])).tolist()
    return float(np.median(apart)) if apart else None


def pattern_of(real: Corpus, looked_at: int = 8) -> tuple[tuple[float, ...], int]:
    """Elevations of the beams (degrees) and columns of a turn of the spinning scanner behind a corpus.

    Raises:
        PcaugError: If its scans show no such scanner.
    """
    tiles = [tile for tile in real.tiles if tile.points][:: max(1, len(real.tiles) // looked_at)]
    found = joined([scan for tile in tiles if (scan := spinning(real.read(tile)))])
    if found is None or real.manifest.frame != "sensor":
        raise PcaugError("holds no scans of a spinning scanner", real.folder, "objects are placed into such scans alone")
    return found.elevations, found.azimuth_steps
