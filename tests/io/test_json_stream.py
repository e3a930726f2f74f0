"""JSON arrays written as a stream."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from x3spatial.errors import UserError
from x3spatial.io.json_stream import JsonArrayWriter, iter_array


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


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.json", '[{"n": 1},\n{"n": 2}]\n'),
        ("a.jsonl", '{"n": 1}\n{"n": 2}'),
        ("a.JSONL", '\n{"n": 1}\r\n\n{"n": 2}\n\n'),
    ],
)
def test_arrays_and_lines_are_read(name: str, text: str, mark: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(mark + text.encode())
    assert list(iter_array(tmp_path / name)) == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_no_records(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("[]" if name == "a.json" else "\n")
    assert list(iter_array(tmp_path / name)) == []


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "", r"expected a JSON array of records \(is this"),
        ("a.json", '{"n": 1}\n{"n": 2}', r"one record per line"),
        ("a.json", '[{"n": 1}', "found 'the end of the file'"),
        ("a.json", '[{"n": 1},', "Expecting value"),
        ("a.json", "[", "found the end of the file"),
        ("a.json", '[{"n": 1} {"n": 2}]', "expected ',' or ']'"),
        ("a.json", "[1] 2", "text after the end"),
        ("a.json", "[] 2", "text after the end"),
        ("a.jsonl", '{"n": 1}\n{"n": ', "cannot read this task file"),
        ("a.json", "[" * 100_000, "nested too deep"),
    ],
)
def test_malformed_files_are_named(name: str, text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=rf"{name}: .*{message}"):
        list(iter_array(tmp_path / name))
