"""The registry of tasks: what each task is, what a spec leaves to its defaults, and choosing tasks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from x3spatial.errors import UserError
from x3spatial.tasks import spec, task0
from x3spatial.tasks.answers import NOT_VISIBLE, POINT
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.spec import TASKS, TaskSpec, Views

DEFAULT = ("t1_multi", "t1_concat", "t2a_multi", "t2b_multi")
HARD = ("t1_counterfactual", "t1_negatives", "t2b_unchanged", "t2b_added")
TOY = TaskSpec(
    name="toy",
    group="toys",
    title="Toy",
    summary="a toy",
    file_name="toy_{split}.json",
    draft=task0.draft,
    views=Views.TWO,
    template="toy",
)


def test_the_tasks_of_the_package() -> None:
    assert tuple(TASKS) == (*DEFAULT, "t0_marked", *HARD)
    assert spec.default_tasks() == DEFAULT
    assert tuple(task.name for task in spec.zero_shot_tasks()) == DEFAULT
    features = {
        name: {task.name for task in TASKS.values() if getattr(task, name)}
        for name in (
            "side_by_side", "reference_in_prompt", "reference_may_be_cut", "optional_in_train",
        )
    }  # fmt: skip
    assert features == {
        "side_by_side": {"t1_concat"},
        "reference_in_prompt": {"t1_concat"},
        "reference_may_be_cut": {"t1_multi", "t2a_multi", "t1_counterfactual", "t1_negatives"},
        "optional_in_train": {"t2a_multi", "t2b_multi", "t0_marked", *HARD},
    }
    assert {name: (task.image_count, task.frame) for name, task in TASKS.items()} == {
        "t1_multi": (2, Frame.IMAGE),
        "t1_concat": (1, Frame.CONCAT_RIGHT),
        "t2a_multi": (2, Frame.IMAGE),
        "t2b_multi": (2, Frame.IMAGE),
        "t0_marked": (1, Frame.IMAGE),
        **dict.fromkeys(HARD, (2, Frame.IMAGE)),
    }
    assert {task.file("val") for task in TASKS.values()} == {
        "t1_val_multi.json", "t1_val_concat.json", "t2a_val_multi.json", "t2b_val_multi.json",
        "t0_val_marked.json", "t1_val_counterfactual.json", "t1_val_negatives.json",
        "t2b_val_unchanged.json", "t2b_val_added.json",
    }  # fmt: skip


def test_what_a_new_task_need_not_say() -> None:
    """A task is built by default, but must ask for everything that changes builds of other tasks."""
    assert TOY.by_default
    assert not (TOY.zero_shot or TOY.side_by_side or TOY.reference_in_prompt)
    assert not (TOY.reference_may_be_cut or TOY.optional_in_train)
    assert (TOY.answer, TOY.absent_token) == (POINT, NOT_VISIBLE)
    assert (TOY.image_count, TOY.frame) == (2, Frame.IMAGE)
    with spec.registered(TOY):
        assert spec.default_tasks() == (*DEFAULT, "toy")
        assert "toy" not in {task.name for task in spec.zero_shot_tasks()}


def test_a_taken_name_or_file_is_refused() -> None:
    with spec.registered(TOY):
        for second in (replace(TOY, file_name="other_{split}.json"), replace(TOY, name="other")):
            with pytest.raises(ValueError, match="taken"):
                spec.register(second)
    assert "toy" not in TASKS and "other" not in TASKS
    with pytest.raises(KeyError):
        spec.unregister("toy")
    with pytest.raises(ValueError, match="split"):
        replace(TOY, file_name="toy.json")


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (None, DEFAULT),
        (["t1"], ("t1_multi", "t1_concat")),
        (["t0", "t1_concat"], ("t1_concat", "t0_marked")),
        (["t2b", "t2a", "t2b_multi"], ("t2a_multi", "t2b_multi")),
    ],
)
def test_choosing(names: list[str] | None, chosen: tuple[str, ...]) -> None:
    assert spec.choose_tasks(names) == chosen


@pytest.mark.parametrize("names", [["t1", "t9"], [""], []])
def test_an_unknown_choice_is_refused(names: list[str]) -> None:
    with pytest.raises(UserError, match="--tasks"):
        spec.choose_tasks(names)
