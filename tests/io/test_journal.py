"""The journal keeps whole lines, whatever a killed run left."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from x3spatial.io.journal import Journal


@given(st.lists(st.dictionaries(st.text(max_size=3), st.integers()), max_size=5), st.data())
def test_a_journal_cut_anywhere_keeps_its_whole_lines(
    values: list[dict[str, int]], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "j"
        with Journal(path).open() as journal:
            offsets = [journal.append(value) for value in values]
        whole = path.read_bytes()
        cut = data.draw(st.integers(0, len(whole)))
        path.write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        journal = Journal(path)
        assert list(journal.entries()) == list(zip(offsets, values, strict=True))[:kept]
        with journal.open():
            offset = journal.append({"new": 1})
        assert [value for _, value in journal.entries()] == [*values[:kept], {"new": 1}]
        assert journal.value_at(offset) == {"new": 1}


@pytest.mark.parametrize(
    "damaged", [b'{"id"\n', b"[" * 100_000 + b"\n", b"\xff\xfe\n", b"\n", b"\0\0\0\n"]
)
@pytest.mark.parametrize("whole", [0, 1, 2])
def test_what_is_appended_after_damage_is_read(damaged: bytes, whole: int, tmp_path: Path) -> None:
    """A damaged line, also the first, is dropped with all that follows: nothing is written behind it."""
    path = tmp_path / "j"
    kept = [{"n": number} for number in range(whole)]
    lines = b"".join(json.dumps(value).encode() + b"\n" for value in kept)
    path.write_bytes(lines + damaged + lines)
    with Journal(path).open() as journal:
        journal.append({"new": 1})
    assert [value for _, value in Journal(path).entries()] == [*kept, {"new": 1}]
