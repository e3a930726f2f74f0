"""The coordinate convention and the ground-truth rule, as properties."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from x3spatial.tasks.answers import NOT_VISIBLE, AnswerKind, answer_text, parse_unit, point_text
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Pixel, Point, centre_of, hits, pixel_of
from x3spatial.tasks.ground_truth import mask_target, sample_seed

Mask = npt.NDArray[np.bool_]
sizes = st.integers(1, 4000)
coordinates = st.floats(-2, 3, allow_nan=False)


@st.composite
def shapes(draw: st.DrawFn) -> Mask:
    """Masks that are hard: thin lines, rings, single pixels, borders, even boxes, on wide images."""
    width = draw(st.one_of(st.integers(1, 40), st.integers(900, 5000)))
    height = draw(st.integers(1, 12))
    mask = np.zeros((height, width), dtype=bool)
    x0, y0 = draw(st.integers(0, width - 1)), draw(st.integers(0, height - 1))
    x1, y1 = draw(st.integers(x0, width - 1)), draw(st.integers(y0, height - 1))
    kind = draw(st.sampled_from(["pixel", "box", "ring", "diagonal", "border", "full", "two"]))
    if kind == "pixel":
        mask[y0, x0] = True
    elif kind in ("box", "ring"):
        mask[y0 : y1 + 1, x0 : x1 + 1] = True
        if kind == "ring":
            mask[y0 + 1 : y1, x0 + 1 : x1] = False
    elif kind == "diagonal":
        for row in range(height):
            mask[row, min(width - 1, x0 + row)] = True
    elif kind == "border":
        mask[0], mask[-1], mask[:, 0], mask[:, -1] = True, True, True, True
    elif kind == "full":
        mask[:] = True
    else:
        mask[y0, x0] = mask[y1, x1] = True
    return mask


@given(coordinates, coordinates, sizes, sizes)
def test_a_point_falls_in_the_pixel_that_covers_it(
    x: float, y: float, width: int, height: int
) -> None:
    pixel = pixel_of(Point(x, y), width, height)
    if not (0 <= x <= 1 and 0 <= y <= 1):
        assert pixel is None
        return
    assert pixel is not None
    assert 0 <= pixel.column < width and 0 <= pixel.row < height
    assert pixel.column == (width - 1 if x == 1 else math.floor(x * width))


@given(st.data(), sizes, sizes)
def test_a_pixels_centre_falls_in_it(data: st.DataObject, width: int, height: int) -> None:
    pixel = Pixel(data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1)))
    assert pixel_of(centre_of(pixel, width, height), width, height) == pixel


@given(shapes(), st.sampled_from(Frame), st.integers(0, 2**64 - 1))
@settings(max_examples=400)
@example(np.ones((1, 1), dtype=bool), Frame.CONCAT_LEFT, 0)
@example(np.eye(2, dtype=bool)[::-1], Frame.IMAGE, 0)
def test_the_written_answer_always_hits_its_mask(mask: Mask, frame: Frame, seed: int) -> None:
    target = mask_target(mask, seed)
    assert target is not None
    text = answer_text(target, mask, frame)
    answer = parse_unit(text)
    assert answer.kind is AnswerKind.POINT and answer.point is not None
    assert frame.contains(answer.point)
    assert hits(mask, frame.to_local(answer.point))
    # Even where all of the image is the object, a side keeps to its side.
    assert (answer.point.x < 0.5) or frame is not Frame.CONCAT_LEFT
    assert (answer.point.x >= 0.5) or frame is not Frame.CONCAT_RIGHT


@given(shapes(), st.integers(0, 2**64 - 1))
def test_the_rule_is_box_centre_or_a_mask_pixels_centre(mask: Mask, seed: int) -> None:
    target = mask_target(mask, seed)
    assert target is not None and target == mask_target(mask, seed)
    rows, columns = np.nonzero(mask)
    height, width = mask.shape
    x = (columns.min() + columns.max() + 1) / 2
    y = (rows.min() + rows.max() + 1) / 2
    if mask[math.floor(y), math.floor(x)]:
        assert target.point == Point(x / width, y / height)
    else:
        assert mask[target.pixel.row, target.pixel.column]
        assert target.point == centre_of(target.pixel, width, height)


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_an_empty_mask_has_no_target(mask: Mask) -> None:
    target = mask_target(mask, 1)
    assert (target is None) == (not mask.any())
    assert (answer_text(target, mask, Frame.IMAGE) == NOT_VISIBLE) == (target is None)


def test_the_draw_is_uniform_over_the_mask() -> None:
    ring = np.ones((5, 5), dtype=bool)
    ring[1:4, 1:4] = False
    counts = np.zeros((5, 5))
    for number in range(4000):
        target = mask_target(ring, sample_seed(0, "s", str(number)))
        assert target is not None
        counts[target.pixel.row, target.pixel.column] += 1
    assert (counts[~ring] == 0).all()
    assert counts[ring].min() > 180 and counts[ring].max() < 320  # 250 expected, 4.5 sigma


def test_seeds_tell_apart_what_is_different() -> None:
    assert sample_seed(0, "a", "bc") != sample_seed(0, "ab", "c")
    assert sample_seed(0, "a") != sample_seed(1, "a")


def test_three_decimals_and_more_only_where_needed() -> None:
    wide = np.zeros((10, 4000), dtype=bool)
    wide[4, 1001] = True
    target = mask_target(wide, 0)
    assert target is not None
    assert point_text(target, wide, Frame.IMAGE) == "(0.2504, 0.450)".replace("0.450", "0.4500")
    small = np.zeros((10, 10), dtype=bool)
    small[2:4, 2:4] = True  # an even box: its centre is a corner of pixels
    target = mask_target(small, 0)
    assert target is not None
    assert point_text(target, small, Frame.IMAGE) == "(0.300, 0.300)"


def test_concat_frames() -> None:
    assert Frame.CONCAT_LEFT.to_full(Point(0.5, 0.2)) == Point(0.25, 0.2)
    assert Frame.CONCAT_RIGHT.to_full(Point(0.5, 0.2)) == Point(0.75, 0.2)
    assert Frame.CONCAT_RIGHT.to_local(Point(0.25, 0.2)) == Point(-0.5, 0.2)
    assert Frame.CONCAT_RIGHT.contains(Point(0.5, 1.0))
    assert not Frame.CONCAT_RIGHT.contains(Point(1.0001, 0.5))
