"""Several servers of one model: which one is asked next, and how many requests are under way."""

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
    under_way: int = 0
    served: int = 0
    """Requests that it was given."""
    paused_until: float = 0.0
    """It asked to be left alone until then."""
    out_until: float = 0.0
    """Nobody listened; until then others are asked, if there are any."""
    failures: int = 0
    """How often in a row it was taken out."""
    out_since: float = float("-inf")


class Lease:
    """The right to send one request to a host, and what came of it."""

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
        """The server has too much to do."""
        self.host.limit.overloaded(self._sent, self._clock())

    def pause(self, seconds: float) -> None:
        """The server asked to be left alone for so long: nobody asks it until then."""
        self.host.paused_until = max(self.host.paused_until, self._clock() + seconds)

    def unreachable(self) -> None:
        """Nobody listens there: it is taken out, each time for longer."""
        if self._sent < self.host.out_since:
            return  # sent together with the one that found out
        now = self._clock()
        seconds = min(_LONGEST_OUT_SECONDS, _FIRST_OUT_SECONDS * 2.0 ** min(self.host.failures, 30))
        self.host.failures += 1
        self.host.out_since = now
        self.host.out_until = now + seconds


class Hosts:
    """All servers; at most ``bound`` requests are under way together. For use within one event loop.

    Args:
        urls: at least one.
        bound: most requests at once, over all servers.
        clock: seconds that only grow.
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
        """Wait for a server with room, the least busy one; one that is not ``avoid`` if possible."""
        while (host := self._free(avoid)) is None:
            woken = asyncio.get_running_loop().create_future()
            self._waiting.add(woken)
            try:
                await asyncio.wait([woken], timeout=self._until_change())
            finally:
                self._waiting.discard(woken)
        host.under_way += 1
        host.served += 1
        try:
            yield Lease(host, self._clock)
        finally:
            host.under_way -= 1
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    def _free(self, avoid: Host | None) -> Host | None:
        if sum(host.under_way for host in self.all) >= self._bound:
            return None
        now = self._clock()
        # With every server out there is nothing to lose by asking.
        up = [host for host in self.all if host.out_until <= now] or self.all
        free = [
            host for host in up if host.under_way < host.limit.allowed and host.paused_until <= now
        ]
        others = [host for host in free if host is not avoid]
        return min(
            others or free,
            key=lambda host: (host.under_way / host.limit.allowed, host.served, host.index),
            default=None,
        )

    def _until_change(self) -> float | None:
        """Seconds until time alone may give a server room."""
        now = self._clock()
        times = [t for host in self.all for t in (host.paused_until, host.out_until) if t > now]
        return min(times) - now if times else None
