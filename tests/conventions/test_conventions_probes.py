"""What each convention reads in answers of any family: tables of texts and outcomes.

Images are 640x480. An outcome is the normalised point, ABSENT (not visible), CONTRADICTION (not visible,
with a point beside it) or UNPARSED.
"""

from __future__ import annotations

import pytest

from helpers.convention_cases import ABSENT, CONTRADICTION, UNPARSED, Outcome, outcome
from x3spatial.conventions.registry import CONVENTIONS

PX_FAMILIES = ("qwen2.5-px", "qwen2.5-xml-px", "qwen2.5-pictures-px")
QWEN3_FAMILIES = ("qwen3-1000", "qwen3-xml-1000", "qwen3-pictures-1000")
BOX_FAMILIES = tuple(name for name, one in CONVENTIONS.items() if one.answers == "box")
JSON_FAMILIES = (
    *PX_FAMILIES, *QWEN3_FAMILIES, "gemini-yx-1000",
    "qwen2.5-box-px", "qwen3-box-1000", "gemini-box-yx-1000",
)  # fmt: skip
MARKUP_FAMILIES = ("molmo-100", "molmo2-1000", "molmo-point")
BRACKET_FAMILIES = tuple(
    name for name in CONVENTIONS if name not in (*MARKUP_FAMILIES, *BOX_FAMILIES)
)


def scaled(x: float, y: float) -> dict[str, Outcome]:
    """The same two numbers, in brackets, in every convention that reads them: each on its own scale."""
    by_scale = {
        1: ("unit", "fraction"),
        100: ("percent",),
        1000: (
            "thousand", "qwen2-1000", "qwen2-pictures-1000", *QWEN3_FAMILIES, "internvl-1000",
            "minicpm-1000", "ui-tars-1000",
        ),
    }  # fmt: skip
    read: dict[str, Outcome] = {
        name: (round(x / scale, 6), round(y / scale, 6))
        for scale, names in by_scale.items()
        for name in names
    }
    pixels = ("pixel", *PX_FAMILIES, "ui-tars-1.5-px")
    read |= dict.fromkeys(pixels, (round(x / 640, 6), round(y / 480, 6)))
    return read | {"gemini-yx-1000": (round(y / 1000, 6), round(x / 1000, 6))}


def of_qwen(thousand: Outcome, pixels: Outcome) -> dict[str, Outcome]:
    """What the families of Qwen's JSON read."""
    return dict.fromkeys(QWEN3_FAMILIES, thousand) | dict.fromkeys(PX_FAMILIES, pixels)


def boxes_of(x1: float, y1: float, x2: float, y2: float) -> dict[str, Outcome]:
    """The same four numbers in brackets: a box, or its centre for InternVL."""
    read: dict[str, Outcome] = {}
    for name in BOX_FAMILIES:
        x, y = (640, 480) if name == "qwen2.5-box-px" else [999 if "999" in name else 1000] * 2
        box = (y1, x1, y2, x2) if "-yx-" in name else (x1, y1, x2, y2)
        read[name] = tuple(round(v / side, 6) for v, side in zip(box, (x, y, x, y), strict=True))
    return read | {"internvl-1000": ((x1 + x2) / 2000, (y1 + y2) / 2000)}


# The right answer is the middle, (480, 120) for Gemini's. A convention that is not named reads nothing.
PROBES: list[tuple[str, dict[str, Outcome]]] = [
    ("[(0.5, 0.5)]", scaled(0.5, 0.5)),
    ('[{"point_2d": [500, 500]}]', of_qwen((0.5, 0.5), (0.78125, 1.041667))),
    ('[{"point_2d": [320, 240]}]', of_qwen((0.32, 0.24), (0.5, 0.5))),
    ('<point x="50.0" y="50.0" alt="mug">mug</point>', {
        "molmo-100": (0.5, 0.5), "qwen3-xml-1000": (0.05, 0.05),
        "qwen2.5-xml-px": (0.078125, 0.104167),
    }),
    ('<points coords="2 1 500 500">mug</points>',
     dict.fromkeys(("molmo2-1000", "molmo-point"), (0.5, 0.5))),
    ("<point>500 500</point>", {
        "minicpm-1000": (0.5, 0.5), "ui-tars-1000": (0.5, 0.5), "ui-tars-1.5-px": (0.78125, 1.041667),
    }),
    ("<|det|>[[100, 200, 300, 400]]<|/det|>", boxes_of(100, 200, 300, 400)),
    ('[{"point": [250, 750], "label": "mug"}]', {"gemini-yx-1000": (0.75, 0.25)}),
    ("(0.1,0.2) to (0.3,0.4). Answer: [(0.5,0.5)]", scaled(0.5, 0.5)),
    ("[(1.0, 1.0)]", scaled(1, 1)),
    ("[(1, 1)]", scaled(1, 1)),
    ("[0.5, 0.5]", scaled(0.5, 0.5)),
]  # fmt: skip


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize(("text", "read"), PROBES, ids=[text for text, _ in PROBES])
def test_difficult_answers(name: str, text: str, read: dict[str, Outcome]) -> None:
    assert outcome(CONVENTIONS[name], text) == read.get(name, UNPARSED)


EVERY: list[tuple[str, Outcome]] = [
    ("NOT_VISIBLE", ABSENT),
    ("not_visible.", ABSENT),
    ("**NOT_VISIBLE**", ABSENT),
    ('"NOT_VISIBLE"', ABSENT),
    ("`NOT_VISIBLE`<|im_end|>", ABSENT),
    ("[NOT_VISIBLE]", ABSENT),
    ("ＮＯＴ＿ＶＩＳＩＢＬＥ", ABSENT),
    ("<think>It could be NOT_VISIBLE.</think>NOT_VISIBLE", ABSENT),
    ("<think>NOT_VISIBLE? Perhaps.</think>I do not know.", UNPARSED),
    ("<think>It may be NOT_VISIBLE", UNPARSED),
    ("NOT_VISIBLE or not.</think>Hm.", UNPARSED),
    ("", UNPARSED),
    ("The object is not visible in the second image.", UNPARSED),
    ("NOT VISIBLE", UNPARSED),
    ("MAYBE_NOT_VISIBLE", UNPARSED),
    ("I'm sorry, but I cannot determine where the object is.", UNPARSED),
    ("I can't see 2 images, only 1.", UNPARSED),
    ("500, 500", UNPARSED),
    ("500 500", UNPARSED),
    ("x=500, y=500", UNPARSED),
    ("(x=500, y=500)", UNPARSED),
    ("[(x, y)]", UNPARSED),
    ("(500)", UNPARSED),
    ("(500, 500, 500)", UNPARSED),
    ("[500, 500, 1]", UNPARSED),
    ("(5,5; 5,5)", UNPARSED),
    ("(0.5², 0.5)", UNPARSED),
    ("(½, ½)", UNPARSED),
    ("(①, ②)", UNPARSED),
    ("[(nan, 0.5)]", UNPARSED),
    ("[(inf, 0.5)]", UNPARSED),
    ("[(1e400, 0.5)] or [(0.5, 0.5)]", UNPARSED),
    ("[(" + "9" * 400 + ", 0.5)]", UNPARSED),
    ("[(500, 5", UNPARSED),
    ("{'x': 500, 'y': 500}", UNPARSED),
    ('{"position": [500, 500]}', UNPARSED),
    ('{"position": {"at": (500, 500)}}', UNPARSED),
    ('{"position": [500, 500], "more": ', UNPARSED),
    ('{"size": {"unit": "px"}, "position": [500, 500]}', UNPARSED),
    ('<click x="500" y="500">', UNPARSED),
    ("point x=50.0 y=50.0", UNPARSED),
]


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize(("text", "expected"), EVERY)
def test_the_same_in_every_convention(name: str, text: str, expected: Outcome) -> None:
    assert outcome(CONVENTIONS[name], text) == expected


# Two numbers in brackets, whatever the convention that reads brackets makes of them.
BRACKETS: list[tuple[str, tuple[float, float]]] = [
    ("[(12, 34)]", (12, 34)),
    ("[(12,34), (56,78)]", (12, 34)),
    ("[ ( 12.50 , +34. ) ]", (12.5, 34)),
    ("(12, 34)", (12, 34)),
    ("[12, 34]", (12, 34)),
    ("[[12, 34]]", (12, 34)),
    ("It is at [12, 34], right of (56, 78).", (12, 34)),
    ("(56, 78), no: [(12, 34)]", (12, 34)),
    ("(1, 2, 3) is no point, (12, 34) is.", (12, 34)),
    ("```\n[(12, 34)]\n```", (12, 34)),
    ("**[(12, 34)]**.", (12, 34)),
    ("$\\boxed{[(12, 34)]}$", (12, 34)),
    ("[(-12, 3400)]", (-12, 3400)),
    ("[(1.2e1, 34E0)]", (12, 34)),
    ("[(.5, .25)]", (0.5, 0.25)),
    ("（１２，３４）", (12, 34)),
    ("［（１２， ３４）］", (12, 34)),
    ("【12、34】", (12, 34)),
    ("[(١٢, ٣٤)]", (12, 34)),
    ("[(−12, 34)]", (-12, 34)),
    ("<think>(1, 2)? No.</think>[(12, 34)]", (12, 34)),
    ("(1, 2), no.</think>\n[(12, 34)]", (12, 34)),
    ("[(12, 34)]<think>or (1, 2)", (12, 34)),
    ('{"position": [1, 2]} [(12, 34)]', (12, 34)),
    ("word " * 20_000 + "[(12, 34)]" + " word" * 20_000, (12, 34)),
]


@pytest.mark.parametrize("name", BRACKET_FAMILIES)
@pytest.mark.parametrize(("text", "numbers"), BRACKETS, ids=[text[:40] for text, _ in BRACKETS])
def test_bracketed_pairs(name: str, text: str, numbers: tuple[float, float]) -> None:
    assert outcome(CONVENTIONS[name], text) == scaled(*numbers)[name]


@pytest.mark.parametrize("name", BRACKET_FAMILIES)
@pytest.mark.parametrize("text", ["NOT_VISIBLE, or [(12, 34)]", "(12, 34). Not_Visible."])
def test_not_visible_takes_precedence_over_a_pair(name: str, text: str) -> None:
    assert outcome(CONVENTIONS[name], text) == CONTRADICTION


@pytest.mark.parametrize("name", (*MARKUP_FAMILIES, *BOX_FAMILIES))
@pytest.mark.parametrize(("text", "numbers"), BRACKETS, ids=[text[:40] for text, _ in BRACKETS])
def test_markup_and_boxes_are_not_read_from_pairs(
    name: str, text: str, numbers: tuple[float, float]
) -> None:
    assert outcome(CONVENTIONS[name], text) == UNPARSED


# What an empty list says in the families that answer in JSON; the others were not asked for one.
EMPTY_LISTS: list[tuple[str, Outcome]] = [
    ("[]", ABSENT),
    (" [ ]\n", ABSENT),
    ("```json\n[]\n```", ABSENT),
    ("The object is not there: []", ABSENT),
    ("Answer: `[]`.", ABSENT),
    ("[] NOT_VISIBLE", ABSENT),
    ("[] is what I would say of an int[] array", UNPARSED),
    ("[ ] visible", UNPARSED),
    ('{"objects": []}', UNPARSED),
    ('{"objects": []\n}', UNPARSED),
    ("It is an int[].", UNPARSED),
    ("[](https://example.org)", UNPARSED),
]


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize(("text", "expected"), EMPTY_LISTS)
def test_empty_lists(name: str, text: str, expected: Outcome) -> None:
    if name not in JSON_FAMILIES and "NOT_VISIBLE" not in text:
        expected = UNPARSED
    assert outcome(CONVENTIONS[name], text) == expected
