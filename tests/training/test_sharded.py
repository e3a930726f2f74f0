"""FSDP and DeepSpeed on two CPU processes: the weights of one process, and going on bit for bit."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from helpers.paths import REPOSITORY
from x3spatial.errors import UserError

from .common import CHECKPOINT, RGB, options, torch, weights, write_data
from .pairs import make_pairs

SHARDED = Path(__file__).with_name("sharded.py")
STEPS, RATE = 4, 1e-3

WAYS = {
    "fsdp": ["--fsdp", "--fsdp_config", "configs/fsdp.json"],
    "zero2": ["--deepspeed", "configs/zero2.json"],
    "zero3": ["--deepspeed", "configs/zero3.json"],
}


def _two(way: str, arguments: list[str]) -> str:
    program = [str(SHARDED)] if way == "fsdp" else ["-m", "x3spatial.training.sft"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", "--standalone"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # ninja lies there
    done = subprocess.run(
        [*launch, *program, *arguments, *WAYS[way]],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1",
             "DS_ACCELERATOR": "cpu", "PATH": path},
        cwd=REPOSITORY, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_sharded_runs_give_the_weights_of_one_process_and_go_on(tmp_path: Path, way: str) -> None:
    if way != "fsdp" and importlib.util.find_spec("deepspeed") is None:
        pytest.skip("needs deepspeed")
    from x3spatial.training.sft import sft

    data = write_data(tmp_path / "d.json", RGB[:3] + RGB[:1])
    common: dict[str, Any] = {"max_steps": STEPS, "learning_rate": RATE}
    sft(options(data, tmp_path / "one", gradient_accumulation_steps=4, **common))
    common |= {
        "gradient_accumulation_steps": 2, "save_steps": 2, "eval_steps": 2,
        "eval_data_path": make_pairs(tmp_path / "pairs", 3, hidden=1), "eval_max_new_tokens": 4,
        "per_device_eval_batch_size": 2,
    }  # fmt: skip
    out = _two(way, options(data, tmp_path / "two", **common))
    assert out.count("eval_total=3") == 2
    one, two, base = (weights(p) for p in (tmp_path / "one", tmp_path / "two", CHECKPOINT))
    assert two.keys() == one.keys()
    moved = 0
    for name, value in one.items():
        if name.endswith("k_proj.bias"):
            continue  # its gradient is rounding, which AdamW blows up
        moved += not torch.equal(value, base[name])
        assert float((value - two[name]).abs().max()) <= STEPS * RATE / 10, name
    assert moved > 30

    # Stopped after step 2, and stopped while the final model was written.
    for last in (2, STEPS):
        run = tmp_path / f"again{last}"
        run.mkdir()
        for folder in (tmp_path / "two").glob("checkpoint-*"):
            if int(folder.name.partition("-")[2]) <= last:
                shutil.copytree(folder, run / folder.name)
        identity = json.loads((tmp_path / "two" / "x3_run.json").read_text())["identity"]
        note = {"identity": identity, "finished": False}
        (run / "x3_run.json").write_text(json.dumps(note))
        out = _two(way, options(data, run, **common))
        assert f"continuing from {run / f'checkpoint-{last}'}" in out
        again = weights(run)
        assert all(torch.equal(again[name], value) for name, value in two.items())


def test_adapters_are_not_sharded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from x3spatial.training.arguments import SftArguments, parse

    monkeypatch.setattr(os, "environ", dict(os.environ))  # transformers notes --fsdp there
    monkeypatch.setattr(SftArguments, "check", lambda self: None)  # which asks for GPUs
    given = options(tmp_path / "d.json", tmp_path / "run", lora_enable=True, use_cpu=False)
    with pytest.raises(UserError, match="--lora-enable: not with --fsdp or ZeRO-3"):
        parse([*given, "--fsdp"])
