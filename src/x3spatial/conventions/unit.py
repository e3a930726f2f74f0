"""The convention of RoboRefer, RoboPoint and the task files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from x3spatial.conventions.brackets import find_pair
from x3spatial.conventions.family import Family
from x3spatial.tasks.question import Question, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class AsRecorded(Family):
    """A family whose prompt is that of the record."""

    def prompt(
        self, question: Question, sizes: Sequence[Size] = (), *, reference: str | None = None
    ) -> str:
        """The record's prompt, which already contains the reference point."""
        return question.prompt


UNIT = AsRecorded(
    name="unit",
    describes="[(x, y)], x first, 0 to 1 of the image (RoboRefer, RoboPoint)",
    find=find_pair(),
    answer="[({x}, {y})]",
    inline="({x}, {y})",
    scale=1.0,
    decimals=3,
)
