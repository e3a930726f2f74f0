"""Files and folders that may not be read or written. Root gives its privilege up for the run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import WRONG, Case, Lab, check_kept, check_same, files_below, judge
from campaign.process import Circumstances

_OUT = ("out/ cannot be written", "out/ cannot be entered")


def _variants(command: Command) -> Sequence[str]:
    found = []
    for role in command.inputs:
        found += [f"{role} cannot be read", f"the folder of {role} cannot be entered"]
        if role in ("root", "checkpoint", "prompts"):
            found += [f"a file of {role} cannot be read", f"a folder of {role} cannot be read"]
    if "tasks" in command.inputs:
        found += ["an image of tasks cannot be read", "the images of tasks cannot be entered"]
    return [*found, *(_OUT if "out/" in command.arguments else ())]


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    reference = lab.reference(case.command)
    folder = lab.fresh()
    target, mode = _target(case, folder, rng)
    before = lab.inputs()
    target.chmod(mode)
    ran = lab.run(case.command, Circumstances(drop_rights=True))
    target.chmod(0o755)
    judge(case, ran)
    after = lab.inputs()
    name = str(target.relative_to(folder))
    for snapshot in (before, after):
        snapshot.pop(name, None)
    check_kept(case, before, after)
    if ran.code == 0 and case.command.code == 0:
        # All the same may be right: some inputs are not needed. Another output must have been said.
        found = lab.outputs(case.command)
        if found != reference.outputs and "problem" not in ran.err + ran.out:
            check_same(case, found, reference.outputs, f"{target} and no word")
    elif ran.code == 2 and not ran.err.strip():
        case.add(WRONG, "no word")


def _target(case: Case, folder: Path, rng: random.Random) -> tuple[Path, int]:
    variant = case.variant
    if variant in _OUT:
        return folder / "out", 0o555 if "written" in variant else 0o600
    inputs = case.command.inputs
    role = next(r for r in inputs if r in variant.split())
    path = folder / inputs[role]
    if "images of tasks" in variant:
        return folder / "root" / "validation", 0o600
    if "image of tasks" in variant:
        return rng.choice([p for p in files_below(folder / "root") if p.suffix == ".png"]), 0
    if variant.startswith("a file"):
        return rng.choice(list(files_below(path))), 0
    if variant.startswith("a folder"):
        inside = [p for p in path.rglob("*") if p.is_dir()]
        return rng.choice(inside or [path]), 0
    if variant.startswith("the folder"):
        return (path if path.is_dir() else path.parent), 0o600
    return path, 0


RIGHTS = Kind("rights", _variants, _run)
