"""The protocol between the evaluation and anything that answers.

A new model is one subclass of ``Model`` in one file, one line in ``models/registry.py`` and, if it
writes points in a way of its own, one entry in ``models/conventions``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from x3spatial import _moved
from x3spatial.errors import UserError
from x3spatial.tasks.question import Question, Size


@dataclass(frozen=True, slots=True)
class Output:
    """An answer text with what reading it takes."""

    text: str
    sizes: tuple[Size, ...] = ()
    """(W, H) of each image in the pixels that the model counts; empty where its convention needs none."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What else decided this answer (resized sizes, re-encoding, why it ended), as JSON values."""


def as_output(answer: str | Output) -> Output:
    """An answer in its full form.

    Raises:
        TypeError: it is neither a text nor an ``Output``.
    """
    if isinstance(answer, Output):
        return answer
    if isinstance(answer, str):
        return Output(answer)
    raise TypeError(f"an answer must be a text, not {type(answer).__name__}")


class Unanswered(Exception):
    """A model's own retries are used up: the runner does not ask again in this run."""


class Model(ABC):
    """Answers batches of questions.

    The runner calls ``prepare`` for a batch in a background thread while the model works on the one
    before, then ``answer`` in the runner's own thread. If either raises, the runner asks again sample
    by sample, so an implementation need not isolate a bad sample itself; a ``UserError`` stops the
    run, for what no second try can mend (a server that is not there). Answers must not depend on
    what else is in the batch. Weights are best loaded by the first ``prepare``: a run whose answers
    are all stored already creates the model but never asks it.
    """

    name: str
    """How results call it; for a checkpoint its folder name; by default the name of its class."""
    spec: str | None = None
    """``KIND[:ARG]`` it was made from; set by the registry."""
    convention: str = "unit"
    """Key in ``models.conventions``: how its answers write points."""
    privileged: ClassVar[bool] = False
    """Whether it reads the record (masks, ground truth): such results are marked as no model's."""
    concurrent: ClassVar[bool] = False
    """Whether ``answer`` may be called from several threads at once."""
    in_flight: int | None = None
    """How many questions a concurrent model wants to be asked at once, each in a batch of its own
    (a server's adapter); None: batches, in as many threads as there are workers."""
    tasks: ClassVar[frozenset[str] | None] = None
    """The tasks it can answer; None for all."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Fields of the record that it cannot do without; records of other builders may lack them."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Names of options that ``create`` understands beside ``max_new_tokens`` and ``seed``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls, "name"):
            cls.name = cls.__name__

    @classmethod
    def options_for(cls, argument: str | None) -> frozenset[str]:
        """Those of ``options`` that matter to ``KIND:ARGUMENT``."""
        return cls.options

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """Make one from ``--model KIND:ARGUMENT``; ``options`` holds only names it understands.

        Raises:
            UserError: the argument or an option cannot be used.
        """
        if argument is not None:
            raise UserError(f"--model {cls.name}:{argument}: {cls.name} takes no argument")
        return cls()

    def can_answer(self, task: str) -> bool:
        """Whether it can be asked about ``task``; by default those of ``tasks``."""
        return self.tasks is None or task in self.tasks

    def reads(self, question: Question) -> tuple[Path, ...]:
        """The files that decide the answer: when one changes, the question is asked again.

        With the record, a privileged model's masks are among them.
        """
        masks = [(question.record or {}).get(name) for name in ("ref_mask", "query_mask")]
        return (*question.images, *(Path(mask) for mask in masks if mask))

    def prepare(self, questions: Sequence[Question]) -> Any:
        """Decode and preprocess what ``answer`` will need. Called ahead, in another thread."""
        return None

    @abstractmethod
    def answer(self, questions: Sequence[Question], prepared: Any) -> Sequence[str | Output]:
        """One answer per question, in order. ``prepared`` is what ``prepare`` returned.

        Raises:
            Unanswered: no answer, and asking again now would not help.
        """

    def describe(self) -> dict[str, Any]:
        """What decided the answers (paths, hashes, dtype, decoding settings), for the output file."""
        return {}

    def runtime(self) -> dict[str, Any]:
        """What it was computed with (threads), for ``run`` in the output file; no answer depends on it."""
        return {}

    def interrupt(self) -> None:
        """Give up what is under way: the run ends early. Called from another thread, perhaps repeatedly."""
        return None

    def close(self) -> None:
        """Release what it holds."""
        return None


def __getattr__(name: str) -> Any:
    return _moved.renamed("models.base", name)
