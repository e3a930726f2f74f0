"""Rewritten points still hit their masks, whatever the size, the mask and the convention."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from x3spatial.export.points import (
    POINT_FORMATS,
    PointFormat,
    ResizeLimits,
    Shown,
    box_of,
    qwen25_size,
)
from x3spatial.tasks.answers import Said, fitting_text, parse_unit
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.points import BoolArray, Point, hits, mask_target

# Read back independently of the code under test: order of the numbers, then what they count.
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")


def read_back(form: PointFormat, text: str, shown: Shown) -> Point:
    """What a reader of this convention takes the answer for."""
    if form.name.startswith("qwen"):
        text = text.replace("point_2d", "")
    first, second = (float(number) for number in _NUMBERS.findall(text)[:2])
    if form.name == "gemini-yx-1000":
        return Point(second / 1000, first / 1000)
    if form.name == "pixel":
        return Point(first / shown.width, second / shown.height)
    if form.name == "qwen2.5-px":
        width, height = qwen25_size(shown)
        return Point(first / width, second / height)
    scale = 100 if form.name == "molmo-100" else 1000
    return Point(first / scale, second / scale)


@st.composite
def masks(draw: st.DrawFn) -> BoolArray:
    """Small masks of any shape, and thin ones in images far wider than any grid of 1000."""
    if draw(st.booleans()):
        shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
        return draw(hnp.arrays(bool, shape))
    width, height = draw(st.integers(900, 4100)), draw(st.integers(1, 9))
    mask = np.zeros((height, width), dtype=bool)
    column = draw(st.integers(0, width - 1))
    mask[draw(st.integers(0, height - 1)) :, column : column + draw(st.integers(1, 3))] = True
    return mask


def shown_for(mask: BoolArray, frame: Frame) -> Shown:
    height, width = mask.shape
    return Shown(width if frame is Frame.IMAGE else 2 * width, height)


one_pixel = np.zeros((1, 1937), dtype=bool)
one_pixel[0, 1000] = True


@pytest.mark.parametrize("form", POINT_FORMATS.values(), ids=list(POINT_FORMATS))
@settings(max_examples=60, deadline=None)
@given(masks(), st.sampled_from(Frame))
@example(one_pixel, Frame.CONCAT_RIGHT)
def test_a_rewritten_point_hits_its_mask(form: PointFormat, mask: BoolArray, frame: Frame) -> None:
    target = mask_target(mask, 3)
    if target is None:
        return
    shown = shown_for(mask, frame)
    written = form.fit(target, mask, frame, shown, form.answer)
    point = read_back(form, written.text, shown)
    assert point == written.point
    assert frame.contains(point)
    assert hits(mask, frame.to_local(point))


@pytest.mark.parametrize("form", POINT_FORMATS.values(), ids=list(POINT_FORMATS))
def test_an_ordinary_mask_needs_no_more_decimals(form: PointFormat) -> None:
    mask = np.zeros((480, 640), dtype=bool)
    mask[100:140, 300:360] = True
    target = mask_target(mask, 0)
    assert target is not None
    written = form.fit(target, mask, Frame.IMAGE, Shown(640, 480), form.answer)
    assert written.decimals == form.decimals
    assert (written.text,) == {
        "thousand": ("[(516, 250)]",),
        "pixel": ("[(330, 120)]",),
        "qwen3-1000": ('[{"point_2d": [516, 250]}]',),
        "qwen2.5-px": ('[{"point_2d": [332, 119]}]',),
        "gemini-yx-1000": ('[{"point": [250, 516]}]',),
        "molmo-100": ('<point x="51.6" y="25.0" alt="object">object</point>',),
    }[form.name]


def test_the_project_s_own_parser_reads_the_pairs_that_it_should() -> None:
    answer = parse_unit("[(516, 250)]")
    assert answer.said is Said.POINT and answer.point == Point(516, 250)


@settings(max_examples=150, deadline=None)
@given(masks(), st.sampled_from(Frame))
def test_a_box_hits_in_pixels_and_says_whether_rounding_can_move_it(
    mask: BoolArray, frame: Frame
) -> None:
    target = mask_target(mask, 3)
    if target is None:
        return
    shown = shown_for(mask, frame)
    (x, y), safe = box_of(target, mask, frame, shown)
    assert hits(mask, frame.to_local(Point(x / shown.width, y / shown.height)))
    if safe:
        # As ms-swift does for models with a grid of 1000: scale, then round to whole numbers.
        rounded = Point(round(x / shown.width * 1000) / 1000, round(y / shown.height * 1000) / 1000)
        assert hits(mask, frame.to_local(rounded))


def test_fitting_gives_up_only_where_no_text_can_hit() -> None:
    mask = np.ones((2, 2), dtype=bool)
    target = mask_target(mask, 0)
    assert target is not None
    with pytest.raises(AssertionError, match="no decimal text"):
        fitting_text(target, mask, Frame.IMAGE, lambda _, d: ("", Point(2, 2)), fewest=0)


@pytest.mark.parametrize(
    ("size", "expected"),
    # By hand: nearest multiples of 28, halves to even; then the limits.
    [
        ((640, 480), (644, 476)),
        ((28, 28), (56, 56)),
        ((42, 70), (56, 56)),
        ((8000, 6000), (4116, 3080)),
    ],
)
def test_qwen25_size(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert qwen25_size(Shown(*size)) == expected


@pytest.mark.slow  # transformers takes its time to import
@settings(max_examples=200, deadline=None)
@given(st.integers(28, 5000), st.integers(28, 5000), st.integers(3136, 2_000_000))
def test_qwen25_size_is_that_of_the_real_processor(width: int, height: int, most: int) -> None:
    module = pytest.importorskip("transformers.models.qwen2_vl.image_processing_pil_qwen2_vl")
    if max(width, height) / min(width, height) > 200:
        return
    rows, columns = module.smart_resize(height, width, 28, 56 * 56, most)
    assert qwen25_size(Shown(width, height, ResizeLimits(56 * 56, most))) == (columns, rows)
