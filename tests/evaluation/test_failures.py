"""Runs that cannot succeed: equal errors in a row, as long as nothing has succeeded."""

from __future__ import annotations

from pathlib import Path

import pytest

from x3spatial.evaluation.failures import FailureWatch
from x3spatial.evaluation.inference import Reply
from x3spatial.tasks.question import Question


def watched(errors: list[str | None], limit: int, *, succeeded: bool = False) -> int | None:
    """The number of questions after which the run stops; None if it does not. None is an answer."""
    questions = [
        Question(
            id=f"T1_{n}",
            task="t1_multi",
            prompt="",
            question="",
            images=(Path(f"a_{n}.png"), Path(f"b_{n}.png")),
        )
        for n in range(len(errors))
    ]
    watch = FailureWatch(limit, questions, succeeded=succeeded)
    for number, error in enumerate(errors):
        reply = Reply("[(0.1, 0.1)]") if error is None else Reply(None, error)
        watch.add({f"T1_{number}": reply})
        if watch.hopeless:
            return number + 1
    return None


@pytest.mark.parametrize(
    ("errors", "limit", "stops"),
    [
        (["lost"] * 9, 3, 3),
        (["lost"] * 9, 10, None),
        (["lost"] * 9, 0, None),
        ([None, *["lost"] * 9], 3, None),
        (["lost", "lost", None, *["lost"] * 9], 3, None),
        (["lost", "lost", "other", *["lost"] * 9], 3, 6),
        (["a", "b"] * 9, 3, None),
        # Ids, addresses and numbers differ between errors of one cause.
        ([f"HTTP 500: request {n}f3a8c0d1e5b at T1_{n}" for n in range(9)], 3, 3),
        ([f"device 0x7f{n}a lost after {n}.5 s" for n in range(9)], 4, 4),
        # What is wrong with the files of one question says nothing about the next.
        ([f"a_{n}.png: file is damaged" for n in range(9)], 3, None),
        ([*[f"a_{n}.png: damaged" for n in range(5)], *["lost"] * 4], 3, 8),
    ],
)
def test_when_a_run_stops(errors: list[str | None], limit: int, stops: int | None) -> None:
    assert watched(errors, limit) == stops


def test_answers_of_an_earlier_call_count() -> None:
    assert watched(["lost"] * 9, 3, succeeded=True) is None
