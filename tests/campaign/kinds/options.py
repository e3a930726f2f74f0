"""Nonsense as the value of every option that a command has."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import Case, Lab, check_kept, judge
from campaign.process import Circumstances

_VALUES = (
    "",
    "-1",
    "0",
    "nan",
    "inf",
    "1e400",
    "x" * 5000,
    "\udcfc",
    "9" * 30,
    "a\0b",
    "[",
    "--",
    "-1e308",
)
_TIMEOUT = 30.0


@cache
def options_of(path: str) -> tuple[tuple[str, int], ...]:
    """(option, number of values) of a command, from its own declaration."""
    return tuple(_raw(path) if path in _RAW else _declared(path))


def _declared(path: str) -> Iterator[tuple[str, int]]:
    import typer

    from x3spatial.cli import make_app

    group: Any = make_app()
    context = typer.Context(group)
    command: Any = group
    for word in path.split():
        command = command.get_command(context, word)
    for parameter in command.params:
        names = [name for name in parameter.opts if name.startswith("--")]
        if names and not getattr(parameter, "is_flag", False):
            yield names[0], parameter.nargs


_RAW = ("sft", "check-data", "recipe run", "data list")


def _raw(path: str) -> Iterator[tuple[str, int]]:
    """Options of the commands that parse their arguments themselves, from their help."""
    import contextlib
    import io
    import re

    from x3spatial.cli import run

    text = io.StringIO()
    words = [*path.split(), "--help-all"] if path == "sft" else [*path.split(), "--help"]
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        if run(words) != 0:
            run([*path.split(), "--help"])
    for name in dict.fromkeys(
        re.findall(r"^ +(--[a-z][\w-]*) [A-Z]", text.getvalue(), re.MULTILINE)
    ):
        yield name, 1


def _variants(command: Command) -> Sequence[str]:
    if command.form:
        return ()
    options = [name for name, _ in options_of(command.path) if name not in ("--log-level",)]
    return [f"{name} {number}" for name in options for number in range(len(_VALUES))]


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    lab.fresh()
    name, _, number = case.variant.partition(" ")
    count = dict(options_of(case.command.path))[name]
    before = lab.inputs()
    words = [*lab.words(case.command), name, *[_VALUES[int(number)]] * max(1, count)]
    ran = lab.run(case.command, Circumstances(timeout=_TIMEOUT), words)
    judge(case, ran)
    check_kept(case, before, lab.inputs())


OPTIONS = Kind("options", _variants, _run)
