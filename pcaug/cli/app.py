"""The command line: which commands there are, and how Ctrl-C ends them. What takes time to import comes after Ctrl-C is heard."""

from __future__ import annotations

import os
import sys

from pcaug.interrupt import listening

INTERRUPTED = 130
"""Exit code of Ctrl-C."""

COMMANDS = {
    "info": "points, bounds, fields, CRS and classes of files, folders and corpora",
    "datasets": "the dataset cards that come with pcaug",
    "convert": "one file or dataset to another format or to a corpus",
    "merge": "several datasets to one labelled corpus",
    "assets": "class, size, triangles and problems of meshes",
    "compose": "labelled scenes seen by a simulated scanner",
    "augment": "mix, move, thin and dim clouds as training will see them",
    "objects": "a bank of single objects out of a labelled corpus",
    "generate": "learn objects of a class and sample new ones",
    "explore": "how well a synthetic set fits the real one",
    "train": "train a segmenter on real and synthetic clouds",
    "evaluate": "score a trained segmenter on a labelled corpus",
    "predict": "label a scan",
    "export": "a trained network as ONNX, or as a model to publish",
    "study": "measure what synthetic data buys",
    "view": "look at clouds: a window, one HTML page, or a PNG",
    "sample": "a small real labelled airborne sample",
    "demo": "run the whole pipeline once on a small real sample: scans in, report out",
    "doctor": "check this machine and say what to do",
}
"""Command name -> its help line. The function (or Typer) of the same name lives in ``pcaug/cli/<name>.py``."""
ONE_FILE = "resume: a corpus goes on where it stood, one file starts over"
AGAIN = {
    "convert": ONE_FILE, "merge": ONE_FILE,
    **dict.fromkeys(("compose", "train", "predict", "study", "demo"), "resume"),
}  # fmt: skip
"""What the same command, given again after Ctrl-C, is there for; those that keep nothing start over."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors are one line on stderr, exit code 1 (2 for usage, 130 for Ctrl-C)."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin for work starve whatever runs beside us
    os.environ.setdefault("LOKY_MAX_CPU_COUNT", str(os.cpu_count() or 1))  # joblib warns at length where /sys is missing
    words = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    with listening():
        try:
            from pcaug.cli.dispatch import dispatch

            code = dispatch(words)
        except KeyboardInterrupt:
            again = AGAIN.get(words[0], "start over")
            code = complain(f"interrupted, run the same command again to {again}", INTERRUPTED)
    raise SystemExit(code)


def complain(text: str, code: int) -> int:
    """Say what went wrong in one line on stderr; the exit code."""
    from pcaug.errors import one_line

    sys.stderr.write(f"pcaug: error: {one_line(text)}\n")
    return code
