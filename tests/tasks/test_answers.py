"""What answers are taken to say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x3spatial.tasks.answers import AnswerKind, parse_unit
from x3spatial.tasks.geometry import Point


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("[(0.461, 0.527)]", (0.461, 0.527)),
        ("[(0.461,0.527), (0.1, 0.2)]", (0.461, 0.527)),
        ("  The point is [( .5 , 1. )].", (0.5, 1.0)),
        ("(0.2, 0.3)", (0.2, 0.3)),
        ("[0.2, 0.3]", (0.2, 0.3)),
        ("(0.1,0.2) moved to (0.3,0.4). Answer: [(0.5,0.6)]", (0.5, 0.6)),
        ("[(1.2, -0.1)]", (1.2, -0.1)),
        ("[(5e-1, 1E0)]", (0.5, 1.0)),
        ("[(1, 1)]", (1.0, 1.0)),
    ],
)
def test_points(text: str, point: tuple[float, float]) -> None:
    answer = parse_unit(text)
    assert (answer.kind, answer.point, answer.contradictory) == (
        AnswerKind.POINT,
        Point(*point),
        False,
    )


@pytest.mark.parametrize(
    "text",
    ["", "it is not visible", "0.5, 0.5", "(0.5)", "[(a, b)]", "ALMOST_NOT_VISIBLE", "NOT_VISIBLE2",
     "NOT VISIBLE", "[(1e999, 0.5)]", "(0.5; 0.5)"],
)  # fmt: skip
def test_unparsed(text: str) -> None:
    assert parse_unit(text).kind is AnswerKind.UNPARSED


@pytest.mark.parametrize(
    ("text", "contradictory"),
    [("NOT_VISIBLE", False), ("not_visible.", False), ("[(0.1, 0.2)] or Not_Visible", True),
     ("the answer is 'NOT_VISIBLE'", False), ("(NOT_VISIBLE)", False)],
)  # fmt: skip
def test_not_visible_takes_precedence(text: str, contradictory: bool) -> None:
    answer = parse_unit(text)
    assert (answer.kind, answer.point) == (AnswerKind.NOT_VISIBLE, None)
    assert answer.contradictory is contradictory


@given(st.text())
def test_any_text_parses_to_something(text: str) -> None:
    assert parse_unit(text).kind in AnswerKind


@given(st.floats(0, 1), st.floats(0, 1), st.text(alphabet="abc ,.:", max_size=20))
def test_a_formatted_point_is_parsed_back(x: float, y: float, around: str) -> None:
    answer = parse_unit(f"{around}[({x:.3f}, {y:.3f})]{around}")
    assert answer.point == Point(float(f"{x:.3f}"), float(f"{y:.3f}"))
