"""Waiting times between retries."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 30.0
LONGEST_RETRY_AFTER = 120.0
"""Longer waits that a server asks for are shortened to this."""


def parse_retry_after(value: str | None, now: datetime | None = None) -> float | None:
    """Seconds that a ``Retry-After`` header asks for (RFC 9110, 10.2.3: seconds or a date), capped.

    None without a header or with another value. Fractions of a second, which some servers send, are accepted.
    """
    if value is None:
        return None
    value = value.strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except (ValueError, TypeError):
            return None
        if date.tzinfo is None:  # "-0000": UTC, source unknown
            date = date.replace(tzinfo=UTC)
        seconds = (date - (now or datetime.now(UTC))).total_seconds()
    if math.isnan(seconds):
        return None
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


class Backoff:
    """The waiting times of one question: exponential with full jitter, deterministic for a given seed."""

    def __init__(self, seed: int, id: str) -> None:
        self._random = random.Random(f"{seed}/{id}")

    def wait(self, attempt: int, retry_after: float | None) -> float:
        """Seconds to wait after attempt number ``attempt`` (from 1) failed.

        At least what the server asked for, plus some jitter, so that retries do not arrive simultaneously.
        """
        highest = min(LONGEST_SECONDS, FIRST_SECONDS * 2.0 ** min(attempt - 1, 30))
        drawn = self._random.uniform(0, highest)
        if retry_after is None:
            return drawn
        return max(drawn, retry_after + drawn * FIRST_SECONDS / highest)
