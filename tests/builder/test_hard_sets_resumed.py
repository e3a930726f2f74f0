"""The bytes of all hard sets: by any number of workers, and killed at any point and continued."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.painted_rooms import painted_root
from helpers.paths import REPOSITORY
from helpers.roots import tree_bytes
from x3spatial.tasks.spec import TASKS, choose_tasks


def run_build(root: Path, out: Path, at: int, workers: int) -> tuple[int, str]:
    """A build in a process of its own, killed at the ``at``-th write; 0: not at all."""
    script = REPOSITORY / "tests" / "helpers" / "killed_build.py"
    paths = os.pathsep.join((str(REPOSITORY / "src"), str(REPOSITORY / "tests")))
    done = subprocess.run(
        [sys.executable, str(script), str(root), str(out), str(at), str(workers)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout.strip()


def content(out: Path) -> dict[str, bytes]:
    """All files of a build; the manifest without what may differ."""
    files = tree_bytes(out)
    manifest = json.loads(files["build.json"])
    del manifest["run"]
    return {**files, "build.json": json.dumps(manifest).encode()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, bytes], int]:
    """A root, the folder of its builds, the files of one run with one worker, and how often it wrote."""
    folder = tmp_path_factory.mktemp("hard")
    root, out = painted_root(folder / "root", 3), folder / "tasks"
    code, writes = run_build(root, out, 0, workers=1)
    assert code == 0
    return root, out, content(out), int(writes)


def test_every_hard_set_and_its_images_are_there(
    whole: tuple[Path, Path, dict[str, bytes], int],
) -> None:
    _, _, files, writes = whole
    assert {TASKS[task].file("val") for task in choose_tasks(["hard"])} <= files.keys()
    kinds = {kind: sum(name.startswith(kind) for name in files) for kind in ("pairs", "marked")}
    assert min(kinds.values()) > 10 and writes > 40


def test_the_same_bytes_for_five_workers(
    whole: tuple[Path, Path, dict[str, bytes], int],
) -> None:
    """For two as well: the builds below end with two."""
    root, out, files, _ = whole
    shutil.rmtree(out)
    assert run_build(root, out, 0, workers=5)[0] == 0
    assert content(out) == files


def test_killed_at_random_points_and_continued(
    whole: tuple[Path, Path, dict[str, bytes], int],
) -> None:
    root, out, files, writes = whole
    shutil.rmtree(out)
    rng = random.Random(16)

    def kill(most: int, workers: int) -> None:
        at = rng.randint(1, most)
        code, _ = run_build(root, out, rng.choice([at, -at]), workers)
        assert code == -signal.SIGKILL
        (out / "build.json").unlink(missing_ok=True)  # if it was killed right after this last file

    for workers in (1, 2):  # in the images and the journal
        kill(writes // 6, workers)
    assert run_build(root, out, 0, workers=2)[0] == 0
    (out / "build.json").unlink()
    last = len(files.keys() & {path.name for path in out.glob("*.json")})
    kill(last, workers=2)  # in the task files, the compaction of the journal, or the manifest
    assert run_build(root, out, 0, workers=2)[0] == 0
    assert content(out) == files
    assert not list(out.rglob(".*.part"))
