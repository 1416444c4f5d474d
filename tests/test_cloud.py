"""Laws of the point cloud."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from builders import assert_same_cloud, make_cloud
from hypothesis import given
from hypothesis import strategies as st

from pcaug.cloud import (
    Kind,
    PointCloud,
    about_z,
    common_fields,
    concatenate,
    kind_of,
)
from pcaug.errors import LabelError, NotFound, PcaugError


@given(n=st.integers(0, 40), cut=st.integers(0, 40))
def test_split_and_concatenate_give_the_cloud_back(n: int, cut: int) -> None:
    cloud = make_cloud(n)
    assert_same_cloud(concatenate([cloud.take(slice(0, cut)), cloud.take(slice(cut, None))]), cloud)


@given(angle=st.floats(-3.2, 3.2), shift=st.floats(-1e6, 1e6))
def test_a_motion_and_its_inverse_cancel(angle: float, shift: float) -> None:
    cloud = make_cloud(10, normal=np.tile(np.float32([0.6, 0.8, 0]), (10, 1)))
    motion = np.eye(4)
    motion[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    motion[:3, 3] = shift
    back = cloud.moved(motion).moved(np.linalg.inv(motion))
    np.testing.assert_allclose(back.xyz, cloud.xyz, atol=1e-8)
    np.testing.assert_allclose(back["normal"], cloud["normal"], atol=1e-6)


def test_normals_stay_perpendicular_under_uneven_scale() -> None:
    slope = PointCloud(np.array([[0.0, 0, 0], [1, 0, 1]]), {"normal": np.tile(np.float32([-1, 0, 1]) / np.sqrt(2), (2, 1))})
    moved = slope.moved(np.diag([3.0, 1, 1, 1]))
    along = moved.xyz[1] - moved.xyz[0]
    assert along @ moved["normal"][0] == pytest.approx(0, abs=1e-6)
    assert np.linalg.norm(moved["normal"][0]) == pytest.approx(1)


def test_wrong_shapes_say_which_field() -> None:
    with pytest.raises(PcaugError, match="field 'intensity' has 2 rows for 3 points"):
        PointCloud(np.zeros((3, 3)), {"intensity": np.zeros(2)})
    with pytest.raises(PcaugError, match=r"xyz has shape \(3, 2\)"):
        PointCloud(np.zeros((3, 2)))
    with pytest.raises(LabelError, match="without a taxonomy"):
        PointCloud(np.zeros((3, 3)), {"label": np.zeros(3, np.uint16)})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array(["a", "b", "c"]), r"field 'f' has shape \(3,\) and type <U1"),
        (np.zeros((3, 2, 2)), r"field 'f' has shape \(3, 2, 2\)"),
        (np.zeros((3, 0)), r"field 'f' has shape \(3, 0\)"),
        (np.array([1, None, 2]), "type object"),
        (3.0, "field 'f' has no rows for 3 points"),
    ],
)
def test_a_field_is_numbers(values: object, message: str) -> None:
    with pytest.raises(PcaugError, match=message):
        PointCloud(np.zeros((3, 3)), {"f": values})  # type: ignore[dict-item]


def test_fields_of_another_byte_order_become_this_machines() -> None:
    cloud = PointCloud(np.zeros((3, 3)), {"f": np.array([1, 2, 300], ">i4")})
    assert cloud["f"].dtype == np.dtype("i4")
    assert cloud["f"].dtype.isnative
    assert cloud["f"].tolist() == [1, 2, 300]


def test_ids_are_never_rounded_by_joining_clouds() -> None:
    ids = [PointCloud(np.zeros((1, 3)), {"id": np.array([2**60 + 1], kind)}) for kind in (np.uint64, np.int64)]
    with pytest.raises(PcaugError, match="clouds differ in the type of field 'id': int64, uint64"):
        concatenate(ids)
    small = [PointCloud(np.zeros((1, 3)), {"id": np.array([200], kind)}) for kind in (np.uint8, np.int32)]
    assert concatenate(small)["id"].tolist() == [200, 200]
    wide = [PointCloud(np.zeros((1, 3)), {"v": np.zeros((1, k))}) for k in (2, 3)]
    with pytest.raises(PcaugError, match="clouds differ in the type of field 'v'"):
        concatenate(wide)


def test_what_open3d_does_leaves_the_cloud_as_it_is() -> None:
    cloud = make_cloud(3)
    before = cloud.xyz.copy()
    there = cloud.to_open3d()
    there.translate([100.0, 0, 0])
    there.point["intensity"][:] = 7
    np.testing.assert_array_equal(cloud.xyz, before)
    assert not (cloud["intensity"] == 7).any()


def test_a_missing_field_lists_what_there_is() -> None:
    with pytest.raises(NotFound, match="no field 'rgb', made, this cloud has intensity, label"):
        make_cloud(3)["rgb"]


def test_labels_are_never_negative() -> None:
    with pytest.raises(LabelError, match="labels go down to -1"):
        make_cloud(3).with_fields(label=np.array([1, -1, 2]))


def test_arrays_cannot_be_written() -> None:
    cloud = make_cloud(3)
    with pytest.raises(ValueError, match="read-only"):
        cloud.xyz[0] = 1


def test_concatenate_is_all_or_none() -> None:
    with pytest.raises(PcaugError, match=r"differ in fields: \['intensity'\]"):
        concatenate([make_cloud(3), make_cloud(3).with_fields(intensity=None)])
    a, b = common_fields([make_cloud(3), make_cloud(3).with_fields(intensity=None)])
    assert len(concatenate(cloud for cloud in (a, b))) == 6


def test_kind_follows_the_name_then_the_dtype() -> None:
    assert kind_of("return_number", np.zeros(1, np.float32)) is Kind.CATEGORY
    assert kind_of("anything", np.zeros(1, np.int64)) is Kind.CATEGORY
    assert kind_of("anything", np.zeros(1, np.float32)) is Kind.QUANTITY


def test_open3d_keeps_every_field() -> None:
    cloud = make_cloud(5, instance=np.arange(5, dtype=np.int32))
    there = cloud.to_open3d()
    np.testing.assert_array_equal(there.point["label"].numpy()[:, 0], cloud["label"])
    np.testing.assert_array_equal(there.point["instance"].numpy()[:, 0], cloud["instance"])
    np.testing.assert_array_equal(there.point.positions.numpy(), cloud.xyz)


def test_open3d_is_found_by_a_cloud_alone() -> None:
    code = "import numpy as np, pcaug; pcaug.PointCloud(np.zeros((2, 3))).to_open3d()"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_where_a_sensor_was_moves_with_the_points() -> None:
    xyz = np.random.default_rng(0).uniform(0, 9, (20, 3))
    cloud = PointCloud(xyz, {"sensor_origin": xyz + (1, 0, 5)})
    matrix = np.eye(4)
    matrix[:3, :3] = about_z(0.5)
    matrix[:3, 3] = (100, 200, 3)
    moved = cloud.moved(matrix)
    seen = moved["sensor_origin"] - moved.xyz
    np.testing.assert_allclose(seen, np.tile(about_z(0.5) @ (1, 0, 5), (20, 1)), atol=1e-9)


def test_what_is_no_table_or_no_transform_is_refused() -> None:
    for wrong in ([[1, 2], [3]], [["a", "b", "c"]]):
        with pytest.raises(PcaugError, match="xyz is no table of numbers"):
            PointCloud(wrong)  # type: ignore[arg-type]
    with pytest.raises(PcaugError, match=r"a transform has shape \(4, 4\)"):
        make_cloud(3).moved(np.eye(3))
