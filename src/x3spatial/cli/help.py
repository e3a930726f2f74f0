"""Format of help: usage, groups of options and commands, examples. 80 columns, no markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, cast

import typer
from typer.core import TyperCommand, TyperGroup

from x3spatial.cli.table import GROUPS, Entry, entries_of, find_entry
from x3spatial.errors import UserError

TASK_FILES, MODEL, ROBOREFER, HF = "Task files", "Model", "RoboRefer", "Hugging Face"
SERVERS, ANSWERS, SCANS, RUN = "Servers", "Answers made elsewhere", "Scans", "Run"
READING, CHOICE = "Reading", "Choice of objects and frames"
_PANELS = (
    "Options",
    READING,
    CHOICE,
    TASK_FILES,
    MODEL,
    ROBOREFER,
    HF,
    SERVERS,
    ANSWERS,
    SCANS,
    RUN,
)
"""The groups in the order of the help."""


_TYPES = {"<int>": "N", "<int range>": "N", "<float>": "X", "<str>": "TEXT", "<path>": "PATH"}


_RANGE = re.compile(r"  \[(\d+<=)?x[<>]=?\d+\]|; (\d+<=)?x[<>]=?\d+(?=[;\]])")
"""The range of a number, which is not shown in help because error messages contain it."""


def _plain(declaration: str) -> str:
    """``--seed N`` rather than ``--seed <int>``."""
    for name, shown in _TYPES.items():
        declaration = declaration.replace(name, shown)
    return declaration


_HYPHEN = re.compile(r"(?<=\w)-(?=\w)")
_UNBROKEN = "\N{NON-BREAKING HYPHEN}"


def _write_rows(formatter: Any, rows: list[tuple[str, str]]) -> None:
    """The rows, wrapped between words only: a name such as ``ui-tars-1000`` can be copied."""
    start = len(formatter.buffer)
    formatter.write_dl([(term, _HYPHEN.sub(_UNBROKEN, text)) for term, text in rows])
    formatter.buffer[start:] = [
        written.replace(_UNBROKEN, "-") for written in formatter.buffer[start:]
    ]


def _write_options(command: Any, context: Any, formatter: Any, *, grouped: bool = True) -> None:
    panels: dict[str, list[tuple[str, str]]] = {}
    arguments = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is None:
            continue
        if parameter.param_type_name == "argument":
            arguments.append((parameter.metavar or record[0], parameter.help or ""))
            continue
        # By its spelling: click 8.3 names the option of help `_click_default_help`.
        is_common = not {"--help", "--version"}.isdisjoint(parameter.opts)
        panel = getattr(parameter, "rich_help_panel", None) or (RUN if is_common else "Options")
        panels.setdefault(panel, []).append((_plain(record[0]), _RANGE.sub("", record[1])))
    if not grouped or list(panels) == [RUN]:
        panels = {"Options": [row for rows in panels.values() for row in rows]}
    for title, rows in [("Arguments", arguments), *((name, panels.get(name)) for name in _PANELS)]:
        if rows:
            with formatter.section(title):
                _write_rows(formatter, rows)


# The base class of typer.BadParameter, in whichever copy of click is in use.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class HelpfulCommand(TyperCommand):
    """A command with a written usage line, options in groups, and examples."""

    usage: str = ""
    examples: tuple[str, ...] = ()

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands behind the name."""
        return [*self.usage.split(), "[OPTIONS]"]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Arguments, then options by group."""
        _write_options(self, ctx, formatter)

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """The examples as complete command lines."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Like click, but the same option in two spellings (dash and underscore, -o and --out) is an error.

        Raises:
            UserError: an option is given in two spellings.
        """
        self._refuse_two_spellings(ctx, args)
        try:
            rest: list[str] = super().parse_args(ctx, args)
        except _UsageError as error:
            if near := getattr(error, "possibilities", None):
                error.possibilities = sorted(set(near) & self._shown(ctx))  # type: ignore[attr-defined]
            raise
        return rest

    def _shown(self, ctx: Any) -> set[str]:
        return {
            option
            for parameter in self.get_params(ctx)
            if not getattr(parameter, "hidden", False)
            for option in parameter.opts
        }

    def _refuse_two_spellings(self, ctx: Any, args: list[str]) -> None:
        normalize = ctx.token_normalize_func or (lambda token: token)
        names = {
            option: parameter
            for parameter in self.get_params(ctx)
            for option in parameter.opts
            if parameter.param_type_name == "option"
            and not parameter.multiple
            and not getattr(parameter, "is_flag", False)
        }
        seen: dict[str, str] = {}
        for word in args:
            if word == "--":
                return
            spelling = word.partition("=")[0]
            parameter = names.get(normalize(spelling) if spelling.startswith("-") else "")
            if parameter is None:
                continue
            first = seen.setdefault(parameter.name, spelling)
            if first != spelling:
                raise UserError(f"{first} and {spelling} are the same; give one")


class LazyGroup(TyperGroup):
    """The commands of ``table.py``; one is imported only when it is run or its own help is asked for."""

    prefix: str = ""
    """The path of this group, such as ``model``."""
    load: Callable[[Entry], Any]
    """Returns the click command of an entry; set when the group is created."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names that help shows."""
        return [entry.name for entry in entries_of(self.prefix) if not entry.hidden]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command with that name or former name; None if there is none."""
        entry = find_entry(self.prefix, cmd_name)
        return None if entry is None else self.load(entry)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Like Typer, with the names for suggestions."""
        self.commands = dict.fromkeys(self.list_commands(ctx), cast(Any, None))
        return super().resolve_command(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """What stands behind the name."""
        return ["COMMAND", "..."]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Commands by group, then the options."""
        entries = [entry for entry in entries_of(self.prefix) if not entry.hidden]
        width = max(len(entry.name) for entry in entries)
        for title in GROUPS:
            rows = [(e.name.ljust(width), e.summary) for e in entries if e.group == title]
            if rows:
                with formatter.section(title if not self.prefix else "Commands"):
                    formatter.write_dl(rows)
        _write_options(self, ctx, formatter, grouped=False)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Names of commands, without importing any of them."""
        shown = [
            TyperCommand(entry.name, help=entry.summary)
            for entry in entries_of(self.prefix)
            if not entry.hidden
        ]
        names = TyperGroup(name=self.name, commands=shown, params=self.params)
        return names.shell_complete(ctx, incomplete)
