"""Round trips of every format, and one clear error for everything that is broken."""

from __future__ import annotations

import resource
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import pytest
from builders import assert_same_cloud, make_cloud
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcaug import catalogue
from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, LabelError, NotFound, PcaugError
from pcaug.formats import FORMATS, iter_chunks, lost, read, sniff, write

SUFFIXES = [".las", ".laz", ".ply", ".parquet", ".txt", ".pcd", ".npy", ".npz", ".h5", ".e57"]
ON_A_GRID = (".las", ".laz")
DTYPES = ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"]


def labelled(n: int, seed: int = 0) -> PointCloud:
    rng = np.random.default_rng(seed)
    return make_cloud(n, seed=seed, native_label=rng.integers(0, 40, n).astype(np.int32), instance=np.arange(n, dtype=np.int32))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("n", [0, 1, 1000])
def test_labels_survive_every_format(tmp_path: Path, suffix: str, n: int) -> None:
    cloud = labelled(n)
    assert write(tmp_path / f"a{suffix}", cloud) == n
    back = read(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(back.xyz, cloud.xyz, atol=6e-4 if suffix in (".las", ".laz") else 0)
    for name in ("label", "native_label", "instance"):
        assert back[name].dtype == cloud[name].dtype
        np.testing.assert_array_equal(back[name], cloud[name])
    assert back.taxonomy is catalogue.taxonomy()
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    n=st.integers(0, 30),
    dtypes=st.lists(st.sampled_from(DTYPES), min_size=1, max_size=4),
    shift=st.sampled_from([0.0, 652_000.123, -4_841_948.7]),
    suffix=st.sampled_from([suffix for suffix in SUFFIXES if suffix != ".laz"]),
    seed=st.integers(0, 99),
)
def test_any_field_survives(tmp_path: Path, n: int, dtypes: list[str], shift: float, suffix: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    fields: dict[str, Any] = {f"f{i}": rng.integers(-100 if k[0] != "u" else 0, 100, n).astype(k) for i, k in enumerate(dtypes)}
    cloud = PointCloud(rng.uniform(-50, 50, (n, 3)) + shift, fields)
    write(tmp_path / f"a{suffix}", cloud)
    back = read(tmp_path / f"a{suffix}")
    np.testing.assert_allclose(back.xyz, cloud.xyz, rtol=0, atol=6e-4 if suffix == ".las" else 0)
    for name, values in fields.items():
        np.testing.assert_array_equal(back[name], values)
        assert back[name].dtype == values.dtype


@pytest.mark.parametrize("point_format", range(11))
@pytest.mark.parametrize("suffix", [".las", ".laz"])
def test_every_las_dimension_survives_bit_by_bit(tmp_path: Path, point_format: int, suffix: str) -> None:
    if point_format in (4, 5, 9, 10) and suffix == ".laz":
        pytest.skip("wave packets have no LAZ writer")
    rng = np.random.default_rng(point_format)
    las = laspy.create(point_format=point_format, file_version="1.4" if point_format > 5 else "1.3")
    las.header.scales, las.header.offsets = np.array([0.01, 0.001, 0.0025]), np.array([652_000.0, 6_861_000.5, -3.0])
    params = laspy.ExtraBytesParams
    las.add_extra_dims(
        [params("height", "f4", "above ground"), params("echo", "3u2"), params("scaled", "i4", "", np.zeros(1), np.full(1, 0.01))]
    )
    las.points = laspy.ScaleAwarePointRecord.zeros(200, header=las.header)
    las.points.array[:] = np.frombuffer(rng.bytes(las.points.array.nbytes), las.points.array.dtype)
    las["height"] = rng.random(200).astype(np.float32)
    if "gps_time" in las.point_format.dimension_names:
        las["gps_time"] = rng.random(200)
    las.vlrs.append(laspy.VLR("someone", 7, "kept", b"\x01\x02\x03"))
    las.write(tmp_path / f"a{suffix}")
    assert write(tmp_path / f"b{suffix}", iter_chunks(tmp_path / f"a{suffix}", 64)) == 200
    one, two = laspy.read(tmp_path / f"a{suffix}"), laspy.read(tmp_path / f"b{suffix}")
    assert one.points.array.tobytes() == two.points.array.tobytes()
    assert [v.record_data_bytes() for v in two.vlrs if v.user_id == "someone"] == [b"\x01\x02\x03"]
    assert [d.description for d in two.point_format.extra_dimensions] == ["above ground", "", ""]
    assert two.header.version == one.header.version


def test_crs_survives_between_formats(tmp_path: Path) -> None:
    from pyproj import CRS

    cloud = PointCloud(np.zeros((1, 3)), crs=CRS.from_epsg(2154).to_wkt())
    for suffix in (".las", ".ply", ".parquet"):
        write(tmp_path / f"a{suffix}", cloud)
        found = read(tmp_path / f"a{suffix}").crs
        assert found is not None
        assert CRS.from_user_input(found) == CRS.from_epsg(2154)


def test_a_label_becomes_its_asprs_class(tmp_path: Path) -> None:
    tree = catalogue.taxonomy()
    names = ["terrain", "tree", "low_vegetation", "building", "water", "wire", "car"]
    labels = np.array([tree.id(name) for name in names], np.uint16)
    write(tmp_path / "a.las", PointCloud(np.zeros((7, 3)), {"label": labels}, tree))
    assert np.asarray(laspy.read(tmp_path / "a.las").classification).tolist() == [2, 5, 3, 6, 9, 14, 85]


def test_kitti_pairs_labels_and_splits_instances(tmp_path: Path) -> None:
    scan, labels = tmp_path / "velodyne" / "000001.bin", tmp_path / "labels" / "000001.label"
    for path in (scan, labels):
        path.parent.mkdir()
    points = np.random.default_rng(0).random((5, 4)).astype("<f4")
    points.tofile(scan)
    np.array([252 | 3 << 16, 40, 0, 72, 70], "<u4").tofile(labels)
    cloud = read(scan)
    assert cloud["native_label"].tolist() == [252, 40, 0, 72, 70]
    assert cloud["instance"].tolist() == [3, 0, 0, 0, 0]
    np.testing.assert_array_equal(cloud["intensity"], points[:, 3])
    write(tmp_path / "copy.bin", cloud)
    assert (tmp_path / "copy.bin").read_bytes() == scan.read_bytes()
    assert (tmp_path / "copy.label").read_bytes() == labels.read_bytes()
    assert lost(["intensity", "rgb"], tmp_path / "copy.bin") == ["rgb"]
    assert lost(["label", "native_label"], tmp_path / "copy.bin") == []  # the .label holds the ids that labels are mapped from
    assert lost(["label"], tmp_path / "copy.bin") == ["label"]


def write_synthcity(path: Path, n: int, *, eol: str = "bool") -> dict[str, np.ndarray]:
    """An area in SynthCity's schema, by other means than our writer: one huge row group, Snappy, everything double."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    xyz = rng.uniform(0, 100, (n, 3))
    noise = xyz + rng.normal(0, 0.005, (n, 3))
    columns = dict(zip("XYZ", xyz.T, strict=True)) | {f"{a}_noise": v for a, v in zip("XYZ", noise.T, strict=True)}
    columns |= {c: rng.integers(0, 256, n).astype(float) for c in "RGB"}
    columns |= {"time": np.arange(n) * 1e-5, "eol": (np.arange(n) % 50 == 49).astype(eol)}
    columns["label"] = rng.integers(0, 9, n).astype(float)
    pq.write_table(pa.table(columns), path, row_group_size=n, compression="snappy")
    return columns


@pytest.mark.parametrize("eol", ["bool", "i8", "f8"])
def test_synthcity_label_is_a_float_and_eol_anything(tmp_path: Path, eol: str) -> None:
    truth = write_synthcity(tmp_path / "area1.parquet", 1000, eol=eol)
    chunks = list(iter_chunks(tmp_path / "area1.parquet", 300))
    assert [len(chunk) for chunk in chunks] == [300, 300, 300, 100]
    np.testing.assert_array_equal(np.concatenate([c["native_label"] for c in chunks]), truth["label"].astype(int))
    np.testing.assert_array_equal(chunks[0].xyz[:, 0], truth["X"][:300])
    assert chunks[0]["rgb"].shape == (300, 3)
    noisy = read(tmp_path / "area1.parquet", coords="noisy")
    np.testing.assert_array_equal(noisy.xyz[:, 2], truth["Z_noise"])


@pytest.mark.parametrize("binary", [True, False])
def test_ply_of_others_is_read_by_property_names(tmp_path: Path, binary: bool) -> None:
    from plyfile import PlyData, PlyElement

    rows = np.array([(1.5, 2, 3, 9, 255, 0, 1, 4.0, 7)], dtype=[("x", "f8"), ("y", "f4"), ("z", "f4"), ("scalar_Intensity", "f4"),
                    ("red", "u1"), ("green", "u1"), ("blue", "u1"), ("scalar_Label", "f4"), ("big", "u4")])  # fmt: skip
    PlyData([PlyElement.describe(rows, "testing")], text=not binary).write(str(tmp_path / "a.ply"))
    cloud = read(tmp_path / "a.ply")
    assert cloud["native_label"].tolist() == [4]
    assert cloud["native_label"].dtype == np.int32
    assert cloud["intensity"].tolist() == [9]
    assert cloud["rgb"].tolist() == [[255, 0, 1]]
    assert cloud["big"].dtype == np.uint32
    with pytest.raises(LabelError, match="has no column 'nope'"):
        read(tmp_path / "a.ply", label="nope")


@pytest.mark.parametrize(("suffix", "kind"), [(".ply", np.uint32), (".h5", np.int64), (".npz", np.uint64)])
def test_class_ids_beyond_32_bits_are_told_as_such(tmp_path: Path, suffix: str, kind: type) -> None:
    write(tmp_path / f"a{suffix}", make_cloud(2, labelled=False, big=np.array([1, 2**32 - 1], kind)))
    with pytest.raises(LabelError, match="has class ids from 1 to 4294967295, of which not all fit int32"):
        read(tmp_path / f"a{suffix}", label="big")


@pytest.mark.parametrize(
    "suffix", [".ply", ".las", ".laz", ".copc.laz", ".pcd", ".npy", ".npz", ".h5", ".parquet", ".txt", ".e57"]
)
def test_the_column_with_the_class_ids_may_have_any_name(tmp_path: Path, suffix: str) -> None:
    path, ids = tmp_path / f"a{suffix}", np.arange(1100, 1140)
    cloud = make_cloud(40, labelled=False, Klasse=ids.astype(np.int32))
    write(path, cloud)
    back = read(path, label="Klasse")
    assert sorted(back["native_label"].tolist()) == ids.tolist()
    las = suffix in (".las", ".laz", ".copc.laz")
    assert ("Klasse" in back) == ("classification" in back) == las  # its own dimensions all stay
    write(tmp_path / f"b{suffix}", back)
    assert sorted(read(tmp_path / f"b{suffix}")["native_label"].tolist()) == ids.tolist()
    with pytest.raises(LabelError, match="'nope'"):
        read(path, label="nope")


def test_options_that_a_format_does_not_take_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.txt", make_cloud(3))
    (tmp_path / "a.bin").write_bytes(bytes(16))
    for name, options, wrong in (
        ("a.txt", {"colums": ["x"]}, "files of format text take no option 'colums', .*choose from columns, label"),
        ("a.txt", {"columns": "xyz"}, "option columns is 'xyz'"),
        ("a.txt", {"label": 3}, "option label is 3"),
        ("a.bin", {"label": "x"}, "files of format kitti take no option 'label'"),
    ):
        with pytest.raises(PcaugError, match=wrong):
            read(tmp_path / name, **options)


def test_a_header_may_name_columns_with_spaces(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("X,Y,Z,Return Number,Scalar field,Classification\n1,2,3,1,7.5,6\n")
    cloud = read(tmp_path / "a.csv")
    assert {name: values.tolist() for name, values in cloud.fields.items()} == {
        "return_number": [1], "Scalar_field": [7.5], "native_label": [6]
    }  # fmt: skip
    for mark in ("//", "// ", "//\t"):
        (tmp_path / "b.txt").write_text(f"{mark}X Y Z R G B Classification\n1 2 3 4 5 6 7\n")
        assert read(tmp_path / "b.txt")["native_label"].tolist() == [7]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("columns", [None, ["", "x", "y", "z", "native_label"]])
def test_the_index_that_pandas_writes_is_no_column(tmp_path: Path, separator: str, columns: list[str] | None) -> None:
    text = ",x,y,z,label\n0,1.5,2,3,1\n1,4,5,6,2\n"
    (tmp_path / "a.csv").write_text(text.replace(",", separator))
    cloud = read(tmp_path / "a.csv", columns=columns)
    assert cloud.xyz.tolist() == [[1.5, 2, 3], [4, 5, 6]]
    assert {name: values.tolist() for name, values in cloud.fields.items()} == {"native_label": [1, 2]}


@pytest.mark.parametrize("text", ["x;y;z;\n1;2;3;\n", ";x;y;z\n;1;2;3\n", "\tx\ty\tz\n\t1\t2\t3\n", "x,y,z,,\n1,2,3,,\n"])
def test_separators_at_the_ends_of_lines_are_no_columns(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert read(tmp_path / "a.csv").xyz.tolist() == [[1, 2, 3]]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (",x,y,z,class\n0,1,2,3,\n1,1,2,3,\n", "line 2 has nothing in column 5"),
        (",x,y,z,intensity\n0,1,2,3,9\n1,1,2,3,\n", "line 3 has nothing in column 5"),
        ("x;y;z;class\n1;2;3; \n", "line 2 has nothing in column 4"),
        ("x\ty\tz\tclass\n1\t2\t3\t\n", "line 2 has nothing in column 4"),
        ("x,y,z,a,class\n1, 2, 3,, 5\n", "line 2 has nothing in column 4"),
        ("x,y,z,class\r\n1,2,3,4\r\n,2,3,4\r\n", "line 3 has nothing in column 1"),
        ("x,y,z,class\n1,2,3,4\n1,2,3,4,\n", "line 3 is not 4 numbers"),
        ("1,,2,3\n", "has 4 columns and no header"),
        ("X;Y;Z;Class\n6;7,5;8;\n", "line 2 has decimal commas"),
    ],
)
def test_an_empty_cell_moves_no_other_one_into_its_column(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    with pytest.raises(FileError, match=place):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("text", [",x,y,z,class\n,1,2,3,7\n5,4,5,6,8\n", "x,y,z,class,\n1, 2, 3, 7,\n4, 5, 6, 8,\n"])
def test_cells_of_a_column_without_a_name_may_be_empty(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    cloud = read(tmp_path / "a.csv")
    assert cloud.xyz.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert cloud["native_label"].tolist() == [7, 8]


def test_long_whole_numbers_of_other_programs_stay_exact_or_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y,z,when,far\n1,2,3,1616103520123456789,1e17\n1,2,3,1616103520123456791,inf\n")
    cloud = read(tmp_path / "a.csv")
    assert cloud["when"].tolist() == [1616103520123456789, 1616103520123456791]
    assert cloud["far"].tolist() == [1e17, np.inf]
    (tmp_path / "a.csv").write_text("x,y,z,when\n1,2,3,0\n1,2,3,1616103520123456789\n")
    with pytest.raises(FileError, match="line 3 has 1616103520123456789 in column 4, which is rounded"):
        read(tmp_path / "a.csv")


def test_columns_that_contradict_a_header_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("X;Y;Z;Klasse;Intensity\n1;2;3;11;30\n")
    with pytest.raises(FileError, match="has 'Intensity' as column 5, which is 'native_label' in the card's columns"):
        read(tmp_path / "a.csv", columns=["x", "y", "z", "intensity", "native_label"])
    told = read(tmp_path / "a.csv", columns=["x", "y", "z", "native_label", "intensity"])
    assert told["native_label"].tolist() == read(tmp_path / "a.csv", label="Klasse")["native_label"].tolist() == [11]
    turned = read(tmp_path / "a.csv", columns=["y", "x", "z", "native_label", "intensity"])  # northing before easting
    assert turned.xyz.tolist() == [[2, 1, 3]]


def test_a_scale_of_zero_is_damage(tmp_path: Path) -> None:
    write(tmp_path / "a.las", make_cloud(5))
    data = bytearray((tmp_path / "a.las").read_bytes())
    data[131:139] = bytes(8)
    (tmp_path / "a.las").write_bytes(data)
    with pytest.raises(FileError, match="a scale of 0"):
        read(tmp_path / "a.las")


def test_ply_is_read_by_an_independent_library(tmp_path: Path) -> None:
    from plyfile import PlyData

    cloud = labelled(20)
    for ascii in (True, False):
        write(tmp_path / "a.ply", iter([cloud.take(slice(0, 5)), cloud.take(slice(5, None))]), ascii=ascii)
        data = PlyData.read(str(tmp_path / "a.ply"))["vertex"]
        np.testing.assert_array_equal(data["x"], cloud.xyz[:, 0])
        np.testing.assert_array_equal(data["label"], cloud["label"])
        assert_same_cloud(read(tmp_path / "a.ply"), cloud)


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("1 2 3\n4 5 6\n", None, {}),
        ("x,y,z,label\n1,2,3,7\n4,5,6,8\n", None, {"native_label": [7, 8]}),
        ("//X Y Z Intensity\n1 2 3 0.5\n4 5 6 0.25\n", None, {"Intensity": [0.5, 0.25]}),
        ("# made by hand\n\n1\t2\t3\t7\t0.9\n4  5 6 8 1\n", ["x", "y", "z", "native_label", ""], {"native_label": [7, 8]}),
        ("2\n1 2 3\n4 5 6", None, {}),
        ("1;2;3\n4;5;6\n", None, {}),
    ],
)
def test_text_in_its_dialects(tmp_path: Path, text: str, columns: list[str] | None, expected: dict[str, list[float]]) -> None:
    (tmp_path / "a.txt").write_text(text)
    cloud = read(tmp_path / "a.txt", columns=columns)
    assert cloud.xyz.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert {name: values.tolist() for name, values in cloud.fields.items() if name.lower() in {"native_label", "intensity"}} == {
        key.lower() if key == "intensity" else key: value for key, value in expected.items()
    } or all(cloud.fields[k.lower() if k.lower() in cloud.fields else k].tolist() == v for k, v in expected.items())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3 4\n", "4 columns and no header"),
        ("x y z\n1 2\n", "has 2 columns, 3 are named"),
        ("x y z x\n1 2 3 9\n", "names the column 'x' twice"),
        ("1 2 3\n4 5\n", "line 2 is not 3 numbers"),
        ("1 2 3\n4 5 six\n", "line 2 is not 3 numbers"),
        ("a b c\n1 2 3\n", "no columns x, y and z"),
        ("hello\n", "holds no line of coordinates"),
        ("once upon a time\n", "holds no line of coordinates"),
        ("# x y z\n\n", "holds no line of coordinates"),
        ("17\n", "holds no line of coordinates"),
        ("once upon a time\nthere was a scan\n", "line 2 does not hold numbers"),
        ("\n \n", "holds no line of coordinates"),
        ("", "is empty"),
        ("x y z\n1 2 nan\n", "1 point whose position is not finite"),
        ("x y z label\n1 2 3 1.5\n", "not whole numbers"),
        ("x y z label\n1 2 3 -1\n1 2 3 3000000000\n", "class ids from -1 to 3000000000, of which not all fit int32"),
        ("x y z label\n1 2 3 nan\n1 2 3 1.5\n", "class ids that are NaN, in 1 point"),
        ("x y z instance\n1 2 3 1.5\n", "'instance' holds values that are not whole numbers"),
        ("x y z instance\n1 2 3 3000000000\n", "values from 3000000000 to 3000000000, of which not all fit int32"),
        ("x y z instance\n1 2 3 nan\n4 5 6 nan\n", "'instance' holds values that are NaN, in 2 points"),
        ("X;Y;Z;Class\n652345,12;6861234,50;35,20;2\n", "line 2 has decimal commas"),
        ("1,5\t2,5\t-3,5\n", "line 1 has decimal commas"),
        ("X;Y;Z;Class\n6;7;8;2\n6;7,5;8;2\n", "line 3 has decimal commas"),
        ("1,2;3,4;5,6;7\n", "7 columns and no header"),
        ("5\n1 2 3\n4 5 6\n", "is truncated: it holds 2 of 5 points"),
        ("//X Y Z\n3\n1 2 3\n4 5 6\n", "is truncated: it holds 2 of 3 points"),
        ("x,y,z\n3\n", "is truncated: it holds 0 of 3 points"),
        ("x,y,z,label\r1,2,3,4\r5,6,7,8\r", "lines that end with CR alone"),
        ("1 2 3\r4 5 6", "lines that end with CR alone"),
        ("# made by hand\r1 2 3\r4 5 6\r", "lines that end with CR alone"),
        ("x y z 1.5\n1 2 3 4\n", "line 1 names a column '1.5'"),
        ("x,y,z 1,2,3\n", "line 1 names a column '2'"),
    ],
)
def test_broken_text_names_the_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.txt").write_bytes(text.encode())
    with pytest.raises(PcaugError, match=message):
        read(tmp_path / "a.txt")


@pytest.mark.parametrize("columns", [None, ["x", "y", "z", "native_label"]])
def test_text_of_words_is_no_cloud_whatever_a_card_says(tmp_path: Path, columns: list[str] | None) -> None:
    (tmp_path / "a.txt").write_text("Scanned on a rainy Monday\n")
    with pytest.raises(FileError, match="holds no line of coordinates"):
        read(tmp_path / "a.txt", columns=columns)
    (tmp_path / "a.txt").write_text("x,y,z,native_label\n")  # a table without rows
    assert len(read(tmp_path / "a.txt", columns=columns)) == 0


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_of_no_bytes_is_refused_and_one_that_says_it_has_no_points_is_not(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.touch()
    with pytest.raises(FileError, match=r"is empty \(0 bytes\)"):
        read(path)
    write(path, PointCloud(np.zeros((0, 3))))
    assert len(read(path)) == 0


@pytest.mark.parametrize("suffix", [*(suffix for suffix in SUFFIXES if suffix != ".txt"), ".copc.laz", ".bin"])
def test_a_truncated_file_is_never_read_as_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    cloud = make_cloud(2000, labelled=False, native_label=np.ones(2000, np.int32))
    write(path, cloud)
    whole = path.read_bytes()
    cuts = {0, 1, 3, 60, 226, 227, 300, len(whole) // 3, len(whole) // 2, len(whole) - 9, len(whole) - 1}
    for cut in sorted(cuts):
        (tmp_path / f"b{suffix}").write_bytes(whole[:cut])
        if suffix == ".bin" and cut and cut % 16 == 0:
            continue  # a scan has no header: whole points are a scan
        with pytest.raises(FileError):
            read(tmp_path / f"b{suffix}")


def test_a_label_file_of_another_length_is_refused(tmp_path: Path) -> None:
    np.zeros((4, 4), "<f4").tofile(tmp_path / "a.bin")
    np.zeros(3, "<u4").tofile(tmp_path / "a.label")
    with pytest.raises(FileError, match=r"has 3 labels for 4 points, .*a\.label"):
        read(tmp_path / "a.bin")


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".npy", ".npz", ".parquet", ".h5", ".csv"])
def test_points_without_a_position_are_left_out(tmp_path: Path, suffix: str) -> None:
    cloud = make_cloud(50, labelled=False, ring=np.arange(50, dtype=np.uint16))
    met = np.arange(50) % 3 > 0
    form = FORMATS[sniff(path := tmp_path / f"a{suffix}")]
    form.write(path, iter([PointCloud(np.where(met[:, None], cloud.xyz, np.nan), cloud.fields)]))
    assert read(path)["ring"].tolist() == np.flatnonzero(met).tolist()
    torn = cloud.xyz.copy()
    torn[7, 1] = np.nan  # which no scanner says
    form.write(path, iter([PointCloud(torn, cloud.fields)]))
    with pytest.raises(FileError, match="1 point whose position is not finite"):
        read(path)


@pytest.mark.parametrize("suffix", [*SUFFIXES, ".copc.laz", ".bin"])
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, suffix: str) -> None:
    cloud = make_cloud(20)
    for value in (np.nan, np.inf):
        xyz = cloud.xyz.copy()
        xyz[3] = value
        with pytest.raises(FileError, match="1 point whose position is not finite"):
            write(tmp_path / f"a{suffix}", PointCloud(xyz))
    foreign = cloud.with_fields(label=np.full(20, 9999, np.uint16), native_label=np.zeros(20, np.int32))
    with pytest.raises(LabelError, match=r"labels that are no classes of .*: 9999, .* go into 'native_label'"):
        write(tmp_path / f"a{suffix}", foreign)
    assert not list(tmp_path.iterdir())


def test_a_scan_of_rows_that_labels_count_may_have_no_nan(tmp_path: Path) -> None:
    points = np.zeros((4, 4), "<f4")
    points[2] = np.nan
    points.tofile(tmp_path / "a.bin")
    with pytest.raises(FileError, match="1 point whose position is not finite"):
        read(tmp_path / "a.bin")


def test_headers_that_promise_the_moon_cost_nothing(tmp_path: Path) -> None:
    header = bytearray(375)
    header[:4], header[24:26], header[104] = b"LASF", bytes([1, 4]), 6
    struct.pack_into("<HII", header, 94, 375, 375, 0)
    struct.pack_into("<H", header, 105, 30)
    struct.pack_into("<Q", header, 247, 4_000_000_000)
    (tmp_path / "a.las").write_bytes(header)
    struct.pack_into("<I", header, 100, 4_000_000_000)
    (tmp_path / "b.las").write_bytes(header)
    (tmp_path / "c.ply").write_text(
        "ply\nformat binary_little_endian 1.0\nelement vertex 4000000000\nproperty double x\nend_header\n"
    )
    (tmp_path / "d.ply").write_text(f"ply\nformat ascii 1.0\nelement vertex {'9' * 5000}\nproperty double x\nend_header\n")
    for name in ("a.las", "b.las", "c.ply", "d.ply"):
        with pytest.raises(FileError, match="truncated"):
            read(tmp_path / name)


@pytest.mark.filterwarnings("ignore:.*the waveform within the file is left out")  # one of the bits says that there is one
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(SUFFIXES))
def test_damaged_bytes_end_in_an_error_of_ours_or_in_points(tmp_path: Path, data: st.DataObject, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    write(path, make_cloud(50))
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, min(len(raw) - 1, 600)))] = data.draw(st.integers(0, 255))
    path.write_bytes(raw)
    with suppress(PcaugError):  # anything else fails the test
        sum(len(chunk) for chunk in iter_chunks(path))


def test_unknown_suffix_and_missing_file() -> None:
    with pytest.raises(NotFound, match="no such file"):
        read("nowhere.las")
    with pytest.raises(NotFound, match=r"choose from \.copc\.laz, \.las"):
        lost([], "a.docx")
    with pytest.raises(NotFound, match=r"has no ending that names its format, a, choose from .*\.laz"):
        lost([], "a")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text("old")

    def chunks() -> Any:
        yield make_cloud(5)
        raise FileError("source broke")

    with pytest.raises(FileError, match="source broke"):
        write(tmp_path / "a.ply", chunks())
    with pytest.raises(PcaugError, match="differ in fields"):
        write(tmp_path / "a.ply", iter([make_cloud(5), make_cloud(5, extra=np.zeros(5))]))
    assert [p.name for p in tmp_path.iterdir()] == ["a.ply"]
    assert (tmp_path / "a.ply").read_text() == "old"


@pytest.mark.parametrize("suffix", [s for s in SUFFIXES if s != ".h5"])  # HDF5 crashes: it looks for room before it writes
def test_a_disk_without_room_is_told_of_the_file_that_was_wanted(tmp_path: Path, suffix: str) -> None:
    cloud = labelled(30_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # no file may grow larger, as on a disk that is full
    try:
        with pytest.raises(FileError, match="written") as told:
            write(tmp_path / f"a{suffix}", cloud)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert told.value.where == str(tmp_path / f"a{suffix}")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["scan[1].ply", "a*.laz", "what?.bin", "a b.copc.laz"])
def test_any_name_is_written_as_it_is(tmp_path: Path, name: str) -> None:
    assert write(tmp_path / name, labelled(5)) == 5
    assert {path.name for path in tmp_path.iterdir()} - {"what?.label"} == {name}
    assert len(read(tmp_path / name)) == 5


def test_files_that_are_written_at_once_keep_to_themselves(tmp_path: Path) -> None:
    def slow() -> Any:
        yield make_cloud(5)
        write(tmp_path / "a.las", make_cloud(3))  # its name begins as the unfinished one's does, and it is done first
        assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["a.las"]
        yield make_cloud(5)

    assert write(tmp_path / "ab.las", slow()) == 10
    assert {path.name: len(read(path)) for path in tmp_path.iterdir()} == {"a.las": 3, "ab.las": 10}


@pytest.mark.parametrize("home", ["velodyne", "elsewhere"])
def test_labels_of_a_kitti_scan_are_those_that_were_written_last(tmp_path: Path, home: str) -> None:
    scan = tmp_path / home / "000001.bin"
    for path in (scan, tmp_path / "labels" / "x"):
        path.parent.mkdir()
    classed = [PointCloud(np.zeros((4, 3)), {"native_label": np.full(4, number, np.int32)}) for number in (9, 1)]
    write(scan, classed[0])
    (tmp_path / "labels" / "000001.label").write_bytes(scan.with_suffix(".label").read_bytes())
    write(scan, classed[1])
    assert read(scan)["native_label"].tolist() == [1] * 4
    write(scan, PointCloud(np.zeros((4, 3))))
    assert list(read(scan).fields) == ["intensity"]
    write(scan, classed[0].take(slice(0)))
    assert "native_label" in read(scan)
    write(scan, PointCloud(np.zeros((0, 3))))
    assert len(read(scan)) == 0


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        ("reflectance intensity", {"reflectance": 4, "intensity": 5}),
        ("intensity reflectance", {"intensity": 4, "reflectance": 5}),
        ("timestamp time", {"timestamp": 4, "time": 5}),
        ("gps_time timestamp", {"time": 4, "timestamp": 5}),
        ("xyz label label_", {"xyz_": 4, "native_label": 5, "label_": 6}),
        ("native_label label label_", {"native_label": 4, "label__": 5, "label_": 6}),
    ],
)
def test_columns_of_one_meaning_are_all_kept(tmp_path: Path, head: str, fields: dict[str, float]) -> None:
    columns = head.split()
    (tmp_path / "a.csv").write_text(f"x,y,z,{','.join(columns)}\n1,2,3,{','.join('456'[: len(columns)])}\n")
    cloud = read(tmp_path / "a.csv")
    assert {name: float(values[0]) for name, values in cloud.fields.items()} == fields
    assert cloud.xyz.tolist() == [[1, 2, 3]]


def test_source_of_a_written_cloud_is_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a.las", PointCloud(np.zeros((1, 3)), source=Source(file="elsewhere")))
    assert read(tmp_path / "a.las").source.file == str(tmp_path / "a.las")
    assert {"las", "ply", "kitti", "parquet", "text"} <= set(FORMATS)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_chunks_have_at_least_one_point(tmp_path: Path, size: object) -> None:
    write(tmp_path / "a.ply", make_cloud(5))
    with pytest.raises(PcaugError, match=r"size is .*, give a whole number of at least 1"):
        next(iter_chunks(tmp_path / "a.ply", size))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", ["abc", [None], np.zeros((2, 3))])
def test_only_clouds_are_written(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(PcaugError, match="is no point cloud"):
        write(tmp_path / "a.ply", wrong)
    assert not list(tmp_path.iterdir())
