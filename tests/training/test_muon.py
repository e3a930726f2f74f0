"""``--muon_lr``: which parameters Muon trains, that both optimizers step, and that a stopped run goes on."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from x3spatial.errors import UserError

from .common import CHECKPOINT, RGB, history, options, torch, weights, write_data


def run(*args: Any, **more: Any) -> int:
    from x3spatial.training.sft import sft

    return sft(options(*args, **more))


def make(weight_decay: float = 0.0) -> tuple[Any, Any, Any]:
    from x3spatial.training.muon import MuonAndRest

    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.Linear(4, 3))
    rest = torch.optim.AdamW([{"params": [m.bias for m in model], "lr": 0.01}])
    matrices = {"params": [m.weight for m in model], "lr": 0.02, "weight_decay": weight_decay}
    optimizer = MuonAndRest([matrices], rest)
    return model, optimizer, torch.randn(8, 6)


def step(model: Any, optimizer: Any, data: Any) -> None:
    model(data).square().mean().backward()
    optimizer.step()
    optimizer.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_hidden_matrices_and_nothing_else() -> None:
    from x3spatial.models.roborefer.checkpoint import load_model
    from x3spatial.training.muon import is_hidden_matrix

    chosen: list[str] = []
    others: list[str] = []
    for name, parameter in load_model(CHECKPOINT).named_parameters():
        (chosen if is_hidden_matrix(name, parameter) else others).append(name)
    assert any("q_proj" in n for n in chosen) and any("mm_projector" in n for n in chosen)
    assert not any("embed" in n or "lm_head" in n or n.endswith("bias") for n in chosen)
    assert any("embed_tokens" in n for n in others) and any("patch_embedding" in n for n in others)


def test_an_update_of_a_matrix_is_nearly_orthogonal() -> None:
    model, optimizer, data = make()
    before = model[0].weight.detach().clone()
    step(model, optimizer, data)
    # Three outputs: the gradient has three directions. The iteration brings them near each other, not to one.
    values = torch.linalg.svdvals(before - model[0].weight.detach())[:3]
    assert values[0] / values[2] < 2
    assert not torch.equal(model[0].bias.detach(), make()[0][0].bias.detach())


def test_a_scheduler_reaches_both() -> None:
    model, optimizer, data = make()
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.0 if epoch else 1.0)
    step(model, optimizer, data)
    scheduler.step()
    still = [p.detach().clone() for p in model.parameters()]
    step(model, optimizer, data)
    assert all(torch.equal(a, b) for a, b in zip(still, model.parameters(), strict=True))
    assert [g["lr"] for g in optimizer.muon.param_groups + optimizer.rest.param_groups] == [0, 0]


def test_its_state_goes_on() -> None:
    model, optimizer, data = make(0.1)
    other, again, _ = make(0.1)
    step(model, optimizer, data)
    saved = copy.deepcopy(optimizer.state_dict())
    other.load_state_dict(model.state_dict())
    again.load_state_dict(saved)
    for group in again.param_groups:
        group["lr"] *= 2
    for group in optimizer.param_groups:
        group["lr"] *= 2
    step(model, optimizer, data)
    step(other, again, data)
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)


def test_a_run_of_it_is_continued_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from x3spatial.training.trainer import SpatialTrainer

    data = write_data(tmp_path / "d.json", RGB)
    more = {"muon_lr": 2e-3, "max_steps": 4, "save_steps": 2, "lr_scheduler_type": "cosine"}
    run(data, tmp_path / "whole", **more)
    real: Any = SpatialTrainer.training_step

    def training_step(self: Any, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == 3:
            raise KeyboardInterrupt
        return real(self, *args, **kwargs)

    monkeypatch.setattr(SpatialTrainer, "training_step", training_step)
    with pytest.raises(KeyboardInterrupt):
        run(data, tmp_path / "run", **more)
    monkeypatch.setattr(SpatialTrainer, "training_step", real)
    run(data, tmp_path / "run", **more)
    first, second = weights(tmp_path / "whole"), weights(tmp_path / "run")
    assert all(torch.equal(first[name], second[name]) for name in first)
    rates = [entry["learning_rate"] for entry in history(tmp_path / "whole") if "loss" in entry]
    assert rates[0] == pytest.approx(2e-3)  # the log shows the first group's, Muon's
    with pytest.raises(UserError, match=r"--muon-lr was 0\.002, is 0\.003"):
        run(data, tmp_path / "run", **{**more, "muon_lr": 3e-3})


def test_what_it_cannot_be_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = write_data(tmp_path / "d.json", RGB)
    with monkeypatch.context() as patch:
        patch.delattr(torch.optim, "Muon")
        with pytest.raises(UserError, match="has no Muon; install torch"):
            run(data, tmp_path / "run", muon_lr=1e-3)
    with pytest.raises(UserError, match="--muon-lr: not with --lora-enable"):
        run(data, tmp_path / "run", muon_lr=1e-3, lora_enable=True)
    with pytest.raises(UserError, match=r"--muon-lr 0\.0: must be above 0"):
        run(data, tmp_path / "run", muon_lr=0)
