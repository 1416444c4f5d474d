"""The command line's manners: one line per error, exit codes, help for every command."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import laspy
import numpy as np
import pytest
from builders import make_cloud, run

from pcaug import formats
from pcaug.cli import console
from pcaug.cli.app import COMMANDS, main


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    out, _ = run(capsys, command, "--help")
    assert "Usage: pcaug " + command in out


def test_a_study_and_the_demo_change_trainings_alike(capsys: pytest.CaptureFixture[str]) -> None:
    assert all("--train-set" in run(capsys, command, "--help")[0] for command in ("study", "demo"))


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--help"], ["-h"]):
        out, _ = run(capsys, *arguments)
        assert all(f"  {command}" in out for command in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["nosuch"], 2, "No such command 'nosuch'"),
        (["info"], 2, "Missing argument"),
        (["info", "--nope"], 2, "No such option: --nope"),
        (["info", "/no/such/file.las"], 1, "/no/such/file.las"),
        (["train", "pointnt", "--real", "x", "-o", "y"], 1, "did you mean pointnet"),
        (["compose", "stret", "-n", "1", "-o", "z"], 1, "did you mean street"),
        (["datasets", "semantickiti"], 1, "did you mean semantickitti"),
        (["study", "sampel", "-o", "z"], 1, "did you mean sample"),
        (["compose", "street", "-n", "1", "-o", "z.laz"], 1, "z.laz, leave out .laz"),
        (["view", "x.las", "--png", "x.jpeg"], 1, "x.jpeg, end it in .png"),
        (["augment", "mobile", "x", "--png", "x.jpg"], 1, "x.jpg, end it in .png"),
        (["objects", "x", "-o", "y", "--png", "x"], 1, "x, end it in .png"),
        (["view", "x.las", "--html", "x.foo"], 1, "x.foo, end it in .html"),
        (["explore", "x", "y", "-o", "x.png"], 1, "x.png, end it in .html"),
        (["view", "x.las", "--html", "x.html", "--plan"], 2, "give --png FILE too"),
        (["study", "sample", "-o", "z", "--test", ""], 2, "--test names no unit"),
        (["assets", "x.obj", "--png", "x.html"], 1, "x.html, end it in .png"),
    ],
)
def test_errors_are_one_line(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    code: int,
    text: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    out, err = run(capsys, *arguments, code=code)
    assert err.startswith("pcaug: error: ")
    assert err.count("\n") == 1
    assert text in err
    assert out == ""
    assert not list(tmp_path.iterdir())


INTERRUPTED = "pcaug: error: interrupted, run the same command again to resume\n"


@pytest.mark.parametrize(
    ("command", "again"),
    [
        ("compose", "again to resume\n"),
        ("merge", "again to resume: a corpus goes on where it stood, one file starts over\n"),
        ("augment", "again to start over\n"),
        ("generate", "again to start over\n"),
    ],
)
def test_ctrl_c_promises_to_resume_only_what_is_kept(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: str, again: str
) -> None:
    def interrupted(arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("pcaug.cli.dispatch.dispatch", interrupted)
    assert run(capsys, command, "x", code=130)[1] == f"pcaug: error: interrupted, run the same command {again}"


def started(*command: object, folder: Path) -> subprocess.Popen[str]:
    """A process of a group of its own, as a terminal starts them."""
    return subprocess.Popen(
        [sys.executable, *map(str, command)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PCAUG_CACHE": str(folder / "cache")},
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which shells ignore for what runs in the background
    )


@pytest.mark.parametrize(("workers", "times"), [(1, 1), (2, 1), (1, 3), (2, 3)])  # timeout sends it twice
def test_an_interrupted_command_says_so_and_leaves_nothing_half_done(tmp_path: Path, workers: int, times: int) -> None:
    compose = ["compose", "street", "-n", 500, "-o", tmp_path / "streets", "--workers", workers]
    process = started("-m", "pcaug", *compose, folder=tmp_path)
    try:
        while not any(tmp_path.rglob("*.parquet")):
            assert process.poll() is None
            time.sleep(0.05)
        for _ in range(times):
            os.killpg(process.pid, signal.SIGINT)
            time.sleep(0.01)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert said == INTERRUPTED
    assert process.returncode == 130
    assert not (tmp_path / "streets" / "manifest.json").exists()
    assert not list(tmp_path.rglob("*.tmp-*"))


@pytest.mark.parametrize(
    ("workers", "module", "later"),
    [
        (1, "typer.main", 0.0),
        (1, "numpy.linalg", 0.0),
        (1, "open3d._build_config", 0.1),  # in the midst of a library that tells Ctrl-C as a failed import
        (2, "multiprocessing.popen_spawn_posix", 0.0),
        (2, "multiprocessing.popen_spawn_posix", 0.1),  # the workers are starting, then importing
        (2, "multiprocessing.popen_spawn_posix", 0.6),
    ],
)
def test_ctrl_c_within_imports_is_told_in_one_line(tmp_path: Path, workers: int, module: str, later: float) -> None:
    compose = ["compose", "street", "-n", 500, "-o", tmp_path / "streets", "--workers", workers]
    process = started("-X", "importtime", "-m", "pcaug", *compose, folder=tmp_path)
    assert process.stderr is not None
    try:
        for line in process.stderr:  # a line for each import that is done
            if line.split("|")[-1].strip() == module:
                break
        time.sleep(later)
        os.killpg(process.pid, signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert [line for line in said.splitlines(keepends=True) if not line.startswith("import time:")] == [INTERRUPTED]
    assert process.returncode == 130


def test_what_takes_long_says_so_in_a_log_too(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with console.reporter() as progress:
        progress("trainings", 1, 1200)
        monkeypatch.setattr(console, "LINE_EVERY", 0.0)
        progress("trainings", 2, 1200)
        progress("points", 5000, 5000)
    assert capsys.readouterr().err == "trainings: 2 of 1,200\npoints: 5,000\n"


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    from pcaug import __version__

    assert run(capsys, "--version") == (f"pcaug {__version__}\n", "")


def test_a_command_in_a_thread_works_and_a_session_keeps_its_handlers() -> None:
    before = signal.getsignal(signal.SIGINT), warnings.showwarning
    codes: list[object] = []

    def command() -> None:
        with pytest.raises(SystemExit) as ended:
            main(["datasets", "las"])
        codes.append(ended.value.code)

    thread = threading.Thread(target=command)
    thread.start()
    thread.join()
    command()
    assert codes == [0, 0]
    assert (signal.getsignal(signal.SIGINT), warnings.showwarning) == before


def test_one_of_something_is_no_plural(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    formats.write(tmp_path / "a.las", make_cloud(1, labelled=False, native_label=np.full(1, 6, np.int32)))
    assert "1 in 1 scan\n" in re.sub(" +\n", "\n", run(capsys, "info", tmp_path / "a.las")[0])
    told, _ = run(capsys, "convert", tmp_path / "a.las", tmp_path / "c", "--card", "las")
    head, row, done = told.splitlines()
    assert (head.split(), row.split()[:3]) == (["class", "points", "share"], ["building", "1", "100.0"])
    assert done.startswith("1 point in ")


def test_a_file_that_pcaug_labelled_points_at_its_card(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    ids, shown = np.repeat([6, 85], 25).astype(np.int32), ("view", "--png", tmp_path / "a.png", "--force")
    predicted = make_cloud(50, labelled=False, native_label=ids, prediction=np.full(50, 21, np.uint16))
    formats.write(tmp_path / "predicted.laz", predicted)
    formats.write(tmp_path / "plain.laz", make_cloud(50, labelled=False, native_label=ids))
    for words in (("info",), shown):
        assert "pcaug predicted its classes: --card pcaug-las" in run(capsys, *words, tmp_path / "predicted.laz")[1]
        assert "does not know all class ids: --card pcaug-las" in run(capsys, *words, tmp_path / "plain.laz")[1]
        assert run(capsys, *words, tmp_path / "predicted.laz", "--card", "pcaug-las")[1] == ""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_names_in_files_give_the_terminal_no_orders(capsys: pytest.CaptureFixture[str], tmp_path: Path, stream: str) -> None:
    evil = "q\x1b]0;pwn\x07\x1b[31m"
    file = laspy.create(point_format=0, file_version="1.2")
    file.add_extra_dim(laspy.ExtraBytesParams(name=evil, type="u1"))
    file.x, file.y, file.z = np.zeros((3, 2))
    file.write(tmp_path / "a.las")
    assert any("\x1b" in name for name in formats.read(tmp_path / "a.las").fields)
    if stream == "stdout":
        out, _ = run(capsys, "info", str(tmp_path / "a.las"), code=0)
        assert "q?]0;pwn" in out
    else:
        _, out = run(capsys, "info", str(tmp_path / evil), code=1)
    assert "\x1b" not in out


def test_an_option_that_takes_one_value_is_given_once(capsys: pytest.CaptureFixture[str]) -> None:
    for words in ("train pillars --real a -o r --real b", "generate fit a -o r -o b"):
        _, err = run(capsys, *words.split(), code=2)
        assert "is given twice, and takes one value" in err
    _, err = run(capsys, "train", "nothing", "--real", "a", "--synthetic", "b", "--synthetic", "c", "-o", "r", code=1)
    assert "twice" not in err


@pytest.mark.parametrize("width", ["30", "60"])
def test_numbers_are_never_cut_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    numbers = ["48.6 [40.1, 52.3]", "1,234,567", "+3.2 [0.1, 6.3]"]
    console.figures(["arm", "mIoU", "points", "gain"], [["real + composed + mixed and a long name", *numbers]])
    printed = capsys.readouterr().out
    assert all(number in printed for number in numbers)
    assert all(word in printed for word in ("composed", "mixed", "long", "name"))
