"""Points as numbers in brackets: the prompted conventions, Qwen2-VL and InternVL.

Pairs inside JSON objects (``parsing.mask_json_objects``), markup and named coordinates (``x=..., y=...``) are
ignored, because they belong to other conventions with other scales and orders.
"""

from __future__ import annotations

import re

from x3spatial.conventions.family import Family, Find
from x3spatial.tasks.parsing import SPACED_NUMBER as _N
from x3spatial.tasks.parsing import finite_point, first_pair, mask_json_objects


def find_pair(suffix: str = "") -> Find:
    """A finder of ``[(x, y)]``, else ``(x, y)`` or ``[x, y]``; ``suffix`` may follow a number."""
    return lambda text, images: first_pair(text, suffix)


# Qwen2-VL. A box is two pairs separated by a comma; its markers are special tokens, which decoding may have
# removed. Three or more pairs are points.
_PAIR = rf"\({_N},{_N}\)"
_RUN = re.compile(rf"{_PAIR}(?:\s*+,\s*+{_PAIR})?+(\s*+,\s*+(?:\(|\Z))?+")
_MARKED_RUN = re.compile(rf"<\|box_start\|>\s*+{_RUN.pattern}")
_LISTED = re.compile(rf"\[\s*+{_PAIR}")
_SQUARE = re.compile(rf"\[{_N},{_N}\]")


def find_qwen2(text: str, images: int) -> tuple[float, float] | None:
    """The first point or box centre with markers, else ``[(x, y)]``, else the first without markers."""
    text = mask_json_objects(text)
    run = _MARKED_RUN.search(text)
    if run is None:
        if _LISTED.search(text) is not None:
            return first_pair(text)
        run, square = _RUN.search(text), _SQUARE.search(text)
        if run is None or (square is not None and square.start() < run.start()):
            return first_pair(text)
    x1, y1, x2, y2, more = run.groups()
    if x2 is None:
        # A comma without a second corner is a box truncated by the token limit; one corner is not an answer.
        return None if more else finite_point((x1, y1))
    return finite_point((x1, y1) if more else (x1, y1, x2, y2))


_DOUBLE = re.compile(rf"\[\s*+\[{_N},{_N}\]")
_BOX = re.compile(rf"\[{_N},{_N},{_N},{_N}\]")


def find_internvl(text: str, images: int) -> tuple[float, float] | None:
    """``[[x, y]]``, else the centre of the first ``[x1, y1, x2, y2]``, else a bracketed pair."""
    text = mask_json_objects(text)
    found = _DOUBLE.search(text) or _BOX.search(text)
    return first_pair(text) if found is None else finite_point(found.groups())


FRACTION = Family(
    name="fraction",
    describes="[(x, y)], x first, 0 to 1 of the image (any model, prompted)",
    find=find_pair(),
    answer="[({x}, {y})]",
    inline="({x}, {y})",
    scale=1.0,
    decimals=3,
)
PERCENT = Family(
    name="percent",
    describes="[(x, y)], x first, 0 to 100 of the image (any model, prompted)",
    find=find_pair("%"),
    answer="[({x}, {y})]",
    inline="({x}, {y})",
    scale=100.0,
    decimals=1,
)
THOUSAND = Family(
    name="thousand",
    describes="[(x, y)], x first, 0 to 1000 of the image (any model, prompted)",
    find=find_pair(),
    answer="[({x}, {y})]",
    inline="({x}, {y})",
    scale=1000.0,
)
PIXEL = Family(
    name="pixel",
    describes="[(x, y)], x first, pixels of the image as it is sent (any model, prompted)",
    find=find_pair("(?:px|pixels?)"),
    answer="[({x}, {y})]",
    inline="({x}, {y})",
    pixels="sent",
    names_pixels=True,
)
QWEN2 = Family(
    name="qwen2-1000",
    describes="<|box_start|>(x,y)<|box_end|>, x first, 0 to 1000 of the image (Qwen2-VL)",
    find=find_qwen2,
    answer="<|box_start|>({x},{y})<|box_end|>",
    inline="<|box_start|>({x},{y})<|box_end|>",
    scale=1000.0,
)
INTERNVL = Family(
    name="internvl-1000",
    describes="[[x, y]], x first, 0 to 1000 of the image (InternVL)",
    find=find_internvl,
    answer="[[{x}, {y}]]",
    inline="[[{x}, {y}]]",
    scale=1000.0,
)
