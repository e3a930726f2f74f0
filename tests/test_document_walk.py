"""The source document's commands, word by word, in one folder and in several orders."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from helpers.paths import FIXTURES, REPOSITORY, SRC
from helpers.roots import make_root

MODEL = "./runs/train/RoboRefer-2B-Depth-Align"
BUILD = """{python} tools/build_spatial_tasks_x3.py \\
  --data_root {root} \\
  --out_dir ./tmp/spatial_tasks_x3 \\
  --mode anchor \\
  --anchor_k 1 \\
  --alpha 0.45 \\
  --use_dilated_mask \\
  --emit_concat 1"""
EVAL = """{python} tools/eval_spatial_tasks.py \\
  --model_name_or_path ./runs/train/RoboRefer-2B-Depth-Align \\
  --data_json ./tmp/spatial_tasks_x3/t1_val_multi.json \\
  --image_folder / \\
  --chat_template qwen2 \\
  --image_aspect_ratio resize \\
  --max_new_tokens 64 \\
  --output_json ./runs/eval_spatial_x3/t1_val_multi.json"""
ZEROSHOT = "bash scripts/run_zeroshot_x3.sh"
CHECK = "PYTHONPATH=. {python} scripts/check_dataloader_t1_x3.py"
FROZEN = "FREEZE_VISION=1 bash scripts/run_sft_t1_x3.sh"
UNFROZEN = "FREEZE_VISION=0 bash scripts/run_sft_t1_x3.sh"
STEPS = {"3": BUILD, "4": EVAL, "5": ZEROSHOT, "8": CHECK, "6": FROZEN}
"""Section of the document → its command."""
SETS = ("t1_val_multi.json", "t1_val_concat.json", "t2a_val_multi.json", "t2b_val_multi.json")


class Folder:
    """A folder as the document has it: tools, scripts, a checkpoint in its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("tools", "scripts"):
            shutil.copytree(REPOSITORY / name, path / name)
        (path / "src").symlink_to(SRC)
        self.root = make_root(path / "views", objects=1)

    def give_checkpoint(self) -> None:
        shutil.copytree(FIXTURES / "roborefer-tiny" / "checkpoint", self.path / MODEL)

    def run(self, command: str, **more: str) -> subprocess.CompletedProcess[str]:
        words = command.format(python=sys.executable, root=self.root)
        own = ("X3_SCRIPT", "MODEL", "DATA_ROOT_X3", "OUT_DIR", "EVAL_DIR", "RUN_DIR", "PYTHONPATH")
        environment: Mapping[str, str] = {
            **{name: value for name, value in os.environ.items() if name not in own},
            "PYTHON": sys.executable,
            "BF16": "False",
            "PYTHONWARNINGS": "ignore",
            **more,
        }
        return subprocess.run(
            ["bash", "-c", words],
            cwd=self.path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def step(self, section: str, **more: str) -> str:
        """Run a section of the document, which must succeed; returns what it prints."""
        done = self.run(STEPS[section], **more)
        assert done.returncode == 0, f"§{section}: {done.stderr}"
        assert "Traceback" not in done.stderr
        return done.stdout

    def refused(self, command: str, **more: str) -> str:
        """Run a command that must end with one line and exit code 2; returns the line."""
        done = self.run(command, **more)
        assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
        (line,) = done.stderr.splitlines()
        assert line.startswith("x3: ")
        return line

    def results(self) -> dict[str, int]:
        """Results file → samples that the last call asked."""
        folder = self.path / "runs" / "eval_spatial_x3"
        read = {name: json.loads((folder / name).read_text()) for name in SETS}
        assert all(found["metrics"]["errors"] == 0 for found in read.values())
        return {name: found["run"]["asked"] for name, found in read.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "RoboRefer")


def test_a_step_without_its_input_names_the_command_to_run_first(folder: Folder) -> None:
    for command in (EVAL, CHECK):
        line = folder.refused(command, MODEL="centre")
        assert line.endswith("build it first: x3 build ROOT -o tmp/spatial_tasks_x3")
    line = folder.refused(ZEROSHOT, MODEL="centre")
    assert "x3 build ROOT -o tmp/spatial_tasks_x3" in line and "DATA_ROOT_X3" in line
    for command in (FROZEN, UNFROZEN):
        line = folder.refused(command)
        assert "tools/build_spatial_tasks_x3.py" in line and "DATA_ROOT_X3" in line
    assert "ROOT" in folder.refused(BUILD.replace("--data_root {root}", ""))
    assert not (folder.path / "tmp").exists() and not (folder.path / "runs").exists()


def test_a_root_without_a_train_split_says_so(folder: Folder) -> None:
    shutil.rmtree(folder.root / "train")
    line = folder.refused(FROZEN, DATA_ROOT_X3=str(folder.root))
    assert line == (
        f"x3: DATA_ROOT_X3 {folder.root} has no train split (no folder train), so there is nothing to"
        " train on"
    )
    assert not (folder.path / "tmp").exists()
    folder.step("3")
    assert f"the data root {folder.root} has no train split" in folder.refused(CHECK)


@pytest.mark.parametrize("order", ["345", "354", "54", "5453"])
def test_orders_with_a_model_that_costs_nothing(folder: Folder, order: str) -> None:
    more = {"MODEL": "centre", "DATA_ROOT_X3": str(folder.root)}
    for section in order:
        words = (
            STEPS[section]
            .replace("--model_name_or_path ./runs/train/RoboRefer-2B-Depth-Align", "--model centre")
            .replace("--chat_template qwen2 \\\n  --image_aspect_ratio resize \\\n", "\\\n")
        )
        done = folder.run(words, **more)
        assert done.returncode == 0, f"§{section} of {order}: {done.stderr}"
        if section == "4":
            kept = "kept 2" if "5" in order[: order.index("4")] else "kept 0"
            assert kept in done.stdout
    assert folder.results()[SETS[0]] == 0 or order == "345"
    summary = json.loads((folder.path / "runs/eval_spatial_x3/summary.json").read_text())
    assert [[m["model"] for m in part["models"]] for part in summary["sets"]] == [["centre"]] * 4


@pytest.mark.slow
@pytest.mark.parametrize("order", ["34586", "354", "54"])
def test_the_document_word_by_word(folder: Folder, order: str) -> None:
    pytest.importorskip("accelerate")
    line = folder.refused(ZEROSHOT, DATA_ROOT_X3=str(folder.root))
    assert MODEL.removeprefix("./") in line and "x3 model tiny" in line
    folder.give_checkpoint()
    shutil.rmtree(folder.path / "tmp", ignore_errors=True)
    for section in order:
        more = {"DATA_ROOT_X3": str(folder.root)} if order[0] == "5" else {}
        said = folder.step(section, **more)
        if section == "8":
            assert "OK: one-batch dataloader check passed" in said
            assert "media['image']: len = 2" in said
    asked = folder.results()
    # The second of §4 and §5 continues what the first has answered.
    assert asked[SETS[0]] == 0
    if "6" in order:
        run = folder.path / "runs" / "train" / "mv_consistency_sft_x3"
        assert "finished" in (run / "train.log").read_text()
        line = folder.refused(UNFROZEN)
        assert "RUN_DIR runs/train/mv_consistency_sft_x3: contains another run" in line
        assert "FREEZE_VISION was 1, is 0" in line and "vision_tower" not in line
        done = folder.run(UNFROZEN, RUN_DIR="runs/train/unfrozen", EVALUATE="0")
        assert done.returncode == 0, done.stderr
