"""Label files and scene.json that hold something else, or are no files."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from helpers.roots import box_mask, write_view
from x3spatial.cli import run
from x3spatial.roots.layout import list_object, list_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for rank in (1, 2):
        write_view(tmp_path / "root/train/s0/uid_1", rank, box_mask(10, 10, 20, 20))
    return tmp_path / "root"


LABELS: dict[str, tuple[Any, str]] = {
    "null": ({"label": None}, "label is not a text but of type NoneType"),
    "list": ({"label": ["chair"]}, "label is not a text but of type list"),
    "nan": ({"label": float("nan")}, "label is not a text but of type float"),
    "array": (["chair"], "label is not a text but of type list"),
    "surrogate": ({"label": "\ud800"}, "label is not valid Unicode"),
}


@pytest.mark.parametrize("kind", [*LABELS, "twice", "fifo", "device", "folder", "dangling", "deep"])
@pytest.mark.parametrize("command", ["audit", "build"])
def test_a_label_that_is_none_is_reported(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str, kind: str
) -> None:
    path = root / "train/s0/s0_uid_1_five_frames.json"
    if kind in LABELS:
        path.write_text(json.dumps(LABELS[kind][0]))
    elif kind == "twice":
        path.write_text('{"label": "chair", "label": "table"}')
    elif kind == "deep":
        path.write_text("[" * 100_000)
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else "nowhere")
    reason = {
        "twice": "key 'label' occurs twice", "fifo": "not a regular file", "device": "not a regular file",
        "folder": "Is a directory", "dangling": "No such file", "deep": "nested too deep",
    }.get(kind) or LABELS[kind][1]  # fmt: skip
    (key,) = list_root(root).objects
    problems = list_object(key, root / "train/s0/uid_1").problems
    assert any(problem.path == str(path) and reason in problem.reason for problem in problems)
    arguments = {"audit": ["audit", root], "build": ["build", root, "-o", tmp_path / "out"]}[
        command
    ]
    assert run([str(part) for part in arguments]) == (1 if command == "audit" else 0)
    printed = "".join(capsys.readouterr())
    assert "five_frames.json" in printed or "label" in printed


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "twice"])
def test_a_scene_file_that_is_none_is_reported(root: Path, kind: str) -> None:
    path = root / "train/s0/scene.json"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        path.write_text('{"place": "a", "place": "b"}')
    problems = list_root(root).problems
    assert any(
        problem.path == str(path) and "cannot be read" in problem.reason for problem in problems
    )
