"""The beam's physics against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from pcaug import catalogue
from pcaug.scene.asset import MATERIALS, Asset, Builder, Scene, placed
from pcaug.scene.recipe import compose, load_recipe
from pcaug.scene.scanner import SensorRow
from pcaug.scene.shapes import box, quad
from pcaug.sensor import physics
from pcaug.sensor.engine import Caster, Rays
from pcaug.sensor.footprint import LIGHT, merged, split, sub_beams
from pcaug.sensor.physics import Echoes, detect, footprint_shares, reported, resolved, trace
from pcaug.sensor.scan import scan

TREE = catalogue.taxonomy()
CLEAN = {"noise": 0.0, "dropout": 0.0, "threshold": 0.0, "range_max": 5000.0, "range_min": 0.0}
CLEAN |= {"intensity_noise": 0.0, "intensity_floor": 0.0, "intensity_gamma": 1.0, "beam_gain": 0.0}
CLEAN |= {"intensity_power": 0.0, "intensity_near": 0.0, "intensity_full": 0.85}


def rays_along(direction: np.ndarray, origin: np.ndarray | None = None) -> Rays:
    count = len(direction)
    at = np.zeros((count, 3)) if origin is None else origin
    zeros = np.zeros(count)
    return Rays(at, direction, zeros, zeros.astype(np.uint16), zeros.astype(np.float32), np.arange(count) // 256)


def ahead(count: int) -> np.ndarray:
    return np.tile([[1.0, 0, 0]], (count, 1))


def caster_of(*assets: Asset) -> Caster:
    placements = tuple(placed(asset, (0, 0, 0), instance=i) for i, asset in enumerate(assets))
    return Caster(Scene(placements, "test", np.zeros(3), 0.0, np.array([[-20.0, -20.0], [20.0, 20.0]])))


def wall(x: float, material: str = "plaster", label: str = "building", low: float = -500.0, high: float = 500.0) -> Asset:
    out = Builder()
    out.add(quad((x, low, -500), (x, high, -500), (x, high, 500), (x, low, 500)), label, material)
    return out.asset("wall")


@pytest.mark.parametrize("number", [7, 19])
@pytest.mark.parametrize("distance", [50.0, 900.0])
def test_a_footprint_is_as_wide_as_divergence_times_range(number: int, distance: float) -> None:
    divergence = 0.0005
    _, direction, _ = split(rays_along(ahead(200)), number, divergence, np.random.default_rng(0))
    on_wall = direction / direction[:, :1] * distance
    radius = np.linalg.norm(on_wall[:, 1:], axis=1).reshape(200, number)
    places, shares = sub_beams(number)
    np.testing.assert_allclose(
        radius, np.broadcast_to(np.linalg.norm(places, axis=1) * distance * np.tan(divergence / 2), radius.shape), atol=1e-9
    )
    assert shares.sum() == pytest.approx(1)
    assert (np.linalg.norm(places, axis=1) <= 1).all()


@pytest.mark.parametrize("number", [7, 19])
def test_sub_rays_have_the_energy_of_a_gaussian_beam(number: int) -> None:
    """Within radius a there is 1 - exp(-2 a^2 / w^2) of a Gaussian beam's power (w holds 1 - exp(-2))."""
    places, shares = sub_beams(number)
    radius = np.linalg.norm(places, axis=1)
    for ring in np.unique(np.round(radius, 9)):
        outer = ring + 0.5 / ({7: 2, 19: 3}[number] - 0.5)
        within = shares[radius <= ring + 1e-9].sum()
        assert within == pytest.approx((1 - np.exp(-2 * outer**2)) / (1 - np.exp(-2)), rel=1e-9)


@pytest.mark.parametrize(("material", "angle"), [("asphalt", 0.0), ("plaster", 60.0), ("grass", 80.0)])
def test_intensity_is_reflectance_times_cosine_over_one_plus_range_squared(material: str, angle: float) -> None:
    turn = np.radians(angle)
    side = np.array([np.sin(turn), np.cos(turn), 0.0])
    brightest = max(m.reflectance for m in MATERIALS.values())
    sensor = SensorRow(incidence=1.0, intensity_range=20.0, intensity_fall=2.0, **CLEAN)
    for distance in (5.0, 20.0, 60.0):
        out, middle = Builder(), np.array([distance, 0.0, 0.0])
        corners = [middle + a * 400 * side + np.array([0, 0, b * 50.0]) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        out.add(quad(*[tuple(c) for c in corners]), "building", material)
        rng = np.random.default_rng(0)
        echoes = detect(trace(caster_of(out.asset("wall")), rays_along(ahead(8)), sensor, rng), sensor, rng)
        np.testing.assert_allclose(echoes.distance, distance, rtol=1e-4)
        expected = MATERIALS[material].reflectance * np.cos(turn) / brightest / (1 + (distance / 20.0) ** 2)
        np.testing.assert_allclose(reported(echoes, sensor, rng), expected, rtol=1e-3)


def test_a_retroreflector_is_as_bright_at_any_angle() -> None:
    sensor, rng = SensorRow(incidence=1.0, intensity_range=0.0, **CLEAN), np.random.default_rng(0)
    angle = np.radians([0.0, 40.0, 80.0])
    direction = np.stack([np.cos(angle), np.sin(angle), np.zeros(3)], axis=1)
    echoes = trace(caster_of(wall(5.0, "sign")), rays_along(direction), sensor, rng)
    np.testing.assert_allclose(reported(echoes, sensor, rng), 1.0, rtol=1e-6)
    paint = trace(caster_of(wall(5.0, "plaster")), rays_along(direction[:1]), sensor, rng)
    wide = sensor.model_copy(update={"intensity_full": 4.0})  # full scale is far above paint, not above retroreflectors
    assert reported(echoes, wide, rng) == pytest.approx(1.0)
    assert reported(paint, wide, rng) == pytest.approx(MATERIALS["plaster"].reflectance / 4)


def test_detection_falls_with_range_as_the_logistic_of_the_radar_equation() -> None:
    sensor = SensorRow(**CLEAN | {"threshold": 0.01})
    count = 40_000
    for distance in (20.0, 60.0, 100.0):
        echoes = Echoes(
            np.arange(count),
            np.full(count, distance),
            np.zeros(count, np.int64),
            np.full(count, 0.36, np.float32),
            np.full(count, 0.36, np.float32),
        )
        power = 0.36 * (10 / distance) ** 2
        kept = len(detect(echoes, sensor, np.random.default_rng(1)).ray) / count
        assert kept == pytest.approx(1 / (1 + (0.01 / power) ** 3), abs=0.01)


@pytest.mark.parametrize("spread", [0.005, 0.05])
def test_range_noise_is_gaussian_of_the_asked_variance(spread: float) -> None:
    sensor, rng = SensorRow(**CLEAN | {"noise": spread}), np.random.default_rng(3)
    count = 50_000
    error = detect(trace(caster_of(wall(30.0)), rays_along(ahead(count)), sensor, rng), sensor, rng).distance - 30.0
    assert error.mean() == pytest.approx(0, abs=4 * spread / np.sqrt(count))
    assert error.var() == pytest.approx(spread**2, rel=4 * np.sqrt(2 / count))
    assert (error**4).mean() / error.var() ** 2 == pytest.approx(3, abs=0.12)  # kurtosis


def discs(count: int, radius: float, side: float, depth: float, rng: np.random.Generator) -> Asset:
    """Opaque squares of half diagonal ``radius`` that face x, strewn at random over side x side x depth behind x = 10."""
    at = np.stack([10 + rng.uniform(0, depth, count), *rng.uniform(-side / 2, side / 2, (2, count))], axis=1)
    step = radius * np.array([[0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]])
    a, b, c, d = (at + s for s in step)
    out = Builder()
    out.add(np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)]), "tree", "cloth")
    return out.asset("foliage")


@pytest.mark.parametrize("depth", [2.0, 5.0])
def test_beams_pass_opaque_foliage_by_beer_and_lambert(depth: float) -> None:
    """P(depth) = exp(-G u depth), with leaf area density u, and G = 1 for leaves that face the beam."""
    rng = np.random.default_rng(7)
    side, radius, density = 6.0, 0.02, 0.35
    area = 2 * radius**2
    foliage = discs(int(density * side**2 * depth / area), radius, side, depth, rng)
    count = 20_000
    origin = np.concatenate([np.zeros((count, 1)), rng.uniform(-side / 2 + 0.1, side / 2 - 0.1, (count, 2))], axis=1)
    order = np.lexsort((origin[:, 2].round(), origin[:, 1].round()))
    sensor = SensorRow(**CLEAN)
    echoes = trace(caster_of(foliage, wall(30.0)), rays_along(ahead(count), origin[order]), sensor, rng)
    passed = (echoes.distance > 29).mean()
    assert passed == pytest.approx(np.exp(-density * depth), abs=4 * np.sqrt(0.25 / count) + 0.01)
    reach = echoes.distance[echoes.distance < 29] - 10  # where beams end falls off exponentially
    half = np.exp(-density * depth / 2)
    assert (reach > depth / 2).sum() / count == pytest.approx(half - np.exp(-density * depth), abs=0.025)


@pytest.mark.parametrize("layers", [1, 3, 6])
def test_lines_pass_porous_layers_with_the_product_of_their_transmissions(layers: int) -> None:
    sheets = Builder()
    for step in range(layers):
        x = 10.0 + step
        sheets.add(quad((x, -99, -99), (x, 99, -99), (x, 99, 99), (x, -99, 99)), "tree", "wire_mesh")
    through, count = MATERIALS["wire_mesh"].transmission, 40_000
    echoes = trace(
        caster_of(sheets.asset("sheets"), wall(40.0)), rays_along(ahead(count)), SensorRow(**CLEAN), np.random.default_rng(2)
    )
    assert len(echoes.ray) == count
    assert (echoes.distance > 39).mean() == pytest.approx(through**layers, abs=0.012)
    for step in range(layers):
        share = (np.abs(echoes.distance - 10 - step) < 0.1).mean()
        assert share == pytest.approx(through**step * (1 - through), abs=0.012)


def test_a_beam_on_an_edge_gives_two_echoes_or_a_mixed_pixel_between() -> None:
    """Half of the beam on each of two walls: two echoes if they are further apart than half a pulse, else one between."""
    pulse, rng = 6.0, np.random.default_rng(0)
    half = LIGHT * pulse / 2
    for gap, echoes_a_beam in ((3 * half, 2), (0.5 * half, 1)):
        sensor = SensorRow(**CLEAN | {"returns": "all", "sub_rays": 19, "divergence": 0.003, "pulse": pulse})
        near, far = wall(30.0, low=0.0), wall(30.0 + gap)
        echoes = trace(caster_of(near, far), rays_along(ahead(400)), sensor, rng)
        assert len(echoes.ray) / 400 == pytest.approx(echoes_a_beam, abs=0.05)
        if echoes_a_beam == 1:
            assert echoes.distance.mean() == pytest.approx(30 + gap / 2, abs=0.1 * gap)
            assert (np.abs(echoes.distance - 30 - gap / 2) < 0.3 * gap).mean() > 0.95


def test_echoes_merge_at_the_mean_weighted_by_power() -> None:
    found = merged(np.zeros(3, np.int64), np.array([10.0, 10.4, 20.0]), np.array([3.0, 1.0, 2.0]), 5.0)
    np.testing.assert_allclose(found.distance, [10.1, 20.0])
    assert found.strongest.tolist() == [0, 2]


@pytest.mark.parametrize("apart", [0.2, 0.5, 0.7])
def test_without_sub_rays_too_what_half_a_pulse_cannot_separate_is_one_echo(apart: float) -> None:
    """Three layers of leaves that are told apart by a short pulse: a long one adds up those within half of it, 0.6 m."""
    layers, long, short = [wall(30.0 + step * apart, "leaves", "tree") for step in range(3)], 4.0, 0.1
    sensor = SensorRow(**CLEAN | {"returns": "all", "sub_rays": 1})
    found = {}
    for pulse in (long, short):
        one = sensor.model_copy(update={"pulse": pulse})
        found[pulse] = trace(caster_of(*layers, wall(60.0)), rays_along(ahead(500)), one, np.random.default_rng(0))
    told, added = found[short], found[long]
    assert np.bincount(told.ray).max() == 4
    if apart > LIGHT * long / 2:
        np.testing.assert_allclose(added.distance, told.distance)
        return
    assert np.bincount(added.ray).max() == 2
    tree = told.distance < 50
    power = np.bincount(told.ray[tree], told.strength[tree], 500)
    middle = np.bincount(told.ray[tree], (told.strength * told.distance)[tree], 500) / power
    near = added.distance < 50
    np.testing.assert_array_equal(added.ray[near], np.arange(500))
    np.testing.assert_allclose(added.strength[near], power, rtol=1e-5)
    np.testing.assert_allclose(added.distance[near], middle, rtol=1e-6)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_later_returns_of_a_pulse_are_farther_by_half_a_pulse_or_more(noise: float) -> None:
    """Straight down on a town's trees and grass, with their relief: heights fall with the return number."""
    scene = compose(load_recipe("town", ["town.size=40.0"]), np.random.default_rng(1))
    flight = {"kind": "airborne", "height": (800, 800), "strips": (1, 1), "scan_angle": 1.0, "density": (20, 20), "pulse": 4.0}
    cloud = scan(scene, SensorRow(**flight, drift=0.0, noise=noise, range_max=3000.0), np.random.default_rng(0))
    order = np.lexsort((cloud["return_number"], cloud["time"]))
    same = np.diff(cloud["time"][order]) == 0
    assert same.sum() > 300
    assert (np.diff(cloud["return_number"].astype(int)[order])[same] == 1).all()
    assert np.diff(cloud.xyz[order, 2])[same].max() < -LIGHT * 4.0 / 2 * np.cos(np.radians(1.0)) + 1e-3


def test_a_single_return_is_no_echo_of_several() -> None:
    """Scanners that keep one return a pulse do not add up what lies behind the surface that stopped it."""
    near, far = wall(30.0, "leaves", "tree"), wall(30.2)
    for returns in ("first", "strongest", "last"):
        sensor = SensorRow(**CLEAN | {"returns": returns, "pulse": 4.0})
        echoes = trace(caster_of(near, far), rays_along(ahead(500)), sensor, np.random.default_rng(0))
        np.testing.assert_array_equal(echoes.ray, np.arange(500))
        assert np.minimum(np.abs(echoes.distance - 30), np.abs(echoes.distance - 30.2)).max() < 1e-4


def test_dark_and_wet_surfaces_lose_more_echoes_than_bright_ones() -> None:
    sensor, kept = SensorRow(**CLEAN | {"threshold": 0.01}), {}
    for material in ("plaster", "asphalt", "dark_paint", "water"):
        rng = np.random.default_rng(0)
        echoes = trace(caster_of(wall(40.0, material)), rays_along(ahead(4000)), sensor, rng)
        kept[material] = len(detect(echoes, sensor, rng).ray)
    assert kept["plaster"] > kept["asphalt"] > kept["dark_paint"] > kept["water"]


def test_a_retroreflector_blooms_over_neighbouring_beams_at_its_range() -> None:
    sign, ground = Builder(), Builder()
    sign.add(box((10.0, -0.3, 0.0), (10.05, 0.3, 4.0)), "sign_light", "sign")
    ground.add(quad((-60, -60, 0), (60, -60, 0), (60, 60, 0), (-60, 60, 0)), "road", "asphalt")
    placements = (placed(ground.asset("ground"), (0, 0, 0)), placed(sign.asset("sign"), (0, 0, 0), instance=1))
    scene = Scene(placements, "x", np.zeros(3), 0.0, np.zeros((2, 2)))
    wide = {}
    for blooming in (0.0, 0.5):
        sensor = SensorRow(azimuth_steps=2000, height=(1.7, 1.7), blooming=blooming, **CLEAN | {"range_max": 80.0})
        cloud = scan(scene, sensor, np.random.default_rng(0))
        mine = cloud.take(cloud["label"] == TREE.id("sign_light"))
        np.testing.assert_allclose(np.linalg.norm(mine.xyz[:, :2], axis=1), 10.0, atol=0.4)
        wide[blooming] = np.ptp(mine.xyz[:, 1])
    assert wide[0.0] == pytest.approx(0.6, abs=0.05)
    assert 0.8 < wide[0.5] < 1.4


def test_the_receivers_curve_floor_and_gains_are_those_of_their_formulas() -> None:
    shown = np.linspace(0, 0.85, 4000).astype(np.float32)
    none = np.zeros(len(shown), np.int64)
    echoes = Echoes(np.arange(len(shown)), np.full(len(shown), 10.0), none, shown, shown)
    flat = {"intensity_range": 0.0, "intensity_power": 0.0, "intensity_near": 0.0, "intensity_noise": 0.0, "beam_gain": 0.0}
    flat |= {"intensity_full": 0.85}
    curve = SensorRow(kind="spinning", **flat, intensity_floor=0.1, intensity_gamma=0.5)
    value = reported(echoes, curve, np.random.default_rng(0))
    expected = np.sqrt(np.clip((shown / shown.max() - 0.1) / 0.9, 0, 1))
    np.testing.assert_allclose(value, expected, atol=1e-3)
    assert (value[shown < 0.08] == 0).all()
    weak = SensorRow(kind="spinning", **flat | {"intensity_power": 0.02}, intensity_floor=0.0, intensity_gamma=1.0)
    power = shown / 4  # at 20 m against 10 m
    far = Echoes(echoes.ray, np.full(len(shown), 20.0), none, shown, shown)
    faded = reported(far, weak, np.random.default_rng(0))
    np.testing.assert_allclose(faded, shown / shown.max() * power / (power + 0.02), atol=1e-3)
    near = SensorRow(kind="spinning", **flat | {"intensity_near": 5.0}, intensity_floor=0.0, intensity_gamma=1.0)
    dimmed = shown / shown.max() * (1 - np.exp(-16))
    np.testing.assert_allclose(reported(echoes, near, np.random.default_rng(0)), dimmed, atol=1e-3)
    each = near.model_copy(update={"intensity_near": (5.0, 10.0, 0.0, 20.0)})
    ring = np.arange(len(shown)) % 4
    dimmed = shown / shown.max() * (1 - np.exp(-np.array([16, 1, np.inf, 0.0625])))[ring]
    np.testing.assert_allclose(reported(echoes, each, np.random.default_rng(0), ring), dimmed, atol=1e-3)
    speckle = SensorRow(kind="spinning", **flat | {"intensity_noise": 0.3}, intensity_floor=0.0, intensity_gamma=1.0)
    ratio = reported(echoes, speckle, np.random.default_rng(0))[400:2000] / (shown / shown.max())[400:2000]
    assert np.log(ratio).std() == pytest.approx(0.3, rel=0.1)
    beams = SensorRow(kind="spinning", **flat | {"beam_gain": 0.2}, intensity_floor=0.0, intensity_gamma=1.0)
    half = Echoes(np.arange(64), np.full(64, 10.0), none[:64], np.full(64, 0.2, np.float32), np.full(64, 0.2, np.float32))
    gains = np.log([reported(half, beams, np.random.default_rng(seed), np.arange(64)) for seed in range(50)])
    assert gains.std() == pytest.approx(0.2, rel=0.05)


def test_ranges_of_one_beam_share_their_error() -> None:
    sensor = SensorRow(kind="spinning", beam_bias=0.03, noise=0.001, dropout=0.0, threshold=0.0)
    ring = np.repeat(np.arange(64), 100)
    surface = np.full(len(ring), 0.5, np.float32)
    echoes = Echoes(np.arange(len(ring)), np.full(len(ring), 10.0), np.zeros(len(ring), np.int64), surface, surface)
    off = [detect(echoes, sensor, np.random.default_rng(seed), ring).distance.reshape(64, 100) - 10 for seed in range(20)]
    assert np.std([rows.mean(axis=1) for rows in off]) == pytest.approx(0.03, rel=0.05)
    assert np.mean([rows.std(axis=1) for rows in off]) == pytest.approx(0.001, rel=0.05)


@pytest.mark.parametrize("through", [0.25, 0.65, 0.75])
def test_a_surface_that_stopped_a_beam_met_the_share_that_makes_it_likely(through: float) -> None:
    rng, number = np.random.default_rng(0), 200_000
    shares = footprint_shares(np.full(number, through, np.float32), rng)
    assert shares.mean() == pytest.approx(1 - through, abs=0.005)
    stopped = shares[rng.random(number) < shares]  # a share of the footprint stops as large a part of the lines in it
    given = footprint_shares(np.full(number, through, np.float32), rng, met=True)
    np.testing.assert_allclose(np.quantile(given, (0.1, 0.3, 0.5, 0.9)), np.quantile(stopped, (0.1, 0.3, 0.5, 0.9)), atol=0.015)
    assert (footprint_shares(np.zeros(10, np.float32), rng, met=True) == 1).all()


def test_a_retroreflector_blooms_where_a_moving_scanner_passes_it_and_nowhere_else() -> None:
    sign, ground = Builder(), Builder()
    sign.add(box((0.0, 5.0, 1.0), (0.05, 6.0, 2.0)), "sign_light", "sign")
    ground.add(quad((-60, -60, 0), (60, -60, 0), (60, 60, 0), (-60, 60, 0)), "road", "asphalt")
    placements = (placed(ground.asset("ground"), (0, 0, 0)), placed(sign.asset("sign"), (0, 0, 0), instance=1))
    scene = Scene(placements, "x", np.zeros(3), 0.0, np.zeros((2, 2)))
    told = {"kind": "mobile", "speed": (10, 10), "rate": 100, "azimuth_steps": 1000, "track": 30, "profile": 30.0, "drift": 0.0}
    for blooming in (0.0, 0.3):
        cloud = scan(scene, SensorRow(blooming=blooming, **told, **CLEAN | {"range_max": 80.0}), np.random.default_rng(0))
        mine = cloud.take(cloud["label"] == TREE.id("sign_light"))
        assert len(mine) > 20
        assert np.ptp(mine.xyz[:, 0]) < 0.06 + 2 * 6 * np.radians(3 * blooming)


def test_beams_of_sub_rays_are_cast_in_parts_as_they_are_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    sensor = SensorRow(kind="airborne", sub_rays=7, **CLEAN)
    rays = rays_along(ahead(500), np.column_stack([np.zeros(500), np.linspace(-2, 2, 500), np.zeros(500)]))
    caster = caster_of(wall(10.0, low=0.0), wall(30.0))
    whole = trace(caster, rays, sensor, np.random.default_rng(0))
    monkeypatch.setattr(physics, "LINES", 700)
    parts = trace(caster, rays, sensor, np.random.default_rng(0))
    np.testing.assert_array_equal(parts.ray, whole.ray)
    np.testing.assert_array_equal(parts.distance, whole.distance)


def _echoes(ray: list[int], distance: list[float], strength: list[float], face: list[int]) -> Echoes:
    s = np.array(strength, np.float32)
    return Echoes(np.array(ray), np.array(distance, float), np.array(face), s, s.copy())


def test_an_echo_of_two_surfaces_belongs_to_the_stronger() -> None:
    for strength, face in (([0.1, 0.9], 7), ([0.9, 0.1], 3)):
        out = resolved(_echoes([0, 0], [10.0, 10.1], strength, [3, 7]), 5.0)
        assert out.face.tolist() == [face]
