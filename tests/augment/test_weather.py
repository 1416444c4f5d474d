"""Fog, rain and snow put on a scan."""

from __future__ import annotations

import numpy as np
import pytest

from pcaug.augment import weather
from pcaug.augment.weather import Fog, Rain, Snow
from pcaug.cloud import PointCloud
from pcaug.errors import PcaugError
from pcaug.sensor.weather import fog_extinction, rain


def make_wall(distance: float, n: int = 4000, intensity: float = 0.5) -> PointCloud:
    """Points all round at one distance, with the sensor at the origin."""
    azimuth = np.linspace(0, 2 * np.pi, n, endpoint=False)
    xyz = distance * np.column_stack([np.cos(azimuth), np.sin(azimuth), np.zeros(n)])
    return PointCloud(xyz, {"intensity": np.full(n, intensity, np.float32), "sensor_origin": np.zeros((n, 3))})


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


@pytest.mark.parametrize("kind", [Rain, Snow])
def test_more_falls_more_is_seen_of_it(kind: type) -> None:
    cloud = make_wall(40.0, intensity=0.1)
    shares = []
    for rate in (0.5, 2.5, 25.0) if kind is Rain else (0.1, 0.5, 2.5):
        out = kind(low=rate, high=rate)(cloud, np.random.default_rng(1))
        shares.append((np.linalg.norm(out.xyz, axis=1) < 39).mean())
    assert shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("weather", [Fog(nearest=1e5, farthest=1e5, least=0), Rain(low=0.01, high=0.01, noise=0, least=1e-9)])
def test_thin_air_leaves_intensities_as_they_are(weather: Fog | Rain, dtype: type) -> None:
    """Dimmed by exp(-2 a R), of which next to nothing is seen: to the nearest number, and what was 0 is 0."""
    top, cloud = (1 if dtype is np.float32 else np.iinfo(dtype).max), make_wall(20.0)
    before = np.random.default_rng(0).uniform(0, top, len(cloud))
    before[::4] = 0
    before[1::4] *= 0.02  # less than a target is taken to reflect
    cloud = cloud.with_fields(intensity=before.astype(dtype))
    out = weather(cloud, np.random.default_rng(0))
    assert len(out) == len(cloud)
    still = np.isclose(np.linalg.norm(out.xyz, axis=1), 20)
    assert still.mean() > 0.99
    extinction = fog_extinction(1e5) if isinstance(weather, Fog) else rain(0.01).extinction
    expected = cloud["intensity"] * np.exp(-2 * extinction * 20)
    off = np.abs(out["intensity"] - (expected if dtype is np.float32 else np.rint(expected)))
    assert off[still].max() <= (1e-6 if dtype is np.float32 else 0)
    assert out["intensity"].dtype == dtype


@pytest.mark.parametrize("kind", [Rain, Snow])
def test_the_lightest_rates_are_rates(kind: type) -> None:
    """Rates below the step of 0.01 mm/h count as it."""
    cloud = make_wall(40.0, intensity=0.1)
    least, less = (kind(low=rate, high=rate)(cloud, np.random.default_rng(1)) for rate in (0.01, 0.001))
    np.testing.assert_array_equal(least.xyz, less.xyz)
    np.testing.assert_array_equal(least["intensity"], less["intensity"])


@pytest.mark.parametrize("weather", [Fog(), Rain(), Snow()])
def test_decibels_are_refused_and_not_cut_off(weather: Fog | Rain | Snow) -> None:
    xyz, values = np.random.default_rng(0).uniform(-30, 30, (50, 3)), np.linspace(-40, -1, 50)
    with pytest.raises(PcaugError, match="does not know intensities below zero"):
        weather(PointCloud(xyz, {"intensity": values}), np.random.default_rng(0))


def test_echoes_of_the_air_have_no_class_of_any_type() -> None:
    xyz = np.random.default_rng(0).uniform(-80, 80, (2000, 3))
    cloud = PointCloud(xyz, {"native_label": np.full(2000, 200, np.uint8)})
    found = Fog(nearest=20.0, farthest=20.0)(cloud, np.random.default_rng(0))["native_label"]
    assert set(found.tolist()) == {-1, 200}


def test_echoes_too_weak_in_rain_are_lost() -> None:
    xyz = np.random.default_rng(0).normal(size=(2000, 3))
    xyz *= 60 / np.linalg.norm(xyz, axis=1, keepdims=True)
    cloud = PointCloud(xyz, {"intensity": np.full(2000, 0.1, np.float32), "sensor_origin": np.zeros((2000, 3))})
    for least, left in ((1e-3, 1.0), (5e-3, 0.0)):  # 0.1 (10 / 60)^2 = 0.0028
        out = weather.Rain(low=0.01, high=0.01, noise=0, least=least)(cloud, np.random.default_rng(0))
        assert (np.linalg.norm(out.xyz, axis=1) > 59.9).sum() / len(cloud) == pytest.approx(left, abs=0.05)
