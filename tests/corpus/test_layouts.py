"""Datasets spread over several files: written here as documented, by code apart from the readers, and read back."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders_pandas import write_frame
from numpy.typing import NDArray

from pcaug.corpus.card import load_card, official_split
from pcaug.corpus.convert import convert
from pcaug.corpus.layouts.pandaset import SCANNER
from pcaug.corpus.read import Corpus
from pcaug.corpus.sources import scans
from pcaug.corpus.summary import summary
from pcaug.errors import FileError, LabelError, PcaugError

RNG = np.random.default_rng(5)


def converted(root: Path, name: str) -> dict[str, int]:
    """Convert a folder that must be recognised as a dataset; points per native id, which the corpus must hold as well."""
    found = scans(root)
    assert {scan.card.name for scan in found if scan.card} == {name}
    convert(root, root.parent / "corpus", split=None)
    counts: dict[str, int] = {}
    nodes = load_card(name).label_map().nodes
    for cloud in Corpus.open(root.parent / "corpus").clouds():
        for native, label in zip(cloud["native_label"].tolist(), cloud["label"].tolist(), strict=True):
            assert nodes[native] == label
            counts[native] = counts.get(native, 0) + 1
    return counts


# nuScenes


def nuscenes(root: Path, ids: dict[str, list[int]], names: dict[int, str] | None = None, version: str = "v1.0-mini") -> None:
    """Scenes of one keyframe and one sweep each: scene name -> label ids of its points."""
    tables: dict[str, list[dict[str, Any]]] = {"scene": [], "sample": [], "sample_data": [], "lidarseg": []}
    card = load_card("nuscenes")
    table = names or {number: name for name, number in card.ids.items()}
    tables["category"] = [
        {"token": f"c{number}", "name": name, "description": "", "index": number} for number, name in table.items()
    ]
    for place, (scene, labels) in enumerate(ids.items()):
        tables["scene"].append({"token": f"s{place}", "name": scene, "nbr_samples": 1})
        tables["sample"].append({"token": f"k{place}", "scene_token": f"s{place}", "timestamp": place})
        for key, folder in (("key", "samples"), ("sweep", "sweeps")):
            name = f"{folder}/LIDAR_TOP/n015-{scene}__LIDAR_TOP__{key}.pcd.bin"
            tables["sample_data"].append(
                {"token": f"{key}{place}", "sample_token": f"k{place}", "filename": name, "is_key_frame": key == "key"}
            )
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            with (root / name).open("wb") as file:
                for i in range(len(labels)):
                    file.write(struct.pack("<5f", i, place, -1.8, 7.0, i % 32))
        label = root / "lidarseg" / version / f"key{place}_lidarseg.bin"
        tables["lidarseg"].append(
            {"token": f"key{place}", "filename": str(label.relative_to(root)), "sample_data_token": f"key{place}"}
        )
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_bytes(bytes(labels))
    (root / version).mkdir(exist_ok=True)
    for name, rows in tables.items():
        (root / version / f"{name}.json").write_text(json.dumps(rows, indent=0))


def test_nuscenes_labels_and_scenes_come_through_the_tables(tmp_path: Path) -> None:
    nuscenes(tmp_path / "set", {"scene-0061": [24, 24, 17, 30], "scene-0103": [0, 31, 28], "scene-0077": [2]})
    found = scans(tmp_path / "set")
    assert [(s.unit, s.split) for s in found] == [("scene-0061", "train"), ("scene-0077", "test"), ("scene-0103", "val")]
    cloud = next(found[0].chunks())
    assert cloud["ring"].tolist() == [0, 1, 2, 3]
    assert cloud.xyz[2].tolist() == [2.0, 0.0, np.float32(-1.8)]
    assert converted(tmp_path / "set", "nuscenes") == {24: 2, 17: 1, 30: 1, 0: 1, 31: 1, 28: 1, 2: 1}


def test_nuscenes_ids_are_read_by_the_names_of_category_json(tmp_path: Path) -> None:
    names = {0: "noise", 1: "flat.sidewalk", 2: "vehicle.car"}
    nuscenes(tmp_path / "set", {"scene-0061": [2, 1, 1]}, names)
    assert next(scans(tmp_path / "set")[0].chunks())["native_label"].tolist() == [17, 26, 26]
    nuscenes(tmp_path / "other", {"scene-0061": [5]}, names)
    with pytest.raises(LabelError, match="does not name"):
        convert(tmp_path / "other", tmp_path / "corpus")
    nuscenes(tmp_path / "third", {"scene-0061": [1]}, {1: "flat.moon"})
    with pytest.raises(LabelError, match=r"flat\.moon"):
        convert(tmp_path / "third", tmp_path / "corpus")


def test_nuscenes_says_what_is_wrong(tmp_path: Path) -> None:
    root = tmp_path / "set"
    nuscenes(root, {"scene-0061": [24, 24]})
    (root / "lidarseg/v1.0-mini/key0_lidarseg.bin").write_bytes(b"\x18")
    with pytest.raises(LabelError, match="1 labels for 2 points"):
        convert(root, tmp_path / "corpus")
    (root / "lidarseg/v1.0-mini/key0_lidarseg.bin").unlink()
    with pytest.raises(LabelError, match="label file is missing"):
        convert(root, tmp_path / "corpus")
    with pytest.raises(FileError, match="no tables"):
        scans(
            next((root / "samples/LIDAR_TOP").iterdir()).rename(_folder(tmp_path / "x/samples/LIDAR_TOP") / "a.pcd.bin"),
            "nuscenes",
        )


def _folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_nuscenes_tables_that_are_cut_or_hostile(tmp_path: Path, cut: int) -> None:
    nuscenes(tmp_path / "set", {"scene-0061": [24, 24]})
    table = tmp_path / "set/v1.0-mini/sample_data.json"
    table.write_text(table.read_text()[:-cut])
    with pytest.raises(FileError, match="truncated"):
        scans(tmp_path / "set")
    nuscenes(tmp_path / "evil", {"scene-0061": [24, 24]})
    table = tmp_path / "evil/v1.0-mini/lidarseg.json"
    table.write_text(table.read_text().replace("lidarseg/v1.0-mini", "../../etc"))
    with pytest.raises(FileError, match="outside the dataset"):
        scans(tmp_path / "evil")


# PandaSet


def pandaset(root: Path, patch: pytest.MonkeyPatch, classes: list[int], names: dict[int, str] | None = None) -> Path:
    count = len(classes)
    body = RNG.uniform(-20, 20, (count, 3))  # in the vehicle: x right, y ahead
    heading, place = math.radians(30), np.array([100.0, 200.0, 5.0])
    turn = np.array([[math.cos(heading), -math.sin(heading), 0], [math.sin(heading), math.cos(heading), 0], [0, 0, 1]])
    world = body @ turn.T + place
    columns = {axis: world[:, i] for i, axis in enumerate("xyz")}
    columns |= {"i": np.full(count, 9.0), "t": np.full(count, 1.5e9), "d": np.arange(count) % 2}
    write_frame(root / "002/lidar/01.pkl.gz", columns, patch)
    write_frame(root / "002/annotations/semseg/01.pkl.gz", {"class": np.array(classes)}, patch)
    if names:
        (root / "002/annotations/semseg/classes.json").write_text(json.dumps({str(k): v for k, v in names.items()}))
    pose = {"position": dict(zip("xyz", place, strict=True))}
    pose["heading"] = {"w": math.cos(heading / 2), "x": 0.0, "y": 0.0, "z": math.sin(heading / 2)}
    (root / "002/lidar/poses.json").write_text(json.dumps([{}, pose]))
    np.save(root.parent / "body.npy", body)
    return root / "002/lidar/01.pkl.gz"


def test_pandaset_frames_come_to_the_scanner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pandaset(tmp_path / "set", monkeypatch, [7, 7, 13, 41, 5])
    (found,) = scans(tmp_path / "set")
    assert found.unit == "002"
    cloud = next(found.chunks())
    body = np.load(tmp_path / "body.npy")
    vehicle = np.stack([body[:, 1], -body[:, 0], body[:, 2]], axis=1)
    np.testing.assert_allclose(cloud.xyz, vehicle - SCANNER, atol=1e-9)
    assert cloud["device"].tolist() == [0, 1, 0, 1, 0]
    assert converted(tmp_path / "set", "pandaset") == {7: 2, 13: 1, 41: 1, 5: 1}


def test_pandaset_ids_are_read_by_the_names_of_classes_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pandaset(tmp_path / "set", monkeypatch, [1, 2, 2], {1: "Reflection", 2: "Vegetation"})
    assert next(scans(path, "pandaset")[0].chunks())["native_label"].tolist() == [4, 5, 5]
    path = pandaset(tmp_path / "set", monkeypatch, [1, 2, 2], {1: "Reflection", 2: "Spaceship"})
    with pytest.raises(LabelError, match="Spaceship"):
        summary(path, "pandaset")


def test_pandaset_says_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = pandaset(tmp_path / "set", monkeypatch, [7, 7, 13])
    write_frame(tmp_path / "set/002/annotations/semseg/01.pkl.gz", {"class": np.array([7])}, monkeypatch)
    with pytest.raises(LabelError, match="1 labels for 3 points"):
        summary(path, "pandaset")
    write_frame(tmp_path / "set/002/annotations/semseg/01.pkl.gz", {"name": np.array([7])}, monkeypatch)
    with pytest.raises(FileError, match="no column class"):
        summary(path, "pandaset")
    (tmp_path / "set/002/lidar/poses.json").write_text("[{}]")
    with pytest.raises(FileError, match=r"no pose for frame 01|no column class"):
        summary(path, "pandaset")
    (tmp_path / "set/002/annotations/semseg/01.pkl.gz").unlink()
    (tmp_path / "set/002/lidar/poses.json").unlink()
    with pytest.raises(FileError, match="is missing: frames are in world coordinates"):
        summary(path, "pandaset")


# S3DIS


def test_s3dis_rooms_are_gathered_object_by_object(tmp_path: Path) -> None:
    room = tmp_path / "set/Area_5/hallway_6"
    (room / "Annotations").mkdir(parents=True)
    (room / "hallway_6.txt").write_text("1 2 3 4 5 6\n" * 7)
    (room / "Annotations/ceiling_1.txt").write_bytes(b"1 2 3 10 20 30\n1 2 3.5 185\x16187 182\n")
    (room / "Annotations/chair_1.txt").write_text("1 2 0 10 20 30\n")
    (room / "Annotations/chair_2.txt").write_text("1 2 0 10 20 30\n1 2 0 10 20 30\r\n")
    (room / "Annotations/stairs_1.txt").write_text("-1e0 2 0 10 20 255\n")
    (room / "Annotations/door_1.txt").write_text("")
    (tmp_path / "set/Area_5/Area_5_alignmentAngle.txt").write_text("# angle\nhallway_6 90\n")
    (found,) = scans(tmp_path / "set")
    assert (found.unit, found.split) == ("Area_5", "test")
    cloud = next(found.chunks())
    assert cloud["native_label"].tolist() == [0, 0, 8, 8, 8, 12]
    assert cloud["rgb"][1].tolist() == [185, 187, 182]
    assert len(set(cloud["instance"].tolist())) == 4
    assert converted(tmp_path / "set", "s3dis") == {0: 2, 8: 3, 12: 1}


@pytest.mark.parametrize("line", ["1 2 3\n", "1 2 3 4 5 x\n", "1 2 3 4 5 6\n1 2 3 4 5\n"])
def test_s3dis_lines_that_are_wrong(tmp_path: Path, line: str) -> None:
    room = tmp_path / "Area_1/office_1"
    (room / "Annotations").mkdir(parents=True)
    (room / "office_1.txt").write_text("")
    (room / "Annotations/wall_1.txt").write_text(line)
    with pytest.raises(FileError, match=r"wall_1\.txt"):
        summary(tmp_path, "s3dis")


# Sydney Urban Objects


def test_sydney_objects_are_named_by_their_files(tmp_path: Path) -> None:
    objects = _folder(tmp_path / "set/objects")
    record = struct.Struct("<qBBfffffi")
    for name, count in (("4wd.0.2299", 3), ("traffic_lights.1.17", 2)):
        rows = [(10**15 + i, 40, 7, 1.0 + i, 2.0, 3.0, 0.1, 4.0, i) for i in range(count)]
        (objects / f"{name}.bin").write_bytes(b"".join(record.pack(*row) for row in rows))
        (objects / f"{name}.csv").write_text("".join("20110801T042231.5," + ",".join(map(str, row[1:])) + "\n" for row in rows))
    (_folder(tmp_path / "set/folds") / "fold0.txt").write_text("4wd.0.2299.bin\n")
    (tmp_path / "set/folds/fold3.txt").write_text("traffic_lights.1.17.bin\n")
    found = scans(tmp_path / "set")
    assert [scan.path.suffix for scan in found] == [".bin", ".bin"]
    assert [scan.split for scan in found] == ["train", "test"]
    cloud, same = (next(scans(objects / f"4wd.0.2299.{end}", "sydney")[0].chunks()) for end in ("bin", "csv"))
    assert cloud.xyz.tolist() == [[1, -2, -3], [2, -2, -3], [3, -2, -3]]
    assert same.xyz.tolist() == cloud.xyz.tolist()
    assert same["native_label"].tolist() == cloud["native_label"].tolist() == [0, 0, 0]
    assert converted(tmp_path / "set", "sydney") == {0: 3, load_card("sydney").ids["traffic_lights"]: 2}
    (objects / "ufo.1.1.bin").write_bytes(b"")
    with pytest.raises(LabelError, match="'ufo'"):
        summary(objects / "ufo.1.1.bin", "sydney")
    (objects / "car.1.1.bin").write_bytes(b"")
    with pytest.raises(FileError, match="is empty"):
        summary(objects / "car.1.1.bin", "sydney")
    (objects / "car.1.1.bin").write_bytes(b"123")
    with pytest.raises(FileError, match="truncated"):
        summary(objects / "car.1.1.bin", "sydney")


# Synthia 4D


def synthia(path: Path, **changes: Any) -> Path:
    arrays = {
        "pc": np.array([[-11.0, 2.0, -30.0], [-10.0, -3.0, -31.0]], np.float32), "rgb": np.array([[0, 0.5, 1], [1, 0, 0]]),
        "semantic": np.array([3, 2], np.int32), "center": np.array([-10.0, 0.0, -30.0]),
    } | changes  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)
    return path


def test_synthia_frames_stand_upright(tmp_path: Path) -> None:
    synthia(tmp_path / "set/SYNTHIA-SEQS-01-DAWN-000007.npz")
    (found,) = scans(tmp_path / "set")
    assert found.unit == "SYNTHIA-SEQS-01-DAWN"
    cloud = next(found.chunks())
    assert cloud.xyz.tolist() == [[1, 0, -2], [0, -1, 3]]  # the road below the camera, the building above
    assert cloud["rgb"].tolist() == [[0, 128, 255], [255, 0, 0]]
    assert converted(tmp_path / "set", "synthia") == {3: 1, 2: 1}


@pytest.mark.parametrize(
    "changes",
    [
        {"semantic": np.array([3])}, {"pc": np.zeros((2, 2))}, {"center": np.zeros(2)},
        {"semantic": np.array(["3", "2"])}, {"semantic": np.array([3, {}], object)},
    ],
)  # fmt: skip
def test_synthia_arrays_that_do_not_fit(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(FileError):
        summary(synthia(tmp_path / "a-000001.npz", **changes), "synthia")


def test_synthia_cut_short(tmp_path: Path) -> None:
    path = synthia(tmp_path / "a-000001.npz")
    data = path.read_bytes()
    for end in range(0, len(data), 37):
        path.write_bytes(data[:end])
        with pytest.raises(FileError):
            summary(path, "synthia")


# Waymo

H, W = 4, 36
TIMES = (1500000000100000, 1500000000200000)


BEAMS = [-0.3, -0.2, -0.05, 0.04]


def waymo(
    root: Path, *, drift: NDArray[np.float64] | None = None, yaw: float = 0.3, beams: list[float] | None = BEAMS
) -> dict[str, Any]:
    """Two frames of a segment, all five scanners, labels of the top one; beams as given or spread evenly."""
    name = "1234_000_001.parquet"
    extrinsic = np.eye(4)
    extrinsic[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    extrinsic[:3, 3] = [1.4, 0.0, 2.2]
    ranges = RNG.uniform(3, 60, (2, H, W)).astype(np.float32)
    ranges[RNG.random((2, H, W)) < 0.3] = -1  # no return
    classes = RNG.integers(0, 23, (2, H, W)).astype(np.int32)
    pose = np.eye(4)
    pose[:3, 3] = [1000.0, -50.0, 10.0]

    def image(key: str, values: NDArray[Any]) -> dict[str, Any]:
        return {f"{key}.values": values.ravel().tolist(), f"{key}.shape": list(values.shape)}

    lidar, labels, poses, vehicles = [], [], [], []
    for time in TIMES:
        for laser in (2, 1, 3):
            row = {"key.segment_context_name": "1234", "key.frame_timestamp_micros": time, "key.laser_name": laser}
            shown = ranges if laser == 1 else np.zeros_like(ranges)
            full = [np.stack([r, r * 0 + 0.5, r * 0 + 0.25, r * 0], axis=-1) for r in shown]
            lidar.append(row | image("[LiDARComponent].range_image_return1", full[0])
                         | image("[LiDARComponent].range_image_return2", full[1]))  # fmt: skip
            if laser == 1:
                both = [np.stack([c * 0 + 4, c], axis=-1) for c in classes]
                labels.append(row | image("[LiDARSegmentationLabelComponent].range_image_return1", both[0])
                              | image("[LiDARSegmentationLabelComponent].range_image_return2", both[1]))  # fmt: skip
                pixels = np.zeros((H, W, 6), np.float32)
                pixels[..., 3:] = pose[:3, 3]
                poses.append(row | image("[LiDARPoseComponent].range_image_return1", pixels + (0 if drift is None else drift)))
        vehicles.append(
            {"key.frame_timestamp_micros": time, "[VehiclePoseComponent].world_from_vehicle.transform": pose.ravel().tolist()}
        )
    key = "[LiDARCalibrationComponent]"
    angles = {f"{key}.beam_inclination.min": -0.4, f"{key}.beam_inclination.max": 0.1}
    places = {laser: (extrinsic if laser == 1 else np.eye(4)).ravel().tolist() for laser in (1, 2)}
    calibration = [
        {"key.laser_name": laser, f"{key}.extrinsic.transform": places[laser], **angles,
         f"{key}.beam_inclination.values": beams if laser == 1 else None}
        for laser in (1, 2)
    ]  # fmt: skip
    tables = {"lidar": lidar, "lidar_segmentation": labels[:1] if drift is None else labels, "lidar_calibration": calibration}
    tables |= {"lidar_pose": poses, "vehicle_pose": vehicles} if drift is not None else {}
    for component, rows in tables.items():
        (root / component).mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), root / component / name, row_group_size=2)
    return {"ranges": ranges, "classes": classes, "extrinsic": extrinsic, "beams": beams}


def by_hand(truth: dict[str, Any]) -> tuple[list[list[float]], list[int]]:
    """Points of both returns by plain trigonometry: row 0 is the highest beam, column 0 looks back, columns turn to the right."""
    points, ids = [], []
    yaw = math.atan2(truth["extrinsic"][1, 0], truth["extrinsic"][0, 0])
    for number in range(2):
        for row in range(H):
            for column in range(W):
                distance = float(truth["ranges"][number, row, column])
                if distance <= 0:
                    continue
                up = truth["beams"][H - 1 - row]
                around = math.pi - (column + 0.5) * 2 * math.pi / W - yaw
                ray = [math.cos(up) * math.cos(around), math.cos(up) * math.sin(around), math.sin(up), 1 / distance]
                points.append([distance * sum(a * b for a, b in zip(line, ray, strict=True)) for line in truth["extrinsic"][:3]])
                ids.append(int(truth["classes"][number, row, column]))
    return points, ids


def test_waymo_range_images_become_points(tmp_path: Path) -> None:
    truth = waymo(tmp_path / "training")
    (found,) = scans(tmp_path)
    assert (found.unit, found.split, found.part) == ("1234_000_001", "train", str(TIMES[0]))
    cloud = next(found.chunks())
    points, ids = by_hand(truth)
    np.testing.assert_allclose(cloud.xyz, points, atol=1e-4)
    assert cloud["native_label"].tolist() == ids
    assert set(cloud["return_number"].tolist()) == {1, 2}
    assert set(cloud["instance"].tolist()) == {4}


def test_waymo_pixels_find_their_row_and_column_again(tmp_path: Path) -> None:
    """The inverse as published: range_image_utils.build_range_image_from_point_cloud."""
    truth = waymo(tmp_path / "validation", yaw=2.6)
    cloud = next(scans(tmp_path)[0].chunks())
    first = cloud["return_number"] == 1
    laser = (cloud.xyz[first] - truth["extrinsic"][:3, 3]) @ truth["extrinsic"][:3, :3]
    tilt = np.arctan2(laser[:, 2], np.hypot(laser[:, 0], laser[:, 1]))
    rows = np.abs(tilt[:, None] - np.array(truth["beams"])[::-1]).argmin(axis=1)
    turned = np.arctan2(laser[:, 1], laser[:, 0]) + 2.6
    turned -= 2 * np.pi * (turned > np.pi)
    columns = np.rint(W - 1.0 + 0.5 - (turned + np.pi) / (2 * np.pi) * W).astype(int)
    expected = np.argwhere(truth["ranges"][0] > 0)
    np.testing.assert_array_equal(np.stack([rows, columns], axis=1), expected)


def test_waymo_beams_without_angles_are_spread_evenly(tmp_path: Path) -> None:
    truth = waymo(tmp_path / "training", beams=None)
    truth["beams"] = [-0.4 + (row + 0.5) / H * 0.5 for row in range(H)]
    np.testing.assert_allclose(next(scans(tmp_path)[0].chunks()).xyz, by_hand(truth)[0], atol=1e-4)


@pytest.mark.parametrize("axis", range(3))
def test_waymo_points_follow_the_vehicle_through_its_turn(tmp_path: Path, axis: int) -> None:
    """A pixel whose pose is turned about one axis, and moved, is turned and moved against the frame's pose."""
    drift = np.zeros(6)
    drift[axis], drift[3:] = 0.2, [1.0, 2.0, 3.0]
    truth = waymo(tmp_path / "training", drift=drift)
    found = scans(tmp_path)
    assert [scan.part for scan in found] == [str(time) for time in TIMES]
    still = np.array(by_hand(truth)[0])
    c, s = math.cos(0.2), math.sin(0.2)
    turn = np.array([[[1, 0, 0], [0, c, -s], [0, s, c]], [[c, 0, s], [0, 1, 0], [-s, 0, c]], [[c, -s, 0], [s, c, 0], [0, 0, 1]]])
    np.testing.assert_allclose(next(found[0].chunks()).xyz, still @ turn[axis].T + [1, 2, 3], atol=1e-3)


def test_waymo_frames_are_scans_of_their_own(tmp_path: Path) -> None:
    truth = waymo(tmp_path / "set/training", drift=np.zeros(6))
    first, second = scans(tmp_path / "set")
    assert first.name != second.name
    assert first.sha256() != second.sha256()
    counts = converted(tmp_path / "set", "waymo")
    ids, numbers = np.unique(truth["classes"][truth["ranges"] > 0], return_counts=True)
    assert counts == {int(i): 2 * int(n) for i, n in zip(ids, numbers, strict=True)}
    assert len(Corpus.open(tmp_path / "corpus").tiles) == 2


def test_scans_are_read_from_within_their_folder_and_name_all_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nuscenes(tmp_path / "n", {"scene-0061": [24, 17]})
    pandaset(tmp_path / "p", monkeypatch, [7, 13], {7: "Road", 13: "Car"})
    waymo(tmp_path / "w", drift=np.zeros(6))
    room = tmp_path / "s/Area_5/hallway_6"
    (room / "Annotations").mkdir(parents=True)
    for file in (room / "hallway_6.txt", room / "Annotations/chair_1.txt"):
        file.write_text("1 2 3 4 5 6\n")
    unread = {"n015-scene-0061__LIDAR_TOP__sweep.pcd.bin"}
    for name in ("n", "p", "w", "s"):
        whole = scans(tmp_path / name)[0]
        everything = {path for path in (tmp_path / name).rglob("*") if path.is_file() and path.name not in unread}
        assert set(whole.files) == everything
        monkeypatch.chdir(whole.path.parent)
        (inside, *_) = scans(whole.path.name)
        assert (inside.unit, inside.split) == (whole.unit, whole.split)
        here, there = next(inside.chunks()), next(whole.chunks())
        assert here["native_label"].tolist() == there["native_label"].tolist()
        assert {path.resolve() for path in inside.files} == everything


@pytest.mark.parametrize("rows", [1, 100])
def test_waymo_rows_are_found_in_row_groups_of_any_size(tmp_path: Path, rows: int) -> None:
    truth = waymo(tmp_path / "training", drift=np.zeros(6))
    lidar = tmp_path / "training/lidar/1234_000_001.parquet"
    pq.write_table(pq.read_table(lidar), lidar, row_group_size=rows)
    for scan in scans(tmp_path):
        np.testing.assert_allclose(next(scan.chunks()).xyz, by_hand(truth)[0], atol=1e-3)
    pq.write_table(pq.read_table(lidar).slice(0, 3), lidar)
    with pytest.raises(FileError, match="0 rows for one frame"):
        next(scans(tmp_path)[1].chunks())
    pq.write_table(pa.table({"x": [1]}), lidar)
    with pytest.raises(FileError, match="not a component of Waymo v2"):
        next(scans(tmp_path)[1].chunks())


@pytest.mark.parametrize(
    ("component", "change"),
    [
        ("lidar_calibration", {"[LiDARCalibrationComponent].beam_inclination.values": [0.1]}),
        ("lidar_calibration", {"[LiDARCalibrationComponent].extrinsic.transform": [1.0, 2.0]}),
        ("vehicle_pose", {"[VehiclePoseComponent].world_from_vehicle.transform": [0.0] * 16}),
        ("lidar", {"[LiDARComponent].range_image_return1.shape": [1, 2, 4]}),
        (
            "lidar_pose",
            {f"[LiDARPoseComponent].range_image_return1.{k}": v for k, v in (("shape", [1, 1, 6]), ("values", [0.0] * 6))},
        ),
        ("lidar_segmentation", {"[LiDARSegmentationLabelComponent].range_image_return2.values": None}),
    ],
)
def test_waymo_components_that_do_not_fit_together(tmp_path: Path, component: str, change: dict[str, Any]) -> None:
    waymo(tmp_path / "training", drift=np.zeros(6))
    path = tmp_path / "training" / component / "1234_000_001.parquet"
    pq.write_table(pa.Table.from_pylist([row | change for row in pq.read_table(path).to_pylist()]), path)
    with pytest.raises(FileError, match="1234_000_001"):
        next(scans(tmp_path)[0].chunks())


def test_waymo_says_which_component_is_missing(tmp_path: Path) -> None:
    waymo(tmp_path / "training")
    (tmp_path / "training/lidar_calibration/1234_000_001.parquet").unlink()
    with pytest.raises(FileError, match="download the component lidar_calibration"):
        next(scans(tmp_path)[0].chunks())


# What holds for all


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("nuscenes", "samples/LIDAR_TOP/a.pcd.bin"), ("pandaset", "001/lidar/00.pkl.gz"), ("s3dis", "Area_1/wc_1/wc_1.txt"),
        ("sydney", "objects/car.1.1.bin"), ("synthia", "a-000001.npz"), ("waymo", "training/lidar_segmentation/a.parquet"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("data", [b"\1", b"x y z", bytes(range(256))])
def test_garbage_is_an_error_of_ours(tmp_path: Path, name: str, path: str, data: bytes) -> None:
    file = tmp_path / "set" / path
    _folder(file.parent)
    file.write_bytes(data if name != "s3dis" else data + b" x")
    with pytest.raises(PcaugError, match=str(tmp_path)):
        summary(file, name)


def test_official_splits() -> None:
    for name, path, split in (
        ("semantickitti", "sequences/08/velodyne/000000.bin", "val"), ("semantickitti", "sequences/22/velodyne/000000.bin", None),
        ("synthcity", "area3.parquet", "test"), ("synthcity", "area1.parquet", "train"),
        ("dales", "train/5145_54340_new.ply", "train"), ("dales", "test/5080_54470_new.ply", "test"),
        ("sensaturban", "train/birmingham_block_1.ply", "val"), ("sensaturban", "train/birmingham_block_0.ply", "train"),
        ("fractal", "VAL-file-0956_6363-patch-0065405.laz", "val"), ("hessigheim", "Epoch_Mar/LiDAR/Nov18_test.laz", "test"),
        ("oakland", "training/oakland_part3_al_training.xyz_label_conf", "train"),
        ("oakland", "oakland_part2_ac.xyz_label_conf", None),
        ("waymo", "validation/lidar_segmentation/1.parquet", "val"), ("s3dis", "Area_5/office_1/office_1.txt", "test"),
        ("lidarhd", "tile.laz", None),
    ):  # fmt: skip
        assert official_split(load_card(name), Path(path)) == split, path


def test_lists_that_come_with_a_dataset_split_it(tmp_path: Path) -> None:
    (tmp_path / "pt_train.lst").write_text("00000/os1_cloud_node_kitti_bin/000001.bin 00000/labels/000001.label\n")
    (tmp_path / "pt_test.lst").write_text("./00000/os1_cloud_node_kitti_bin/000002.bin x\n\n")
    card, bins = load_card("rellis3d"), tmp_path / "00000/os1_cloud_node_kitti_bin"
    assert [official_split(card, bins / f"00000{i}.bin") for i in (1, 2, 3)] == ["train", "test", None]
    (tmp_path / "scannetv2_val.txt").write_text("scene0011_00\n")
    card = load_card("scannet")
    names = [tmp_path / f"scans/{scan}/{scan}_vh_clean_2.labels.ply" for scan in ("scene0011_00", "scene0011_01")]
    assert [official_split(card, name) for name in names] == ["val", None]
    (tmp_path / "pt_val.lst").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileError, match="not a list of scans"):
        official_split(load_card("rellis3d"), bins / "000003.bin")
