"""Two processes (gloo, CPU) train as one does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import SRC

from .common import CHECKPOINT, RGB, options, weights, write_data


@pytest.mark.parametrize(
    ("chosen", "more"),
    [
        # The second process's first batch has no image: its towers get no gradient there.
        (RGB, {}),
        pytest.param(
            RGB[:3] + RGB[:1],
            {"tune_vision_tower": False, "gradient_checkpointing": True},
            marks=pytest.mark.slow,
        ),
    ],
    ids=["text-only samples", "frozen tower"],
)
def test_two_processes_give_the_gradients_of_one(
    tmp_path: Path, chosen: tuple[str, ...], more: dict[str, Any]
) -> None:
    from x3spatial.training.sft import sft

    data = write_data(tmp_path / "d.json", chosen)
    # With plain gradient descent a weight moves by its gradient; AdamW would blow rounding up.
    common = {"optim": "sgd", "max_steps": 2, "max_grad_norm": 0, "learning_rate": 1e-2, **more}
    sft(options(data, tmp_path / "one", gradient_accumulation_steps=4, **common))
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    done = subprocess.run(
        [*launch, "-m", "x3spatial.training.sft",
         *options(data, tmp_path / "two", gradient_accumulation_steps=2, **common)],
        env={**os.environ, "PYTHONPATH": str(SRC), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    one, two, base = (weights(p) for p in (tmp_path / "one", tmp_path / "two", CHECKPOINT))
    moved = 0
    for name, value in one.items():
        step = float((value - base[name]).abs().max())
        moved += step > 0
        assert float((value - two[name]).abs().max()) <= 1e-6 + 1e-4 * step, name
    assert moved > 30
    log = (tmp_path / "two" / "train.log").read_text()
    assert log.count("finished: 2 steps") == 1 and "x 2 processes" in log
