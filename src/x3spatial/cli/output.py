"""Output of commands: plain tables that are also readable in a pipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import typer

from x3spatial.tables import Table

SHOWN_PROBLEMS = 10


def show(found: Table) -> None:
    """Print a result's table and the notes below it."""
    table(found.title, found.columns, found.rows)
    for note in found.notes:
        typer.echo(note)


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the first column is left-aligned, the others right."""
    import shutil
    import sys

    from rich import box
    from rich.console import Console
    from rich.table import Table as RichTable

    # A pipe has no width, so nothing is truncated.
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 200
    drawn = RichTable(title=title, box=box.SIMPLE, title_justify="left", title_style="bold")
    for number, column in enumerate(columns):
        drawn.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        drawn.add_row(*row)
    Console(width=max(width, 60), markup=False, highlight=False).print(drawn)


def problems(found: Sequence[tuple[str, str]], where: str) -> None:
    """Print the first problems on stderr, one line each, and the command that lists the others."""
    for path, reason in found[:SHOWN_PROBLEMS]:
        typer.echo(f"{path}: {reason}", err=True)
    if len(found) > SHOWN_PROBLEMS:
        typer.echo(f"... and {len(found) - SHOWN_PROBLEMS} more: {where}", err=True)


def shown(path: Path) -> str:
    """The shortest form of a path: relative to the current folder if possible."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
