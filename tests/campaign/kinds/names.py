"""Paths that are hard to spell: not UTF-8, long, with blanks, line ends or marks of shells and formats."""

from __future__ import annotations

import random
from collections.abc import Sequence

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import WRONG, Case, Lab, check_kept, judge

_NAMES = {
    "not UTF-8": "M\udcfcller",
    "with a line end": "a\nb",
    "with blanks and marks": " a b;$(x)'\"{0}%s[red]",
    "of another script": "数据 é",
    "longer than a name may be": "n" * 300,
    "longer than a path may be": "/".join(["d" * 200] * 25),
    "empty": "",
    "with a zero byte": "a\0b",
    "an escape sequence": "\x1b[31mred\x07",
}


def _variants(command: Command) -> Sequence[str]:
    places = [*command.inputs, *(["out"] if "out/" in command.arguments else [])]
    return [f"{place} {name}" for place in places for name in _NAMES]


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    folder = lab.fresh()
    place, _, sort = case.variant.partition(" ")
    name = _NAMES[sort]
    words = lab.words(case.command)
    if place == "out":
        changed = [
            w.replace("out/", f"out/{name}/", 1) if w.startswith("out/") else w for w in words
        ]
        if not name:
            changed = ["" if w.startswith("out/") else w for w in words]
    else:
        old = case.command.inputs[place]
        ending = "".join((folder / old).suffixes)
        new = f"{name}{ending}" if name else ""
        if name and "\0" not in name and len(name) < 200:
            (folder / new).symlink_to(folder / old)
        changed = [new if word == old else word for word in words]
        if changed == words:
            return
    before = lab.inputs()
    ran = lab.run(case.command, words=changed)
    judge(case, ran)
    check_kept(case, before, lab.inputs())
    if "\x1b[31m" in ran.err + ran.out:
        case.add(WRONG, f"an escape sequence of a name reaches the terminal: {ran.err + ran.out!r}")


NAMES = Kind("names", _variants, _run)
