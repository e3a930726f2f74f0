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


@pytest.mark.parametrize(("clip", "bad"), [(1.0, "nan"), (1.0, "inf"), (0.0, "inf")])
def test_gradients_that_are_not_finite_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip: float, bad: str
) -> None:
    """The loss is finite, its gradient is not: clipping would set the others to zero."""
    from x3spatial.training.sft import sft
    from x3spatial.training.trainer import SpatialTrainer

    step = SpatialTrainer.training_step

    def broken(self: SpatialTrainer, *args: object, **kwargs: object) -> torch.Tensor:
        loss: torch.Tensor = step(self, *args, **kwargs)
        if self.state.global_step == 2:
            model: Any = self.model
            gradient = next(p.grad for p in model.parameters() if p.grad is not None)
            gradient.view(-1)[0] = float(bad)
        return loss

    monkeypatch.setattr(SpatialTrainer, "training_step", broken)
    data, out = write_data(tmp_path / "d.json", RGB[:1]), tmp_path / "o"
    more = {"max_grad_norm": clip, "max_steps": 6, "save_steps": 1}
    with pytest.raises(Diverged, match=r"step 3: the norm of the gradients is (nan|inf); .*-2 is"):
        sft(options(data, out, **more))
    assert sorted(folder.name for folder in out.glob("checkpoint-*"))[-1] == "checkpoint-2"
    assert not (out / "config.json").exists()


@pytest.mark.parametrize("where", ["weights", "optimizer"])
def test_a_checkpoint_that_is_not_finite_is_not_continued_from(tmp_path: Path, where: str) -> None:

    from safetensors.torch import load_file, save_file

    from x3spatial.errors import UserError
    from x3spatial.training.sft import sft

    data, out = write_data(tmp_path / "d.json", RGB[:1]), tmp_path / "o"
    given = options(data, out, max_steps=3, save_steps=1)
    assert sft(given) == 0
    run = json.loads((out / "x3_run.json").read_text())
    (out / "x3_run.json").write_text(json.dumps({**run, "finished": False}))
    (out / "config.json").unlink()
    (out / "checkpoint-3").rename(tmp_path / "last")
    bad = out / "checkpoint-2"
    if where == "weights":
        file = bad / "llm" / "model.safetensors"
        tensors = load_file(file)
        next(iter(tensors.values())).view(-1)[0] = float("nan")
        save_file(tensors, file, {"format": "pt"})
    else:
        state = torch.load(bad / "optimizer.pt")
        next(iter(state["state"].values()))["exp_avg"].view(-1)[0] = float("inf")
        torch.save(state, bad / "optimizer.pt")
    note = json.loads((bad / "x3_training.json").read_text())
    del note["crc32"]  # as of a run that wrote it so; the sums would show the change
    (bad / "x3_training.json").write_text(json.dumps(note))
    with pytest.raises(UserError, match=r"checkpoint-2.* is not finite; delete that folder"):
        sft(given)
    bad.rename(tmp_path / "bad")
    assert sft(given) == 0  # from checkpoint-1


def test_float16_may_skip_steps_but_not_for_ever() -> None:
    from types import SimpleNamespace

    from x3spatial.training.finite import MOST_SKIPPED, FiniteGuard

    skips = True
    guard = FiniteGuard(lambda: "no checkpoint", lambda: skips)
    args, state = SimpleNamespace(fp16=True), SimpleNamespace(global_step=7)
    guard.clipped_norm = float("inf")
    guard.on_pre_optimizer_step(args, state, None)
    for _ in range(MOST_SKIPPED):
        guard.on_optimizer_step(args, state, None)
    with pytest.raises(Diverged, match="51 steps in a row are not finite in float16"):
        guard.on_optimizer_step(args, state, None)
    skips = False
    guard.on_optimizer_step(args, state, None)


def test_logs_hold_only_what_json_has() -> None:
    from x3spatial.training.finite import finite_logs

    assert finite_logs({"loss": 1.0, "epoch": 2}) == {"loss": 1.0, "epoch": 2}
    logs = {"loss": float("nan"), "grad_norm": float("inf"), "epoch": 2.0}
    assert finite_logs(logs) == {"epoch": 2.0, "not_finite": 2}
