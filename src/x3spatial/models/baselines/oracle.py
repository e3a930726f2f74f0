"""The oracle: the right answer, as the task file has it or in the form of any convention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from x3spatial.conventions.registry import CONVENTIONS, find_convention
from x3spatial.errors import UserError
from x3spatial.models.base import Model, Output
from x3spatial.models.baselines.common import load_mask, record_path
from x3spatial.tasks.answers import (
    NOT_VISIBLE,
    POINT,
    AnswerKind,
    ground_truth_box_text,
    ground_truth_text,
)
from x3spatial.tasks.geometry import pixel_of
from x3spatial.tasks.ground_truth import Target
from x3spatial.tasks.question import Question
from x3spatial.tasks.spec import TASKS

_EXACT = 1.0 - 1e-9
"""IoU of an oracle's box: right within rounding, whatever the number of decimals that takes."""
_DECIMALS = 9
"""Of an oracle's point, whose distance to the ground truth is then zero within rounding."""


class Oracle(Model):
    """Answers with the ground truth; if a metric is not perfect, there is an error in the data or scoring.

    Args:
        convention: the form of the answers; ``unit`` are the texts of the task file. In a convention of boxes
            the answer is the tight box of the query mask.
    """

    name = "oracle"
    privileged = True
    concurrent = True

    def __init__(self, convention: str = "unit") -> None:
        self._convention = find_convention(convention)
        self.convention = self._convention.name

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """``oracle`` or ``oracle:CONVENTION``.

        Raises:
            UserError: there is no such convention.
        """
        if argument is not None and argument not in CONVENTIONS:
            known = ", ".join(CONVENTIONS)
            raise UserError(f"--model oracle:{argument}: no such convention; known are {known}")
        return cls() if argument is None else cls(argument)

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[Output]:
        """The right answer to each question."""
        return [self._right(question) for question in questions]

    def _right(self, question: Question) -> Output:
        if question.record is None:
            raise ValueError(f"{question.id}: this model needs the record and was given none")
        recorded = str(question.record["conversations"][1]["value"])
        spec = TASKS.get(question.task)
        if self.convention == "unit" or spec is None or spec.answer is not POINT:
            return Output(recorded)
        convention = self._convention
        sizes = () if convention.pixels is None else question.image_sizes
        if convention.pixels is not None and not sizes:
            raise ValueError(f"{question.id}: the record has no field 'image_sizes'")
        said = spec.read(recorded)
        if said.kind is not AnswerKind.POINT:
            own = convention.absent if spec.absent_token == NOT_VISIBLE else spec.absent_token
            return Output(own, sizes)
        assert said.point is not None
        mask = load_mask(record_path(question, "query_mask"))
        if convention.answers == "box":
            text = ground_truth_box_text(
                mask,
                spec.frame,
                lambda box, decimals: convention.format_box(box, question, sizes, decimals),
                fewest=convention.decimals,
                least_iou=_EXACT,
            ).text
            return Output(text, sizes)
        height, width = mask.shape
        local = spec.frame.to_local(said.point)
        pixel = pixel_of(local, width, height)
        if pixel is None:
            raise ValueError(f"{question.id}: its point lies outside of its image")
        text = ground_truth_text(
            Target(local, pixel),
            mask,
            spec.frame,
            lambda point, decimals: convention.format_answer(point, question, sizes, decimals),
            fewest=_DECIMALS,
        ).text
        return Output(text, sizes)
