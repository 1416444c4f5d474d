"""Corpora back to files of other formats, with the labels of other datasets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from builders import run

from pcaug import catalogue, formats
from pcaug.cloud import PointCloud
from pcaug.corpus.convert import convert
from pcaug.corpus.export import export
from pcaug.corpus.merge import merge
from pcaug.corpus.read import Corpus
from pcaug.corpus.summary import summary
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import NotFound, PcaugError

TREE = catalogue.taxonomy()


def corpus(folder: Path) -> Corpus:
    with CorpusWriter(folder, frame="sensor") as writer:
        for index in range(4):
            rng = np.random.default_rng(index)
            labels = rng.choice([TREE.id("road"), TREE.id("car"), TREE.id("building"), TREE.id("tree")], 200).astype(np.uint16)
            fields = {"label": labels, "instance": np.arange(200, dtype=np.int32), "intensity": rng.random(200, np.float32)}
            writer.add(PointCloud(rng.uniform(-50, 50, (200, 3)), fields, TREE), f"scan-{index}", f"drive-{index // 2}")
    return Corpus.open(folder)


def test_a_corpus_becomes_kittis_layout_and_comes_back_the_same(tmp_path: Path) -> None:
    before = corpus(tmp_path / "c")
    report = export(before, tmp_path / "kitti", ".bin", "semantickitti")
    assert (
        "KITTI's layout numbers drives and scans, in the order of the corpus: sequences/00 is drive-0, 01 is drive-1"
        in report.notes
    )
    names = sorted(p.relative_to(tmp_path / "kitti").as_posix() for p in formats.below(tmp_path / "kitti"))
    assert names[:4] == [
        "sequences/00/labels/000000.label",
        "sequences/00/labels/000001.label",
        "sequences/00/velodyne/000000.bin",
        "sequences/00/velodyne/000001.bin",
    ]
    merge([tmp_path / "kitti"], tmp_path / "again")
    after = Corpus.open(tmp_path / "again")
    assert after.units == ["00", "01"]
    expected = before.counts()
    expected["vegetation"] = expected.pop("tree")  # SemanticKITTI has no class for whole trees
    assert after.counts() == expected
    first, other = before.read(before.tiles[0]), after.read(after.tiles[0])
    np.testing.assert_allclose(first.xyz, other.xyz, atol=1e-5)
    np.testing.assert_array_equal(first["instance"], other["instance"])


def test_tiles_become_files_of_any_format(tmp_path: Path) -> None:
    before = corpus(tmp_path / "c")
    report = export(before, tmp_path / "laz", ".laz")
    files = formats.below(tmp_path / "laz")
    assert [p.suffix for p in files] == [".laz"] * 4
    assert report.points == 800 == sum(len(formats.read(p)) for p in files)
    np.testing.assert_array_equal(formats.read(files[0])["label"], before.read(before.tiles[0])["label"])
    with pytest.raises(PcaugError, match="already exists"):
        export(before, tmp_path / "laz", ".laz")
    with pytest.raises(NotFound, match=r"--each '\.exe' names no format, choose from .*\.ply"):
        export(before, tmp_path / "other", ".exe")
    assert not (tmp_path / "other").exists()
    with pytest.raises(PcaugError, match="lies in the source"):
        export(before, tmp_path / "c" / "laz", ".laz")


def test_filters_hold_for_tiles_that_become_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = corpus(tmp_path / "c")
    to_cars = ("convert", tmp_path / "c", tmp_path / "cars", "--each", ".ply", "--classes", "car")
    run(capsys, *to_cars, "--bounds", "0,0,50,50", "--voxel", 20)
    clouds = [formats.read(path) for path in formats.below(tmp_path / "cars") if formats.is_known(path)]
    assert len(clouds) == 4
    for cloud, tile in zip(clouds, before.tiles, strict=True):
        whole = before.read(tile)
        inside = (whole["label"] == TREE.id("car")) & (whole.xyz[:, :2] >= 0).all(axis=1)
        assert len(cloud) == len(np.unique(np.floor(whole.xyz[inside] / 20), axis=0))
        assert (cloud["label"] == TREE.id("car")).all()
    to_none = ("convert", tmp_path / "c", tmp_path / "none", "--each", ".ply")
    for more, said in (
        (("--bounds", "900,900,901,901"), "no points are left"),
        (("--coarse", "als3"), "--each writes the tiles"),
    ):
        assert said in run(capsys, *to_none, *more, code=1)[1]
        assert not (tmp_path / "none").exists()


def test_an_error_names_the_file_that_is_wanted(tmp_path: Path) -> None:
    far = PointCloud(np.full((3, 3), 20_000.0), {"label": np.full(3, TREE.id("road"), np.uint16)}, TREE)
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(far, "a", "a")
    with pytest.raises(PcaugError, match="too far from the origin") as caught:
        export(Corpus.open(tmp_path / "c"), tmp_path / "out", ".bin")
    assert caught.value.where == str(tmp_path / "out/sequences/00/velodyne/000000.bin")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("suffix", [".ply", ".bin"])
def test_force_replaces_what_an_export_wrote_and_nothing_else(tmp_path: Path, suffix: str) -> None:
    whole = corpus(tmp_path / "c")
    export(whole, tmp_path / "out", suffix)
    export(whole.only(units=["drive-1"]), tmp_path / "out", suffix, force=True)
    assert len([path for path in formats.below(tmp_path / "out") if formats.is_known(path)]) == 2
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(PcaugError, match=r"holds thesis\.txt, which is no part of an export"):
        export(whole, tmp_path / "out", suffix, force=True)
    with pytest.raises(PcaugError, match="lies in the source"):
        export(whole, tmp_path / "c", suffix, force=True)
    with pytest.raises(PcaugError, match="is a file, but a folder is written"):
        export(whole, tmp_path / "out" / "thesis.txt", suffix, force=True)
    assert (tmp_path / "out" / "thesis.txt").read_text() == "years of work"
    assert Corpus.open(tmp_path / "c").points == 800
    assert {path.name for path in tmp_path.iterdir()} == {"c", "out"}


def test_points_of_a_dataset_get_their_own_ids_back(tmp_path: Path) -> None:
    home = tmp_path / "set/sequences/00"
    (home / "velodyne").mkdir(parents=True)
    (home / "labels").mkdir()
    np.random.default_rng(0).uniform(1, 9, (4, 4)).astype("<f4").tofile(home / "velodyne/000000.bin")
    native = np.array([71, 70, 252, 40], "<u4")  # trunk, vegetation, moving car, road
    native.tofile(home / "labels/000000.label")
    merge([tmp_path / "set"], tmp_path / "c", ["semantickitti"])
    export(Corpus.open(tmp_path / "c"), tmp_path / "back", ".bin", "semantickitti")
    np.testing.assert_array_equal(np.fromfile(tmp_path / "back/sequences/00/labels/000000.label", "<u4"), native)


@pytest.mark.parametrize(
    "line",
    [
        "convert a.ply a.ply --voxel 1", "convert link.ply a.ply --voxel 1", "convert . a.ply --voxel 1",
        "merge a.ply b.ply -o b.ply", "objects c -o c", "augment spinning c -o c", "augment spinning c -o c/more",
        "compose street -n 1 --like c -o c", "compose street -n 1 --into c -o c",
    ],
)  # fmt: skip
def test_what_is_read_is_never_written_over(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    corpus(tmp_path / "c")
    for name in ("a.ply", "b.ply"):
        formats.write(tmp_path / name, iter(Corpus.open(tmp_path / "c").clouds()))
    (tmp_path / "link.ply").symlink_to("a.ply")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    said = run(capsys, *line.split(), "--force", code=1)[1]
    assert "is the source itself" in said or "lies in the source" in said
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_info_counts_the_classes_that_a_file_says_itself(tmp_path: Path) -> None:
    """The ids of another dataset stand beside them, which the guessed card names otherwise."""
    before = corpus(tmp_path / "c")
    export(before, tmp_path / "kitti", ".bin", "semantickitti")
    for name in ("scan.laz", "scan.ply"):
        convert(tmp_path / "kitti/sequences/00/velodyne/000000.bin", tmp_path / name, "semantickitti")
        assert "native_label" in formats.read(tmp_path / name)
        known = TREE.counts(before.read(before.tiles[0])["label"])
        known["vegetation"] = known.pop("tree")  # as SemanticKITTI calls it
        assert summary(tmp_path / name)["classes"] == known
