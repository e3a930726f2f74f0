"""Nonsense as the value of every option that a command has."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import Case, Lab, check_kept, judge

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
    if command.form or not command.arguments:
        return ()
    return [f"value {number}" for number in range(len(_VALUES))]


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    lab.fresh()
    value = _VALUES[int(case.variant.split()[1])]
    options = [one for one in options_of(case.command.path) if one[0] != "--log-level"]
    if not options:
        return
    name, count = rng.choice(options)
    case.variant = f"{case.variant} ({value[:20]!r}) of {name}"
    before = lab.inputs()
    words = [*lab.words(case.command), name, *[value] * max(1, count)]
    ran = lab.run(case.command, words=words)
    judge(case, ran)
    check_kept(case, before, lab.inputs())


OPTIONS = Kind("options", _variants, _run, repeated=True)
