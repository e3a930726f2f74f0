"""Points in plain tags and calls: MiniCPM-V and UI-TARS.

MiniCPM-V writes ``<point>x y</point>`` and ``<box>xmin ymin xmax ymax</box>``, in thousandths of the image
(OpenBMB/MiniCPM-V issues 185 and 982, OpenSQZ/MiniCPM-V-CookBook issue 39).

UI-TARS writes calls. The first version counts to 1000, ``click(start_box='(x,y)')`` with or without the
special tokens of Qwen2-VL; UI-TARS-1.5, made from Qwen2.5-VL, counts pixels of the resized image
(bytedance/UI-TARS issues 157 and 195; ``codes/ui_tars/action_parser.py``, which also reads ``point=`` with
``<point>x y</point>`` and boxes of four numbers). Both share their ``model_type`` with Qwen's models.
"""

from __future__ import annotations

import re

from x3spatial.conventions.family import Family
from x3spatial.tasks.parsing import NUMBER, finite_point, first_pair
from x3spatial.tasks.parsing import SPACED_NUMBER as _N

# Numbers are separated by blanks, as published, or by a comma. The "<" after the last one shows that the
# token limit did not cut it.
_BETWEEN = r"(?:\s*+,\s*+|\s++)"
_PAIR = rf"\s*+({NUMBER}){_BETWEEN}({NUMBER})"
_POINT = re.compile(rf"<point>{_PAIR}\s*+<", re.IGNORECASE)
TAGGED_BOX = re.compile(
    rf"<b?box>{_PAIR}{_BETWEEN}({NUMBER}){_BETWEEN}({NUMBER})\s*+<", re.IGNORECASE
)
"""``<box>xmin ymin xmax ymax</box>``."""

_LIST = rf"[(\[]{_N},{_N}(?:,{_N},{_N})?+[)\]]"
_CALL = re.compile(
    rf"(?:start_box|start_point|point)\s*+=\s*+[\"']?+\s*+(?:<\|box_start\|>\s*+)?+{_LIST}"
)
_MARKED = re.compile(rf"<\|box_start\|>\s*+{_LIST}")
_ACTION = "Action:"


def find_tagged(text: str, images: int) -> tuple[float, float] | None:
    """The first ``<point>``, else the centre of the first ``<box>``, else a bracketed pair."""
    found = _POINT.search(text) or TAGGED_BOX.search(text)
    return first_pair(text) if found is None else finite_point(found.groups())


def find_ui_tars(text: str, images: int) -> tuple[float, float] | None:
    """The point of the first call, else of a tag, else marked by special tokens, else a bracketed pair.

    What stands before ``Action:`` is thought and not part of the answer.
    """
    text = text.rpartition(_ACTION)[2]
    for pattern in (_CALL, _POINT, TAGGED_BOX, _MARKED):
        found = pattern.search(text)
        if found is not None:
            return finite_point(number for number in found.groups() if number is not None)
    return first_pair(text)


MINICPM = Family(
    name="minicpm-1000",
    describes="<point>x y</point>, x first, 0 to 1000 of the image (MiniCPM-V, MiniCPM-o)",
    find=find_tagged,
    answer="<point>{x} {y}</point>",
    inline="<point>{x} {y}</point>",
    scale=1000.0,
)
UI_TARS = Family(
    name="ui-tars-1000",
    describes="click(start_box='(x,y)'), x first, 0 to 1000 of the image (UI-TARS)",
    find=find_ui_tars,
    answer="Action: click(start_box='({x},{y})')",
    inline="({x},{y})",
    scale=1000.0,
)
UI_TARS_15 = Family(
    name="ui-tars-1.5-px",
    describes=(
        "click(point='<point>x y</point>'), x first, pixels of the resized image (UI-TARS-1.5)"
    ),
    find=find_ui_tars,
    answer="Action: click(point='<point>{x} {y}</point>')",
    inline="<point>{x} {y}</point>",
    pixels="resized",
)
