"""Logging of commands: messages of the logger ``x3spatial`` on stderr, one line each."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from x3spatial import progress
from x3spatial.cli.help import RUN
from x3spatial.errors import UserError
from x3spatial.program.log_line import LogLine

LEVELS = ("debug", "info", "warning", "error")
DEFAULTS: dict[str, Any] = {"quiet": False, "log_level": "info"}

Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet", "-q", help="No notes and no progress bars on stderr.", rich_help_panel=RUN
    ),
]
LogLevel = Annotated[
    str,
    typer.Option(
        "--log-level", help=f"{', '.join(LEVELS[:-1])} or {LEVELS[-1]}.", rich_help_panel=RUN
    ),
]

LOG = logging.getLogger("x3spatial")


class _Stderr(logging.StreamHandler[Any]):
    """A handler that writes to the current ``sys.stderr``."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(LogLine())

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


@contextmanager
def to_stderr() -> Iterator[None]:
    """Print the package's log messages during a command; the logger is restored afterwards."""
    handler, level, propagate = _Stderr(), LOG.level, LOG.propagate
    LOG.addHandler(handler)
    LOG.propagate = False
    LOG.setLevel(logging.INFO)
    try:
        yield
    finally:
        LOG.removeHandler(handler)
        LOG.propagate = propagate
        LOG.setLevel(level)
        progress.show_bars(True)


def debugging() -> bool:
    """Whether ``--log-level debug`` is in effect."""
    return LOG.isEnabledFor(logging.DEBUG)


def set_level(context: typer.Context, quiet: bool, level: str) -> None:
    """Apply ``-q`` and ``--log-level``, which may be given before or after the command.

    Raises:
        UserError: the level is unknown.
    """
    if level not in LEVELS:
        raise UserError(f"--log-level {level}: must be one of {', '.join(LEVELS)}")
    source = context.get_parameter_source("log_level")
    if source is not None and source.name == "COMMANDLINE":
        LOG.setLevel(level.upper())
    elif quiet:
        LOG.setLevel(logging.WARNING)
    if quiet:
        progress.show_bars(False)
