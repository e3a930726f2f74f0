"""A disk without room: one line that names a file, and the same command continues once there is room."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from helpers.command_lines import LINES, TORCH, Inputs, make_inputs, words
from x3spatial.cli import run

ROOM = 64
"""Bytes; every file that a command writes is larger."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return make_inputs(tmp_path_factory.mktemp("disk"))


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process grows beyond ``size`` bytes: the error is EFBIG instead of ENOSPC."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("command", [c for c, line in LINES.items() if "{out}" in line])
def test_one_line_and_then_it_continues(
    command: str, inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command in TORCH:
        pytest.importorskip("torch")
    given = words(command, inputs, tmp_path / "out")
    with room_for(ROOM):
        code = run(given)
    lines = capsys.readouterr().err.splitlines()
    assert code == 2 and len(lines) == 1, lines
    assert str(tmp_path) in lines[0] and lines[0].endswith(
        "; make room, then the same command continues"
    )
    hidden = [p for p in tmp_path.rglob("*") if p.is_file() and p.stat().st_size == ROOM]
    assert not [p for p in hidden if not any(part.startswith(".") for part in p.parts)]
    assert run(given) == 0, capsys.readouterr().err


def test_writes_name_their_file(tmp_path: Path) -> None:
    from x3spatial.io.files import naming
    from x3spatial.io.journal import Journal
    from x3spatial.io.json_stream import JsonArrayWriter

    with room_for(ROOM):
        with pytest.raises(OSError) as caught, JsonArrayWriter(tmp_path / "a.json") as writer:
            writer.write("x" * 100)
        assert caught.value.filename == str(tmp_path / "a.json")
        with pytest.raises(OSError) as caught, Journal(tmp_path / "b.jsonl").open() as journal:
            journal.append("x" * 100)
        assert caught.value.filename == str(tmp_path / "b.jsonl")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.jsonl"]
    for error in (
        Exception("I/O error: No space left on device (os error 28)"),
        RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
    ):
        with pytest.raises(OSError) as caught, naming(tmp_path / "c"):
            raise error
        assert caught.value.filename == str(tmp_path / "c")
    with pytest.raises(RuntimeError, match="another"), naming(tmp_path / "c"):
        raise RuntimeError("another")
