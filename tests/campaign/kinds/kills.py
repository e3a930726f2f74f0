"""Signals at random times; the same command again ends as if nothing had happened."""

from __future__ import annotations

import random
import signal
from collections.abc import Sequence

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import Case, Lab, check_kept, check_whole, judge, rerun
from campaign.process import Circumstances

_SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
_IMPORT_SECONDS = 1.0


def _variants(command: Command) -> Sequence[str]:
    return [*_SIGNALS, *(f"{name} of a new process" for name in _SIGNALS)]


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    reference = lab.reference(case.command)
    lab.fresh()
    before = lab.inputs()
    name, _, new = case.variant.partition(" ")
    seconds = rng.uniform(0, 1.05 * reference.ran.seconds + (_IMPORT_SECONDS if new else 0))
    number = getattr(signal, name)
    ran = lab.run(case.command, Circumstances(signal=(number, seconds), exec=bool(new)))
    judge(case, ran, killed=True)
    check_kept(case, before, lab.inputs())
    check_whole(case, lab.outputs(case.command), reference.outputs)
    rerun(case, lab, f"{name} after {seconds:.3f} s")


KILLS = Kind("kills", _variants, _run, repeated=True)
