"""The engine of this machine: threads or spawned processes."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import (
    FIRST_COMPLETED,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import ClassVar, Generic, TypeVar

from x3spatial.engine.base import Engine, Failed, Outcome, Plan, Task
from x3spatial.engine.cores import cores_per_process
from x3spatial.engine.parent import end_with
from x3spatial.errors import UserError
from x3spatial.program import signals, streams

T = TypeVar("T")
R = TypeVar("R")

_INTERRUPT_SECONDS = 0.1
"""Seconds between two interrupts. They are repeated, because work may start just after the first one."""
_DIED = "its worker process died each time: out of memory (use fewer --workers), or killed"


def default_workers() -> int:
    """The number of usable cores; under torchrun this process's share."""
    return cores_per_process()


class LocalEngine(Engine):
    """Threads, or processes that are spawned, one unit at a time each."""

    name: ClassVar[str] = "local"

    def default_workers(self) -> int:
        """One per usable core."""
        return default_workers()

    def run(
        self, task: Task[T, R], units: Iterator[tuple[int, T]], plan: Plan
    ) -> Generator[tuple[int, Outcome[R]], None, None]:
        """As ``Engine.run``; one worker, or one unit, needs neither threads nor processes."""
        workers = plan.workers or self.default_workers()
        first = list(islice(units, 2))
        units = chain(first, units)
        if workers == 1 or len(first) < 2:
            yield from ((number, task(unit)) for number, unit in units)
        elif plan.threads:
            yield from map_unordered(lambda item: (item[0], task(item[1])), units, workers)
        else:
            yield from _in_processes(task, units, workers, plan.retries)


def map_unordered(
    work: Callable[[T], R],
    items: Iterable[T],
    workers: int,
    *,
    interrupt: Callable[[], None] | None = None,
) -> Generator[R, None, None]:
    """Yield ``work(item)`` for every item, in the order of completion, computed in threads.

    At most four items per worker are in flight, so memory does not grow with the number of items. An
    exception raised by ``work`` stops the run and is raised here. ``Engine.map`` tries again instead.

    Args:
        work: called once per item.
        items: iterated in the calling thread.
        workers: number of threads; 1 runs in the calling thread.
        interrupt: cancels work that is running. It is called repeatedly when the iteration ends early,
            because threads cannot be stopped from outside and may block for minutes.

    Raises:
        UserError: ``workers`` is below 1.
    """
    if workers < 1:
        raise UserError(f"--workers {workers}: must be at least 1")
    if workers == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(workers)
    source = iter(items)
    pending: set[Future[R]] = set()
    try:
        pending.update(pool.submit(work, item) for item in islice(source, 4 * workers))
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending.update(pool.submit(work, item) for item in islice(source, len(done)))
            for future in done:
                yield future.result()
    except BaseException:
        if interrupt is not None:
            pool.shutdown(wait=False, cancel_futures=True)
            while running := [future for future in pending if not future.done()]:
                interrupt()
                wait(running, timeout=_INTERRUPT_SECONDS)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(parent: int) -> None:
    signals.ignore()
    end_with(parent)
    streams.protect()


def _started() -> None:
    """The first call of a worker: it can be reached."""


class _Worker(Generic[T, R]):
    """A process that does one unit at a time. It has a pool of its own, so its death is of one unit."""

    def __init__(self, task: Task[T, R]) -> None:
        self._task = task
        # spawn, not fork: a fork of a process whose libraries have threads (OpenCV, torch, numba)
        # can deadlock on a lock whose owner was not forked.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, context, _start_worker, (os.getpid(),))
        self._ready: Future[None] | None = None

    def start(self, unit: T) -> Future[Outcome[R]]:
        """Begin a unit."""
        with signals.inherited_blocked():  # the pool starts its process when work is submitted
            if self._ready is None:
                self._ready = self._pool.submit(_started)
            return self._pool.submit(self._task, unit)

    @property
    def never_started(self) -> bool:
        """Whether the process died before it could do anything."""
        return (
            self._ready is not None and self._ready.done() and self._ready.exception() is not None
        )

    def end(self, *, now: bool) -> None:
        """End the process after its unit; ``now``: at once, because a unit may take minutes."""
        if now:
            for process in list((getattr(self._pool, "_processes", None) or {}).values()):
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)


def _in_processes(
    task: Task[T, R], units: Iterator[tuple[int, T]], workers: int, retries: int
) -> Generator[tuple[int, Outcome[R]], None, None]:
    """The outcome of each unit, done in processes; a unit whose process died is tried again in a new one.

    Raises:
        UserError: processes cannot be started.
    """
    running: dict[Future[Outcome[R]], tuple[_Worker[T, R], tuple[int, T], int]] = {}
    again: deque[tuple[tuple[int, T], int]] = deque()
    """Units whose process died, and how often."""

    def start(worker: _Worker[T, R]) -> None:
        if again:
            item, deaths = again.popleft()
        elif (following := next(units, None)) is not None:
            item, deaths = following, 0
        else:
            worker.end(now=False)
            return
        running[worker.start(item[1])] = worker, item, deaths

    try:
        for first in islice(units, workers):
            worker = _Worker(task)
            running[worker.start(first[1])] = worker, first, 0
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            finished: list[tuple[int, Outcome[R]]] = []
            for future in done:
                worker, item, deaths = running.pop(future)
                try:
                    finished.append((item[0], future.result()))
                except BrokenProcessPool:
                    worker.end(now=False)
                    if worker.never_started:
                        raise UserError(
                            "a worker process could not start: out of memory (use fewer --workers), or the"
                            " calling script has no `if __name__ == '__main__':` guard"
                        ) from None
                    if deaths < retries:
                        again.append((item, deaths + 1))
                    else:
                        finished.append((item[0], Failed(_DIED, by_user=True)))
                    worker = _Worker(task)
                start(worker)
            yield from finished
    finally:
        now = signals.stopping()
        for worker, _, _ in running.values():
            worker.end(now=now)
