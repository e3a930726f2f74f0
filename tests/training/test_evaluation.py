"""Hit@Mask by generation during training, and a model that learns by heart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from x3spatial.errors import UserError

from .common import RGB, history, options, write_data
from .pairs import make_pairs, make_trainable


def run(*args: Any, **more: Any) -> int:
    from x3spatial.training.sft import sft

    return sft(options(*args, **more))


def test_an_evaluation_is_that_of_x3_eval(tmp_path: Path) -> None:
    from x3spatial.evaluation.run import evaluate
    from x3spatial.models.roborefer.model import RoboReferModel

    pairs = make_pairs(tmp_path / "pairs", 4, hidden=2)
    run(
        pairs, tmp_path / "run", eval_data_path=pairs, eval_steps=2, save_steps=2, max_steps=4,
        eval_max_new_tokens=8, per_device_eval_batch_size=3,
    )  # fmt: skip
    log = [entry for entry in history(tmp_path / "run") if "eval_total" in entry]
    assert [entry["step"] for entry in log] == [2, 4]
    for entry in log:
        result = evaluate(
            data_json=pairs,
            output_json=tmp_path / f"{entry['step']}.json",
            model=RoboReferModel(
                tmp_path / "run" / f"checkpoint-{entry['step']}", device="cpu", max_new_tokens=8
            ),
        )
        for name in ("hit_at_mask", "not_visible_accuracy", "parse_failures", "total"):
            assert entry[f"eval_{name}"] == result.metrics[name]
    text = (tmp_path / "run" / "train.log").read_text()
    assert text.count("eval_hit_at_mask=") == 2


def test_evaluating_does_not_change_the_run(tmp_path: Path) -> None:
    pairs = make_pairs(tmp_path / "pairs", 4, hidden=2)
    common = {"max_steps": 3, "gradient_checkpointing": True, "tune_vision_tower": False}
    run(pairs, tmp_path / "one", **common)
    run(pairs, tmp_path / "two", eval_data_path=pairs, eval_steps=1, eval_max_new_tokens=4,
        eval_limit=2, **common)  # fmt: skip
    losses = [[e["loss"] for e in history(tmp_path / n) if "loss" in e] for n in ("one", "two")]
    assert losses[0] == losses[1]
    assert {e["eval_total"] for e in history(tmp_path / "two") if "eval_total" in e} == {2}


def test_an_evaluation_needs_questions(tmp_path: Path) -> None:
    data = write_data(tmp_path / "d.json", RGB)
    with pytest.raises(UserError, match="--eval-strategy epoch: needs --eval-data-path"):
        run(data, tmp_path / "run", evaluation_strategy="epoch")
    with pytest.raises(UserError, match=r"d\.json: record 4: field 'image'"):
        run(data, tmp_path / "run", eval_data_path=data)


@pytest.mark.slow
def test_sixteen_samples_are_learned_by_heart(tmp_path: Path) -> None:
    pairs = make_pairs(tmp_path / "pairs", 16, hidden=4)
    out = tmp_path / "run"
    run(
        pairs, out, model_name_or_path=make_trainable(tmp_path / "base"), max_steps=120,
        per_device_train_batch_size=16, gradient_accumulation_steps=1, learning_rate=2e-3,
        lr_scheduler_type="cosine", warmup_ratio=0.05, save_steps=60, logging_steps=20,
        eval_data_path=pairs, eval_steps=60, eval_max_new_tokens=24,
        per_device_eval_batch_size=16,
    )  # fmt: skip
    measured = [entry for entry in history(out) if "eval_hit_at_mask" in entry]
    assert measured[-1]["eval_hit_at_mask"] == 1.0
    assert measured[-1]["eval_not_visible_accuracy"] == 1.0
    assert measured[-1]["eval_total"] == 16
    assert json.loads((out / "x3_run.json").read_text())["finished"] is True
