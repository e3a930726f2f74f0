"""Rewritten points still hit their masks, whatever the size, the mask and the convention."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from x3spatial.arrays import Bool
from x3spatial.conventions.base import Convention
from x3spatial.exporters.points import ResizeLimits, box_of, counted_sizes, point_formats
from x3spatial.tasks.answers import FormattedPoint, ground_truth_text
from x3spatial.tasks.frames import Frame
from x3spatial.tasks.geometry import Point, hits
from x3spatial.tasks.ground_truth import Target, mask_target
from x3spatial.tasks.question import Question, Size

LIMITS = ResizeLimits()
of_points = pytest.mark.parametrize(
    "form",
    [one for one in point_formats().values() if one.answers == "point"],
    ids=lambda one: one.name,
)
# Read back independently of the code under test: order of the numbers, then what they count.
_NUMBERS = re.compile(r"-?\d+(?:\.\d+)?")


def read_back(form: Convention, text: str, size: Size) -> Point:
    """What a reader of this convention takes the answer for."""
    text = re.sub("point_2d|[xy]1=", "", text)
    numbers = [float(number) for number in _NUMBERS.findall(text)]
    first, second = numbers[2:] if form.name == "molmo2-1000" else numbers
    if form.name == "gemini-yx-1000":
        return Point(second / 1000, first / 1000)
    if form.name == "pixel":
        return Point(first / size[0], second / size[1])
    if form.pixels == "resized":
        width, height = LIMITS.resized(size)
        return Point(first / width, second / height)
    scale = {"molmo-100": 100, "percent": 100, "fraction": 1}.get(form.name, 1000)
    return Point(first / scale, second / scale)


def question_for(frame: Frame) -> Question:
    """A question with as many images as points of ``frame`` have."""
    images = (Path("a.png"), Path("b.png"))[: 2 if frame is Frame.IMAGE else 1]
    return Question("id", "t1", images, "prompt", "question")


def fit(form: Convention, target: Target, mask: Bool, frame: Frame, size: Size) -> FormattedPoint:
    question = question_for(frame)
    sizes = counted_sizes(form, [size] * len(question.images), LIMITS)
    return ground_truth_text(
        target,
        mask,
        frame,
        lambda point, decimals: form.format_answer(point, question, sizes, decimals),
        fewest=form.decimals,
    )


@st.composite
def masks(draw: st.DrawFn) -> Bool:
    """Small masks of any shape, and thin ones in images far wider than any grid of 1000."""
    if draw(st.booleans()):
        shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
        return draw(hnp.arrays(bool, shape))
    width, height = draw(st.integers(900, 4100)), draw(st.integers(1, 9))
    mask = np.zeros((height, width), dtype=bool)
    column = draw(st.integers(0, width - 1))
    mask[draw(st.integers(0, height - 1)) :, column : column + draw(st.integers(1, 3))] = True
    return mask


def size_for(mask: Bool, frame: Frame) -> Size:
    height, width = mask.shape
    return (width if frame is Frame.IMAGE else 2 * width, height)


one_pixel = np.zeros((1, 1937), dtype=bool)
one_pixel[0, 1000] = True


@of_points
@settings(max_examples=60, deadline=None)
@given(masks(), st.sampled_from(Frame))
@example(one_pixel, Frame.CONCAT_RIGHT)
def test_a_rewritten_point_hits_its_mask(form: Convention, mask: Bool, frame: Frame) -> None:
    target = mask_target(mask, 3)
    if target is None:
        return
    size = size_for(mask, frame)
    written = fit(form, target, mask, frame, size)
    point = read_back(form, written.text, size)
    assert point == written.point
    assert frame.contains(point)
    assert hits(mask, frame.to_local(point))
    sizes = counted_sizes(form, [size, size], LIMITS)
    assert form.parse(written.text, question_for(frame), sizes).point == point


@of_points
def test_an_ordinary_mask_needs_no_more_decimals(form: Convention) -> None:
    mask = np.zeros((480, 640), dtype=bool)
    mask[100:140, 300:360] = True
    target = mask_target(mask, 0)
    assert target is not None
    written = fit(form, target, mask, Frame.IMAGE, (640, 480))
    assert written.decimals == form.decimals
    assert (
        written.text
        == {
            "fraction": "[(0.516, 0.250)]",
            "percent": "[(51.6, 25.0)]",
            "thousand": "[(516, 250)]",
            "pixel": "[(330, 120)]",
            "qwen2-1000": "<|box_start|>(516,250)<|box_end|>",
            "qwen3-1000": '[{"point_2d": [516, 250]}]',
            "qwen2.5-px": '[{"point_2d": [332, 119]}]',
            "internvl-1000": "[[516, 250]]",
            "gemini-yx-1000": '[{"point": [250, 516]}]',
            "molmo-100": '<point x="51.6" y="25.0" alt="object">object</point>',
            "molmo2-1000": '<points coords="2 1 516 250">object</points>',
            "minicpm-1000": "<point>516 250</point>",
            "ui-tars-1000": "Action: click(start_box='(516,250)')",
            "ui-tars-1.5-px": "Action: click(point='<point>332 119</point>')",
            "qwen2.5-xml-px": '<points x1="332" y1="119" alt="object">object</points>',
            "qwen3-xml-1000": '<points x1="516" y1="250" alt="object">object</points>',
            "qwen2-pictures-1000": "<|box_start|>(516,250)<|box_end|>",
            "qwen2.5-pictures-px": '[{"point_2d": [332, 119]}]',
            "qwen3-pictures-1000": '[{"point_2d": [516, 250]}]',
        }[form.name]
    )


@settings(max_examples=150, deadline=None)
@given(masks(), st.sampled_from(Frame))
def test_a_box_hits_in_pixels_and_says_whether_rounding_can_move_it(
    mask: Bool, frame: Frame
) -> None:
    target = mask_target(mask, 3)
    if target is None:
        return
    width, height = size = size_for(mask, frame)
    (x, y), safe = box_of(target, mask, frame, size, LIMITS)
    assert hits(mask, frame.to_local(Point(x / width, y / height)))
    if safe:
        # As ms-swift does for models with a grid of 1000: scale, then round to whole numbers.
        rounded = Point(round(x / width * 1000) / 1000, round(y / height * 1000) / 1000)
        assert hits(mask, frame.to_local(rounded))


def test_an_error_only_if_no_text_can_hit() -> None:
    mask = np.ones((2, 2), dtype=bool)
    target = mask_target(mask, 0)
    assert target is not None
    with pytest.raises(AssertionError, match="no decimal text"):
        ground_truth_text(target, mask, Frame.IMAGE, lambda _, d: ("", Point(2, 2)), fewest=0)
