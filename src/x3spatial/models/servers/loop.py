"""An event loop in a separate thread, used from other threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class LoopThread:
    """Runs coroutines for any number of threads; the loop starts with the first one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._running: set[Coroutine[Any, Any, Any]] = set()
        """Submitted coroutines; tasks that libraries start are ended by the libraries."""

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Start ``coroutine`` in the loop; its result is waited for with ``result()``."""
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                # A daemon, so that a missing close() does not keep the process alive.
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name=self._name, daemon=True
                )
                self._thread.start()
            self._running.add(coroutine)
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        future.add_done_callback(lambda _: self._running.discard(coroutine))
        return future

    def cancel(self) -> None:
        """Cancel all coroutines; waiting callers get ``concurrent.futures.CancelledError``."""
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._cancel, self._loop)

    def _cancel(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Task[Any]]:
        tasks = [task for task in asyncio.all_tasks(loop) if task.get_coro() in self._running]
        for task in tasks:
            task.cancel()
        return tasks

    def close(self, last: Coroutine[Any, Any, None] | None = None) -> None:
        """Cancel all coroutines, run ``last``, then stop the loop and its thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            if last is not None:
                last.close()
            return
        try:
            asyncio.run_coroutine_threadsafe(self._end(loop, last), loop).result()
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            loop.close()

    async def _end(
        self, loop: asyncio.AbstractEventLoop, last: Coroutine[Any, Any, None] | None
    ) -> None:
        await asyncio.gather(*self._cancel(loop), return_exceptions=True)
        if last is not None:
            await last
