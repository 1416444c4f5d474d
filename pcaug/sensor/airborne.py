"""Airborne scanners, on aircraft and drones, flying strips over a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pcaug.scene.asset import Scene
from pcaug.scene.ranges import draw
from pcaug.scene.scanner import SensorRow, check_rays
from pcaug.sensor.engine import Rays

Array = NDArray[np.float64]
BUNDLE = 4.0
"""Edge in metres of the plan cells that bundle rays."""
PAUSE = 600.0
"""Seconds from one strip to the next."""


@dataclass(frozen=True)
class _Strip:
    """A flight past the scene; lengths in metres.

    Attributes:
        altitude: Above the viewpoint's ground.
        cone: Half the swath.
        offset: Of the flight line from the scene's middle, to the left.
        course: Direction of flight, radians.
        start: Seconds.
        speed: m/s.
        spacing: Of pulses along and across.
        reach: Half of what is looked at, along and across.
    """

    altitude: float
    cone: float
    offset: float
    course: float
    start: float
    speed: float
    spacing: float
    reach: float


def survey(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> Rays:
    """The legs that the sensor names, or parallel strips in a random direction, each across the scene's extent.

    Strips are as far apart as their overlap says, measured across the first through the extent's middle, and lie at random so
    that all of them see the extent; of more than can see it the rest are left out.

    The spacing of pulses along and across the flight is equal, so that ``density`` of them fall on a square metre of level
    ground. Their pattern is that of an oscillating mirror (zigzag), of a rotating polygon (parallel lines), or of a mirror
    that wobbles about a vertical axis (ellipses, after Palmer).
    """
    if sensor.legs:
        return legs(scene, sensor, rng)
    low, high = scene.extent
    reach = float(np.linalg.norm(high - low)) / 2
    altitude, density = draw(sensor.height, rng), draw(sensor.density, rng)
    course = rng.uniform(0, 2 * np.pi)
    cone = altitude * np.tan(np.radians(sensor.scan_angle))
    strips = int(rng.integers(sensor.strips[0], sensor.strips[1] + 1))
    apart, seen = 2 * cone * (1 - sensor.overlap), cone + 0.2 * reach
    while (strips - 1) / 2 * apart > seen:  # the outermost would miss the scene
        strips -= 1
    half = (strips - 1) / 2 * apart
    shift = rng.uniform(-0.5, 0.5) * 2 * max(min(half + cone - reach, seen - half), 0.0)
    speed = max(draw(sensor.speed, rng), 0.1)
    check_rays(strips * (2 * reach) ** 2 * density)
    parts = []
    for index in range(strips):
        turned = course + np.pi * (index % 2) + (rng.normal(0, 0.1) if index else 0.0)
        offset = (shift + index * apart - half) * np.cos(turned - course)  # to the left of its own course, not of the first's
        strip = _Strip(altitude, cone, offset, turned, index * PAUSE, speed, 1 / np.sqrt(density), reach)
        parts.append(_rays(scene, strip, sensor.pattern, rng))
    origin, direction, time, angle, cell = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Rays(origin, direction, time, np.zeros(len(time), np.uint16), angle.astype(np.float32), cell)


def legs(scene: Scene, sensor: SensorRow, rng: np.random.Generator) -> Rays:
    """Straight flights at constant speed, all pulses of them: lines there and back (zigzag), lines all one way, or circles.

    The beam is ``scan_angle`` off the vertical at most, or, on circles (``palmer``), always; ``rate`` counts lines or turns.
    """
    speed, half = max(draw(sensor.speed, rng), 0.1), np.radians(sensor.scan_angle)
    flown = sum(float(np.linalg.norm(np.subtract(leg[3:], leg[:3]))) for leg in sensor.legs)
    check_rays(flown / speed * sensor.pulses)
    parts, start = [], 0.0
    for index, leg in enumerate(np.array(sensor.legs)):
        way = leg[3:] - leg[:3]
        length = float(np.linalg.norm(way))
        along = way / length
        across = np.cross([0.0, 0, 1], along)
        across /= max(float(np.linalg.norm(across)), 1e-9)
        ahead = np.cross(across, [0.0, 0, 1])
        time = np.arange(int(length / speed * sensor.pulses)) / sensor.pulses
        origin = leg[:3] + (speed * time)[:, None] * along
        line, within = np.divmod(time * sensor.rate, 1.0)
        if sensor.pattern == "palmer":
            turn = 2 * np.pi * within
            off, side = np.sin(half) * (np.cos(turn)[:, None] * ahead + np.sin(turn)[:, None] * across), half * np.sin(turn)
            direction = off - np.array([0, 0, np.cos(half)])
        else:
            back = (sensor.pattern == "oscillating") & (line % 2 == 1)
            side = half * (2 * np.where(back, 1 - within, within) - 1)
            direction = np.sin(side)[:, None] * across - np.cos(side)[:, None] * np.array([0.0, 0, 1])
        ground = origin + direction * ((scene.viewpoint[2] - origin[:, 2]) / direction[:, 2])[:, None]
        bundle = 2 * _cells(ground, index) + ((direction @ ahead) > 0)
        parts.append((origin, direction, start + time, -np.degrees(side), bundle))  # across is left, see Rays.scan_angle
        start += length / speed + PAUSE
    origin, direction, time, angle, cell = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Rays(origin, direction, time, np.zeros(len(time), np.uint16), angle.astype(np.float32), cell)


def _cells(ground: Array, strip: int) -> NDArray[np.int64]:
    """Number of the plan cell of each place (N, 2 or 3), other ones for each strip."""
    cells = np.floor(ground[:, :2] / BUNDLE).astype(np.int64)
    return np.asarray(cells[:, 0] * 100_003 + cells[:, 1] + strip * 10_000_000_019)


def _rays(
    scene: Scene, strip: _Strip, pattern: str, rng: np.random.Generator
) -> tuple[Array, Array, Array, Array, NDArray[np.int64]]:
    """Rays of one strip that aim at the scene: origin, direction, time, scan angle, bundle."""
    middle, z0 = scene.extent.mean(axis=0), scene.viewpoint[2]
    along = np.array([np.cos(strip.course), np.sin(strip.course)])
    across = np.array([-along[1], along[0]])
    flown, ahead, side = _ellipses(strip) if pattern == "palmer" else _lines(strip, zigzag=pattern == "oscillating")
    jitter = rng.normal(0, 0.08 * strip.spacing, (len(side), 2))
    side = side + jitter[:, 1]
    ground = middle + (ahead + jitter[:, 0])[:, None] * along + side[:, None] * across
    angle = -np.degrees(np.arctan2(side - strip.offset, strip.altitude))  # across is left, see Rays.scan_angle
    inside = ((ground >= scene.extent[0]) & (ground <= scene.extent[1])).all(axis=1)
    inside &= np.abs(side - strip.offset) <= strip.cone + 1e-9
    ground, flown = ground[inside], flown[inside]
    plan = middle + flown[:, None] * along + strip.offset * across
    origin = np.column_stack([plan, np.full(len(plan), z0 + strip.altitude)])
    direction = np.column_stack([ground, np.full(len(plan), z0)]) - origin
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    bundle = _cells(ground, round(strip.start / PAUSE))
    time = strip.start + (flown - flown.min(initial=0.0)) / strip.speed
    if pattern == "palmer":  # a place is seen from before and from behind
        bundle = 2 * bundle + ((direction[:, :2] @ along) > 0)
    return origin, direction, time, angle[inside], bundle


def _lines(strip: _Strip, *, zigzag: bool) -> tuple[Array, Array, Array]:
    """Where the aircraft is, and where the beam meets level ground, along and across: lines back and forth, or all one way."""
    steps = np.arange(-strip.reach, strip.reach, strip.spacing)
    line, side = np.meshgrid(steps, steps, indexing="ij")
    back = zigzag & (np.arange(len(steps)) % 2 == 1)[:, None]
    flown = line + np.where(back, strip.reach - side, side + strip.reach) / (2 * strip.reach) * strip.spacing
    return flown.ravel(), flown.ravel(), side.ravel()


def _ellipses(strip: _Strip) -> tuple[Array, Array, Array]:
    """The same for circles of radius ``cone`` about the aircraft's nadir, which moves on by one spacing a turn.

    Turns s apart with pulses s apart put pi / (2 s^2) pulses on a square metre of the swath of 2 r: a turn has 2 pi r / s.
    """
    spacing = strip.spacing * np.sqrt(np.pi)
    phase = np.arange(0, 2 * np.pi, spacing / strip.cone)
    side = strip.cone * np.sin(phase) + strip.offset
    phase, side = phase[np.abs(side) <= strip.reach], side[np.abs(side) <= strip.reach]
    before = strip.cone * np.cos(phase)
    first = np.ceil((-strip.reach - before) / spacing)
    turn = first[:, None] + np.arange(int(2 * strip.reach / spacing))
    flown = (turn + phase[:, None] / (2 * np.pi)) * spacing
    return flown.ravel(), (flown + before[:, None]).ravel(), np.broadcast_to(side[:, None], turn.shape).ravel()
