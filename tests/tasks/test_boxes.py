"""Boxes: the tight box of a mask, overlap, frames, and the true box as text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.task_sets import box_mask
from x3spatial.tasks.answers import ground_truth_box_text
from x3spatial.tasks.boxes import Box, intersection_over_union, mask_box
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point

numbers = st.floats(-2, 3, allow_nan=False)
boxes = st.builds(Box, numbers, numbers, numbers, numbers)
any_number = st.floats(allow_nan=False, allow_infinity=False)
wild = st.builds(Box, any_number, any_number, any_number, any_number)


def test_the_tight_box_is_half_open_like_pixels() -> None:
    # Columns 4 to 8 and rows 5 to 5: five pixels wide, one high.
    assert mask_box(box_mask(32, 24, 4, 5, 8, 5)) == Box(4 / 32, 5 / 24, 9 / 32, 6 / 24)
    assert mask_box(np.ones((24, 32), dtype=bool)) == Box(0, 0, 1, 1)
    assert mask_box(np.zeros((24, 32), dtype=bool)) is None


@pytest.mark.parametrize(
    ("a", "b", "iou"),
    [
        (Box(0, 0, 1, 1), Box(0, 0, 1, 1), 1.0),
        (Box(0, 0, 1, 1), Box(0, 0, 0.5, 1), 0.5),
        (Box(0, 0, 0.5, 0.5), Box(0.25, 0.25, 0.75, 0.75), 0.0625 / 0.4375),
        (Box(0, 0, 0.5, 0.5), Box(0.5, 0.5, 1, 1), 0.0),  # they touch
        (Box(0.5, 0.5, 0, 0), Box(0, 0, 0.5, 0.5), 1.0),  # swapped
        (Box(-1, 0, 1, 1), Box(0, 0, 1, 1), 0.5),  # not cut off at the edge
        (Box(0.5, 0, 0.5, 1), Box(0, 0, 1, 1), 0.0),  # without area
        (Box(-1e300, -1e300, 1e300, 1e300), Box(0, 0, 1, 1), 0.0),
    ],
)
def test_overlap(a: Box, b: Box, iou: float) -> None:
    assert intersection_over_union(a, b) == pytest.approx(iou)


@given(boxes, boxes)
def test_overlap_is_symmetric_and_does_not_depend_on_the_order_of_corners(a: Box, b: Box) -> None:
    iou = intersection_over_union(a, b)
    assert 0 <= iou <= 1
    assert intersection_over_union(b, a) == pytest.approx(iou)
    swapped = Box(a.x2, a.y1, a.x1, a.y2)
    assert intersection_over_union(swapped, b) == pytest.approx(iou)
    assert intersection_over_union(swapped.ordered, b) == pytest.approx(iou)


@given(wild, wild)
def test_any_numbers_have_an_overlap(a: Box, b: Box) -> None:
    assert 0 <= intersection_over_union(a, b) <= 1
    assert all(abs(value) < float("inf") for value in a.centre)


@given(boxes)
def test_frames(box: Box) -> None:
    right = box.mapped(Frame.CONCAT_RIGHT, to_full=True)
    assert right.centre == pytest.approx(Frame.CONCAT_RIGHT.to_full(box.centre), abs=1e-9)
    assert right.mapped(Frame.CONCAT_RIGHT, to_full=False) == pytest.approx(box, abs=1e-9)
    assert box.mapped(Frame.IMAGE, to_full=True) == box


def _write(box: Box, decimals: int) -> tuple[str, Box]:
    scaled = [round(value * 1000, decimals) for value in box]
    return str(scaled), Box(*(value / 1000 for value in scaled))


@given(st.integers(1, 3000), st.integers(1, 3000), st.data())
def test_the_text_of_a_true_box_is_right_itself(
    width: int, height: int, data: st.DataObject
) -> None:
    x = sorted(data.draw(st.tuples(st.integers(0, width - 1), st.integers(0, width - 1))))
    y = sorted(data.draw(st.tuples(st.integers(0, height - 1), st.integers(0, height - 1))))
    mask = np.zeros((height, width), dtype=bool)
    mask[y[0] : y[1] + 1, x[0] : x[1] + 1] = True
    tight = mask_box(mask)
    assert tight is not None
    for frame in (Frame.IMAGE, Frame.CONCAT_RIGHT):
        full = tight.mapped(frame, to_full=True)
        made = ground_truth_box_text(mask, frame, _write, fewest=0)
        assert intersection_over_union(made.box, full) >= 0.5
        exact = ground_truth_box_text(mask, frame, _write, fewest=0, least_iou=1 - 1e-9)
        assert intersection_over_union(exact.box, full) >= 1 - 1e-9
        assert exact.decimals >= made.decimals
    if min(x[1] - x[0], y[1] - y[0]) > max(width, height) / 50:
        assert made.decimals == 0  # whole thousandths are the families' own numbers


def test_an_empty_mask_has_no_text() -> None:
    with pytest.raises(ValueError, match="an empty mask has no box"):
        ground_truth_box_text(np.zeros((2, 2), dtype=bool), Frame.IMAGE, _write, fewest=0)


def test_centres_of_odd_boxes() -> None:
    assert Box(0, 0, 1, 0.5).centre == Point(0.5, 0.25)
    assert (Box(1, 0, 0, 1).swapped, Box(0, 1, 1, 0).swapped, Box(0, 0, 1, 1).swapped) == (
        True, True, False,
    )  # fmt: skip
    assert Box(0, 0, 0, 1).degenerate and not Box(0, 0, 1, 1).degenerate
    assert Box(0, 0, 1, 1).in_image and not Box(0, 0, 1, 1.001).in_image
