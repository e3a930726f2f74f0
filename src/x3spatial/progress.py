"""Progress bars on stderr if it is a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_enabled = True


def show_bars(show: bool) -> None:
    """Turn progress bars of this process on or off; they are on by default."""
    global _enabled
    _enabled = show


class Advance(Protocol):
    """Reports finished work."""

    def __call__(self, n: int = 1) -> None:
        """Report ``n`` more finished units."""


@contextmanager
def progress(label: str, total: int, *, done: int = 0) -> Iterator[Advance]:
    """Show a bar for ``total`` units of work, of which ``done`` were finished by an earlier run.

    Nothing is printed if stderr is not a terminal or after ``show_bars(False)``.
    """
    if not _enabled or not sys.stderr.isatty():
        yield lambda n=1: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Refreshed manually: rich's refresh thread could be running while worker processes are forked.
    with Progress(
        *columns, console=Console(stderr=True), transient=True, auto_refresh=False
    ) as bar:
        task = bar.add_task(label, total=total, completed=done)
        bar.refresh()
        shown = time.monotonic()

        def advance(n: int = 1) -> None:
            nonlocal shown
            bar.advance(task, n)
            if time.monotonic() - shown > 0.1:
                bar.refresh()
                shown = time.monotonic()

        yield advance
