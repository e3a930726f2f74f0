"""Models for pools of Ray: ``--model helpers.ray_models:Noting:{...}``."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from x3spatial.errors import UserError
from x3spatial.models.base import Model
from x3spatial.tasks.question import Question


class Noting(Model):
    """Writes ``pid id`` for each sample asked; answers depend on the id alone.

    Its argument is JSON: ``log``; ``seconds`` per batch; ``poison``, a file whose text is the id that kills
    the process while the file exists; ``partners``, a folder in which two processes must have come before
    any answers; ``fault``: ``load`` (an error of the user), ``die`` (when it loads), ``differ`` (every copy
    describes itself differently).
    """

    name = "noting"

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        self.fault = given.get("fault")

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        return cls(json.loads(argument or "{}"))

    def describe(self) -> dict[str, Any]:
        return {"process": os.getpid()} if self.fault == "differ" else {"seconds": 0}

    def prepare(self, questions: Sequence[Question]) -> Any:
        if self.fault == "load":
            raise UserError("--model noting: the weights are damaged; load them again")
        if self.fault == "die":
            os._exit(1)
        return None

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str]:
        poison = Path(self.given.get("poison", "/none"))
        if poison.exists() and poison.read_text() in [question.id for question in questions]:
            os._exit(1)
        if "partners" in self.given:
            _wait_for_two(Path(self.given["partners"]))
        time.sleep(self.given.get("seconds", 0))
        if "log" in self.given:
            with open(self.given["log"], "a") as file:
                file.write("".join(f"{os.getpid()} {question.id}\n" for question in questions))
        return [f"[(0.{sum(question.id.encode()) % 1000:03d}, 0.300)]" for question in questions]


def _wait_for_two(folder: Path) -> None:
    """Wait until two processes have come, so that both have their part however late one starts."""
    folder.mkdir(exist_ok=True)
    (folder / str(os.getpid())).touch()
    deadline = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
