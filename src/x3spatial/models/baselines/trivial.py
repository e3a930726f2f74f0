"""Models that look at no image: the oracle, and what chance gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from x3spatial.errors import UserError
from x3spatial.models.base import Model
from x3spatial.models.baselines.common import asks_for_point, say
from x3spatial.tasks.answers import NOT_VISIBLE
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.ground_truth import sample_seed
from x3spatial.tasks.question import Question


class Oracle(Model):
    """Gives the record's own answer: every metric must be perfect, or the data or scoring is wrong."""

    name = "oracle"
    privileged = True
    concurrent = True

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """The text of the gpt turn of each record."""
        return [_right_answer(question) for question in questions]


def _right_answer(question: Question) -> str:
    if question.record is None:
        raise ValueError(f"{question.id}: this model needs the record and was given none")
    return str(question.record["conversations"][1]["value"])


class Centre(Model):
    """Points at the centre of the query image (for t1_concat: of its right half)."""

    name = "centre"
    concurrent = True

    def can_answer(self, task: str) -> bool:
        """Tasks that are answered by a point."""
        return asks_for_point(task)

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """The same point for each."""
        return [say(Point(0.5, 0.5), question) for question in questions]


class Uniform(Model):
    """Points at a uniformly drawn place of the query image, drawn from (seed, sample id) alone."""

    name = "uniform"
    concurrent = True

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """Takes its seed from ``--seed``."""
        if argument is not None:
            raise UserError(f"--model uniform:{argument}: uniform takes no argument")
        return cls(seed=int(options.get("seed", 0)))

    def can_answer(self, task: str) -> bool:
        """Tasks that are answered by a point."""
        return asks_for_point(task)

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """One draw for each."""
        return [say(self._draw(question), question) for question in questions]

    def _draw(self, question: Question) -> Point:
        x, y = np.random.default_rng(sample_seed(self._seed, "uniform", question.id)).random(2)
        return Point(float(x), float(y))

    def describe(self) -> dict[str, Any]:
        """Its seed."""
        return {"seed": self._seed}


class AlwaysNotVisible(Model):
    """Says NOT_VISIBLE to everything: perfect on Task2A, and why that set needs Task1 beside it."""

    name = "always-not-visible"
    concurrent = True

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        """The same for each."""
        return [NOT_VISIBLE for _ in questions]
