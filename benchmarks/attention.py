"""Speed of the attention kernels in a training step on a CPU; prints one JSON line.

Times the forward and backward pass of a model of x3-tiny's size at two image sizes, in bfloat16 (the
default of ``x3 sft``) and float32. The kernels alternate in interleaved rounds on one thread;
the figures are medians. ``lean_of_eager`` and ``lean_of_sdpa`` are ratios of samples per second.

    python benchmarks/attention.py [--rounds 3] [--batch 16]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

KERNELS = ("eager", "sdpa", "lean")


def make_batch(config: Any, samples: int) -> dict[str, torch.Tensor]:
    """Make a batch with two images per sample, as in Task1."""
    generator = torch.Generator().manual_seed(0)
    tokens, size = config.tokens_per_image, config.vision_config.image_size
    ids = torch.randint(10, 100, (samples, 2 * tokens + 35), generator=generator)
    for start in (5, 8 + tokens):
        ids[:, start : start + tokens] = config.image_token_id
    labels = ids.clone()
    labels[:, :-10] = -100
    return {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "labels": labels,
        "pixel_values": torch.rand(2 * samples, 3, size, size, generator=generator) * 2 - 1,
    }


def step(model: Any, batch: dict[str, torch.Tensor], *, half: bool) -> float:
    """Return the seconds of one forward and backward pass."""
    model.zero_grad()
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16) if half else nullcontext():
        loss = model(**batch).loss
    loss.backward()
    return time.perf_counter() - start


def measure(image_size: int, *, half: bool, rounds: int, samples: int) -> dict[str, float]:
    """Return samples per second with each kernel."""
    from x3spatial.models.roborefer import load_model
    from x3spatial.models.roborefer.tiny import SIZES, make_tiny

    with tempfile.TemporaryDirectory() as folder:
        size = replace(SIZES["trainable"], image=image_size)
        base = make_tiny(out=Path(folder) / "base", size=size, depth=False)
        models = {
            kernel: load_model(base, dtype="float32", attention=kernel).train()
            for kernel in KERNELS
        }
    batch = make_batch(models["eager"].config, samples)
    times: dict[str, list[float]] = {kernel: [] for kernel in KERNELS}
    for number in range(rounds + 1):
        for kernel, model in models.items():
            seconds = step(model, batch, half=half)
            if number:  # the first round warms up
                times[kernel].append(seconds)
    return {kernel: samples / statistics.median(found) for kernel, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {"benchmark": "attention"}
    for image_size in (108, 162):
        for half in (True, False):
            rates = measure(image_size, half=half, rounds=chosen.rounds, samples=chosen.batch)
            result[f"{image_size}px_{'bfloat16' if half else 'float32'}"] = {
                **{f"{kernel}_per_s": round(rate, 1) for kernel, rate in rates.items()},
                "lean_of_eager": round(rates["lean"] / rates["eager"], 2),
                "lean_of_sdpa": round(rates["lean"] / rates["sdpa"], 2),
            }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
