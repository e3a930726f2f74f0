"""Masks of polygons and run lengths."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x3spatial.importers.shapes import compress, polygon_mask, rle_mask

MASKS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda size: st.lists(
        st.booleans(), min_size=size[0] * size[1], max_size=size[0] * size[1]
    ).map(lambda bits: np.array(bits, bool).reshape(size))
)


@settings(deadline=None)
@given(MASKS)
def test_compressed_run_lengths_give_the_mask_back(mask: np.ndarray) -> None:
    height, width = mask.shape
    assert (rle_mask(compress(mask), width, height) == mask).all()


def test_run_lengths_go_down_the_columns() -> None:
    # 2 x 3: the first column is empty, then two pixels, then one zero and one pixel.
    mask = rle_mask([2, 2, 1, 1], 3, 2)
    assert mask.tolist() == [[False, True, False], [False, True, True]]


def test_the_text_of_cocos_own_tool() -> None:
    # pycocotools.encode of a 4 x 4 array with ones at rows 1..2, columns 1..2.
    mask = np.zeros((4, 4), bool)
    mask[1:3, 1:3] = True
    assert compress(mask) == "52203"
    assert (rle_mask("52203", 4, 4) == mask).all()


@pytest.mark.parametrize(
    ("counts", "reason"),
    [
        ([3], "add up to 3"),
        ([-1, 7], "out of range"),
        (["a"], "whole numbers"),
        ("52", "add up to"),
        ("P", "cut short"),
        ("\x01", "malformed"),
    ],
)
def test_malformed_run_lengths_are_refused(counts: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        rle_mask(counts, 3, 2)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-40, 200), st.integers(-40, 160)), min_size=3, max_size=9))
def test_a_polygon_holds_the_pixels_whose_centre_is_inside(points: list[tuple[int, int]]) -> None:
    polygon = np.array(points, np.float64) / 10 + 0.013  # no vertex in line with a pixel's centre
    found = polygon_mask([polygon], 14, 11)
    for row in range(11):
        for column in range(14):
            assert found[row, column] == _inside(polygon, column + 0.5, row + 0.5)


def _inside(polygon: np.ndarray, x: float, y: float) -> bool:
    """The even-odd rule, by crossings of a ray to the right."""
    odd = False
    for (x0, y0), (x1, y1) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            odd = not odd
    return odd


def test_polygons_of_one_object_are_joined() -> None:
    a = np.array([[0, 0], [3, 0], [3, 3], [0, 3]], np.float64)
    both = polygon_mask([a, a + np.array([4, 0])], 8, 4)
    assert both.sum() == 18
    contours, _ = cv2.findContours(both.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    assert len(contours) == 2
