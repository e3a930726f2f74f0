"""Answers per second of ``roborefer:`` in batches against one at a time, and what encode-once brings.

``python benchmarks/eval.py`` prints one JSON line. The checkpoints are random ones made on the spot, so the
figures tell about the software, not about the model. Pictures are 640 x 480 PNG files; every reference
is asked about four times, as in anchor mode.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from x3spatial.models.base import Question
from x3spatial.models.roborefer.answerer import RoboReferAnswerer
from x3spatial.models.roborefer.tiny import make_tiny

PROMPT = (
    "The first image shows a scene with one object marked in red. The second image shows the same room"
    " from a different viewpoint. Point to the same object in the second image. Answer with [(x, y)]"
    " between 0 and 1, or NOT_VISIBLE if the object cannot be seen."
)


def make_questions(folder: Path, objects: int, *, shared: bool = True) -> list[Question]:
    """Four questions per object; ``shared`` False gives each its own copy of the reference picture."""
    random = np.random.default_rng(0)
    folder.mkdir()
    questions = []

    def picture(name: str) -> Path:
        coarse = random.integers(0, 256, (15, 20, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((640, 480)).save(folder / f"{name}.png")
        return folder / f"{name}.png"

    for number in range(objects):
        reference = picture(f"{number}_marked")
        for query in range(4):
            first = reference
            if not shared:
                first = folder / f"{number}_{query}_marked.png"
                first.write_bytes(reference.read_bytes())
            images = (first, picture(f"{number}_{query}_original"))
            questions.append(Question(f"{number}-{query}", "t1_multi", images, PROMPT, ""))
    return questions


def one_at_a_time(model: RoboReferAnswerer, questions: list[Question]) -> tuple[float, list[str]]:
    start = time.perf_counter()
    texts = [model.answer([question], None)[0] for question in questions]
    return time.perf_counter() - start, texts


def batched(
    model: RoboReferAnswerer, questions: list[Question], size: int
) -> tuple[float, list[str]]:
    """As the evaluation runs it: the next batch is prepared in a thread while this one is answered."""
    parts = [questions[start : start + size] for start in range(0, len(questions), size)]
    start = time.perf_counter()
    texts: list[str] = []
    with ThreadPoolExecutor(1) as ahead:
        prepared = ahead.submit(model.prepare, parts[0])
        for number, part in enumerate(parts):
            ready = prepared.result()
            if number + 1 < len(parts):
                prepared = ahead.submit(model.prepare, parts[number + 1])
            texts += model.answer(part, ready)
    return time.perf_counter() - start, texts


def seconds_of_parts(
    model: RoboReferAnswerer, questions: list[Question], size: int
) -> dict[str, float]:
    """Where the time of a batch goes: preparing, the towers, and the whole of answering."""
    part = questions[:size]
    start = time.perf_counter()
    ready = model.prepare(part)
    prepare = time.perf_counter() - start
    tower = [0.0]
    begun = [0.0]

    def before(*_: Any) -> None:
        begun[0] = time.perf_counter()

    def after(*_: Any) -> None:
        tower[0] += time.perf_counter() - begun[0]

    hooks = [
        model.model.vision_tower.register_forward_pre_hook(before),
        model.model.mm_projector.register_forward_hook(after),
    ]
    start = time.perf_counter()
    model.answer(part, ready)
    whole = time.perf_counter() - start
    for hook in hooks:
        hook.remove()
    return {
        "prepare_s": round(prepare, 4),
        "tower_and_projector_s": round(tower[0], 4),
        "language_model_s": round(whole - tower[0], 4),
    }


def encode_once(folder: Path, checkpoint: Path, size: int) -> dict[str, float]:
    """Tower time of a batch in anchor mode with the shared reference encoded once, and each time."""
    model = RoboReferAnswerer(checkpoint, max_new_tokens=1)
    towers = {}
    for name, shared in (("once", True), ("each_time", False)):
        questions = make_questions(folder / name, size // 4, shared=shared)
        seconds_of_parts(model, questions, size)  # warm up
        runs = [seconds_of_parts(model, questions, size) for _ in range(3)]
        towers[name] = min(run["tower_and_projector_s"] for run in runs)
        towers[f"{name}_prepare"] = min(run["prepare_s"] for run in runs)
    return {
        "tower_s_once": towers["once"],
        "tower_s_each_time": towers["each_time"],
        "tower_speedup": round(towers["each_time"] / towers["once"], 2),
        "prepare_speedup": round(towers["each_time_prepare"] / towers["once_prepare"], 2),
        "bound": 1.6,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--objects", type=int, default=16)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--max_new_tokens", type=int, default=24)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        checkpoint = make_tiny(out=folder / "tiny")
        model = RoboReferAnswerer(checkpoint, max_new_tokens=options.max_new_tokens)
        questions = make_questions(folder / "images", options.objects)
        model.answer(questions[:2], None)
        single_s, single = one_at_a_time(model, questions)
        batched_s, together = batched(model, questions, options.batch_size)
        agreement = {
            "float32": float(np.mean([a == b for a, b in zip(single, together, strict=True)]))
        }
        for dtype in ("bfloat16", "float16"):
            half = RoboReferAnswerer(checkpoint, dtype=dtype, max_new_tokens=options.max_new_tokens)
            some = questions[: 2 * options.batch_size]
            pairs = zip(
                one_at_a_time(half, some)[1],
                batched(half, some, options.batch_size)[1],
                strict=True,
            )
            agreement[dtype] = round(float(np.mean([a == b for a, b in pairs])), 3)
        parts = seconds_of_parts(model, questions, options.batch_size)
        small = make_tiny(out=folder / "small", size="small")
        (folder / "anchor").mkdir()
        once = encode_once(folder / "anchor", small, options.batch_size)
    result = {
        "benchmark": "eval",
        "questions": len(questions),
        "batch_size": options.batch_size,
        "max_new_tokens": options.max_new_tokens,
        "threads": torch.get_num_threads(),
        "samples_per_s_single": round(len(questions) / single_s, 2),
        "samples_per_s_batched": round(len(questions) / batched_s, 2),
        "speedup": round(single_s / batched_s, 2),
        "one_batch": parts,
        "same_answers": agreement,
        "encode_once": once,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
