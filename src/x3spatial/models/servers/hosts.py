"""Load balancing over several servers of one model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from x3spatial.models.servers.concurrency import ConcurrencyLimit

_FIRST_OUT_SECONDS = 1.0
_LONGEST_OUT_SECONDS = 60.0


@dataclass(slots=True)
class Host:
    """One server."""

    index: int
    url: str
    limit: ConcurrencyLimit
    active: int = 0
    served: int = 0
    """Requests sent to it."""
    paused_until: float = 0.0
    """No requests before this time, at its own request (Retry-After)."""
    out_until: float = 0.0
    """It was unreachable; skipped until this time if there are other servers."""
    failures: int = 0
    """How often in a row it was unreachable."""
    out_since: float = float("-inf")


class Lease:
    """Permission to send one request to a host; records the outcome."""

    def __init__(self, host: Host, clock: Callable[[], float]) -> None:
        self.host = host
        self._clock = clock
        self._sent = clock()

    def succeeded(self) -> None:
        """The server answered."""
        self.host.limit.succeeded()
        self.host.failures = 0
        self.host.out_until = 0.0

    def overloaded(self) -> None:
        """The server is overloaded."""
        self.host.limit.overloaded(self._sent, self._clock())

    def pause(self, seconds: float) -> None:
        """The server asked for a pause: no requests for ``seconds``."""
        self.host.paused_until = max(self.host.paused_until, self._clock() + seconds)

    def unreachable(self) -> None:
        """The server is unreachable: it is skipped, longer after each failure."""
        if self._sent < self.host.out_since:
            return  # sent before the server was known to be unreachable
        now = self._clock()
        seconds = min(_LONGEST_OUT_SECONDS, _FIRST_OUT_SECONDS * 2.0 ** min(self.host.failures, 30))
        self.host.failures += 1
        self.host.out_since = now
        self.host.out_until = now + seconds


class Hosts:
    """All servers; at most ``bound`` concurrent requests. For use within one event loop.

    Args:
        urls: at least one.
        bound: most concurrent requests, over all servers.
        clock: monotonic seconds.
    """

    def __init__(
        self, urls: Sequence[str], bound: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.all = [Host(index, url, ConcurrencyLimit(bound)) for index, url in enumerate(urls)]
        self._bound = bound
        self._clock = clock
        self._waiting: set[asyncio.Future[None]] = set()

    @asynccontextmanager
    async def lease(self, avoid: Host | None = None) -> AsyncIterator[Lease]:
        """Wait for a server with capacity: the least busy one, not ``avoid`` if possible."""
        while (host := self._free(avoid)) is None:
            woken = asyncio.get_running_loop().create_future()
            self._waiting.add(woken)
            try:
                await asyncio.wait([woken], timeout=self._until_change())
            finally:
                self._waiting.discard(woken)
        host.active += 1
        host.served += 1
        try:
            yield Lease(host, self._clock)
        finally:
            host.active -= 1
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    def _free(self, avoid: Host | None) -> Host | None:
        if sum(host.active for host in self.all) >= self._bound:
            return None
        now = self._clock()
        # If every server is unreachable, all are tried.
        up = [host for host in self.all if host.out_until <= now] or self.all
        free = [
            host for host in up if host.active < host.limit.allowed and host.paused_until <= now
        ]
        others = [host for host in free if host is not avoid]
        return min(
            others or free,
            key=lambda host: (host.active / host.limit.allowed, host.served, host.index),
            default=None,
        )

    def _until_change(self) -> float | None:
        """Seconds until a pause or a skip of a server ends; None without any."""
        now = self._clock()
        times = [t for host in self.all for t in (host.paused_until, host.out_until) if t > now]
        return min(times) - now if times else None
