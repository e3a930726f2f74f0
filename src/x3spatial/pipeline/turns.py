"""The models of a zero-shot evaluation, which take turns, and the sets that each of them is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from x3spatial.engine.base import Engine
from x3spatial.evaluation.asker import Asker
from x3spatial.evaluation.asking import asking
from x3spatial.evaluation.options import EvalOptions, PoolOptions
from x3spatial.evaluation.questions import missing_field
from x3spatial.formats.task_file import TaskRecord, read_records
from x3spatial.models.base import Model


@dataclass(slots=True)
class OpenModel:
    """A model that was created, so that a wrong option is reported before any model is asked."""

    name: str
    """Its name in tables."""
    spec: str
    model: Model
    options: EvalOptions
    turn: ExitStack
    """Closes the model, and its copies elsewhere."""
    _asker: Asker | None = field(default=None, init=False)

    def asker(self, engine: Engine, pool: PoolOptions | None) -> Asker:
        """Who asks the model; opened by the first call, for all its sets.

        Raises:
            UserError: no copy of the model can be started.
        """
        if self._asker is None:
            self._asker = self.turn.enter_context(
                asking(self.spec, self.options, engine, pool, made=self.model)
            )
        return self._asker

    def close(self) -> None:
        """Its turn is over: free the memory for the next one."""
        self._asker = None
        self.turn.close()


@dataclass(frozen=True, slots=True)
class EvalSet:
    """A task file, and why some models are not asked it."""

    title: str
    data_json: Path
    reason: str | None
    """Why the build could not make it; None if it could."""
    samples: int | None
    """None if it was not built."""
    skipped: Mapping[str, str | None]
    """Name of each model → why it is not asked; None if it is."""

    @classmethod
    def of(
        cls, title: str, data_json: Path, reason: str | None, models: Sequence[OpenModel]
    ) -> Self:
        """Read the task file, if it is there.

        Raises:
            UserError: the file is malformed.
        """
        records = read_records(data_json) if data_json.is_file() else None
        reason_of_build = None if records else reason
        skipped = {
            one.name: reason_of_build or _why_skipped(one.model, data_json.name, records)
            for one in models
        }
        return cls(
            title, data_json, reason_of_build, None if records is None else len(records), skipped
        )


def unique_name(name: str, taken: Iterable[str]) -> str:
    """``name``, with a number if it is taken."""
    number, candidate, others = 2, name, set(taken)
    while candidate in others:
        candidate, number = f"{name}-{number}", number + 1
    return candidate


def _why_skipped(model: Model, file_name: str, records: Sequence[TaskRecord] | None) -> str | None:
    if records is None:
        return f"{file_name} was not built"
    refused = sorted({record.task for record in records if not model.can_answer(record.task)})
    if refused:
        return f"does not answer {', '.join(refused)}"
    missing = next((name for record in records if (name := missing_field(model, record))), None)
    return None if missing is None else f"needs {missing}, which the records do not have"
