"""Commands that train: sft, check-data, data list, recipe run.

``x3 sft`` also accepts the options of the transformers Trainer, so it parses them itself; these commands pass
their arguments on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import typer

from x3spatial.cli.declare import command
from x3spatial.errors import packages_of


def _run(command: str, name: str, arguments: Sequence[str]) -> int:
    with packages_of("train", command):
        from x3spatial.training import commands

        run: Callable[[Sequence[str]], int] = getattr(commands, name)
        return run(arguments)


@command("", raw=True)
def sft(context: typer.Context) -> int:
    """See x3 sft --help and docs/training.md."""
    return _run("x3 sft", "sft_command", context.args)


@command("", raw=True)
def check_data(context: typer.Context) -> int:
    """Makes one batch as well."""
    return _run("x3 check-data", "check_data_command", context.args)


@command("", raw=True)
def run_recipe(context: typer.Context) -> int:
    """See docs/training-a-tiny-model.md."""
    return _run("x3 recipe run", "run_recipe_command", context.args)


@command("", raw=True)
def list_data(context: typer.Context) -> int:
    """Exits 1 if a file is missing."""
    return _run("x3 data list", "list_data_command", context.args)
