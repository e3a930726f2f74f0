"""The sets of a zero-shot evaluation, and those of them that a build could not make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from x3spatial.builder.manifest import MANIFEST
from x3spatial.builder.not_made import NotMade, read_not_made, refuse_nothing
from x3spatial.io.files import read_manifest
from x3spatial.roots.layout import short_split
from x3spatial.tasks.spec import DEFAULT_SETS, TASKS, zero_shot_tasks

_SPLIT = "val"
"""Short name of the evaluated split in file names."""


def zero_shot_sets(sets: str = DEFAULT_SETS) -> list[tuple[str, str]]:
    """Titles and file names of the evaluated sets; results have the same file names.

    Raises:
        UserError: ``sets`` is none of ``tasks.spec.SETS``.
    """
    return [(spec.title, spec.file(_SPLIT)) for spec in zero_shot_tasks(sets)]


def reasons_by_file(tasks_dir: Path) -> dict[str, str]:
    """Name of a validation set that the build could not make → why; empty without a ``build.json``."""
    return {TASKS[one.task].file(_SPLIT): one.reason for one in _unmade(tasks_dir)}


def refuse_unmade(
    tasks_dir: Path, chosen: Sequence[tuple[str, str]], sets: str, root: Path
) -> None:
    """Check that the build could make one of the chosen sets.

    Args:
        tasks_dir: the folder of the build.
        chosen: titles and file names of the sets.
        sets: ``--sets``.
        root: what messages say that they cannot be made from.

    Raises:
        UserError: it could make none; the message has the reasons.
    """
    unmade = _unmade(tasks_dir)
    names = [one.task for one in unmade]
    if {TASKS[name].file(_SPLIT) for name in names} >= {name for _, name in chosen}:
        refuse_nothing(unmade, names, f"--sets {sets}", root)


def _unmade(tasks_dir: Path) -> list[NotMade]:
    found = read_not_made(read_manifest(tasks_dir / MANIFEST))
    return [one for one in found if short_split(one.split) == _SPLIT and one.task in TASKS]
