"""Answer texts: how the right answer is written, and what a given answer says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, Protocol

from x3spatial import _moved
from x3spatial.arrays import Bool
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point, centre_of, hits
from x3spatial.tasks.ground_truth import Target
from x3spatial.tasks.parsing import first_pair, normalize_characters, strip_thinking

NOT_VISIBLE = "NOT_VISIBLE"


class AnswerKind(Enum):
    """What an answer says."""

    NOT_VISIBLE = "not_visible"
    """The task's token for "nothing to point at"."""
    POINT = "point"
    VALUE = "value"
    """Something else than one point: what a task's own answer type reads."""
    UNPARSED = "unparsed"


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed answer.

    ``point`` is set if ``kind`` is POINT, in the frame the answer is written in; ``value`` if ``kind`` is
    VALUE, as JSON values.
    """

    kind: AnswerKind
    point: Point | None = None
    contradictory: bool = False
    value: Any = None


UNPARSED = Answer(AnswerKind.UNPARSED)


@cache
def _token_pattern(token: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9_]){re.escape(token)}(?![A-Za-z0-9_])", re.IGNORECASE)


def says_token(text: str, token: str) -> bool:
    """Whether ``token`` stands in ``text``, in any case, not inside a longer word."""
    return _token_pattern(token).search(text) is not None


def says_not_visible(text: str) -> bool:
    """Whether NOT_VISIBLE stands in ``text`` as a token of its own."""
    return says_token(text, NOT_VISIBLE)


def always_false(text: str) -> bool:
    """Default: the family has no phrase for "not visible"."""
    return False


class Reader(Protocol):
    """What a convention can read in a text whose characters are normalised and thoughts removed."""

    def point(self, text: str) -> Point | None:
        """The first point in ``text``, normalised in the frame that answers are written in."""

    def to_point(self, x: float, y: float) -> Point:
        """The normalised point of two numbers, x first, as the family counts them."""

    def says_absent(self, text: str) -> bool:
        """Whether ``text`` has the family's own words for "not visible"."""

    def says_nothing(self, text: str) -> bool:
        """Whether ``text`` has a form (an empty list) that means it where there is no point."""


@dataclass(frozen=True, slots=True)
class AnswerType:
    """A kind of answer: how it is read in any convention, and when it is right.

    ``parse`` gets a text whose characters are normalised and thoughts removed, what the convention can read
    in it, and the task's absent token. ``is_right`` gets the answer, the right answer and the query mask
    ``[H, W]`` (None where there is none); without it an answer is scored as a point (L2, Success@r,
    Hit@Mask).
    """

    name: str
    parse: Callable[[str, Reader, str], Answer]
    is_right: Callable[[Answer, Answer, Bool | None], bool] | None = None
    in_family_format: bool = True
    """Whether model families are asked for it in their own point format; else with the record's prompt."""

    def read(self, text: str, reader: Reader, absent_token: str) -> Answer:
        """What an answer text says."""
        return self.parse(normalize_characters(strip_thinking(text)), reader, absent_token)


def parse_point(text: str, reader: Reader, absent_token: str) -> Answer:
    """One point, or the absent token.

    The token wins, also beside a point; such an answer is marked contradictory. A family's own words for it
    count likewise; its form for nothing (an empty list) counts only where there is no point.
    """
    point = reader.point(text)
    if says_token(text, absent_token) or reader.says_absent(text):
        return Answer(AnswerKind.NOT_VISIBLE, contradictory=point is not None)
    if point is not None:
        return Answer(AnswerKind.POINT, point)
    return Answer(AnswerKind.NOT_VISIBLE) if reader.says_nothing(text) else UNPARSED


POINT = AnswerType("point", parse_point)
"""A point or the task's absent token."""


class _UnitReader:
    """Reads the project's own form, ``[(x, y)]`` in [0, 1]."""

    def point(self, text: str) -> Point | None:
        pair = first_pair(text)
        return None if pair is None else Point(*pair)

    def to_point(self, x: float, y: float) -> Point:
        return Point(x, y)

    def says_absent(self, text: str) -> bool:
        return False

    def says_nothing(self, text: str) -> bool:
        return False


UNIT_READER: Reader = _UnitReader()


def parse_unit(text: str) -> Answer:
    """Parse an answer in the project's own form, ``[(x, y)]`` in [0, 1] or ``NOT_VISIBLE``."""
    return POINT.read(text, UNIT_READER, NOT_VISIBLE)


class Written(NamedTuple):
    """A point as text: the text, the point that it says when read back, and its decimals."""

    text: str
    point: Point
    decimals: int


def ground_truth_text(
    target: Target,
    mask: Bool,
    frame: Frame,
    write: Callable[[Point, int], tuple[str, Point]],
    *,
    fewest: int,
) -> Written:
    """A ground-truth point written in some convention, so that its text hits the mask.

    ``write`` gives, for a point of ``frame`` and a number of decimals, the text and the point that
    it says when read back. With ``fewest`` decimals the target itself is tried. Where that misses
    ``mask`` [H, W] or leaves the half (thin masks, very wide images, points on a pixel's edge), the
    centre of the target's pixel is written instead, with the fewest decimals that hit.
    """
    height, width = mask.shape
    centre = frame.to_full(centre_of(target.pixel, width, height))
    tries = [(frame.to_full(target.point), fewest)]
    tries += [(centre, decimals) for decimals in range(fewest, 18)]
    for point, decimals in tries:
        text, read = write(point, decimals)
        if frame.contains(read) and hits(mask, frame.to_local(read)):
            return Written(text, read, decimals)
    raise AssertionError(f"no decimal text of {centre} hits its mask of {width}x{height}")


def _write(point: Point, decimals: int) -> tuple[str, Point]:
    x, y = f"{point.x:.{decimals}f}", f"{point.y:.{decimals}f}"
    return f"({x}, {y})", Point(float(x), float(y))


def point_text(target: Target, mask: Bool, frame: Frame) -> str:
    """``(x, y)`` for a ground-truth point in ``frame``, so that it hits its mask: three decimals,
    more where those miss (``ground_truth_text``).
    """
    return ground_truth_text(target, mask, frame, _write, fewest=3).text


def answer_text(target: Target | None, mask: Bool, frame: Frame) -> str:
    """The right answer as text: ``[(x, y)]`` in ``frame``, or NOT_VISIBLE without a target."""
    return NOT_VISIBLE if target is None else f"[{point_text(target, mask, frame)}]"


def __getattr__(name: str) -> Any:
    return _moved.renamed("tasks.answers", name)
