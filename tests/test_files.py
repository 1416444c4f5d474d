"""Files that are there as a whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pcaug.errors import FileError, LabelError, PcaugError
from pcaug.files import TEMPORARY, Kind, alone, atomic_path, claim, clear, is_taken, to_jsonable, write_text


def test_a_file_takes_its_place_in_the_end_and_leaves_nothing_beside(tmp_path: Path) -> None:
    wanted = tmp_path / "new" / "folder" / "scan.copc.laz"
    with atomic_path(wanted) as partial:
        assert partial.name == wanted.name
        partial.write_text("one")
        assert not wanted.exists()
    write_text(wanted, "two")
    assert wanted.read_text() == "two"
    assert list(wanted.parent.iterdir()) == [wanted]


@pytest.mark.parametrize("error", [FileError("is broken", "elsewhere"), ValueError("no"), KeyboardInterrupt()])
def test_what_fails_leaves_the_file_that_was_there(tmp_path: Path, error: BaseException) -> None:
    wanted = tmp_path / "a.txt"
    wanted.write_text("before")

    def fail() -> None:
        with atomic_path(wanted) as partial:
            partial.write_text("half")
            raise error

    with pytest.raises(type(error)) as raised:
        fail()
    assert raised.value is error
    assert wanted.read_text() == "before"
    assert list(tmp_path.iterdir()) == [wanted]


def test_errors_name_the_file_that_is_wanted(tmp_path: Path) -> None:
    wanted = tmp_path / "a.txt"
    with pytest.raises(LabelError) as told, atomic_path(wanted) as partial:
        raise LabelError("holds no such class", partial, "name another")
    assert str(told.value) == f"holds no such class, {wanted}, name another"
    with pytest.raises(FileError, match=f"could not be written .*, {wanted}, "), atomic_path(wanted) as partial:
        partial.with_name("no folder").joinpath("labels").write_text("")
    with pytest.raises(FileNotFoundError), atomic_path(wanted):
        (tmp_path / "other").read_text()


def test_places_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot be written .*check the path"):
        write_text(tmp_path / "file" / "below", "text")
    (tmp_path / "folder").mkdir()
    with pytest.raises(PcaugError, match="could not be written"):
        write_text(tmp_path / "folder", "text")


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(FileError, match="not a file"), atomic_path(pipe):
        pass
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


WRITER = """
import sys
from pathlib import Path
from pcaug.corpus.write import CorpusWriter
from pcaug.files import atomic_path

path = Path(sys.argv[1])
with (CorpusWriter(path, force=True) if path.suffix == "" else atomic_path(path)) as made:
    if path.suffix:
        made.write_text("half")
    print("writing", flush=True)
    sys.stdin.readline()
    if path.suffix:
        made.write_text(sys.argv[2])
"""


def writer(path: Path, text: str = "") -> subprocess.Popen[str]:
    """A process that is in the midst of writing, and goes on when it is told a line."""
    command = [sys.executable, "-c", WRITER, str(path), text]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    return process


@pytest.mark.parametrize("name", ["scan.ply", "corpus"])
def test_what_a_killed_process_left_goes_when_the_same_is_written_again(tmp_path: Path, name: str) -> None:
    killed = writer(tmp_path / name)
    killed.kill()
    killed.wait()
    assert [path.name.startswith(TEMPORARY) for path in tmp_path.iterdir()] == [True]
    write_text(tmp_path / "other", "text")
    assert len(list(tmp_path.iterdir())) == 2  # which is not its own
    writer(tmp_path / name, "whole").communicate("\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["other", name])


def test_processes_that_write_the_same_leave_each_others_work_alone(tmp_path: Path) -> None:
    one, other = (writer(tmp_path / "scan.ply", text) for text in ("one", "other"))
    other.communicate("\n")
    assert (tmp_path / "scan.ply").read_text() == "other"
    third = writer(tmp_path / "scan.ply", "third")
    one.communicate("\n")
    assert (tmp_path / "scan.ply").read_text() == "one"
    third.communicate("\n")
    assert (tmp_path / "scan.ply").read_text() == "third"
    assert [path.name for path in tmp_path.iterdir()] == ["scan.ply"]


def test_one_process_at_a_time_makes_a_folder(tmp_path: Path) -> None:
    told = []

    def other() -> None:
        code = (
            "import sys; from pathlib import Path; from pcaug.files import alone\nwith alone(Path(sys.argv[1]), Path('it')): pass"
        )
        told.append(subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False))

    with alone(tmp_path, tmp_path):
        other()
    other()
    assert "is being made by another process, it, wait for it" in told[0].stderr
    assert told[1].returncode == 0


def test_only_what_can_be_lost_is_taken(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "left" / ".tmp-1").mkdir(parents=True)
    (tmp_path / "full" / ".hidden").mkdir(parents=True)
    write_text(tmp_path / "file", "text")
    assert [is_taken(tmp_path / name) for name in ("none", "empty", "left", "full", "file")] == [False] * 3 + [True] * 2
    with pytest.raises(PcaugError, match="already exists"):
        claim(tmp_path / "file", force=False)
    claim(tmp_path / "file", force=True)
    claim(tmp_path / "file", force=False, resumes=True)


THING = Kind("a thing", ("mark",), ("parts/[0-9]*.txt",), frozenset({"deep/er/[1].txt"}))


@pytest.mark.parametrize("name", ["notes.txt", "parts/mine.txt", "parts/deep/1.txt", ".hidden", "link"])
@pytest.mark.parametrize("force", [False, True])
def test_a_folder_that_holds_anything_else_is_refused_and_force_is_not_offered(tmp_path: Path, name: str, force: bool) -> None:
    home = tmp_path / "thing"
    for own in ("mark", "parts/1.txt", "deep/er/[1].txt", ".tmp-1/half", "parts/.x.parts/half"):
        write_text(home / own, "ours")
    (home / "empty").mkdir()
    claim(home, force=True, kind=THING)
    claim(home, force=False, kind=THING, resumes=True)
    with pytest.raises(PcaugError, match=r"^already exists, .*thing, choose another name or pass --force$"):
        claim(home, force=False, kind=THING)
    if name == "link":
        (home / name).symlink_to(tmp_path)
    else:
        write_text(home / name, "mine")
    with pytest.raises(PcaugError) as told:
        claim(home, force=force, kind=THING)
    assert str(told.value) == f"holds {name}, which is no part of a thing, {home}, choose another folder, or move that away"


@pytest.mark.parametrize("force", [False, True])
def test_nothing_tells_that_a_folder_is_of_a_kind(tmp_path: Path, force: bool) -> None:
    write_text(tmp_path / "mine" / "parts" / "1.txt", "mine")
    (tmp_path / "full" / ".hidden").mkdir(parents=True)
    for home, first in (("mine", "parts/1.txt"), ("full", ".hidden")):
        with pytest.raises(PcaugError, match=f"holds {first}, which is no part of a thing"):
            claim(tmp_path / home, force=force, kind=THING)
        with pytest.raises(PcaugError, match="is a folder, but a file is written"):
            claim(tmp_path / home, force=force)
    with pytest.raises(PcaugError, match="is a file, but a folder is written"):
        claim(tmp_path / "mine" / "parts" / "1.txt", force=force, kind=THING)


def test_what_is_cleared_takes_no_linked_folder_along(tmp_path: Path) -> None:
    write_text(tmp_path / "mine" / "thesis.txt", "years")
    write_text(tmp_path / "home" / "deep" / "file", "text")
    (tmp_path / "home" / "link").symlink_to(tmp_path / "mine")
    clear(tmp_path / "home")
    clear(tmp_path / "none")
    assert not list((tmp_path / "home").iterdir())
    assert (tmp_path / "mine" / "thesis.txt").is_file()


def test_json_has_no_word_for_what_is_no_number() -> None:
    value = {"a": (1.0, float("nan")), "b": np.array([np.inf, 2]), 3: Path("x"), "c": np.float32(0.5)}
    assert to_jsonable(value) == {"a": [1.0, None], "b": [None, 2.0], "3": "x", "c": 0.5}
