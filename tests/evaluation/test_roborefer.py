"""RoboRefer's rule; the expectations were worked out from its published script by hand."""

from __future__ import annotations

import pytest

from helpers.task_sets import box_mask
from x3spatial.evaluation.scoring.roborefer import point_fraction, text_fraction
from x3spatial.tasks.geometry import Point

MASK = box_mask(10, 10, 4, 4, 6, 6)


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("[(0.55, 0.55)]", 1.0),
        ("[(0.55, 0.55), (0.1, 0.1)]", 0.5),  # the mean over all points
        ("(0.1,0.2) to (0.3,0.4). Answer: [(0.5,0.5)]", 1 / 3),
        ("[(5, 5)]", 1.0),  # integers are pixels
        ("[(1, 1)]", 0.0),
        ("[(5, 0.5)]", 0.0),  # one decimal point makes both fractions
        ("[(1.0, 1.0)]", 0.0),  # pixel (10, 10) is off the image
        ("[0.5, 0.5]", 0.0),  # brackets are no parentheses
        ("[( 0.5, 0.5)]", 0.0),  # nor is a space after one read
        ("[(.5, .5)]", 0.0),
        ("NOT_VISIBLE", 0.0),
        ("NOT_VISIBLE [(0.5, 0.5)]", 1.0),  # which means nothing to the rule
        ("(0.4, 0.4, 0.7, 0.7)", 1.0),  # a box: columns and rows 4..6
        ("(0.4, 0.4, 0.6, 0.7)", 1.0),
        ("(0.0, 0.0, 1.0, 1.0)", 0.09),
        ("(0.7, 0.7, 0.4, 0.4)", 0.0),
        ("(0.5, 0.5, 0.5)", 0.0),
        ("(99999999999999999999.0, 0.5)", 0.0),
        ("", 0.0),
    ],
)
def test_text(text: str, fraction: float) -> None:
    assert text_fraction(text, MASK, is_concat=False) == pytest.approx(fraction)


def test_truncation_towards_zero() -> None:
    first = box_mask(10, 10, 0, 0, 0, 9)
    assert text_fraction("(-0.05, 0.5)", first, is_concat=False) == 1.0
    assert text_fraction("(-0.11, 0.5)", first, is_concat=False) == 0.0


@pytest.mark.parametrize(
    ("text", "fraction"),
    [
        ("[(0.775, 0.55)]", 1.0),
        ("[(0.275, 0.55)]", 0.0),
        ("[(15, 5)]", 1.0),
        ("(0.5, 0.0, 1.0, 1.0)", 0.09),
    ],
)
def test_concat(text: str, fraction: float) -> None:
    assert text_fraction(text, MASK, is_concat=True) == pytest.approx(fraction)


def test_a_parsed_point() -> None:
    assert point_fraction(Point(0.55, 0.55), MASK, is_concat=False) == 1.0
    assert point_fraction(Point(0.775, 0.55), MASK, is_concat=True) == 1.0
    assert point_fraction(Point(0.275, 0.55), MASK, is_concat=True) == 0.0
    assert point_fraction(Point(1.0, 0.55), MASK, is_concat=False) == 0.0
    assert point_fraction(None, MASK, is_concat=False) == 0.0
