"""The hidden commands x3 help and x3 version."""

from __future__ import annotations

from typing import Annotated

import typer

from x3spatial import __version__
from x3spatial.cli.declare import command


@command("[COMMAND]", "x3 help", "x3 help build")
def show_help(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(metavar="COMMAND", help="A command.")] = None,
) -> None:
    """The same as x3 COMMAND --help."""
    from x3spatial.cli import make_app

    make_app()(args=[*(names or []), "--help"], standalone_mode=False, prog_name="x3")


@command("", "x3 version", "x3 --version")
def show_version() -> None:
    """The same as x3 --version."""
    typer.echo(f"x3spatial {__version__}")
