"""The command line's manners: one line per error, exit codes, help for every command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from builders import run

from pcaug.cli import console
from pcaug.cli.app import COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    out, _ = run(capsys, command, "--help")
    assert "Usage: pcaug " + command in out


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


def test_an_interrupted_command_says_so_and_leaves_nothing_half_done(tmp_path: Path) -> None:
    compose = [sys.executable, "-m", "pcaug", "compose", "street", "-n", "500", "-o", str(tmp_path / "streets")]
    process = subprocess.Popen(
        compose,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PCAUG_CACHE": str(tmp_path / "cache")},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which shells ignore for what runs in the background
    )
    try:
        while not any(tmp_path.rglob("*.parquet")):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert said == "pcaug: error: interrupted, run the same command again to resume\n"
    assert process.returncode == 130
    assert not (tmp_path / "streets" / "manifest.json").exists()


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
