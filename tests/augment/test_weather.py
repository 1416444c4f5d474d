"""Fog, rain and snow put on a scan."""

from __future__ import annotations

import numpy as np
import pytest

from pcaug.augment.weather import Fog, Rain, Snow
from pcaug.cloud import PointCloud
from pcaug.sensor.weather import fog_extinction


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
