"""Checks of paths."""

from __future__ import annotations

import os
from pathlib import Path

from x3spatial.errors import UserError


def check_utf8(path: Path, option: str) -> None:
    """Check that a path can stand in our files, which are UTF-8.

    Raises:
        UserError: a name in it is not UTF-8; the message names ``option``.
    """
    text = os.path.abspath(path)  # noqa: PTH100 - symbolic links are not resolved
    try:
        text.encode()
    except UnicodeEncodeError:
        # A byte that is not UTF-8 is half of a surrogate pair in Python: \udcfc for 0xfc.
        shown = text.encode("utf-8", "backslashreplace").decode().replace("\\udc", "\\x")
        raise UserError(
            f"{option} {shown}: path is not valid UTF-8, as the files that hold it need it; rename it"
        ) from None
