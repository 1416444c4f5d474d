"""Ctrl-C, where it may strike: not within an import, nor while a process is started."""

from __future__ import annotations

import atexit
import os
import signal
import time
from _thread import interrupt_main
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer, current_thread, main_thread
from types import FrameType
from typing import Any

AGAIN = 0.05
"""Seconds after which Ctrl-C that came at a bad time is tried again."""
ECHO = 1.0
"""Seconds in which a second Ctrl-C is the first once more: ``timeout`` sends it to a process and to its group."""
SPARED = ("importlib._bootstrap", "multiprocessing.popen_spawn_posix")
"""Modules at work that it would harm: libraries take it for a failed import of theirs, and half a process complains."""

Handler = Callable[[int, FrameType | None], Any] | signal.Handlers


@contextmanager
def listening() -> Iterator[None]:
    """Let Ctrl-C strike inside, where nobody said otherwise (``nohup`` has it ignored) and this is the thread that hears it."""
    ours = current_thread() is main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, strike)
    try:
        yield
    finally:
        if ours:
            struck = signal.getsignal(signal.SIGINT) is not strike
            signal.signal(signal.SIGINT, _deaf(signal.default_int_handler) if struck else signal.default_int_handler)
            if struck:  # while Python ends it takes handlers away
                atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def strike(number: int, frame: FrameType | None, then: Handler = signal.SIG_DFL) -> None:
    """The handler: raises KeyboardInterrupt, but later where a spared module is at work. ``then`` is what a later Ctrl-C does,
    which would cut off the clearing up: it ends the process. One that follows at once does nothing."""
    while frame is not None:
        if frame.f_globals.get("__name__") in SPARED:
            Timer(AGAIN, interrupt_self).start()
            return
        frame = frame.f_back
    signal.signal(number, _deaf(then))
    raise KeyboardInterrupt


def _deaf(then: Handler) -> Handler:
    """A handler that does nothing for ECHO seconds; what strikes later gets to ``then``."""
    since = time.monotonic()

    def handler(number: int, frame: FrameType | None) -> None:
        if time.monotonic() - since > ECHO:
            signal.signal(number, then)
            interrupt_self()

    return handler


def interrupt_self() -> None:
    """Ctrl-C for this process alone, whatever thread asks."""
    if os.name == "nt":  # where os.kill ends the process
        interrupt_main()
    else:
        os.kill(os.getpid(), signal.SIGINT)  # which wakes the main thread where it waits, too
