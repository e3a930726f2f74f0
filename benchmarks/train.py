"""Overhead of training; prints one JSON line.

- ``of_plain_loop``: steps per second of `x3 sft`'s trainer over those of a plain PyTorch loop with the same
  model, batches and optimizer; medians of interleaved rounds. A step of the model takes at least 0.5 s.
- ``loader_of_floor``: samples per second of the loader with two workers over those of two processes that only
  decode the same images with Pillow, convert them to RGB, resize them (columns, then rows: the order of the
  model's training) and convert them to float32. Both are timed on their second pass over the data, in
  interleaved rounds. ``sample_cpu_ms`` and ``floor_cpu_ms`` are the CPU time of one sample in one process,
  which depends less on the load of the machine.
- ``peak_gib``: peak resident memory of one step, with and without gradient checkpointing, each in its own
  process.

    python benchmarks/train.py [--rounds 3] [--steps 4] [--size small] [--batch 2]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

PROMPT = (
    "The first image shows a scene with one object marked in red. The second image shows the same room"
    " from a different viewpoint. Point to the same object in the second image."
)


def make_data(folder: Path, samples: int, width: int = 640, height: int = 480) -> Path:
    random = np.random.default_rng(0)
    records = []
    for number in range(samples):
        paths = []
        for view in "ab":
            coarse = random.integers(0, 256, (15, 20, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
            paths.append(str(folder / f"{number}_{view}.png"))
            image.save(paths[-1])
        turns = [{"from": "human", "value": PROMPT}, {"from": "gpt", "value": "[(0.412, 0.733)]"}]
        records.append({"id": str(number), "image": paths, "conversations": turns})
    path = folder / "data.json"
    path.write_text(json.dumps(records))
    return path


def arguments(base: Path, data: Path, out: Path, **more: Any) -> list[str]:
    values = {
        "model_name_or_path": base, "data_path": data, "output_dir": out, "bf16": False,
        "gradient_checkpointing": False, "dataloader_num_workers": 0, "save_strategy": "no",
        "logging_steps": 1000, "gradient_accumulation_steps": 1, "warmup_ratio": 0,
        "lr_scheduler_type": "constant", **more,
    }  # fmt: skip
    return [piece for name, value in values.items() for piece in (f"--{name}", str(value))]


def prepare(options: list[str]) -> tuple[Any, Any, Any, Any]:
    """Return what a run prepares: arguments, model, data, trainer."""
    from x3spatial.models.roborefer.processing import load_processor
    from x3spatial.training.arguments import parse
    from x3spatial.training.data_module import make_supervised_data_module
    from x3spatial.training.setup import build_model, read_base
    from x3spatial.training.trainer import SpatialTrainer

    chosen = parse(options)
    base = read_base(chosen.model)
    processor = load_processor(base)
    module = make_supervised_data_module(processor, chosen.data, model_max_length=4096)
    model = build_model(base, chosen.model)
    return chosen, model, module, SpatialTrainer(model, chosen, module, processor, base, {})


def trainer_round(options: list[str]) -> float:
    _, _, _, trainer = prepare(options)
    # The rate of the trainer's own loop, without its preparation.
    return float(trainer.train().metrics["train_steps_per_second"])


def plain_round(options: list[str], steps: int) -> float:
    import torch

    chosen, model, module, trainer = prepare(options)
    batch = chosen.training.per_device_train_batch_size
    order = list(trainer._get_train_sampler())
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5, weight_decay=0.0, fused=True)
    model.train()
    start = time.perf_counter()
    for step in range(steps):
        items = [module.train_dataset[i] for i in order[step * batch : (step + 1) * batch]]
        loss = model(**module.data_collator(items), use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
    return steps / (time.perf_counter() - start)


def loader_rate(module: Any, workers: int) -> float:
    """Return samples per second of the loader's second pass over the data."""
    from torch.utils.data import DataLoader

    loader = DataLoader(
        module.train_dataset,
        batch_size=4,
        num_workers=workers,
        collate_fn=module.data_collator,
        persistent_workers=True,
    )
    for _ in range(2):
        start = time.perf_counter()
        count = sum(len(batch["input_ids"]) for batch in loader)
        seconds = time.perf_counter() - start
    return count / seconds


def decode(job: tuple[list[list[Path]], int]) -> None:
    """Do the work that no loader can avoid, with plain calls of Pillow (the floor)."""
    samples, side = job
    for paths in samples:
        for path in paths:
            with Image.open(path) as image:
                resized = image.convert("RGB")
            for size in ((side, resized.height), (side, side)):
                resized = resized.resize(size, Image.Resampling.BICUBIC)
            np.asarray(resized).astype(np.float32)


def floor_rate(module: Any, side: int, workers: int) -> float:
    """Return samples per second of the floor's second pass over the data."""
    part = module.train_dataset.parts[0]
    samples = [part.image_paths(sample) for sample in part.samples]
    jobs = [(samples[w::workers], side) for w in range(workers)]
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        for _ in range(2):
            start = time.perf_counter()
            pool.map(decode, jobs, chunksize=1)
            seconds = time.perf_counter() - start
        return len(samples) / seconds


def cpu_ms(module: Any, side: int, samples: int = 32) -> tuple[float, float]:
    """Return the CPU time in ms of one sample in batches of four, and of its floor; best of three."""
    part = module.train_dataset.parts[0]
    ours, floor = [], []
    for _ in range(3):
        start = time.process_time()
        for first in range(0, samples, 4):
            module.data_collator([module.train_dataset[i] for i in range(first, first + 4)])
        ours.append(time.process_time() - start)
        start = time.process_time()
        decode(([part.image_paths(part.samples[i]) for i in range(samples)], side))
        floor.append(time.process_time() - start)
    return 1000 * min(ours) / samples, 1000 * min(floor) / samples


def peak(options: list[str]) -> float:
    """Return the peak memory in GiB of one training step in a new process."""
    command = [sys.executable, __file__, "--step", json.dumps(options)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(run.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument(
        "--size", default="small", help="size of the random checkpoint: tiny, small, 2b"
    )
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--samples", type=int, default=256, help="number of samples for the loader")
    parser.add_argument("--memory_batch", type=int, default=16, help="batch size for peak memory")
    parser.add_argument("--step", help=argparse.SUPPRESS)
    given = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    if given.step:
        trainer_round(json.loads(given.step))
        unit = 1 if sys.platform == "darwin" else 1024
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30)
        return
    from x3spatial.models.roborefer.tiny import SIZES, make_tiny

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        base = make_tiny(out=folder / "base", size=given.size, depth=False)
        data = make_data(folder, given.samples)
        common = {"max_steps": given.steps, "per_device_train_batch_size": given.batch}
        options = arguments(base, data, folder / "run", **common)
        trainer, plain = [], []
        for _ in range(given.rounds):
            plain.append(plain_round(options, given.steps))
            trainer.append(trainer_round(options))
        module = prepare(options)[2]
        side = SIZES[given.size].image
        loader, floor = [], []
        for _ in range(given.rounds):
            floor.append(floor_rate(module, side, 2))
            loader.append(loader_rate(module, 2))
        ours, least = cpu_ms(module, side)
        memory = {}
        for name, on in (("without_checkpointing", False), ("with_checkpointing", True)):
            step = common | {"max_steps": 1, "per_device_train_batch_size": given.memory_batch}
            measured = arguments(base, data, folder / "run", **step, gradient_checkpointing=on)
            memory[name] = round(peak(measured), 2)
    middle = statistics.median
    print(
        json.dumps(
            {
                "benchmark": "train",
                "size": given.size,
                "batch": given.batch,
                "step_s": round(1 / middle(plain), 2),
                "steps_per_s": round(middle(trainer), 3),
                "plain_steps_per_s": round(middle(plain), 3),
                "of_plain_loop": round(middle(trainer) / middle(plain), 3),
                "loader_samples_per_s": round(middle(loader), 1),
                "floor_samples_per_s": round(middle(floor), 1),
                "loader_of_floor": round(middle(loader) / middle(floor), 3),
                "sample_cpu_ms": round(ours, 2),
                "floor_cpu_ms": round(least, 2),
                "peak_gib": memory,
                "memory_batch": given.memory_batch,
                "load_average": round(os.getloadavg()[0], 1),
            }
        )
    )


if __name__ == "__main__":
    main()
