"""What the commands print with: results on stdout, progress and notes on stderr."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pcaug.errors import PcaugError, counted, one_line, printable
from pcaug.files import Kind, claim, to_jsonable
from pcaug.parallel import Progress

if TYPE_CHECKING:
    from rich.console import Console
    from rich.segment import Segment


LINE_EVERY = 60.0
"""Seconds between lines of progress where no terminal shows a bar."""
WORD = 12
"""Letters that a column of names has at least."""


def out() -> Console:
    """Console for results."""
    return _console(stderr=False)


def err() -> Console:
    """Console for notes and progress."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Safe(Console):
        """Leaves a pipe which nobody reads any more to the caller; rich would end the program with an error."""

        def render(self, renderable: Any, options: Any = None) -> Iterator[Segment]:
            """As rich does, but that no text can give the terminal orders."""
            for segment in super().render(renderable, options):
                yield segment if segment.control else segment._replace(text=printable(segment.text))

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return Safe(stderr=stderr, highlight=False)


def emit_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    sys.stdout.write(json.dumps(to_jsonable(value), indent=2, ensure_ascii=False) + "\n")


@contextmanager
def reporter() -> Iterator[Progress]:
    """A progress bar a task on a terminal's stderr, elsewhere (a cluster's log) a line a minute of what takes that long.

    The yielded function is called as ``progress(text, done, total)``. What follows a colon in the text tells how the task goes,
    and may change.
    """
    if not sys.stderr.isatty():
        yield _lines()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    bars = Progress(*columns, console=err())
    tasks: dict[str, Any] = {}

    def report(text: str, done: int, total: int) -> None:
        name = text.partition(": ")[0]
        if name not in tasks:
            bars.start()
            tasks[name] = bars.add_task(text, total=total)
        bars.update(tasks[name], description=text, completed=done, total=total)

    try:
        yield report
    finally:
        if tasks:
            bars.stop()


def _lines() -> Progress:
    said = time.monotonic()

    def report(text: str, done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= LINE_EVERY:
            said = time.monotonic()
            whole = f" of {total:,}" if total > done else ""  # of some work nobody knows the end
            sys.stderr.write(f"{text}: {done:,}{whole}\n")
            sys.stderr.flush()

    return report


def figures(head: Sequence[str], rows: Sequence[Sequence[str]], names: int = 1) -> None:
    """Print a table: on a narrow terminal its first columns, the ``names``, wrap; numbers are never cut."""
    from rich.markup import escape
    from rich.table import Column, Table

    columns = [Column(text, overflow="fold") for text in head[:names]]
    needed = 2 * len(head) + WORD * names
    for index, text in enumerate(head[names:], start=names):
        width = max(len(row[index]) for row in rows) if rows else 0
        text = text if len(text) <= width else text.replace(" ", "\n")  # over narrow numbers
        columns.append(Column(text, justify="right", no_wrap=True))
        needed += max(width, *map(len, text.splitlines()), 0)
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*map(escape, row))
    console = out()
    console.width = max(console.width, needed)
    console.print(table)


def shares(counts: Mapping[str, int]) -> None:
    """Print classes with their points and shares, most first; nothing where there are none."""
    if not counts:
        return
    total = max(sum(counts.values()), 1)
    ordered = sorted(counts.items(), key=lambda row: -row[1])
    figures(["class", "points", "share"], [[name, f"{n:,}", f"{100 * n / total:.1f} %"] for name, n in ordered])


def page(path: Path) -> Path:
    """The name of a page, .html where it has no ending; raises PcaugError, before any work, for another ending."""
    if path.suffix.lower() not in {"", ".html", ".htm"}:
        raise PcaugError("is not the name of a page", path, "end it in .html")
    return path if path.suffix else path.with_name(f"{path.name}.html")


def picture(path: Path) -> Path:
    """The name of a picture; raises PcaugError, before any work, for another suffix than .png."""
    if path.suffix.lower() != ".png":
        raise PcaugError("is not the name of a PNG", path, "end it in .png")
    return path


def fresh(path: Path, *, force: bool, kind: Kind | None = None) -> Path:
    """As ``claim``, of a file or of a folder of some kind; refuse to write where nothing can be, too; raises PcaugError."""
    claim(path, force=force, kind=kind)
    writable(path)
    return path


def writable(path: Path) -> None:
    """Refuse to write where nothing can be; raises PcaugError."""
    home = next(folder for folder in path.resolve().parents if folder.exists())
    if not home.is_dir() or not os.access(home, os.W_OK):
        raise PcaugError("cannot be written", path, "check the path and its permissions")


def tell(report: Any, target: Path, *, json: bool) -> None:
    """Print what a conversion did: classes, points and place on stdout, notes on stderr."""
    if json:
        told = {name: getattr(report, name) for name in ("points", "classes", "splits", "lost", "notes")}
        emit_json(told | {"output": target})
        return
    shares(report.classes)
    out().print(f"{counted(report.points, 'point')} in {one_line(str(target))}", soft_wrap=True, markup=False)
    rest = report.points - sum(report.splits.values())
    for name, points in (report.splits | ({"none": rest} if report.splits and rest else {})).items():
        out().print(f"  {name:6} {points:>14,}  {100 * points / max(report.points, 1):5.1f} %")
    for note in report.notes:
        err().print(f"note: {one_line(note)}", soft_wrap=True, markup=False)
