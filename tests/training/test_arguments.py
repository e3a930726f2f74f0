"""The command line: the document's own call, aliases, refusals, example configurations."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import REPOSITORY
from x3spatial.errors import UserError

from .common import CHECKPOINT, RGB, options, write_data
from .pairs import make_pairs


def parse(*arguments: str) -> Any:
    from x3spatial.training.arguments import parse

    return parse(arguments)


DOCUMENT = """
--model_name_or_path ./runs/train/RoboRefer-2B-Depth-Align --chat_template qwen2 --data_mixture=
--data_path ./tmp/spatial_tasks_x3/t1_train_multi.json --image_folder /
--vision_tower paligemma-siglip-so400m-patch14-448 --depth_tower paligemma-siglip-so400m-patch14-448
--mm_vision_select_feature cls_patch --mm_vision_select_layer -2
--mm_projector mlp_downsample_3x3_fix --depth_projector mlp_downsample_3x3_fix
--enable_depth False --use_depth_tower False --tune_vision_tower True --tune_mm_projector True
--tune_language_model True --tune_depth_tower False --tune_depth_projector False
--mm_use_im_start_end False --mm_use_im_patch_token False --image_aspect_ratio resize --bf16 True
--output_dir runs/train/mv_consistency_sft_x3 --num_train_epochs 2 --per_device_train_batch_size 1
--gradient_accumulation_steps 4 --evaluation_strategy no --save_strategy steps --save_steps 500
--save_total_limit 3 --learning_rate 1e-5 --weight_decay 0. --warmup_ratio 0.03
--lr_scheduler_type cosine --logging_steps 10 --model_max_length 8192 --gradient_checkpointing True
--dataloader_num_workers 4 --report_to none
"""


def test_the_documents_call_is_understood_and_is_the_default() -> None:
    given = parse(*DOCUMENT.split())
    default = parse("--data_path", "./tmp/spatial_tasks_x3/t1_train_multi.json")
    assert given.model.vision_tower == "paligemma-siglip-so400m-patch14-448"
    for name in ("vision_tower", "depth_tower"):
        setattr(given.model, name, None)
    # Said or not, these are the same.
    assert given.model.tuned() == default.model.tuned()
    given.model.tune_vision_tower = given.model.tune_mm_projector = None
    given.model.tune_language_model = given.model.use_depth_tower = None
    given.model.mm_vision_select_layer = None
    assert given.model == default.model
    assert given.data == default.data
    assert given.training.to_dict() == default.training.to_dict()
    training = default.training
    assert (training.learning_rate, training.num_train_epochs, training.save_total_limit) == (
        1e-5,
        2,
        3,
    )
    assert training.lr_scheduler_type == "cosine" and training.get_warmup_steps(1000) == 30


def test_spellings_and_aliases() -> None:
    one = parse("--data-path", "a_b.json", "--learning-rate=2e-5", "--evaluation-strategy", "no")
    assert (one.data.data_path, one.training.learning_rate) == ("a_b.json", 2e-5)
    assert parse("--warmup_ratio", "0.1").training.get_warmup_steps(200) == 20
    assert parse("--warmup_steps", "7").training.get_warmup_steps(200) == 7
    grouped = parse("--group_by_length", "True").training
    assert grouped.train_sampling_strategy == "group_by_length"
    evaluated = parse("--eval_data_path", "a.json", "--save_steps", "20").training
    assert (evaluated.eval_strategy, evaluated.eval_steps) == ("steps", 20)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--learning-rte 1", "unknown option --learning-rte; did you mean --learning-rate?"),
        ("--learning-rate fast", "x3 sft: argument --learning-rate: .*'fast'"),
        ("--mm-projector linear", "--mm-projector linear: not supported; expected mlp_downsample"),
        ("--chat-template vicuna", "--chat-template vicuna"),
        ("--image-aspect-ratio dynamic_s2", "--image-aspect-ratio dynamic_s2"),
        ("--mm-use-im-start-end True", "--mm-use-im-start-end True"),
        ("--tune-depth-projector True", "--tune-depth-projector: needs --enable-depth True"),
        ("--load-best-model-at-end True --eval_strategy steps --eval_steps 500",
         "--load-best-model-at-end: not supported"),
        ("--warmup-ratio 3", "--warmup-ratio 3"),
        ("--model-max-length 0", "--model-max-length 0: must be at least 1"),
        ("--tune-vision-tower False --tune_mm_projector False --tune_language_model False",
         "every part is frozen"),
        ("--eval-limit 0", "--eval-limit 0"),
        ("--label-smoothing-factor 0.1", "--label-smoothing-factor: not supported"),
        ("--fsdp --use-cpu", "--fsdp: needs GPUs"),
        ("--report-to smoke_signals", "--report-to smoke_signals: smoke_signals is not supported"),
        ("--resume-from-checkpoint x", "--resume-from-checkpoint: not supported here; the same command"),
    ],
)  # fmt: skip
def test_refusals(arguments: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse(*arguments.split())
    assert "\n" not in str(caught.value)


def test_a_logger_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.integrations import integration_utils

    monkeypatch.setattr(integration_utils, "is_wandb_available", lambda: False)
    with pytest.raises(UserError, match=r"--report-to wandb: .*pip install wandb") as caught:
        parse("--report_to", "wandb")
    assert "\n" not in str(caught.value)


def test_what_wandb_refuses_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    from x3spatial.training import sft

    class UsageError(Exception):
        __module__ = "wandb.errors.errors"

    def refuse(chosen: Any) -> int:
        raise UsageError("No API key\nconfigured.")

    monkeypatch.setattr(sft, "_sft", refuse)
    with pytest.raises(UserError, match=r"^--report-to wandb: No API key configured\.$"):
        sft.sft([])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"vision_tower": "siglip-so400m-patch14-448"}, "patches of 14 and images of 112"),
        ({"mm_vision_select_layer": 9}, "--mm-vision-select-layer 9"),
        ({"model_name_or_path": "/nowhere"}, "/nowhere: no such checkpoint folder"),
        ({"data_mixture": "a.json"}, "--data-path and --data-mixture: give one"),
        ({"data_path": ""}, "--data-path: name a task file"),
        ({"data_path": "/nowhere.json"}, r"/nowhere\.json: no such data file"),
        ({"image_folder": "/nowhere"}, r"record t1_visible: /nowhere/images/view_a\.png: no such"),
    ],
)
def test_what_the_files_do_not_have(tmp_path: Path, more: dict[str, Any], message: str) -> None:
    from x3spatial.training.sft import sft

    data = write_data(tmp_path / "d.json", RGB)
    with pytest.raises(UserError, match=message):
        sft(options(data, tmp_path / "run", **more))
    assert not (tmp_path / "run").exists()


def test_an_unreadable_image_is_one_line_from_a_worker_too(tmp_path: Path) -> None:
    from x3spatial.training.sft import sft

    pairs = make_pairs(tmp_path / "pairs", 2)
    broken = tmp_path / "pairs" / "01_b_original.png"
    broken.write_bytes(b"no image")
    for workers in (0, 1):
        with pytest.raises(
            UserError, match=f"^{re.escape(str(broken))}: cannot be decoded"
        ) as caught:
            sft(options(pairs, tmp_path / str(workers), dataloader_num_workers=workers))
        assert "\n" not in str(caught.value)


def test_a_run_from_the_command_line(tmp_path: Path) -> None:
    data = write_data(tmp_path / "d.json", RGB)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    launch = [sys.executable, "-m", "x3spatial.training.sft"]
    wrong = subprocess.run(
        [*launch, "--lora", "x"], env=environment, capture_output=True, text=True, timeout=300
    )
    assert wrong.returncode == 2
    assert wrong.stderr.splitlines()[-1].startswith("x3: x3 sft: unknown option --lora")
    done = subprocess.run(
        [*launch, *options(data, tmp_path / "run", max_steps=1)],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "finished: 1 steps" in done.stdout


def test_example_registry() -> None:
    from x3spatial.training.mixtures import read_registry, resolve_mixture

    registry = read_registry(REPOSITORY / "configs" / "mixtures.yaml")
    names = [source.name for source in resolve_mixture("everything", registry)]
    assert names == ["t1_multi", "t1_concat", "t2b_multi"]


@pytest.mark.parametrize("name", ["zero2.json", "zero3.json"])
def test_example_deepspeed_configurations(name: str) -> None:
    from accelerate.utils.deepspeed import HfDeepSpeedConfig

    path = REPOSITORY / "configs" / name
    config = HfDeepSpeedConfig(json.loads(path.read_text()))
    assert config.is_zero2() == (name == "zero2.json")
    assert config.is_zero3() == (name == "zero3.json")
    # "auto" is filled in from the arguments: clipping is that of --max_grad_norm, never missing.
    for field in ("gradient_clipping", "gradient_accumulation_steps", "train_batch_size"):
        assert config.get_value(field) == "auto"
    _check_command(path)


@pytest.mark.parametrize("name", ["fsdp.json", "fsdp_2x8.json"])
def test_example_fsdp_configurations(name: str) -> None:
    from x3spatial.models.roborefer import load_model
    from x3spatial.training.arguments import SftArguments

    path = REPOSITORY / "configs" / name
    fsdp: Any = True  # as transformers parses a bare --fsdp
    training = SftArguments(fsdp=fsdp, fsdp_config=str(path), gradient_checkpointing=False)
    assert training.fsdp_plugin_args["fsdp_version"] == 2
    classes = {type(module).__name__ for module in load_model(CHECKPOINT).modules()}
    wrapped = training.fsdp_plugin_args["transformer_cls_names_to_wrap"].split(",")
    assert set(wrapped) <= classes
    _check_command(path)


def _check_command(path: Path) -> None:
    """The command that heads the file names the file and only options that exist."""
    command = shlex.split(json.loads(path.read_text())["_command"])
    assert f"configs/{path.name}" in command
    arguments = command[command.index("sft") + 1 :]
    place = next(i for i, a in enumerate(arguments) if a in ("--deepspeed", "--fsdp"))
    assert parse(*arguments[:place]).data.data_path.endswith("t1_train_multi.json")


def test_the_dataloader_script(tmp_path: Path) -> None:
    pairs = make_pairs(tmp_path / "out", 2)
    pairs.rename(pairs.with_name("t1_train_multi.json"))
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "check_dataloader_t1_x3.py")],
        env={**os.environ, "OUT_DIR": str(tmp_path / "out")},
        capture_output=True, text=True, timeout=300, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for line in (
        "media['image']: len = 2",
        "first image shape: torch.Size([3, 448, 448])",
        "OK: one-batch dataloader check passed",
    ):
        assert line in done.stdout.splitlines()


def test_data_list_command(tmp_path: Path, capsys: Any) -> None:
    from x3spatial.training.commands import main

    data = write_data(tmp_path / "d.json", RGB)
    registry = tmp_path / "r.yaml"
    registry.write_text(
        f"datasets: {{a: {data}, b: {tmp_path / 'none.json'}}}\nmixtures: {{m: a*2}}"
    )
    assert main(["data-list", "--data-registry", str(registry)]) == 1
    captured = capsys.readouterr()
    assert re.search(r"^m +mixture +8 ", captured.out, re.MULTILINE)
    assert "none.json: no such data file" in captured.err
    assert main(["data-list", "--data_registry", str(tmp_path / "no.yaml")]) == 2
    assert main(["data"]) == 2


@pytest.mark.slow
@pytest.mark.parametrize("freeze", ["0", "1"])
def test_the_sft_script_from_nothing_to_an_evaluated_checkpoint(
    tmp_path: Path, freeze: str
) -> None:
    from x3spatial.models.roborefer.tiny import make_tiny

    from .common import torch, weights

    make_tiny(out=tmp_path / "base", depth=False)
    environment = {
        **os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "FREEZE_VISION": freeze,
        "MODEL": str(tmp_path / "base"), "DATA_ROOT_X3": str(REPOSITORY / "tests/fixtures/x3-small/root"),
        "OUT_DIR": str(tmp_path / "tasks"), "RUN_DIR": str(tmp_path / "run"),
        "EVAL_DIR": str(tmp_path / "eval"), "BF16": "False",
    }  # fmt: skip
    command = ["bash", str(REPOSITORY / "scripts" / "run_sft_t1_x3.sh"), "--learning_rate", "2e-3"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "run" / "train.log").is_file()
    for split in ("training", "held out"):
        for row in ("zero-shot", "trained", "change"):
            assert re.search(rf"^{split}, {row} ", done.stdout, re.MULTILINE)
    before, after = weights(tmp_path / "base"), weights(tmp_path / "run")
    tower = [name for name in after if name.startswith("vision_tower/")]
    frozen = all(torch.equal(before[name], after[name]) for name in tower)
    assert frozen == (freeze == "1")
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    assert again.returncode == 0 and "nothing to do" in again.stdout


def test_the_sft_script_says_that_the_views_are_not_there(tmp_path: Path) -> None:
    """Also where the task files exist, because the views may have been moved since."""
    (tmp_path / "t1_train_multi.json").write_text("[]")
    place = str(tmp_path / "gone")
    environment = {
        **os.environ, "PYTHON": sys.executable, "DATA_ROOT_X3": place, "OUT_DIR": str(tmp_path),
    }  # fmt: skip
    command = ["bash", str(REPOSITORY / "scripts" / "run_sft_t1_x3.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (2, f"x3: DATA_ROOT_X3 {place}: no such folder\n")
