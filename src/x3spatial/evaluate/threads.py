"""Work in threads with only a little of it in flight."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def in_order(
    work: Callable[[T], R], items: Iterable[T], *, workers: int, ahead: int
) -> Iterator[R]:
    """``map(work, items)`` in ``workers`` threads, at most ``ahead`` items before the one consumed."""
    source = iter(items)
    pool = ThreadPoolExecutor(workers)
    pending: deque[Future[R]] = deque()
    try:
        pending.extend(pool.submit(work, item) for item in islice(source, ahead))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(work, item) for item in islice(source, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def as_done(work: Callable[[T], R], items: Iterable[T], *, workers: int) -> Iterator[R]:
    """Likewise in the order of completion, so that one slow item holds nothing up."""
    source = iter(items)
    pool = ThreadPoolExecutor(workers)
    pending: set[Future[R]] = set()
    try:
        pending.update(pool.submit(work, item) for item in islice(source, 2 * workers))
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            pending.update(pool.submit(work, item) for item in islice(source, len(done)))
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
