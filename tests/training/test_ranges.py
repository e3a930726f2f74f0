"""Numbers among the options of x3 sft: wrong ones are refused before anything is written."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from x3spatial.errors import UserError

from .common import RGB, options, write_data

from x3spatial.training import arguments as home  # isort: skip
from x3spatial.training.data_arguments import DataArguments  # isort: skip
from x3spatial.training.memory.options import MemoryArguments  # isort: skip
from x3spatial.training.options import dashed  # isort: skip
from x3spatial.training.ranges import RANGES  # isort: skip

KINDS = (home.ModelArguments, DataArguments, home.SftArguments, MemoryArguments)


def numbers() -> dict[str, bool]:
    """Every option that is a number, and whether it is a whole one."""
    found = {}
    for kind in KINDS:
        hints = get_type_hints(kind)
        for field in dataclasses.fields(kind):
            hint = str(hints[field.name])
            if field.init and field.name not in home.REFUSED and ("int" in hint or "float" in hint):
                found[field.name] = "float" not in hint
    return found


ALLOWED = {
    "0": {
        "adam_beta1", "adam_beta2", "adam_epsilon", "data_seed", "dataloader_num_workers",
        "depth_projector_lr", "depth_tower_lr", "eval_delay", "language_model_lr", "learning_rate",
        "local_rank", "lora_dropout", "max_grad_norm", "mm_projector_lr", "mm_vision_select_layer",
        "save_total_limit", "seed", "vision_tower_lr", "warmup_ratio", "warmup_steps", "weight_decay",
    },
    "-1": {"max_steps", "mm_vision_select_layer", "local_rank"},
}  # fmt: skip
"""Options for which the number has a meaning."""


def test_every_number_has_a_range() -> None:
    assert set(RANGES) == set(numbers())
    for kind in KINDS:
        for field in dataclasses.fields(kind):
            if field.name in RANGES and isinstance(field.default, int | float):
                assert field.default in RANGES[field.name], field.name


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "1e400", "-1", "0"])
def test_a_sweep_over_all_numbers(text: str) -> None:
    for name, whole in numbers().items():
        if name in ALLOWED.get(text, ()):
            assert float(text) in RANGES[name]
            continue
        with pytest.raises(UserError) as caught:
            home.parse([f"--{name}={text}"])
        message = str(caught.value)
        assert f"--{dashed(name)}" in message and "\n" not in message
        if not whole or math.isfinite(float(text)):
            assert "must be" in message


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("--seed 4294967296", "--seed 4294967296: must be at least 0 and at most 4,294,967,295"),
        ("--max-steps -2", "--max-steps -2: must be at least 1, or -1"),
        ("--adam_beta2 1", "--adam-beta2 1.0: must be at least 0 and below 1"),
        ("--num-train-epochs 1e7", "--num-train-epochs 10000000.0: must be above 0 and at most"),
        ("--per-device-train-batch-size 4294967296", "--per-device-train-batch-size 4294967296"),
    ],
)
def test_messages(given: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        home.parse(given.split())
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"learning_rate": -1}, "--learning-rate -1.0: must be at least 0"),
        ({"num_train_epochs": 0}, "--num-train-epochs 0.0: must be above 0"),
        (
            {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": '{"bend": 1}'},
            "--lr-scheduler-type cosine_with_restarts, --lr-scheduler-kwargs {'bend': 1}: ",
        ),
        ({"optim": "no_such_thing"}, "x3 sft: "),
    ],
)
def test_a_corrected_command_runs_in_the_same_folder(
    tmp_path: Path, wrong: dict[str, Any], message: str
) -> None:
    from x3spatial.training.sft import sft

    data, out = write_data(tmp_path / "d.json", RGB[:1]), tmp_path / "o"
    with pytest.raises(UserError) as caught:
        sft(options(data, out, max_steps=1, **wrong))
    assert str(caught.value).startswith(message)
    assert sft(options(data, out, max_steps=1, learning_rate=5e-4)) == 0


def test_a_run_without_a_checkpoint_can_be_replaced_by_another(tmp_path: Path) -> None:
    from x3spatial.training.checkpoints import open_run, write_run
    from x3spatial.training.identity import RunIdentity

    one, other = (
        RunIdentity({"base": {}, "data": [], "model": {}, "training": {"seed": seed}}, {})
        for seed in (1, 2)
    )
    write_run(tmp_path, one, finished=False)
    assert open_run(tmp_path, other) is None
    assert open_run(tmp_path, one) is not None
    (tmp_path / "checkpoint-1").mkdir()
    with pytest.raises(UserError, match=r"contains another run \(--seed was 1, is 2\)"):
        open_run(tmp_path, other)
