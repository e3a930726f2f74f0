"""FIFOs and devices in place of files: nothing waits for them."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.kinds.links import places
from campaign.lab import WRONG, Case, Lab, files_below, judge

_SORTS = ("a FIFO", "a device without end")


def _variants(command: Command) -> Sequence[str]:
    found = []
    for role in command.inputs:
        found += [f"{sort} as {role}" for sort in _SORTS]
        if role in ("root", "checkpoint", "prompts"):
            found += [f"{sort} in {role}" for sort in _SORTS]
    if "tasks" in command.inputs:
        found += [f"{sort} as an image" for sort in _SORTS]
    if "out/" in command.arguments:
        found += [
            f"a FIFO as {what}" for what in ("an output", "a temporary file", "a lock", "a journal")
        ]
    return found


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    sort, _, place = case.variant.partition(" as ")
    names = places(case, lab, place) if place.startswith(("an output", "a ")) else [""]
    if not names:
        return
    folder = lab.fresh()
    if " in " in case.variant:
        sort, _, role = case.variant.partition(" in ")
        target = rng.choice(list(files_below(folder / case.command.inputs[role])))
    elif place == "an image":
        target = rng.choice([p for p in files_below(folder / "root") if p.suffix == ".png"])
    elif place in case.command.inputs:
        target = folder / case.command.inputs[place]
    else:
        target = lab.out / rng.choice(names)
        target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        target.rename(target.with_name("aside"))
    target.unlink(missing_ok=True)
    if sort == "a FIFO":
        os.mkfifo(target)
    else:
        target.symlink_to("/dev/zero")
    ran = lab.run(case.command)
    judge(case, ran)
    if place in case.command.inputs and ran.code == 0 and case.command.code == 0:
        case.add(WRONG, f"{sort} in place of {target}, and no word\n{ran.out}")


PIPES = Kind("pipes", _variants, _run)
