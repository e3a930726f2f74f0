"""Points as JSON: Qwen2.5-VL, Qwen3-VL and Gemini.

An answer may contain a code fence or prose around the JSON, and may be truncated by the token limit. The
first complete list under one of the family's keys is used.
"""

from __future__ import annotations

import re

from x3spatial.conventions.family import Family, Find
from x3spatial.conventions.markup import find_points_tag, is_none
from x3spatial.tasks.parsing import NUMBER, finite_point, first_pair, mask_json_objects

# A key and its list, or the first list in its list; models also write a tuple, or all of it as a string. The
# match ends at the next bracket of any kind, so that unterminated lists cause no backtracking.
_KEYED = r"""(["']){key}\1\s*+:\s*+["']?+\s*+[\[(]\s*+[\[(]?+([^][(){{}}]*+)[\])]"""
_NAMED = r"""(["']){key}\1\s*+:\s*+\{{\s*+["']x["']\s*+:\s*+({n})\s*+,\s*+["']y["']\s*+:\s*+({n})"""
_NULL = re.compile(r"""(["'])(?:point_2d|point|bbox_2d|box_2d)\1\s*+:\s*+(?:null|None|\[\s*+\])""")
_EMPTY_LIST = re.compile(r"(?:\A|[\s:`])\[\s*+\](?=[^\S\n]*+(?:\Z|[\n`.]))")
_ITEM = re.compile(rf"\s*+[\"']?+\s*+({NUMBER})\s*+[\"']?+\s*+")


def find_json(point: str, box: str, *, y_first: bool = False, tags: bool = False) -> Find:
    """A finder of the first list of two numbers under the key ``point``, else the centre of the first list of
    four under ``box``, else either length under either key, else a bracketed pair outside objects.

    Args:
        point: key of points.
        box: key of boxes.
        y_first: y precedes x in all of them.
        tags: the family also writes ``<points x1="..." y1="...">``.
    """
    keyed = [re.compile(_KEYED.format(key=key)) for key in (point, box)]
    named = re.compile(_NAMED.format(key=point, n=NUMBER))

    def find(text: str, images: int) -> tuple[float, float] | None:
        lists = [[_numbers(found[2]) for found in pattern.finditer(text)] for pattern in keyed]
        for found, length in zip(lists, (2, 4), strict=True):
            for numbers in found:
                if len(numbers) == length:
                    return _ordered(finite_point(numbers), y_first)
        for numbers in (*lists[0], *lists[1]):
            if len(numbers) in (2, 4):
                return _ordered(finite_point(numbers), y_first)
        by_name = named.search(text)
        if by_name is not None:
            return finite_point(by_name.groups()[1:])
        if tags:
            tagged = find_points_tag(text)
            if tagged is not None:
                return tagged
        return _ordered(first_pair(text), y_first)

    return find


def _numbers(items: str) -> list[float]:
    """The items of a list, quoted or not, a comma at its end allowed; empty if one is not a number."""
    parts = items.split(",")
    if len(parts) > 1 and not parts[-1].strip():
        del parts[-1]
    found = [_ITEM.fullmatch(part) for part in parts]
    return [float(item[1]) for item in found if item is not None] if all(found) else []


def _ordered(point: tuple[float, float] | None, y_first: bool) -> tuple[float, float] | None:
    return point[::-1] if point is not None and y_first else point


def says_empty_list(text: str) -> bool:
    """Whether ``text`` has an empty list as an answer (by itself, in a code fence or after a colon), or a
    key of points or boxes with nothing.
    """
    return _EMPTY_LIST.search(mask_json_objects(text)) is not None or _NULL.search(text) is not None


QWEN25 = Family(
    name="qwen2.5-px",
    describes='[{"point_2d": [x, y]}], x first, pixels of the resized image (Qwen2.5-VL)',
    find=find_json("point_2d", "bbox_2d", tags=True),
    answer='[{"point_2d": [{x}, {y}]}]',
    inline="[{x}, {y}]",
    pixels="resized",
    says_absent=is_none,
    says_nothing=says_empty_list,
)
QWEN3 = Family(
    name="qwen3-1000",
    describes='[{"point_2d": [x, y]}], x first, 0 to 1000 of the image (Qwen3-VL)',
    find=find_json("point_2d", "bbox_2d", tags=True),
    answer='[{"point_2d": [{x}, {y}]}]',
    inline="[{x}, {y}]",
    scale=1000.0,
    says_absent=is_none,
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
