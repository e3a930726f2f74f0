"""Every command × every way to name the wrong thing: one line, exit code 2 or 1, no traceback."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.command_lines import LINES, TORCH, Inputs, make_inputs, words
from x3spatial.cli import run
from x3spatial.cli.table import ENTRIES

WITHOUT_ARGUMENTS = {"models", "conventions", "help", "version"}
"""Commands that need none."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    return make_inputs(tmp_path_factory.mktemp("misuse"))


def test_every_command_has_a_line() -> None:
    assert set(LINES) == {entry.path for entry in ENTRIES if entry.target is not None}


def _missing(path: Path, _: Path) -> None:
    assert not path.exists()


def _empty(path: Path, _: Path) -> None:
    path.write_bytes(b"")


def _garbage(path: Path, _: Path) -> None:
    path.write_bytes(bytes(range(256)) * 40)


def _text(path: Path, _: Path) -> None:
    path.write_text("[" * 5000)


def _other_kind(path: Path, right: Path) -> None:
    """A folder for a file, a file for a folder."""
    if right.is_dir():
        path.write_text("{}")
    else:
        path.mkdir()


def _empty_folder(path: Path, _: Path) -> None:
    path.mkdir()


def _unreadable(path: Path, right: Path) -> None:
    if right.is_dir():
        path.mkdir()
    else:
        path.write_bytes(right.read_bytes())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user can read everything")


def _loop(path: Path, _: Path) -> None:
    path.symlink_to(path)


WRONG: dict[str, Callable[[Path, Path], None]] = {
    "missing": _missing,
    "empty": _empty,
    "garbage": _garbage,
    "deep": _text,
    "other kind": _other_kind,
    "empty folder": _empty_folder,
    "unreadable": _unreadable,
    "loop": _loop,
}
PLACES = [
    (command, name)
    for command, line in LINES.items()
    for name in dict.fromkeys(re.findall(r"\{(\w+)\}", line))
    if name != "out"
]


def _check(command: str, given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if command in TORCH:
        pytest.importorskip("torch")
    code = run(given)
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert code in (1, 2), (given, captured)
    assert "Traceback" not in captured.err and "internal error" not in captured.err
    if code == 2:
        assert len(lines) == 1 and lines[0].startswith("x3"), captured.err
    else:
        assert captured.out or lines


@pytest.mark.parametrize("how", WRONG)
@pytest.mark.parametrize(("command", "name"), PLACES)
def test_a_wrong_input(
    command: str,
    name: str,
    how: str,
    inputs: Inputs,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    right = getattr(inputs, name)
    wrong = tmp_path / f"wrong{right.suffix}"
    WRONG[how](wrong, right)
    _check(command, words(command, inputs, tmp_path / "out", **{name: wrong}), capsys)


@pytest.mark.parametrize("command", [c for c, line in LINES.items() if "{out}" in line])
@pytest.mark.parametrize("how", ["under a file", "too long"])
def test_a_wrong_output(
    command: str, how: str, inputs: Inputs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    out = tmp_path / "file" / "out" if how == "under a file" else tmp_path / ("n" * 300)
    _check(command, words(command, inputs, out), capsys)
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("command", LINES)
def test_no_arguments(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    if command in WITHOUT_ARGUMENTS:
        assert run(command.split()) == 0
    else:
        _check(command, command.split(), capsys)


@pytest.mark.parametrize("command", LINES)
def test_an_unknown_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    _check(command, [*command.split(), "--no-such-option"], capsys)
