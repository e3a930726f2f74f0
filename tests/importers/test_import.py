"""The run: resuming, workers, settings, what is never replaced, and the command."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from helpers.paths import SRC, TESTS
from helpers.spheres import write_spheres
from x3spatial.cli import run as x3
from x3spatial.errors import UserError
from x3spatial.importers import scene_writer
from x3spatial.importers.options import ChoiceOptions, ReadOptions, check_options
from x3spatial.importers.registry import ALL_KINDS, KINDS
from x3spatial.importers.run import import_scans
from x3spatial.reports.root_sheet import draw_root
from x3spatial.roots.writer import write_view

SMALL = ChoiceOptions(objects=2, views=3)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two scenes in two splits, and a folder that is none."""
    folder = tmp_path_factory.mktemp("source")
    write_spheres(folder / "train" / "a")
    shutil.copytree(folder / "train" / "a", folder / "val" / "b")
    (folder / "train" / "notes").mkdir()
    return folder


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def imported(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("imported") / "root"
    summary = import_scans("posed", source, root, choice=SMALL, workers=1)
    assert summary.scenes == {"train": 1, "validation": 1}
    assert [p.reason[:28] for p in summary.problems] == ["not a scene of kind posed: h"]
    return root


def test_an_interrupted_run_continues_to_the_same_bytes(
    source: Path, imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = write_view, []

    def killed(*args: object) -> None:
        calls.append(args)
        if len(calls) == 9:  # in the middle of the second scene
            raise KeyboardInterrupt
        real(*args)  # type: ignore[arg-type]

    root = tmp_path / "root"
    monkeypatch.setattr(scene_writer, "write_view", killed)
    with pytest.raises(KeyboardInterrupt):
        import_scans("posed", source, root, choice=SMALL, workers=1)
    assert [path.parent.name for path in root.rglob("scene.json")] == ["a"]
    monkeypatch.setattr(scene_writer, "write_view", real)
    (root / "validation" / ".b.part" / "uid_9").mkdir(parents=True)  # left by a killed process
    summary = import_scans("posed", source, root, choice=SMALL, workers=1)
    assert summary.made == 1 and summary.objects == 4
    assert contents(root) == contents(imported)
    assert not (root / "validation" / ".b.part").exists()


def test_a_killed_import_of_meshes_continues_to_the_same_bytes(scans: Path, tmp_path: Path) -> None:
    script = TESTS / "helpers" / "killed_import.py"

    def run(root: Path, at: int) -> subprocess.CompletedProcess[str]:
        words = [sys.executable, str(script), "3rscan", str(scans / "3rscan"), str(root), str(at)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(SRC), str(TESTS)))}
        return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)

    whole = tmp_path / "whole"
    done = run(whole, 0)
    assert done.returncode == 0, done.stderr
    files = int(done.stdout)
    wanted = contents(whole)
    assert sum(name.endswith("scene.json") for name in wanted) >= 2
    root = tmp_path / "root"
    scenes = []
    for at in (files // 4, files // 2):  # in the first scene, and in a later one
        assert run(root, -at).returncode == -signal.SIGKILL
        scenes.append(len(list(root.rglob("scene.json"))))
        assert contents(root) != wanted
    summary = import_scans("3rscan", scans / "3rscan", root, workers=2)
    assert summary.made == len([n for n in wanted if n.endswith("scene.json")]) - scenes[-1]
    assert contents(root) == wanted


def test_any_number_of_workers_gives_the_same_bytes(
    source: Path, imported: Path, tmp_path: Path
) -> None:
    import_scans("posed", source, tmp_path / "root", choice=SMALL, workers=2)
    assert contents(tmp_path / "root") == contents(imported)


def test_a_second_run_keeps_everything_and_reports_the_same(source: Path, imported: Path) -> None:
    before = contents(imported)
    summary = import_scans("posed", source, imported, choice=SMALL, workers=1)
    assert summary.made == 0 and summary.objects == 4 and summary.views == 12
    assert summary.left_out == {
        "object: beyond --objects": 4,
        "object: structure, or not an object (--exclude)": 2,
    }
    assert contents(imported) == before


def test_other_settings_are_refused_and_fresh_replaces(
    source: Path, imported: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(imported, tmp_path / "root")
    with pytest.raises(UserError, match=r"choice.views was 3, is 4.*--fresh"):
        import_scans("posed", source, root, choice=ChoiceOptions(objects=2, views=4), workers=1)
    four = ChoiceOptions(objects=2, views=4)
    assert import_scans("posed", source, root, choice=four, workers=1, fresh=True).views == 16


@pytest.mark.parametrize("name", ["scene.json", "notes.txt"])
def test_nothing_of_others_is_replaced(name: str, source: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "root" / "train" / "a" / name
    foreign.parent.mkdir(parents=True)
    foreign.write_text("{}")
    for fresh in (False, True):
        with pytest.raises(UserError, match="was not written by x3 import"):
            import_scans("posed", source, tmp_path / "root", workers=1, fresh=fresh)
    assert foreign.read_text() == "{}"


def test_a_dry_run_prints_the_choice_and_writes_nothing(
    source: Path, imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "root"
    words = ["import", "posed", str(source), "-o", str(out), "--objects", "2", "--views", "3"]
    assert x3([*words, "--dry-run", "--workers", "1"]) == 0
    printed = capsys.readouterr()
    assert "train/a" in printed.out and "(absent, framing)" in printed.out
    assert "notes" in printed.err and not out.exists()
    scene = json.loads((imported / "train" / "a" / "scene.json").read_text())
    for item in scene["objects"]:
        for view in item["views"] or ():
            assert f"{view['frame']}" in printed.out


def test_the_command_writes_counts_json_and_a_sheet(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["import", "posed", str(source), "-o", str(tmp_path / "root"), "--objects", "1"]
    words += ["--views", "3", "--scenes", "a", "--workers", "1", "--inpaint", "none"]
    assert x3([*words, "--json", "--sheet", str(tmp_path / "sheet.png")]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["scenes"] == {"train": 1} and value["views"] == 3
    assert value["choices"][0]["views"][0]["rank"] == 1
    assert (tmp_path / "sheet.png").stat().st_size > 5000
    assert not list((tmp_path / "root").rglob("*_inpainted.png"))
    with pytest.raises(UserError, match="--limit 0"):
        draw_root(tmp_path / "root", tmp_path / "sheet.png", limit=0)


WRONG = {
    "KIND nerf: known are": ["import", "nerf", "{source}", "-o", "{out}"],
    "SOURCE {out}: no such folder": ["import", "posed", "{out}", "-o", "{out}"],
    "has no scene of kind photos": ["import", "photos", "{source}", "-o", "{out}"],
    "--scenes z: no such scene; the source has a, b":
        ["import", "posed", "{source}", "-o", "{out}", "--scenes", "a,z"],
    "lies in SOURCE": ["import", "posed", "{source}", "-o", "{source}/root"],
    "--poses up: must be one of": ["import", "posed", "{source}", "-o", "{out}", "--poses", "up"],
    "--views 1: must be between 2 and 99": ["import", "posed", "{source}", "-o", "{out}", "--views", "1"],
    "--scale 0: must be above 0": ["import", "posed", "{source}", "-o", "{out}", "--scale", "0"],
    "--inpaint magic": ["import", "posed", "{source}", "-o", "{out}", "--inpaint", "magic"],
}  # fmt: skip


@pytest.mark.parametrize("message", WRONG)
def test_mistakes_are_one_line_and_exit_2(
    message: str, source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = {"source": source, "out": tmp_path / "out"}
    assert x3([word.format(**names) for word in WRONG[message]]) == 2
    printed = capsys.readouterr().err
    assert message.format(**names) in printed and printed.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_source_without_a_usable_scene_exits_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_spheres(tmp_path / "source" / "room", ids=False)
    out = tmp_path / "root"
    assert x3(["import", "posed", str(tmp_path / "source"), "-o", str(out), "--workers", "1"]) == 1
    assert "has no instance ids" in capsys.readouterr().err
    assert not list(out.rglob("*.png")) and not (out / "validation").exists()


def test_the_defaults_are_in_range() -> None:
    check_options(ReadOptions(), ChoiceOptions())


@pytest.mark.parametrize(
    ("kind", "read", "said"),
    [
        ("posed", {"mask_orientation": "stored"}, "--mask-orientation stored: has no effect on KIND posed"),
        ("posed", {"depth_tolerance": 0.2}, "only on scannetpp, scannet, 3rscan, scenezoo"),
        ("photos", {"scale": 2.0}, "--scale 2.0: has no effect on KIND photos, only on posed"),
        ("3rscan", {"frame_source": "x"}, "--frame-source x: has no effect on KIND 3rscan"),
    ],
)  # fmt: skip
def test_an_option_without_effect_is_refused(
    kind: str, read: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        import_scans(kind, tmp_path, tmp_path / "root", ReadOptions(**read))
    assert not (tmp_path / "root").exists()


def test_every_option_of_reading_belongs_to_a_kind() -> None:
    named = {*ALL_KINDS}.union(*(kind.reads for kind in KINDS.values()))
    assert named == {field.name for field in fields(ReadOptions)}


def test_preview_draws_a_data_root(
    imported: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sheet = tmp_path / "sheet.png"
    assert x3(["preview", str(imported), "-o", str(sheet), "--limit", "2"]) == 0
    with Image.open(sheet) as picture:
        assert picture.width > 1000
    assert x3(["preview", str(imported), "-o", str(sheet), "--only", "wrong"]) == 2
    assert "is a folder" in capsys.readouterr().err
