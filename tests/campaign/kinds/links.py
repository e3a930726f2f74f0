"""Symbolic links in the places that commands write to: what they point at is never changed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import LOST, Case, Lab, check_kept, judge
from campaign.process import Circumstances

_VICTIM = "the user's only copy\n" * 50
_TARGETS = ("a file", "nothing")
_PLACES = ("an output", "a temporary file", "a lock", "a journal", "a folder")


def _variants(command: Command) -> Sequence[str]:
    if "out/" not in command.arguments:
        return []
    return [f"{place} points at {target}" for place in _PLACES for target in _TARGETS]


def places(case: Case, lab: Lab, what: str) -> list[str]:
    """Paths below ``out/`` that the command writes, by sort."""
    outputs = sorted(lab.reference(case.command).outputs)
    folders = sorted({str(Path(name).parent) for name in outputs})
    if what == "an output":
        return outputs
    if what == "a temporary file":
        return [str(Path(n).with_name(f".{Path(n).name}.part")) for n in outputs]
    if what == "a folder":
        return [folder for folder in folders if folder != "."] or outputs
    hidden = lab.reference(case.command).hidden
    if what == "a lock":
        return [n for n in hidden if "lock" in n] or [f"{folders[0]}/.x3-lock"]
    return [n for n in hidden if n.endswith(".jsonl")] or [f"{folders[0]}/.x3-build.jsonl"]


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    what, _, target = case.variant.partition(" points at ")
    names = places(case, lab, what)
    if not names:
        return
    folder = lab.fresh()
    victim = folder / "victim.txt"
    if what == "a folder":
        victim.mkdir()
        (victim / "own.txt").write_text(_VICTIM)
    elif target == "a file":
        victim.write_text(_VICTIM)
    link = lab.out / rng.choice(names)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(folder / "missing" if what == "a folder" and target == "nothing" else victim)
    before = lab.inputs()
    ran = lab.run(case.command, Circumstances())
    judge(case, ran)
    check_kept(case, before, lab.inputs())
    if target == "nothing" and what != "a folder" and victim.exists():
        case.add(LOST, f"{link.name} pointed at nothing, and a file was written there")
    if target == "a file" and victim.is_file() and victim.read_text() != _VICTIM:
        case.add(LOST, f"{link.name} pointed at a file, which was written to")


LINKS = Kind("links", _variants, _run)
