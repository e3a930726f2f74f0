"""The command line that this process runs, for messages that show how to run a part of it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

_given: list[list[str]] = []


@contextmanager
def running(words: Sequence[str]) -> Iterator[None]:
    """Remember ``words`` as the command line while the block runs."""
    _given.append(list(words))
    try:
        yield
    finally:
        _given.pop()


def current() -> list[str] | None:
    """The words of the command line; None where a program calls the functions itself."""
    return list(_given[-1]) if _given else None


def with_option(words: Sequence[str], option: str, value: str) -> str:
    """A command line as one types it, with another value of an option that it has.

    >>> with_option(["x3", "build", "my root", "--shard", "1/7"], "--shard", "3/7")
    "x3 build 'my root' --shard 3/7"
    """
    changed = list(words)
    for place, word in enumerate(words):
        if word == option and place + 1 < len(words):
            changed[place + 1] = value
        elif word.startswith(f"{option}="):
            changed[place] = f"{option}={value}"
    return shlex.join(changed)
