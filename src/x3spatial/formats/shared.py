"""One object for equal values, for files whose neighbouring entries have most of their values in common."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

T = TypeVar("T", bound=Hashable)

_MOST = 4096
"""Values that are remembered: those of hundreds of entries, and memory does not grow with the file."""


class Shared:
    """Returns the first of equal values among the last few thousand; values of one type only."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Hashable] = {}

    def __call__(self, value: T) -> T:
        """``value``, or an equal one that was given before."""
        if len(self._known) >= _MOST:
            self._known.clear()
        return self._known.setdefault(value, value)  # type: ignore[return-value]
