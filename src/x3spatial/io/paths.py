"""Checks of paths."""

from __future__ import annotations

import os
from pathlib import Path

from x3spatial.errors import UserError


def check_utf8(path: Path, option: str) -> None:
    """Check a path that will be written into a JSON file.

    Raises:
        UserError: it is not valid UTF-8; the message names ``option``.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        raise UserError(
            f"{option} {shown}: path is not valid UTF-8, as JSON files need it; rename it"
        ) from None
