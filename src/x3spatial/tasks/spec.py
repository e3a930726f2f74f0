"""The only list of tasks: one ``TaskSpec`` per task, with everything that differs between tasks.

Builds, record checks, prompts of model families, scoring, the sets of the zero-shot evaluation and help texts
are derived from it. A new task is a module that drafts samples, a prompt file and one entry here; a task of
another package is registered with ``register``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType

from x3spatial.errors import UserError
from x3spatial.tasks import task0, task1, task2a, task2b
from x3spatial.tasks.answers import NOT_VISIBLE, POINT, AnswerType
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.prompts import Template, TemplateFile, load_templates
from x3spatial.tasks.samples import Draft, Pairs, SpatialObject


class Views(Enum):
    """Which views the images of a question show."""

    ONE = "one view"
    TWO = "a reference view and a query view"
    TWICE = "one view, before and after an object was removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One task.

    Raises:
        ValueError: ``file_name`` does not hold ``{split}``.
    """

    name: str
    """As in the records' ``task``, such as ``t1_multi``."""
    group: str
    """The short name that ``--tasks`` takes for all forms of a task, such as ``t1``."""
    title: str
    """The name in tables, such as ``Task1 multi``."""
    summary: str
    """What is asked, in half a line."""
    file_name: str
    """The task file; ``{split}`` stands for the split's short name."""
    draft: Callable[[SpatialObject, Pairs, Template], Iterator[Draft]]
    views: Views
    template: str
    """The prompt template, ``prompts/{template}.txt``; tasks may share one."""
    template_file: Path | None = None
    """The template's file where it is not in this package."""
    answer: AnswerType = POINT
    """The kind of answer: how it is read and when it is right."""
    absent_token: str = NOT_VISIBLE
    """The answer where there is nothing to point at."""
    side_by_side: bool = False
    """Whether both views are one image, the reference on the left; the answer is in the frame of the whole.
    There are no depth maps of such an image, and ``--emit-concat 0`` leaves the task out."""
    reference_in_prompt: bool = False
    """Whether the prompt gives the reference as a point: its template then has a section [reference]."""
    format_section: str = "seen_or_not"
    """The section of the model families' templates that asks for the answer (``conventions/templates``)."""
    format_text: str | None = None
    """That section's text for families whose template does not have it; None: it is in ``common.txt``."""
    answer_image: str | None = None
    """What a prompt calls the image that the answer is a point of; None: by the number of images."""
    optional_in_train: bool = False
    """Whether the train file is left out where it would be empty."""
    reference_may_be_cut: bool = False
    """Whether ``--crop-reference`` can be had: no place in the marked view is asked about or given."""
    by_default: bool = True
    """Whether it is built where no tasks were chosen."""
    zero_shot: bool = False
    """Whether its validation set is one of the sets of ``x3 zeroshot``."""

    def __post_init__(self) -> None:
        if "{split}" not in self.file_name:
            raise ValueError(f"task {self.name}: file_name {self.file_name!r} has no {{split}}")

    def file(self, short_split: str) -> str:
        """The task file of a split, such as ``t1_val_multi.json``."""
        return self.file_name.format(split=short_split)

    @property
    def frame(self) -> Frame:
        """The frame that answers are written in."""
        return Frame.CONCAT_RIGHT if self.side_by_side else Frame.IMAGE

    @property
    def image_count(self) -> int:
        """How many images a question shows."""
        return 1 if self.side_by_side or self.views is Views.ONE else 2


_TASKS: dict[str, TaskSpec] = {
    spec.name: spec
    for spec in (
        TaskSpec(
            name="t1_multi",
            group="t1",
            title="Task1 multi",
            summary="find the object marked in view A in view B, or answer NOT_VISIBLE",
            file_name="t1_{split}_multi.json",
            draft=task1.draft_multi,
            views=Views.TWO,
            template="t1_multi",
            reference_may_be_cut=True,
            zero_shot=True,
        ),
        TaskSpec(
            name="t1_concat",
            group="t1",
            title="Task1 concat",
            summary="the same with both views in one image and a reference point in the prompt",
            file_name="t1_{split}_concat.json",
            draft=task1.draft_concat,
            views=Views.TWO,
            template="t1_concat",
            side_by_side=True,
            reference_in_prompt=True,
            format_section="side_by_side",
            answer_image="the whole image",
            zero_shot=True,
        ),
        TaskSpec(
            name="t2a_multi",
            group="t2a",
            title="Task2A",
            summary="the Task1 multi pairs whose view B does not show the object",
            file_name="t2a_{split}_multi.json",
            draft=task2a.draft,
            views=Views.TWO,
            template="t1_multi",
            optional_in_train=True,
            reference_may_be_cut=True,
            zero_shot=True,
        ),
        TaskSpec(
            name="t2b_multi",
            group="t2b",
            title="Task2B",
            summary="point to what was removed between two images of one view",
            file_name="t2b_{split}_multi.json",
            draft=task2b.draft,
            views=Views.TWICE,
            template="t2b_multi",
            format_section="removed",
            answer_image="the second image",
            optional_in_train=True,
            zero_shot=True,
        ),
        TaskSpec(
            name="t0_marked",
            group="t0",
            title="Task0",
            summary="point to the object marked in a single view",
            file_name="t0_{split}_marked.json",
            draft=task0.draft,
            views=Views.ONE,
            template="t0_marked",
            format_section="marked",
            answer_image="the image",
            optional_in_train=True,
            by_default=False,
        ),
    )
}

TASKS: Mapping[str, TaskSpec] = MappingProxyType(_TASKS)
"""Every task by name, in the order in which they are built and shown."""


def register(spec: TaskSpec) -> None:
    """Add a task; builds, evaluations and exports know it from here on.

    Raises:
        ValueError: its name, or the name of its file, is taken.
    """
    if spec.name in _TASKS or any(spec.file_name == other.file_name for other in _TASKS.values()):
        raise ValueError(f"task {spec.name}: its name or file name is taken")
    _TASKS[spec.name] = spec


def unregister(name: str) -> None:
    """Take a task out again.

    Raises:
        KeyError: there is none of this name.
    """
    del _TASKS[name]


@contextmanager
def registered(spec: TaskSpec) -> Iterator[TaskSpec]:
    """A task for the length of a with block."""
    register(spec)
    try:
        yield spec
    finally:
        unregister(spec.name)


def default_tasks() -> tuple[str, ...]:
    """The tasks that are built where none were chosen."""
    return tuple(spec.name for spec in TASKS.values() if spec.by_default)


def zero_shot_tasks() -> tuple[TaskSpec, ...]:
    """The tasks whose validation sets a zero-shot evaluation asks."""
    return tuple(spec for spec in TASKS.values() if spec.zero_shot)


def choose_tasks(names: Iterable[str] | None) -> tuple[str, ...]:
    """The names of the chosen tasks, in the registry's order, whatever order they were chosen in.

    Args:
        names: task names (``t1_concat``) or groups (``t1``: all its forms); None for the default.

    Raises:
        UserError: a name is unknown, or there is none.
    """
    if names is None:
        return default_tasks()
    chosen: set[str] = set()
    for name in names:
        found = {spec.name for spec in TASKS.values() if name in (spec.name, spec.group)}
        if not found:
            groups = ", ".join(dict.fromkeys(spec.group for spec in TASKS.values()))
            raise UserError(
                f"--tasks {name}: no such task; known are {groups} ({', '.join(TASKS)})"
            )
        chosen |= found
    if not chosen:
        raise UserError("--tasks: name at least one task")
    return tuple(name for name in TASKS if name in chosen)


def task_templates(folder: Path | None = None) -> dict[str, Template]:
    """The prompt templates of all tasks, each from ``folder`` where it has ``{name}.txt``.

    Raises:
        UserError: as ``prompts.load_templates``.
    """
    files = {
        spec.template: TemplateFile(spec.template, spec.template_file, spec.reference_in_prompt)
        for spec in TASKS.values()
    }
    return load_templates(files.values(), folder)
