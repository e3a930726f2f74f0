"""Losses and weights that are not finite: a run stops, and nothing of them is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from x3spatial.errors import Diverged

from .common import RGB, options, torch, weights, write_data


def test_a_run_stops_before_a_loss_that_is_not_finite_reaches_the_weights(tmp_path: Path) -> None:
    from x3spatial.training.sft import sft

    data, out = write_data(tmp_path / "d.json", RGB[:1]), tmp_path / "o"
    wild = {
        "learning_rate": 1e30,
        "max_grad_norm": 0,
        "max_steps": 6,
        "optim": "sgd",
        "save_steps": 1,
    }
    with pytest.raises(Diverged, match=r"the loss is (nan|inf); .*checkpoint.*; lower --learning"):
        sft(options(data, out, **wild))
    assert not (out / "config.json").exists()
    for folder in out.glob("checkpoint-*"):
        assert all(torch.isfinite(value).all() for value in weights(folder).values())


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    from x3spatial.training.sft import sft

    data, out = write_data(tmp_path / "d.json", RGB[:1]), tmp_path / "o"
    # The loss of the only step is finite; the weights after it are not.
    wild = {
        "learning_rate": 1e38,
        "weight_decay": 1e38,
        "max_grad_norm": 0,
        "max_steps": 1,
        "optim": "sgd",
        "save_steps": 1,
    }
    with pytest.raises(Diverged, match=r"step 1: \S+ is not finite; nothing was written, no check"):
        sft(options(data, out, **wild))
    assert not (out / "config.json").exists() and not list(out.glob("checkpoint-*"))


def test_the_command_exits_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from x3spatial.cli import run

    data, out = write_data(tmp_path / "d.json", RGB[:1]), tmp_path / "o"
    wild = {"learning_rate": 1e30, "max_grad_norm": 0, "max_steps": 6, "optim": "sgd"}
    assert run(["sft", *options(data, out, **wild)]) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("x3: step ") and "the loss is" in last


def test_json_of_a_checkpoint_holds_no_infinity(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In float16 a step whose gradient overflows is skipped, and its norm is logged."""
    from transformers.trainer import Trainer

    from x3spatial.training.sft import sft

    real: Any = Trainer.log

    def log(self: Any, logs: dict[str, Any], *args: Any) -> None:
        real(self, {**logs, "grad_norm": float("inf"), "loss": float("nan")}, *args)

    monkeypatch.setattr(Trainer, "log", log)
    data, out = write_data(tmp_path / "d.json", RGB[:1]), tmp_path / "o"
    assert sft(options(data, out, max_steps=2, save_steps=1)) == 0
    files = list(out.rglob("*.json"))
    assert any(file.name == "trainer_state.json" for file in files)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{file}: {constant}")

    for file in files:
        value = json.loads(file.read_text(), parse_constant=refuse)
        if file.name == "trainer_state.json":
            entry = value["log_history"][0]
            assert entry["grad_norm"] is None and entry["loss"] is None and entry["step"] == 1
