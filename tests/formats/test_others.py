"""PCD, E57, COPC, NumPy and HDF5 files, against the libraries that others read and write them with."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import laspy
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import assert_same_cloud, make_cloud

from pcaug import catalogue, exchange, formats, iter_chunks, read, write
from pcaug.cloud import PointCloud, Source
from pcaug.errors import FileError, LabelError, MissingExtra, PcaugError
from pcaug.formats import arrays, rows


def coloured(n: int = 50, kind: Any = np.uint8) -> PointCloud:
    rng = np.random.default_rng(1)
    colours = rng.integers(0, np.iinfo(kind).max, (n, 3)).astype(kind)
    return make_cloud(n, rgb=colours, normal=rng.normal(size=(n, 3)).astype(np.float32), big=np.arange(n) + 2**60)


@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("n", [0, 1, 50])
def test_pcd_in_its_three_encodings(tmp_path: Path, data: str, kind: Any, n: int) -> None:
    cloud = coloured(n, kind)
    write(tmp_path / "a.pcd", iter([cloud.take(slice(0, n // 2)), cloud.take(slice(n // 2, None))]), data=data)
    back = read(tmp_path / "a.pcd")
    assert_same_cloud(back, cloud)
    assert back.taxonomy is cloud.taxonomy


@pytest.mark.parametrize("data", ["ascii", "binary", "binary_compressed"])
def test_pcd_and_open3d_understand_each_other(tmp_path: Path, data: str) -> None:
    from pcaug.sensor.engine import open3d

    o3d = open3d()
    cloud = coloured().with_fields(big=None)
    write(tmp_path / "a.pcd", cloud, data=data)
    there = o3d.t.io.read_point_cloud(str(tmp_path / "a.pcd"))
    np.testing.assert_array_equal(there.point.positions.numpy(), cloud.xyz)
    np.testing.assert_array_equal(there.point.colors.numpy(), cloud["rgb"])
    np.testing.assert_array_equal(there.point["label"].numpy()[:, 0], cloud["label"])
    options = {"write_ascii": data == "ascii", "compressed": data == "binary_compressed"}
    o3d.t.io.write_point_cloud(str(tmp_path / "b.pcd"), there, **options)
    back = read(tmp_path / "b.pcd")
    np.testing.assert_allclose(back.xyz, cloud.xyz, rtol=0, atol=1e-6 if data == "ascii" else 0)
    np.testing.assert_array_equal(back["rgb"], cloud["rgb"])
    np.testing.assert_array_equal(back["native_label"], cloud["label"])  # a label of others is not in our taxonomy


def test_pcd_as_pcl_writes_it(tmp_path: Path) -> None:
    head = ("# .PCD v.7 - Point Cloud Data file format\nVERSION .7\nFIELDS x y z _ rgb\nSIZE 4 4 4 1 4\nTYPE F F F U F\n"
            "COUNT 1 1 1 4 1\nWIDTH 2\nHEIGHT 2\nVIEWPOINT 0 0 0 1 0 0 0\nPOINTS 4\nDATA binary\n")  # fmt: skip
    rows = np.zeros(4, [("xyz", "<f4", (3,)), ("_", "u1", (4,)), ("rgb", "<u4")])
    rows["xyz"] = np.arange(12).reshape(4, 3)
    rows["xyz"][1] = np.nan  # a beam that met nothing
    rows["rgb"] = 0x00102030
    (tmp_path / "a.pcd").write_bytes(head.encode() + rows.tobytes())
    cloud = read(tmp_path / "a.pcd")
    assert cloud.xyz[:, 0].tolist() == [0, 6, 9]
    assert cloud["rgb"].tolist() == [[0x10, 0x20, 0x30]] * 3
    assert set(cloud.fields) == {"rgb"}


def test_pcd_keeps_the_alpha_of_a_packed_colour(tmp_path: Path) -> None:
    head = ("VERSION .7\nFIELDS x y z rgba\nSIZE 4 4 4 4\nTYPE F F F U\nCOUNT 1 1 1 1\nWIDTH 1\nHEIGHT 1\n"
            "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 1\nDATA binary\n")  # fmt: skip
    (tmp_path / "a.pcd").write_bytes(head.encode() + np.float32([1, 2, 3]).tobytes() + np.uint32(0x80FF1020).tobytes())
    cloud = read(tmp_path / "a.pcd")
    assert {name: values.tolist() for name, values in cloud.fields.items()} == {"rgb": [[0xFF, 0x10, 0x20]], "alpha": [0x80]}
    write(tmp_path / "b.pcd", cloud)
    assert_same_cloud(read(tmp_path / "b.pcd"), cloud)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"POINTS 50", b"POINTS 4000000000", "truncated"),
        (b"COUNT 1", b"COUNT 99999999", "no PCD type"),
        (b"SIZE 8", b"SIZE 3", "no PCD type"),
        (b"FIELDS x", b"FIELDS", "differ in length"),
        (b"DATA binary", b"DATA pigeon", "not a PCD header"),
        (b"POINTS 50", b"POINTS -5", "not a PCD header"),
    ],
)
def test_pcd_headers_that_lie(tmp_path: Path, old: bytes, new: bytes, message: str) -> None:
    write(tmp_path / "a.pcd", make_cloud(50))
    raw = (tmp_path / "a.pcd").read_bytes()
    assert old in raw
    (tmp_path / "b.pcd").write_bytes(raw.replace(old, new, 1))
    with pytest.raises(FileError, match=message):
        read(tmp_path / "b.pcd")


@pytest.mark.parametrize(
    ("kind", "wrong"), [("U2", "70000"), ("U2", "-1"), ("I4", "2.7"), ("I4", "nan"), ("U1", "1e9"), ("I8", "2.5")]
)
def test_a_number_that_its_field_of_an_ascii_pcd_cannot_hold_is_refused(tmp_path: Path, kind: str, wrong: str) -> None:
    head = (f"VERSION .7\nFIELDS x y z ring\nSIZE 4 4 4 {kind[1]}\nTYPE F F F {kind[0]}\nCOUNT 1 1 1 1\nWIDTH 2\nHEIGHT 1\n"
            "VIEWPOINT 0 0 0 1 0 0 0\nPOINTS 2\nDATA ascii\n1 2 3 7\n")  # fmt: skip
    (tmp_path / "a.pcd").write_text(f"{head}4 5 6 9\n")
    assert read(tmp_path / "a.pcd")["ring"].tolist() == [7, 9]
    (tmp_path / "a.pcd").write_text(f"{head}4 5 6 {wrong}\n")
    with pytest.raises(FileError, match=f"has '?{float(wrong):.15g}'? in "):
        read(tmp_path / "a.pcd")


def test_e57_is_read_by_pye57_and_reads_its_scans_and_poses(tmp_path: Path) -> None:
    import pye57

    cloud = make_cloud(40, rgb=np.arange(120, dtype=np.uint8).reshape(40, 3))
    write(tmp_path / "a.e57", cloud)
    with pye57.E57(str(tmp_path / "a.e57")) as file:
        seen = file.read_scan(0, intensity=True, colors=True, ignore_missing_fields=True)
    np.testing.assert_array_equal(seen["cartesianX"], cloud.xyz[:, 0])
    np.testing.assert_array_equal(seen["intensity"], cloud["intensity"])
    np.testing.assert_array_equal(seen["colorGreen"], cloud["rgb"][:, 1])

    xyz, turn = cloud.xyz.astype(np.float32), np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])  # a quarter turn about z
    invalid = (np.arange(40) % 4 == 0).astype(np.int8)
    columns = {f"cartesian{axis}": xyz[:, i] for i, axis in enumerate("XYZ")} | {"cartesianInvalidState": invalid}
    with pye57.E57(str(tmp_path / "b.e57"), mode="w") as file:
        file.write_scan_raw(columns, rotation=turn, translation=np.array([100.0, 200, 300]))
        file.write_scan_raw(columns | {"intensity": cloud["intensity"]})
    with pytest.warns(UserWarning, match="field 'intensity' of scan 1, which not all scans have, is left out"):
        back = read(tmp_path / "b.e57")
    kept = xyz[invalid == 0].astype(float)
    expected = np.stack([100 - kept[:, 1], 200 + kept[:, 0], 300 + kept[:, 2]], axis=1)
    np.testing.assert_allclose(back.xyz[:30], expected, atol=1e-4)
    np.testing.assert_allclose(back.xyz[30:], kept, atol=1e-5)
    assert back["scan"].tolist() == [0] * 30 + [1] * 30


def write_e57(path: Path, *scans: dict[str, tuple[Any, int, int]]) -> None:
    """Scans of whole numbers as other programs write them, each element with its least and largest value; x, y and z are 0."""
    from pye57 import libe57

    image = libe57.ImageFile(str(path), "w")
    image.extensionsAdd("", libe57.E57_V1_0_URI)
    data = libe57.VectorNode(image, True)
    for name, node in (("formatName", libe57.StringNode(image, "ASTM E57 3D Imaging Data File")), ("data3D", data)):
        image.root().set(name, node)
    for scan in scans:
        node, kinds, buffers = libe57.StructureNode(image), libe57.StructureNode(image), libe57.VectorSourceDestBuffer()
        data.append(node)
        count = len(next(iter(scan.values()))[0])
        arrays = {f"cartesian{axis}": np.zeros(count) for axis in "XYZ"}
        arrays |= {name: np.zeros(count, np.longlong) + values for name, (values, _, _) in scan.items()}
        for name, values in arrays.items():
            kinds.set(
                name, libe57.IntegerNode(image, scan[name][1], *scan[name][1:]) if name in scan else libe57.FloatNode(image, 0.0)
            )
            buffers.append(libe57.SourceDestBuffer(image, name, values, count, True, True))
        node.set("guid", libe57.StringNode(image, "{}"))
        node.set("points", points := libe57.CompressedVectorNode(image, kinds, libe57.VectorNode(image, True)))
        writer = points.writer(buffers)
        writer.write(count)
        writer.close()
    image.close()


def test_e57_integers_of_all_scans_are_of_one_type_that_holds_them(tmp_path: Path) -> None:
    small = {"colorRed": ([1, 2], 0, 255), "colorGreen": ([3, 4], 0, 255), "colorBlue": ([5, 6], 0, 255)}
    large = {name: (np.array(values) * 10_000, 0, 65535) for name, (values, _, _) in small.items()}
    small["rowIndex"], large["rowIndex"] = ([7, 8], 0, 200), ([-7, 6000], -7, 6000)
    write_e57(tmp_path / "a.e57", small, large)
    assert len({chunk["rgb"].dtype for chunk in iter_chunks(tmp_path / "a.e57", 2)}) == 1
    cloud = read(tmp_path / "a.e57")
    assert cloud["rgb"].tolist() == [[1, 3, 5], [2, 4, 6], [10_000, 30_000, 50_000], [20_000, 40_000, 60_000]]
    assert cloud["row"].tolist() == [7, 8, -7, 6000]


def test_e57_counts_returns_from_zero(tmp_path: Path) -> None:
    import pye57

    write_e57(tmp_path / "a.e57", {"returnIndex": ([0, 1, 255], 0, 255), "returnCount": ([1, 2, 255], 0, 255)})
    cloud = read(tmp_path / "a.e57")
    assert (cloud["return_number"].tolist(), cloud["number_of_returns"].tolist()) == ([1, 2, 256], [1, 2, 255])
    for kind in (np.uint8, np.int64, np.float32):
        cloud = make_cloud(3, return_number=np.array([0, 1, 2], kind))  # 0: not known
        write(tmp_path / "b.e57", cloud)
        assert_same_cloud(read(tmp_path / "b.e57"), cloud)
        with pye57.E57(str(tmp_path / "b.e57")) as file:
            found, targets = np.zeros(3), pye57.libe57.VectorSourceDestBuffer()
            targets.append(pye57.libe57.SourceDestBuffer(file.image_file, "returnIndex", found, 3, True, True))
            reader = file.get_header(0).points.reader(targets)
            reader.read()
            reader.close()
        assert found.tolist() == [-1, 0, 1]


def test_e57_says_which_extra_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pye57", None)
    with pytest.raises(MissingExtra, match=r"pip install 'pcaug\[formats\]'"):
        write(tmp_path / "a.e57", make_cloud(3))


def test_copc_holds_the_same_points_and_gives_boxes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    n = 60_000
    xyz = np.column_stack([rng.uniform(0, 200, n), rng.uniform(0, 100, n), rng.uniform(0, 5, n)]) + [650_000, 6_860_000, 0]
    cloud = PointCloud(xyz, {"native_label": rng.integers(0, 200, n).astype(np.int32), "order": np.arange(n, dtype=np.uint32)})
    write(tmp_path / "a.las", cloud)
    write(tmp_path / "a.copc.laz", iter_chunks(tmp_path / "a.las", 7000))
    cloud = read(tmp_path / "a.las")
    back = read(tmp_path / "a.copc.laz")
    back = back.take(np.argsort(back["order"]))
    assert_same_cloud(back, cloud)
    low, high = np.array([650_050, 6_860_020.0]), np.array([650_070, 6_860_040.0])
    box = read(tmp_path / "a.copc.laz", bounds=(low, high))
    inside = ((cloud.xyz[:, :2] >= low) & (cloud.xyz[:, :2] <= high)).all(axis=1)
    assert sorted(box["order"]) == sorted(cloud["order"][inside])
    coarse = read(tmp_path / "a.copc.laz", resolution=5.0)
    assert 100 < len(coarse) < n
    with laspy.CopcReader.open(str(tmp_path / "a.copc.laz")) as reader:
        assert reader.query().array.size == n


def test_copc_is_read_by_copclib(tmp_path: Path) -> None:
    copclib = pytest.importorskip("copclib")
    rng = np.random.default_rng(0)
    cloud = make_cloud(30_000, rgb=rng.integers(0, 65536, (30_000, 3)).astype(np.uint16))
    write(tmp_path / "a.copc.laz", cloud)
    reader = copclib.FileReader(str(tmp_path / "a.copc.laz"))
    nodes = reader.GetAllNodes()
    assert sum(node.point_count for node in nodes) == 30_000
    info, step = reader.copc_config.copc_info, 0.001
    for node in nodes:
        edge = 2 * info.halfsize / 2**node.key.d
        corner = np.array([info.center_x, info.center_y, info.center_z]) - info.halfsize
        low = corner + np.array([node.key.x, node.key.y, node.key.z]) * edge
        points = reader.GetPoints(node)
        xyz = np.stack([points.x, points.y, points.z], axis=1)
        assert (xyz >= low - step).all()
        assert (xyz <= low + edge + step).all()


@pytest.mark.parametrize("n", [0, 1])
def test_a_tiny_copc(tmp_path: Path, n: int) -> None:
    write(tmp_path / "a.copc.laz", make_cloud(n))
    assert len(read(tmp_path / "a.copc.laz")) == n


def test_npy_and_npz_of_others(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    xyz, labels = rng.random((9, 3), np.float32), rng.integers(0, 5, 9)
    np.save(tmp_path / "a.npy", np.column_stack([xyz, labels]))
    cloud = read(tmp_path / "a.npy", columns=["x", "y", "z", "label"])
    np.testing.assert_array_equal(cloud.xyz, xyz)
    np.testing.assert_array_equal(cloud["native_label"], labels)
    with pytest.raises(FileError, match="no names of its columns"):
        read(tmp_path / "a.npy")
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "a.npz", points=np.asfortranarray(xyz), labels=labels[:, None], names=np.array(["car", "tree"]))
        with pytest.warns(UserWarning, match="array 'names'"):
            cloud = read(tmp_path / "a.npz")
        np.testing.assert_array_equal(cloud.xyz, xyz)
        np.testing.assert_array_equal(cloud["native_label"], labels)


def test_files_of_ours_are_plain_arrays_to_numpy_and_h5py(tmp_path: Path) -> None:
    cloud = coloured()
    for suffix in (".npy", ".npz", ".h5"):
        write(tmp_path / f"a{suffix}", cloud)
        assert_same_cloud(read(tmp_path / f"a{suffix}"), cloud)
    table = np.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(table["x"], cloud.xyz[:, 0])
    np.testing.assert_array_equal(table["rgb"], cloud["rgb"])
    with np.load(tmp_path / "a.npz") as archive:
        np.testing.assert_array_equal(archive["xyz"], cloud.xyz)
        np.testing.assert_array_equal(archive["big"], cloud["big"])
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["xyz"][:], cloud.xyz)
        np.testing.assert_array_equal(file["label"][:], cloud["label"])


def test_hdf5_of_others(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        rows = np.zeros(4, [("X", "f4"), ("Y", "f4"), ("Z", "f4"), ("Classification", "u1")])
        rows["X"], rows["Classification"] = np.arange(4), [1, 2, 3, 4]
        file["scans/one"] = rows
        file["scans/about"] = "a text"
    with pytest.warns(UserWarning, match="group 'scans' is left out"), pytest.raises(FileError, match="no columns x, y and z"):
        read(tmp_path / "a.h5")
    with pytest.warns(UserWarning, match="dataset 'about'"):
        cloud = read(tmp_path / "a.h5", group="scans")
    assert cloud["native_label"].tolist() == [1, 2, 3, 4]
    assert cloud.xyz[:, 0].tolist() == [0, 1, 2, 3]


def test_hdf5_datasets_beside_a_compound_one_are_joined_or_left_out_with_a_word(tmp_path: Path) -> None:
    rows = np.zeros(4, [("x", "f4"), ("y", "f4"), ("z", "f4"), ("intensity", "u2"), ("name", "S3")])
    rows["x"], rows["intensity"] = np.arange(4), np.arange(4) * 10
    boxes = np.zeros(2, [("x", "f4"), ("y", "f4"), ("z", "f4")])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["points"], file["labels"], file["intensity"] = rows, np.array([1, 2, 3, 4]), np.ones(4)
        file["position"], file["boxes"] = np.zeros(3), boxes
    with pytest.warns(UserWarning, match="is left out") as said:
        first, last = iter_chunks(tmp_path / "a.h5", 3)
    assert sorted(str(word.message).split(": ")[1] for word in said) == [
        "dataset 'boxes' of shape (2,) is left out",
        "dataset 'intensity' of shape (4,) is left out",
        "dataset 'position' of shape (3,) is left out",
        "part 'name' of dataset 'points' is left out",
    ]
    assert set(first.fields) == {"native_label", "intensity"}
    assert (first["native_label"].tolist(), last["native_label"].tolist()) == ([1, 2, 3], [4])
    assert (first["intensity"].tolist(), last["intensity"].tolist()) == ([0, 10, 20], [30])


@pytest.mark.parametrize("parts", [("fx", "fy"), ("x", "y", "z")])
def test_hdf5_points_are_not_hidden_by_a_small_compound_dataset(tmp_path: Path, parts: tuple[str, ...]) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["xyz"], file["label"] = np.ones((4, 3)), np.array([1, 2, 3, 4])
        file["calibration"] = np.zeros(2, [(part, "f8") for part in parts])
    with pytest.warns(UserWarning, match=r"dataset 'calibration' of shape \(2,\) is left out"):
        cloud = read(tmp_path / "a.h5")
    assert cloud.xyz.tolist() == [[1, 1, 1]] * 4
    assert cloud["native_label"].tolist() == [1, 2, 3, 4]


def test_hdf5_does_not_leave_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(bytes(72))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("xyz", (3, 3), "f8", external=[(str(tmp_path / "secret"), 0, 72)])
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["xyz"] = h5py.ExternalLink("a.h5", "xyz")
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file.create_dataset("xyz", (10**12, 3), "f8", chunks=(1024, 3))
    with pytest.raises(FileError, match="stored in other files"):
        read(tmp_path / "a.h5")
    with pytest.warns(UserWarning, match="link 'xyz'"), pytest.raises(FileError, match="no columns x, y and z"):
        read(tmp_path / "b.h5")
    with pytest.raises(FileError, match="stores less than"):
        read(tmp_path / "c.h5")


def test_arrays_that_hold_objects_are_not_unpickled(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([object()]), allow_pickle=True)
    np.savez(tmp_path / "a.npz", xyz=np.array([[object()] * 3]))
    for name in ("a.npy", "a.npz"):
        with pytest.raises(FileError, match="objects"):
            read(tmp_path / name)


def test_an_array_stored_by_columns_that_shrank_too_well_is_not_held_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, hostile = np.random.default_rng(0).uniform(0, 100, (30_000, 3)), np.zeros((30_000, 3))
    for name, xyz in (("honest", honest), ("hostile", hostile)):
        np.savez_compressed(tmp_path / f"{name}.npz", xyz=np.asfortranarray(xyz))
    assert len(read(tmp_path / "hostile.npz")) == 30_000  # small: nobody minds
    monkeypatch.setattr(arrays, "WHOLE", 100_000)
    np.testing.assert_array_equal(read(tmp_path / "honest.npz").xyz, honest)
    with pytest.raises(FileError, match=r"'xyz\.npy' is stored column by column, .*numpy\.ascontiguousarray"):
        read(tmp_path / "hostile.npz")
    np.savez_compressed(tmp_path / "hostile.npz", xyz=hostile)
    assert len(read(tmp_path / "hostile.npz")) == 30_000  # row by row, it is read a chunk at a time


def test_ply_lists_are_left_out_with_a_word(tmp_path: Path) -> None:
    from plyfile import PlyData, PlyElement

    rows = np.zeros(2, [("x", "f4"), ("y", "f4"), ("z", "f4"), ("neighbours", object), ("label", "u1")])
    rows["neighbours"][:] = [np.array([1, 2], np.int32), np.array([3], np.int32)]
    rows["label"] = [4, 5]
    PlyData([PlyElement.describe(rows, "vertex")]).write(str(tmp_path / "a.ply"))
    with pytest.warns(UserWarning, match="list property 'neighbours'"):
        cloud = read(tmp_path / "a.ply")
    assert set(cloud.fields) == {"native_label"}
    assert cloud["native_label"].tolist() == [4, 5]


@pytest.mark.parametrize(("names", "kept"), [(["camera", "vertex"], 1), (["vertex", "camera"], 0), (["points", "camera"], 0)])
def test_of_two_ply_elements_with_positions_the_vertices_are_the_points(tmp_path: Path, names: list[str], kept: int) -> None:
    from plyfile import PlyData, PlyElement

    rows = np.zeros(3, [("x", "f4"), ("y", "f4"), ("z", "f4")])
    elements = [PlyElement.describe(rows[: i + 1], name) for i, name in enumerate(names)]
    PlyData(elements).write(str(tmp_path / "a.ply"))
    with pytest.warns(UserWarning, match="element 'camera', which has x, y and z as well, is left out"):
        assert len(read(tmp_path / "a.ply")) == kept + 1


def test_a_table_with_a_column_twice_is_refused(tmp_path: Path) -> None:
    values = pa.array([1.0, 2.0])
    pq.write_table(pa.table([values] * 4, names=["x", "y", "z", "z"]), tmp_path / "a.parquet")
    with pytest.raises(FileError, match="has the column 'z' twice"):
        read(tmp_path / "a.parquet")


def test_ids_of_the_dataset_stay_ids_when_cloudcompare_saves_our_ply(tmp_path: Path) -> None:
    from plyfile import PlyData, PlyElement

    kinds = [("x", "f8"), ("y", "f8"), ("z", "f8"), ("scalar_label", "f4"), ("scalar_native_label", "f4")]
    rows = np.array([(1, 2, 3, 12, 6), (4, 5, 6, 40, 2)], kinds)  # which renames all but positions, and makes floats of them
    PlyData([PlyElement.describe(rows, "vertex")]).write(str(tmp_path / "a.ply"))
    cloud = read(tmp_path / "a.ply")
    assert cloud["native_label"].tolist() == [6, 2]
    assert cloud["scalar_label"].tolist() == [12, 40]


def test_what_a_format_cannot_name_is_refused(tmp_path: Path) -> None:
    words = {".pcd": ("two words", "höhe"), ".e57": ("two words",), ".ply": ("two words", "höhe", ""),
             ".npy": ("Δz", ""), ".h5": ("a/b", "/a", ".", ""),
             ".csv": ("two words", "a,b", "a;b", 'a"b', "#a", "/a", "", "0", "inf", "NaN", "1e5")}  # fmt: skip
    for suffix, name in ((suffix, name) for suffix, names in words.items() for name in names):
        with pytest.raises(PcaugError, match=f"field {name!r}"):
            write(tmp_path / f"a{suffix}", make_cloud(3, **{name: np.zeros(3)}))
    for suffix in (".ply", ".npy", ".npz", ".h5", ".parquet", ".pcd", ".e57", ".txt"):
        for name in ("x", "xyz"):
            with pytest.raises(PcaugError, match=f"field {name!r} needs columns that are taken"):
                write(tmp_path / f"a{suffix}", make_cloud(3, **{name: np.zeros(3)}))
    assert not list(tmp_path.iterdir())


def test_a_name_that_a_text_file_can_hold_comes_back_with_its_type(tmp_path: Path) -> None:
    cloud = make_cloud(3, **{"höhe": np.array([1, 2, 3], np.uint8), "a/b#c": np.arange(3.0)})
    write(tmp_path / "a.csv", cloud)
    assert_same_cloud(read(tmp_path / "a.csv"), cloud)
    (tmp_path / "b.csv").write_bytes("x,y,z,höhe\n1,2,3,4\n".encode("latin-1"))
    assert read(tmp_path / "b.csv")["höhe"].tolist() == [4]


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".csv", ".e57", ".parquet", ".npy", ".npz", ".h5"])
def test_colours_and_normals_of_other_widths_stay_one_field(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(0)
    cloud = make_cloud(5, rgb=rng.integers(0, 256, (5, 4)).astype(np.uint8), normal=rng.random((5, 2), np.float32))
    write(tmp_path / f"a{suffix}", cloud)
    assert_same_cloud(read(tmp_path / f"a{suffix}"), cloud)


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".csv", ".e57", ".parquet", ".npy", ".npz", ".h5"])
@pytest.mark.parametrize("names", ["X Y Z", "XYZ Points", "r g b", "R G b", "red green blue", "Green rgb", "nx ny nz", "rgba"])
def test_fields_that_other_programs_call_like_ours_come_back_from_our_files(tmp_path: Path, suffix: str, names: str) -> None:
    fields = {name: np.arange(5, dtype=np.uint32) + 50 * i for i, name in enumerate(names.split())}
    if "rgb" in fields:
        fields["rgb"] = np.arange(15, dtype=np.uint8).reshape(5, 3)
    cloud = make_cloud(5, **fields)
    write(tmp_path / f"a{suffix}", cloud)
    assert_same_cloud(read(tmp_path / f"a{suffix}"), cloud)


def test_the_colours_of_earlier_files_of_ours_are_one_field(tmp_path: Path) -> None:
    cloud = coloured().with_fields(big=None)
    for name in ("a.ply", "a.pcd", "a.csv"):
        write(tmp_path / name, cloud)
        raw = (tmp_path / name).read_bytes()
        assert b', "known": ["rgb", "normal"]' in raw
        (tmp_path / name).write_bytes(raw.replace(b', "known": ["rgb", "normal"]', b""))
        assert_same_cloud(read(tmp_path / name), cloud)


@pytest.mark.parametrize("suffix", [".ply", ".pcd", ".csv", ".parquet", ".npz", ".h5", ".las"])
@pytest.mark.parametrize("wrong", [7777, 99])
def test_labels_that_are_no_classes_are_refused(tmp_path: Path, suffix: str, wrong: int) -> None:
    labels = np.array([0, 255, wrong])
    cloud = make_cloud(3, labelled=False).with_fields(catalogue.taxonomy(), label=labels)
    formats.FORMATS[formats.sniff(path := tmp_path / f"a{suffix}")].write(
        path, iter([cloud])
    )  # past the check of what is written
    with pytest.raises(FileError, match="has labels outside its taxonomy"):
        read(path)


def test_labels_that_are_no_whole_numbers_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.npz", make_cloud(3))
    rows = dict(np.load(tmp_path / "a.npz"))
    np.savez(tmp_path / "a.npz", **rows | {"label": np.array([0, 1, 2.5])})
    with pytest.raises(FileError, match="has labels outside its taxonomy"):
        read(tmp_path / "a.npz")
    with pytest.raises(LabelError, match=r"field 'label' has shape \(3,\) and type float64, made, labels are \(N,\) ids"):
        make_cloud(3, label=np.array([0, 1, 2.5]))


@pytest.mark.parametrize("said", [{"evil": 1}, {"unit": "a", "file": 1}, ["a"], None])
def test_a_source_of_a_table_is_taken_by_its_known_parts(said: Any) -> None:
    table = exchange.to_arrow(make_cloud(3))
    meta = {**json.loads(table.schema.metadata[b"pcaug"]), "source": said}
    table = table.replace_schema_metadata({b"pcaug": json.dumps(meta).encode()})
    if said == {"evil": 1}:
        assert exchange.from_arrow(table).source == Source()
    else:
        with pytest.raises(FileError, match="where it comes from"):
            exchange.from_arrow(table)


@pytest.mark.parametrize("said", [{"types": 3}, {"types": {"x": []}}, {"vectors": {"a": float("inf")}}])
def test_a_damaged_line_of_a_text_file_is_an_error_of_ours(tmp_path: Path, said: Any) -> None:
    (tmp_path / "a.csv").write_text(f"# pcaug {json.dumps(said)}\nx,y,z\n1,2,3\n")
    with pytest.raises(FileError, match="it was damaged"):
        read(tmp_path / "a.csv")


@pytest.mark.parametrize("word", ["2.7", "300", "-1", "nan", "1e2", "9" * 5000])
def test_a_number_that_its_column_of_a_text_file_cannot_hold_is_named_with_its_line(tmp_path: Path, word: str) -> None:
    write(tmp_path / "a.csv", make_cloud(3, labelled=False, ring=np.array([1, 2, 253], np.uint8)))
    text = (tmp_path / "a.csv").read_text()
    assert text.endswith(",253\n")
    (tmp_path / "a.csv").write_text(text[: -len("253\n")] + word)
    column = text.splitlines()[1].split(",").index("ring") + 1
    with pytest.raises(FileError, match=rf"line 5 has '{word[:40]}' in column {column}, .*whole numbers from 0 to 255"):
        read(tmp_path / "a.csv")


def test_long_ids_stay_what_they_are_where_lines_are_read_one_by_one(tmp_path: Path) -> None:
    cloud = make_cloud(3, labelled=False, id=np.array([-1, 2**53 + 1, 2**63 - 1]), many=np.array([0, 1, 2**64 - 1], np.uint64))
    write(tmp_path / "a.csv", cloud)
    with (tmp_path / "a.csv").open("a") as file:
        file.write("# the end\n")
    assert_same_cloud(read(tmp_path / "a.csv"), cloud)


@pytest.mark.parametrize("ids", [[1, 2, 3_000_000_000], [3_000_000_000, 2, -1]])
def test_whole_numbers_that_outgrow_their_ply_property_are_refused(tmp_path: Path, ids: list[int]) -> None:
    cloud = make_cloud(3, labelled=False, number=np.array(ids, np.int64))
    write(tmp_path / "whole.ply", make_cloud(2, labelled=False, number=np.array([1, 3_000_000_000])))
    assert read(tmp_path / "whole.ply")["number"].tolist() == [1, 3_000_000_000]
    with pytest.raises(PcaugError, match=r"field 'number' .* does not fit into 32 bits like the points before it"):
        write(tmp_path / "a.ply", (cloud.take(slice(i, i + 1)) for i in range(3)))
    assert not (tmp_path / "a.ply").exists()


@pytest.mark.parametrize("name", ["intensity", "rgb"])
def test_one_value_that_is_no_number_leaves_the_others_their_scale(tmp_path: Path, name: str) -> None:
    values = np.array([[0.0, 0.5, 1.0, np.nan]] * 3).T if name == "rgb" else np.array([0.0, 0.5, 1.0, np.nan])
    with pytest.warns(UserWarning, match=rf"a\.las: what of {name} is no number \(it becomes 0\) is left out"):
        write(tmp_path / "a.las", make_cloud(4, labelled=False, **{name: values}))
    assert np.ravel(read(tmp_path / "a.las")[name])[:: 3 if name == "rgb" else 1].tolist() == [0, 32768, 65535, 0]


def test_fields_that_are_no_columns_of_numbers_are_left_out_with_a_word(tmp_path: Path) -> None:
    kind = [("x", "f8"), ("y", "f8"), ("z", "f8"), ("cov", "f4", (2, 2)), ("when", "M8[s]"), ("echo", "u1")]
    np.save(tmp_path / "a.npy", np.zeros(5, kind))
    with pytest.warns(UserWarning, match=r"field '(cov|when)' .* is left out"):
        cloud = read(tmp_path / "a.npy")
    assert list(cloud.fields) == ["echo"]
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["points"] = np.zeros(5, kind[:4])
    with pytest.warns(UserWarning, match="field 'cov' .* is left out"):
        assert not read(tmp_path / "a.h5").fields


@pytest.mark.parametrize(
    ("text", "points"),
    [
        (b"\xef\xbb\xbfx,y,z\n1,2,3\n", 1),  # as spreadsheets write UTF-8
        (b"// exported by hand\n1 2 3\n", 1),
        (b"// of 2026\n// by hand\n1 2 3\n", 1),
        (b"//X Y Z\n2\n1 2 3\n4 5 6\n", 2),  # as CloudCompare does
        (b"# x y z\n1 2 3\n", 1),
    ],
)
def test_heads_of_text_files(tmp_path: Path, text: bytes, points: int) -> None:
    (tmp_path / "a.txt").write_bytes(text)
    assert read(tmp_path / "a.txt").xyz[:, 0].tolist() == [1.0, 4.0][:points]


@pytest.mark.parametrize(("late", "kind"), [("0.25,0.5,1", np.float64), ("1,0,255", np.uint16), ("1,0,1", np.uint16)])
def test_the_scale_of_colours_is_found_behind_black_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late: str, kind: type
) -> None:
    monkeypatch.setattr(rows, "BLOCK", 1000)
    (tmp_path / "a.csv").write_text("x,y,z,r,g,b\n" + "1,2,3,0,0,0\n" * 900 + f"1,2,3,{late}\n" * 3)
    chunks = list(iter_chunks(tmp_path / "a.csv", 100))
    assert {chunk["rgb"].dtype for chunk in chunks} == {np.dtype(kind)}
    colours = np.concatenate([chunk["rgb"] for chunk in chunks])
    assert colours[[0, 899, 900, 902]].tolist() == [[0] * 3] * 2 + [[float(word) for word in late.split(",")]] * 2


def test_names_of_other_programs_whatever_their_case(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "X,Y,Z,Intensity,ReturnNumber,NumberOfReturns,GpsTime,Classification,Red,Green,Blue\n1,2,3,40,1,2,9.5,6,0.5,0.25,1\n"
    )
    cloud = read(tmp_path / "a.csv")
    told = {name: values[0].tolist() for name, values in cloud.fields.items()}
    assert told == {
        "intensity": 40, "return_number": 1, "number_of_returns": 2, "time": 9.5, "native_label": 6, "rgb": [0.5, 0.25, 1.0]
    }  # fmt: skip
    write(tmp_path / "a.laz", cloud)
    assert laspy.read(tmp_path / "a.laz").intensity.tolist() == [40]
    (tmp_path / "two.csv").write_text("x,y,z,intensity,Intensity\n1,2,3,4,5\n")
    assert {name: v[0] for name, v in read(tmp_path / "two.csv").fields.items()} == {"intensity": 4, "Intensity": 5}


def test_columns_of_no_numbers_are_left_out_with_a_word(tmp_path: Path) -> None:
    xyz = np.arange(6.0).reshape(2, 3)
    np.savez(tmp_path / "a.npz", points=xyz, who=np.array([{}, {}], dtype=object))
    pq.write_table(pa.table(dict(zip("xyz", xyz.T, strict=True)) | {"who": ["a", "b"]}), tmp_path / "a.parquet")
    for name in ("a.npz", "a.parquet"):
        with pytest.warns(UserWarning, match="'who'.* is left out"):
            cloud = read(tmp_path / name)
        np.testing.assert_array_equal(cloud.xyz, xyz)
        assert not cloud.fields


def test_scans_of_nuscenes_are_not_taken_for_kittis(tmp_path: Path) -> None:
    np.zeros((32, 5), np.float32).tofile(tmp_path / "a.pcd.bin")
    with pytest.raises(FileError, match="five numbers a point"):
        read(tmp_path / "a.pcd.bin")


def test_instances_without_classes_have_no_place_beside_a_bin() -> None:
    assert formats.lost(["instance", "intensity"], "a.bin") == ["instance"]
    assert formats.lost(["instance", "intensity", "native_label"], "a.bin") == []
