"""What each convention reads in answers as models write them: tables of texts and outcomes.

Images are 640x480. An outcome is the normalised point, ABSENT (not visible), CONTRADICTION (not visible,
with a point beside it) or UNPARSED.
"""

from __future__ import annotations

import pytest

from convention_cases import ABSENT, CONTRADICTION, UNPARSED, Outcome, outcome
from x3spatial.models.conventions.registry import CONVENTIONS

JSON_FAMILIES = ("qwen2.5-px", "qwen3-1000", "gemini-yx-1000")
MARKUP_FAMILIES = ("molmo-100", "molmo2-1000")
BRACKET_FAMILIES = tuple(name for name in CONVENTIONS if name not in MARKUP_FAMILIES)


def scaled(x: float, y: float) -> dict[str, Outcome]:
    """The same two numbers, in brackets, in every convention that reads them: each on its own scale."""
    by_scale = {
        1: ("unit", "fraction"),
        100: ("percent",),
        1000: ("thousand", "qwen2-1000", "qwen3-1000", "internvl-1000"),
    }
    read: dict[str, Outcome] = {
        name: (round(x / scale, 6), round(y / scale, 6))
        for scale, names in by_scale.items()
        for name in names
    }
    read |= dict.fromkeys(("pixel", "qwen2.5-px"), (round(x / 640, 6), round(y / 480, 6)))
    return read | {"gemini-yx-1000": (round(y / 1000, 6), round(x / 1000, 6))}


# The right answer is the middle, (480, 120) for Gemini's. A convention that is not named reads nothing.
PROBES: list[tuple[str, dict[str, Outcome]]] = [
    ("[(0.5, 0.5)]", scaled(0.5, 0.5)),
    ('[{"point_2d": [500, 500]}]', {"qwen3-1000": (0.5, 0.5), "qwen2.5-px": (0.78125, 1.041667)}),
    ('[{"point_2d": [320, 240]}]', {"qwen2.5-px": (0.5, 0.5), "qwen3-1000": (0.32, 0.24)}),
    ('<point x="50.0" y="50.0" alt="mug">mug</point>', {"molmo-100": (0.5, 0.5)}),
    ('<points coords="2 1 500 500">mug</points>', {"molmo2-1000": (0.5, 0.5)}),
    ('[{"point": [250, 750], "label": "mug"}]', {"gemini-yx-1000": (0.75, 0.25)}),
    ("(0.1,0.2) to (0.3,0.4). Answer: [(0.5,0.5)]", scaled(0.5, 0.5)),
    ("[(1.0, 1.0)]", scaled(1, 1)),
    ("[(1, 1)]", scaled(1, 1)),
    ("[0.5, 0.5]", scaled(0.5, 0.5)),
]


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize(("text", "read"), PROBES, ids=[text for text, _ in PROBES])
def test_the_probes_that_other_parsers_trip_over(
    name: str, text: str, read: dict[str, Outcome]
) -> None:
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
def test_not_visible_beside_a_pair_wins_and_is_marked(name: str, text: str) -> None:
    assert outcome(CONVENTIONS[name], text) == CONTRADICTION


@pytest.mark.parametrize("name", MARKUP_FAMILIES)
@pytest.mark.parametrize(("text", "numbers"), BRACKETS, ids=[text[:40] for text, _ in BRACKETS])
def test_markup_families_read_no_brackets(
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
    ("[](https://example.org)", UNPARSED),
]


@pytest.mark.parametrize("name", CONVENTIONS)
@pytest.mark.parametrize(("text", "expected"), EMPTY_LISTS)
def test_empty_lists(name: str, text: str, expected: Outcome) -> None:
    if name not in JSON_FAMILIES and "NOT_VISIBLE" not in text:
        expected = UNPARSED
    assert outcome(CONVENTIONS[name], text) == expected


FAMILIES: dict[str, list[tuple[str, Outcome]]] = {
    "unit": [
        ("[(0.461, 0.527)]", (0.461, 0.527)),
        ("[(0.461, 0.527), (0.1, 0.2)]", (0.461, 0.527)),
        ("[(1.2, -0.1)]", (1.2, -0.1)),
        ("[(50%, 25%)]", UNPARSED),
        ("[(0.5, 0.5, 0.9, 0.9)]", UNPARSED),
        ("<|box_start|>(0.4,0.4),(0.6,0.6)<|box_end|>", UNPARSED),
        ('[{"point_2d": [0.5, 0.5]}]', UNPARSED),
        ("[]", UNPARSED),
        ("There are none.", UNPARSED),
    ],
    "fraction": [
        ("[(0.461, 0.527)]", (0.461, 0.527)),
        ("(50%, 25%)", UNPARSED),
        ("[(461, 527)]", (461, 527)),
        ("[(0,5, 0,5)]", UNPARSED),
        ('{"point": [0.5, 0.5]}', UNPARSED),
    ],
    "percent": [
        ("[(46.1, 52.7)]", (0.461, 0.527)),
        ("[(46.1%, 52.7 %)]", (0.461, 0.527)),
        ("(46%,53%) to (1%,2%)", (0.46, 0.53)),
        ("[(0.461, 0.527)]", (0.00461, 0.00527)),
        ("[(101, -1)]", (1.01, -0.01)),
        ("[(46.1px, 52.7px)]", UNPARSED),
        ("46.1%, 52.7%", UNPARSED),
    ],
    "thousand": [
        ("[(461, 527)]", (0.461, 0.527)),
        ("[(461.5, 527)]", (0.4615, 0.527)),
        ("[(0.461, 0.527)]", (0.000461, 0.000527)),
        ("[(1001, 0)]", (1.001, 0)),
        ("[(46%, 52%)]", UNPARSED),
    ],
    "pixel": [
        ("[(320, 120)]", (0.5, 0.25)),
        ("[(320px, 120 px)]", (0.5, 0.25)),
        ("[(624, 468)]", (0.975, 0.975)),
        ("[(800, 120)]", (1.25, 0.25)),
        ("[(0.5, 0.25)]", (0.000781, 0.000521)),
        ("[(50%, 25%)]", UNPARSED),
    ],
    "qwen2-1000": [
        ("<|box_start|>(461,527)<|box_end|>", (0.461, 0.527)),
        ("<|object_ref_start|>mug<|object_ref_end|><|box_start|>(461, 527)<|box_end|><|im_end|>",
         (0.461, 0.527)),
        ("(461,527)", (0.461, 0.527)),
        ("<|box_start|>(400,500),(600,800)<|box_end|>", (0.5, 0.65)),
        ("(400,500),(600,800)", (0.5, 0.65)),
        ("mug(400,500),(600,800)", (0.5, 0.65)),
        ("<|box_start|>(400,500),(600,800)", (0.5, 0.65)),
        ("<|box_start|>(1,2)<|box_end|><|box_start|>(3,4)<|box_end|>", (0.001, 0.002)),
        ("Left of (1,2): <|box_start|>(461,527)<|box_end|>", (0.461, 0.527)),
        ("(100,200) to (300,400). Answer: [(500,500)]", (0.5, 0.5)),
        ("(461,527), right of the table", (0.461, 0.527)),
        ("[(461,527),(1,2)]", (0.461, 0.527)),
        ("(461,527),(1,2),(3,4)", (0.461, 0.527)),
        ("<ref>mug</ref><box>(400,500),(600,800)</box>", (0.5, 0.65)),
        ("<|box_start|>(461,527", UNPARSED),
        ("<|box_start|>(400,500),(600,", UNPARSED),
        ("<|box_start|>(400,500),", UNPARSED),
        ("(400,500),(600", UNPARSED),
        ("<|box_start|>(1200,-3)<|box_end|>", (1.2, -0.003)),
        ("<|box_start|>(0.461,0.527)<|box_end|>", (0.000461, 0.000527)),
        ("<|box_start|>（４６１，５２７）<|box_end|>", (0.461, 0.527)),
        ("<|box_start|>(461,527)<|box_end|> NOT_VISIBLE", CONTRADICTION),
        ('[{"point_2d": [461, 527]}]', UNPARSED),
    ],
    "qwen2.5-px": [
        ('```json\n[\n  {"point_2d": [320, 120], "label": "mug"}\n]\n```', (0.5, 0.25)),
        ('[{"label": "mug", "point_2d": [320, 120]}]', (0.5, 0.25)),
        ('{"point_2d": [320.5, 120]}', (0.500781, 0.25)),
        ('[{"bbox_2d": [300, 100, 340, 140], "label": "mug"}]', (0.5, 0.25)),
        ('[{"bbox_2d": [0, 0, 9, 9]}, {"point_2d": [320, 120]}]', (0.5, 0.25)),
        ('[{"point_2d": [320, 120]}, {"point_2d": [1, 2]}]', (0.5, 0.25)),
        ('[{"point_2d": [[320, 120], [1, 2]]}]', (0.5, 0.25)),
        ('[{"point_2d": [320, 120], "lab', (0.5, 0.25)),
        ('```json\n[{"point_2d": [320, 120]}, {"point_2d": [3', (0.5, 0.25)),
        ('[{"point_2d": [320, 12', UNPARSED),
        ('[{"point_2d": [320', UNPARSED),
        ('[{"bbox_2d": [300, 100, 340', UNPARSED),
        ("[{'point_2d': [320, 120]}]", (0.5, 0.25)),
        ("[{“point_2d”: [320, 120]}]", (0.5, 0.25)),
        ("[{“point_2d”：［３２０，１２０］}]", (0.5, 0.25)),
        ('Sure! {"point_2d": [320, 120]} is the mug, not (1, 2).', (0.5, 0.25)),
        ('{"point_2d": [x, y]}: {"point_2d": [320, 120]}', (0.5, 0.25)),
        ('{"point_2d": [1, 2, 3]} {"point_2d": [320, 120]}', (0.5, 0.25)),
        ('{"point_2d": [800, -12]}', (1.25, -0.025)),
        ('{"point_2d": [0.5, 0.25]}', (0.000781, 0.000521)),
        ("(320, 120)", (0.5, 0.25)),
        ('{"point_2d": [NaN, 120]}', UNPARSED),
        ('{"point_2d": [1e400, 120]}', UNPARSED),
        ('{"point_2d": [true, false]}', UNPARSED),
        ('{"point_2d": ["320", "120"]}', UNPARSED),
        ('{"point_2d": null}', UNPARSED),
        ('{"point_2d": []}', UNPARSED),
        ('{"point_2d": {"x": 320, "y": 120}}', UNPARSED),
        ('{"point": [320, 120]}', UNPARSED),
        ('{"box_2d": [300, 100, 340, 140]}', UNPARSED),
        ('[{"point_2d": [320, 120], "attributes": []}]', (0.5, 0.25)),
        ('[{"point_2d": [320, 120], "label": "NOT_VISIBLE"}]', CONTRADICTION),
        ('[{"label": "NOT_VISIBLE"}]', ABSENT),
        ('<point x="50" y="25">', UNPARSED),
        ("{" * 50_000 + '"point_2d": [320, 120]', (0.5, 0.25)),
    ],
    "qwen3-1000": [
        ('```json\n[{"point_2d": [500, 250], "label": "mug"}]\n```', (0.5, 0.25)),
        ('[{"bbox_2d": [400, 200, 600, 300]}]', (0.5, 0.25)),
        ('{"point_2d": [500, 250]}\n{"point_2d": [1, 2]}', (0.5, 0.25)),
        ('[{"point_2d": [0.5, 0.5]}]', (0.0005, 0.0005)),
        ('[{"point_2d": [1001, 0]}]', (1.001, 0)),
        ('[{"point_2d": [500, 250], ', (0.5, 0.25)),
        ("<think>\n{\"point_2d\": [1, 2]}?</think>\n[{\"point_2d\": [500, 250]}]", (0.5, 0.25)),
        ('[{"point": [500, 250]}]', UNPARSED),
        ('<point x="50.0" y="50.0" alt="mug">mug</point>', UNPARSED),
        ('<points coords="2 1 500 500">mug</points>', UNPARSED),
        ("<|box_start|>(500,250)<|box_end|>", UNPARSED),
        ("<|box_start|>(400,200),(600,300)<|box_end|> at (500, 250)", (0.5, 0.25)),
        ("<box>(400,200),(600,300)</box>", UNPARSED),
    ],
    "internvl-1000": [
        ("[[461, 527]]", (0.461, 0.527)),
        ("<ref>mug</ref><point>[[461, 527]]</point>", (0.461, 0.527)),
        ("<ref>mug</ref><box>[[400, 500, 600, 800]]</box>", (0.5, 0.65)),
        ("<box>[400, 500, 600, 800]</box>", (0.5, 0.65)),
        ("[400, 500, 600, 800]", (0.5, 0.65)),
        ("[[400, 500, 600, 800], [1, 2, 3, 4]]", (0.5, 0.65)),
        ("<box>[[1, 2, 3, 4]]</box>, that is [[461, 527]]", (0.461, 0.527)),
        ("[[461, 527], [1, 2]]", (0.461, 0.527)),
        ("[[461, 527, 3]]", UNPARSED),
        ("<|box_start|>(400,500),(600,800)<|box_end|>", UNPARSED),
        ("<box>[[400, 500, 600, 8", UNPARSED),
        ("[[461, 52", UNPARSED),
        ("[[1200, -3]]", (1.2, -0.003)),
        ("[[0.461, 0.527]]", (0.000461, 0.000527)),
        ("［［４６１， ５２７］］", (0.461, 0.527)),
        ("(461, 527)", (0.461, 0.527)),
        ("<box>[[400, 500, 600, 800]]</box> NOT_VISIBLE", CONTRADICTION),
        ('{"bbox_2d": [400, 500, 600, 800]}', UNPARSED),
    ],
    "molmo-100": [
        ('<point x="61.5" y="40.2" alt="mug">mug</point>', (0.615, 0.402)),
        (' <point y="40.2" x="61.5">mug</point>', (0.615, 0.402)),
        ('<points x1="61.5" y1="40.2" x2="70.0" y2="1.0" alt="mugs">mugs</points>', (0.615, 0.402)),
        ('<points x2="70.0" y2="1.0" x1="61.5" y1="40.2">', (0.7, 0.01)),
        ('<points x1="61.5" x2="70.0" y2="1.0">', (0.7, 0.01)),
        ('<point x="1" y="2"><point x="3" y="4">', (0.01, 0.02)),
        ("<point x='61.5' y='40.2'/>", (0.615, 0.402)),
        ("<point x=61.5 y=40.2>", (0.615, 0.402)),
        ("<point x=“61.5” y=“40.2”>", (0.615, 0.402)),
        ("＜point x=＂６１．５＂ y=＂４０．２＂＞", (0.615, 0.402)),
        ('The mug <point x="61.5" y="40.2" alt="the m', (0.615, 0.402)),
        ('<point x="61.5" y="40.2"', (0.615, 0.402)),
        ("<point x=61.5 y=40.2 alt", (0.615, 0.402)),
        ('<point x="61.5" y="40', UNPARSED),
        ("<point x=61.5 y=4", UNPARSED),
        ('<point x="61.5"', UNPARSED),
        ('<point x="61.5" alt="y=3">', UNPARSED),
        ('<point alt="x=1 y=2" x="61.5" y="40.2">', (0.615, 0.402)),
        ('<point x="0.615" y="0.402">', (0.00615, 0.00402)),
        ('<point x="110" y="-3">', (1.1, -0.03)),
        ('<point x="nan" y="3">', UNPARSED),
        ('<point x="1e400" y="3">', UNPARSED),
        ('<point x="61.5%" y="40.2%">', UNPARSED),
        ('<pointer x="61.5" y="40.2">', UNPARSED),
        ('<points coords="1 1 615 402">', UNPARSED),
        ("There are none.", ABSENT),
        ("there are none", ABSENT),
        ('"There are none".', ABSENT),
        ("There are none of those mugs in the second image", UNPARSED),
        ('There are none. <point x="61.5" y="40.2">', CONTRADICTION),
        ('<point x="61.5" y="40.2"> NOT_VISIBLE', CONTRADICTION),
        ("<point " * 20_000 + 'x="61.5" y="40.2">', (0.615, 0.402)),
    ],
    "molmo2-1000": [
        ('<points coords="2 1 615 402">mug</points>', (0.615, 0.402)),
        ('<points coords="2 1 048 002" alt="mug"/>', (0.048, 0.002)),
        ('<points coords="2 1 615 402 2 700 010">mugs</points>', (0.615, 0.402)),
        ('<points coords="1 1 500 500\t2 1 615 402">mug</points>', (0.615, 0.402)),
        ('<points coords="1 1 500 500;2 1 615 402">mug</points>', (0.615, 0.402)),
        ('<points coords="1 1 500 500 2 1 1;2 1 615 402">mug</points>', (0.615, 0.402)),
        ('<points coords="2 1 615 402;1 1 500 500">mug</points>', (0.615, 0.402)),
        ('<points coords="1 1 5 5"><points coords="2 1 615 402">', (0.615, 0.402)),
        # Of another image only: no answer about the second.
        ('<points coords="1 1 500 500">mug</points>', UNPARSED),
        ('<points coords="3 1 500 500">mug</points>', UNPARSED),
        ('<points coords="0.5 1 500 500">mug</points>', UNPARSED),
        # Neither number of images nor of objects can be left out.
        ('<points coords="615 402">mug</points>', UNPARSED),
        ('<points coords="2 615 402">mug</points>', UNPARSED),
        ('<points coords="1 1 500 500 2 1 615 402">mug</points>', UNPARSED),
        ('<points coords="2 1 615 402 2 70', (0.615, 0.402)),
        ('<points coords="2 1 615 402 ', (0.615, 0.402)),
        ('<points coords="2 1 615 402', UNPARSED),
        ('<points coords="2 1 615', UNPARSED),
        ('<points coords="2 1 1200 000">', (1.2, 0)),
        ('<points coords="2 1 0.615 0.402">', (0.000615, 0.000402)),
        ("<points coords='2 1 ６１５ ４０２'>", (0.615, 0.402)),
        ('<points coords="2 1 x y">', UNPARSED),
        ('<points coords="2 1 1e400 402">', UNPARSED),
        ('<points coords="">', UNPARSED),
        ("coords=2 1 615 402", UNPARSED),
        ('<point x="61.5" y="40.2">', UNPARSED),
        ("There are none.", ABSENT),
        ('There are none. <points coords="2 1 615 402">', CONTRADICTION),
        ('<points coords="1 1 615 402"> NOT_VISIBLE', ABSENT),
    ],
    "gemini-yx-1000": [
        ('[{"point": [250, 500], "label": "mug"}]', (0.5, 0.25)),
        ('```json\n[\n  {"point": [250, 500], "label": "mug"}\n]\n```', (0.5, 0.25)),
        ('[{"box_2d": [200, 400, 300, 600], "label": "mug"}]', (0.5, 0.25)),
        ('[{"point": [250, 500]}, {"point": [1, 2]}]', (0.5, 0.25)),
        ('[{"point": [250, 500], "la', (0.5, 0.25)),
        ("[(250, 500)]", (0.5, 0.25)),
        ("[250, 500]", (0.5, 0.25)),
        ("[1, 2] or so. [(250, 500)]", (0.5, 0.25)),
        ('[{"point": [0.25, 0.5]}]', (0.0005, 0.00025)),
        ('[{"point": [-1, 1001]}]', (1.001, -0.001)),
        ('[{"point_2d": [500, 250]}]', UNPARSED),
        ('[{"bbox_2d": [400, 200, 600, 300]}]', UNPARSED),
        ('[{"point": [250]}]', UNPARSED),
        ('[{"point": [250, 500, 3]}]', UNPARSED),
        ('[{"point": [250, 500]}] NOT_VISIBLE', CONTRADICTION),
    ],
}  # fmt: skip
CASES = [(name, text, expected) for name, table in FAMILIES.items() for text, expected in table]


def test_every_convention_has_a_table() -> None:
    assert FAMILIES.keys() == CONVENTIONS.keys()


@pytest.mark.parametrize(
    ("name", "text", "expected"), CASES, ids=[f"{name}: {text[:50]}" for name, text, _ in CASES]
)
def test_family(name: str, text: str, expected: Outcome) -> None:
    assert outcome(CONVENTIONS[name], text) == expected


@pytest.mark.parametrize(
    ("images", "index", "expected"),
    [(1, 1, (0.615, 0.402)), (1, 2, UNPARSED), (3, 3, (0.615, 0.402)), (3, 2, UNPARSED)],
)
def test_molmo2_s_point_must_be_of_the_last_image(
    images: int, index: int, expected: Outcome
) -> None:
    text = f'<points coords="{index} 1 615 402">mug</points>'
    assert outcome(CONVENTIONS["molmo2-1000"], text, images=images) == expected
