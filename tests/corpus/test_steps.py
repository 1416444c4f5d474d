"""Steps on the way: ids, reprojection, filters, thinning."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import laspy
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from pcaug import catalogue, formats
from pcaug.cloud import PointCloud, Source
from pcaug.corpus.convert import convert, with_ids
from pcaug.corpus.export import export
from pcaug.corpus.merge import merge
from pcaug.corpus.metres import same_crs
from pcaug.corpus.read import Corpus
from pcaug.corpus.steps import IdMap, Steps, load_id_map, reprojected, thinned
from pcaug.errors import FileError, LabelError, PcaugError, RecipeError, UnmappedLabels
from pcaug.labels import IGNORE

TREE = catalogue.taxonomy()


def cloud(count: int = 1000, seed: int = 0, crs: str | None = None) -> PointCloud:
    rng = np.random.default_rng(seed)
    labels = rng.choice([TREE.id(name) for name in ("building", "tree", "terrain")], count).astype(np.uint16)
    fields = {"label": labels, "native_label": rng.integers(1, 7, count).astype(np.int32), "row": np.arange(count)}
    return PointCloud(rng.uniform(0, 10, (count, 3)), fields, TREE, crs=crs)


def chunks(whole: PointCloud, size: int) -> list[PointCloud]:
    return [whole.take(slice(a, a + size)) for a in range(0, len(whole), size)]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 400), st.integers(1, 50), st.integers(1, 7))
def test_every_counts_over_chunks(count: int, size: int, every: int) -> None:
    kept = [c for c in Steps(every=every).apply(chunks(cloud(count), size)) if len(c)]
    assert np.concatenate([c["row"] for c in kept]).tolist() == list(range(0, count, every))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.floats(0.5, 8))
def test_a_cell_keeps_one_real_point_of_its_majority_label(count: int, size: int, voxel: float) -> None:
    whole = cloud(count)
    thin = next(iter(thinned(chunks(whole, size), voxel)))
    cells: dict[tuple[int, ...], list[int]] = {}
    for index, cell in enumerate(np.floor(whole.xyz / voxel).astype(int).tolist()):
        cells.setdefault(tuple(cell), []).append(index)
    assert len(thin) == len(cells)
    for point, row, label in zip(thin.xyz, thin["row"], thin["label"], strict=True):
        members = cells[tuple(np.floor(point / voxel).astype(int).tolist())]
        counts = Counter(whole["label"][members].tolist())
        assert counts[int(label)] == max(counts.values())
        np.testing.assert_array_equal(whole.xyz[row], point)
        alike = [i for i in members if whole["label"][i] == label]
        off = np.linalg.norm(whole.xyz[alike] / voxel - np.floor(point / voxel) - 0.5, axis=1)
        assert alike[int(np.argmin(off))] == row


def test_thinning_does_not_depend_on_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pcaug.corpus.steps.PENDING", 100)
    whole = cloud(5000)
    one, many = next(iter(thinned([whole], 0.7))), next(iter(thinned(chunks(whole, 37), 0.7)))
    np.testing.assert_array_equal(one["row"], many["row"])


def test_bounds_and_classes_keep_what_they_name(tmp_path: Path) -> None:
    whole = cloud()
    steps = Steps(bounds=((2, 3), (5, 9)), classes=("vegetation",))
    kept = next(iter(steps.apply([whole])))
    inside = ((whole.xyz[:, :2] >= (2, 3)) & (whole.xyz[:, :2] <= (5, 9))).all(axis=1)
    np.testing.assert_array_equal(kept["row"], whole["row"][inside & (whole["label"] == TREE.id("tree"))])
    ids = next(iter(Steps(classes=("2", "5")).apply([whole])))
    assert set(ids["native_label"].tolist()) == {2, 5}
    with pytest.raises(LabelError, match="--card"):
        list(Steps(classes=("tree",)).apply([whole.with_fields(label=None)]))


def test_reprojection_agrees_with_a_known_place() -> None:
    """By its definition (EPSG:2154) Lambert-93 has 3 E, 46.5 N at 700 km, 6600 km."""
    there = PointCloud(np.array([[3.0, 46.5, 35.0]]), crs="EPSG:4171")
    moved = reprojected(there, "EPSG:2154")
    np.testing.assert_allclose(moved.xyz[0], (700_000, 6_600_000, 35.0), atol=1e-6)
    np.testing.assert_allclose(reprojected(moved, "EPSG:4171").xyz, there.xyz, atol=1e-7)
    with pytest.raises(FileError, match="--from-crs"):
        reprojected(cloud(), "EPSG:2154")
    with pytest.raises(PcaugError, match="cannot transform from"):
        reprojected(there, "EPSG:nonsense")


def test_places_and_directions_are_reprojected_with_the_points() -> None:
    rng = np.random.default_rng(0)
    xyz = rng.uniform(0, 500, (40, 3)) + (780_000, 5_400_000, 300)  # far from the meridian: norths differ by 5 degrees
    scanner = xyz + rng.uniform(-5, 5, (40, 3))
    toward = (scanner - xyz) / np.linalg.norm(scanner - xyz, axis=1, keepdims=True)
    fields = {"sensor_origin": scanner, "normal": toward.astype(np.float32)}
    moved = reprojected(PointCloud(xyz, fields, crs="EPSG:25832"), "EPSG:25833")
    np.testing.assert_array_equal(moved["sensor_origin"], reprojected(PointCloud(scanner, crs="EPSG:25832"), "EPSG:25833").xyz)
    seen = moved["sensor_origin"] - moved.xyz
    np.testing.assert_allclose(moved["normal"], seen / np.linalg.norm(seen, axis=1, keepdims=True), atol=1e-3)
    assert np.abs(moved["normal"] - toward).max() > 0.05
    assert moved["normal"].dtype == np.float32
    with pytest.warns(UserWarning, match="'normal'.* is left out"):
        assert list(reprojected(moved, "EPSG:4258").fields) == ["sensor_origin"]


def test_degrees_become_metres_on_the_way_into_a_corpus(tmp_path: Path) -> None:
    degrees = cloud(50)
    degrees = PointCloud(degrees.xyz * 1e-4 + (2.29, 48.85, 30), dict(degrees.fields), TREE, crs="EPSG:4326")
    formats.write(tmp_path / "a.las", degrees)
    assert (np.abs(formats.read(tmp_path / "a.las").xyz - degrees.xyz) <= (1e-7, 1e-7, 1e-3)).all()
    with pytest.raises(FileError, match="projected"):
        merge([tmp_path / "a.las"], tmp_path / "c", ["las"])
    merge([tmp_path / "a.las"], tmp_path / "c", ["las"], steps=Steps(crs="EPSG:2154"))
    corpus = Corpus.open(tmp_path / "c")
    assert corpus.points == 50
    assert 647_000 < corpus.tiles[0].bounds[0][0] < 649_000  # type: ignore[index]
    assert "Lambert" in str(corpus.manifest.crs)


def test_an_id_map_renames_and_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('other = "keep"\n[ids]\n1 = 6\n2 = 64\n')
    ids = load_id_map(tmp_path / "m.toml")
    assert ids.apply(np.array([1, 2, 3])).tolist() == [6, 64, 3]
    with pytest.raises(UnmappedLabels, match=r"3 \(2 points\)"):
        IdMap(ids={"1": 6}).apply(np.array([1, 3, 3]))
    formats.write(tmp_path / "a.las", cloud())
    convert(tmp_path / "a.las", tmp_path / "b.las", steps=Steps(ids=ids))
    before, after = formats.read(tmp_path / "a.las")["native_label"], formats.read(tmp_path / "b.las")["native_label"]
    np.testing.assert_array_equal(ids.apply(before), after)


@pytest.mark.parametrize("wrong", [3_000_000_000, -3_000_000_000])
def test_an_id_map_refuses_ids_beyond_32_bits(tmp_path: Path, wrong: int) -> None:
    (tmp_path / "m.toml").write_text(f"[ids]\n1 = {wrong}\n")
    with pytest.raises(RecipeError, match="ids"):
        load_id_map(tmp_path / "m.toml")


@pytest.mark.parametrize(("axis", "far"), [(0, 2_097.152), (1, 2_097.152), (2, 1_048.576)])
def test_points_of_two_cells_are_never_taken_for_ones_of_the_same(axis: int, far: float) -> None:
    xyz = np.full((2, 3), 0.0005)
    xyz[1, axis] += far
    for pieces in ([PointCloud(xyz)], [PointCloud(xyz[:1]), PointCloud(xyz[1:])]):
        with pytest.raises(PcaugError, match=r"cells of 0\.001 m are too small"):
            list(thinned(pieces, 0.001))
        assert sum(map(len, thinned(pieces, 0.01))) == 2


def test_labels_become_the_ids_of_a_dataset_and_come_back(tmp_path: Path) -> None:
    formats.write(tmp_path / "a.parquet", cloud().with_fields(native_label=None))
    convert(tmp_path / "a.parquet", tmp_path / "a.bin", ids_of="semantickitti")
    native = formats.read(tmp_path / "a.bin")["native_label"]
    assert set(native.tolist()) <= {50, 70, 72}  # building, vegetation, terrain of SemanticKITTI's label list
    whole = cloud().with_fields(label=np.full(1000, TREE.id("water"), np.uint16))
    formats.write(tmp_path / "w.parquet", whole)
    with pytest.raises(PcaugError, match="no class for water"):
        convert(tmp_path / "w.parquet", tmp_path / "w.bin", ids_of="hessigheim")
    report = convert(tmp_path / "w.parquet", tmp_path / "w.bin", ids_of="parislille3d")
    assert "no class for water: 1,000 points written as unlabelled" in report.notes[0]


def test_labels_are_made_as_coarse_as_asked(tmp_path: Path) -> None:
    formats.write(tmp_path / "a.parquet", cloud())
    merge([tmp_path / "a.parquet"], tmp_path / "c", coarse="als3")
    counts = Corpus.open(tmp_path / "c").counts()
    assert sum(counts.values()) == 1000
    assert set(counts) == {group.name for group in TREE.preset("als3")} == {"ground", "vegetation", "building"}


def test_labels_that_are_too_coarse_are_named(tmp_path: Path) -> None:
    labels = np.repeat([TREE.id(name) for name in ("tree", "vegetation", "road")], 5).astype(np.uint16)
    formats.write(tmp_path / "a.parquet", PointCloud(np.arange(45.0).reshape(15, 3), {"label": labels}, taxonomy=TREE))
    assert not any("no class" in note for note in merge([tmp_path / "a.parquet"], tmp_path / "c", coarse="drive9").notes)
    ground = PointCloud(np.arange(15.0).reshape(5, 3), {"label": np.full(5, TREE.id("ground"), np.uint16)}, taxonomy=TREE)
    formats.write(tmp_path / "b.parquet", ground)
    report = merge([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "d", coarse="drive9")
    assert "--coarse has no class for points known only as ground: they are ignored" in report.notes
    assert Corpus.open(tmp_path / "d").counts()["ignore"] == 5


def test_the_rest_of_a_preset_is_called_other_and_is_learned(tmp_path: Path) -> None:
    native = np.repeat([40, 50, 51, 30, 10, 70], 50).astype(np.int32)  # SemanticKITTI: road building fence person car vegetation
    formats.write(tmp_path / "a.ply", PointCloud(np.random.default_rng(0).random((300, 3)), {"native_label": native}))
    merge([tmp_path / "a.ply"], tmp_path / "fine", ["semantickitti"])
    assert set(Corpus.open(tmp_path / "fine").counts()) >= {"wall_fence", "person"}
    for source, card in ((tmp_path / "a.ply", "semantickitti"), (tmp_path / "fine", None)):
        merge([source], tmp_path / "coarse", [card], coarse="urban6", force=True)
        coarse = Corpus.open(tmp_path / "coarse")
        assert coarse.counts() == {"building": 50, "other": 100, "ground": 50, "vegetation": 50, "vehicle": 50}
        assert coarse.used_nodes == {TREE.id(name) for name in coarse.counts()}
    convert(tmp_path / "coarse", tmp_path / "b.las")
    assert sorted(set(laspy.read(tmp_path / "b.las").classification)) == [1, 2, 5, 6, 109]  # 1: unclassified, and no water


def test_several_files_become_one(tmp_path: Path) -> None:
    for index in range(3):
        formats.write(tmp_path / f"{index}.las", cloud(100 + index, seed=index))
    report = convert([tmp_path / f"{i}.las" for i in range(3)], tmp_path / "all.laz")
    assert report.points == 303
    joined = formats.read(tmp_path / "all.laz")
    parts = [formats.read(tmp_path / f"{i}.las") for i in range(3)]
    np.testing.assert_array_equal(joined["native_label"], np.concatenate([p["native_label"] for p in parts]))
    np.testing.assert_allclose(joined.xyz, np.concatenate([p.xyz for p in parts]), atol=1e-9)


@pytest.mark.parametrize(
    ("old", "new", "before", "after"),
    [
        ("EPSG:2994", "EPSG:32610", 400.0, 121.92),  # international feet
        ("EPSG:2994+6360", "EPSG:32610", 400.0, 400 * 1200 / 3937),  # heights in US survey feet
        ("EPSG:32610", "EPSG:2994", 121.92, 400.0),
        ("EPSG:4326", "EPSG:32610", 30.0, 30.0),
    ],
)
def test_heights_are_counted_in_the_unit_of_their_crs(old: str, new: str, before: float, after: float) -> None:
    place = {"EPSG:2994": (400_000.0, 600_000.0), "EPSG:32610": (500_000.0, 5_000_000.0), "EPSG:4326": (-122.0, 45.0)}
    x, y = place[old.split("+")[0]]
    moved = reprojected(PointCloud(np.array([[x, y, before]]), crs=old), new)
    assert moved.xyz[0, 2] == pytest.approx(after, abs=1e-6)


def test_sizes_are_metres_in_a_file_that_counts_feet(tmp_path: Path) -> None:
    line = np.column_stack([400_000 + np.arange(0, 100, 0.5), np.full(200, 600_000.0), np.zeros(200)])  # 0.5 ft apart
    formats.write(tmp_path / "feet.las", PointCloud(line, crs=CRS.from_epsg(2994).to_wkt()))
    convert(tmp_path / "feet.las", tmp_path / "thin.las", steps=Steps(voxel=3.048))
    thin = formats.read(tmp_path / "thin.las")
    np.testing.assert_allclose(np.diff(np.sort(thin.xyz[:, 0])), 10, atol=0.6)  # cells of ten feet, in feet as before
    assert len(thin) == 10


def test_cells_have_no_size_in_degrees(tmp_path: Path) -> None:
    formats.write(tmp_path / "a.las", PointCloud(np.zeros((3, 3)) + (500_000, 4_500_000, 0), crs=CRS.from_epsg(32610).to_wkt()))
    with pytest.raises(PcaugError, match=r"counts in metres, but the points in degrees, .*thin first"):
        convert(tmp_path / "a.las", tmp_path / "b.las", steps=Steps(crs="EPSG:4326", voxel=0.5))
    assert not (tmp_path / "b.las").exists()
    convert(tmp_path / "a.las", tmp_path / "b.las", steps=Steps(crs="EPSG:4326", bounds=((-124, 40), (-122, 41))))
    assert len(formats.read(tmp_path / "b.las")) == 3


@pytest.mark.parametrize("kind", ["file", "labelled", "corpus", "tiles"])
def test_a_crs_in_feet_is_what_is_written_whatever_the_source(tmp_path: Path, kind: str) -> None:
    line = np.column_stack([np.arange(0, 30, 0.3048), np.zeros(99), np.zeros(99)]) + (500_000, 4_500_000, 0)
    cloud = PointCloud(line, {"native_label": np.full(99, 2, np.int32)}, crs=CRS.from_epsg(32610).to_wkt())
    formats.write(tmp_path / "metres.las", cloud)
    steps = Steps(crs="EPSG:2994", voxel=3.048)  # cells of ten feet
    out = tmp_path / "feet.las"
    if kind in ("corpus", "tiles"):
        convert(tmp_path / "metres.las", tmp_path / "c", "las")
    if kind == "tiles":
        export(Corpus.open(tmp_path / "c"), tmp_path / "out", ".las", steps=steps)
        (out,) = (tmp_path / "out").glob("*.las")
    else:
        source = tmp_path / ("c" if kind == "corpus" else "metres.las")
        convert(source, out, "las" if kind == "labelled" else None, steps=steps)
    thin = formats.read(out)
    assert same_crs(str(thin.crs), "EPSG:2994")
    assert 9 <= len(thin) <= 12
    np.testing.assert_allclose(np.ptp(thin.xyz[:, 0]), 88, atol=11)


def test_what_augmentation_scattered_is_written_as_unlabelled() -> None:
    label = np.array([TREE.id("road"), IGNORE], np.uint16)
    source = Source(dataset="semantickitti")
    cloud = PointCloud(np.zeros((2, 3)), {"label": label, "native_label": np.int32([40, -1])}, TREE, source=source)
    (out,) = with_ids(iter([cloud]), "semantickitti", Counter())
    assert out["native_label"].tolist() == [40, 0]


@pytest.mark.parametrize(
    "wrong", [{"every": 0}, {"every": 1.5}, {"voxel": -1.0}, {"voxel": np.nan}, {"bounds": ((3, 3), (1, 1))}, {"bounds": "ab"}]
)
def test_steps_that_cannot_be_taken_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(PcaugError):
        Steps(**wrong)  # type: ignore[arg-type]
