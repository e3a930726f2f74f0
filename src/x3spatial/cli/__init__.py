"""The ``x3`` command: one sub-command per verb. It parses options, calls functions and prints results.

``table`` lists the commands. The module of a command is imported only if it is run or its help is shown, so
that ``x3 --help`` is fast. See ``declare`` for the declaration of commands.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import typer

from x3spatial import __version__
from x3spatial.cli import logs
from x3spatial.cli.help import LazyGroup
from x3spatial.cli.table import Entry
from x3spatial.program import command_line, run_program, signals
from x3spatial.program.reporting import guarded, one_line

# Typer includes its own copy of click in some versions and imports click in others. The base classes are
# taken from its public BadParameter.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_CommandError: type[Exception] = typer.BadParameter.__mro__[2]

_MISSING = re.compile(r"Missing (?:option|argument) '([^']+)'")

_CONTEXT: dict[str, Any] = {
    # Options are declared with dashes; underscores are accepted too.
    "token_normalize_func": lambda token: token.replace("_", "-"),
    "help_option_names": ["-h", "--help"],
}


def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", "-V", help="Print the version and exit."),
    quiet: logs.Quiet = logs.DEFAULTS["quiet"],
    log_level: logs.LogLevel = logs.DEFAULTS["log_level"],
) -> None:
    """Spatial questions for vision-language models over several views of one scene.

    x3 COMMAND --help documents a command. Exit codes: 0 done, 1 problems in the data or samples
    without an answer, 2 a mistake in the command, 130 interrupted.
    """
    if version:
        typer.echo(f"x3spatial {__version__}")
        raise typer.Exit
    logs.set_level(context, quiet, log_level)
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def _group(context: typer.Context) -> None:
    """A group of commands; without a command it shows its help."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


def _load(entry: Entry) -> Any:
    """The click command of an entry, with its module imported."""
    if entry.target is None:
        app = typer.Typer(
            name=entry.name,
            cls=LazyGroup,
            add_completion=False,
            rich_markup_mode=None,
            invoke_without_command=True,
            help=entry.summary,
        )
        app.callback()(_group)
        group = typer.main.get_command(app)
        assert isinstance(group, LazyGroup)
        group.prefix, group.load = entry.path, _load
        return group
    from x3spatial.cli.build import build

    module, _, attribute = entry.target.partition(":")
    declared = getattr(import_module(f"x3spatial.cli.{module}"), attribute)
    return build(entry, declared)


def make_app() -> Any:
    """The click group of ``x3``."""
    app = typer.Typer(
        name="x3",
        cls=LazyGroup,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        invoke_without_command=True,
        context_settings=_CONTEXT,
    )
    app.callback()(_root)
    group = typer.main.get_command(app)
    assert isinstance(group, LazyGroup)
    group.load = _load
    return group


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run ``x3`` and exit; ``arguments`` default to those of the process."""
    given = sys.argv[1:] if arguments is None else arguments
    run_program(lambda: run(given))


def run(arguments: Sequence[str]) -> int:
    """Run ``x3`` and return its exit code. An error is printed as one line on stderr."""
    with logs.to_stderr(), command_line.running(["x3", *arguments]):
        return guarded(lambda: _run(arguments), debug=logs.debugging)


def _run(arguments: Sequence[str]) -> int:
    """Run ``x3``; a mistake in the command line is a line that names the help to read."""
    try:
        code = make_app()(args=list(arguments), standalone_mode=False, prog_name="x3")
    except typer.Abort:
        raise KeyboardInterrupt from None
    except _CommandError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if isinstance(error, _UsageError) and context else "x3"
        format_message = getattr(error, "format_message", error.__str__)
        message = " ".join(format_message().split())
        missing = _MISSING.match(message)
        line = f"x3: {missing[1]} is missing" if missing else f"{command}: {message}"
        print(f"{one_line(line)} (see {command} --help)", file=sys.stderr)
        return 2
    if code == signals.EXIT_CODE:  # newer versions of Typer catch Ctrl-C and return this code
        raise KeyboardInterrupt
    return code if isinstance(code, int) else 0
