"""Text of the code in Markdown."""

from __future__ import annotations

import re


def escaped(text: str) -> str:
    """``text`` as it is, also in a cell of a table."""
    return re.sub(r"([\\*_|`])", r"\\\1", text).replace("<", "&lt;")
