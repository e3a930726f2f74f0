"""Run as a script under RANK and WORLD_SIZE: evaluates a slow model that notes what it is asked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from helpers.task_sets import Scripted
from x3spatial.engine.world import world_from_environment
from x3spatial.errors import Reported, UserError
from x3spatial.evaluation import journal
from x3spatial.evaluation.run import evaluate
from x3spatial.tasks.question import Question


class Noting(Scripted):
    """Writes ``rank id`` for each sample asked; answers depend on the id alone.

    Args:
        log: where to write.
        seconds: per call.
        bad: what id to fail on, if any.
        refuse: the rank that says it cannot go on.
    """

    name = "noting"

    def __init__(self, log: Path, seconds: float, bad: str | None, refuse: str | None) -> None:
        super().__init__(seconds=seconds)
        self.log = log
        self.bad = bad
        self.refuse = refuse

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        rank = os.environ.get("RANK", "-")
        if rank == self.refuse:
            raise UserError("no weights here")
        super().answer(questions, prepared)
        line = "".join(f"{rank} {question.id}\n" for question in questions)
        with open(self.log, "a") as file:
            file.write(line)
        if self.bad in [question.id for question in questions]:
            raise RuntimeError("bad sample")
        return [f"[(0.{sum(question.id.encode()) % 1000:03d}, 0.300)]" for question in questions]


def main(given: Mapping[str, Any]) -> int:
    """The exit code of one rank."""
    model = Noting(
        Path(given["log"]), given.get("seconds", 0.01), given.get("bad"), given.get("refuse")
    )
    journal._VISIBLE = given.get("visible", journal._VISIBLE)
    try:
        result = evaluate(
            data_json=Path(given["data"]),
            output_json=Path(given["output"]),
            model=model,
            batch_size=given.get("batch_size", 2),
            workers=1,
            limit=given.get("limit"),
            fresh=given.get("fresh", False),
            shard=given.get("shard"),
            world=world_from_environment(given.get("timeout", 60.0)),
        )
    except Reported as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 1 if result.errors else 0


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
