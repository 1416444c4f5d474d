"""The command line: which commands there are, and how errors end."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import Annotated, Any

import typer

from pcaug.errors import PcaugError, plain_warnings

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


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors are one line on stderr, exit code 1 (2 for usage, 130 for Ctrl-C)."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin for work starve whatever runs beside us
    os.environ.setdefault("LOKY_MAX_CPU_COUNT", str(os.cpu_count() or 1))  # joblib warns at length where /sys is missing
    plain_warnings()
    arguments = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    try:
        code = _run(arguments)
    except PcaugError as error:
        code = _complain(str(error), 1)
    except KeyboardInterrupt:
        code = _complain("interrupted, run the same command again to resume", INTERRUPTED)
    except BrokenPipeError:
        code = 0
    except MemoryError as error:
        code = _complain(f"out of memory, {error}, read less at once (fewer workers, smaller blocks)", 1)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, of a GPU; torch is not imported here
            raise
        code = _complain(
            "the GPU is out of memory, take a smaller batch or fewer workers (set CUDA_VISIBLE_DEVICES= to use the CPU)", 1
        )
    except OSError as error:
        code = _complain(
            str(PcaugError(str(error.strerror or error), error.filename, "check the path, its permissions and free space")), 1
        )
    raise SystemExit(code)


def _run(arguments: list[str]) -> int:
    app = typer.Typer(
        name="pcaug",
        help="More, and more varied, labelled point clouds.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    for name, text in COMMANDS.items():
        if name == wanted or wanted is None or wanted not in COMMANDS:
            command = _command(name, load=name == wanted)
            if isinstance(command, typer.Typer):  # a command of commands
                app.add_typer(command, name=name)
            else:
                app.command(name, help=None if name == wanted else text, short_help=text)(command)
    app.callback(invoke_without_command=True)(_version)
    try:
        result = app(args=arguments, prog_name="pcaug", standalone_mode=False)
    except typer.TyperException as error:
        return _complain(f"{error.format_message().rstrip('.')}, see pcaug {wanted + ' ' if wanted in COMMANDS else ''}--help", 2)
    except typer.Abort:
        raise KeyboardInterrupt from None
    if result == INTERRUPTED:  # which typer makes of Ctrl-C, and says nothing
        raise KeyboardInterrupt
    return result if isinstance(result, int) else 0


def _command(name: str, *, load: bool) -> Any:
    """The command's function or its Typer of subcommands; a stand-in without arguments where only name and help are asked for."""
    return getattr(import_module(f"pcaug.cli.{name}"), name) if load else (lambda: None)


def _version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    if version:
        from pcaug import __version__

        sys.stdout.write(f"pcaug {__version__}\n")


def _complain(text: str, code: int) -> int:
    sys.stderr.write("pcaug: error: " + " ".join(text.split()) + "\n")
    return code
