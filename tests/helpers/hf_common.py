"""Shared code of the tests of the transformers adapter: images, questions, cached models."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from helpers.tiny_vlms import make_vlm
from x3spatial.models.base import Output, as_output
from x3spatial.models.huggingface.model import HuggingFaceModel
from x3spatial.tasks.question import Question

_KEPT = tempfile.TemporaryDirectory(prefix="x3-tiny-vlms-")
PROMPT = "Where is it? Answer [(x, y)] or NOT_VISIBLE."
TASK = "Where is it?"
SIZES = ((96, 64), (64, 96), (130, 40), (64, 64), (100, 60), (320, 240))


@functools.cache
def folder(family: str) -> Path:
    """A model of the family; not to be written to."""
    return make_vlm(family, Path(_KEPT.name) / family)


@functools.cache
def picture(width: int, height: int, number: int = 0) -> Path:
    """Coloured waves, others for each number."""
    random = np.random.default_rng([width, height, number])
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(a * x + b * y) for a, b in random.uniform(0.02, 0.3, (3, 2))]
    path = Path(_KEPT.name) / f"{width}x{height}_{number}.png"
    Image.fromarray((127 + 120 * np.stack(waves, -1)).astype(np.uint8)).save(path)
    return path


def question(id: str, *images: Path, **fields: Any) -> Question:
    task = "t1_concat" if len(images) == 1 else "t1_multi"
    values = {"task": task, "prompt": PROMPT, "question": TASK, **fields}
    return Question(id, values.pop("task"), images, values.pop("prompt"), **values)


def mixed() -> list[Question]:
    """One, two and three images of six sizes, long and short prompts."""
    images = [picture(*size) for size in SIZES]
    more = [picture(*size, 1) for size in SIZES]
    return [
        question("two", images[0], images[1]),
        question("wide", images[2], prompt="Where?"),
        question("three", images[3], images[4], images[5], prompt="In the third: " + PROMPT * 2),
        question("again", more[1], images[0], prompt="?"),
        question("alone", more[5]),
    ]


def ask(model: HuggingFaceModel, questions: list[Question], batch: int) -> dict[str, Output]:
    answers: dict[str, Output] = {}
    for start in range(0, len(questions), batch):
        part = questions[start : start + batch]
        outputs = model.answer(part, model.prepare(part))
        answers |= {q.id: as_output(output) for q, output in zip(part, outputs, strict=True)}
    return answers
