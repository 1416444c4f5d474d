"""Several LAS files become one: extra bytes in a type that holds them all, and their classes stay classes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import laspy
import numpy as np
import pytest
from pyproj import CRS

from pcaug import catalogue, read, write
from pcaug.cloud import PointCloud, Source
from pcaug.corpus.convert import convert, with_ids
from pcaug.corpus.steps import Steps
from pcaug.errors import PcaugError
from pcaug.formats import CHUNK


def make_las(path: Path, *, scale: float = 0.01, classes: int = 6, **extra: tuple[Any, list[float]]) -> Path:
    """A LAS file of two points; extra bytes by name, of a type or ``ExtraBytesParams``."""
    las = laspy.create(point_format=6, file_version="1.4")
    las.header.scales = np.full(3, scale)
    las.add_extra_dims([kind if isinstance(kind, laspy.ExtraBytesParams) else laspy.ExtraBytesParams(name, kind, "of it")
                        for name, (kind, _) in extra.items()])  # fmt: skip
    las.x, las.y, las.z = [1.0, 2], [3.0, 4], [5.0, 6]
    las.classification = np.full(2, classes, np.uint8)
    for name, (_, values) in extra.items():
        las[name] = np.array(values)
    las.write(path)
    return path


def scaled(name: str, step: float) -> laspy.ExtraBytesParams:
    return laspy.ExtraBytesParams(name, "i2", "", np.zeros(1), np.full(1, step))


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (("u1", [200, 1]), ("u2", [300, 2]), "u2"),
        (("u1", [200, 1]), ("f4", [-12.5, 2]), "f4"),
        ((scaled("amp", 0.01), [1.25, 2]), (scaled("amp", 0.5), [9000.5, 2]), "f8"),
        ((scaled("amp", 0.01), [1.25, 2]), ("u2", [40_000, 2]), "f8"),
    ],
)
def test_extra_bytes_of_two_types_take_one_that_holds_both(tmp_path: Path, one: Any, other: Any, kind: str) -> None:
    files = [make_las(tmp_path / "a.las", amp=one), make_las(tmp_path / "b.las", amp=other)]
    for order in (files, files[::-1]):
        convert(order, tmp_path / "c.las", force=True)
        values = read(tmp_path / "c.las")["amp"]
        assert sorted(values) == sorted(one[1] + other[1])
        assert values.dtype == kind


def test_whole_numbers_that_a_common_type_would_round_are_refused(tmp_path: Path) -> None:
    for name, ids in (("a", np.array([2**60 + 1, 2])), ("b", np.array([0.5, 2])), ("c", np.array([2**60, 2]))):
        write(tmp_path / f"{name}.npz", PointCloud(np.zeros((2, 3)), {"id": ids}))
    with pytest.raises(PcaugError, match=r"field 'id' \(int64\) holds values that do not fit float64.*a\.npz"):
        convert([tmp_path / "b.npz", tmp_path / "a.npz"], tmp_path / "all.npz")
    assert not (tmp_path / "all.npz").exists()
    convert([tmp_path / "b.npz", tmp_path / "c.npz"], tmp_path / "all.npz")
    assert read(tmp_path / "all.npz")["id"].tolist() == [0.5, 2, 2**60, 2]


def test_colours_of_a_later_scan_are_written_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, wide = (PointCloud(np.zeros((2, 3)), {"row": np.array([1, top], kind)}) for kind, top in (("u1", 200), ("u2", 1000)))
    write(tmp_path / "a.npz", narrow)
    monkeypatch.setattr("pcaug.corpus.sources.Scan.raw", lambda self, size=CHUNK: iter([narrow, wide]))
    with pytest.raises(PcaugError, match=r"field 'row' \(uint16\) holds values that do not fit uint8"):
        convert(tmp_path / "a.npz", tmp_path / "b.npz")


def classes(path: Path) -> list[int]:
    return list(laspy.read(path).classification)


def test_classes_stay_where_a_las_is_encoded_anew(tmp_path: Path) -> None:
    files = [make_las(tmp_path / "a.las", scale=0.001, classes=6), make_las(tmp_path / "b.las", classes=2)]
    convert(files, tmp_path / "two.las")
    convert(files, tmp_path / "labelled.las", "las")
    convert(files[0], tmp_path / "moved.las", steps=Steps(from_crs="EPSG:2154", crs="EPSG:25832"))
    assert classes(tmp_path / "two.las") == classes(tmp_path / "labelled.las") == [6, 6, 2, 2]
    assert classes(tmp_path / "moved.las") == [6, 6]


def test_ids_of_las_are_the_classes_of_the_file(tmp_path: Path) -> None:
    write(tmp_path / "a.ply", PointCloud(np.zeros((2, 3)), {"native_label": np.array([6, 9], np.int32)}))
    convert(tmp_path / "a.ply", tmp_path / "labelled.ply", "las")
    convert(tmp_path / "labelled.ply", tmp_path / "a.las", ids_of="las")
    assert classes(tmp_path / "a.las") == [6, 9]


def test_a_crs_that_is_told_stands_in_the_file(tmp_path: Path) -> None:
    convert(make_las(tmp_path / "a.las"), tmp_path / "b.las", steps=Steps(from_crs="EPSG:2154"))
    assert laspy.read(tmp_path / "b.las").header.parse_crs() == CRS.from_epsg(2154)


def test_class_ids_of_several_datasets_are_not_mixed_in_a_file(tmp_path: Path) -> None:
    drive = tmp_path / "sequences" / "00" / "velodyne" / "000000.bin"
    drive.parent.mkdir(parents=True)
    write(drive, PointCloud(np.zeros((3, 3)), {"native_label": np.array([40, 50, 0], np.int32)}))
    write(tmp_path / "a.las", PointCloud(np.ones((3, 3)), {"native_label": np.array([2, 6, 0], np.int32)}, crs="EPSG:25832"))
    both = [tmp_path / "a.las", drive]
    with pytest.raises(PcaugError, match="las and semantickitti mean different classes by the same ids"):
        convert(both, tmp_path / "out.ply")
    assert not (tmp_path / "out.ply").exists()
    drive.with_suffix(".label").unlink()  # no ids, nothing to mix
    report = convert(both, tmp_path / "out.ply")
    assert any("1 scan, each with an origin of its own, lies among the points of the others" in note for note in report.notes)
    assert any("1 source without a CRS" in note for note in report.notes)


def test_a_label_file_that_lies_there_is_kept_unless_forced(tmp_path: Path) -> None:
    write(tmp_path / "s.ply", PointCloud(np.zeros((2, 3))))
    (tmp_path / "scan.label").write_text("labels by hand")
    with pytest.raises(PcaugError, match=r"scan\.label"):
        convert(tmp_path / "s.ply", tmp_path / "scan.bin")
    assert (tmp_path / "scan.label").read_text() == "labels by hand"
    convert(tmp_path / "s.ply", tmp_path / "scan.bin", force=True)
    assert len(read(tmp_path / "scan.bin")) == 2


TREE = catalogue.taxonomy()


def test_labels_that_changed_are_written_and_not_the_ids_of_before() -> None:
    label = np.array([TREE.id("road"), TREE.id("building")], np.uint16)
    cloud = PointCloud(
        np.zeros((2, 3)), {"label": label, "native_label": np.int32([40, 40])}, TREE, source=Source(dataset="semantickitti")
    )
    (out,) = with_ids(iter([cloud]), "semantickitti", Counter())
    assert out["native_label"].tolist() == [40, 50]


def test_colours_and_intensities_of_several_scales_meet_in_one_file(tmp_path: Path) -> None:
    unit = np.linspace(0, 1, 64).astype(np.float32)
    byte, wide = np.rint(unit * 255).astype(np.uint8), np.rint(unit * 65535).astype(np.uint16)
    sources = []
    for name, values in (("bytes", byte), ("unit", unit), ("wide", wide)):
        fields = {"rgb": np.stack([values, values, values[::-1]], axis=1), "intensity": values}
        sources.append(tmp_path / f"{name}.npz")
        write(sources[-1], PointCloud(np.random.default_rng(0).uniform(0, 9, (64, 3)), fields))
    for order in (sources, sources[::-1]):
        convert(order, tmp_path / "all.laz", force=True)
        rgb = read(tmp_path / "all.laz")["rgb"].reshape(3, 64, 3)[:, :, 0]
        np.testing.assert_allclose(rgb, np.stack([wide] * 3), atol=129)  # half a step of 8 bits
    convert(sources[:2], tmp_path / "two.ply")  # nothing of 16 bits: as other programs expect it
    assert read(tmp_path / "two.ply")["rgb"].dtype == np.uint8
    convert(sources[1:], tmp_path / "counts.laz")
    intensity = read(tmp_path / "counts.laz")["intensity"].reshape(2, 64)
    np.testing.assert_allclose(intensity, [wide, wide], atol=1)


def test_times_that_count_from_other_beginnings_are_told(tmp_path: Path) -> None:
    for kind in (0, 1):
        las = laspy.create(point_format=6, file_version="1.4")
        las.header.global_encoding.gps_time_type = laspy.header.GpsTimeType(kind)
        las.x, las.y, las.z, las.gps_time = [1.0, 2], [3.0, 4], [5.0, 6], [1e5, 2e5]
        las.write(tmp_path / f"{kind}.las")
    told = convert([tmp_path / "0.las", tmp_path / "1.las"], tmp_path / "both.las")
    assert any("adjusted standard GPS" in note for note in told.notes)
    assert not convert([tmp_path / "0.las", tmp_path / "0.las"], tmp_path / "one.las").notes


def test_colours_that_begin_dark_are_of_their_types_scale_or_refused(tmp_path: Path) -> None:
    count = CHUNK + 20  # the first chunk is what the scale is told from
    write(tmp_path / "bytes.npz", PointCloud(np.zeros((3, 3)), {"rgb": np.full((3, 3), 200, np.uint8)}))
    for name, dark in (("black", 0), ("dim", 90)):
        rgb = np.full((count, 3), dark, np.uint16)
        rgb[-20:] = 60_000
        write(tmp_path / f"{name}.las", PointCloud(np.zeros((count, 3)), {"rgb": rgb}))
    convert([tmp_path / "bytes.npz", tmp_path / "black.las"], tmp_path / "all.las")
    assert Counter(read(tmp_path / "all.las")["rgb"][:, 0].tolist()) == {51_400: 3, 0: CHUNK, 60_000: 20}
    with pytest.raises(PcaugError, match="rgb goes up to 60000 after points of a smaller scale"):
        convert([tmp_path / "bytes.npz", tmp_path / "dim.las"], tmp_path / "dim_all.las")
    assert not (tmp_path / "dim_all.las").exists()
