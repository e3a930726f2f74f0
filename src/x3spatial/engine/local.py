"""Unordered map over threads or spawned processes on this machine."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import TypeVar

from x3spatial.engine.cores import cores_per_process
from x3spatial.engine.parent import end_with
from x3spatial.errors import UserError
from x3spatial.program import signals, streams

T = TypeVar("T")
R = TypeVar("R")

_INTERRUPT_SECONDS = 0.1
"""Seconds between two interrupts. They are repeated, because work may start just after the first one."""


def default_workers() -> int:
    """The number of usable cores; under torchrun this process's share."""
    return cores_per_process()


def _start_worker(parent: int) -> None:
    signals.ignore()
    end_with(parent)
    streams.protect()


def _end_workers(pool: Executor) -> None:
    """End the processes of a pool, whose items may take minutes; files are replaced as a whole."""
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.terminate()


def _submit(pool: Executor, work: Callable[[T], R], item: T) -> Future[R]:
    with signals.inherited_blocked():  # a process pool starts its workers when work is submitted
        return pool.submit(work, item)


def map_unordered(
    work: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    *,
    threads: bool = False,
    interrupt: Callable[[], None] | None = None,
) -> Iterator[R]:
    """Yield ``work(item)`` for every item, in the order of completion.

    At most four items per worker are in flight, so memory does not grow with the number of items. An
    exception raised by ``work`` stops the run and is raised here.

    Args:
        work: called once per item; must be picklable unless ``threads`` is set or ``workers`` is 1.
        items: picklable under the same condition; iterated in the calling thread.
        workers: number of processes or threads; 1 runs in the calling thread.
        threads: use threads instead of processes. They start faster and suit work that spends its time in
            codecs, which release the GIL.
        interrupt: cancels work that is running in threads. It is called repeatedly when the iteration ends
            early, because threads cannot be stopped from outside and may block for minutes.

    Raises:
        UserError: ``workers`` is below 1, or a worker process died (killed, or out of memory).
    """
    if workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    if workers == 1:
        yield from map(work, items)
        return
    pool: Executor
    if threads:
        pool = ThreadPoolExecutor(workers)
    else:
        # spawn, not fork: a fork of a process whose libraries have threads (OpenCV, torch, numba)
        # can deadlock on a lock whose owner was not forked.
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(workers, context, _start_worker, (os.getpid(),))
    source = iter(items)
    pending: set[Future[R]] = set()
    try:
        pending.update(_submit(pool, work, item) for item in islice(source, 4 * workers))
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending.update(_submit(pool, work, item) for item in islice(source, len(done)))
            for future in done:
                yield future.result()
    except BrokenProcessPool:
        raise UserError(
            "a worker process died: out of memory (use fewer --workers; the same command continues),"
            " or the calling script has no `if __name__ == '__main__':` guard"
        ) from None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            _end_workers(pool)
        if interrupt is not None:
            pool.shutdown(wait=False, cancel_futures=True)
            while running := [future for future in pending if not future.done()]:
                interrupt()
                wait(running, timeout=_INTERRUPT_SECONDS)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
