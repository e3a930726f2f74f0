"""Bad inputs: every mutation of the table, for every command that reads such an input."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import WRONG, Case, Lab, check_kept, check_same, judge
from campaign.mutations import MUTATIONS, REFUSED, SAID, SAME

_SAYS = re.compile(
    r"problem|left out|skipped|missing|cannot|damaged|unread|error|not ", re.IGNORECASE
)


def _variants(command: Command) -> Sequence[str]:
    return [f"{role}: {name}" for role in command.inputs for name in MUTATIONS[role]]


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    reference = lab.reference(case.command)
    folder = lab.fresh()
    role, _, name = case.variant.partition(": ")
    one = MUTATIONS[role][name]
    one.apply(folder / case.command.inputs[role])
    before = lab.inputs()
    ran = lab.run(case.command)
    judge(case, ran)
    check_kept(case, before, lab.inputs())
    if case.command.code or ran.timed_out:
        return
    found = lab.outputs(case.command)
    if one.expect == REFUSED and ran.code == 0 and not _unused(case, reference.outputs, found):
        case.add(WRONG, f"accepted without a word: {ran.out[-500:]}")
    elif one.expect == SAID and ran.code == 0 and not _SAYS.search(ran.err + ran.out):
        case.add(WRONG, f"not a word about it: {ran.out[-500:]}")
    elif one.expect == SAME:
        check_same(case, found, reference.outputs, case.variant)
    for name, digest in found.items():
        if digest == "not json":
            case.add(WRONG, f"{name} is not JSON")


def _unused(case: Case, reference: dict[str, str], found: dict[str, str]) -> bool:
    """Whether the command does not need what was wrong."""
    if "weights of" in case.variant and case.command.path == "check-data":  # it loads no weights
        return True
    return bool(found) and found == reference and case.variant.startswith("checkpoint")


INPUTS = Kind("inputs", _variants, _run)
