"""Training in stages, and data sets that are a part of a file."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import REPOSITORY
from x3spatial.errors import UserError

from .common import CHECKPOINT, FIXTURE, torch, weights, write_data

from x3spatial.training.mixtures import list_data  # isort: skip
from x3spatial.training.recipe import read_recipe, run_recipe  # isort: skip

RECIPE = """
datasets:
  seen: {data_path: d.json, only: visible}
  unseen: {data_path: d.json, only: not_visible}
options:
  bf16: false
  gradient_checkpointing: false
  dataloader_num_workers: 0
  logging_steps: 1
  save_steps: 1
  learning_rate: 1.0e-3
  image_folder: PICTURES
stages:
  - {name: first, mixture: seen, options: {max_steps: 2}}
  - name: second
    mixture: seen + unseen*2
    options: {max_steps: 3, learning_rate: 5.0e-4, save_dtype: float16}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    write_data(tmp_path / "d.json", ["t1_visible", "t1_not_visible", "concat_single_string"])
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE.replace("PICTURES", str(FIXTURE)))
    return path


def run(recipe: Path, out: Path, **more: Any) -> tuple[Path, list[str]]:
    lines: list[str] = []
    given = {"base": CHECKPOINT, **more}
    last = run_recipe(
        recipe=recipe, data_dir=recipe.parent, output_dir=out, echo=lines.append, **given
    )
    return last, lines


def test_each_stage_starts_from_the_one_before(recipe: Path, tmp_path: Path) -> None:
    last, lines = run(recipe, tmp_path / "out")
    assert last == tmp_path / "out" / "02-second"
    logs = [(tmp_path / "out" / name / "train.log").read_text() for name in ("01-first", last.name)]
    assert f"{CHECKPOINT} -> " in logs[0] and "answers: 0% of an epoch's are NOT_VISIBLE" in logs[0]
    assert f"{last.parent / '01-first'} -> " in logs[1]
    # Two of three records are seen once, the third, NOT_VISIBLE, twice.
    assert "answers: 50% of an epoch's are NOT_VISIBLE" in logs[1]
    assert (last.parent / "curve.png").read_bytes().startswith(b"\x89PNG")
    first, second = weights(last.parent / "01-first"), weights(last)
    assert {value.dtype for value in first.values()} == {torch.float32}
    assert {value.dtype for value in second.values()} == {torch.float16}
    assert [
        re.match(r"stage \d of 2, \w+: x3 sft --model-name", line) is None for line in lines
    ] == [
        False,
        False,
    ]


def test_a_stopped_recipe_goes_on_and_a_finished_one_is_left_alone(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from x3spatial.training.trainer import SpatialTrainer

    whole, _ = run(recipe, tmp_path / "whole")
    real: Any = SpatialTrainer.training_step
    seen: list[tuple[str, int]] = []

    def watching(stop: Callable[[str, int], bool]) -> Any:
        def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
            at = (Path(self.args.output_dir).name, int(self.state.global_step))
            seen.append(at)
            if stop(*at):
                raise KeyboardInterrupt
            return real(self, *args, **kwargs)

        return training_step

    def in_the_second(stage: str, step: int) -> bool:
        return stage == "02-second" and step == 1

    monkeypatch.setattr(SpatialTrainer, "training_step", watching(in_the_second))
    with pytest.raises(KeyboardInterrupt):
        run(recipe, tmp_path / "out")
    seen.clear()
    monkeypatch.setattr(SpatialTrainer, "training_step", watching(lambda stage, step: False))
    last, _ = run(recipe, tmp_path / "out")
    assert {stage for stage, _ in seen} == {"02-second"}
    assert min(step for _, step in seen) == 1
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(last)[name]), name
    seen.clear()
    run(recipe, tmp_path / "out")
    assert seen == []


def test_a_stage_can_start_from_a_grown_model(recipe: Path, tmp_path: Path) -> None:
    from x3spatial.models.roborefer import load_model, load_processor

    side, patch = 112, 14
    old = load_model(CHECKPOINT).config.vision_config
    assert (old.image_size, old.patch_size) == (side, patch)
    text = recipe.read_text()
    grown = text.replace(
        "- name: second", f"- name: second\n    resize: {{image_size: {side + patch}}}"
    )
    recipe.write_text(grown)
    _, lines = run(recipe, tmp_path / "out", dry_run=True)
    assert "stage 2 of 2, second: x3 model resize " in lines[1] and "--image-size 126" in lines[1]
    last, _ = run(recipe, tmp_path / "out")
    between = tmp_path / "out" / "01-first-126px"
    assert sorted(tmp_path.joinpath("out").glob("0*")) == [
        tmp_path / "out" / "01-first", between, last,
    ]  # fmt: skip
    assert f"{between} -> " in (last / "train.log").read_text()
    for folder, size in ((tmp_path / "out" / "01-first", side), (between, 126), (last, 126)):
        assert load_processor(folder).image_processor.size["height"] == size
        assert load_model(folder).config.vision_config.image_size == size
    # Grown once only, and again if the weights before it changed: then the next stage is another run.
    stamp = (between / "config.json").stat().st_mtime_ns
    run(recipe, tmp_path / "out")
    assert (between / "config.json").stat().st_mtime_ns == stamp
    recipe.write_text(grown.replace("image_size: 126", "image_size: 127"))
    with pytest.raises(
        UserError, match="stage second: --image-size 127: expected a multiple of 14"
    ):
        run(recipe, tmp_path / "out")
    recipe.write_text(grown)
    shutil.rmtree(tmp_path / "out" / "01-first")
    recipe.write_text(grown.replace("max_steps: 2", "max_steps: 1"))
    with pytest.raises(UserError, match="02-second"):
        run(recipe, tmp_path / "out")


def test_a_dry_run_writes_nothing(recipe: Path, tmp_path: Path) -> None:
    _, lines = run(recipe, tmp_path / "out", dry_run=True)
    assert len(lines) == 2 and not (tmp_path / "out").exists()
    words = shlex.split(lines[1].partition(": ")[2])  # as a shell takes the line apart
    assert words[:2] == ["x3", "sft"] and "seen + unseen*2" in words


def test_several_processes_take_the_stages(recipe: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY / "src"))
    _, lines = run(recipe, tmp_path / "out", processes=2, dry_run=True)
    words = shlex.split(lines[0].partition(": ")[2])
    assert words[:3] == ["torchrun", "--standalone", "--nproc_per_node=2"]
    last, _ = run(recipe, tmp_path / "out", processes=2)
    log = (last / "train.log").read_text()
    assert "x 2 processes" in log and "finished: 3 steps" in log
    with pytest.raises(UserError, match="stage first: its processes exited with code 2"):
        run(recipe, tmp_path / "out", processes=3)  # another run: the batch is larger
    with pytest.raises(UserError, match="--processes 0: must be at least 1"):
        run(recipe, tmp_path / "out", processes=0)


def test_a_first_checkpoint_that_is_missing_is_said_at_once(recipe: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--model-name-or-path .*none: no such folder"):
        run(recipe, tmp_path / "out", base=tmp_path / "none", dry_run=True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mixture: seen,", "mixture: unknown,", "'unknown' is neither a registered data set"),
        ("max_steps: 3", "max_stepps: 3", "stage second: x3 sft: unknown option --max-stepps"),
        ("max_steps: 3", "output_dir: x", "stage 2: option output_dir is set by the recipe"),
        ("max_steps: 3", "max_steps: [3]", "option max_steps is"),
        ("name: second", "name: first", "there is another stage 'first'"),
        ("name: second", "name: a/b", "cannot be a folder's name"),
        ("stages:", "steps:", "unknown entry 'steps'"),
        (
            "- name: second",
            "- name: second\n    resize: 70",
            "stage 2: resize must be a mapping with image_size",
        ),
        (
            "- name: second",
            "- name: second\n    resize: {image_size: 70, heads: 2}",
            "stage 2: resize: unknown entry 'heads'",
        ),
        (
            "- name: second",
            "- name: second\n    resize: {image_size: 70, rotate_heads: two}",
            "stage 2: resize: rotate_heads 'two' is not a number of heads",
        ),
        ("only: visible", "only: some", "data set 'seen': only is 'some'"),
        ("d.json, only: visible", "e.json, only: visible", "e.json is missing"),
        ("datasets:", "datasets: {", "cannot be read as YAML"),
    ],
)
def test_a_wrong_recipe_is_refused_before_anything_runs(
    recipe: Path, tmp_path: Path, old: str, new: str, message: str
) -> None:
    recipe.write_text(recipe.read_text().replace(old, new, 1))
    with pytest.raises(UserError, match=re.escape(message)):
        run(recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_parts_of_a_file_are_counted(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(recipe.parent)
    text = recipe.read_text()
    start, end = text.index("datasets"), text.index("options")
    Path("registry.yaml").write_text(text[start:end])
    assert [row.samples for row in list_data(Path("registry.yaml"))] == [2, 1]


def test_the_recipe_that_is_shipped_can_be_read() -> None:
    recipe = read_recipe(REPOSITORY / "configs" / "x3_tiny.yaml")
    assert recipe.stages[-1].options["save_dtype"] == "float16"


def test_former_names_of_keys_are_read(tmp_path: Path) -> None:
    def write(resize: str) -> Path:
        file = tmp_path / "recipe.yaml"
        file.write_text(f"datasets: {{a: a.json}}\nstages: [{{name: one, mixture: a, {resize}}}]\n")
        return file

    new = read_recipe(write("resize: {image_size: 70, rotate_heads: 2}"))
    assert new.stages[0].resize == {"image_size": 70, "rotate_heads": 2}
    assert read_recipe(write("grow: {image_size: 70, turn_heads: 2}")) == new
    with pytest.raises(UserError, match="stage 1: grow is the former name of resize"):
        read_recipe(write("grow: {image_size: 70}, resize: {image_size: 70}"))


@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM"])
def test_what_a_recipe_started_ends_with_it(recipe: Path, tmp_path: Path, name: str) -> None:
    psutil = pytest.importorskip("psutil")
    recipe.write_text(recipe.read_text().replace("max_steps: 2", "max_steps: 100000", 1))
    command = [
        *(sys.executable, "-m", "x3spatial", "recipe", "run", str(recipe), "--processes", "2"),
        *("--model-name-or-path", str(CHECKPOINT), "--data-dir", str(tmp_path)),
        *("--output-dir", str(tmp_path / "out")),
    ]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    end = time.monotonic() + 120
    while not list(tmp_path.glob("out/01-first/checkpoint-*")):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.1)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) == 3  # torchrun and two ranks
    process.send_signal(getattr(signal, name))
    _, errors = process.communicate(timeout=60)
    if name == "SIGTERM":
        assert process.returncode == 130
        assert errors == "x3: interrupted; the same command continues where it stopped\n"
    _, alive = psutil.wait_procs(children, timeout=5)
    assert not [child for child in alive if child.status() != psutil.STATUS_ZOMBIE]
