"""Tables in terminals of any width: names and figures stay whole."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x3spatial.tables import Line, Table, figure
from x3spatial.texts import counted, printable, quoted, shortened

WORDS = st.text("abcdefgh-:_*", min_size=1, max_size=14)
NAMES = st.lists(WORDS, min_size=1, max_size=2).map("-".join)
FIGURES = st.builds(
    figure,
    st.none() | st.integers(0, 10**6) | st.floats(0, 1, allow_nan=False),
    st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
HEADS = st.lists(WORDS, min_size=1, max_size=3).map(" ".join)


@st.composite
def tables(draw: st.DrawFn) -> Table:
    columns = draw(st.lists(HEADS, min_size=2, max_size=14))
    rows = draw(st.lists(st.tuples(NAMES, *(FIGURES for _ in columns[1:])), min_size=1, max_size=5))
    return Table(draw(HEADS), tuple(columns), tuple(rows), (draw(HEADS),))


def whole(cell: str, text: str) -> bool:
    """Whether ``cell`` stands in one line of ``text``, not as a part of a longer word."""
    return re.search(rf"(?<!\S){re.escape(cell)}(?!\S)", text) is not None


@given(tables(), st.integers(60, 200))
def test_nothing_is_cut_and_no_line_is_wider_than_the_terminal(table: Table, width: int) -> None:
    text = table.text(width)
    assert "…" not in text
    for row in table.rows:
        for cell in row:
            assert whole(cell, text), cell
    for word in " ".join(table.columns).split():
        assert whole(word, text), word
    assert max(map(len, text.splitlines())) <= width


@given(tables())
def test_a_file_has_one_line_per_row(table: Table) -> None:
    lines = table.text().splitlines()
    assert len(lines) == 2 + len(table.rows) + 1
    for row, line in zip(table.rows, lines[2:], strict=False):
        assert re.split(r" {2,}", line) == list(row)


@given(tables(), st.integers(60, 200))
def test_each_figure_stands_beside_its_name_and_below_its_head(table: Table, width: int) -> None:
    """Read back from the text by the end of each column (figures are right-aligned)."""
    heads = [f"h{number}" for number in range(len(table.columns) - 1)]
    marked = Table("", ("", *heads), table.rows)
    found: list[dict[str, str]] = [{} for _ in marked.rows]
    columns: list[tuple[str, int]] = []
    number = 0
    for kind, line in marked.lines(width):
        if kind is Line.HEAD:
            columns = [(match[0], match.end()) for match in re.finditer(r"h\d+", line)]
            number = 0
        elif line:
            for head, end in columns:
                cell = re.search(r"(?:\S+ \[\S+ \S+\]|\S+)$", line[:end])
                assert cell is not None
                found[number][head] = cell[0]
            number += 1
    if columns:  # not blocks, which have a line per figure
        assert [list(row.values()) for row in found] == [list(row[1:]) for row in marked.rows]


def test_a_name_that_leaves_no_room_gets_a_block() -> None:
    name = "runs/train/" + "a" * 60
    table = Table("t", ("", "Hit@Mask", "mean L2"), ((name, "0.615 [0.55, 0.68]", "0.1"),))
    assert table.text(70).splitlines() == [
        "t",
        name,
        "  Hit@Mask  0.615 [0.55, 0.68]",
        "  mean L2   0.1",
    ]


def test_several_parts_repeat_all_keys() -> None:
    rows = (("Task1", "sift", *["0.123"] * 12),)
    text = Table("", ("set", "model", *["metric"] * 12), rows, keys=2).text(60)
    assert text.count("Task1") == text.count("sift") == 2
    assert text.count("0.123") == 12


def test_text_is_broken_at_blanks_alone() -> None:
    described = "a model behind an OpenAI-compatible server, openai:MODEL --base-url URL"
    table = Table("", ("", ""), (("openai", described),), prose=True)
    lines = table.text(40).splitlines()
    assert max(map(len, lines)) <= 40 and len(lines) == 3
    assert " ".join(" ".join(lines).split()) == f"openai {described}"
    assert table.text() == f"openai  {described}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\x1b[31mb", r"a\x1b[31mb"),
        ("a\x9b31mb", r"a\x9b31mb"),
        ("a\x07\x00b", r"a\x07\x00b"),
        ("a\u202eb\u2066", r"a\u202eb\u2066"),
        ("a\udcfcb", r"a\udcfcb"),
        ("a\u2028b", r"a\u2028b"),
        ("naïve 値 😀", "naïve 値 😀"),
        ("two\nlines\t", "two\nlines\t"),
    ],
)
def test_what_steers_a_terminal_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    cell = Table(text, ("h", "x"), ((text, "1"),), (text,)).text(60)
    assert printable(cell) == cell and not set(cell) & set("\x1b\x9b\x07\u202e\udcfc")


def test_a_cell_stays_on_its_line() -> None:
    assert Table("", ("a", "b"), (("x\ny\tz", "1"),)).text() == "a        b\nx\\ny\\tz  1"


def test_quotes_are_short_and_say_what_is_left_out() -> None:
    assert quoted("a\n b") == "'a b'"
    assert shortened("x" * 200) == "x" * 200
    assert shortened("x" * 1300) == "x" * 200 + "… (1,100 more characters)"


def test_counted() -> None:
    assert [counted(n, "scene") for n in (0, 1, 2, 1000)] == [
        "0 scenes", "1 scene", "2 scenes", "1,000 scenes",
    ]  # fmt: skip
