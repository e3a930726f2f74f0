"""Speed of ``roborefer:`` models in batches relative to single questions, and the gain of encode-once.

``python benchmarks/eval.py`` prints one JSON line. It uses random checkpoints made on the spot, so its
figures describe the software, not a model. Images are 640 x 480 PNG files; every reference occurs in four
questions, as in anchor mode.

The compared variants alternate in rounds. Medians come with their range, because single passes on a shared
machine gave ratios from 0.9 to 3.6. CPU seconds and the load average accompany wall-clock times. torch uses
one thread; more would compete with the preparing thread for a few cores.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from x3spatial.models.base import Output
from x3spatial.models.roborefer.model import RoboReferModel
from x3spatial.models.roborefer.tiny import make_tiny
from x3spatial.tasks.question import Question

PROMPT = (
    "The first image shows a scene with one object marked in red. The second image shows the same room"
    " from a different viewpoint. Point to the same object in the second image. Answer with [(x, y)]"
    " between 0 and 1, or NOT_VISIBLE if the object cannot be seen."
)


def make_questions(folder: Path, objects: int, *, shared: bool = True) -> list[Question]:
    """Make four questions per object; without ``shared`` each has its own copy of the reference image."""
    random = np.random.default_rng(0)
    folder.mkdir()
    questions = []

    def make_image(name: str) -> Path:
        coarse = random.integers(0, 256, (15, 20, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((640, 480)).save(folder / f"{name}.png")
        return folder / f"{name}.png"

    for number in range(objects):
        reference = make_image(f"{number}_marked")
        for query in range(4):
            first = reference
            if not shared:
                first = folder / f"{number}_{query}_marked.png"
                first.write_bytes(reference.read_bytes())
            images = (first, make_image(f"{number}_{query}_original"))
            questions.append(Question(f"{number}-{query}", "t1_multi", images, PROMPT, ""))
    return questions


def alternate(
    workloads: Mapping[str, Callable[[], Any]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Run the workloads alternately; return (wall-clock seconds, CPU seconds) of each per round."""
    clock: dict[str, list[float]] = {name: [] for name in workloads}
    cpu: dict[str, list[float]] = {name: [] for name in workloads}
    for _ in range(rounds):
        for name, workload in workloads.items():
            start, start_cpu = time.perf_counter(), time.process_time()
            workload()
            clock[name].append(time.perf_counter() - start)
            cpu[name].append(time.process_time() - start_cpu)
    return clock, cpu


def ratio(above: list[float], below: list[float]) -> dict[str, float]:
    """Return median and range over the rounds of ``above / below``."""
    values = [a / b for a, b in zip(above, below, strict=True)]
    return {
        "median": round(statistics.median(values), 2),
        "min": round(min(values), 2),
        "max": round(max(values), 2),
    }


def one_at_a_time(model: RoboReferModel, questions: list[Question]) -> list[str | Output]:
    return [model.answer([question], None)[0] for question in questions]


def batched(model: RoboReferModel, questions: list[Question], size: int) -> list[str | Output]:
    """Answer in batches as the evaluation does: a thread prepares the next batch meanwhile."""
    parts = [questions[start : start + size] for start in range(0, len(questions), size)]
    texts: list[str | Output] = []
    with ThreadPoolExecutor(1) as ahead:
        prepared = ahead.submit(model.prepare, parts[0])
        for number, part in enumerate(parts):
            ready = prepared.result()
            if number + 1 < len(parts):
                prepared = ahead.submit(model.prepare, parts[number + 1])
            texts += model.answer(part, ready)
    return texts


def time_by_stage(model: RoboReferModel, part: list[Question], rounds: int) -> dict[str, float]:
    """Return median CPU seconds of one batch: preparation, tower and projector, language model."""
    ready = model.prepare(part)
    pixels = torch.cat(list(ready.pixels.values()))

    @torch.inference_mode()
    def tower() -> None:
        model.model.get_image_features(pixels)

    workloads = {
        "prepare": lambda: model.prepare(part),
        "tower": tower,
        "answer": lambda: model.answer(part, ready),
    }
    medians = {k: statistics.median(v) for k, v in alternate(workloads, rounds)[1].items()}
    return {
        "prepare_cpu_s": round(medians["prepare"], 4),
        "tower_and_projector_cpu_s": round(medians["tower"], 4),
        "language_model_cpu_s": round(medians["answer"] - medians["tower"], 4),
    }


def encode_once(folder: Path, checkpoint: Path, size: int, rounds: int) -> dict[str, Any]:
    """Compare a shared reference, encoded once, with one copy of it per question (anchor mode)."""
    model = RoboReferModel(checkpoint, max_new_tokens=1)
    workloads: dict[str, Callable[[], Any]] = {}
    for name, shared in (("once", True), ("each", False)):
        part = make_questions(folder / name, size // 4, shared=shared)
        ready = model.prepare(part)
        workloads[f"prepare_{name}"] = partial(model.prepare, part)
        workloads[f"answer_{name}"] = partial(model.answer, part, ready)
    for workload in workloads.values():
        workload()
    _, cpu = alternate(workloads, rounds)
    return {
        "size": "small",
        "prepare": ratio(cpu["prepare_each"], cpu["prepare_once"]),
        "answer": ratio(cpu["answer_each"], cpu["answer_once"]),
        "pictures": [2 * size, size + size // 4],
        "bound": 1.6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--objects", type=int, default=8)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--max_new_tokens", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    size = options.batch_size
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        checkpoint = make_tiny(out=folder / "tiny")
        questions = make_questions(folder / "images", options.objects)
        agreement = {}
        for dtype in ("bfloat16", "float16", "float32"):
            model = RoboReferModel(checkpoint, dtype=dtype, max_new_tokens=options.max_new_tokens)
            pairs = zip(
                one_at_a_time(model, questions), batched(model, questions, size), strict=True
            )
            agreement[dtype] = round(float(np.mean([a == b for a, b in pairs])), 3)
        workloads = {
            "single": lambda: one_at_a_time(model, questions),
            "batched": lambda: batched(model, questions, size),
        }
        clock, cpu = alternate(workloads, options.rounds)
        parts = time_by_stage(model, questions[:size], options.rounds)
        (folder / "anchor").mkdir()
        small = make_tiny(out=folder / "small", size="small")
        once = encode_once(folder / "anchor", small, size, options.rounds)
    count = len(questions)
    result = {
        "benchmark": "eval",
        "questions": count,
        "batch_size": size,
        "max_new_tokens": options.max_new_tokens,
        "rounds": options.rounds,
        "threads": options.threads,
        "load_average": round(os.getloadavg()[0], 1),
        "cores": os.cpu_count(),
        "samples_per_s_single": round(count / statistics.median(clock["single"]), 2),
        "samples_per_s_batched": round(count / statistics.median(clock["batched"]), 2),
        "speedup": ratio(clock["single"], clock["batched"]),
        "speedup_cpu": ratio(cpu["single"], cpu["batched"]),
        "one_batch": parts,
        "same_answers": agreement,
        "encode_once": once,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
