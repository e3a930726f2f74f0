"""Points as JSON: Qwen2.5-VL, Qwen3-VL and Gemini.

An answer may contain a code fence or prose around the JSON, and may be truncated by the token limit. The
first complete list under one of the family's keys is used.
"""

from __future__ import annotations

import json
import re

from x3spatial.conventions.family import Family, Find
from x3spatial.tasks.parsing import finite_point, first_pair, mask_json_objects

# A key and its list, or the first list in its list. The match ends at the next bracket of any kind, so that
# unterminated lists cause no backtracking.
_KEYED = r"""(["']){key}\1\s*+:\s*+\[\s*+\[?+([^][{{}}]*+)\]"""
_EMPTY_LIST = re.compile(r"(?:\A|[\s:`])\[\s*+\](?=[^\S\n]*+(?:\Z|[\n`.]))")


def find_json(point: str, box: str, *, y_first: bool = False) -> Find:
    """A finder of the first list of two numbers under the key ``point``, else the centre of the first list of
    four under ``box``, else a bracketed pair outside objects. ``y_first``: y precedes x in all of them.
    """
    keys = [(re.compile(_KEYED.format(key=key)), length) for key, length in ((point, 2), (box, 4))]

    def find(text: str, images: int) -> tuple[float, float] | None:
        for pattern, length in keys:
            for found in pattern.finditer(text):
                numbers = _numbers(found[2])
                if len(numbers) == length:
                    return _ordered(finite_point(numbers), y_first)
        return _ordered(first_pair(text), y_first)

    return find


def _numbers(items: str) -> list[float]:
    """The items of a JSON list; empty if an item is not a number."""
    try:
        values = json.loads(f"[{items}]", parse_int=float)
    except ValueError:
        return []
    return values if all(isinstance(value, float) for value in values) else []


def _ordered(point: tuple[float, float] | None, y_first: bool) -> tuple[float, float] | None:
    return point[::-1] if point is not None and y_first else point


def says_empty_list(text: str) -> bool:
    """Whether ``text`` contains an empty list as an answer: by itself, in a code fence or after a colon."""
    return _EMPTY_LIST.search(mask_json_objects(text)) is not None


QWEN25 = Family(
    name="qwen2.5-px",
    describes='[{"point_2d": [x, y]}], x first, pixels of the resized image (Qwen2.5-VL)',
    find=find_json("point_2d", "bbox_2d"),
    answer='[{"point_2d": [{x}, {y}]}]',
    inline="[{x}, {y}]",
    pixels="resized",
    says_nothing=says_empty_list,
)
QWEN3 = Family(
    name="qwen3-1000",
    describes='[{"point_2d": [x, y]}], x first, 0 to 1000 of the image (Qwen3-VL)',
    find=find_json("point_2d", "bbox_2d"),
    answer='[{"point_2d": [{x}, {y}]}]',
    inline="[{x}, {y}]",
    scale=1000.0,
    says_nothing=says_empty_list,
)
GEMINI = Family(
    name="gemini-yx-1000",
    describes='[{"point": [y, x]}], y first, 0 to 1000 of the image (Gemini)',
    find=find_json("point", "box_2d", y_first=True),
    answer='[{"point": [{y}, {x}]}]',
    inline="[{y}, {x}]",
    scale=1000.0,
    says_nothing=says_empty_list,
)
