"""Models that ignore the images: chance baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from x3spatial.errors import UserError
from x3spatial.models.base import Model
from x3spatial.models.baselines.common import asks_for_point, format_point
from x3spatial.tasks.answers import NOT_VISIBLE
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.ground_truth import sample_seed
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import TASKS


class Centre(Model):
    """Answers with the centre of the query image (for t1_concat: of the right half)."""

    name = "centre"
    concurrent = True

    def can_answer(self, task: str) -> bool:
        """Tasks that are answered by a point."""
        return asks_for_point(task)

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """The same point for each question."""
        return [format_point(Point(0.5, 0.5), question) for question in questions]


class Uniform(Model):
    """Answers with a uniformly drawn point of the query image, seeded by (seed, sample id)."""

    name = "uniform"
    concurrent = True

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """Create it with the seed of ``--seed``.

        Raises:
            UserError: there is an argument.
        """
        if argument is not None:
            raise UserError(f"--model uniform:{argument}: uniform takes no argument")
        return cls(seed=int(options.get("seed", 0)))

    def can_answer(self, task: str) -> bool:
        """Tasks that are answered by a point."""
        return asks_for_point(task)

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """One random point per question."""
        return [format_point(self._draw(question), question) for question in questions]

    def _draw(self, question: Question) -> Point:
        x, y = np.random.default_rng(sample_seed(self._seed, "uniform", question.id)).random(2)
        return Point(float(x), float(y))

    def describe(self) -> dict[str, Any]:
        """The seed."""
        return {"seed": self._seed}


class AlwaysNotVisible(Model):
    """Always answers that nothing is there, in the task's word for it: perfect on Task2A, which is why Task2A
    must be reported with Task1."""

    name = "always-not-visible"
    concurrent = True

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """NOT_VISIBLE for each question, or NO_CHANGE where the task asks for a change."""
        return [
            TASKS[question.task].absent_token if question.task in TASKS else NOT_VISIBLE
            for question in questions
        ]
