"""The run behind ``golden/results-format1.json``: every kind of answer, with errors, sizes and details."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from helpers.paths import TESTS
from helpers.task_sets import Scripted, box_mask, make_record, write_set
from x3spatial.evaluation.run import evaluate
from x3spatial.models.base import Output
from x3spatial.tasks.question import Question

GOLDEN = TESTS / "formats/golden/results-format1.json"
"""What x3spatial 0.1 wrote for it, as ``normalised`` gives it."""

TEXTS = (
    "[(9, 8)]", "[(7, 9)]", "NOT_VISIBLE", "[(40, 8)]", "it is the café", "NOT_VISIBLE [(1, 1)]",
)  # fmt: skip


class Pixels(Scripted):
    """Answers in pixels, with the image sizes and a detail."""

    name = "pixels"
    convention = "pixel"

    def answer(self, questions: Sequence[Question], prepared: object) -> list[Output]:  # type: ignore[override]
        texts = super().answer(questions, prepared)
        return [
            Output(text, ((32, 24),) * len(question.images), {"sent": [1, 2.5, None]})
            for text, question in zip(texts, questions, strict=True)
        ]


def make_golden_set(folder: Path) -> tuple[Path, Pixels]:
    """The task file, of 22 samples in 11 scenes, and the model that answers it."""
    records = []
    for number in range(22):
        mask = box_mask(32, 24, 4 + number % 10, 5, 10 + number % 10, 11)
        if number % 4 == 3:
            mask[:] = False
        task = "t1_concat" if number % 5 == 4 else "t1_multi"
        scene = f"s{number % 11}"
        records.append(make_record(folder, f"{number:02d}", mask, scene=scene, task=task))
    Path(str(records[1].query_mask)).unlink()
    answers = {record.id: TEXTS[n % len(TEXTS)] for n, record in enumerate(records)}
    model = Pixels({**answers, records[2].id: RuntimeError("out of memory")})
    return write_set(folder / "t1_val_multi.json", records), model


def write_golden_run(folder: Path, **options: object) -> Path:
    """Evaluate it; returns the results file."""
    data, model = make_golden_set(folder)
    output = folder / "results.json"
    evaluate(data_json=data, output_json=output, model=model, workers=1, **options)  # type: ignore[arg-type]
    return output


def normalised(text: str, folder: Path) -> str:
    """A results file's text without what differs between machines and days."""
    text = text.replace(str(folder), "/data")
    text = re.sub(r'"([0-9a-f]{64})"', f'"{"0" * 64}"', text)
    text = re.sub(r'"images_seen": "[0-9a-f]{16}"', f'"images_seen": "{"0" * 16}"', text)
    versions = '"versions": {\n    "x3spatial": "0.1.0",\n    "python": "3.11.0"\n  }'
    text = re.sub(r'"versions": \{[^}]*\}', versions, text)
    run = {
        "seconds": "1.5",
        "samples_per_second": "14.667",
        "host": '"host"',
        "date": '"2026-01-01T00:00:00+00:00"',
    }
    # Recorded since format 2, where a model runs in the process or the machine says so.
    text = re.sub(r'\n    "(usable_cores|torch_threads)": \d+,', "", text)
    for key, value in run.items():
        text = re.sub(
            rf'^    "{key}": .*?(,?)$', rf'    "{key}": {value}\1', text, flags=re.MULTILINE
        )
    return text
