"""Progress on stderr: a bar on a terminal, else a line every half minute for logs of long runs."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from x3spatial.texts import printable

SECONDS_BETWEEN_LINES = 30.0
_LOG = logging.getLogger("x3spatial")
_enabled = True
_of_thread = threading.local()


def show_bars(show: bool) -> None:
    """Turn progress of this process on or off; it is on by default."""
    global _enabled
    _enabled = show


@contextmanager
def without_progress() -> Iterator[None]:
    """No progress of what this thread does in the block, because nobody waits for it."""
    _of_thread.silent = True
    try:
        yield
    finally:
        _of_thread.silent = False


class Advance(Protocol):
    """Reports finished work."""

    def __call__(self, n: int = 1) -> None:
        """Report ``n`` more finished units."""


@contextmanager
def progress(label: str, total: int, *, done: int = 0) -> Iterator[Advance]:
    """Show the progress of ``total`` units of work, of which ``done`` were finished by an earlier run.

    A terminal gets a bar. Otherwise the logger ``x3spatial`` gets a line every 30 seconds, with what is done,
    the rate of this run and the time that is left. Nothing is printed after ``show_bars(False)``.
    """
    if not _enabled or getattr(_of_thread, "silent", False):
        yield lambda n=1: None
    elif sys.stderr.isatty():
        with _bar(label, total, done) as advance:
            yield advance
    else:
        with _lines(label, total, done) as advance:
            yield advance


@contextmanager
def _bar(label: str, total: int, done: int) -> Iterator[Advance]:
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
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    # Refreshed manually: rich's refresh thread could be running while worker processes are forked. Lines on
    # stdout are drawn above the bar if both are the terminal; a file must get them as they are.
    with Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        auto_refresh=False,
        redirect_stdout=sys.stdout.isatty(),
    ) as bar:
        task = bar.add_task(printable(label), total=total, completed=done)
        bar.refresh()
        shown = time.monotonic()

        def advance(n: int = 1) -> None:
            nonlocal shown
            bar.advance(task, n)
            if time.monotonic() - shown > 0.1:
                bar.refresh()
                shown = time.monotonic()

        yield advance


@contextmanager
def _lines(label: str, total: int, done: int) -> Iterator[Advance]:
    """Lines are written by a thread of their own, so that one slow unit does not silence them."""
    finished = done
    started = time.monotonic()
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(SECONDS_BETWEEN_LINES):
            seconds = time.monotonic() - started
            _LOG.info("%s", progress_line(label, finished, total, finished - done, seconds))

    writer = threading.Thread(target=write, daemon=True, name="x3-progress")
    writer.start()

    def advance(n: int = 1) -> None:
        nonlocal finished
        finished += n

    try:
        yield advance
    finally:
        ended.set()
        writer.join()


def progress_line(label: str, done: int, total: int, now: int, seconds: float) -> str:
    """``sift: 120 of 500 (24 %), 4.1/s, 1:33 left``.

    Args:
        label: what is worked on.
        done: units that are finished, also by earlier runs.
        total: all units.
        now: units that this run finished.
        seconds: how long this run has taken.
    """
    share = f" ({done / total:.0%})" if total else ""
    line = f"{label}: {done:,} of {total:,}{share}"
    if not now or seconds <= 0:
        return f"{line}, running for {clock(seconds)}"
    rate = now / seconds
    speed = f"{rate:.1f}/s" if rate >= 0.1 else f"{rate * 60:.1f}/min"
    return f"{line}, {speed}, {clock((total - done) / rate)} left"


def clock(seconds: float) -> str:
    """``1:33`` or ``2:05:09``."""
    minutes, rest = divmod(round(max(seconds, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
