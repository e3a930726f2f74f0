"""File systems without locks: every command runs all the same (docs/limits.md)."""

from __future__ import annotations

import errno
import random
from collections.abc import Sequence

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import WRONG, Case, Lab, check_kept, check_same, judge
from campaign.process import Circumstances
from campaign.zygote import LOCK_ERRNO

_ERRORS = ("ENOLCK", "ENOSYS", "EOPNOTSUPP", "EINVAL")


def _variants(command: Command) -> Sequence[str]:
    return _ERRORS


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    reference = lab.reference(case.command)
    lab.fresh()
    before = lab.inputs()
    number = getattr(errno, case.variant)
    ran = lab.run(case.command, Circumstances(env={LOCK_ERRNO: str(number)}))
    judge(case, ran)
    check_kept(case, before, lab.inputs())
    if ran.code != reference.ran.code:
        case.add(WRONG, f"without locks: exit code {ran.code}\n{ran.err}")
    check_same(case, lab.outputs(case.command), reference.outputs, "without locks")


LOCKS = Kind("locks", _variants, _run)
