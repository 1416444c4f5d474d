"""Foot tiles become metres, and their CRS says so: PROJ agrees on where a point is."""

from __future__ import annotations

import numpy as np
import pytest
from builders import make_cloud
from pyproj import CRS, Transformer

from pcaug.cloud import PointCloud
from pcaug.corpus.metres import to_metres
from pcaug.corpus.steps import reprojected
from pcaug.errors import FileError

FOOT = 1200 / 3937


@pytest.mark.parametrize("code", ["EPSG:2270", "EPSG:6880"])
def test_a_foot_tile_keeps_its_place_on_earth(code: str) -> None:
    crs = CRS.from_user_input(code)
    factor = crs.axis_info[0].unit_conversion_factor
    cloud = PointCloud(np.array([[2_445_180.0, 604_300.0, 1352.7]]), crs=crs.to_wkt())
    metric = to_metres(cloud)
    np.testing.assert_allclose(metric.xyz, cloud.xyz * factor)
    assert metric.crs is not None
    before = Transformer.from_crs(crs, 4326, always_xy=True).transform(*cloud.xyz[0, :2])
    after = Transformer.from_crs(CRS.from_wkt(metric.crs), 4326, always_xy=True).transform(*metric.xyz[0, :2])
    np.testing.assert_allclose(before, after, atol=1e-9)
    assert {axis.unit_name for axis in CRS.from_wkt(metric.crs).axis_info} == {"metre"}


def test_feet_above_metres_scale_apart() -> None:
    compound = CRS.from_user_input("EPSG:26910+6360")  # UTM 10N in metres, NAVD88 height in US survey feet
    cloud = PointCloud(np.array([[500_000.0, 5_000_000.0, 100.0]]), crs=compound.to_wkt())
    np.testing.assert_allclose(to_metres(cloud).xyz, [[500_000.0, 5_000_000.0, 100 * FOOT]])


def test_places_and_directions_go_along() -> None:
    crs = CRS.from_user_input("EPSG:26910+6360").to_wkt()
    slope = np.array([[0.0, 0, 0], [3, 4, 7]])
    normal = np.cross(slope[1], [4, -3, 0.0])
    fields = {
        "sensor_origin": slope + 5,
        "height_above_ground": np.float32([0, 7]),
        "normal": np.stack([normal / np.linalg.norm(normal)] * 2),
    }
    metric = to_metres(PointCloud(slope, fields, crs=crs))
    np.testing.assert_allclose(metric["sensor_origin"], (slope + 5) * (1, 1, FOOT))
    np.testing.assert_allclose(metric["height_above_ground"], [0, 7 * FOOT], rtol=1e-6)
    np.testing.assert_allclose(metric["normal"] @ metric.xyz[1], 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(metric["normal"], axis=1), 1)


def test_heights_above_ground_are_reprojected_in_their_unit() -> None:
    cloud = PointCloud(
        np.array([[500_000.0, 5_000_000.0, 100.0]]), {"height_above_ground": np.float32([10])}, crs="EPSG:26910+6360"
    )
    assert reprojected(cloud, "EPSG:26911")["height_above_ground"] == pytest.approx([10 * FOOT])
    assert reprojected(cloud, "EPSG:26911+6360")["height_above_ground"] == pytest.approx([10])


def test_metres_and_unknown_stay() -> None:
    cloud = make_cloud(3)
    assert to_metres(cloud) is cloud
    metric = PointCloud(cloud.xyz, crs="EPSG:2154")
    assert to_metres(metric) is metric


def test_degrees_are_refused() -> None:
    with pytest.raises(FileError, match=r"degrees, name a projected CRS: pcaug convert --crs EPSG:\.\.\."):
        to_metres(PointCloud(np.zeros((1, 3)), crs="EPSG:4326"))
