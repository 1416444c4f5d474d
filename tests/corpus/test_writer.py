"""The writer of corpora: any number of scans, nothing replaced that is no corpus, the same bytes every time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builders import make_cloud
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pcaug import catalogue, formats
from pcaug.cloud import PointCloud
from pcaug.corpus import write
from pcaug.corpus.manifest import SourceRow
from pcaug.corpus.read import Corpus
from pcaug.corpus.write import CorpusWriter
from pcaug.errors import FileError, LabelError, PcaugError

TREE = catalogue.taxonomy()


def test_force_never_replaces_what_is_no_corpus(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.tex").write_text("years of work")
    with pytest.raises(PcaugError, match=r"holds thesis\.tex, which is no part of a corpus"):
        CorpusWriter(home, force=True)
    with pytest.raises(PcaugError, match="is a file, but a folder is written"):
        CorpusWriter(home / "thesis.tex", force=True)
    assert (home / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_corpus_with_something_of_the_users_is_not_replaced(tmp_path: Path, when: str) -> None:
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(make_cloud(10), "a", "a")
    mine = tmp_path / "c" / "tiles" / "notes.txt"

    def replace() -> None:
        with CorpusWriter(tmp_path / "c", force=True) as writer:
            writer.add(make_cloud(20), "a", "a")
            mine.write_text("mine")

    if when == "before":
        mine.write_text("mine")
    with pytest.raises(PcaugError, match=r"holds tiles/notes\.txt, which is no part of a corpus"):
        replace()
    assert mine.read_text() == "mine"
    assert Corpus.open(tmp_path / "c").points == 10
    assert [path.name for path in tmp_path.iterdir()] == ["c"]


def test_force_replaces_a_corpus_and_keeps_it_if_the_new_one_fails(tmp_path: Path) -> None:
    def make(points: int, *, fail: bool = False) -> None:
        with CorpusWriter(tmp_path / "c", force=True) as writer:
            writer.add(make_cloud(points), "a", "a")
            if fail:
                raise PcaugError("source broke")

    make(10)
    make(20)
    with pytest.raises(PcaugError, match="source broke"):
        make(30, fail=True)
    assert Corpus.open(tmp_path / "c").points == 20
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_scans_are_closed_when_the_next_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "BUFFERED", 0)  # every tile opens a file at once
    with CorpusWriter(tmp_path / "c") as writer:
        for index in range(30):
            writer.add(make_cloud(5, seed=index), f"scan{index}", "u")
            writer.add(make_cloud(5, seed=index + 99), f"scan{index}", "u")
            assert len(writer._open) == 1
    corpus = Corpus.open(tmp_path / "c")
    assert [tile.points for tile in corpus.tiles] == [10] * 30


def test_more_places_than_files_may_be_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(write, "OPEN", 4)
    monkeypatch.setattr(write, "BUFFERED", 10)
    cloud = make_cloud(400, size=40.0)
    with CorpusWriter(tmp_path / "c", tile=5.0) as writer:
        for start in range(0, 400, 50):
            writer.add(cloud.take(slice(start, start + 50)), "a", "a")
            assert len(writer._open) <= 4
    corpus = Corpus.open(tmp_path / "c")
    assert corpus.points == 400
    assert corpus.counts() == TREE.counts(cloud["label"])
    back = np.concatenate([c.xyz for c in corpus.clouds()])
    np.testing.assert_array_equal(back[np.lexsort(back.T)], cloud.xyz[np.lexsort(cloud.xyz.T)])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=5),
    tile=st.sampled_from([None, 0.5, 3.0, 100.0]),
    shift=st.sampled_from([0.0, -3.7, 6_860_000.25]),
    seed=st.integers(0, 99),
)
def test_every_point_comes_back_with_all_it_had(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], tile: float | None, shift: float, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("c") / "corpus"
    clouds = []
    for index, n in enumerate(sizes):
        rng = np.random.default_rng((seed, index))
        rgb, serial = rng.integers(0, 65536, (n, 3)).astype(np.uint16), np.arange(n, dtype=np.int64) + 1000 * index
        cloud = make_cloud(n, seed=seed + index, rgb=rgb, serial=serial, native_label=rng.integers(-5, 99999, n).astype(np.int32))
        clouds.append(PointCloud(cloud.xyz + shift, cloud.fields, cloud.taxonomy))
    with CorpusWriter(folder, tile=tile) as writer:
        for index, cloud in enumerate(clouds):
            for half in (slice(0, len(cloud) // 2), slice(len(cloud) // 2, None)):
                writer.add(cloud.take(half), f"s{index}", f"u{index}")
    found = {int(s): (c, i) for c in Corpus.open(folder).clouds() for i, s in enumerate(c["serial"])}
    assert len(found) == sum(sizes)
    for cloud in clouds:
        for i, serial in enumerate(cloud["serial"]):
            back, j = found[int(serial)]
            assert (back.xyz[j] == cloud.xyz[i]).all()
            for name in cloud.fields:
                assert back[name].dtype == cloud[name].dtype
                assert (back[name][j] == cloud[name][i]).all()


def test_the_same_input_makes_the_same_bytes(tmp_path: Path) -> None:
    made = []
    for name in ("one", "two"):
        with CorpusWriter(tmp_path / name / "c", tile=4.0) as writer:
            writer.add(make_cloud(200), "a", "a")
        files = sorted((tmp_path / name / "c").rglob("*"))
        made.append([(p.relative_to(tmp_path / name), p.read_bytes()) for p in files if p.is_file()])
    assert made[0] == made[1]


def test_numbers_that_are_no_classes_are_refused(tmp_path: Path) -> None:
    cloud = make_cloud(10)
    label = np.array(cloud["label"])
    label[:3] = 77
    with pytest.raises(LabelError, match=r"77 \(3 points\)"), CorpusWriter(tmp_path / "c") as writer:
        writer.add(cloud.with_fields(label=label), "a", "a")
    label[:3] = 4000  # beyond the table of counts
    with pytest.raises(LabelError, match="4000"), CorpusWriter(tmp_path / "c") as writer:
        writer.add(cloud.with_fields(label=label), "a", "a")
    assert not list(tmp_path.iterdir())


def test_a_crs_is_not_lent_to_scans_that_have_none(tmp_path: Path) -> None:
    plain = make_cloud(5)
    placed = PointCloud(plain.xyz, plain.fields, plain.taxonomy, "EPSG:2154")
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(placed, "a", "a")
        writer.add(plain, "b", "b")
        with pytest.raises(PcaugError, match="another CRS"):
            writer.add(PointCloud(plain.xyz, plain.fields, plain.taxonomy, "EPSG:32631"), "c", "c")
    corpus = Corpus.open(tmp_path / "c")
    assert corpus.manifest.crs == "EPSG:2154"
    assert [cloud.crs for cloud in corpus.clouds()] == ["EPSG:2154", None]


def test_a_source_said_twice_is_one(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "c") as writer:
        for name, path in (("a", "x"), ("b", "y"), ("c", "x")):
            writer.source(SourceRow(path=path, nodes=(7,)))
            writer.add(make_cloud(10), name, name)
    corpus = Corpus.open(tmp_path / "c")
    assert [(row.path, row.points) for row in corpus.manifest.sources] == [("x", 20), ("y", 10)]
    assert [tile.source for tile in corpus.tiles] == [0, 1, 0]


def test_a_source_without_nodes_counts_with_what_occurs(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "c") as writer:
        writer.source(SourceRow(path="real", nodes=(7, 21)))  # the others of make_cloud's classes are minor
        writer.add(make_cloud(200), "a", "a")
    assert Corpus.open(tmp_path / "c").used_nodes == {7, 21}
    with CorpusWriter(tmp_path / "d") as writer:
        writer.source(SourceRow(path="real", nodes=(7, 21)))
        writer.add(make_cloud(200), "a", "a")
        writer.source(SourceRow(path="street"))
        writer.add(make_cloud(200), "b", "b")
    assert Corpus.open(tmp_path / "d").used_nodes == {0, 1, 2, 5, 7, 21}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": 7}, "comes from source 7, there are 1"),
        ({"points": 11}, "does not add up"),
        ({"points": -1}, "must be at least 0"),
        ({"counts": {"77": 10}}, "class '77'"),
        ({"counts": {"x": 10}}, "class 'x'"),
        ({"path": "/etc/passwd"}, "points outside the corpus"),
        ({"bounds": None}, "does not add up"),
        ({"strange": 1}, "strange"),
    ],
)
def test_a_manifest_that_does_not_hold_together_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(make_cloud(10), "a", "a")
    path = tmp_path / "c" / "manifest.json"
    whole = json.loads(path.read_text())
    whole["tiles"][0] |= change
    path.write_text(json.dumps(whole))
    with pytest.raises(FileError, match=message) as caught:
        Corpus.open(tmp_path / "c")
    assert "\n" not in str(caught.value)


def test_a_manifest_of_another_tree_or_a_later_layout_says_so(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(make_cloud(10), "a", "a")
    path = tmp_path / "c" / "manifest.json"
    whole = json.loads(path.read_text())
    path.write_text(json.dumps(whole | {"taxonomy": "other", "tiles": []}))
    with pytest.raises(LabelError, match="is labelled in other"):
        Corpus.open(tmp_path / "c")
    path.write_text(json.dumps(whole | {"schema_version": 99, "novelty": True}))
    with pytest.raises(FileError, match="update pcaug"):
        Corpus.open(tmp_path / "c")


def test_a_tile_that_is_gone_or_cut_is_refused(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(make_cloud(1000), "a", "a")
    corpus = Corpus.open(tmp_path / "c")
    path = tmp_path / "c" / corpus.tiles[0].path
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FileError):
        list(corpus.clouds())
    formats.write(path, make_cloud(5))
    with pytest.raises(FileError, match="holds 5 points, the manifest says 1000"):
        list(corpus.clouds())
    path.unlink()
    with pytest.raises(FileError, match="is missing"):
        list(corpus.clouds())


def test_here_is_a_folder_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with CorpusWriter(Path(), force=True) as writer:
        writer.add(make_cloud(3), "a", "a")
    assert Corpus.open(tmp_path / "here").points == 3


def test_the_area_of_a_tile_is_that_of_the_square_metres_with_points(tmp_path: Path) -> None:
    grid = np.stack(np.meshgrid(np.arange(10) + 0.5, np.arange(7) + 0.5, [0.0]), axis=-1).reshape(-1, 3)
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(PointCloud(grid, {"label": np.ones(70, np.uint16)}, TREE), "a", "a")
    assert Corpus.open(tmp_path / "c").tiles[0].area == 70


def test_nothing_is_written_into_a_corpus(tmp_path: Path) -> None:
    with CorpusWriter(tmp_path / "c") as writer:
        writer.add(make_cloud(10), "a", "a")
    for inner in ("more", "tiles/more"):
        with pytest.raises(PcaugError, match="lies in the corpus"):
            CorpusWriter(tmp_path / "c" / inner)
    assert not (tmp_path / "c" / "more").exists()
