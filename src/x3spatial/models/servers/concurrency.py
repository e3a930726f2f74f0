"""The number of concurrent requests per server: additive increase, multiplicative decrease."""

from __future__ import annotations


class ConcurrencyLimit:
    """The number of concurrent requests that a server is sent: 1 to ``bound``.

    It starts at the bound, is halved when the server reports an overload, and grows by about one for every
    round of successful requests.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._size = float(bound)
        self._shrunk = float("-inf")

    @property
    def allowed(self) -> int:
        """How many requests may run concurrently."""
        return int(self._size)

    def succeeded(self) -> None:
        """A request was answered."""
        self._size = min(float(self.bound), self._size + 1.0 / self._size)

    def overloaded(self, sent: float, now: float) -> None:
        """The server rejected a request, sent at time ``sent``, as overloaded; seconds of one clock.

        Concurrent requests fail together: of these only the first failure counts.
        """
        if sent < self._shrunk:
            return
        self._size = max(1.0, self._size / 2.0)
        self._shrunk = now
