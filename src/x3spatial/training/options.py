"""How the commands of this package spell options: dashes in help and messages, underscores accepted too."""

from __future__ import annotations

import argparse
import logging
import os
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from x3spatial import progress
from x3spatial.errors import UserError

HELP_WIDTH = 80
QUIET = frozenset({"-q", "--quiet"})
QUIET_HELP = "no notes and no progress on stderr"


def be_quiet() -> None:
    """Log warnings and errors only, and show no progress, in this process."""
    logging.getLogger("x3spatial").setLevel(logging.WARNING)
    progress.show_bars(False)


@dataclass(frozen=True, slots=True)
class _Variable:
    """The variable by which a script sets an option."""

    name: str
    values: Mapping[Any, str] = field(default_factory=dict)
    """Value of the option → value of the variable, where they differ."""


_VARIABLES = {
    "scripts/run_sft_t1_x3.sh": {
        "output_dir": _Variable("RUN_DIR"),
        "tune_vision_tower": _Variable("FREEZE_VISION", {True: "0", False: "1"}),
        "model_name_or_path": _Variable("MODEL"),
        "data_path": _Variable("OUT_DIR"),
        "world_size": _Variable("NPROC"),
        "bf16": _Variable("BF16"),
        "deepspeed": _Variable("DEEPSPEED"),
        "vision_tower": _Variable("VISION_TOWER"),
    }
}
"""Script → option → the variable by which its user sets it. The script says who it is in ``X3_SCRIPT``."""
_NO_OPTION = {"world_size": "the number of processes (torchrun --nproc-per-node)"}


def named(option: str) -> str:
    """How messages name an option: as the user sets it, by a variable of a script or on the command line."""
    variable = _VARIABLES.get(os.environ.get("X3_SCRIPT", ""), {}).get(option)
    return variable.name if variable else _NO_OPTION.get(option, f"--{dashed(option)}")


def as_given(option: str, value: Any) -> Any:
    """The value of an option as the user of a script gives it."""
    variable = _VARIABLES.get(os.environ.get("X3_SCRIPT", ""), {}).get(option)
    return variable.values.get(value, value) if variable else value


def dashed(name: str) -> str:
    """``name`` of an option with dashes."""
    return name.replace("_", "-")


def underscored(argument: str) -> str:
    """``--some-option=value`` with the underscores of ``--some_option=value``; the value is unchanged."""
    if not argument.startswith("--"):
        return argument
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + value


def one_spelling(message: str) -> str:
    """A message of argparse with each option written once, with dashes."""
    text = re.sub(r"--[A-Za-z][\w-]*", lambda found: dashed(found[0]), message)
    return re.sub(r"(--[\w-]+)/\1(?![\w-])", r"\1", text)


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help within 80 columns, with one spelling of each option."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=HELP_WIDTH, max_help_position=30)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings:
            return super()._format_action_invocation(action)
        names = [o for o in action.option_strings if "_" not in o]
        value = "" if action.nargs == 0 else f" {self._format_args(action, action.dest.upper())}"
        return ", ".join(names) + value


class OptionParser(argparse.ArgumentParser):
    """argparse with one-line ``UserError`` messages, both spellings of options, and examples in its help.

    Args:
        prog: the command.
        description: a line about it.
        examples: command lines, shown at the end of the help.
    """

    def __init__(self, prog: str, description: str, examples: Sequence[str]) -> None:
        super().__init__(
            prog=prog,
            usage=f"{prog} [OPTIONS]",
            description=description,
            epilog="\n".join(["examples:", *(f"  {line}" for line in examples)]),
            formatter_class=Formatter,
            allow_abbrev=False,
        )

        self.add_argument("-q", "--quiet", action="store_true", help=QUIET_HELP)

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse; ``-q`` takes effect at once."""
        given = super().parse_args(args, namespace)
        if given.quiet:
            be_quiet()
        del given.quiet
        return given

    def error(self, message: str) -> NoReturn:
        """Raise a ``UserError`` in place of a usage text and exit."""
        raise UserError(f"{self.prog}: {one_spelling(message)}; see {self.prog} --help")

    def option(self, name: str, **settings: Any) -> None:
        """Add ``--name`` in both spellings."""
        if settings.get("action") != "store_true":
            settings.setdefault("metavar", _metavar(settings.get("type", str)))
        spellings = dict.fromkeys([f"--{dashed(name)}", f"--{name}"])
        self.add_argument(*spellings, dest=name, **settings)


def _metavar(kind: type) -> str:
    return {int: "N", float: "X"}.get(kind, "PATH" if kind.__name__ == "Path" else "TEXT")
