"""A run in which every question fails with the same error is hopeless: it stops early."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from x3spatial.texts import quoted

if TYPE_CHECKING:
    from x3spatial.evaluation.inference import Reply
    from x3spatial.tasks.question import Question

_VARYING = re.compile(r"0x[0-9a-fA-F]+|[0-9a-fA-F]{8,}|\d+")
"""Addresses, request ids, times: they differ between errors of one cause."""


class FailureWatch:
    """Counts equal errors in a row, as long as nothing has succeeded.

    An error that names a file of its question is about that file, so it does not count: other questions may
    succeed.

    Args:
        limit: this many equal errors in a row end the run; 0: none do.
        questions: the questions to ask.
        succeeded: whether an earlier call has an answer.
    """

    def __init__(self, limit: int, questions: Iterable[Question], *, succeeded: bool) -> None:
        self._limit = 0 if succeeded else limit
        self._questions = questions
        self._files: dict[str, tuple[str, ...]] = {}
        self._kind: str | None = None
        self._count = 0
        self._last = ""

    def add(self, replies: Mapping[str, Reply]) -> None:
        """Take note of finished questions."""
        for id, reply in replies.items():
            if reply.text is not None:
                self._limit = 0
            if not self._limit or reply.error is None:
                continue
            if not self._files:  # most runs never need them
                self._files = {q.id: (q.id, *map(str, q.images)) for q in self._questions}
            id_text, *files = self._files[id]
            if any(file in reply.error for file in files):
                continue
            kind = _VARYING.sub("#", reply.error.replace(id_text, "#"))
            self._count = self._count + 1 if kind == self._kind else 1
            self._kind, self._last = kind, reply.error

    @property
    def hopeless(self) -> bool:
        """Whether the run should stop."""
        return 0 < self._limit <= self._count

    def message(self, left: int) -> str:
        """Why the run stopped, with the number of questions that were not asked."""
        return (
            f"stopped: {self._count} questions in a row failed alike and none succeeded, so {left} were not"
            f" asked; the same command asks them (--stop-after-failures 0: all at once). Last error:"
            f" {quoted(self._last, 500)}"
        )
