"""A build in a folder that holds an earlier one leaves what a build from scratch leaves."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.roots import box_mask, make_root, tree_bytes, write_view
from x3spatial.builder.run import build_tasks

OBJECT = Path("train/train_0/uid_0")
Change = Callable[[Path], Any]


def remove(*paths: Path) -> None:
    for path in paths:
        path.unlink()


CHANGES: dict[str, Change] = {
    "nothing": lambda root: None,
    "an object removed": lambda root: shutil.rmtree(root / OBJECT),
    "an object without problems removed": lambda root: shutil.rmtree(
        root / OBJECT.parent / "uid_1"
    ),
    "an object added": lambda root: write_view(
        root / "train/train_0/uid_7", 1, box_mask(3, 3, 9, 9)
    ),
    "a view removed": lambda root: remove(*(root / OBJECT).glob("02_*")),
    "a view damaged": lambda root: (root / OBJECT / "02_000020_original.png").write_bytes(b"no"),
    "a label": lambda root: ((root / OBJECT).parent / "train_0_uid_0_five_frames.json").write_text(
        '{"label": "lamp"}'
    ),
    "a stray file added": lambda root: (root / "train/stray.txt").touch(),
    "a stray file removed": lambda root: remove(root / "validation/notes.txt"),
    "a stray view file removed": lambda root: remove(root / OBJECT / "x_original.png"),
    "a split removed": lambda root: shutil.rmtree(root / "validation"),
}
OPTIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a lower limit": ({}, {"limit": 1}),
    "a higher limit": ({"limit": 1}, {"limit": 2}),
    "a split": ({}, {"splits": ("train",)}),
    "all splits": ({"splits": ("train",)}, {}),
    "another rank": ({}, {"anchor_k": 2}),
    "fewer tasks": ({}, {"tasks": ("t2b",)}),
    "another seed": ({}, {"seed": 43}),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = make_root(tmp_path / "root")
    (root / "validation" / "notes.txt").touch()
    (root / OBJECT / "x_original.png").touch()
    return root


def files(out: Path) -> dict[str, bytes]:
    """All files of a build; the manifest without its ``run`` object."""
    found = tree_bytes(out)
    manifest = json.loads(found.pop("build.json"))
    del manifest["run"]
    return {**found, "build.json": json.dumps(manifest).encode()}


@pytest.mark.parametrize("tasks", [("t1", "t2a"), ("t2b",)])  # with and without rendered images
@pytest.mark.parametrize("change", CHANGES)
def test_the_root_changed(change: str, tasks: tuple[str, ...], root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_tasks(root, out, tasks=tasks, workers=1)
    before = files(out)
    CHANGES[change](root)
    build_tasks(root, out, tasks=tasks, workers=1)
    updated = files(out)
    build_tasks(root, out, tasks=tasks, workers=1, fresh=True)
    assert updated == files(out)
    assert (updated == before) is (change == "nothing")


@pytest.mark.parametrize("change", OPTIONS)
def test_the_options_changed(change: str, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first, second = OPTIONS[change]
    build_tasks(root, out, workers=1, **first)
    build_tasks(root, out, workers=1, **second)
    updated = files(out)
    build_tasks(root, out, workers=1, fresh=True, **second)
    assert updated == files(out)


@pytest.mark.parametrize("lost", ["build.json", "t1_train_multi.json", ".x3-build.jsonl"])
def test_a_file_lost(lost: str, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    build_tasks(root, out, workers=1)
    before = files(out)
    (out / lost).unlink()
    built = build_tasks(root, out, workers=1).objects_built
    assert built == (4 if lost == ".x3-build.jsonl" else 0)
    assert files(out) == before


def test_folders_in_another_spelling_are_the_same_build(tmp_path: Path) -> None:
    root = make_root(tmp_path / "views", objects=1)
    (tmp_path / "link").symlink_to(tmp_path)
    build_tasks(root, tmp_path / "tasks", workers=1)
    before = tree_bytes(tmp_path / "tasks", hidden=True)
    for there in (f"{root}/.", tmp_path / "link" / "views", os.path.relpath(root)):
        for out in (tmp_path / "tasks", tmp_path / "link" / "tasks"):
            assert build_tasks(there, out, workers=1, alpha=0.45).objects_built == 0
            assert tree_bytes(tmp_path / "tasks", hidden=True) == before
    again = build_tasks(tmp_path / "link" / "views", tmp_path / "tasks", workers=1, fresh=True)
    assert again.manifest["data_root"] == str(tmp_path / "link" / "views")


def test_whole_numbers_are_the_same_build(tmp_path: Path) -> None:
    root = make_root(tmp_path / "views", objects=1)
    build_tasks(root, tmp_path / "tasks", workers=1, alpha=1.0)
    assert build_tasks(root, tmp_path / "tasks", workers=1, alpha=1).objects_built == 0
