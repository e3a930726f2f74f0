"""``x3 scenes --layout``: resuming, refusals, and that the files belong together."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.roots import tree_bytes
from x3spatial.cli import run as x3
from x3spatial.errors import UserError
from x3spatial.io.ply import read_ply
from x3spatial.synth.layouts.coco import rle
from x3spatial.synth.layouts.run import render_scans

TINY: dict[str, Any] = {
    "frames": 3, "width": 64, "height": 64, "samples": 1, "objects": 2, "views": 3, "workers": 1,
}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layouts") / "scans"
    summary = render_scans(folder, "3rscan", {"train": 1}, **TINY)
    assert (summary.rooms, summary.made, summary.scans) == (1, 1, 3)
    return folder


def test_a_second_run_keeps_everything_and_a_part_is_made_again(
    small: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(small, tmp_path / "scans"))
    assert render_scans(copy, "3rscan", {"train": 1}, **TINY).made == 0
    scan = next(path for path in sorted(copy.iterdir()) if path.is_dir())
    scan.rename(scan.with_name(scan.name + ".x3-part"))  # as a killed run leaves it
    assert render_scans(copy, "3rscan", {"train": 1}, **TINY).made == 1
    assert tree_bytes(copy) == tree_bytes(small)


def test_a_killed_run_continues_to_the_same_bytes(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "scans"
    words = [word for name, value in TINY.items() for word in (f"--{name}", str(value))]
    command = [sys.executable, "-m", "x3spatial", "scenes", str(out), "--layout", "3rscan"]
    command += ["--train", "1", "--validation", "0", *words]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 100
    while not list(out.glob("*/_info.txt")) and not list(out.glob("*/sequence/*.txt")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    render_scans(out, "3rscan", {"train": 1}, **TINY)
    assert tree_bytes(out) == tree_bytes(small)


def test_rescans_lack_what_3rscan_json_says(small: Path) -> None:
    (room,) = json.loads((small / "3RScan.json").read_text())
    whole = read_ply(small / room["reference"] / "labels.instances.annotated.v2.ply")
    assert len(room["scans"]) == 2
    for scan in room["scans"]:
        mesh = read_ply(small / scan["reference"] / "labels.instances.annotated.v2.ply")
        gone = set(whole.vertex["objectId"].tolist()) - set(mesh.vertex["objectId"].tolist())
        assert gone == set(scan["removed"]) and gone
        move = np.array(scan["transform"]).reshape(4, 4, order="F")
        back = mesh.vertices @ move[:3, :3].T + move[:3, 3]
        kept = ~np.isin(whole.vertex["objectId"], list(gone))
        assert np.allclose(back, whole.vertices[kept], atol=1e-5)


def test_refused(small: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = Path(shutil.copytree(small, tmp_path / "scans"))
    with pytest.raises(UserError, match="made with other settings"):
        render_scans(copy, "3rscan", {"train": 1}, **{**TINY, "frames": 4})
    with pytest.raises(UserError, match="beyond the scenes requested"):
        render_scans(copy, "3rscan", {"test": 1}, **TINY)
    for wrong, message in (
        ({"layout": "nerf"}, "--layout nerf: known are transforms, coco, "),
        ({"frames": 0}, "--frames 0: must be between 1 and 5000"),
        ({"frames": -1, "layout": "coco"}, "--frames -1: must be between 0"),
    ):
        options = {"layout": "3rscan", "scenes": {"train": 1}, **TINY, **wrong}
        with pytest.raises(UserError, match=message):
            render_scans(tmp_path / "new", **options)
    name = next(path for path in copy.iterdir() if path.is_dir()).name
    (tmp_path / "other" / name).mkdir(parents=True)
    (tmp_path / "other" / name / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="not made by x3 scenes --layout"):
        render_scans(tmp_path / "other", "3rscan", {"train": 1}, **TINY)
    assert x3(["scenes", str(tmp_path / "new"), "--frames", "3"]) == 2
    assert "add --layout" in capsys.readouterr().err
    assert x3(["scenes", str(tmp_path / "new"), "--layout", "coco", "--depth"]) == 2
    assert "--depth" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_run_lengths_of_coco() -> None:
    """Examples worked out by hand: runs down the columns, from zeros on."""
    mask = np.zeros((3, 4), np.bool_)
    assert rle(mask) == "<"  # 12 zeros
    mask[1:, 1] = True  # 4 zeros, 2 ones, 6 zeros
    assert rle(mask) == "426"
    mask[:, 2] = True  # 4, 5, 3
    assert rle(mask) == "453"
    mask[0, 3] = True  # 4, 6, 2
    assert rle(mask) == "462"
    mask[2, 3] = True  # 4, 6, 1, and 1, which is 5 less than the run before the last
    assert rle(mask) == "461K"
