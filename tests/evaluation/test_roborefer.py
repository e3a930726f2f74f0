"""RoboRefer's rule; the expectations were worked out from its published script by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from helpers.task_sets import box_mask
from x3spatial.evaluation.scoring.masks import Masks
from x3spatial.evaluation.scoring.roborefer import is_dropped, point_fraction, text_fraction
from x3spatial.evaluation.scoring.scores import score_answer, truth_of
from x3spatial.evaluation.statistics.metrics import compute, table_of
from x3spatial.formats.task_file import TaskRecord
from x3spatial.tasks.answers import parse_unit
from x3spatial.tasks.geometry import Point

MASK = box_mask(10, 10, 4, 4, 6, 6)
masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
fractions = st.integers(-500, 1500).map(lambda number: number / 1000)


def whole_image(mask: np.ndarray, is_concat: bool) -> np.ndarray:
    return np.concatenate([np.zeros_like(mask), mask], axis=1) if is_concat else mask


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


@given(masks, st.booleans(), st.lists(st.tuples(fractions, fractions), min_size=1, max_size=4))
def test_points_on_any_mask(
    mask: np.ndarray, is_concat: bool, points: list[tuple[float, float]]
) -> None:
    """Mostly masks whose sides differ, so that no axis can stand for the other."""
    canvas = whole_image(mask, is_concat)
    height, width = canvas.shape
    hits = []
    for x, y in points:
        column, row = int(round(x, 3) * width), int(round(y, 3) * height)
        inside = 0 <= column < width and 0 <= row < height
        hits.append(bool(inside and canvas[row, column]))
        one = point_fraction(Point(x, y), mask, is_concat=is_concat)
        assert one == float(hits[-1])
    text = "[" + ", ".join(f"({x:.3f}, {y:.3f})" for x, y in points) + "]"
    assert text_fraction(text, mask, is_concat=is_concat) == pytest.approx(np.mean(hits))


@given(masks, st.booleans(), st.data())
def test_pixels_and_boxes_on_any_mask(
    mask: np.ndarray, is_concat: bool, data: st.DataObject
) -> None:
    canvas = whole_image(mask, is_concat)
    height, width = canvas.shape
    columns = sorted(data.draw(st.tuples(*[st.integers(-2, width + 2)] * 2)))
    rows = sorted(data.draw(st.tuples(*[st.integers(-2, height + 2)] * 2)))
    inside = 0 <= columns[0] < width and 0 <= rows[0] < height
    pixel = f"({columns[0]}, {rows[0]})"
    expected = float(inside and canvas[rows[0], columns[0]])
    assert text_fraction(pixel, mask, is_concat=is_concat) == expected
    # A little beyond the pixel's edge, so that the fraction cannot fall short of it.
    x0, x1 = ((column + 0.25 * (1 if column >= 0 else -1)) / width for column in columns)
    y0, y1 = ((row + 0.25 * (1 if row >= 0 else -1)) / height for row in rows)
    box = canvas[max(rows[0], 0) : max(rows[1], 0), max(columns[0], 0) : max(columns[1], 0)].sum()
    area = (columns[1] - columns[0]) * (rows[1] - rows[0])
    text = f"({x0:.6f}, {y0:.6f}, {x1:.6f}, {y1:.6f})"
    assert text_fraction(text, mask, is_concat=is_concat) == pytest.approx(
        box / area if area else 0.0
    )


def test_the_rule_reads_the_text_itself_unless_told_otherwise() -> None:
    record = TaskRecord(
        id="i", task="t1_multi", image=("a", "b"), prompt="?", answer="[(0.550, 0.550)]"
    )
    text = "[(0.55, 0.55), (0.1, 0.1)]"
    arguments = (record, truth_of(record), text, parse_unit(text), Masks(MASK, MASK))
    assert score_answer(*arguments, rule="roborefer").hit == 0.5
    assert score_answer(*arguments, rule="roborefer", reads_text=False).hit == 1.0
    assert score_answer(*arguments).hit == 1.0


@pytest.mark.parametrize(
    ("text", "dropped"),
    [
        ("[(0.55, 0.55)]", False),
        ("NOT_VISIBLE", False),
        ("", False),
        ("(0.7, 0.7, 0.4, 0.4)", True),  # np.ones of a negative size raises in the original
        ("(0.4, 0.7, 0.7, 0.4)", True),
        ("(0.4, 0.4, 0.4, 0.4)", False),  # no point, scored 0
        ("(99999999999999999999, 5)", True),  # indices of Python's integers
        ("(99999999999999999999.0, 0.5)", True),
        ("(5, 5, 5)", False),
        ("[(0.55, 0.55)] (0.7, 0.7, 0.4, 0.4)", True),
    ],
)
def test_what_the_original_gives_no_score(text: str, dropped: bool) -> None:
    assert is_dropped(text, 10, 10) is dropped


def test_their_denominator_stands_beside_ours() -> None:
    record = TaskRecord.from_json(
        {
            "id": "1",
            "task": "t2b_multi",
            "image": ["a.png", "b.png"],
            "conversations": [
                {"from": "human", "value": "?"},
                {"from": "gpt", "value": "[(0.55, 0.55)]"},
            ],
        }
    )
    truth = truth_of(record)
    texts = ["[(0.55, 0.55)]", "NOT_VISIBLE", "(0.7, 0.7, 0.4, 0.4)", "no idea"]
    scores = [
        score_answer(record, truth, text, parse_unit(text), Masks(MASK, MASK), rule="roborefer")
        for text in texts
    ]
    found = compute(table_of(scores))
    assert (found["hit_at_mask"], found["hit_at_mask_total"]) == (0.25, 4)
    assert found["hit_at_mask_evaluated"] == pytest.approx(1 / 3)
    assert found["hit_at_mask_evaluated_total"] == 3
    ours = [
        score_answer(record, truth, text, parse_unit(text), Masks(MASK, MASK)) for text in texts
    ]
    assert not {name for name in compute(table_of(ours)) if "evaluated" in name}
