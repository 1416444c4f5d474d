"""Building from jobs: the same bytes however they are shared, nothing lost to a kill, nothing done twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from corpus.jobs import cloud, jobs

from pcaug import formats
from pcaug.corpus.build import build
from pcaug.corpus.merge import merge
from pcaug.corpus.read import Corpus
from pcaug.corpus.steps import Steps
from pcaug.errors import FileError, PcaugError
from pcaug.files import alone


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def runs(log: Path) -> list[int]:
    return [len((log / f"ran-{i}").read_text()) if (log / f"ran-{i}").exists() else 0 for i in range(5)]


def test_workers_do_not_change_a_byte(tmp_path: Path) -> None:
    build(tmp_path / "one", jobs(tmp_path / "log", {}), {"seed": 1})
    build(tmp_path / "two", jobs(tmp_path / "log", {}), {"seed": 1}, workers=2)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert [t.name for t in Corpus.open(tmp_path / "one").tiles] == [f"scan-{i}" for i in range(5)]
    assert {p.name for p in tmp_path.iterdir()} == {"one", "two", "log"}


def test_an_interrupted_run_goes_on_where_it_stood(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "c", jobs(tmp_path / "log", {3: "interrupt"}), {})
    assert not (tmp_path / "c").exists()
    build(tmp_path / "c", jobs(tmp_path / "log", {3: "interrupt"}), {})
    assert runs(tmp_path / "log") == [1, 1, 1, 2, 1]
    build(tmp_path / "whole", jobs(tmp_path / "other", {}), {})
    assert bytes_of(tmp_path / "c") == bytes_of(tmp_path / "whole")


def test_nothing_stays_where_nothing_is_to_be_resumed(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "c", jobs(tmp_path / "log", {0: "interrupt"}), {})
    formats.write(tmp_path / "a.las", cloud(0))
    with pytest.raises(PcaugError, match="no points are left"):
        merge([tmp_path / "a.las"], tmp_path / "c", ["las"], steps=Steps(bounds=((-9, -9), (-8, -8))))
    assert {path.name for path in tmp_path.iterdir()} == {"log", "a.las"}


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_worker_loses_nothing(tmp_path: Path) -> None:
    build(tmp_path / "c", jobs(tmp_path / "log", {1: "kill", 4: "kill"}), {}, workers=2)
    build(tmp_path / "whole", jobs(tmp_path / "other", {}), {})
    assert bytes_of(tmp_path / "c") == bytes_of(tmp_path / "whole")


def test_an_error_keeps_what_is_done_and_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="file 2, mend it"):
        build(tmp_path / "c", jobs(tmp_path / "log", {2: "error"}), {}, workers=2)
    assert not (tmp_path / "c").exists()
    before = runs(tmp_path / "log")
    build(tmp_path / "c", jobs(tmp_path / "log", {}), {})
    assert runs(tmp_path / "log")[0] == before[0] == 1
    assert Corpus.open(tmp_path / "c").points == 1500


def test_two_processes_do_not_make_one_corpus(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    staging = tmp_path / ".c.parts"
    staging.mkdir()
    with alone(staging, staging), pytest.raises(PcaugError, match=r"is being made by another process, .*/c, wait for it"):
        build(tmp_path / "c", jobs(tmp_path / "log", {}), {})


def test_a_cluster_gives_the_same_bytes(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    build(tmp_path / "here", jobs(tmp_path / "log", {}), {})
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, protocol="tcp", dashboard_address=":0"
    ) as cluster:
        build(tmp_path / "there", jobs(tmp_path / "log", {}), {}, scheduler=cluster.scheduler_address)
    assert bytes_of(tmp_path / "here") == bytes_of(tmp_path / "there")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_worker_of_a_cluster_loses_nothing(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster:
        fates = {1: "kill", 3: "kill"}
        build(tmp_path / "there", jobs(tmp_path / "log", fates), {}, scheduler=cluster.scheduler_address)
    assert runs(tmp_path / "log")[1] > 1
    build(tmp_path / "here", jobs(tmp_path / "other", {}), {})
    assert bytes_of(tmp_path / "here") == bytes_of(tmp_path / "there")


def test_no_scheduler_is_one_clear_line(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(PcaugError, match="no Dask scheduler answers"):
        build(tmp_path / "c", jobs(tmp_path / "log", {}), {}, scheduler="nonsense://nowhere")


def files(folder: Path, count: int) -> list[Path]:
    for index in range(count):
        formats.write(folder / f"{index}.las", cloud(index))
    return [folder / f"{index}.las" for index in range(count)]


def test_append_adds_what_is_new_and_touches_nothing_else(tmp_path: Path) -> None:
    first, second, third = files(tmp_path, 3)
    merge([first, second], tmp_path / "c", ["las"])
    before = bytes_of(tmp_path / "c")
    report = merge([second, third], tmp_path / "c", ["las"], append=True)
    assert "1 source in it already" in report.notes[0]
    after = bytes_of(tmp_path / "c")
    assert {name: after[name] for name in before if name != "manifest.json"} == {
        name: data for name, data in before.items() if name != "manifest.json"
    }
    merge([first, second, third], tmp_path / "whole", ["las"])
    assert Corpus.open(tmp_path / "c").counts() == Corpus.open(tmp_path / "whole").counts()
    assert [row.points for row in Corpus.open(tmp_path / "c").manifest.sources] == [300, 300, 300]
    with pytest.raises(PcaugError, match="nothing to append"):
        merge([third], tmp_path / "c", ["las"], append=True)


def test_points_that_lie_on_others_are_counted_and_dropped(tmp_path: Path) -> None:
    base = cloud(0)
    formats.write(tmp_path / "a.las", base)
    formats.write(tmp_path / "b.ply", base.take(slice(100, None)))
    merge([tmp_path / "a.las"], tmp_path / "one", ["las"])
    merge([tmp_path / "a.las"], tmp_path / "other", ["las"], tile=20.0)
    report = merge([tmp_path / "one", tmp_path / "other"], tmp_path / "both")
    assert any("about 300 points (50.0 %)" in note for note in report.notes)
    report = merge([tmp_path / "one", tmp_path / "other"], tmp_path / "single", unique=True)
    assert report.points == 300
    assert Corpus.open(tmp_path / "single").counts() == Corpus.open(tmp_path / "one").counts()


def test_tiles_appended_where_repeats_left_gaps_lie_over_none(tmp_path: Path) -> None:
    names = ["x", "y", "z", "w"]
    for name, index in zip(names, [0, 0, 1, 2], strict=True):  # y repeats x
        formats.write(tmp_path / f"{name}.las", cloud(index))
    merge([tmp_path / f"{name}.las" for name in "xyz"], tmp_path / "c", ["las"], unique=True)
    before = bytes_of(tmp_path / "c")
    (tmp_path / "later").mkdir()
    formats.write(tmp_path / "later" / "z.las", cloud(3))
    merge([tmp_path / "later" / "z.las", tmp_path / "w.las"], tmp_path / "c", ["las"], append=True)
    corpus = Corpus.open(tmp_path / "c")
    assert len({tile.path for tile in corpus.tiles}) == len(corpus.tiles) == 4
    assert sum(len(corpus.read(tile)) for tile in corpus.tiles) == corpus.points == 1200
    after = bytes_of(tmp_path / "c")
    assert all(after[name] == data for name, data in before.items() if name != "manifest.json")
