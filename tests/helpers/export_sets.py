"""Task files for the tests of the export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from helpers.task_sets import box_mask, make_record, write_set
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.answers import point_text
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.ground_truth import mask_target
from x3spatial.tasks.parsing import first_pair

WIDTH, HEIGHT = 32, 24


def four_records(folder: Path) -> list[TaskRecord]:
    """One record of each kind; the t2a_multi one is not visible."""
    seen = box_mask(WIDTH, HEIGHT, 4, 5, 11, 10)
    other = box_mask(WIDTH, HEIGHT, 20, 2, 28, 9)
    reference = point_text(_target(other), other, Frame.CONCAT_LEFT)
    concat = make_record(folder, "02", seen, task="t1_concat", ref_mask=other)
    return [
        make_record(folder, "01", seen),
        replace(concat, reference_point=first_pair(reference)),
        make_record(folder, "03", seen & False, task="t2a_multi"),
        make_record(folder, "04", other, task="t2b_multi"),
    ]


def _target(mask: Any) -> Any:
    target = mask_target(mask, 7)
    assert target is not None
    return target


def four_set(folder: Path) -> Path:
    """``four_records`` as a task file."""
    return write_set(folder / "mixed.json", four_records(folder))
