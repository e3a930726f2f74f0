"""RoboRefer's point-in-mask rule, for comparison with RefSpatial results (``--scoring roborefer``).

An independent implementation of the rule in ``Zhoues/RoboRefer``, ``Evaluation/summarize_acc.py``
(``text2pts`` and ``compute_accuracy``):

- every parenthesis with numbers separated by commas counts, anywhere in the text;
- if one of two numbers has a decimal point, both are fractions of the image and give the pixel ``int(x*W)``,
  ``int(y*H)``, truncated towards zero, so -0.0001 gives column 0; otherwise both are pixels;
- four numbers are a box of fractions, and each pixel of the box is a point;
- a point outside the image counts 0, and so does an answer without a point;
- the score is the mean over the points.

A box with reversed corners contains no point: the original raises and drops the sample from its mean. It ends
with an error at coordinates beyond 64 bits. Here both count 0 in ``hit_at_mask``, and ``is_dropped`` names
them, so that ``hit_at_mask_evaluated`` can leave them out as the original does. The rule does not treat
NOT_VISIBLE specially. For t1_concat it is applied to the whole side-by-side image, whose left half has no
mask.
"""

from __future__ import annotations

import math
import re

import numpy as np

from x3spatial.arrays import Bool
from x3spatial.tasks.geometry import Point

_TUPLE = re.compile(r"\(([-+]?\d+\.?\d*(?:,\s*[-+]?\d+\.?\d*)*)\)")


def text_fraction(text: str, mask: Bool, *, is_concat: bool) -> float:
    """The share of the points in ``text`` that lie in ``mask`` [H, W]; 0.0 without a point."""
    height, width = mask.shape
    canvas_width = 2 * width if is_concat else width
    left = width if is_concat else 0
    inside = total = 0
    for columns, rows in _boxes(text, canvas_width, height):
        total += len(columns) * len(rows)
        part = mask[
            max(rows.start, 0) : max(rows.stop, 0),
            max(columns.start - left, 0) : max(columns.stop - left, 0),
        ]
        inside += int(np.count_nonzero(part))
    return inside / total if total else 0.0


def is_dropped(text: str, width: int, height: int) -> bool:
    """Whether the original gives no score to ``text``: it has a reversed box, or numbers beyond 64 bits.

    Args:
        text: the answer.
        width: of the whole image that was shown, side by side or not.
        height: of it.
    """
    for found in _TUPLE.findall(text):
        written = [part.strip() for part in found.split(",")]
        numbers = [float(part) for part in written]
        if len(numbers) == 2:
            scales = (width, height) if any("." in part for part in written) else (1, 1)
            if any(abs(n * scale) >= 2.0**63 for n, scale in zip(numbers, scales, strict=True)):
                return True
        elif len(numbers) == 4:
            x0, x1 = (math.trunc(n * width) if math.isfinite(n) else 0 for n in numbers[0::2])
            y0, y1 = (math.trunc(n * height) if math.isfinite(n) else 0 for n in numbers[1::2])
            if x1 < x0 or y1 < y0 or max(x1 - x0, y1 - y0) >= 2**63:
                return True
    return False


def point_fraction(point: Point | None, mask: Bool, *, is_concat: bool) -> float:
    """The rule applied to a parsed point, for conventions other than ``unit``."""
    if point is None:
        return 0.0
    height, width = mask.shape
    column = _cut(point.x, 2 * width if is_concat else width) - (width if is_concat else 0)
    row = _cut(point.y, height)
    return float(0 <= column < width and 0 <= row < height and bool(mask[row, column]))


def _cut(fraction: float, size: int) -> int:
    """``int(fraction * size)``; huge numbers are bounded but remain outside the image."""
    scaled = fraction * size
    return int(scaled) if math.isfinite(scaled) and abs(scaled) < 1e9 else -1


def _boxes(text: str, width: int, height: int) -> list[tuple[range, range]]:
    """(columns, rows) of every point or box in ``text``, in pixels of a ``width`` x ``height`` image."""
    boxes = []
    for found in _TUPLE.findall(text):
        written = [part.strip() for part in found.split(",")]
        fractions = any("." in part for part in written)
        numbers = [float(part) for part in written]
        if len(numbers) == 2:
            if fractions:
                column, row = _cut(numbers[0], width), _cut(numbers[1], height)
            else:
                column, row = _cut(numbers[0], 1), _cut(numbers[1], 1)
            boxes.append((range(column, column + 1), range(row, row + 1)))
        elif len(numbers) == 4:
            x0, x1 = (_cut(number, width) for number in numbers[0::2])
            y0, y1 = (_cut(number, height) for number in numbers[1::2])
            boxes.append((range(x0, x1), range(y0, y1)))
    return boxes
