"""The registry of tasks: one ``TaskSpec`` per task, with everything that differs between tasks.

Builds, record checks, prompts of model families, scoring, the sets of the zero-shot evaluation and help texts
are derived from it. A new task consists of a module that drafts samples, a prompt file and one entry here; a
task of another package is registered with ``register``.
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
from x3spatial.tasks.answers import (
    NO_CHANGE,
    NOT_VISIBLE,
    POINT,
    UNIT_READER,
    Answer,
    AnswerType,
    says_token,
)
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.prompts import Template, TemplateFile, load_templates
from x3spatial.tasks.samples import Draft, Pairs, SpatialObject

HARD = "hard"
"""The group of the sets that are harder than those of the source document."""
ALL = "all"
"""Means every task where tasks are chosen."""
DEFAULT_SETS = "default"
SETS = (DEFAULT_SETS, HARD, ALL)
"""The choices of sets of the zero-shot evaluation."""


class Views(Enum):
    """The views in the images of a question."""

    ONE = "one view"
    TWO = "a reference view and a query view"
    TWICE = "one view, before and after an object was removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """One task.

    Raises:
        ValueError: ``file_name`` does not contain ``{split}``.
    """

    name: str
    """The name in the records' field ``task``, such as ``t1_multi``."""
    group: str
    """The short name of all forms of a task in ``--tasks``, such as ``t1``."""
    title: str
    """The name in tables, such as ``Task1 multi``."""
    summary: str
    """A short description for help and documentation."""
    file_name: str
    """Name of the task file; ``{split}`` is replaced by the split's short name."""
    draft: Callable[[SpatialObject, Pairs, Template], Iterator[Draft]]
    views: Views
    template: str
    """Name of the prompt template, ``prompts/{template}.txt``; tasks may share one."""
    template_file: Path | None = None
    """The template's file if it is not in this package."""
    answer: AnswerType = POINT
    """The answer type: parsing and correctness."""
    absent_token: str = NOT_VISIBLE
    """The answer if there is nothing to point at."""
    side_by_side: bool = False
    """Whether both views are in one image, the reference on the left; the answer is a point of the whole
    image. Such images have no depth maps, and ``--emit-concat 0`` leaves the task out."""
    reference_in_prompt: bool = False
    """Whether the prompt contains a reference point; the template then has a section [reference]."""
    format_section: str = "seen_or_not"
    """The section of the family templates (``conventions/templates``) that asks for the answer."""
    format_text: str | None = None
    """Text of that section for families whose template lacks it; None: the one in ``common.txt``."""
    answer_image: str | None = None
    """Phrase for the image that contains the answer; None: derived from the number of images."""
    optional_in_train: bool = False
    """Whether the train file is omitted if it would be empty."""
    reference_may_be_cut: bool = False
    """Whether ``--crop-reference`` applies: neither prompt nor answer contains a point of the marked view."""
    by_default: bool = True
    """Whether it is built without ``--tasks``."""
    mask_of_removed: bool = False
    """Whether the query mask shows where the object was before it was taken out of the query image. The
    answer is then the absent token, and points in the mask are counted (``points_at_removed``)."""
    across_objects: bool = False
    """Whether drafts are marked views that the build pairs with views of other objects' folders."""
    zero_shot: bool = False
    """Whether its validation set is one of the sets of ``x3 zeroshot``."""

    def __post_init__(self) -> None:
        if "{split}" not in self.file_name:
            raise ValueError(f"task {self.name}: file_name {self.file_name!r} has no {{split}}")

    def file(self, short_split: str) -> str:
        """The task file of a split, such as ``t1_val_multi.json``."""
        return self.file_name.format(split=short_split)

    def read(self, text: str) -> Answer:
        """Parse an answer in the format of the task files: ``[(x, y)]`` in [0, 1], or the absent token."""
        return self.answer.read(text, UNIT_READER, self.absent_token)

    @property
    def frame(self) -> Frame:
        """The frame of the answers."""
        return Frame.CONCAT_RIGHT if self.side_by_side else Frame.IMAGE

    @property
    def needs_inpainted(self) -> bool:
        """Whether its questions show a view without the object."""
        return self.views is Views.TWICE or self.mask_of_removed

    @property
    def image_count(self) -> int:
        """The number of images in a question."""
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
        TaskSpec(
            name="t1_counterfactual",
            group=HARD,
            title="Task1 counterfactual",
            summary="the Task1 multi pairs with the object taken out of view B: answer NOT_VISIBLE",
            file_name="t1_{split}_counterfactual.json",
            draft=task1.draft_counterfactual,
            views=Views.TWO,
            template="t1_multi",
            optional_in_train=True,
            reference_may_be_cut=True,
            by_default=False,
            mask_of_removed=True,
        ),
        TaskSpec(
            name="t1_negatives",
            group=HARD,
            title="Task1 negatives",
            summary="views of other folders that are verified not to show the object: answer NOT_VISIBLE",
            file_name="t1_{split}_negatives.json",
            draft=task1.draft_marked,
            views=Views.TWO,
            template="t1_multi",
            optional_in_train=True,
            reference_may_be_cut=True,
            by_default=False,
            across_objects=True,
        ),
        TaskSpec(
            name="t2b_unchanged",
            group=HARD,
            title="Task2B unchanged",
            summary="point to what was removed between two images, or answer NO_CHANGE",
            file_name="t2b_{split}_unchanged.json",
            draft=task2b.draft_unchanged,
            views=Views.TWICE,
            template="t2b_unchanged",
            absent_token=NO_CHANGE,
            format_section="removed_or_not",
            answer_image="the second image",
            optional_in_train=True,
            by_default=False,
        ),
        TaskSpec(
            name="t2b_added",
            group=HARD,
            title="Task2B added",
            summary="point to what was added between two images of one view",
            file_name="t2b_{split}_added.json",
            draft=task2b.draft_added,
            views=Views.TWICE,
            template="t2b_added",
            format_section="added_object",
            answer_image="the second image",
            optional_in_train=True,
            by_default=False,
        ),
    )
}

TASKS: Mapping[str, TaskSpec] = MappingProxyType(_TASKS)
"""All tasks by name, in the order of builds and tables."""


def says_absent(text: str) -> bool:
    """Whether a ground-truth text contains the absent token of any task as a separate word."""
    return any(says_token(text, token) for token in {spec.absent_token for spec in TASKS.values()})


def register(spec: TaskSpec) -> None:
    """Add a task for builds, evaluations and exports.

    Raises:
        ValueError: another task has the same name or file name.
    """
    if spec.name in _TASKS or any(spec.file_name == other.file_name for other in _TASKS.values()):
        raise ValueError(f"task {spec.name}: its name or file name is taken")
    _TASKS[spec.name] = spec


def unregister(name: str) -> None:
    """Remove a task.

    Raises:
        KeyError: no task has this name.
    """
    del _TASKS[name]


@contextmanager
def registered(spec: TaskSpec) -> Iterator[TaskSpec]:
    """Register a task for the duration of a with block."""
    register(spec)
    try:
        yield spec
    finally:
        unregister(spec.name)


def default_tasks() -> tuple[str, ...]:
    """The tasks that are built by default."""
    return tuple(spec.name for spec in TASKS.values() if spec.by_default)


def zero_shot_tasks(sets: str = DEFAULT_SETS) -> tuple[TaskSpec, ...]:
    """The tasks whose validation sets are part of the zero-shot evaluation.

    Args:
        sets: ``default``: those of the source document; ``hard``: the group of that name; ``all``: both.

    Raises:
        UserError: ``sets`` is none of them.
    """
    if sets not in SETS:
        raise UserError(f"--sets {sets}: must be {', '.join(SETS)}")
    return tuple(
        spec
        for spec in TASKS.values()
        if (spec.zero_shot and sets in (DEFAULT_SETS, ALL))
        or (spec.group == HARD and sets in (HARD, ALL))
    )


def choose_tasks(names: Iterable[str] | None) -> tuple[str, ...]:
    """The names of the selected tasks, always in the order of the registry.

    Args:
        names: task names (``t1_concat``), groups (``t1``: all its forms) or ``all``; None for the default.

    Raises:
        UserError: a name is unknown, or ``names`` is empty.
    """
    if names is None:
        return default_tasks()
    chosen: set[str] = set()
    for name in names:
        found = {spec.name for spec in TASKS.values() if name in (spec.name, spec.group, ALL)}
        if not found:
            groups = ", ".join(dict.fromkeys(spec.group for spec in TASKS.values()))
            raise UserError(
                f"--tasks {name}: no such task; known are {ALL}, {groups} ({', '.join(TASKS)})"
            )
        chosen |= found
    if not chosen:
        raise UserError("--tasks: name at least one task")
    return tuple(name for name in TASKS if name in chosen)


def task_templates(folder: Path | None = None) -> dict[str, Template]:
    """The prompt templates of all tasks, each from ``folder`` if it contains ``{name}.txt``.

    Raises:
        UserError: see ``prompts.load_templates``.
    """
    files = {
        spec.template: TemplateFile(spec.template, spec.template_file, spec.reference_in_prompt)
        for spec in TASKS.values()
    }
    return load_templates(files.values(), folder)
