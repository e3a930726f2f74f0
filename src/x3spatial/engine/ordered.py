"""Ordered thread map with bounded prefetch (``engine.local`` yields results in order of completion)."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_ordered(
    work: Callable[[T], R], items: Iterable[T], *, workers: int, ahead: int
) -> Iterator[R]:
    """Yield ``work(item)`` for every item, in the order of the items, computed in threads.

    An exception raised by ``work`` is raised at the position of its item; work that has not started is
    cancelled. Leaving the iteration early waits for running work.

    Args:
        work: called in the threads.
        items: iterated in the calling thread.
        workers: number of threads.
        ahead: number of items that are submitted before the first result is consumed; at least 1.
    """
    source = iter(items)
    pool = ThreadPoolExecutor(workers)
    pending: deque[Future[R]] = deque()
    try:
        pending.extend(pool.submit(work, item) for item in islice(source, min(ahead, sys.maxsize)))
        while pending:
            result = pending.popleft().result()
            pending.extend(pool.submit(work, item) for item in islice(source, 1))
            yield result
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
