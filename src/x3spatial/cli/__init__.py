"""The ``x3`` command: one sub-command per verb. It parses, calls and prints; no logic lives here.

Only Typer is imported before a command runs, so that ``x3 --help`` answers at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from x3spatial import __version__
from x3spatial.cli import checking, checkpoints, data, evaluation, exporting, training
from x3spatial.errors import Unfinished, UserError

# Typer carries its own copy of click in some versions and imports it in others. Its public
# BadParameter leads to the base classes of whichever is in use.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]
_CommandError: type[Exception] = typer.BadParameter.__mro__[2]

_INTERRUPTED = 130
"""As shells report a process that SIGINT ended."""

app = typer.Typer(
    name="x3",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    # Options are declared with dashes and may be written with underscores: both spellings work.
    context_settings={
        "token_normalize_func": lambda token: token.replace("_", "-"),
        "help_option_names": ["-h", "--help"],
    },
)


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    """Spatial questions for vision-language models over several views of one scene.

    Make scenes, audit a data root, build the tasks, evaluate models on them. Every option can be
    written with dashes or underscores. Exit codes: 0 done, 1 problems in the data or samples without
    an answer, 2 a mistake in the command, 130 interrupted.
    """
    if version:
        typer.echo(f"x3spatial {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


data.register(app)
evaluation.register(app)
checking.register(app)
checkpoints.register(app)
exporting.register(app)
training.register(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run ``x3`` and exit; ``arguments`` default to those of the process."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: Sequence[str]) -> int:
    """Run ``x3`` and return its exit code. A user's mistake is one line on stderr, no traceback."""
    try:
        code = app(args=list(arguments), standalone_mode=False, prog_name="x3")
        sys.stdout.flush()
        if code == _INTERRUPTED:  # what newer versions of Typer make of Ctrl-C
            raise KeyboardInterrupt
        return code if isinstance(code, int) else 0
    except UserError as error:
        print(f"x3: {error}", file=sys.stderr)
        return 2
    except Unfinished as error:
        print(f"x3: {error}", file=sys.stderr)
        return 1
    except _CommandError as error:
        context = getattr(error, "ctx", None)
        command = context.command_path if isinstance(error, _UsageError) and context else "x3"
        format_message = getattr(error, "format_message", error.__str__)
        message = " ".join(format_message().split())
        print(f"{command}: {message} (see {command} --help)", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print("x3: interrupted; the same command continues where it stopped", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone, as in `x3 audit ROOT | head`: nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
