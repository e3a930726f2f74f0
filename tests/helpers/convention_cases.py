"""Questions and outcomes for the tests of the conventions."""

from __future__ import annotations

from pathlib import Path

from x3spatial.conventions.base import Convention
from x3spatial.tasks.answers import AnswerKind
from x3spatial.tasks.question import Question, Size

SIZE = (640, 480)
"""(W, H) of every image in the pixels of the convention."""
ABSENT, CONTRADICTION, UNPARSED = "not visible", "not visible, and a point", "unparsed"
Outcome = str | tuple[float, ...]
"""A point, a box, or one of the words above."""


def question(task: str = "t1_multi", images: int = 2, **fields: object) -> Question:
    """A question about ``images`` images, as a record of x3 build asks it."""
    values: dict[str, object] = {
        "id": "T",
        "task": task,
        "images": tuple(Path(f"{number}.png") for number in range(images)),
        "prompt": "Where is it? Answer with [(x, y)], between 0 and 1.",
        "question": "Where is it?",
    }
    return Question(**(values | fields))  # type: ignore[arg-type]


def sizes_of(asked: Question, size: Size = SIZE) -> tuple[Size, ...]:
    """``size`` for each image."""
    return (size,) * len(asked.images)


def outcome(convention: Convention, text: str, *, images: int = 2) -> Outcome:
    """The answer that ``convention`` parses from ``text``; points and boxes are rounded to 6 decimals."""
    asked = question(images=images)
    answer = convention.parse(text, asked, sizes_of(asked))
    if answer.kind is AnswerKind.POINT:
        assert answer.point is not None and not answer.contradictory
        return round(answer.point.x, 6), round(answer.point.y, 6)
    if answer.kind is AnswerKind.BOX:
        assert answer.box is not None and answer.point is None and not answer.contradictory
        return tuple(round(value, 6) for value in answer.box)
    assert answer.point is None and answer.box is None
    if answer.kind is AnswerKind.UNPARSED:
        assert not answer.contradictory
        return UNPARSED
    return CONTRADICTION if answer.contradictory else ABSENT
