"""Answers as models write them: what each convention reads, and what it leaves unparsed on purpose.

The point is (0.5, 0.25) wherever there is one; images are 640 x 480.
"""

from __future__ import annotations

import pytest

from helpers.convention_cases import ABSENT, CONTRADICTION, UNPARSED, Outcome, outcome
from x3spatial.conventions.registry import CONVENTIONS

POINT = (0.5, 0.25)

CASES: dict[str, list[tuple[Outcome, list[str]]]] = {
    "fraction": [
        (POINT, [
            '<think>\nmaybe [(0.9, 0.9)]\n</think>\n\n[(0.5, 0.25)]',
            'maybe [(0.9, 0.9)] NOT_VISIBLE</think>[(0.5, 0.25)]',
            '\u25c1think\u25b7 NOT_VISIBLE? \u25c1/think\u25b7[(0.5, 0.25)]',
            '<|channel|>analysis<|message|>[(0.9, 0.9)]<|end|><|start|>assistant<|channel|>final<|message|>[(0.5, 0.25)]<|return|>',  # noqa: E501
            'analysis[(0.9, 0.9)] NOT_VISIBLEassistantfinal[(0.5, 0.25)]',
            '<seed:think>NOT_VISIBLE</seed:think>[(0.5, 0.25)]',
            '<unused94>thought\n[(0.9,0.9)]<unused95>[(0.5, 0.25)]',
            '<|START_THINKING|>NOT_VISIBLE<|END_THINKING|><|START_RESPONSE|>[(0.5, 0.25)]<|END_RESPONSE|>',
            '<reasoning>NOT_VISIBLE</reasoning><answer>[(0.5, 0.25)]</answer>',
            '<thought>[(0.9, 0.9)]</thought>\n[(0.5, 0.25)]',
            '<|begin_of_thought|>NOT_VISIBLE<|end_of_thought|><|begin_of_solution|>[(0.5, 0.25)]<|end_of_solution|>',  # noqa: E501
            '<mm:think>[(0.9, 0.9)]</mm:think>[(0.5, 0.25)]',
            '<SUMMARY>x</SUMMARY><CAPTION>y</CAPTION><REASONING>NOT_VISIBLE? [(0.9, 0.9)]</REASONING><CONCLUSION>[(0.5, 0.25)]</CONCLUSION>',  # noqa: E501
            '<cot>NOT_VISIBLE</cot>[(0.5, 0.25)]',
            '<internal_monologue>[(0.9, 0.9)]</internal_monologue>[(0.5, 0.25)]',
            '<thinking_process>NOT_VISIBLE</thinking_process>[(0.5, 0.25)]',
            '&lt;think&gt;[(0.9, 0.9)]&lt;/think&gt;[(0.5, 0.25)]',
            '<think>a <think> b</think> [(0.9,0.9)] </think>[(0.5, 0.25)]',
            '<|thought|>[(0.9, 0.9)]<|/thought|>[(0.5, 0.25)]',
            '<|channel>thought\n[(0.9, 0.9)]<channel|>[(0.5, 0.25)]',
            '<|im_start|>think\n[(0.9,0.9)]<|im_end|><|im_start|>answer\n[(0.5, 0.25)]<|im_end|>',
            '\\boxed{[(0.5, 0.25)]}',
            '<|begin_of_box|>[(0.5, 0.25)]<|end_of_box|>',
            '<think>NOT_VISIBLE</think><answer><|begin_of_box|>[(0.5, 0.25)]<|end_of_box|></answer>',
            '\\[(0.5, 0.25)\\]',
            '$$[(0.5, 0.25)]$$',
            '$(0.5, 0.25)$',
            '\\( (0.5, 0.25) \\)',
            '$\\left[\\left(0.5, 0.25\\right)\\right]$',
            '**[(0.5, 0.25)]**',
            '[(**0.5**, **0.25**)]',
            '`[(0.5, 0.25)]`',
            '```python\n[(0.5, 0.25)]\n```',
            '\uff3b\uff08\uff10\uff0e\uff15\uff0c\uff10\uff0e\uff12\uff15\uff09\uff3d',
            '\uff080.5\uff0c0.25\uff09',
            '[(0.5\uff0c0.25)]',
            '[(0.5\u30010.25)]',
            '[(\u0660.\u0665, \u0660.\u0662\u0665)]',
            '[(0\u066b5, 0\u066b25)]',
            '[(0.5,\xa00.25)]',
            '[(0.5\u202f,\u200a0.25)]',
            '[\u200b(0.5, 0.\u200b25)]',
            '\u202a[(0.5, 0.25)]\u202c',
            '[(0.5, 0.25\u200e)]',
            '[&#40;0.5, 0.25&#41;]',
            '\\textbf{[(0.5, 0.25)]}',
            '[(0.5,0.25)]<|eot_id|><|start_header_id|>user<|end_header_id|>NOT_VISIBLE',
            '[(0.5,0.25)]</s>NOT_VISIBLE',
            '[(0.5,0.25)]<|im_end|>NOT_VISIBLE',
            '[(0.5,0.25)]<turn|>NOT_VISIBLE',
            '[(0.5,0.25)]<\uff5cend\u2581of\u2581sentence\uff5c>NOT_VISIBLE',
            '[(0.5,0.25)]<|eos|>NOT_VISIBLE',
            '[(0.5,0.25)]<|user|>NOT_VISIBLE',
            '[(0.5,0.25)][|endofturn|]NOT_VISIBLE',
            '[(0.5,0.25)]<|endofturn|>NOT_VISIBLE',
            '[(0.5,0.25)]<|fim_pad|>',
            '[(0.5, 0.25), (0.1, 0.1)]',
            '[[0.5, 0.25]]',
            '(0.5, 0.25)',
            '[0.5, 0.25]',
            '["(0.5, 0.25)"]',
            '[("0.5", "0.25")]',
            '[(+0.5, .25)]',
            '[(5e-1, 2.5E-1)]',
            '[(0.5, 0.25,)]',
            '<|user|>[(0.5, 0.25)]',
            '<|im_start|>assistant\n[(0.5, 0.25)]<|im_end|>\n<|im_start|>user\nNOT_VISIBLE',
            '[(0.5, 0.25)]<|im_start|>user NOT_VISIBLE',
            '[(0.5, 0.25)]<start_of_turn>user\nNOT_VISIBLE',
            '[(0.5, 0.25)] [INST] NOT_VISIBLE [/INST]',
            'analysis of the scene: [(0.5, 0.25)]',
            'a &lt; b, [(0.5, 0.25)]',
        ]),
        (UNPARSED, [
            '<think>maybe [(0.9, 0.9)]',
            '[THINK]NOT_VISIBLE',
            'I would say INVISIBLE',
            'NOT VISIBLE',
            'not-visible',
            '[(x=0.5, y=0.25)]',
            '[(0.5; 0.25)]',
            '[(0,5, 0,25)]',
            '[(0.5 0.25)]',
            '[(1/2, 1/4)]',
            '[(0.5\xb2,0.25)]',
            '[(50%, 25%)]',
            'NOT_VISIBLE_2',
            'IS_NOT_VISIBLE',
            '_NOT_VISIBLE',
            '[(0.5, 0.25, 0.9)]',
        ]),
        (ABSENT, [
            '<think>\n\n</think>\n\nNOT_VISIBLE',
            '<answer>NOT_VISIBLE</answer>',
            'NOT&#95;VISIBLE',
            'NOT\\\\_VISIBLE',
            'NOT\u2060_\u2060VISIBLE',
            '\uff2e\uff2f\uff34\uff3f\uff36\uff29\uff33\uff29\uff22\uff2c\uff25',
            '"NOT_VISIBLE"',
            'not_visible.',
            '_NOT_VISIBLE_',
            '__NOT_VISIBLE__',
            '*NOT_VISIBLE*',
            '\\texttt{NOT\\_VISIBLE}',
            '\\mathtt{NOT\\_VISIBLE}',
            '\\operatorname{NOT\\_VISIBLE}',
        ]),
        (CONTRADICTION, [
            '**Thinking:** NOT_VISIBLE?\n**Answer:** [(0.5, 0.25)]',
            '[(0.5,0.25)]\nUser: NOT_VISIBLE',
        ]),
    ],
    "percent": [
        (POINT, [
            '[(50%, 25%)]',
            '[(50 %, 25 %)]',
            '[(50\\%, 25\\%)]',
            '[(50.0\uff05, 25.0\uff05)]',
        ]),
    ],
    "thousand": [
        (POINT, [
            '[(500, 250)]',
        ]),
        (UNPARSED, [
            '[(1,000, 250)]',
        ]),
    ],
    "pixel": [
        (POINT, [
            '[(320px, 120px)]',
            '[(320 px, 120 px)]',
            '[(320, 120)]',
            '[(320 pixels, 120 pixels)]',
        ]),
    ],
    "qwen3-1000": [
        (POINT, [
            '```json\n[\n\t{"point_2d": [500, 250], "label": "mug"}\n]\n```',
            '{"point_2d": [500, 250]}',
            "[{'point_2d': [500, 250]}]",
            '[{"point_2d": "500, 250"}]',
            '[{"point_2d": "[500, 250]"}]',
            '[{"point_2d": [[500, 250]]}]',
            '[{"point_2d": {"x": 500, "y": 250}}]',
            '[{\u201cpoint_2d\u201d: [500, 250]}]',
            '[{"point2d": [500, 250]}]',
            '[{"points_2d": [500, 250]}]',
            '[{point_2d: [500, 250]}]',
            '[{"Point_2D": [500, 250]}]',
            '[{\\"point_2d\\": [500, 250]}]',
            '"[{\\"point_2d\\": [500, 250], \\"label\\": \\"mug\\"}]"',
            '[{"point_2d": [500.0, 250.0]}]',
            '[{"point_2d": ["500 ", " 250"]}]',
            '[{"label": "mug", "point_2d": [500, 250]',
            '[{"bbox_2d": [400, 200, 600, 300]}]',
            '[{"bbox_2d": [[400, 200], [600, 300]]}]',
            '[{"point_2d": [500, 250], "bbox_2d": [1,1,2,2]}]',
            '[{"bbox": [400, 200, 600, 300]}]',
            '[{"point_2d": null}, {"point_2d": [500, 250]}]',
            '<points x1="500" y1="250" alt="mug">mug</points>',
            '<point>(500, 250)</point>',
            '[(500, 250)]',
            '(500,250)',
            '[{"point_2d": [[500, 250], [100, 100]]}]',
            '[{"bbox_2d": "400, 200, 600, 300"}]',
        ]),
        (UNPARSED, [
            '[{"point": [500, 250]}]',
            '[{"point_2d": [500 250]}]',
            '[{"point_2d": [500, 25',
            '{}',
            '[{}]',
            'None',
            'The mug is hidden. There are none.',
            '<point x="500" y="250">mug</point>',
            '<|box_start|>(500,250)<|box_end|>',
            '<tool_call>{"name": "click", "arguments": {"coordinate": [500, 250]}}</tool_call>',
            '{"coordinate": [500, 250]}',
        ]),
        (ABSENT, [
            '[{"point_2d": null}]',
            '[{"bbox_2d": null, "label": "mug"}]',
            '[{"point_2d": []}]',
            '[]',
            '```json\n[]\n```',
            'null',
            '[{"point_2d": "NOT_VISIBLE"}]',
            '{"answer": "NOT_VISIBLE"}',
            'There are none.',
            '**There are none.**',
            '[{"point_2d": [null, null]}]',
            '[{"point_2d": "null"}]',
            '[{"point_2d": "none"}]',
        ]),
        ((-0.001, -0.001), [
            '[{"point_2d": [-1, -1]}]',
        ]),
        ((0.4, 0.2), [
            '[{"bbox_2d": [[400, 200], [600, 300], [1, 1]]}]',
        ]),
    ],
    "qwen2-1000": [
        (POINT, [
            '<|box_start|>(500,250)<|box_end|>',
            '<|object_ref_start|>mug<|object_ref_end|><|box_start|>(400,200),(600,300)<|box_end|>',
            '(400,200),(600,300)',
        ]),
        (UNPARSED, [
            '[400, 200, 600, 300]',
        ]),
    ],
    "internvl-1000": [
        (POINT, [
            '[[500, 250]]',
            '<box>[[400, 200, 600, 300]]</box>',
            '<ref>mug</ref><box>[[400, 200, 600, 300]]</box>',
            '<point>[[500, 250]]</point>',
            '[500, 250]',
        ]),
        (UNPARSED, [
            '[[]]',
            '[]',
        ]),
    ],
    "molmo-100": [
        (POINT, [
            '<point x="50.0" y="25.0" alt="mug">mug</point>',
            "<point x='50' y='25' alt='mug'>mug</point>",
            '<points x1="50" y1="25" x2="1" y2="1" alt="mug">mug</points>',
            '&lt;point x="50.0" y="25.0" alt="mug"&gt;mug&lt;/point&gt;',
            '<point x=\u201c50.0\u201d y=\u201c25.0\u201d alt="mug">mug</point>',
            '<Point X="50.0" Y="25.0">mug</Point>',
            '<point p=001 x="50" y="25">',
        ]),
        (UNPARSED, [
            '<point x="50.0%" y="25.0%">mug</point>',
            "This isn't in the image.",
            'x="50.0" y="25.0"',
            'Click(50.0, 25.0)',
        ]),
        (ABSENT, [
            'There are none.',
            ' There are none',
            'there are none!',
        ]),
    ],
    "molmo2-1000": [
        (POINT, [
            '<points coords="2 1 500 250">mug</points>',
            '<points coords="1 1 100 100\t2 1 500 250">mug</points>',
            '<points coords="1 1 100 100;2 1 500 250">mug</points>',
            "<points coords='2 1 500 250'>mug</points>",
        ]),
        (UNPARSED, [
            '<points coords="1 1 100 100">mug</points>',
        ]),
        (ABSENT, [
            'There are none.',
        ]),
    ],
    "gemini-yx-1000": [
        (POINT, [
            '[{"point": [250, 500], "label": "mug"}]',
            '```json\n[{"point": [250, 500]}]\n```',
            '[{"box_2d": [200, 400, 300, 600]}]',
            '[{"point": {"y": 250, "x": 500}}]',
            '[{"point": {"x": 500, "y": 250}}]',
            '[{"point": "250, 500"}]',
            '[250, 500]',
            '[{"box_2d": [[200, 400], [300, 600]]}]',
            '[{"Point": [250, 500]}]',
        ]),
        (ABSENT, [
            '[]',
            '{"point": null}',
        ]),
        (UNPARSED, [
            'There are none.',
            '[{"point_2d": [250, 500]}]',
        ]),
    ],
    "unit": [
        (POINT, [
            '[(0.5, 0.25)]',
        ]),
        (UNPARSED, [
            '[]',
            'There are none.',
        ]),
    ],
}  # fmt: skip

ROWS = [
    (name, text, expected)
    for name, groups in CASES.items()
    for expected, texts in groups
    for text in texts
]


@pytest.mark.parametrize(
    ("name", "text", "expected"), ROWS, ids=[f"{name}: {text[:60]}" for name, text, _ in ROWS]
)
def test_answer(name: str, text: str, expected: Outcome) -> None:
    assert outcome(CONVENTIONS[name], text) == expected
