"""Finding numbers in answer texts: what is taken out of a text before a pair is looked for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
