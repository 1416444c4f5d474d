"""The physics of fog, rain and snow against known values and a direct simulation, and scans taken in them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from pcaug import catalogue
from pcaug.cloud import PointCloud
from pcaug.errors import RecipeError
from pcaug.labels import IGNORE
from pcaug.scene.air import Air, Weather
from pcaug.scene.asset import MATERIAL_NAMES, MATERIALS, Asset, Builder, Scene, placed
from pcaug.scene.recipe import load_recipe
from pcaug.scene.scanner import SensorRow
from pcaug.scene.shapes import quad as rectangle
from pcaug.sensor.compose import compose_one
from pcaug.sensor.scan import scan
from pcaug.sensor.weather import (
    DIVERGENCE,
    LIGHT,
    PULSE,
    R0,
    STEP,
    WET,
    fog_echo,
    fog_extinction,
    particle_echoes,
    rain,
    snow,
    wetted,
)

CLEAN = {"noise": 0.0, "dropout": 0.0, "threshold": 0.0, "beam_bias": 0.0, "intensity_floor": 0.0, "intensity_gamma": 1.0}
CLEAN |= {
    "intensity_power": 0.0,
    "intensity_near": 0.0,
    "beam_gain": 0.0,
    "intensity_noise": 0.0,
    "intensity_range": 0.0,
    "range_min": 1.0,
}


def test_contrast_falls_to_a_twentieth_at_the_optical_range() -> None:
    assert np.exp(-fog_extinction(50.0) * 50.0) == pytest.approx(0.05)
    assert fog_extinction(50.0) == pytest.approx(0.06, abs=1e-4)  # the densest fog of Hahner et al.


def test_fog_echo_is_the_integral_of_the_paper() -> None:
    extinction, target = 0.06, 30.0
    best, where = fog_echo(extinction)

    def integral(distance: float) -> float:
        def integrand(t: float) -> float:
            r = distance - LIGHT * t / 2
            overlap = min(max((r - 0.9) / 0.1, 0), 1)
            return np.sin(np.pi / (2 * PULSE) * t) ** 2 * np.exp(-2 * extinction * r) / r**2 * overlap if r > 0.9 else 0.0

        return quad(integrand, 0, 2 * PULSE, limit=200)[0]

    row = int(target / STEP) - 1
    peak = where[row]
    assert best[row] == pytest.approx(integral(peak), rel=0.02)
    assert integral(peak) >= 0.99 * max(integral(d) for d in np.arange(1, 30, 0.25))
    assert 2 < peak < 6  # fog answers from a few metres: near, but beyond the overlap and the pulse


def test_size_distributions_are_the_published_ones() -> None:
    ten = rain(10.0)
    assert (ten.number, ten.slope) == (8000, pytest.approx(4.1 * 10**-0.21))
    assert snow(1.0).slope == pytest.approx(2.55)
    for falling in (ten, snow(1.0)):  # twice the geometric cross-section per volume, integrated numerically
        area = quad(lambda d, f=falling: 2 * np.pi / 4 * (d * 1e-3) ** 2 * f.number * np.exp(-f.slope * d), 0, 30)[0]
        assert falling.extinction == pytest.approx(area, rel=1e-6)


def test_drawing_only_noticeable_particles_equals_drawing_all_of_them() -> None:
    falling, distance, least = snow(2.0), 12.0, 0.02
    rng = np.random.default_rng(0)
    power, where = particle_echoes(falling, np.full(20_000, distance), least, rng)
    volume = np.pi / 12 * DIVERGENCE**2 * distance**3
    strongest = np.zeros(4000)
    for beam in range(len(strongest)):  # every particle of the beam's cone, as the published model draws them
        n = rng.poisson(falling.number / falling.slope * volume)
        r = distance * rng.random(n) ** (1 / 3)
        diameter = rng.exponential(1 / falling.slope, n) * 1e-3
        seen = r >= 0.9
        fill = np.minimum(1, (diameter[seen] / (DIVERGENCE * r[seen])) ** 2)
        echo = falling.reflectance * fill * np.exp(-2 * falling.extinction * r[seen]) * (R0 / r[seen]) ** 2
        strongest[beam] = echo.max(initial=0)
    for threshold in (0.02, 0.05, 0.2):
        assert (power > threshold).mean() == pytest.approx((strongest > threshold).mean(), abs=0.03)
    assert where[power > 0].max() <= distance


def test_wet_ground_is_darker_and_black_and_white_stay() -> None:
    np.testing.assert_allclose(wetted(np.array([0.0, 0.2, 1.0])), [0, 0.2 / (0.2 + 1.33**2 * 0.8), 1])
    assert WET[MATERIAL_NAMES.index("asphalt")] < 0.7
    assert WET[MATERIAL_NAMES.index("car_paint")] == 1


def wall(distance: float, material: str = "plaster") -> Asset:
    out = Builder()
    for x in (distance, -distance):
        out.add(rectangle((x, -900, -500), (x, 900, -500), (x, 900, 500), (x, -900, 500)), "building", material)
    return out.asset("wall")


def seen(air: Air | None, distance: float = 20.0, **changes: object) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance along x, label and intensity of what a level scanner sees of two walls, near square to them."""
    scene = Scene((placed(wall(distance), (0, 0, 0), instance=7),), "wall", np.zeros(3), 0.0, np.zeros((2, 2)), air=air)
    sensor = SensorRow(
        **{"elevations": (0.0,), "azimuths": (), "firing": (), "lift": (), "height": (1.7, 1.7), **CLEAN, **changes}
    )
    cloud = scan(scene, sensor, np.random.default_rng(0))
    ahead = np.abs(cloud.xyz[:, 1]) < 0.1 * np.abs(cloud.xyz[:, 0])
    return np.abs(cloud.xyz[ahead, 0]), cloud["label"][ahead], cloud["intensity"][ahead]


def test_thin_fog_dims_a_wall_by_beer_and_lambert() -> None:
    _, label, clear = seen(None)
    _, _, dim = seen(Air("fog", 300.0))
    assert (label == catalogue.taxonomy().id("building")).all()
    assert np.median(dim / clear.mean()) == pytest.approx(np.exp(-2 * fog_extinction(300.0) * 20), rel=0.02)


def test_dense_fog_hides_a_wall_from_the_strongest_echo_and_not_from_the_last() -> None:
    distance, label, _ = seen(Air("fog", 20.0), 40.0)
    assert (label == IGNORE).all()
    assert distance.max() < 12
    distance, label, _ = seen(Air("fog", 20.0), 40.0, returns="last")
    assert (label != IGNORE).mean() > 0.9
    assert np.median(distance) == pytest.approx(40, abs=0.1)


@pytest.mark.parametrize("kind", ["rain", "snow"])
def test_the_more_falls_the_more_echoes_the_air_makes(kind: str) -> None:
    rates = (1.0, 10.0, 80.0) if kind == "rain" else (0.3, 1.0, 3.0)
    shares = [(seen(Air(kind, rate), 60.0, threshold=1e-4)[1] == IGNORE).mean() for rate in rates]  # type: ignore[arg-type]
    assert shares[0] < shares[1] < shares[2]


def test_echoes_of_the_air_belong_to_no_object_and_pulses_stay_whole() -> None:
    recipe = load_recipe("street", ["weather.snow=[2, 2]", "sensor.returns=all"])
    cloud = compose_one(recipe, 3, 0)
    air = cloud["label"] == IGNORE
    assert 0.01 < air.mean() < 0.6
    assert (cloud["instance"][air] == 0).all()
    assert (cloud["return_number"] <= cloud["number_of_returns"]).all()
    assert (cloud["number_of_returns"][air] > 1).any()  # what stands behind a flake is seen too


def test_each_scan_draws_its_air_and_clear_recipes_draw_nothing() -> None:
    weather = Weather(share=0.5, fog=(50, 60), rain=(5, 6))
    drawn = [weather.draw(np.random.default_rng(seed)) for seed in range(200)]
    kinds = [air.kind if air else "clear" for air in drawn]
    assert 70 < kinds.count("clear") < 130
    assert kinds.count("snow") == 0 < min(kinds.count("fog"), kinds.count("rain"))
    assert all(50 <= air.amount <= 60 for air in drawn if air and air.kind == "fog")
    rng = np.random.default_rng(0)
    assert Weather().draw(rng) is None
    assert rng.random() == np.random.default_rng(0).random()


def test_surveys_are_flown_in_clear_air() -> None:
    with pytest.raises(RecipeError, match="clear air"):
        load_recipe("town", ["weather.fog=[50, 60]"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("fog=[-5, -1]", "rising values"),
        ("rain=[0, 0]", "rising values"),
        ("snow=[3, 1]", r"snow: must be \[lowest, highest\]"),
        ("fog=[50, inf]", "fog.1: must be a finite number"),
    ],
)
def test_amounts_that_are_no_weather_are_refused(wrong: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe("street", [f"weather.{wrong}"])


def road(air: Air | None, **changes: object) -> PointCloud:
    """An endless road seen at 15 degrees by one beam."""
    out = Builder()
    out.add(rectangle((-100, -100, 0), (100, -100, 0), (100, 100, 0), (-100, 100, 0)), "road", "asphalt")
    placements = (placed(out.asset("plane"), (0, 0, 0)),)
    about = {**CLEAN, "elevations": (-15.0,), "azimuths": (), "firing": (), "lift": (), "mounting": 0.0, "height": (1.7, 1.7)}
    sensor = SensorRow(**about | {"azimuth_steps": 1000} | changes)  # type: ignore[arg-type]
    return scan(Scene(placements, "test", np.zeros(3), 0.0, np.zeros((2, 2)), air=air), sensor, np.random.default_rng(0))


def test_rain_wets_the_road() -> None:
    dry, wet = road(None), road(Air("rain", 2.0))
    reach = np.median(np.linalg.norm(dry.xyz, axis=1))
    seen = wet["intensity"][wet["label"] == catalogue.taxonomy().id("road")]
    asphalt = WET[list(MATERIALS).index("asphalt")]
    expected = asphalt * np.exp(-2 * rain(2.0).extinction * reach)
    assert np.median(seen) / np.median(dry["intensity"]) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("air", [Air("snow", 3.0), Air("rain", 80.0)])
def test_the_air_answers_before_what_stands_in_it(air: Air) -> None:
    cloud = road(air, azimuth_steps=2000, returns="last", threshold=1e-5)
    assert (cloud["label"] == catalogue.taxonomy().id("road")).all()
