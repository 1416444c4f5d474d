"""The errors that pcaug raises on purpose: what went wrong, where, and what to do about it."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from numbers import Integral
from pathlib import Path
from typing import Any


class PcaugError(Exception):
    """Base of all errors raised on purpose; its text is one line: ``what, where, what to do``.

    Args:
        what: What is wrong, as a statement.
        where: The file, key or argument that it concerns.
        do: What the user can do about it.
    """

    def __init__(self, what: str, where: str | Path | None = None, do: str | None = None) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.do = do
        text = ", ".join(part for part in (what, self.where, do) if part)
        super().__init__(" ".join(text.splitlines()))  # what other libraries say may have several

    def __reduce__(self) -> tuple[Any, ...]:
        """Travel between processes whatever the arguments of a subclass are."""
        return _remade, (type(self), str(self), self.__dict__)


def _remade(kind: type[PcaugError], text: str, state: dict[str, Any]) -> PcaugError:
    error = kind.__new__(kind, text)
    error.__dict__.update(state)
    return error


class FileError(PcaugError):
    """A file is truncated, malformed, of the wrong kind, or cannot be written."""


class NotFound(PcaugError):
    """A path, a card, a recipe or a field that was named does not exist."""


class LabelError(PcaugError):
    """Labels do not fit their points or their taxonomy."""


class UnmappedLabels(LabelError):
    """Native ids occur that the label map does not know.

    Attributes:
        counts: Points per unknown native id.
    """

    def __init__(self, counts: dict[int, int], where: str | Path | None = None, do: str | None = None) -> None:
        self.counts = counts
        listed = ", ".join(f"{key} ({counted(count, 'point')})" for key, count in sorted(counts.items())[:8])
        more = f" and {len(counts) - 8} more" if len(counts) > 8 else ""
        learn = 'name the card that knows them with --card, or add them to the card\'s [classes] (node = "ignore" trains on none)'
        super().__init__(f"unknown class ids {listed}{more}", where, do or learn)


class RecipeError(PcaugError):
    """A recipe, a card or a ``--set`` value does not follow its schema."""


class MissingExtra(PcaugError):
    """A library is needed that is not installed; the message holds the pip line."""


def check_whole(least: int, **numbers: object) -> None:
    """Raise PcaugError for the first of some arguments that is no whole number, or one below ``least``."""
    for name, value in numbers.items():
        if not isinstance(value, Integral) or value < least:
            raise PcaugError(f"{name} is {value!r}", do=f"give a whole number of at least {least}")


def counted(number: int, what: str) -> str:
    """A number of things, as messages say it: 1 unit, 2,000 units."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def first_few(names: Sequence[str], most: int) -> str:
    """The first of some names, as messages say them: a, b, c, ..."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def printable(text: str) -> str:
    """Text without what a terminal obeys, but for ends of lines: names in strangers' files may hold it."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def one_line(text: str) -> str:
    """Text in one line, of what is ``printable``."""
    return printable(" ".join(text.split()))


def plain_warnings() -> None:
    """Let warnings of this process be a line on stderr each, as errors are, without where in the code they were raised."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        sys.stderr.write(f"warning: {one_line(str(message))}\n")

    warnings.showwarning = show
