"""RoboRefer's and RoboPoint's own way, which the task files are written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from x3spatial.models.base import Question, Size
from x3spatial.models.conventions.base import Pixels
from x3spatial.tasks.answers import Answer, parse_unit


@dataclass(frozen=True, slots=True)
class Unit:
    """``[(x, y)]``, x first, 0 to 1 of the image; asked with the record's own prompt."""

    name: str = "unit"
    describes: str = "[(x, y)], x first, 0 to 1 of the image (RoboRefer, RoboPoint)"
    pixels: Pixels | None = None

    def prompt(self, question: Question, sizes: Sequence[Size] = ()) -> str:
        """The record's prompt, as RoboRefer is asked."""
        return question.prompt

    def parse(self, text: str, question: Question, sizes: Sequence[Size] = ()) -> Answer:
        """``parse_unit``."""
        return parse_unit(text)
