"""Work ahead in threads, with results in order (``data.parallel`` gives them as they come)."""

from __future__ import annotations

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
