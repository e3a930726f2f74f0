"""Texts that others wrote, made safe and short for a terminal; counted nouns."""

from __future__ import annotations

import unicodedata
from pathlib import Path

QUOTE = 200
"""Most characters of a quoted answer or server reply in a message."""

_KEPT = frozenset("\n\t")
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
_BIDI = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F)))
"""Characters that change the order of the characters around them."""


def printable(text: str) -> str:
    """``text`` with control characters written as escapes, so that it cannot steer a terminal.

    File names, answers and replies of servers may hold any character. Line ends and tabs are kept.
    """
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii") if _steers(char) else char for char in text
    )


def shown_path(path: Path) -> str:
    """The shortest form of a path: relative to the current folder if possible."""
    try:
        return str(path.relative_to(Path.cwd()))
    except (ValueError, FileNotFoundError):
        return str(path)


def print_line(text: str) -> None:
    """Print a printable line on stdout at once."""
    print(printable(text), flush=True)


def _steers(char: str) -> bool:
    if char in _KEPT:
        return False
    return unicodedata.category(char) in _UNPRINTABLE or char in _BIDI


def shortened(text: str, limit: int = QUOTE) -> str:
    """At most ``limit`` characters of ``text``, and how many were left out."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def quoted(text: str, limit: int = QUOTE) -> str:
    """``text`` on one line between quotation marks, shortened."""
    return f"'{shortened(' '.join(text.split()), limit)}'"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 scene``, ``2 scenes``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
