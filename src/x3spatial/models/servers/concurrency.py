"""How many requests at once a server can take, found by trying: more by one, fewer by half."""

from __future__ import annotations


class ConcurrencyLimit:
    """The number of requests that may be under way: 1 to ``bound``.

    It starts at the bound, is halved when the server says that it has too much to do, and grows by about
    one for every round of requests that went well.
    """

    def __init__(self, bound: int) -> None:
        self.bound = bound
        self._size = float(bound)
        self._shrunk = float("-inf")

    @property
    def room(self) -> int:
        """How many requests may be under way."""
        return int(self._size)

    def went_well(self) -> None:
        """A request was answered."""
        self._size = min(float(self.bound), self._size + 1.0 / self._size)

    def overloaded(self, sent: float, now: float) -> None:
        """A request that was sent at ``sent`` was too much; times in seconds of one clock.

        Requests that were under way together fail together: of these only the first one counts.
        """
        if sent < self._shrunk:
            return
        self._size = max(1.0, self._size / 2.0)
        self._shrunk = now
