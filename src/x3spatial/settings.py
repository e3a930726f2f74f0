"""Comparison of the settings of two runs by their meaning, not by their spelling."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

_CONTENT = "fingerprint"
_PLACES = frozenset({"model", "path"})
"""Keys beside a fingerprint that say where the files lie: the same files elsewhere are the same."""


class Difference(NamedTuple):
    """One setting that differs."""

    keys: tuple[str, ...]
    """Its place in nested settings."""
    was: Any
    now: Any

    def __str__(self) -> str:
        return f"was {_short(self.was)}, is {_short(self.now)}"


def differences(was: Any, now: Any, keys: tuple[str, ...] = ()) -> list[Difference]:
    """The settings that differ, in the order of ``now``; a missing one equals None.

    Paths of the same existing file or folder are equal in every spelling (relative, with a trailing slash,
    through a symbolic link), and so are files with the same fingerprint in different places.
    """
    if isinstance(was, Mapping) and isinstance(now, Mapping):
        ignored = _PLACES if was.get(_CONTENT) and was.get(_CONTENT) == now.get(_CONTENT) else ()
        names = [name for name in dict.fromkeys((*now, *was)) if name not in ignored]
        return [d for n in names for d in differences(was.get(n), now.get(n), (*keys, str(n)))]
    if isinstance(was, (list, tuple)) and isinstance(now, (list, tuple)) and len(was) == len(now):
        pairs = enumerate(zip(was, now, strict=True))
        return [d for i, pair in pairs for d in differences(*pair, (*keys, str(i)))]
    return [] if was == now or _same_file(was, now) else [Difference(keys, was, now)]


def real_path(path: str) -> str:
    """``path`` without symbolic links if it exists, otherwise unchanged."""
    # Path.exists() raises for texts that are too long for a name.
    return os.path.realpath(path) if os.path.exists(path) else path  # noqa: PTH110


def _same_file(was: Any, now: Any) -> bool:
    return isinstance(was, str) and isinstance(now, str) and real_path(was) == real_path(now)


def _short(value: Any) -> str:
    text = str(value)
    # Paths differ at their ends.
    return text if len(text) <= 80 else f"{text[:38]}...{text[-39:]}"
