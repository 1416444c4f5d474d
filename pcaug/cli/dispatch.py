"""From words to the function of a command, and from errors to one line."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from pcaug.cli.app import COMMANDS, INTERRUPTED, complain
from pcaug.errors import PcaugError, plain_warnings


class _Once(TyperCommand):
    """Refuses an option that is given twice and takes one value: the first would be lost without a word."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        *_, given = self.make_parser(ctx).parse_args(args=list(args))
        for param in given:
            if (
                given.count(param) > 1
                and param.param_type_name == "option"
                and not (param.multiple or getattr(param, "is_flag", False))
            ):
                ctx.fail(f"Option {param.opts[-1]} is given twice, and takes one value")
        return super().parse_args(ctx, args)


def dispatch(arguments: list[str]) -> int:
    """Run a command; its exit code. Errors are one line on stderr; KeyboardInterrupt, and what only a bug raises, pass."""
    try:
        with warnings.catch_warnings():
            plain_warnings()
            return _run(arguments)
    except PcaugError as error:
        return complain(str(error), 1)
    except BrokenPipeError:
        return 0
    except MemoryError as error:
        return complain(f"out of memory, {error}, read less at once (fewer workers, smaller blocks)", 1)
    except RuntimeError as error:
        if type(error).__name__ != "OutOfMemoryError":  # torch's, of a GPU; torch is not imported here
            raise
        return complain(
            "the GPU is out of memory, take a smaller batch or fewer workers (set CUDA_VISIBLE_DEVICES= to use the CPU)", 1
        )
    except OSError as error:
        do = "check the path, its permissions and free space"
        return complain(str(PcaugError(str(error.strerror or error), error.filename, do)), 1)


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
                for below in command.registered_commands:
                    below.cls = _Once
                app.add_typer(command, name=name)
            else:
                app.command(name, cls=_Once, help=None if name == wanted else text, short_help=text)(command)
    app.callback(invoke_without_command=True)(_version)
    try:
        result = app(args=arguments, prog_name="pcaug", standalone_mode=False)
    except typer.TyperException as error:
        return complain(f"{error.format_message().rstrip('.')}, see pcaug {wanted + ' ' if wanted in COMMANDS else ''}--help", 2)
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
