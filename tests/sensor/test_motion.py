"""Scanners that move: what of their path, their lean and their own turning is in the points."""

from __future__ import annotations

import numpy as np
import pytest

from pcaug.scene.asset import Asset, Builder, Scene, placed
from pcaug.scene.scanner import SensorRow
from pcaug.scene.shapes import box, quad
from pcaug.sensor import SENSORS
from pcaug.sensor.motion import drifted
from pcaug.sensor.scan import scan

CLEAN = {"noise": 0.0, "dropout": 0.0, "threshold": 0.0, "beam_bias": 0.0}


BARE = {"elevations": (0.0,), "azimuths": (), "firing": (), "lift": (), "intensity_near": 0.0, "mounting": 0.0}


def _scene(heading: float = 0.0) -> Scene:
    return Scene((), "test", np.zeros(3), heading, np.array([[-20.0, -20.0], [20.0, 20.0]]))


def test_a_spinning_scanner_turns_clockwise() -> None:
    sensor = SensorRow(kind="spinning", azimuth_steps=360, **BARE)
    rays = SENSORS["spinning"](_scene(), sensor, np.random.default_rng(0))
    turn = np.unwrap(np.arctan2(rays.local[:, 1], rays.local[:, 0])[np.argsort(rays.time)])
    np.testing.assert_allclose(np.diff(turn), -2 * np.pi / 360, atol=1e-6)


def test_beams_fire_when_their_table_says() -> None:
    sensor = SensorRow(kind="spinning", azimuth_steps=360, rate=10.0, **BARE | {"elevations": (0.0, -5.0), "firing": (0.0, 40.0)})
    rays = SENSORS["spinning"](_scene(), sensor, np.random.default_rng(0))
    np.testing.assert_allclose(rays.time[rays.ring == 1] - rays.time[rays.ring == 0], 40e-6, atol=1e-12)


def test_a_platform_drives_on_an_arc() -> None:
    sensor = SensorRow(
        kind="spinning", azimuth_steps=360, rate=1.0, speed=(10.0, 10.0), turn=(90.0, 90.0), height=(0.0, 0.0), **BARE
    )
    rays = SENSORS["spinning"](_scene(), sensor, np.random.default_rng(0))
    w = np.pi / 2
    r = 10 / w
    expected = np.column_stack([r * np.sin(w * rays.time), r * (1 - np.cos(w * rays.time)), 0 * rays.time])
    np.testing.assert_allclose(rays.origin, expected, atol=1e-6)


def test_the_slow_error_of_a_path_is_in_all_three_axes() -> None:
    xyz, time = np.zeros((4000, 3)), np.arange(4000) * 5.0  # at the knots
    error = drifted(xyz, time, 0.05, np.random.default_rng(0))
    np.testing.assert_allclose(error.std(axis=0), 0.05, rtol=0.05)


def test_a_raw_scan_lies_in_the_frame_of_the_scanner_as_it_turns() -> None:
    """A post straight ahead is at x, whatever the heading."""
    out = Builder()
    out.add(box((-1, -1, -3), (1, 1, 3)), "car", "car_paint")
    post = placed(out.asset("post"), (0, 20, 0), instance=1)  # straight ahead of a scanner that heads north
    scene = Scene((post,), "t", np.zeros(3), np.pi / 2, np.array([[-30.0, -30], [30, 30]]))
    for deskewed in (True, False):
        sensor = SensorRow(
            kind="spinning",
            azimuth_steps=720,
            height=(0.0, 0.0),
            deskewed=deskewed,
            noise=0,
            dropout=0,
            threshold=0,
            beam_bias=0,
            **BARE,
        )
        cloud = scan(scene, sensor, np.random.default_rng(0))
        np.testing.assert_allclose(cloud.xyz[:, 0], 19, atol=0.01)
        assert np.abs(cloud.xyz[:, 1]).max() < 1.01


def scene() -> Scene:
    """A road without an end."""
    return Scene((placed(plane(), (0, 0, 0), instance=0),), "test", np.zeros(3), 0.0, np.array([[-20.0, -20.0], [20.0, 20.0]]))


def plane() -> Asset:
    out = Builder()
    out.add(quad((-100, -100, 0), (100, -100, 0), (100, 100, 0), (-100, 100, 0)), "road", "asphalt")
    return out.asset("plane")


def test_a_scan_is_in_the_frame_of_a_leaning_scanner() -> None:
    sensor = SensorRow(kind="spinning", azimuth_steps=360, tilt=3.0, **BARE | CLEAN | {"elevations": (-15.0,)})
    cloud = scan(scene(), sensor, np.random.default_rng(1))
    elevation = np.degrees(np.arctan2(cloud.xyz[:, 2], np.hypot(cloud.xyz[:, 0], cloud.xyz[:, 1])))
    np.testing.assert_allclose(elevation, -15, atol=0.01)
    assert np.ptp(cloud.xyz[:, 2]) > 0.3  # and the road leans in it


def test_beams_are_mounted_as_well_as_the_recipe_says() -> None:
    sensor = SensorRow(kind="spinning", azimuth_steps=8, **BARE | {"mounting": 0.2, "elevations": (0.0,) * 64})
    rays = SENSORS["spinning"](scene(), sensor, np.random.default_rng(0))
    elevation = np.degrees(np.arcsin(rays.local[:64, 2]))
    assert elevation.std() == pytest.approx(0.2, rel=0.3)


@pytest.mark.parametrize("kind", ["airborne", "mobile", "terrestrial"])
def test_a_map_has_the_drift_of_its_path(kind: str) -> None:
    asked = {"speed": (5.0, 5.0), "range_min": 1.0, "range_max": 3000.0, "azimuth_steps": 100, "rate": 20.0, **CLEAN}
    asked |= {"height": (100.0, 100.0), "density": (1, 1)} if kind == "airborne" else {"height": (2.0, 2.0)}
    clean, off = (scan(scene(), SensorRow(kind=kind, drift=d, **asked), np.random.default_rng(0)) for d in (0.0, 0.5))
    error = off.xyz - clean.xyz
    assert (error.std(axis=0) > 0 if kind == "airborne" else np.abs(error).max(axis=0) > 0.01).all()
