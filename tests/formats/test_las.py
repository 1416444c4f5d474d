"""LAS in full: point formats promoted, records kept, wave packets, one decision for all chunks; laspy as the witness."""

from __future__ import annotations

import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import laspy
import numpy as np
import pytest
from builders import make_cloud
from pyproj import CRS

from pcaug import iter_chunks, read, write
from pcaug.cloud import PointCloud, Source
from pcaug.corpus.metres import to_metres
from pcaug.corpus.steps import reprojected
from pcaug.errors import FileError, LabelError, PcaugError
from pcaug.formats.las import asprs


def make_las(path: Path, point_format: int, n: int = 100, *, version: str = "1.4", crs: str | None = None) -> laspy.LasData:
    rng = np.random.default_rng(point_format)
    las = laspy.create(point_format=point_format, file_version=version)
    las.header.offsets, las.header.scales = np.array([650_000.0, 6_860_000.0, 0.0]), np.array([0.01, 0.01, 0.01])
    if crs:
        las.header.add_crs(CRS.from_user_input(crs))
    las.x, las.y, las.z = rng.uniform(650_000, 650_100, n), rng.uniform(6_860_000, 6_860_100, n), rng.uniform(0, 50, n)
    las.classification = rng.integers(0, 31, n).astype(np.uint8)
    las.return_number, las.intensity = rng.integers(1, 5, n), rng.integers(0, 65535, n)
    las.synthetic, las.user_data = rng.integers(0, 2, n), rng.integers(0, 255, n)
    if "gps_time" in las.point_format.dimension_names:
        las.gps_time = rng.random(n)
    las.write(path)
    return las


@pytest.mark.parametrize("point_format", range(6))
@pytest.mark.parametrize("late", [False, True])
def test_a_high_class_promotes_the_point_format(tmp_path: Path, point_format: int, late: bool) -> None:
    before = make_las(tmp_path / "a.las", point_format, crs="EPSG:2154")

    def chunks() -> list[PointCloud]:
        parts = list(iter_chunks(tmp_path / "a.las", 40))
        high = 2 if late else 0
        parts[high] = parts[high].with_fields(native_label=np.full(len(parts[high]), 67, np.int32))
        return parts

    assert write(tmp_path / "b.las", iter(chunks())) == 100
    after = laspy.read(tmp_path / "b.las")
    assert after.point_format.id == {0: 6, 1: 6, 2: 7, 3: 7, 4: 9, 5: 10}[point_format]
    assert str(after.header.version) == "1.4"
    assert after.header.global_encoding.wkt
    assert after.header.parse_crs() == CRS.from_epsg(2154)
    assert not [v for v in after.header.vlrs if v.record_id in (34735, 34736, 34737)]
    changed = slice(80, 100) if late else slice(0, 40)
    expected = np.array(before.classification)
    expected[changed] = 67
    np.testing.assert_array_equal(after.classification, expected)
    for name in ("X", "Y", "Z", "intensity", "return_number", "synthetic", "user_data"):
        np.testing.assert_array_equal(after[name], before[name])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.las", "b.las"]


def test_a_class_beyond_eight_bits_is_refused(tmp_path: Path) -> None:
    make_las(tmp_path / "a.las", 6)
    cloud = read(tmp_path / "a.las")
    for wrong in (256, -1):
        with pytest.raises(LabelError, match=f"class {wrong} does not fit"):
            write(tmp_path / "b.las", cloud.with_fields(native_label=np.full(len(cloud), wrong, np.int32)))


@pytest.mark.parametrize("version", ["1.1", "1.2", "1.3", "1.4"])
def test_versions_and_header_survive(tmp_path: Path, version: str) -> None:
    las = make_las(tmp_path / "a.las", 1, version=version)
    las.header.system_identifier, las.header.file_source_id = "a scanner", 77
    las.write(tmp_path / "a.las")
    write(tmp_path / "b.laz", iter_chunks(tmp_path / "a.las"))
    after = laspy.read(tmp_path / "b.laz").header
    assert (str(after.version), after.system_identifier, after.file_source_id) == (version, "a scanner", 77)
    assert (after.uuid, after.creation_date) == (las.header.uuid, las.header.creation_date)


def test_las_1_0_is_read_and_written_as_1_1(tmp_path: Path) -> None:
    before = make_las(tmp_path / "a.las", 1, version="1.1")
    raw = bytearray((tmp_path / "a.las").read_bytes())
    raw[25] = 0
    (tmp_path / "a.las").write_bytes(raw)
    write(tmp_path / "b.las", read(tmp_path / "a.las"))
    after = laspy.read(tmp_path / "b.las")
    assert str(after.header.version) == "1.1"
    assert after.points.array.tobytes() == before.points.array.tobytes()


def test_extended_records_survive_and_liars_are_refused(tmp_path: Path) -> None:
    las = make_las(tmp_path / "a.las", 6)
    las.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR("someone", 9, "big", b"x" * 70_000)])
    las.write(tmp_path / "a.las")
    write(tmp_path / "b.laz", iter_chunks(tmp_path / "a.las", 30))
    with laspy.open(tmp_path / "b.laz") as reader:
        assert [v.record_data_bytes() for v in reader.evlrs] == [b"x" * 70_000]
    raw = bytearray((tmp_path / "a.las").read_bytes())
    start = struct.unpack_from("<Q", raw, 235)[0]
    struct.pack_into("<Q", raw, start + 20, 1 << 40)
    (tmp_path / "c.las").write_bytes(raw)
    with pytest.raises(FileError, match="extended records lie beyond its end"):
        read(tmp_path / "c.las")


def test_chunks_of_too_few_points_are_refused_before_they_are_unpacked(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.laz", make_cloud(200, labelled=False))
    raw = bytearray((tmp_path / "a.laz").read_bytes())
    at = raw.index(struct.pack("<I", 50_000))  # points per chunk
    struct.pack_into("<I", raw, at, 80)
    (tmp_path / "a.laz").write_bytes(raw)
    with pytest.raises(FileError, match=r"its chunks cannot be found \(impossible sizes\)"):
        read(tmp_path / "a.laz")
    assert capfd.readouterr().err == ""  # a decompressor in threads says there where it broke


@pytest.mark.parametrize("point_format", [4, 5, 9, 10])
def test_wave_packets_need_las_and_can_be_dropped(tmp_path: Path, point_format: int) -> None:
    make_las(tmp_path / "a.las", point_format)
    with pytest.raises(FileError, match=r"wave packets cannot be written as LAZ.*write \.las"):
        write(tmp_path / "b.laz", iter_chunks(tmp_path / "a.las"))
    cloud = read(tmp_path / "a.las")
    names = ("wavepacket_index", "wavepacket_offset", "wavepacket_size", "return_point_wave_location", "x_t", "y_t", "z_t")
    write(tmp_path / "b.laz", cloud.with_fields(**dict.fromkeys(names)))  # type: ignore[arg-type]
    after = laspy.read(tmp_path / "b.laz")
    assert after.point_format.id == {4: 1, 5: 3, 9: 6, 10: 8}[point_format]
    np.testing.assert_array_equal(after.intensity, cloud["intensity"])


def test_samples_of_waveforms_are_left_out_with_a_word(tmp_path: Path) -> None:
    las = make_las(tmp_path / "a.las", 9)
    las.evlrs = laspy.vlrs.vlrlist.VLRList([laspy.VLR("LASF_Spec", 65535, "waveform", b"x" * 1000)])
    las.write(tmp_path / "a.las")
    with pytest.warns(UserWarning, match="the waveform within the file is left out"):
        cloud = read(tmp_path / "a.las")
    assert cloud.source.encoding["evlrs"] == []


def test_an_unchanged_cloud_is_written_with_its_own_bytes_and_a_changed_one_with_the_change(tmp_path: Path) -> None:
    before = make_las(tmp_path / "a.las", 3)
    cloud = next(iter_chunks(tmp_path / "a.las"))
    write(tmp_path / "same.las", cloud)
    write(tmp_path / "moved.las", cloud.moved(np.array([[1, 0, 0, 5], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])))
    write(tmp_path / "half.las", cloud.take(slice(0, 50)))
    assert laspy.read(tmp_path / "same.las").points.array.tobytes() == before.points.array.tobytes()
    np.testing.assert_array_equal(laspy.read(tmp_path / "moved.las").X, before.X + 500)
    assert laspy.read(tmp_path / "half.las").points.array.tobytes() == before.points.array[:50].tobytes()


def test_float_intensity_is_scaled_once_for_all_chunks(tmp_path: Path) -> None:
    low = PointCloud(np.zeros((2, 3)), {"intensity": np.array([0.5, 1.0], np.float32)})
    high = PointCloud(np.zeros((2, 3)), {"intensity": np.array([3.0, 200.0], np.float32)})
    write(tmp_path / "a.las", iter([low, low]))
    assert laspy.read(tmp_path / "a.las").intensity.tolist() == [32768, 65535] * 2
    with pytest.warns(UserWarning, match="what of intensity follows the decimal point is left out"):
        write(tmp_path / "a.las", iter([high, low]))
    assert laspy.read(tmp_path / "a.las").intensity.tolist() == [3, 200, 0, 1]
    noisy = PointCloud(np.zeros((3, 3)), {"intensity": np.array([0.5, 1.0, 1.02], np.float32)})
    with pytest.warns(UserWarning, match=r"intensity lies beyond the 16 bits of LAS \(0 to 1\)"):
        write(tmp_path / "a.las", iter([noisy, low]))
    assert laspy.read(tmp_path / "a.las").intensity.tolist() == [32768, 65535, 65535, 32768, 65535]
    with pytest.raises(FileError, match=r"intensity is 200 after clouds within 0\.\.1"):
        write(tmp_path / "b.las", iter([low, high]))
    assert not (tmp_path / "b.las").exists()


@pytest.mark.parametrize("suffix", [".ply", ".las", ".parquet", ".pcd", ".txt", ".npy", ".npz", ".h5", ".e57"])
def test_clouds_that_differ_in_type_are_refused_by_name(tmp_path: Path, suffix: str) -> None:
    one, other = (make_cloud(4, ring=np.arange(4, dtype=kind)) for kind in (np.uint8, np.float32))
    with pytest.raises(PcaugError, match="differ in the type of field 'ring': uint8, then float32"):
        write(tmp_path / f"a{suffix}", iter([one, other]))
    assert not list(tmp_path.iterdir())
    wide = make_cloud(4, ring=np.zeros((4, 2), np.uint8))
    with pytest.raises(PcaugError, match=r"'ring': uint8, then uint8 \(2,\)"):
        write(tmp_path / f"a{suffix}", iter([one, wide]))


def test_positions_far_out_keep_the_grid(tmp_path: Path) -> None:
    xyz = np.array([[4_841_948.123, -6_860_000.456, 8848.789], [4_841_949.001, -6_860_000.002, -11_000.003]])
    write(tmp_path / "a.laz", PointCloud(xyz, source=Source(file="made")))
    np.testing.assert_allclose(laspy.read(tmp_path / "a.laz").xyz, xyz, rtol=0, atol=5.1e-4)
    with pytest.raises(FileError, match="32-bit grid"):
        write(tmp_path / "b.laz", PointCloud(np.array([[0, 0, 0], [4e6, 0, 0.0]])))


def test_a_damaged_scale_is_an_error_and_no_warning(tmp_path: Path) -> None:
    write(tmp_path / "a.las", PointCloud(np.array([[-9.0, 9, 1], [9, -9, 2]])))
    data = bytearray((tmp_path / "a.las").read_bytes())
    data[131:139] = struct.pack("<d", 1e306)  # the scale of x: LAS 1.4 R16, table 3
    (tmp_path / "a.las").write_bytes(data)
    with pytest.raises(FileError, match="not finite"):
        read(tmp_path / "a.las")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("point_source_id", [1, 70000]),
        ("user_data", [1, 300]),
        ("user_data", [1, -1]),
        ("user_data", [1.0, 2.5]),
        ("return_number", [1, 16]),
        ("synthetic", [0, 2]),
        ("scan_angle", [1.0, 200.0]),
        ("scan_angle", [1.0, np.nan]),
    ],
)
def test_what_a_dimension_cannot_hold_is_refused(tmp_path: Path, name: str, values: list[float]) -> None:
    with pytest.raises(FileError, match=f"field '{name}' .* does not fit"):
        write(tmp_path / "a.las", make_cloud(2, **{name: np.array(values)}))
    assert not list(tmp_path.iterdir())
    write(tmp_path / "a.las", make_cloud(2, **{name: np.array([0.0, 1.0])}))
    assert read(tmp_path / "a.las")[name] == pytest.approx([0, 1], abs=0.003)


@pytest.mark.parametrize("name", ["x", "Z"])
def test_no_field_lies_over_positions(tmp_path: Path, name: str) -> None:
    with pytest.raises(PcaugError, match="is what LAS calls positions"):
        write(tmp_path / "a.laz", make_cloud(2, **{name: np.zeros(2)}))


@pytest.mark.parametrize(
    ("names", "wanted"),
    [("time gps_time", "gps_time"), ("gps_time time", "gps_time"), ("rgb red", "red"), ("green rgb", "green")],
)
@pytest.mark.parametrize("suffix", [".las", ".copc.laz"])
def test_two_fields_of_one_dimension_are_refused(tmp_path: Path, names: str, wanted: str, suffix: str) -> None:
    one, other = names.split()
    fields = {name: np.zeros((3, 3) if name == "rgb" else 3, np.uint16) for name in (one, other)}
    with pytest.raises(PcaugError, match=f"fields '{one}' and '{other}' are both {wanted} of LAS"):
        write(tmp_path / f"a{suffix}", make_cloud(3, **fields))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "point_format"),
    [
        ("bit_fields", 1),
        ("raw_classification", 1),
        ("bit_fields", 6),
        ("classification_flags", 6),
        ("return_num", 6),
        ("scales", 6),
    ],
)
def test_a_field_is_not_called_like_a_part_of_the_record(tmp_path: Path, name: str, point_format: int) -> None:
    make_las(tmp_path / "a.las", point_format, 3)
    cloud = read(tmp_path / "a.las").with_fields(**{name: np.array([1, 2, 300])})
    with pytest.raises(PcaugError, match=f"field '{name}' is called like a part of LAS's own records"):
        write(tmp_path / "b.las", cloud)


@pytest.mark.parametrize("suffix", [".las", ".copc.laz"])
def test_a_classification_beside_ids_of_ours_comes_back(tmp_path: Path, suffix: str) -> None:
    (tmp_path / "a.csv").write_text("x,y,z,label,classification\n1,2,3,400,6\n4,5,6,7,9\n")
    cloud = read(tmp_path / "a.csv")
    for _ in range(2):
        write(tmp_path / f"b{suffix}", cloud)
        cloud = read(tmp_path / f"b{suffix}").take(slice(None))
        assert (cloud["native_label"].tolist(), cloud["classification"].tolist()) == ([400, 7], [6, 9])
    assert laspy.read(tmp_path / f"b{suffix}").classification.tolist() == [6, 9]
    other = read(tmp_path / f"b{suffix}", label="classification")
    assert (other["native_label"].tolist(), other["native_label_"].tolist()) == ([6, 9], [400, 7])
    write(tmp_path / "c.las", cloud.with_fields(classification=None))
    assert "classification" not in read(tmp_path / "c.las")
    make_las(tmp_path / "old.las", 1, 2)
    with pytest.raises(LabelError, match="class 40 does not fit into LAS's 5 bits"):
        write(tmp_path / "d.las", read(tmp_path / "old.las").with_fields(classification=np.array([40, 9])))
    with pytest.raises(LabelError, match="classes that are not whole numbers"):
        write(tmp_path / "d.las", cloud.with_fields(classification=np.array([6.5, 9])))


def test_extra_bytes_of_floats_with_a_scale_are_not_rounded_to_it(tmp_path: Path) -> None:
    las = make_las(tmp_path / "a.las", 6, 3)
    las.add_extra_dim(laspy.ExtraBytesParams("amp", "f4", "", np.full(1, 2.0), np.full(1, 0.1)))
    las.points.array["amp"] = [0.11, np.nan, -7.5]
    las.write(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las")
    np.testing.assert_allclose(cloud["amp"], [2.011, np.nan, 1.25], rtol=1e-6)
    write(tmp_path / "b.las", cloud.take(slice(None)))
    after = laspy.read(tmp_path / "b.las")
    np.testing.assert_array_equal(after.points.array["amp"], las.points.array["amp"])
    assert after.point_format.dimension_by_name("amp").scales.tolist() == [0.1]
    with pytest.raises(FileError, match=r"field 'amp' .* does not fit the grid"):
        write(tmp_path / "c.las", cloud.with_fields(amp=np.array([0, 1e60, 0])))


def test_parts_of_extra_bytes_lie_on_grids_of_their_own(tmp_path: Path) -> None:
    las = make_las(tmp_path / "a.las", 6, 2)
    las.add_extra_dim(laspy.ExtraBytesParams("wide", "3i2", "", np.zeros(3), np.array([0.1, 0.2, 0.3])))
    las.points.array["wide"] = [[-32768, 32767, 5], [32767, -32768, 32767]]
    las.write(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las")
    write(tmp_path / "b.las", cloud.take(slice(None)))
    np.testing.assert_array_equal(laspy.read(tmp_path / "b.las").points.array["wide"], las.points.array["wide"])
    beyond = cloud["wide"].copy()
    beyond[0, 0] = 9000  # the third part could hold it
    with pytest.raises(FileError, match=r"field 'wide' .* does not fit the grid"):
        write(tmp_path / "c.las", cloud.with_fields(wide=beyond))


def test_one_colour_alone_is_a_field(tmp_path: Path) -> None:
    write(tmp_path / "a.laz", make_cloud(2, red=np.array([3, 4], np.uint16)))
    assert read(tmp_path / "a.laz")["red"].tolist() == [3, 4]


@pytest.mark.parametrize("name", ["full.laz", "full.copc.laz", "full.las"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    pytest.importorskip("resource")
    rng = np.random.default_rng(0)
    write(tmp_path / "whole.las", PointCloud(rng.uniform(0, 900, (60_000, 3)), {"intensity": rng.integers(0, 9999, 60_000)}))
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)); "  # no file may grow further
        "from pcaug.cli.app import main; sys.argv = ['pcaug', 'convert', *sys.argv[1:]]; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "whole.las", tmp_path / name], capture_output=True, text=True, timeout=120
    )
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert (done.returncode, len(lines)) == (1, 1), done.stderr
    assert lines[0].startswith("pcaug: error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.las"]


def test_extra_bytes_become_wider_where_a_field_did(tmp_path: Path) -> None:
    las = make_las(tmp_path / "a.las", 6, 2)
    las.add_extra_dims([laspy.ExtraBytesParams("amp", "u1", "of it"), laspy.ExtraBytesParams("echo", "2u2")])
    las.write(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las").with_fields(amp=np.array([-12.5, 300]), echo=np.array([1, 70_000]))
    write(tmp_path / "b.las", cloud)
    after = laspy.read(tmp_path / "b.las")
    assert (after["amp"].tolist(), after["echo"].tolist()) == ([-12.5, 300], [1, 70_000])
    assert after.point_format.dimension_by_name("amp").description == "of it"


@pytest.mark.parametrize("wrong", [1000.0, -1000.0, np.nan])
def test_extra_bytes_beyond_their_grid_are_refused(tmp_path: Path, wrong: float) -> None:
    las = make_las(tmp_path / "a.las", 6, 2)
    las.add_extra_dim(laspy.ExtraBytesParams("amp", "i2", "", np.zeros(1), np.full(1, 0.01)))
    las.write(tmp_path / "a.las")
    with pytest.raises(FileError, match=r"field 'amp' .* does not fit the grid"):
        write(tmp_path / "b.las", read(tmp_path / "a.las").with_fields(amp=np.array([1.0, wrong])))
    assert not (tmp_path / "b.las").exists()


def test_classes_are_seen_by_other_programs_whatever_a_cloud_came_from(tmp_path: Path) -> None:
    ids = PointCloud(np.zeros((4, 3)), {"native_label": np.array([6, 200, 300, -1], np.int32)})
    write(tmp_path / "a.las", iter([ids, ids]))
    assert laspy.read(tmp_path / "a.las").classification.tolist() == [6, 200, 0, 0] * 2
    assert read(tmp_path / "a.las")["native_label"].tolist() == [6, 200, 300, -1] * 2
    write(tmp_path / "b.las", read(tmp_path / "a.las").take(slice(0, 4)))  # with an encoding, and ids of ours beside it
    assert laspy.read(tmp_path / "b.las").classification.tolist() == [6, 200, 0, 0]
    assert read(tmp_path / "b.las")["native_label"].tolist() == [6, 200, 300, -1]
    nodes = make_cloud(4, native_label=np.array([1, 2, 3, 4], np.int32))
    write(tmp_path / "c.las", nodes)
    assert laspy.read(tmp_path / "c.las").classification.tolist() == asprs(nodes["label"]).tolist()
    write(tmp_path / "d.las", read(tmp_path / "c.las").take(slice(None)))
    assert laspy.read(tmp_path / "d.las").points.array.tobytes() == laspy.read(tmp_path / "c.las").points.array.tobytes()


@pytest.mark.parametrize("point_format", [1, 6])
def test_classes_of_a_later_cloud_from_elsewhere_are_written_as_the_first_ones(tmp_path: Path, point_format: int) -> None:
    before = make_las(tmp_path / "a.las", point_format, 3)
    first = read(tmp_path / "a.las")
    from_las = first.with_fields(**dict.fromkeys(set(first.fields) - {"native_label"}))  # type: ignore[arg-type]
    from_elsewhere = PointCloud(first.xyz, {"native_label": np.array([6, 31, 200], np.int32)})
    write(tmp_path / "b.las", iter([from_las, from_elsewhere]))
    assert laspy.read(tmp_path / "b.las").classification.tolist() == [*before.classification, 6, 31, 200]


@pytest.mark.parametrize("suffix", [".las", ".copc.laz"])
@pytest.mark.parametrize("own", [None, "EPSG:25832"])
@pytest.mark.parametrize(("version", "point_format"), [("1.2", 1), ("1.4", 1), ("1.4", 6)])
def test_the_crs_of_a_cloud_stands_in_its_file(
    tmp_path: Path, version: str, point_format: int, own: str | None, suffix: str
) -> None:
    make_las(tmp_path / "a.las", point_format, version=version, crs=own)
    cloud = read(tmp_path / "a.las")
    assert bool(cloud.crs) == bool(own)
    for crs in ("EPSG:2154", "+proj=tmerc +lat_0=48 +lon_0=2 +x_0=100 +ellps=GRS80 +units=m +no_defs"):
        write(tmp_path / f"b{suffix}", replace(cloud, crs=crs))
        assert laspy.read(tmp_path / f"b{suffix}").header.parse_crs() == CRS.from_user_input(crs)
        assert CRS.from_user_input(read(tmp_path / f"b{suffix}").crs) == CRS.from_user_input(crs)


@pytest.mark.parametrize("suffix", [".las", ".copc.laz"])
def test_a_crs_in_the_extended_records_is_kept_and_replaced(tmp_path: Path, suffix: str) -> None:
    las = make_las(tmp_path / "a.las", 6)
    text = CRS.from_epsg(25832).to_wkt()
    las.evlrs = laspy.vlrs.vlrlist.VLRList(
        [laspy.VLR("LASF_Projection", 2112, "", text.encode() + b"\0"), laspy.VLR("someone", 9, "big", b"x")]
    )
    las.header.global_encoding.wkt = True
    las.write(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las")
    for crs, records in ((cloud.crs, 2), ("EPSG:2154", 1)):
        write(tmp_path / f"b{suffix}", replace(cloud, crs=crs))
        after = read(tmp_path / f"b{suffix}")
        assert CRS.from_user_input(after.crs) == CRS.from_user_input(crs)
        assert len(after.source.encoding["evlrs"]) == records


def test_records_of_a_crs_that_stays_are_not_written_anew(tmp_path: Path) -> None:
    las = make_las(tmp_path / "a.las", 1, version="1.2", crs="EPSG:2154")
    write(tmp_path / "b.las", read(tmp_path / "a.las").take(slice(0, 5)))
    after = laspy.read(tmp_path / "b.las").header
    assert [v.record_data_bytes() for v in after.vlrs] == [v.record_data_bytes() for v in las.header.vlrs]


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("a" * 33, np.zeros(3), "name of 33 bytes, LAS takes 32"),
        ("ü" * 17, np.zeros(3), "name of 34 bytes, LAS takes 32"),
        ("", np.zeros(3), "name of 0 bytes"),
        ("wide", np.zeros((3, 4)), "three numbers a point"),
        ("wide", np.zeros((3, 4), np.uint16), "three numbers a point"),
        ("deep", np.zeros((3, 2, 2)), r"a field is \(N,\) or \(N, k\) numbers"),
        ("none", np.zeros((3, 0)), r"a field is \(N,\) or \(N, k\) numbers"),
        ("words", np.array(["a", "b", "c"]), r"a field is \(N,\) or \(N, k\) numbers"),
        ("intensity", np.zeros((3, 2)), "is no intensity of LAS"),
        ("rgb", np.zeros((3, 4), np.uint8), "is no rgb of LAS"),
    ],
)
def test_a_field_that_las_cannot_hold_is_refused_by_name(tmp_path: Path, name: str, values: np.ndarray, message: str) -> None:
    with pytest.raises(PcaugError, match=f"field '{name}' .*{message}"):
        write(tmp_path / "a.las", make_cloud(3, labelled=False, intensity=np.zeros(3)).with_fields(**{name: values}))
    assert not list(tmp_path.iterdir())


def test_the_widest_extra_bytes_come_back(tmp_path: Path) -> None:
    fields = {"a" * 32: np.arange(3.0), "ü" * 16: np.zeros((3, 3)), "raw": np.arange(21, dtype=np.uint8).reshape(3, 7)}
    write(tmp_path / "a.las", make_cloud(3, **fields, one=np.arange(3.0)[:, None]))
    back = read(tmp_path / "a.las")
    for name, values in fields.items():
        np.testing.assert_array_equal(back[name], values)
    assert back["one"].tolist() == [0, 1, 2]


def with_keys(path: Path, *keys: tuple[int, int], z: float = 320.0) -> Path:
    """LAS 1.2 with the CRS in GeoTIFF keys."""
    header = laspy.LasHeader(version="1.2", point_format=3)
    header.scales = [0.01] * 3
    body = struct.pack("<4H", 1, 1, 0, len(keys)) + b"".join(struct.pack("<4H", key, 0, 1, value) for key, value in keys)
    header.vlrs.append(laspy.VLR("LASF_Projection", 34735, "keys", body))
    las = laspy.LasData(header)
    las.x, las.y, las.z = np.full(3, 500_000.0), np.full(3, 4_000_000.0), np.full(3, z)
    las.write(path)
    return path


def test_a_projection_of_the_users_own_is_no_crs_rather_than_degrees(tmp_path: Path) -> None:
    own = with_keys(tmp_path / "own.las", (1024, 1), (2048, 4269), (3072, 32767), (3076, 9003))
    assert read(own).crs is None


@pytest.mark.parametrize(
    ("keys", "metres"),
    [
        (((3072, 26915), (3076, 9001), (4096, 5703), (4099, 9003)), 320 * 1200 / 3937),  # a plan in metres, heights in US feet
        (((3072, 26915), (4096, 5103), (4099, 9002)), 320 * 0.3048),  # by an old code for the datum
        (((3072, 26915), (4096, 6360)), 320 * 1200 / 3937),  # by the vertical CRS alone
        (((3072, 26915), (4096, 5703), (4099, 9001)), 320),
        (((3072, 26915),), 320),
        (((3072, 2278), (3076, 9003), (4099, 9001)), 320),  # a plan in feet, heights in metres
        (((3072, 2278), (3076, 9003)), 320 * 1200 / 3937),
    ],
)
def test_heights_of_geotiff_keys_are_in_their_own_unit(tmp_path: Path, keys: tuple[tuple[int, int], ...], metres: float) -> None:
    cloud = read(with_keys(tmp_path / "a.las", (1024, 1), *keys))
    metric = to_metres(cloud)
    np.testing.assert_allclose(metric.xyz[:, 2], metres, rtol=1e-9)
    write(tmp_path / "b.las", metric)
    np.testing.assert_allclose(to_metres(read(tmp_path / "b.las")).xyz[:, 2], metres, atol=0.001)
    write(tmp_path / "c.las", cloud)
    assert read(tmp_path / "c.las").crs == cloud.crs


def test_extra_bytes_named_like_our_fields_leave_these_alone(tmp_path: Path) -> None:
    header = laspy.LasHeader(version="1.4", point_format=7)
    taken = {"time": 7.0, "native_label": 77, "rgb": 5}
    header.add_extra_dims([laspy.ExtraBytesParams(name, "f4" if name == "time" else "i4") for name in taken])
    las = laspy.LasData(header)
    las.x = las.y = las.z = np.arange(4.0)
    las.gps_time, las.classification, las.red = np.arange(4) + 0.5, np.full(4, 2), np.full(4, 9)
    for name, value in taken.items():
        las[name] = np.full(4, value)
    las.write(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las")
    for _ in range(2):
        assert cloud["time"].tolist() == [0.5, 1.5, 2.5, 3.5]
        assert set(cloud["native_label"]) == {2}
        assert set(cloud["rgb"][:, 0]) == {9}
        assert {name: cloud[f"{name}_"][0] for name in taken} == taken
        assert not [name for name in cloud.fields if name.endswith("__")]
        write(tmp_path / "b.las", cloud.moved(np.eye(4)))
        cloud = read(tmp_path / "b.las")
    assert set(laspy.read(tmp_path / "b.las").classification) == {2}


def make_las_with_labels(path: Path) -> None:
    """A file of a producer whose extra bytes are called like ids of ours."""
    las = make_las(path, 6, 4)
    las.add_extra_dims([laspy.ExtraBytesParams("label", "i2", "by hand", np.zeros(1), np.full(1, 0.5)),
                        laspy.ExtraBytesParams("native_label", "u1", "of the maker")])  # fmt: skip
    las["label"], las["native_label"] = [0.5, 1, 1.5, 2], [9, 8, 7, 6]
    las.write(path)


@pytest.mark.parametrize("suffix", [".las", ".copc.laz"])
def test_a_producers_labels_keep_their_names(tmp_path: Path, suffix: str) -> None:
    make_las_with_labels(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las")
    classes = laspy.read(tmp_path / "a.las").classification.tolist()
    for kept in (cloud, cloud.take(slice(0, 3)), cloud.with_fields(prediction=np.arange(4, dtype=np.uint16))):
        write(tmp_path / f"b{suffix}", kept)
        after, back = laspy.read(tmp_path / f"b{suffix}"), read(tmp_path / f"b{suffix}")
        label, native = (after.point_format.dimension_by_name(name) for name in ("label", "native_label"))
        assert (label.description, label.scales.tolist(), native.description) == ("by hand", [0.5], "of the maker")
        assert sorted(after["label"]) == [0.5, 1, 1.5, 2][: len(kept)]
        assert sorted(after["native_label"], reverse=True) == [9, 8, 7, 6][: len(kept)]
        assert sorted(after.classification) == sorted(classes[: len(kept)])
        assert set(back.fields) == set(kept.fields)


@pytest.mark.parametrize("suffix", [".las", ".copc.laz"])
def test_a_card_names_a_producers_label_as_the_file_does(tmp_path: Path, suffix: str) -> None:
    las = make_las(tmp_path / "a.las", 6, 3)
    las.add_extra_dim(laspy.ExtraBytesParams("label", "u2"))
    las["label"] = [3, 1, 2]
    las.write(tmp_path / "a.las")
    write(tmp_path / f"b{suffix}", read(tmp_path / "a.las"))
    cloud = read(tmp_path / f"b{suffix}", label="label")
    assert sorted(cloud["native_label"].tolist()) == [1, 2, 3]
    assert sorted(cloud["classification"]) == sorted(las.classification)
    with pytest.raises(LabelError, match="has no dimension 'labels'"):
        read(tmp_path / f"b{suffix}", label="labels")


def test_a_producers_labels_make_room_for_ours(tmp_path: Path) -> None:
    make_las_with_labels(tmp_path / "a.las")
    cloud = read(tmp_path / "a.las", label="user_data")
    nodes = make_cloud(4)
    cloud = cloud.with_fields(nodes.taxonomy, label=nodes["label"])
    for _ in range(2):
        write(tmp_path / "b.las", cloud)
        cloud = read(tmp_path / "b.las").take(slice(None))
        assert cloud["label"].tolist() == nodes["label"].tolist()
        assert cloud["native_label"].tolist() == cloud["user_data"].tolist()
        assert (cloud["label_"].tolist(), cloud["native_label_"].tolist()) == ([0.5, 1, 1.5, 2], [9, 8, 7, 6])


def test_what_a_move_to_another_crs_does_not_touch_stays_in_the_header(tmp_path: Path) -> None:
    las = make_las(tmp_path / "a.las", 6, crs="EPSG:32631")
    las.header.global_encoding.gps_time_type = laspy.header.GpsTimeType.STANDARD
    las.header.system_identifier, las.header.file_source_id = "plane", 9
    las.write(tmp_path / "a.las")
    write(tmp_path / "b.las", reprojected(read(tmp_path / "a.las"), "EPSG:25832"))
    header = laspy.read(tmp_path / "b.las").header
    assert header.global_encoding.gps_time_type == laspy.header.GpsTimeType.STANDARD
    assert (header.system_identifier, header.file_source_id) == ("plane", 9)
    assert header.parse_crs().to_epsg() == 25832


@pytest.mark.parametrize("kind", [np.float32, np.int16])
def test_intensities_below_zero_are_cut_with_a_word(tmp_path: Path, kind: type) -> None:
    cloud = make_cloud(4, intensity=np.array([-16, -3, 0, 0], kind))
    with pytest.warns(UserWarning, match=r"a.las: what of intensity lies beyond the 16 bits"):
        write(tmp_path / "a.las", cloud)


@pytest.mark.parametrize(
    "wrong",
    [
        {"point_format": 77},
        {"scales": [0, 0, 0]},
        {"vlrs": [{"user_id": 1}]},
        {"version": "9.9"},
        {"global_encoding": "zz"},
    ],
)
def test_an_encoding_of_no_header_is_one_line(tmp_path: Path, wrong: dict[str, object]) -> None:
    encoding = {"format": "las", "version": "1.4", "point_format": 6, "scales": [0.01] * 3, "vlrs": []} | wrong
    with pytest.raises(FileError, match="describes no LAS header"):
        write(tmp_path / "a.las", replace(make_cloud(4), source=Source(encoding=encoding)))
