"""The tasks there are. A new one is a module, a prompt file if it needs one, a line here, and its name in
``data.records``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from x3spatial.errors import UserError
from x3spatial.tasks import task0, task1, task2a, task2b
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
    """Whether ``--emit-concat 0`` leaves it out."""
    reference_may_be_cut: bool = False
    """Whether ``--closeup`` can be had: nothing of its question or answer is a place in the marked view."""
    by_default: bool = True
    """Whether it is built where nobody chose tasks."""

    @property
    def group(self) -> str:
        """The short name that chooses it together with its other forms, such as ``t1``."""
        return self.name.partition("_")[0]

    def file(self, short_split: str) -> str:
        """The task file of a split, such as ``t1_val_multi.json``."""
        return self.file_name.format(split=short_split)


TASKS: tuple[Task, ...] = (
    Task(
        "t1_multi",
        "t1_{split}_multi.json",
        "t1_multi",
        task1.draft_multi,
        reference_may_be_cut=True,
    ),
    Task(
        "t1_concat",
        "t1_{split}_concat.json",
        "t1_concat",
        task1.draft_concat,
        side_by_side=True,
    ),
    Task(
        "t2a_multi",
        "t2a_{split}_multi.json",
        "t1_multi",
        task2a.draft,
        optional_in_train=True,
        reference_may_be_cut=True,
    ),
    Task("t2b_multi", "t2b_{split}_multi.json", "t2b_multi", task2b.draft, optional_in_train=True),
    Task(
        "t0_marked",
        "t0_{split}_marked.json",
        "t0_marked",
        task0.draft,
        optional_in_train=True,
        by_default=False,
    ),
)

DEFAULT_TASKS: tuple[str, ...] = tuple(task.name for task in TASKS if task.by_default)


def choose_tasks(names: Iterable[str] | None) -> tuple[str, ...]:
    """The names of the chosen tasks, in the registry's order, whatever order they were chosen in.

    Args:
        names: task names (``t1_concat``) or short names (``t1``: all its forms); None for the default.

    Raises:
        UserError: a name is unknown, or there is none.
    """
    if names is None:
        return DEFAULT_TASKS
    chosen: set[str] = set()
    for name in names:
        found = {task.name for task in TASKS if name in (task.name, task.group)}
        if not found:
            groups = ", ".join(dict.fromkeys(task.group for task in TASKS))
            every = ", ".join(task.name for task in TASKS)
            raise UserError(f"--tasks {name}: no such task; known are {groups} ({every})")
        chosen |= found
    if not chosen:
        raise UserError("--tasks: name at least one task")
    return tuple(task.name for task in TASKS if task.name in chosen)
