"""Procedural objects in real sizes: trees, bushes, hedges, cars, poles, people and what else stands in a street.

Each maker takes the generator that shapes it and returns an asset standing on z = 0, its front along +x.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from pcaug.scene.asset import Asset, Builder
from pcaug.scene.shapes import Points, box, leaves, loft, moved, quad, tube

Rng = np.random.Generator


def tree(rng: Rng) -> Asset:
    """A broad-leaved tree: tapered trunk, branches of two orders, clusters of leaves along the twigs."""
    h = rng.uniform(5, 13)
    crown, clear = rng.uniform(0.28, 0.42) * h, rng.uniform(0.18, 0.32) * h
    out = Builder()
    lean = rng.normal(0, 0.02, 2) * h
    top = np.array([*lean, 0.82 * h])
    radius = 0.018 * h + 0.04
    out.add(tube((0, 0, -0.3), top, radius, radius * 0.3, 7), "tree", "bark")
    ends = [top]
    for _ in range(int(rng.integers(10, 16))):
        s = rng.uniform(clear / h, 0.8)
        start = top * (s / 0.82)
        reach = crown * np.sin(np.pi * np.clip((s - clear / h + 0.12) / (1.0 - clear / h), 0.1, 0.95)) * rng.uniform(0.7, 1.05)
        angle = rng.uniform(0, 2 * np.pi)
        end = start + np.array([np.cos(angle) * reach, np.sin(angle) * reach, reach * rng.uniform(0.25, 0.8)])
        out.add(tube(start, end, radius * 0.35, radius * 0.12, 4), "tree", "bark")
        for f in (0.5, 0.75, 1.0):
            fork = start + (end - start) * f
            twig = fork + rng.normal(0, 0.3 * reach, 3) + (0, 0, 0.12 * reach)
            out.add(tube(fork, twig, radius * 0.1, 0.01, 3), "tree", "bark")
            ends += [fork, (fork + twig) / 2, twig]
    middle = np.array(ends)
    each = int(rng.integers(30, 60))
    centres = np.repeat(middle, each, axis=0) + rng.normal(0, rng.uniform(0.04, 0.06) * h, (len(middle) * each, 3))
    centres = centres[centres[:, 2] > clear * 0.9]
    out.add(leaves(centres, rng.uniform(0.15, 0.3), rng), "tree", "leaves")
    return out.asset("tree")


def conifer(rng: Rng) -> Asset:
    """A conifer: straight trunk, whorls of drooping branches that shorten upwards."""
    h = rng.uniform(6, 16)
    out = Builder()
    out.add(tube((0, 0, -0.3), (0, 0, h * 0.97), 0.014 * h + 0.05, 0.02, 6), "tree", "bark")
    levels = np.sort(rng.uniform(0.08 * h, 0.97 * h, int(18 + 3 * h)))
    centres = []
    for z in levels:
        reach = (1 - z / h) * rng.uniform(0.2, 0.26) * h + 0.2
        for angle in rng.uniform(0, 2 * np.pi, 4):
            steps = np.linspace(0.2, 1, 7) * reach
            centres.append(np.stack([np.cos(angle) * steps, np.sin(angle) * steps, z - 0.25 * steps], axis=1))
    points = np.repeat(np.concatenate(centres), 3, axis=0)
    out.add(leaves(points + rng.normal(0, 0.1, points.shape), 0.24, rng), "tree", "leaves")
    return out.asset("conifer")


def bush(rng: Rng) -> Asset:
    """A shrub: leaves in a few overlapping ellipsoids down to the ground."""
    radius, height = rng.uniform(0.5, 1.5), rng.uniform(0.7, 2.6)
    blobs = rng.uniform(-0.5, 0.5, (4, 3)) * (radius, radius, 0)
    count = int(rng.integers(700, 1800))  # from loose to dense
    points = rng.normal(0, 1, (count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True) / rng.uniform(0.7, 1.0, (count, 1))
    centres = blobs[rng.integers(0, 4, count)] + points * (radius * 0.7, radius * 0.7, height / 2) + (0, 0, height / 2)
    centres[: count // 6, 2] *= 0.3  # its foot
    out = Builder()
    out.add(leaves(centres, rng.uniform(0.14, 0.24), rng), "low_vegetation", "leaves")
    return out.asset("bush")


def herbs(rng: Rng) -> Asset:
    """A patch of high grass and herbs, two metres across."""
    centres = rng.uniform(-1, 1, (350, 3)) * (1.0, 1.0, 0)
    out = Builder()
    out.add(leaves(centres + (0, 0, 0.15) + rng.gamma(2, 0.08, (350, 1)) * (0, 0, 1), 0.13, rng), "low_vegetation", "leaves")
    return out.asset("herbs")


def grass(rng: Rng) -> Asset:
    """A patch of high grass, two metres across: natural ground, as datasets label it, up to half a metre high."""
    centres = rng.uniform(-1, 1, (450, 3)) * (1.0, 1.0, 0)
    out = Builder()
    out.add(leaves(centres + np.minimum(rng.gamma(1.5, 0.1, (450, 1)), 0.5) * (0, 0, 1), 0.1, rng), "terrain", "grass")
    return out.asset("grass")


def hedge(rng: Rng, length: float = 2.0) -> Asset:
    """Two metres of clipped hedge along x."""
    height, width = rng.uniform(0.9, 2.2), rng.uniform(0.5, 0.9)
    points = rng.uniform(-0.5, 0.5, (900, 3)) * (length * 1.04, width, height)
    face = rng.integers(0, 3, 900)
    points[face == 0, 1] = np.sign(points[face == 0, 1]) * width / 2
    points[face == 1, 2] = height / 2
    out = Builder()
    out.add(leaves(points + (0, 0, height / 2) + rng.normal(0, 0.05, points.shape), 0.15, rng), "low_vegetation", "leaves")
    out.add(box((-length / 2, -width / 4, 0), (length / 2, width / 4, height * 0.8)), "low_vegetation", "leaves")
    return out.asset("hedge")


def _section(width: float, low: float, high: float, x: float, top: float = 1.0) -> Points:
    """A car's cross-section at x: eight points around, narrower at the top."""
    w, t = width / 2, width / 2 * top
    middle = low + 0.55 * (high - low)
    return np.array([
        (x, -w * 0.92, low), (x, w * 0.92, low), (x, w, low + 0.2 * (high - low)), (x, w * 0.99, middle),
        (x, t, high), (x, -t, high), (x, -w * 0.99, middle), (x, -w, low + 0.2 * (high - low)),
    ])  # fmt: skip


BODIES = {  # length, width, height, bonnet height share, where the cabin starts and ends, share of body height
    "hatchback": (4.0, 1.75, 1.48, 0.62, -0.98, 0.38),
    "sedan": (4.6, 1.80, 1.45, 0.62, -0.72, 0.36),
    "estate": (4.65, 1.80, 1.50, 0.62, -0.96, 0.38),
    "suv": (4.5, 1.88, 1.70, 0.60, -0.96, 0.42),
    "van": (5.1, 1.95, 1.98, 0.52, -0.99, 0.66),
}


def car(rng: Rng) -> Asset:
    """A passenger car or van in one of the BODIES: painted body, glass cabin with pillars, wheels, mirrors."""
    kind = str(rng.choice(list(BODIES), p=[0.3, 0.2, 0.2, 0.2, 0.1]))
    length, width, height, waist, rear, front = BODIES[kind]
    length, width, height = length * rng.uniform(0.94, 1.06), width * rng.uniform(0.97, 1.03), height * rng.uniform(0.97, 1.04)
    half, low, belt = length / 2, 0.2, height * waist
    paint = "dark_paint" if rng.random() < 0.35 else "car_paint"
    out = Builder()
    nose = [
        _section(width * 0.85, low + 0.12, belt * 0.82, half),
        _section(width, low, belt * 0.92, half - 0.25),
        _section(width, low, belt, half * front + 0.25),
        _section(width, low, belt, -half + 0.3),
        _section(width * 0.9, low + 0.1, belt * 0.95, -half),
    ]
    out.add(loft(np.array(nose)), "car", paint)
    roof_front, roof_rear = half * front - 0.45, max(half * rear + 0.35, -half + 0.3)
    cabin = np.array([
        _section(width * 0.93, belt - 0.02, belt, half * front + 0.3, 0.95),
        _section(width * 0.93, belt - 0.02, height, roof_front, 0.72),
        _section(width * 0.93, belt - 0.02, height, roof_rear, 0.74),
        _section(width * 0.92, belt - 0.02, belt, max(half * rear, -half + 0.05), 0.95),
    ])  # fmt: skip
    out.add(loft(cabin), "car", "glass")
    top = cabin[1:3, 4:6]
    out.add(quad(top[0, 0], top[0, 1], top[1, 1], top[1, 0]) + (0, 0, 0.01), "car", paint)
    for x0, x1 in ((roof_front, half * front + 0.3), ((roof_front + roof_rear) / 2,) * 2, (roof_rear, half * rear)):
        for side in (-1, 1):
            start = (max(x1, -half + 0.05), side * width * 0.46, belt)
            out.add(tube(start, (x0, side * width * 0.345, height), 0.05, sides=4), "car", paint)
    out.add(box((-half * 0.55, -width * 0.35, low), (half * 0.2, width * 0.35, belt + 0.25)), "car", "cloth")
    wheel = 0.31 if kind != "suv" else 0.36
    for x in (half * 0.62, -half * 0.6):
        for side in (-1, 1):
            out.add(tube((x, side * width * 0.38, wheel), (x, side * width * 0.51, wheel), wheel, sides=12), "car", "rubber")
    for side in (-1, 1):
        out.add(moved(box((-0.08, -0.1, 0), (0.08, 0.1, 0.14)), (half * front, side * (width / 2 + 0.08), belt)), "car", paint)
    return out.asset(kind)


def lorry(rng: Rng) -> Asset:
    """A delivery lorry or a bus."""
    kind = "lorry" if rng.random() < 0.6 else "bus"
    length = rng.uniform(6, 9.5) if kind == "lorry" else rng.uniform(10.5, 12.5)
    width, height = 2.45, rng.uniform(2.9, 3.6) if kind == "lorry" else 3.1
    out = Builder()
    half = length / 2
    cab = half - 1.9
    if kind == "lorry":
        out.add(box((-half, -width / 2, 1.0), (cab - 0.25, width / 2, height)), "heavy_vehicle", "car_paint")
        out.add(box((-half, -0.5, 0.5), (half - 0.5, 0.5, 1.0)), "heavy_vehicle", "metal")
        out.add(box((cab, -width * 0.46, 0.45), (half, width * 0.46, 1.6)), "heavy_vehicle", "car_paint")
        out.add(box((cab, -width * 0.45, 1.6), (half - 0.25, width * 0.45, 2.5)), "heavy_vehicle", "glass")
        out.add(box((cab, -width * 0.45, 1.6), (cab + 0.8, width * 0.45, 2.6)), "heavy_vehicle", "car_paint")
    else:
        out.add(box((-half, -width / 2, 0.35), (half, width / 2, 1.25)), "heavy_vehicle", "car_paint")
        out.add(box((-half, -width / 2, 1.25), (half, width / 2, 2.4)), "heavy_vehicle", "glass")
        out.add(box((-half, -width / 2, 2.4), (half, width / 2, height)), "heavy_vehicle", "car_paint")
        out.add(box((-half + 0.4, -0.9, 1.0), (half - 0.4, 0.9, 1.7)), "heavy_vehicle", "cloth")
    for x in (half - 1.2, -half + 1.8):
        for side in (-1, 1):
            out.add(
                tube((x, side * width * 0.36, 0.48), (x, side * width * 0.5, 0.48), 0.48, sides=12), "heavy_vehicle", "rubber"
            )
    return out.asset(kind)


def bicycle(rng: Rng) -> Asset:
    """A bicycle or a motorcycle without rider."""
    motor = rng.random() < 0.4
    r, base = (0.3, 0.7) if motor else (0.34, 0.52)
    out = Builder()
    for x in (-base, base):
        ring = np.linspace(0, 2 * np.pi, 13)
        rim = np.stack([x + np.cos(ring) * r, np.zeros(13), r + np.sin(ring) * r], axis=1)
        for a, b in pairwise(rim):
            out.add(tube(a, b, 0.06 if motor else 0.02, sides=4), "two_wheeler", "rubber")
    if motor:
        out.add(box((-0.75, -0.16, 0.45), (0.45, 0.16, 0.9)), "two_wheeler", "dark_paint")
    frame = [(-base, 0, r), (-0.1, 0, 0.75), (0.4, 0, 0.8), (base, 0, r)]
    for a, b in pairwise(frame):
        out.add(tube(a, b, 0.025, sides=4), "two_wheeler", "metal")
    out.add(tube((0.4, -0.3, 1.05), (0.4, 0.3, 1.05), 0.02, sides=4), "two_wheeler", "metal")
    out.add(tube((0.4, 0, 0.8), (0.4, 0, 1.05), 0.02, sides=4), "two_wheeler", "metal")
    out.add(box((-0.25, -0.08, 0.85), (0.05, 0.08, 0.95)), "two_wheeler", "plastic")
    return out.asset("motorcycle" if motor else "bicycle")


def person(rng: Rng) -> Asset:
    """A standing or walking person: legs with knees and feet, bent arms, a round head; some with a bag."""
    h, stride, build = rng.uniform(1.5, 1.9), rng.uniform(0, 0.32), rng.uniform(0.9, 1.2)
    out = Builder()
    hip, knee, shoulder = 0.5 * h, 0.27 * h, 0.82 * h
    for side in (-1, 1):
        y, swing = side * 0.09 * build, side * stride
        bent = (swing * 0.35 + 0.06 * stride / 0.3, y, knee)
        out.add(tube((0, y, hip), bent, 0.085 * build, 0.06 * build, 7), "person", "cloth")
        out.add(tube(bent, (swing, y, 0.05), 0.058 * build, 0.045, 7), "person", "cloth")
        out.add(box((swing - 0.08, y - 0.045, 0), (swing + 0.17, y + 0.045, 0.08)), "person", "rubber")
        elbow = (-swing * 0.4 - 0.03, side * 0.25 * build, 0.62 * h)
        out.add(tube((0, side * 0.19 * build, shoulder - 0.03), elbow, 0.05 * build, 0.042, 6), "person", "cloth")
        out.add(tube(elbow, (-swing * 0.8 + 0.1, side * 0.22 * build, 0.48 * h), 0.042, 0.035, 6), "person", "cloth")
    ring = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    sections = (  # height, half width, half depth
        (hip - 0.06, 0.16, 0.11), (0.58 * h, 0.145, 0.1), (0.7 * h, 0.17, 0.12), (shoulder - 0.03, 0.2, 0.11),
        (shoulder, 0.14, 0.08), (0.86 * h, 0.055, 0.055), (0.885 * h, 0.07, 0.08), (0.93 * h, 0.08, 0.1),
        (0.97 * h, 0.07, 0.09), (h, 0.02, 0.03),
    )  # fmt: skip
    body = [np.stack([np.cos(ring) * d * build, np.sin(ring) * w * build, np.full(10, z)], axis=1) for z, w, d in sections]
    out.add(loft(np.array(body)), "person", "cloth")
    if rng.random() < 0.3:
        out.add(box((-0.3, -0.15, 0.58 * h), (-0.1, 0.15, 0.8 * h)), "person", "cloth")
    return out.asset("person")


def _post(rng: Rng) -> str:
    """What a post is made of: bare metal, or painted dark."""
    return "dark_paint" if rng.random() < 0.3 else "metal"


def lamp(rng: Rng) -> Asset:
    """A street lamp with an arm, or without."""
    h, post = rng.uniform(4.5, 9), _post(rng)
    out = Builder()
    out.add(tube((0, 0, -0.2), (0, 0, h), 0.09, 0.05, 8), "pole", post)
    arm = rng.uniform(0.3, 1.6)
    out.add(tube((0, 0, h - 0.05), (arm, 0, h + 0.1), 0.04, sides=5), "pole", post)
    out.add(box((arm - 0.3, -0.12, h), (arm + 0.3, 0.12, h + 0.15)), "pole", "plastic")
    return out.asset("lamp")


def _plate(out: Builder, ring: Points) -> None:
    """A plate whose outline is a ring (P, 3): it shines back to the front, its back is bare metal."""
    out.add(loft(np.stack([ring, ring + (0.01, 0, 0)])), "sign_light", "metal")
    out.add(loft(np.stack([ring + (0.012, 0, 0), ring + (0.02, 0, 0)])), "sign_light", "sign")


def _rectangle(x: float, y: float, low: float, high: float) -> Points:
    return np.array([(x, -y, low), (x, y, low), (x, y, high), (x, -y, high)])


def sign(rng: Rng) -> Asset:
    """A traffic sign on its post: disc, triangle, square or an oblong plate."""
    h = rng.uniform(2.1, 3.0)
    out = Builder()
    out.add(tube((0, 0, -0.2), (0, 0, h), 0.035, sides=6), "pole", _post(rng))
    if rng.random() < 0.3:
        _plate(out, _rectangle(0.05, rng.uniform(0.2, 0.5), h - rng.uniform(0.2, 0.6), h))
        return out.asset("sign")
    shape = int(rng.choice([3, 4, 12]))
    angle = np.linspace(0, 2 * np.pi, shape, endpoint=False) + (np.pi / 2 if shape == 3 else np.pi / 4)
    size = rng.uniform(0.3, 0.5)
    _plate(out, np.stack([np.full(shape, 0.05), np.cos(angle) * size, h - 0.25 + np.sin(angle) * size], axis=1))
    return out.asset("sign")


def board(rng: Rng) -> Asset:
    """A direction board on two posts."""
    wide, high, low = rng.uniform(0.5, 1.9), rng.uniform(0.4, 1.8), rng.uniform(0.8, 2.3)
    out = Builder()
    for y in (-0.7 * wide, 0.7 * wide):
        out.add(tube((0, y, -0.3), (0, y, low + high), 0.05, sides=6), "pole", "metal")
    _plate(out, _rectangle(0.06, wide, low, low + high))
    return out.asset("board")


def signal(rng: Rng) -> Asset:
    """A traffic light on a post."""
    h = rng.uniform(2.8, 3.6)
    out = Builder()
    out.add(tube((0, 0, -0.2), (0, 0, h), 0.06, sides=7), "pole", _post(rng))
    out.add(box((0.06, -0.15, h - 0.9), (0.3, 0.15, h)), "sign_light", "plastic")
    return out.asset("signal")


def utility_pole(rng: Rng) -> Asset:
    """A wooden utility pole with a crossarm."""
    h = rng.uniform(7, 10)
    out = Builder()
    out.add(tube((0, 0, -0.3), (0, 0, h), 0.14, 0.1, 8), "pole", "wood")
    out.add(box((-0.06, -1.0, h - 0.6), (0.06, 1.0, h - 0.45)), "pole", "wood")
    return out.asset("utility pole")


def bollard(rng: Rng) -> Asset:
    """A bollard."""
    out = Builder()
    out.add(tube((0, 0, -0.1), (0, 0, rng.uniform(0.7, 1.1)), rng.uniform(0.05, 0.1), sides=8), "pole", _post(rng))
    return out.asset("bollard")


def bin_(rng: Rng) -> Asset:
    """A wheeled bin or a litter bin."""
    w, h = (0.6, 1.05) if rng.random() < 0.6 else (0.35, 0.8)
    out = Builder()
    out.add(box((-w / 2, -w / 2, 0.05), (w / 2, w / 2, h)), "street_furniture", "plastic")
    return out.asset("bin")


def bench(rng: Rng) -> Asset:
    """A park bench."""
    out = Builder()
    out.add(box((-0.2, -0.8, 0.42), (0.25, 0.8, 0.47)), "street_furniture", "wood")
    out.add(box((-0.25, -0.8, 0.5), (-0.2, 0.8, 0.85)), "street_furniture", "wood")
    for y in (-0.7, 0.7):
        out.add(box((-0.2, y - 0.04, 0), (0.2, y + 0.04, 0.42)), "street_furniture", "metal")
    return out.asset("bench")


def cabinet(rng: Rng) -> Asset:
    """An electric cabinet."""
    out = Builder()
    out.add(box((-0.2, -0.5, 0), (0.2, 0.5, rng.uniform(0.9, 1.4))), "street_furniture", "plastic")
    return out.asset("cabinet")


def fence(rng: Rng, length: float = 2.5) -> Asset:
    """One panel along x, most of them to be looked through: pickets, boards, wire mesh, or metal bars on a plinth."""
    kind, h = int(rng.choice(4, p=[0.3, 0.15, 0.35, 0.2])), rng.uniform(0.7, 1.7)
    out = Builder()
    half = length / 2
    for x in (-half, half):
        out.add(box((x - 0.04, -0.04, -0.1), (x + 0.04, 0.04, h + 0.05)), "wall_fence", "wood")
    if kind == 0:
        for x in np.arange(-half + 0.08, half, 0.16):
            out.add(box((x - 0.045, -0.015, 0.05), (x + 0.045, 0.015, h)), "wall_fence", "wood")
    elif kind == 1:
        out.add(box((-half, -0.02, 0.05), (half, 0.02, h)), "wall_fence", "wood")
    elif kind == 2:
        out.add(quad((-half, 0, 0.02), (half, 0, 0.02), (half, 0, h), (-half, 0, h)), "wall_fence", "wire_mesh")
    else:
        out.add(box((-half, -0.12, -0.1), (half, 0.12, 0.35)), "wall_fence", "concrete")
        for x in np.arange(-half + 0.06, half, 0.12):
            out.add(box((x - 0.01, -0.01, 0.3), (x + 0.01, 0.01, h)), "wall_fence", "metal")
    return out.asset("fence")


def wall(rng: Rng, length: float = 2.5) -> Asset:
    """A piece of garden or retaining wall along x, with or without a coping."""
    half, h, deep = length / 2, min(0.35 + rng.gamma(2.0, 0.4), 2.6), rng.uniform(0.1, 0.2)
    out = Builder()
    out.add(box((-half, -deep, -0.3), (half, deep, h)), "wall_fence", str(rng.choice(["plaster", "concrete", "brick"])))
    if rng.random() < 0.5:
        out.add(box((-half, -deep - 0.05, h), (half, deep + 0.05, h + 0.06)), "wall_fence", "concrete")
    return out.asset("wall")


def guard_rail(rng: Rng, length: float = 4.0) -> Asset:
    """Four metres of guard rail along x."""
    out = Builder()
    out.add(box((-length / 2, -0.05, 0.5), (length / 2, 0.05, 0.8)), "wall_fence", "metal")
    for x in (-length / 2, 0.0):
        out.add(box((x - 0.05, -0.05, -0.1), (x + 0.05, 0.05, 0.7)), "wall_fence", "metal")
    return out.asset("guard rail")
