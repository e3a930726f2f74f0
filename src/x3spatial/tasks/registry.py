"""The tasks there are. A new one is a module, a prompt file if it needs one, and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from x3spatial.tasks import task1, task2a, task2b
from x3spatial.tasks.prompts import Template
from x3spatial.tasks.samples import Draft, Pairs, SpatialObject


@dataclass(frozen=True, slots=True)
class Task:
    """How samples of a task are drafted and where they are written."""

    name: str
    file_name: str
    """``{split}`` stands for the split's short name."""
    template: str
    draft: Callable[[SpatialObject, Pairs, Template], Iterator[Draft]]
    optional_in_train: bool = False
    """Whether the train file is left out when it would be empty."""
    side_by_side: bool = False
    """Whether ``--emit_concat 0`` leaves it out."""

    def file(self, short_split: str) -> str:
        """The task file of a split, such as ``t1_val_multi.json``."""
        return self.file_name.format(split=short_split)


TASKS: tuple[Task, ...] = (
    Task("t1_multi", "t1_{split}_multi.json", "t1_multi", task1.draft_multi),
    Task(
        "t1_concat",
        "t1_{split}_concat.json",
        "t1_concat",
        task1.draft_concat,
        side_by_side=True,
    ),
    Task("t2a_multi", "t2a_{split}_multi.json", "t1_multi", task2a.draft, optional_in_train=True),
    Task("t2b_multi", "t2b_{split}_multi.json", "t2b_multi", task2b.draft, optional_in_train=True),
)
