"""How each model family writes a point. Declared by the adapter, never guessed from magnitudes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from x3spatial.models.base import Question
from x3spatial.tasks.answers import Answer, parse_unit


@dataclass(frozen=True, slots=True)
class Convention:
    """How to ask a family and how to read its answer.

    ``render`` makes the prompt text from a question. ``parse`` reads an answer; its point is
    normalised in the last image of the question (for t1_concat: the whole wide image).
    """

    name: str
    describes: str
    render: Callable[[Question], str]
    parse: Callable[[str, Question], Answer]


CONVENTIONS: dict[str, Convention] = {
    convention.name: convention
    for convention in (
        Convention(
            name="unit",
            describes="[(x, y)], x first, 0 to 1 of the image (RoboRefer, RoboPoint)",
            render=lambda question: question.prompt,
            parse=lambda text, _: parse_unit(text),
        ),
    )
}
