"""What holds for every convention and any text."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.convention_cases import question
from x3spatial.conventions.base import Convention
from x3spatial.conventions.registry import CONVENTIONS
from x3spatial.tasks.answers import AnswerKind, parse_unit
from x3spatial.tasks.boxes import Box
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.parsing import normalize_characters
from x3spatial.tasks.question import Question, Size

each = pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=list(CONVENTIONS))
_POINTS, _BOXES = (
    [one for one in CONVENTIONS.values() if one.answers == kind] for kind in ("point", "box")
)
each_of_points = pytest.mark.parametrize("convention", _POINTS, ids=lambda one: one.name)
each_of_boxes = pytest.mark.parametrize("convention", _BOXES, ids=lambda one: one.name)
fractions = st.floats(0, 1)
sides = st.integers(1, 20_000)
# Without what could end an answer before its point, or be one.
prose = st.text(alphabet="abcxyz .:*`\n一", max_size=30)


@st.composite
def asked(draw: st.DrawFn) -> tuple[Question, tuple[Size, ...], Frame]:
    """A question, the sizes of its images, and the frame that its answer lies in."""
    if draw(st.booleans()):
        return question("t1_concat", 1), ((2 * draw(sides), draw(sides)),), Frame.CONCAT_RIGHT
    images = draw(st.integers(1, 4))
    sizes = tuple((draw(sides), draw(sides)) for _ in range(images))
    return question("t1_multi", images), sizes, Frame.IMAGE


def scale_of(convention: Convention, side: int) -> float:
    """The coordinate of the far edge of an image of ``side`` pixels."""
    scales = {
        "unit": 1, "fraction": 1, "percent": 100, "molmo-100": 100, "deepseek-vl2-box-999": 999,
    }  # fmt: skip
    return scales.get(convention.name, 1000 if convention.pixels is None else side)


@each_of_points
@given(asked(), fractions, fractions, st.none() | st.integers(0, 8), prose, prose)
def test_a_formatted_point_is_parsed_back(
    convention: Convention,
    shown: tuple[Question, tuple[Size, ...], Frame],
    x: float,
    y: float,
    decimals: int | None,
    before: str,
    after: str,
) -> None:
    asked_of, sizes, frame = shown
    point = frame.to_full(Point(x, y))
    text, written = convention.format_answer(point, asked_of, sizes, decimals)
    answer = convention.parse(f"{before}\n{text}\n{after}", asked_of, sizes)
    assert (answer.kind, answer.point, answer.contradictory) == (AnswerKind.POINT, written, False)
    # No further off than half of the last decimal; a pixel's name is at most a pixel less.
    used = convention.decimals if decimals is None else decimals
    names_pixels = convention.name == "pixel" and used == 0
    for value, said, side in zip(point, written, sizes[-1], strict=True):
        error = (value - said) * scale_of(convention, side)
        assert (-1e-9 <= error < 1 + 1e-9) if names_pixels else abs(error) <= 0.5000001 / 10**used


@each_of_boxes
@given(asked(), st.tuples(*[st.floats(-0.2, 1.2)] * 4), st.none() | st.integers(0, 8), prose, prose)
def test_a_formatted_box_is_parsed_back(
    convention: Convention,
    shown: tuple[Question, tuple[Size, ...], Frame],
    corners: tuple[float, float, float, float],
    decimals: int | None,
    before: str,
    after: str,
) -> None:
    asked_of, sizes, frame = shown
    box = Box(*corners).mapped(frame, to_full=True)
    text, written = convention.format_box(box, asked_of, sizes, decimals)
    answer = convention.parse(f"{before}\n{text}\n{after}", asked_of, sizes)
    assert (answer.kind, answer.box, answer.point) == (AnswerKind.BOX, written, None)
    assert not answer.contradictory
    used = convention.decimals if decimals is None else decimals
    for number, (value, said) in enumerate(zip(box, written, strict=True)):
        error = (value - said) * scale_of(convention, sizes[-1][number % 2])
        assert abs(error) <= 0.5000001 / 10**used
    # The two kinds are not mixed: a point is no answer here, and no box is written elsewhere.
    with pytest.raises(TypeError, match="answers with boxes"):
        convention.format_answer(Point(0.5, 0.5), asked_of, sizes)
    with pytest.raises(TypeError, match="answers with points"):
        CONVENTIONS["qwen3-1000"].format_box(box, asked_of, sizes)


@each_of_points
@given(asked(), fractions, fractions)
def test_an_inline_point_equals_that_of_an_answer(
    convention: Convention,
    shown: tuple[Question, tuple[Size, ...], Frame],
    x: float,
    y: float,
) -> None:
    asked_of, sizes, _ = shown
    mentioned = convention.format_inline(Point(x, y), asked_of, sizes)[1]
    assert mentioned == convention.format_answer(Point(x, y), asked_of, sizes)[1]


@each
@given(prose, prose)
def test_absence_is_read(convention: Convention, before: str, after: str) -> None:
    for text in ("NOT_VISIBLE", convention.absent):
        answer = convention.parse(f"{before}\n{text}\n{after}", question(), [(9, 9), (9, 9)])
        assert (answer.kind, answer.contradictory) == (AnswerKind.NOT_VISIBLE, False)


# Pieces of every family's grammar, whole and broken, and what models put around them.
FRAGMENTS = [
    "(", ")", "[", "]", "{", "}", "<", ">", "[(", ")]", "[[", "]]", ",", ", ", ";", ":", '"', "'", "=", "/",
    "\\", "%", "px", ".", "-", "+", " ", "  ", "\t", "\n", "`", "```json\n", "```", "**", "0", "1", "5",
    "12", "500", "1000", "0.5", ".25", "61.5", "1.", "-3", "1e3", "1e400", "nan", "NaN", "inf", "Infinity",
    "true", "null", "9" * 400, "x", "y", "x1", "y1", "x=", "y=", 'x="', 'y="', " x='5'", ' x="61.5"',
    ' y="40.2"', ' x1="1" y1="2"', ' alt="', 'coords="', "<point", "<points", "<point ", "</point>",
    '<point x="61.5"', '<points coords="2', " 1 500 500", '<points coords="1 1 5 5;', "<|box_start|>",
    "<|box_end|>", "<box>", "</box>", "<ref>", "</ref>", "(1,2)", "(1,2),(3,4)", "[1,2]", "[[1,2,3,4]]",
    '"point_2d":', '"bbox_2d":', '"point":', '"box_2d":', '"label":', '{"point_2d": [', '{"point": [1,2]',
    "[]", "<think>", "</think>", "NOT_VISIBLE", "not_visible", "_NOT_VISIBLE", "There are none.",
    "there are none", "I cannot", "Answer: ", " to ", "（", "）", "［", "］", "，", "０", "５", "٣", "९", "②",
    "<point>", "</point>", "<point>1 2</point>", "<box>1 2 3 4</box>", "<|det|>", "<|/det|>",
    "[[1, 2, 3, 4]]", "Action: ", "click(", "start_box='", "point='", "½",
    "²", "−", "“", "”", "、", "【", "】", "é", "中", "\u200b", "\u2028", "\x00", "\ud800", "\U0001f600",
]  # fmt: skip


def fuzz(count: int, seed: int) -> Iterator[str]:
    """``count`` texts: fragments and stray characters, mostly few; and right answers with mistakes."""
    draw = random.Random(seed)
    answers = [
        convention.format_answer(Point(0.615, 0.402), question(), [(640, 480)] * 2)[0]
        for convention in _POINTS
    ]
    box = Box(0.615, 0.402, 0.7, 0.9)
    answers += [
        convention.format_box(box, question(), [(640, 480)] * 2)[0] for convention in _BOXES
    ]
    for _ in range(count):
        if draw.random() < 0.3:
            parts = list(draw.choice(answers))
            for _ in range(draw.randrange(4)):
                place = draw.randrange(len(parts))
                parts[place : place + draw.randrange(3)] = draw.choices(FRAGMENTS, k=1)
        else:
            length = int(draw.paretovariate(1.1)) % 400 + draw.randrange(8)
            parts = draw.choices(FRAGMENTS, k=length)
        if draw.random() < 0.3:
            parts.insert(draw.randrange(len(parts) + 1), chr(draw.randrange(0x110000)))
        yield "".join(parts)


def numbers_in(text: str) -> int:
    """How many runs of digits there are, in any script: at least as many as numbers."""
    digits = "".join("0" if unicodedata.category(character) == "Nd" else " " for character in text)
    return len(digits.split())


def check(texts: Iterator[str]) -> dict[str, int]:
    """Parse every text in every convention; how often each read a point."""
    shown, sizes = question(), [(640, 480), (644, 476)]
    read = dict.fromkeys(CONVENTIONS, 0)
    for text in texts:
        enough = numbers_in(text) >= 2
        assert CONVENTIONS["unit"].parse(text, shown) == parse_unit(text), text
        for name, convention in CONVENTIONS.items():
            answer = convention.parse(text, shown, sizes)
            assert (answer.kind is AnswerKind.POINT) == (answer.point is not None), (name, text)
            assert (answer.kind is AnswerKind.BOX) == (answer.box is not None), (name, text)
            assert answer.kind is not (
                AnswerKind.POINT if convention.answers == "box" else AnswerKind.BOX
            ), (name, text)
            if answer.box is not None:
                assert numbers_in(text) >= 4, (name, text)
                assert all(abs(value) < float("inf") for value in answer.box), (name, text)
                read[name] += 1
            if answer.point is not None:
                assert enough, (name, text)
                assert all(abs(value) < float("inf") for value in answer.point), (name, text)
                read[name] += 1
            plain = normalize_characters(text)
            if re.search(r"(?<!\w)NOT_VISIBLE(?!\w)", plain) and "think>" not in text:
                assert answer.kind is AnswerKind.NOT_VISIBLE, (name, text)
    return read


def test_fuzz() -> None:
    read = check(fuzz(20_000, seed=1))
    # The fragments are meant to meet: a generator that no convention understands would test nothing.
    assert min(read.values()) >= 100, read


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_fuzz_a_million(part: int) -> None:
    check(fuzz(100_000, seed=100 + part))


LONG = 100_000
HARD = [
    "1", "(", "[", "{", '{"', "(1", "(1,", "(1 ", "[[1,", "<point ", '<point x="1" ', "a", " ", "'",
    '"point_2d": [', '{"point_2d": [1,', '<points coords="', "1 ", "2 1 5 5;", "(1,2),", "[]", "[ ",
    'x="', "<think>", "</think>", "<|box_start|>(1,2),", "there are none ", "not_visible_", "٣", "（",
    "}", "1e", "1.", "<point>1 ", "<box>1 2 ", "<|det|>[[1,", "Action:", "start_box='", "[1,2,3,",
]  # fmt: skip


@each
@pytest.mark.parametrize("piece", HARD)
def test_a_long_text_is_parsed_in_linear_time(convention: Convention, piece: str) -> None:
    """Quadratic patterns would take minutes over these; none of the texts holds a point."""
    shown, sizes = question(), [(640, 480), (640, 480)]
    for start in ("", "(", "<point ", '{"point_2d": ['):
        answer = convention.parse(start + piece * (LONG // len(piece)), shown, sizes)
        assert answer.kind in AnswerKind
