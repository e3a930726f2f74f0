"""Runs that end as if they were killed, with a journal and no results file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from helpers.task_sets import Scripted
from x3spatial.evaluation.journal import journal_path
from x3spatial.evaluation.run import evaluate
from x3spatial.tasks.question import Question


class Killed(BaseException):
    """Ends a run as a kill does: nothing is written after it."""


class Mortal(Scripted):
    """Is killed after some batches."""

    name = "mortal"

    def __init__(self, batches: int) -> None:
        super().__init__(default="[(0.300, 0.330)]")
        self.left = batches

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        if self.left == 0:
            raise Killed
        self.left -= 1
        return super().answer(questions, prepared)


def killed_run(tasks: Path, output: Path, batches: int, **options: Any) -> None:
    with pytest.raises(Killed):
        evaluate(tasks, output, Mortal(batches), batch_size=4, workers=1, **options)
    assert journal_path(output).exists()
