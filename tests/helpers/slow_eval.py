"""Run as a script: evaluates a slow model, so that a test can kill it on the way."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from helpers.task_sets import Scripted
from x3spatial.evaluation.run import evaluate
from x3spatial.tasks.question import Question


class Slow(Scripted):
    """Notes every sample in a file as it is asked; answers depend on the id alone."""

    name = "slow"

    def __init__(self, log: Path) -> None:
        super().__init__(seconds=0.03)
        self.log = log

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        super().answer(questions, prepared)
        with open(self.log, "a") as file:
            file.writelines(f"{question.id}\n" for question in questions)
        return [f"[(0.{sum(question.id.encode()) % 1000:03d}, 0.300)]" for question in questions]


def main(data_json: str, output_json: str, log: str, batch_size: str) -> None:
    evaluate(
        data_json=Path(data_json),
        output_json=Path(output_json),
        model=Slow(Path(log)),
        batch_size=int(batch_size),
        workers=1,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
