"""Clouds to other libraries and back: nothing changes, and what the others see is what we hold."""

from __future__ import annotations

from pathlib import Path

import laspy
import numpy as np
import pytest
from builders import assert_same_cloud, make_cloud

from pcaug import catalogue, exchange, iter_chunks, read, write
from pcaug.cloud import PointCloud
from pcaug.errors import FileError


def rich(n: int = 30) -> PointCloud:
    rng = np.random.default_rng(0)
    return make_cloud(
        n,
        native_label=rng.integers(-1, 9, n).astype(np.int32),
        rgb=rng.integers(0, 65536, (n, 3)).astype(np.uint16),
        normal=rng.normal(size=(n, 3)).astype(np.float32),
        embedding=rng.normal(size=(n, 2)),
    )


@pytest.mark.parametrize("n", [0, 1, 30])
@pytest.mark.parametrize("way", ["arrow", "pandas"])
def test_tables_keep_every_field_and_the_taxonomy(way: str, n: int) -> None:
    cloud = rich(n)
    table = getattr(exchange, f"to_{way}")(cloud)
    back = getattr(exchange, f"from_{way}")(table)
    assert_same_cloud(back, cloud)
    assert back.taxonomy is catalogue.taxonomy()


def test_a_frame_of_others_is_read_by_its_column_names() -> None:
    import pandas as pd

    frame = pd.DataFrame({"X": [1.0, 2], "Y": [3.0, 4], "Z": [5.0, 6], "label": [7, 8], "Reflectance": [0.5, 0.25]})
    cloud = exchange.from_pandas(frame)
    assert cloud.xyz.tolist() == [[1, 3, 5], [2, 4, 6]]
    assert cloud["native_label"].tolist() == [7, 8]
    assert cloud["intensity"].tolist() == [0.5, 0.25]
    with pytest.raises(FileError, match="no columns x, y and z"):
        exchange.from_pandas(frame.drop(columns="Z"))


def test_what_becomes_of_a_frame_leaves_the_cloud_as_it_is() -> None:
    frame = exchange.to_pandas(make_cloud(4))
    cloud = exchange.from_pandas(frame)
    frame.loc[0:3, "intensity"] = 9
    assert not (cloud["intensity"] == 9).any()


def test_some_columns_of_a_table_of_ours_are_a_cloud_too() -> None:
    cloud = make_cloud(4, spread=np.arange(16.0).reshape(4, 4))
    some = exchange.from_pandas(exchange.to_pandas(cloud)[["x", "y", "z", "label"]])
    assert set(some.fields) == {"label"}
    with pytest.raises(FileError, match="has no columns spread_3"):  # part of a vector is none
        exchange.from_arrow(exchange.to_arrow(cloud).drop_columns(["spread_3"]))


def test_rows_without_a_position_are_left_out_and_torn_ones_refused() -> None:
    frame = exchange.to_pandas(make_cloud(4))
    frame.loc[1, ["x", "y", "z"]] = np.nan
    assert len(exchange.from_pandas(frame)) == 3
    frame.loc[2, "y"] = np.nan
    with pytest.raises(FileError, match="1 point whose position is not finite"):
        exchange.from_pandas(frame)
    with pytest.raises(FileError, match="1 point whose position is not finite"):
        exchange.to_laspy(PointCloud(np.array([[0, np.nan, 0], [1, 1, 1]])))


def test_laspy_sees_what_a_file_would_hold(tmp_path: Path) -> None:
    cloud = rich()
    data = exchange.to_laspy(cloud)
    write(tmp_path / "a.las", cloud)
    assert data.points.array.tobytes() == laspy.read(tmp_path / "a.las").points.array.tobytes()
    back, from_file = exchange.from_laspy(data), read(tmp_path / "a.las")
    assert_same_cloud(back, from_file)
    np.testing.assert_array_equal(back["label"], cloud["label"])
    data.write(tmp_path / "b.las")
    assert_same_cloud(read(tmp_path / "b.las"), from_file)


def test_what_is_done_to_laspys_leaves_the_cloud_as_it_is(tmp_path: Path) -> None:
    write(tmp_path / "a.las", rich())
    cloud = next(iter_chunks(tmp_path / "a.las"))
    exchange.to_laspy(cloud).intensity[:] = 7
    changed = exchange.to_laspy(cloud)
    changed.x += 5
    write(tmp_path / "b.las", cloud)
    assert_same_cloud(read(tmp_path / "b.las"), cloud)


def test_open3d_and_back() -> None:
    from pcaug.sensor.engine import open3d

    o3d = open3d()
    cloud = rich()
    there = cloud.to_open3d()
    assert_same_cloud(exchange.from_open3d(there, catalogue.taxonomy()), cloud)
    assert "label" not in exchange.from_open3d(there)  # without a taxonomy, numbers are a dataset's own ids
    legacy = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(cloud.xyz.copy()))
    legacy.colors = o3d.utility.Vector3dVector(cloud["rgb"] / 65535)
    back = exchange.from_open3d(legacy)
    np.testing.assert_array_equal(back.xyz, cloud.xyz)
    np.testing.assert_array_equal(back["rgb"], cloud["rgb"])
