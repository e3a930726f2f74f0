"""The sizes that model families resize images to, by their published rules."""

from __future__ import annotations

import math

from x3spatial.models.base import Size


def smart_resize(size: Size, *, factor: int, min_pixels: int, max_pixels: int) -> Size:
    """(W, H) that a Qwen-VL processor resizes an image of ``size`` to.

    Both sides become multiples of ``factor`` (28 for Qwen2-VL and Qwen2.5-VL, 32 for Qwen3-VL) with an area
    between ``min_pixels`` and ``max_pixels``, the aspect ratio kept as far as that allows. Described from
    the public processor of QwenLM/Qwen2.5-VL; sides are rounded half to even there.
    """
    width, height = size
    columns, rows = (max(factor, round(side / factor) * factor) for side in size)
    if columns * rows > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        columns, rows = (max(factor, math.floor(side / shrink / factor) * factor) for side in size)
    elif columns * rows < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        columns, rows = (math.ceil(side * grow / factor) * factor for side in size)
    return columns, rows
