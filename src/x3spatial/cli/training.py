"""Commands that train: sft, check-data, data list, recipe run.

``x3 sft`` takes the options of the transformers Trainer as well as its own, so it parses them itself;
these commands hand on what they get.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import typer

from x3spatial.errors import packages_of

_AS_IT_IS: dict[str, Any] = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
    "token_normalize_func": None,
}

data = typer.Typer(help="The data sets that can be trained on.")
recipe = typer.Typer(help="Training in stages.")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("sft", context_settings=_AS_IT_IS)(sft)
    app.command("check-data", context_settings=_AS_IT_IS)(check_data)
    data.command("list", context_settings=_AS_IT_IS)(list_data)
    app.add_typer(data, name="data")
    recipe.command("run", context_settings=_AS_IT_IS)(run_recipe)
    app.add_typer(recipe, name="recipe")


def _run(command: str, name: str, arguments: Sequence[str]) -> int:
    with packages_of("train", command):
        from x3spatial.training import commands

        run: Callable[[Sequence[str]], int] = getattr(commands, name)
        return run(arguments)


def sft(context: typer.Context) -> int:
    """Fine-tune a RoboRefer checkpoint on task files (x3 sft --help; docs/training.md)."""
    return _run("x3 sft", "sft_command", context.args)


def check_data(context: typer.Context) -> int:
    """Check all samples and make one batch, without loading weights."""
    return _run("x3 check-data", "check_data_command", context.args)


def run_recipe(context: typer.Context) -> int:
    """Train in stages, each an x3 sft run (docs/training-a-tiny-model.md)."""
    return _run("x3 recipe run", "run_recipe_command", context.args)


def list_data(context: typer.Context) -> int:
    """List what a registry of data sets holds."""
    return _run("x3 data list", "list_data_command", context.args)
