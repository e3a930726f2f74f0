"""Sizes as options spell them."""

from __future__ import annotations

import re

from x3spatial.errors import UserError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?([KMG]?)B?", re.IGNORECASE)
SMALLEST = 1000


def parse_size(text: str, option: str) -> int:
    """The bytes of ``500M``, ``1.5G`` or ``64000``; K, M and G are powers of 1000.

    Raises:
        UserError: it is no size, or below ``SMALLEST``; the message names ``option``.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise UserError(f"{option} {text}: expected a size such as 500M or 2G")
    size = round(float(found[1]) * _UNITS[found[2].upper()])
    if size < SMALLEST:
        raise UserError(f"{option} {text}: must be at least {SMALLEST} bytes")
    return size
