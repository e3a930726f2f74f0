"""Full disks: a small tmpfs where this process may mount one, and a limit on the size of files."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache

from campaign.commands import Command
from campaign.kinds.base import Kind
from campaign.lab import WRONG, Case, Lab, check_kept, check_same, check_whole, judge, rerun
from campaign.process import Circumstances
from campaign.template import NOTES

_SHARES = (0.0, 0.3, 0.6, 0.9, 0.99)
_PAGE = 4096
_ENOUGH = "512m"


@cache
def may_mount() -> bool:
    """Whether this process may mount a tmpfs."""
    return os.name == "posix" and os.geteuid() == 0 and shutil.which("mount") is not None


def _variants(command: Command) -> Sequence[str]:
    if "out/" not in command.arguments:
        return []
    limits = [f"files up to {share:.0%}" for share in _SHARES]
    return [*limits, *(f"a disk of {share:.0%}" for share in _SHARES)] if may_mount() else limits


def _run(case: Case, lab: Lab, rng: random.Random) -> None:
    reference = lab.reference(case.command)
    lab.fresh()
    share = float(case.variant.rsplit(" ", 1)[1].rstrip("%")) / 100 * rng.uniform(0.9, 1.0)
    given = Circumstances(file_limit=int(share * reference.largest))
    if case.variant.startswith("a disk"):
        pages = sum(-(-p.stat().st_size // _PAGE) for p in lab.out.rglob("*") if p.is_file())
        size = max(2 * _PAGE, int(share * (reference.total + _PAGE * pages)))
        _mount(lab, size)
        given = Circumstances()
    before = lab.inputs()
    ran = lab.run(case.command, given)
    judge(case, ran)
    check_kept(case, before, lab.inputs())
    if ran.code == reference.ran.code:
        check_same(case, lab.outputs(case.command), reference.outputs, case.variant)
    else:
        check_whole(case, lab.outputs(case.command), reference.outputs)
        if not ran.timed_out and not _says_why(ran.err):
            case.add(WRONG, f"does not say that the disk is full: {ran.err}")
    if case.variant.startswith("a disk"):
        subprocess.run(["mount", "-o", f"remount,size={_ENOUGH}", str(lab.out)], check=True)
    rerun(case, lab, case.variant)


def _says_why(text: str) -> bool:
    text = text.lower()
    return any(word in text for word in ("no space", "too large", "disk", "full", "make room"))


def _mount(lab: Lab, size: int) -> None:
    out = lab.out
    (out / NOTES).rename(lab.folder / "kept-notes")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(out)], check=True)

    def restore() -> None:
        subprocess.run(["umount", "-l", str(out)], check=False)

    lab.restore = restore
    shutil.move(lab.folder / "kept-notes", out / NOTES)


DISKS = Kind("disks", _variants, _run)
