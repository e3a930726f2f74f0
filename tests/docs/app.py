"""The commands of the app, as its help shows them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer

from x3spatial.cli import make_app


def is_group(command: Any) -> bool:
    return hasattr(command, "list_commands")


def below(group: Any, name: str) -> Any:
    """The command ``name`` of a group; None where help does not show one: an earlier name, or none at all."""
    context = typer.Context(group)
    return group.get_command(context, name) if name in group.list_commands(context) else None


def root() -> Any:
    """The group of ``x3``."""
    return make_app()


def commands(group: Any | None = None, prefix: str = "") -> Iterator[str]:
    """The words after ``x3`` of every command, such as ``model tiny``."""
    group = root() if group is None else group
    for name in group.list_commands(typer.Context(group)):
        command = group.get_command(typer.Context(group), name)
        if is_group(command):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield prefix + name


def shown_options(command: Any) -> set[str]:
    """The options of a command, but for former spellings."""
    parameters = command.get_params(typer.Context(command))
    shown = [one for one in parameters if not getattr(one, "hidden", False)]
    return {name for one in shown for name in (*one.opts, *one.secondary_opts)}


def find(path: str) -> Any:
    """The command of ``path``, such as ``model tiny``."""
    command = root()
    for name in path.split():
        command = below(command, name)
    return command
