"""A root that is given one or more folders off, and output folders inside of a root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import x3spatial as x3
from helpers.roots import make_root
from x3spatial.cli import run
from x3spatial.roots.crop_root import crop_root


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """``data/views`` is a root."""
    make_root(tmp_path / "data" / "views")
    return tmp_path / "data"


COMMANDS = [
    ["audit", "{root}"],
    ["build", "{root}", "-o", "{out}"],
    ["zeroshot", "{root}", "-o", "{out}", "--tasks-dir", "{out}/t", "--model", "centre"],
    ["crop", "{root}", "-o", "{out}"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("views/validation", "{data}/views (the folder that holds the splits)"),
        ("views/train/train_0", "{data}/views (the folder that holds the splits)"),
        ("views/train/train_0/uid_0", "{data}/views (the folder that holds the splits)"),
        (".", "{data}/views"),
        ("..", "{data}/views"),
    ],
)
def test_one_level_off(
    command: list[str], given: str, meant: str, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(os.path.normpath(data / given))
    out = data.parent / "out"
    assert run([part.format(root=root, out=out) for part in command]) == 2
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1 and "has no split folder" in printed
    assert f"; did you mean {meant.format(data=data)}?" in printed
    assert not (out / "t1_val_multi.json").exists()


def test_relative_paths_stay_relative(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    with pytest.raises(x3.UserError, match=r"did you mean views \("):
        x3.audit("views/validation")
    monkeypatch.chdir(data / "views" / "validation")
    with pytest.raises(x3.UserError, match=rf"did you mean {data}/views \("):
        x3.audit(".")


def test_several_roots_below_are_listed(data: Path) -> None:
    for name in ("b", "c", "d", "e"):
        make_root(data / name, objects=1)
    with pytest.raises(
        x3.UserError, match=r"mean \S+/data/b or \S+/data/c or \S+/data/d \.\.\.\?$"
    ):
        x3.audit(data)


@pytest.mark.parametrize(
    ("name", "right"), [("Validation", "validation"), ("valid", "validation"), ("TRAIN", "train"),
                        ("testing", "test"), ("dev", "validation")],
)  # fmt: skip
def test_other_names_of_splits(name: str, right: str, tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("validation",))
    (root / "validation").rename(root / name)
    with pytest.raises(x3.UserError, match=rf"; rename \S+/{name} to {right}$"):
        x3.audit(root)


def test_folders_that_are_no_roots_get_no_suggestion(tmp_path: Path) -> None:
    """Not even below a folder that is called test."""
    photos = tmp_path / "test" / "photos" / "day1"
    photos.mkdir(parents=True)
    for folder in (photos, photos.parent, photos.parent.parent):
        with pytest.raises(x3.UserError, match=r"below$"):
            x3.audit(folder)
    for path, reason in ((photos / "x", "no such folder"), (Path("\0"), "no such folder")):
        with pytest.raises(x3.UserError, match=reason):
            x3.audit(path)


def test_a_root_without_the_scenes_level(tmp_path: Path) -> None:
    root = make_root(tmp_path / "root", splits=("validation",))
    (root / "validation" / "validation_0" / "uid_0").rename(root / "validation" / "uid_0")
    (problem,) = x3.audit(root).problems
    assert problem.path == str(root / "validation" / "uid_0")
    assert "object folder where scene folders are" in problem.reason


@pytest.mark.parametrize("how", ["plain", "link to the root", "link to a split", "root is a link"])
def test_output_inside_the_root_is_refused(how: str, data: Path) -> None:
    root, out = data / "views", data / "views" / "out"
    if how == "link to the root":
        (data / "link").symlink_to("views")
        out = data / "link" / "out"
    elif how == "link to a split":
        (data / "link").symlink_to("views/validation")
        out = data / "link"
    elif how == "root is a link":
        (data / "link").symlink_to("views")
        root = data / "link"
    before = sorted(data.rglob("*"))
    with pytest.raises(x3.UserError, match="lies in the data root"):
        x3.build_tasks(root, out)
    with pytest.raises(x3.UserError, match="lies in the data root"):
        crop_root(root, out)
    assert sorted(data.rglob("*")) == before


def test_paths_that_are_not_utf8(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / os.fsdecode(b"M\xfcller")
    make_root(tmp_path / "root").rename(root)
    make_root(tmp_path / "right")
    right, out = str(tmp_path / "right"), str(root / "out")
    for command in (
        ["audit", str(root)],
        ["build", str(root), "-o", str(tmp_path / "t")],
        ["build", right, "-o", out],
        ["zeroshot", right, "-o", out, "--tasks-dir", str(tmp_path / "t"), "--model", "centre"],
    ):
        assert run(command) == 2
        printed = capsys.readouterr().err
        assert r"M\xfcller" in printed and "path is not valid UTF-8" in printed
