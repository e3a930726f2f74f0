"""Boxes as answers, for families that were trained to give them.

In these conventions a model is asked for a box around the object and scored by it (IoU, centre in the mask).
A point is no answer in them, just as a box has no Hit@Mask: who wants the centre of a box as a point uses the
family's convention of points.

DeepSeek-VL2 writes ``<|ref|>name<|/ref|><|det|>[[x1, y1, x2, y2]]<|/det|>``, from 0 to 999 (deepseek-ai/
DeepSeek-VL2 issues 60 and 100: a number is divided by 999 and multiplied by the width or height); points are
not among its forms. The others are the families' own boxes, on the scales of their points; see
``docs/conventions.md`` for their sources.
"""

from __future__ import annotations

import re
from dataclasses import replace

from x3spatial.conventions.brackets import INTERNVL, QWEN2
from x3spatial.conventions.family import Family, FindBox, no_point
from x3spatial.conventions.json_points import (
    GEMINI,
    GEMINI_BOX_KEY,
    QWEN3,
    QWEN25,
    QWEN_BOX_KEY,
    find_json_box,
)
from x3spatial.conventions.tagged import MINICPM, TAGGED_BOX
from x3spatial.tasks.parsing import SPACED_NUMBER as _N
from x3spatial.tasks.parsing import finite_box, mask_json_objects

_Box = tuple[float, float, float, float]

_FOUR = rf"[\[(]{_N},{_N},{_N},{_N}[\])]"
_CORNERS = rf"[\[(]{_N},{_N}[\])]\s*+,\s*+[\[(]{_N},{_N}[\])]"
# A list of pairs, or two with a third one beside them, are points.
_CORNERS_ALONE = rf"(?<!\[)(?<![\])],)(?<![\])], ){_CORNERS}(?!\s*+,\s*+[\[(])"
_BARE = re.compile(rf"{_FOUR}|{_CORNERS_ALONE}")
_DET = re.compile(rf"<\|det\|>\s*+\[?+\s*+{_FOUR}")
_MARKED = re.compile(rf"<\|box_start\|>\s*+(?:{_CORNERS}|{_FOUR})")


def find_box(*marked: re.Pattern[str]) -> FindBox:
    """A finder of the first box in one of the forms ``marked``, in their order, else of one in brackets.

    ``[x1, y1, x2, y2]``, with single or double brackets, or ``(x1,y1),(x2,y2)``; decoding may have removed
    the special tokens around it. Boxes in JSON objects belong to their keys and are not read.
    """

    def find(text: str) -> _Box | None:
        text = mask_json_objects(text)
        for pattern in (*marked, _BARE):
            found = pattern.search(text)
            if found is not None:
                return finite_box(number for number in found.groups() if number is not None)
        return None

    return find


def find_keyed_box(key: str, *, y_first: bool = False) -> FindBox:
    """A finder of the first box under ``key`` of JSON, else of one in brackets."""
    in_json, bare = find_json_box(key), find_box()

    def find(text: str) -> _Box | None:
        found = in_json(text) or bare(text)
        if found is None or not y_first:
            return found
        y1, x1, y2, x2 = found
        return x1, y1, x2, y2

    return find


def _of(family: Family, name: str, describes: str, answer: str, find: FindBox) -> Family:
    """The convention of boxes of a family whose convention of points is ``family``."""
    return replace(
        family, name=name, describes=describes, answer=answer, find=no_point, find_box=find
    )


DEEPSEEK = Family(
    name="deepseek-vl2-box-999",
    describes=(
        "boxes, <|ref|>..<|/ref|><|det|>[[x1, y1, x2, y2]]<|/det|>, 0 to 999 of the image"
        " (DeepSeek-VL2)"
    ),
    find=no_point,
    find_box=find_box(_DET),
    answer="<|ref|>object<|/ref|><|det|>[[{x1}, {y1}, {x2}, {y2}]]<|/det|>",
    inline="[{x}, {y}]",
    scale=999.0,
)
QWEN2_BOX = _of(
    QWEN2,
    "qwen2-box-1000",
    "boxes, <|box_start|>(x1,y1),(x2,y2)<|box_end|>, 0 to 1000 of the image (Qwen2-VL)",
    "<|box_start|>({x1},{y1}),({x2},{y2})<|box_end|>",
    find_box(_MARKED),
)
QWEN25_BOX = _of(
    QWEN25,
    "qwen2.5-box-px",
    'boxes, [{"bbox_2d": [x1, y1, x2, y2]}], pixels of the resized image (Qwen2.5-VL)',
    '[{"bbox_2d": [{x1}, {y1}, {x2}, {y2}]}]',
    find_keyed_box(QWEN_BOX_KEY),
)
QWEN3_BOX = _of(
    QWEN3,
    "qwen3-box-1000",
    'boxes, [{"bbox_2d": [x1, y1, x2, y2]}], 0 to 1000 of the image (Qwen3-VL)',
    '[{"bbox_2d": [{x1}, {y1}, {x2}, {y2}]}]',
    find_keyed_box(QWEN_BOX_KEY),
)
INTERNVL_BOX = _of(
    INTERNVL,
    "internvl-box-1000",
    "boxes, <box>[[x1, y1, x2, y2]]</box>, 0 to 1000 of the image (InternVL)",
    "<box>[[{x1}, {y1}, {x2}, {y2}]]</box>",
    find_box(),
)
MINICPM_BOX = _of(
    MINICPM,
    "minicpm-box-1000",
    "boxes, <box>x1 y1 x2 y2</box>, 0 to 1000 of the image (MiniCPM-V, MiniCPM-o)",
    "<box>{x1} {y1} {x2} {y2}</box>",
    find_box(TAGGED_BOX),
)
GEMINI_BOX = _of(
    GEMINI,
    "gemini-box-yx-1000",
    'boxes, [{"box_2d": [ymin, xmin, ymax, xmax]}], y first, 0 to 1000 of the image (Gemini)',
    '[{"box_2d": [{y1}, {x1}, {y2}, {x2}]}]',
    find_keyed_box(GEMINI_BOX_KEY, y_first=True),
)
