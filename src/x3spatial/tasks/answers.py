"""Answer texts: how the right answer is written, and what a given answer says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import BoolArray, Point, Target, centre_of, hits
from x3spatial.tasks.parsing import first_pair, normalize_characters, strip_thinking

NOT_VISIBLE = "NOT_VISIBLE"

_TOKEN = re.compile(r"(?<![A-Za-z0-9_])not_visible(?![A-Za-z0-9_])", re.IGNORECASE)


class AnswerKind(Enum):
    """What an answer says."""

    NOT_VISIBLE = "not_visible"
    POINT = "point"
    UNPARSED = "unparsed"


@dataclass(frozen=True, slots=True)
class Answer:
    """A parsed answer. ``point`` is set if ``kind`` is POINT, in the frame the answer is written in."""

    kind: AnswerKind
    point: Point | None = None
    contradictory: bool = False


UNPARSED = Answer(AnswerKind.UNPARSED)


def says_not_visible(text: str) -> bool:
    """Whether NOT_VISIBLE stands in ``text``, in any case, as a token of its own."""
    return _TOKEN.search(text) is not None


def always_false(text: str) -> bool:
    """Of a convention without words of its own: no text has them."""
    return False


def parse_with(
    text: str,
    find: Callable[[str], Point | None],
    *,
    says_absent: Callable[[str], bool] = always_false,
    says_nothing: Callable[[str], bool] = always_false,
) -> Answer:
    """Apply the rules shared by all conventions around ``find``, which finds a point in a text.

    The thoughts of a reasoning model are not part of the answer (``parsing.strip_thinking``); the rest is
    given to ``find`` with its characters normalised (``parsing.normalize_characters``). NOT_VISIBLE wins,
    also beside a point; such an answer is marked contradictory. ``says_absent``, a family's own words for
    it, counts likewise; ``says_nothing`` (an empty list) counts only where there is no point.
    """
    text = normalize_characters(strip_thinking(text))
    point = find(text)
    if says_not_visible(text) or says_absent(text):
        return Answer(AnswerKind.NOT_VISIBLE, contradictory=point is not None)
    if point is not None:
        return Answer(AnswerKind.POINT, point)
    return Answer(AnswerKind.NOT_VISIBLE) if says_nothing(text) else UNPARSED


def parse_unit(text: str) -> Answer:
    """Parse an answer in the project's own form, ``[(x, y)]`` in [0, 1] or ``NOT_VISIBLE``."""

    def find(text: str) -> Point | None:
        pair = first_pair(text)
        return None if pair is None else Point(*pair)

    return parse_with(text, find)


class Written(NamedTuple):
    """A point as text: the text, the point that it says when read back, and its decimals."""

    text: str
    point: Point
    decimals: int


def ground_truth_text(
    target: Target,
    mask: BoolArray,
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


def point_text(target: Target, mask: BoolArray, frame: Frame) -> str:
    """``(x, y)`` for a ground-truth point in ``frame``, so that it hits its mask: three decimals,
    more where those miss (``ground_truth_text``).
    """
    return ground_truth_text(target, mask, frame, _write, fewest=3).text


def answer_text(target: Target | None, mask: BoolArray, frame: Frame) -> str:
    """The right answer as text: ``[(x, y)]`` in ``frame``, or NOT_VISIBLE without a target."""
    return NOT_VISIBLE if target is None else f"[{point_text(target, mask, frame)}]"
