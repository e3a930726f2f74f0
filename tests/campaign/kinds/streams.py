"""Output that cannot be written, and a working folder that is gone."""

from __future__ import annotations

import random
from collections.abc import Sequence

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import Case, Lab, check_kept, check_same, check_whole, judge
from campaign.process import Circumstances

_STREAMS = {"stdout is closed": "closed", "stdout is full": "full", "nobody reads stdout": "broken"}
_GONE = "the working folder is gone"


def _variants(command: Command) -> Sequence[str]:
    return [*_STREAMS, _GONE]


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    reference = lab.reference(case.command)
    lab.fresh()
    before = lab.inputs()
    if case.variant == _GONE:
        given = Circumstances(remove_cwd=True)
    else:
        given = Circumstances(streams=_STREAMS[case.variant])
    ran = lab.run(case.command, given)
    judge(case, ran)
    check_kept(case, before, lab.inputs())
    if ran.code == reference.ran.code and case.variant != _GONE:
        check_same(case, lab.outputs(case.command), reference.outputs, case.variant)
    else:
        check_whole(case, lab.outputs(case.command), reference.outputs)


STREAMS = Kind("streams", _variants, _run)
