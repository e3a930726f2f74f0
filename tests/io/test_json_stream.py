"""JSON arrays written as a stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from x3spatial.io.json_stream import JsonArrayWriter


def test_array_writer_leaves_the_old_file_if_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with JsonArrayWriter(path) as writer:
        writer.write({"n": 1})
    with pytest.raises(RuntimeError), JsonArrayWriter(path) as writer:
        writer.write({"n": 2})
        raise RuntimeError
    assert json.loads(path.read_text()) == [{"n": 1}]
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_array_is_valid_json_one_record_per_line(count: int, tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with JsonArrayWriter(path) as writer:
        for number in range(count):
            writer.write({"text": "line\nbreak é", "n": number})
    assert len(json.loads(path.read_text(encoding="utf-8"))) == count
    assert len(path.read_text(encoding="utf-8").splitlines()) == (1 if count == 0 else count + 2)
