"""Inference on one process's share of the questions, with progress, into the journal."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from x3spatial.engine.world import World
from x3spatial.evaluation.asker import Asker
from x3spatial.evaluation.failures import FailureWatch
from x3spatial.evaluation.journal import Store
from x3spatial.evaluation.questions import Questions, files_state, question_of, size_and_time
from x3spatial.formats.task_file import TaskRecord
from x3spatial.models.base import Model
from x3spatial.progress import progress
from x3spatial.tasks.question import Question

_NEIGHBOURS = 4096
"""Files that are looked at once: neighbouring samples show the same images."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What inference did: questions asked, questions not asked, and why not; None if all were."""

    asked: int
    left: int
    stopped: str | None


@dataclass(frozen=True, slots=True)
class Inference:
    """Inference on this process's share of the records."""

    asker: Asker
    records: tuple[TaskRecord, ...]
    batch_size: int
    workers: int
    world: World | None
    stop_after_failures: int
    label: str

    def _is_mine(self, record: TaskRecord) -> bool:
        return self.world is None or self.world.owns(record.id)

    @property
    def share(self) -> int:
        """The number of records in this process's share."""
        return sum(map(self._is_mine, self.records))

    def run(self, store: Store, check: Callable[[], None] = lambda: None) -> Asked:
        """Ask questions without an answer, or whose images have changed.

        Args:
            store: the journal.
            check: called between batches; may raise to stop.
        """
        model = self.asker.model
        look = lru_cache(_NEIGHBOURS)(size_and_time)
        unasked: list[TaskRecord] = []
        states: dict[str, str] = {}
        for record in filter(self._is_mine, self.records):
            state = _state(model, question_of(record, None, privileged=model.privileged), look)
            known = store.replies.get(record.id)
            if known is None or known.text is None or known.seen not in (None, state):
                unasked.append(record)
                states[record.id] = state
        questions = Questions(unasked, privileged=model.privileged)
        share, asked = self.share, 0
        succeeded = any(
            reply.text is not None for id, reply in store.replies.items() if id not in states
        )
        watch = FailureWatch(self.stop_after_failures, questions, succeeded=succeeded)
        # Only rank 0 shows a progress bar, because the processes share a terminal.
        shown = (
            nullcontext(_no_progress)
            if self.world is not None and self.world.rank
            else progress(self.label, share, done=share - len(questions))
        )
        replying = self.asker.ask(questions, batch_size=self.batch_size, workers=self.workers)
        with shown as advance, closing(replying):
            for replies in replying:
                store.add({id: replace(reply, seen=states[id]) for id, reply in replies.items()})
                asked += len(replies)
                advance(len(replies))
                check()
                watch.add(replies)
                if watch.hopeless:
                    break
        left = len(questions) - asked
        return Asked(asked, left, watch.message(left) if left else None)


def _no_progress(n: int = 1) -> None:
    """No-op progress callback."""


def _state(chosen: Model, question: Question, look: Callable[[Path], list[int]]) -> str:
    try:
        return files_state(chosen.reads(question), look)
    except (OSError, ValueError):
        return ""  # a file is missing; the model raises an error that names it
