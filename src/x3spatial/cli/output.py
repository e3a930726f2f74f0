"""Output of commands: text for people on stdout, or one JSON document (``--json``)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from x3spatial.cli.help import RUN
from x3spatial.formats.typed_json import document
from x3spatial.tables import Line, Table, terminal_width
from x3spatial.texts import printable, shortened, shown_path

AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON document, for programs.", rich_help_panel=RUN),
]
SHOWN_PROBLEMS = 10
_STYLES: dict[Line, dict[str, Any]] = {Line.TITLE: {"bold": True}, Line.HEAD: {"underline": True}}


def nothing() -> None:
    """A command without warnings."""


@dataclass(frozen=True)
class Outcome:
    """What a command found, for people and for programs."""

    value: Callable[[], Any]
    """Makes the JSON value of ``--json``."""
    show: Callable[[], None]
    """Prints it for people, on stdout."""
    warn: Callable[[], None] = nothing
    """Logs what went wrong, in both cases."""
    code: int = 0
    """The exit code."""


def run(work: Callable[[], Any], *, as_json: bool) -> Any:
    """Run a command and print its outcome; returns the exit code, or what a command without one returns.

    With ``as_json`` stdout holds one JSON document and nothing else; whatever is printed meanwhile, also by a
    model of another package, goes to stderr.
    """
    if not as_json:
        found = work()
        if isinstance(found, Outcome):
            found.show()
    else:
        with redirect_stdout(sys.stderr):
            found = work()
        if isinstance(found, Outcome):
            typer.echo(document(found.value()))
    if not isinstance(found, Outcome):
        return found
    found.warn()
    return found.code


def line(text: str) -> None:
    """Print a line; control characters of file names and answers are written as escapes."""
    typer.echo(printable(text))


def table(found: Table) -> None:
    """Print a table and its notes, as wide as the terminal; a file has no width."""
    styled = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for kind, text in found.lines(terminal_width()):
        style = _STYLES.get(kind, {}) if styled and text else {}
        typer.echo(typer.style(text, **style) if style else text)


_LONGEST_REASON = 500
"""Characters of a problem's reason, which ends with what can be done."""


def problems(found: Sequence[tuple[str, str]], where: str) -> None:
    """Print the first problems on stderr, one line each, and the command that lists the others."""
    for path, reason in found[:SHOWN_PROBLEMS]:
        typer.echo(printable(f"{path}: {shortened(reason, _LONGEST_REASON)}"), err=True)
    if len(found) > SHOWN_PROBLEMS:
        typer.echo(printable(f"... and {len(found) - SHOWN_PROBLEMS} more: {where}"), err=True)


shown = shown_path
