"""Faulty servers: no answer is lost or made up, the key stays secret, and no redirect is followed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import LOST, WRONG, Case, Lab, check_kept, files_below, judge, rerun
from campaign.process import Circumstances
from campaign.stub import ANSWER, GOOD, MODES

_KEY = "sk-campaign+key/0123456789"
_OWN = frozenset({ANSWER, "x" * 1_000_000, "\0\0", "\\ud800"})
"""Texts that the stub really gives as answers."""


def _variants(command: Command) -> Sequence[str]:
    return [mode for mode in MODES if mode != GOOD] if command.server else []


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    lab.stub.set(GOOD)
    lab.reference(case.command)
    lab.fresh()
    before = lab.inputs()
    lab.stub.set(case.variant)
    ran = lab.run(case.command, Circumstances())
    followed = list(lab.stub.followed)
    judge(case, ran)
    check_kept(case, before, lab.inputs())
    if followed:
        case.add(WRONG, f"a redirect was followed: {followed[:3]}")
    if "\x1b" in ran.err:
        case.add(WRONG, "an escape sequence reaches the terminal")
    if _KEY in ran.err + ran.out:
        case.add(LOST, "the key is in the output")
    for path in files_below(lab.out):
        data = path.read_bytes()
        if _KEY.encode() in data or json.dumps(_KEY)[1:-1].encode() in data:
            case.add(LOST, f"the key is in {path.name}")
    for path in lab.out.rglob("*.json"):
        value = json.loads(path.read_bytes()) if path.is_file() else None
        for sample in value.get("results", ()) if isinstance(value, dict) else ():
            text = sample.get("pred_text") if isinstance(sample, dict) else None
            if text is not None and text not in _OWN and "key" not in case.variant:
                case.add(WRONG, f"an answer that was not given: {text[:200]!r}")
    lab.stub.set(GOOD)
    if case.command.code == 0 and not case.variant.startswith(
        ("content with", "content of a", "the key")
    ):
        rerun(case, lab, case.variant)


SERVERS = Kind("servers", _variants, _run)
