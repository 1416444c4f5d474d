"""The physics of fog, rain and snow against known values and a direct simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad

from pcaug.augment import weather
from pcaug.augment.weather import DIVERGENCE, R0, Fog, Rain, Snow, fog_echo, fog_extinction, particle_echoes, rain, snow
from pcaug.cloud import PointCloud


def make_wall(distance: float, n: int = 4000, intensity: float = 0.5) -> PointCloud:
    """Points all round at one distance, with the sensor at the origin."""
    azimuth = np.linspace(0, 2 * np.pi, n, endpoint=False)
    xyz = distance * np.column_stack([np.cos(azimuth), np.sin(azimuth), np.zeros(n)])
    return PointCloud(xyz, {"intensity": np.full(n, intensity, np.float32), "sensor_origin": np.zeros((n, 3))})


def test_contrast_falls_to_a_twentieth_at_the_optical_range() -> None:
    assert np.exp(-fog_extinction(50.0) * 50.0) == pytest.approx(0.05)
    assert fog_extinction(50.0) == pytest.approx(0.06, abs=1e-4)  # the densest fog of Hahner et al.


def test_fog_echo_is_the_integral_of_the_paper() -> None:
    extinction, target = 0.06, 30.0
    best, where = fog_echo(extinction)

    def integral(distance: float) -> float:
        def integrand(t: float) -> float:
            r = distance - weather.LIGHT * t / 2
            overlap = min(max((r - 0.9) / 0.1, 0), 1)
            return np.sin(np.pi / (2 * weather.PULSE) * t) ** 2 * np.exp(-2 * extinction * r) / r**2 * overlap if r > 0.9 else 0.0

        return quad(integrand, 0, 2 * weather.PULSE, limit=200)[0]

    row = int(target / weather.STEP) - 1
    peak = where[row]
    assert best[row] == pytest.approx(integral(peak), rel=0.02)
    assert integral(peak) >= 0.99 * max(integral(d) for d in np.arange(1, 30, 0.25))
    assert 2 < peak < 6  # fog answers from a few metres: near, but beyond the overlap and the pulse


def test_fog_dims_by_beer_and_lambert_what_it_does_not_hide() -> None:
    cloud = make_wall(20.0)
    out = Fog(nearest=100, farthest=100)(cloud, np.random.default_rng(0))
    still = np.isclose(np.linalg.norm(out.xyz, axis=1), 20)
    assert still.all()
    np.testing.assert_allclose(out["intensity"], 0.5 * np.exp(-2 * fog_extinction(100) * 20), rtol=1e-2)


def test_dense_fog_answers_before_a_far_target_and_thin_fog_does_not() -> None:
    far = make_wall(80.0)
    dense = Fog(nearest=30, farthest=30, least=0.0)(far, np.random.default_rng(0))
    assert np.linalg.norm(dense.xyz, axis=1).max() < 20
    thin = Fog(nearest=2000, farthest=2000)(far, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(thin.xyz, axis=1), 80)


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


@pytest.mark.parametrize("kind", [Rain, Snow])
def test_more_falls_more_is_seen_of_it(kind: type) -> None:
    cloud = make_wall(40.0, intensity=0.1)
    shares = []
    for rate in (0.5, 2.5, 25.0) if kind is Rain else (0.1, 0.5, 2.5):
        out = kind(low=rate, high=rate)(cloud, np.random.default_rng(1))
        shares.append((np.linalg.norm(out.xyz, axis=1) < 39).mean())
    assert shares[0] < shares[1] < shares[2]
