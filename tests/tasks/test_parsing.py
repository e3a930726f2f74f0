"""Finding numbers in answer texts: what is taken out of a text before a pair is looked for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x3spatial.tasks.answers import UNPARSED, Answer, AnswerKind, parse_unit
from x3spatial.tasks.geometry import Point
from x3spatial.tasks.parsing import first_pair, mask_json_objects, normalize_characters

values = st.recursive(
    st.integers(-9, 9) | st.text("a(0.1, 2)", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab"), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(st.text("ab"), values, min_size=1, max_size=3).map(json.dumps)
plain = st.text("ab(0.1, 2)[]}", max_size=8) | st.just("{x}")


@given(st.lists(st.tuples(plain, objects), max_size=3), plain)
def test_json_objects_are_masked_and_nothing_else(parts: list[tuple[str, str]], end: str) -> None:
    text = "".join(before + written for before, written in parts) + end
    assert mask_json_objects(text) == "".join(before + "{}" for before, _ in parts) + end


@given(plain, objects, st.data())
def test_an_object_without_an_end_reaches_to_the_end(
    before: str, written: str, data: st.DataObject
) -> None:
    cut = data.draw(st.integers(2, len(written) - 1))
    assert mask_json_objects(before + written[:cut]) == before + "{}"


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ('{"a": {(0.1, 0.2)}, "b": (0.3, 0.4)} (0.5, 0.6)', (0.5, 0.6)),  # a brace without a key
        ('{"a": {"b": {"c": 1}}, "d": (0.3, 0.4)} (0.5, 0.6)', (0.5, 0.6)),
        ('{"a": 1} (0.5, 0.6) {"b": (0.3, 0.4)}', (0.5, 0.6)),
        ("{ 'a': (0.3, 0.4)} [0.5, 0.6]", (0.5, 0.6)),
        ("{(0.5, 0.6)}", (0.5, 0.6)),
        ('{"a": (0.3, 0.4)', None),
        ('(0.5, 0.6) {"a": [(0.3, 0.4)]}', (0.5, 0.6)),
    ],
)
def test_pairs_inside_objects_do_not_count(text: str, pair: tuple[float, float] | None) -> None:
    assert first_pair(text) == pair


def test_full_width_characters_are_those_of_ascii() -> None:
    for code in range(0x21, 0x7F):
        assert normalize_characters(chr(code + 0xFEE0)) == chr(code)
    assert normalize_characters("\u3000\uff5f\uff60") == " \uff5f\uff60"


@pytest.mark.parametrize(
    "text",
    [
        "<thinking>NOT_VISIBLE?</thinking>[(0.5, 0.25)]",
        "<Think>NOT_VISIBLE? No.</THINK>\n[(0.5, 0.25)]",
        '<think effort="high">[(0.9, 0.9)]</think>[(0.5, 0.25)]',
        "<thought>a<thought>b</thought>[(0.9, 0.9)]</thought>[(0.5, 0.25)]",
        "<reasoning>[(0.9, 0.9)]</reasoning>[(0.5, 0.25)]",
        "<seed:think>[(0.9, 0.9)]</seed:think>[(0.5, 0.25)]",
        "[THINK]NOT_VISIBLE? No.[/THINK][(0.5, 0.25)]",
        "\u25c1think\u25b7[(0.9, 0.9)]\u25c1/think\u25b7[(0.5, 0.25)]",
        "<|begin_of_thought|>[(0.9, 0.9)]<|end_of_thought|>[(0.5, 0.25)]",
        "<|START_THINKING|>NOT_VISIBLE<|END_THINKING|>[(0.5, 0.25)]",
        "<unused94>thought\nNOT_VISIBLE<unused95>[(0.5, 0.25)]",
        "NOT_VISIBLE, or is it?</reasoning>[(0.5, 0.25)]",
        "[(0.9, 0.9)] no[/THINK][(0.5, 0.25)]",
        "<|channel|>analysis<|message|>NOT_VISIBLE?<|end|><|start|>assistant<|channel|>final"
        "<|message|>[(0.5, 0.25)]<|return|>",
        "[(0.5, 0.25)]<|im_end|>\n<|im_start|>user\nNOT_VISIBLE",
        "[(0.5, 0.25)]</s> NOT_VISIBLE",
        "[(0.5, 0.25)]<end_of_turn>[(0.9, 0.9)]",
        "<|im_end|>[(0.5, 0.25)]",
        "\\[(0.5, 0.25)\\]",
        "$[(0.5, 0.25)]$",
        "**[(0.5, 0.25)]**",
        "[(**0.5**, `0.25`)]",
        "[($0.5$, $0.25$)]",
        "\\boxed{[(0.5, 0.25)]}",
        "[\\left(0.5,\\, 0.25\\right)]",
        "[(0.5\u200b, 0.\u200d25)]",
        "[(_0.5_, _0.25_)]",
    ],
)
def test_what_is_around_an_answer(text: str) -> None:
    assert parse_unit(text) == Answer(AnswerKind.POINT, Point(0.5, 0.25))


@pytest.mark.parametrize(
    "text",
    [
        "NOT\\_VISIBLE", "**NOT\\_VISIBLE**", "$\\text{NOT\\_VISIBLE}$", "NOT_\u200bVISIBLE", "`NOT_VISIBLE`",
        "\ufeffNOT_VISIBLE", "NOT_\u00adVISIBLE.", "<think>[(0.5, 0.5)]</think>NOT_VISIBLE",
        "NOT_VISIBLE<|eot_id|>[(0.5, 0.5)]", "\\mathrm{NOT\\_VISIBLE}", "[THINK]x[/THINK]not\\_visible",
    ],
)  # fmt: skip
def test_the_token_in_other_clothes(text: str) -> None:
    assert parse_unit(text) == Answer(AnswerKind.NOT_VISIBLE)


@pytest.mark.parametrize(
    "text",
    [
        "<thinking>[(0.5, 0.25)]", "[THINK]NOT_VISIBLE", "<reasoning>NOT_VISIBLE [(0.5, 0.25)]",
        "\u25c1think\u25b7[(0.5, 0.25)]", "<|channel|>analysis<|message|>[(0.5, 0.25)]",
        "<|im_end|>", "it is\\_not\\_visible there", "NOT_\u200bVISIBLEX",
    ],
)  # fmt: skip
def test_no_answer_in_it(text: str) -> None:
    assert parse_unit(text) == UNPARSED


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("2*3", "2*3"), ("2**3", "2**3"), ("a_1_b", "a_1_b"), ("0.5 * (2)", "0.5 * (2)"), ("x_1", "x_1"),
        ("**0.5**", "0.5"), ("$-3$", "-3"), ("3\u00b2", "3\u00b2"), ("`12`px", "12`px"), ("1\\,000", "1000"),
    ],
)  # fmt: skip
def test_numbers_keep_their_value(text: str, plain: str) -> None:
    assert normalize_characters(text) == plain
