"""Run jobs side by side: in threads ahead of the caller, on processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice, repeat, takewhile
from multiprocessing import get_context
from multiprocessing.connection import Connection
from threading import Event, Thread
from typing import TypeVar

from pcaug.errors import MissingExtra, PcaugError, plain_warnings
from pcaug.interrupt import interrupt_self, strike

Job = TypeVar("Job")
Result = TypeVar("Result")
Progress = Callable[[str, int, int], None]
"""Told how long work goes, as ``progress(text, done, total)``. What follows a colon in the text may change from call to call."""
ROUNDS = 3
"""How often jobs are given out again after a worker process has died."""
PATIENCE = 5.0
"""Seconds that a worker whose work nobody wants any more has to clear up."""
UNWANTED = Event()
"""In a worker: set when nobody wants its work any more."""
MASKS = hasattr(signal, "pthread_sigmask")
"""Whether signals can be held back here: not on Windows."""


def silent(text: str, done: int, total: int) -> None:
    """Progress that nobody looks at."""


def map_ahead(function: Callable[[Job], Result], jobs: Iterable[Job], count: int = 1, threads: int = 1) -> Generator[Result]:
    """Results in order of the jobs, ``count`` of them made by ``threads`` while the caller works with the one before."""
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(threads) as made:
        try:
            for job in jobs:
                waiting.append(made.submit(function, job))
                if len(waiting) > count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def in_batches(work: Callable[[slice], object], count: int, batch: int, threads: int) -> None:
    """Do some work on all of ``count`` rows, a batch at a time in each of some threads."""
    with ThreadPoolExecutor(threads) as made:
        for _ in made.map(work, (slice(start, start + batch) for start in range(0, count, batch))):
            pass


def prefetch(items: Iterator[Job]) -> Iterator[Job]:
    """The same items, the next fetched by a thread while the caller works with one."""
    return chain.from_iterable(takewhile(bool, map_ahead(lambda _: list(islice(items, 1)), repeat(None))))


def completed(
    function: Callable[[Job], Result], jobs: Sequence[Job], *, workers: int = 1, scheduler: str | None = None
) -> Iterator[tuple[int, Result]]:
    """Run ``function`` on every job.

    Args:
        function: A module's function, so that it travels between processes; it may run twice for a job whose worker died.
        jobs: Its arguments.
        workers: Processes; 1 runs here.
        scheduler: Address of a Dask scheduler whose workers see the same files; overrules ``workers``.

    Yields:
        (index of the job, result) as jobs finish.

    Raises:
        PcaugError: Of the first job that failed; jobs that have not begun are dropped. Or if workers keep dying.
        MissingExtra: Without ``distributed`` for a scheduler.
    """
    if scheduler is not None:
        yield from _on_dask(function, jobs, scheduler)
    elif workers <= 1 or len(jobs) <= 1:
        for index, job in enumerate(jobs):
            yield index, function(job)
    else:
        yield from _on_processes(function, jobs, workers)


def _on_processes(function: Callable[[Job], Result], jobs: Sequence[Job], workers: int) -> Iterator[tuple[int, Result]]:
    left = dict(enumerate(jobs))
    for _ in range(ROUNDS):
        try:
            with _pool(min(workers, len(left))) as processes:
                with _unheard():
                    futures: dict[Future[Result], int] = {
                        processes.submit(_work, function, job): index for index, job in left.items()
                    }
                for future in as_completed(futures):
                    result = future.result()
                    left.pop(futures[future])
                    yield futures[future], result
            return
        except BrokenProcessPool:  # a killed worker takes the pool with it; what is left goes to a new one
            continue
    do = (
        "memory may be short: take fewer workers; what is done is kept, run it again to go on; "
        "a script of your own needs its calls below: if __name__ == '__main__':"
    )
    raise PcaugError(f"worker processes died {ROUNDS} times", do=do)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that share the cores. They end with this one, however that happens, and when the caller breaks off; after an
    error of one, what the others are at is done first."""
    context = get_context("spawn")
    end, wanted = context.Pipe(duplex=False)  # what hears that its other end is closed
    made = ProcessPoolExecutor(workers, mp_context=context, initializer=_begin, initargs=(workers, end))
    with end, wanted:
        try:
            yield made
        except (KeyboardInterrupt, GeneratorExit):
            wanted.close()
            raise
        finally:
            made.shutdown(cancel_futures=True)


@contextmanager
def _unheard() -> Iterator[None]:
    """Processes that are started meanwhile do not hear Ctrl-C, which a terminal sends to them too, until they have begun: they
    would say where in their imports it struck."""
    if not MASKS:
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(workers: int, end: Connection) -> None:
    os.environ.setdefault("RAYON_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))  # of lazrs, at its first use
    plain_warnings()
    Thread(target=_follow, args=(end,), daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if MASKS:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _follow(end: Connection) -> None:
    """End this worker when the process that started it wants no more of it, or has died, which closes its end too."""
    end.poll(None)
    UNWANTED.set()
    interrupt_self()
    time.sleep(PATIENCE)
    os._exit(1)


def _work(function: Callable[[Job], Result], job: Job) -> Result:
    """A job in a worker, which Ctrl-C strikes once, whether the terminal or ``_follow`` sends it: it shall clear up. Between jobs
    there is nothing to clear up."""
    signal.signal(signal.SIGINT, partial(strike, then=signal.SIG_IGN))
    try:
        if UNWANTED.is_set():
            raise KeyboardInterrupt
        return function(job)
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _on_dask(function: Callable[[Job], Result], jobs: Sequence[Job], scheduler: str) -> Iterator[tuple[int, Result]]:
    try:
        from distributed import Client, KilledWorker
        from distributed import as_completed as dask_completed
    except ImportError:
        raise MissingExtra("a cluster needs Dask", do="pip install 'pcaug[cluster]'") from None
    try:
        client = Client(scheduler, timeout="20s")
    except (OSError, ValueError, TimeoutError) as error:
        raise PcaugError("no Dask scheduler answers", scheduler, f"start one with: dask scheduler ({error})") from None
    with client:
        futures = {client.submit(function, job, pure=False): index for index, job in enumerate(jobs)}
        try:
            for future in dask_completed(list(futures)):
                yield futures[future], future.result()
        except KilledWorker:
            do = "memory may be short: give them more, or let fewer work at once"
            raise PcaugError("workers of Dask keep dying", scheduler, do) from None
        finally:
            client.cancel(list(futures))
