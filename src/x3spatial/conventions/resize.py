"""Image sizes after resizing by a model family's processor, by its published rules."""

from __future__ import annotations

import math

from x3spatial.tasks.question import Size


def smart_resize(size: Size, *, factor: int, min_pixels: int, max_pixels: int) -> Size:
    """(W, H) that a Qwen-VL processor resizes an image of ``size`` to.

    Both sides become multiples of ``factor`` (28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL) with an area
    between ``min_pixels`` and ``max_pixels``; the aspect ratio is kept as far as that allows. The rule is
    that of the processors in transformers (``smart_resize`` of qwen2_vl), which round halves to even. Unlike
    them, this function accepts images with an aspect ratio above 200.
    """
    width, height = size
    columns, rows = (round(side / factor) * factor for side in size)
    if columns * rows > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        columns, rows = (max(factor, math.floor(side / shrink / factor) * factor) for side in size)
    elif columns * rows < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        columns, rows = (math.ceil(side * grow / factor) * factor for side in size)
    return columns, rows
