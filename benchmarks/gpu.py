"""RoboRefer's size on one GPU, with random weights; prints one JSON line.

Writes a random 2B checkpoint in bfloat16, then, each in a process of its own:

- ``eval``: answers per second and peak GPU memory of questions with two images of 640x480, by batch size,
  with 16 new tokens each (random weights rarely end their answer before that);
- ``sft``: training samples per second and peak GPU memory of `x3 sft`'s trainer in bfloat16 with float32
  weights and AdamW, vision tower frozen or not, with and without gradient checkpointing. Samples are Task1
  pairs of 640x480. The first step warms up and is not timed.

A configuration that does not fit in memory is reported as ``out_of_memory``.

    python benchmarks/gpu.py [--size 2b] [--device cuda] [--steps 4] [--batches 1,8,32] [--towers frozen]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from train import arguments, make_data, prepare


def memory(device: str) -> float | None:
    """Return the peak of this process on the GPU in GiB; None on a CPU."""
    import torch

    if not device.startswith("cuda"):
        return None
    return round(torch.cuda.max_memory_allocated() / 2**30, 2)


def measure_eval(job: dict[str, Any]) -> dict[str, Any]:
    import torch

    from x3spatial.models.roborefer.model import RoboReferModel
    from x3spatial.tasks.question import Question

    records = json.loads(Path(job["data"]).read_text())
    questions = [
        Question(
            r["id"], "t1_multi", tuple(map(Path, r["image"])), r["conversations"][0]["value"], ""
        )
        for r in records
    ]
    start = time.perf_counter()
    model = RoboReferModel(
        Path(job["base"]), device=job["device"], attention=job["attention"], max_new_tokens=16
    )
    batch = int(job["batch"])
    model.answer(questions[:1], None)  # loads the weights and compiles kernels
    load = time.perf_counter() - start
    model.answer(questions[:batch], None)
    if job["device"].startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    asked = questions[: max(batch, min(len(questions), 2 * batch))]
    prepared = [model.prepare(asked[i : i + batch]) for i in range(0, len(asked), batch)]
    start = time.perf_counter()
    for number, ready in enumerate(prepared):
        model.answer(asked[number * batch : (number + 1) * batch], ready)
    seconds = time.perf_counter() - start
    return {
        "load_s": round(load, 1),
        "answers_per_s": round(len(asked) / seconds, 2),
        "peak_gib": memory(job["device"]),
    }


def measure_sft(job: dict[str, Any]) -> dict[str, Any]:
    import torch

    options = arguments(
        Path(job["base"]),
        Path(job["data"]),
        Path(job["out"]),
        bf16=True,
        max_steps=1,
        per_device_train_batch_size=job["batch"],
        gradient_checkpointing=job["checkpointing"],
        tune_vision_tower=not job["frozen"],
        attention=job["attention"],
        use_cpu=not job["device"].startswith("cuda"),
    )
    _, _, _, trainer = prepare(options)
    trainer.train()  # warm-up: kernels, optimizer state
    trainer.args.max_steps = job["steps"]
    start = time.perf_counter()
    trainer.train()
    if job["device"].startswith("cuda"):
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start
    trained = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    return {
        "trained_parameters": trained,
        "samples_per_s": round(job["batch"] * job["steps"] / seconds, 2),
        "peak_gib": memory(job["device"]),
    }


def in_process(kind: str, job: dict[str, Any]) -> dict[str, Any]:
    """Run one measurement in a process of its own, so that each has its own peak."""
    command = [sys.executable, __file__, "--measure", kind, "--job", json.dumps(job)]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode == 0:
        return dict(json.loads(run.stdout.splitlines()[-1]))
    if "out of memory" in run.stderr.lower():
        return {"out_of_memory": True}
    return {"error": run.stderr.strip().splitlines()[-1:]}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--size", default="2b", help="size of the random checkpoint")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--steps", type=int, default=4, help="timed training steps")
    parser.add_argument("--batches", default="1,8,32", help="batch sizes of the evaluation")
    parser.add_argument("--train-batches", default="4,16", help="batch sizes of the training")
    parser.add_argument("--towers", default="frozen,unfrozen", help="of the training")
    parser.add_argument("--folder", type=Path, help="where the checkpoint is written (5 GB)")
    parser.add_argument("--measure", choices=("eval", "sft"), help=argparse.SUPPRESS)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        job = json.loads(given.job)
        print(json.dumps((measure_eval if given.measure == "eval" else measure_sft)(job)))
        return
    import torch

    from x3spatial.models.roborefer.tiny import make_tiny

    name = torch.cuda.get_device_name() if given.device.startswith("cuda") else "cpu"
    result: dict[str, Any] = {"benchmark": "gpu", "device": name, "size": given.size}
    with tempfile.TemporaryDirectory(dir=given.folder) as scratch:
        folder = Path(scratch)
        start = time.perf_counter()
        base = make_tiny(out=folder / "base", size=given.size, depth=False, dtype="bfloat16")
        result["write_s"] = round(time.perf_counter() - start, 1)
        data = make_data(folder, 64)
        common = {"base": str(base), "data": str(data), "device": given.device}
        common |= {"out": str(folder / "run"), "steps": given.steps, "attention": "sdpa"}
        result["eval"] = {
            f"batch_{batch}": in_process("eval", common | {"batch": int(batch)})
            for batch in given.batches.split(",")
        }
        print(json.dumps(result["eval"]), file=sys.stderr)
        result["sft"] = {}
        for tower in given.towers.split(","):
            for batch in given.train_batches.split(","):
                for checkpointing in (True, False):
                    job = {
                        "frozen": tower == "frozen",
                        "batch": int(batch),
                        "checkpointing": checkpointing,
                    }
                    key = f"{tower}_batch_{batch}{'_checkpointing' if checkpointing else ''}"
                    result["sft"][key] = in_process("sft", common | job)
                    print(key, json.dumps(result["sft"][key]), file=sys.stderr)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
