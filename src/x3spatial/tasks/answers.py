"""Answer texts: formatting of the ground truth and parsing of a model's answer."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, Protocol

from x3spatial import _moved
from x3spatial.arrays import Bool
from x3spatial.tasks.boxes import Box, intersection_over_union, mask_box
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point, centre_of, hits
from x3spatial.tasks.ground_truth import Target
from x3spatial.tasks.parsing import (
    first_pair,
    first_turn,
    normalize_characters,
    strip_thinking,
    unescape_entities,
)

NOT_VISIBLE = "NOT_VISIBLE"
NO_CHANGE = "NO_CHANGE"


class AnswerKind(Enum):
    """The kind of a parsed answer."""

    NOT_VISIBLE = "not_visible"
    """The task's absent token: there is nothing to point at."""
    POINT = "point"
    BOX = "box"
    """A box, in a convention whose family answers with boxes."""
    VALUE = "value"
    """A value other than one point or box, parsed by the task's own answer type."""
    UNPARSED = "unparsed"


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed answer.

    ``point`` is set if ``kind`` is POINT, normalised in the frame of the answer, and ``box`` if it is BOX;
    ``value`` is set if ``kind`` is VALUE and holds JSON values. ``contradictory``: the text contains both a
    point (or box) and the absent token.
    """

    kind: AnswerKind
    point: Point | None = None
    contradictory: bool = False
    value: Any = None
    box: Box | None = None


UNPARSED = Answer(AnswerKind.UNPARSED)


@cache
def _token_pattern(token: str) -> re.Pattern[str]:
    # Underscores on both sides are the italics and bold of Markdown.
    return re.compile(
        rf"(?<![A-Za-z0-9_])(_{{0,3}}+){re.escape(token)}\1(?![A-Za-z0-9_])", re.IGNORECASE
    )


def says_token(text: str, token: str) -> bool:
    """Whether ``text`` contains ``token`` as a separate word; case is ignored."""
    return _token_pattern(token).search(text) is not None


def says_not_visible(text: str) -> bool:
    """Whether ``text`` contains NOT_VISIBLE as a separate word."""
    return says_token(text, NOT_VISIBLE)


def always_false(text: str) -> bool:
    """Default: the family has no phrase for "not visible"."""
    return False


class Reader(Protocol):
    """The parser of a convention, for texts with normalised characters and without thinking blocks."""

    def point(self, text: str) -> Point | None:
        """The first point in ``text``, normalised in the frame of the answer; None without one."""

    def box(self, text: str) -> Box | None:
        """The first box in ``text``, normalised in the frame of the answer; None without one, and for
        families that are not asked for boxes.
        """

    def to_point(self, x: float, y: float) -> Point:
        """The normalised point of two numbers in the family's units, x first."""

    def says_absent(self, text: str) -> bool:
        """Whether ``text`` contains the family's own phrase for "not visible"."""

    def says_nothing(self, text: str) -> bool:
        """Whether ``text`` has a form (an empty list) that means "not visible" if there is no point."""


@dataclass(frozen=True, slots=True)
class AnswerType:
    """A kind of answer: its parser for any convention, and its criterion of correctness.

    ``parse`` takes a text with normalised characters and without thinking blocks, the convention's reader and
    the task's absent token. ``is_right`` takes the answer, the ground truth and the query mask ``[H, W]``
    (None without one). If ``is_right`` is None, the answer is scored as a point (L2, Success@r, Hit@Mask).
    """

    name: str
    parse: Callable[[str, Reader, str], Answer]
    is_right: Callable[[Answer, Answer, Bool | None], bool] | None = None
    in_family_format: bool = True
    """True: the prompt asks for the family's own point format. False: the record's prompt is used
    unchanged."""

    def read(self, text: str, reader: Reader, absent_token: str) -> Answer:
        """Parse an answer text."""
        said = first_turn(strip_thinking(unescape_entities(text)))
        return self.parse(normalize_characters(said), reader, absent_token)


def parse_point(text: str, reader: Reader, absent_token: str) -> Answer:
    """Parse one point or the absent token.

    The token takes precedence over a point; an answer with both is marked contradictory. The family's own
    phrase for "not visible" is treated alike. An empty list counts only if there is no point.
    """
    point = reader.point(text)
    if says_token(text, absent_token) or reader.says_absent(text):
        return Answer(AnswerKind.NOT_VISIBLE, contradictory=point is not None)
    if point is not None:
        return Answer(AnswerKind.POINT, point)
    return Answer(AnswerKind.NOT_VISIBLE) if reader.says_nothing(text) else UNPARSED


POINT = AnswerType("point", parse_point)
"""A point or the task's absent token."""


def parse_box(text: str, reader: Reader, absent_token: str) -> Answer:
    """Parse one box or the absent token, by the rules of ``parse_point``.

    A point is no answer here: the family was asked for a box, so that a text without one is unparsed.
    """
    box = reader.box(text)
    if says_token(text, absent_token) or reader.says_absent(text):
        return Answer(AnswerKind.NOT_VISIBLE, contradictory=box is not None)
    if box is not None:
        return Answer(AnswerKind.BOX, box=box)
    return Answer(AnswerKind.NOT_VISIBLE) if reader.says_nothing(text) else UNPARSED


BOX = AnswerType("box", parse_box)
"""How the answer to a task of points is read where the model's family answers with boxes.

It is scored by the box (IoU with the tight box of the mask, centre in the mask), never as a point.
"""


class _UnitReader:
    """Parser of the format of the task files, ``[(x, y)]`` in [0, 1]."""

    def point(self, text: str) -> Point | None:
        pair = first_pair(text)
        return None if pair is None else Point(*pair)

    def box(self, text: str) -> Box | None:
        return None

    def to_point(self, x: float, y: float) -> Point:
        return Point(x, y)

    def says_absent(self, text: str) -> bool:
        return False

    def says_nothing(self, text: str) -> bool:
        return False


UNIT_READER: Reader = _UnitReader()


def parse_unit(text: str) -> Answer:
    """Parse an answer in the format of the task files: ``[(x, y)]`` in [0, 1], or ``NOT_VISIBLE``."""
    return POINT.read(text, UNIT_READER, NOT_VISIBLE)


class FormattedPoint(NamedTuple):
    """A formatted point: the text, the point parsed back from it, and the number of decimals."""

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
) -> FormattedPoint:
    """Format a ground-truth point in some convention with enough decimals that the text hits the mask.

    The target is formatted with ``fewest`` decimals first. If the rounded point misses the mask or leaves its
    half of the image (thin masks, very wide images, points on the edge of a pixel), the centre of the
    target's pixel is formatted instead, with as few decimals as possible.

    Args:
        target: the ground-truth point, normalised in the image of the mask.
        mask: ``[H, W]``.
        frame: the frame of the answer.
        write: formats a point of ``frame`` with a number of decimals; returns the text and the point parsed
            back from it.
        fewest: number of decimals to try first.
    """
    height, width = mask.shape
    centre = frame.to_full(centre_of(target.pixel, width, height))
    tries = [(frame.to_full(target.point), fewest)]
    tries += [(centre, decimals) for decimals in range(fewest, 18)]
    for point, decimals in tries:
        text, read = write(point, decimals)
        if frame.contains(read) and hits(mask, frame.to_local(read)):
            return FormattedPoint(text, read, decimals)
    raise AssertionError(f"no decimal text of {centre} hits its mask of {width}x{height}")


LEAST_IOU = 0.5
"""A box as text must overlap the true one by this much; it then counts as right itself."""


class FormattedBox(NamedTuple):
    """A formatted box: the text, the box parsed back from it, and the number of decimals."""

    text: str
    box: Box
    decimals: int


def ground_truth_box_text(
    mask: Bool,
    frame: Frame,
    write: Callable[[Box, int], tuple[str, Box]],
    *,
    fewest: int,
    least_iou: float = LEAST_IOU,
) -> FormattedBox:
    """Format the tight box of ``mask`` in some convention, with decimals enough that the text is right.

    Args:
        mask: ``[H, W]``, not empty.
        frame: the frame of the answer.
        write: formats a box of ``frame`` with a number of decimals; returns the text and the box parsed back.
        fewest: number of decimals to try first.
        least_iou: how much the box that is read from the text must overlap the tight box.

    Raises:
        ValueError: the mask is empty.
    """
    tight = mask_box(mask)
    if tight is None:
        raise ValueError("an empty mask has no box")
    full = tight.mapped(frame, to_full=True)
    for decimals in range(fewest, 18):
        text, read = write(full, decimals)
        if intersection_over_union(read, full) >= least_iou:
            return FormattedBox(text, read, decimals)
    raise AssertionError(f"no decimal text of {full} overlaps it by {least_iou}")


def _write(point: Point, decimals: int) -> tuple[str, Point]:
    x, y = f"{point.x:.{decimals}f}", f"{point.y:.{decimals}f}"
    return f"({x}, {y})", Point(float(x), float(y))


def point_text(target: Target, mask: Bool, frame: Frame) -> str:
    """``(x, y)`` of a ground-truth point in ``frame``, with three decimals, or more if three miss ``mask``
    [H, W]; see ``ground_truth_text``.
    """
    return ground_truth_text(target, mask, frame, _write, fewest=3).text


def answer_text(target: Target | None, mask: Bool, frame: Frame) -> str:
    """The ground truth as text: ``[(x, y)]`` in ``frame``, or NOT_VISIBLE without a target."""
    return NOT_VISIBLE if target is None else f"[{point_text(target, mask, frame)}]"


def __getattr__(name: str) -> Any:
    return _moved.renamed("tasks.answers", name)
