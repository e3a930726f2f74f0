"""Points as JSON: Qwen2.5-VL, Qwen3-VL and Gemini.

An answer may contain a code fence or prose around the JSON, and may be truncated by the token limit. The
first complete list under one of the family's keys is used.
"""

from __future__ import annotations

import re

from x3spatial.conventions.family import Family, Find, FindBox
from x3spatial.conventions.markup import find_points_tag, is_none
from x3spatial.tasks.parsing import (
    NUMBER,
    finite_box,
    finite_point,
    first_pair,
    mask_json_objects,
)

# A key and its list, or the first list in its list; models also write a tuple, or all of it as a string. The
# match ends at the next bracket of any kind, so that unterminated lists cause no backtracking.
_KEY = r"""(["'])(?i:{key})\1\s*+:\s*+"""
_KEYED = (
    _KEY + r"""(?:["']?+\s*+[\[(]\s*+[\[(]?+(?P<list>[^][(){{}}]*+)[\])]"""
    r"""|["']\s*+(?P<text>{n}(?:\s*+,\s*+{n}){{1,3}}+)\s*+["'])"""
)
_CORNERS = (
    _KEY + r"""[\[(]\s*+[\[(]\s*+({n})\s*+,\s*+({n})\s*+[\])]\s*+,"""
    r"""\s*+[\[(]\s*+({n})\s*+,\s*+({n})\s*+[\])]\s*+[\])]"""
)
"""A box as two corners; three or more pairs are points."""
_NAMED = _KEY + r"""\{{\s*+["']({a})["']\s*+:\s*+({n})\s*+,\s*+["']{b}["']\s*+:\s*+({n})"""
_NULL = re.compile(
    r"""(["'])(?i:points?_?2d|point|bbox(?:_?2d)?|box_?2d)\1\s*+:\s*+(?i:["']?(?:null|none)\b"""
    r"""|\[\s*+(?:null\s*+(?:,\s*+null\s*+){0,3}+)?+\])"""
)
_WHOLE_NULL = re.compile(r"(?:```[a-z]*)?[\s`]*+\[?\s*+null\s*+\]?[\s`]*+")
_EMPTY_LIST = re.compile(r"(?:\A|[\s:`])\[\s*+\](?=[^\S\n]*+(?:\Z|[\n`.]))")
_ITEM = re.compile(rf"\s*+[\"']?+\s*+({NUMBER})\s*+[\"']?+\s*+")


def find_json(point: str, box: str, *, y_first: bool = False, tags: bool = False) -> Find:
    """A finder of the first list of two numbers under the key ``point``, else the centre of the first box
    under ``box`` (four numbers or two corners), else either length under either key, else a bracketed pair
    outside objects.

    Args:
        point: key of points, a pattern; case is ignored.
        box: key of boxes, likewise.
        y_first: y precedes x in all of them.
        tags: the family also writes ``<points x1="..." y1="...">``.
    """
    keyed = [re.compile(_KEYED.format(key=key, n=NUMBER)) for key in (point, box)]
    named = [re.compile(_NAMED.format(key=point, n=NUMBER, a=a, b=b)) for a, b in ("xy", "yx")]
    corners = re.compile(_CORNERS.format(key=box, n=NUMBER))

    def find(text: str, images: int) -> tuple[float, float] | None:
        lists = [
            [_numbers(found["list"] or found["text"] or "") for found in pattern.finditer(text)]
            for pattern in keyed
        ]
        points, boxes = (
            [n for n in part if len(n) == k] for part, k in zip(lists, (2, 4), strict=True)
        )
        if points:
            return _ordered(finite_point(points[0]), y_first)
        pair = corners.search(text)
        if pair is not None:
            return _ordered(finite_point(pair.groups()[1:]), y_first)
        if boxes:
            return _ordered(finite_point(boxes[0]), y_first)
        for numbers in (*lists[0], *lists[1]):
            if len(numbers) in (2, 4):
                return _ordered(finite_point(numbers), y_first)
        for pattern in named:
            found = pattern.search(text)
            if found is not None:
                first, x, y = found.groups()[1:]
                return finite_point((x, y) if first == "x" else (y, x))
        if tags:
            tagged = find_points_tag(text)
            if tagged is not None:
                return tagged
        return _ordered(first_pair(text), y_first)

    return find


def find_json_box(key: str) -> FindBox:
    """A finder of the first four numbers, or two corners, under ``key`` (a pattern; case is ignored).

    Four numbers are returned in the order in which they are written.
    """
    keyed = re.compile(_KEYED.format(key=key, n=NUMBER))
    corners = re.compile(_CORNERS.format(key=key, n=NUMBER))

    def find(text: str) -> tuple[float, float, float, float] | None:
        pair = corners.search(text)
        if pair is not None:
            return finite_box(pair.groups()[1:])
        lists = (_numbers(found["list"] or found["text"] or "") for found in keyed.finditer(text))
        return next((finite_box(found) for found in lists if len(found) == 4), None)

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
    """Whether ``text`` has an empty list as an answer (by itself, in a code fence or after a colon), a key of
    points or boxes with nothing, or is null and nothing else.
    """
    return (
        _EMPTY_LIST.search(mask_json_objects(text)) is not None
        or _NULL.search(text) is not None
        or _WHOLE_NULL.fullmatch(text) is not None
    )


QWEN_POINT_KEY, QWEN_BOX_KEY = r"points?_?2d", r"bbox(?:_?2d)?"
"""The keys of Qwen, as its models also write them."""
GEMINI_BOX_KEY = r"box_?2d"

QWEN25 = Family(
    name="qwen2.5-px",
    describes='[{"point_2d": [x, y]}], x first, pixels of the resized image (Qwen2.5-VL)',
    find=find_json(QWEN_POINT_KEY, QWEN_BOX_KEY, tags=True),
    answer='[{"point_2d": [{x}, {y}]}]',
    inline="[{x}, {y}]",
    pixels="resized",
    says_absent=is_none,
    says_nothing=says_empty_list,
)
QWEN3 = Family(
    name="qwen3-1000",
    describes='[{"point_2d": [x, y]}], x first, 0 to 1000 of the image (Qwen3-VL)',
    find=find_json(QWEN_POINT_KEY, QWEN_BOX_KEY, tags=True),
    answer='[{"point_2d": [{x}, {y}]}]',
    inline="[{x}, {y}]",
    scale=1000.0,
    says_absent=is_none,
    says_nothing=says_empty_list,
)
GEMINI = Family(
    name="gemini-yx-1000",
    describes='[{"point": [y, x]}], y first, 0 to 1000 of the image (Gemini)',
    find=find_json("point", GEMINI_BOX_KEY, y_first=True),
    answer='[{"point": [{y}, {x}]}]',
    inline="[{y}, {x}]",
    scale=1000.0,
    says_nothing=says_empty_list,
)
