"""The interface between the evaluation and models.

A new model is a subclass of ``Model`` in its own file, a line in ``models/registry.py`` and, if it has its
own point format, an entry in ``conventions``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

from x3spatial import _moved
from x3spatial.errors import UserError
from x3spatial.io.members import file_at
from x3spatial.tasks.question import Question, Size

AT_END_TOKEN, AT_TOKEN_LIMIT = "eos", "max_new_tokens"
"""Why an answer of a local model ended: ``finish`` in its details."""
AT_SERVER_LIMIT = "length"
"""The reason of OpenAI-compatible servers for an answer that the token limit ended."""
CUT_OFF = frozenset(
    {
        AT_TOKEN_LIMIT,
        AT_SERVER_LIMIT,
        "max_tokens",
        "MAX_TOKENS",
        "model_length",
        "max_output_tokens",
    }
)
"""``finish`` of answers that a token limit ended; the last four behind gateways of Anthropic's, Google's and
Mistral's models and of OpenAI's newer interface."""


@dataclass(frozen=True, slots=True)
class Output:
    """An answer text with the information that parsing requires."""

    text: str
    sizes: tuple[Size, ...] = ()
    """(W, H) of each image in the pixels of the convention; empty if the convention does not use pixels."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """Further information about this answer (resized sizes, re-encoding, finish reason), as JSON values."""


def as_output(answer: str | Output) -> Output:
    """Convert an answer to an ``Output``.

    Raises:
        TypeError: the answer is neither a text nor an ``Output``.
    """
    if isinstance(answer, Output):
        return answer
    if isinstance(answer, str):
        return Output(answer)
    raise TypeError(f"an answer must be a text, not {type(answer).__name__}")


class Unanswered(Exception):
    """All retries of a model failed; the question is not asked again in this run."""


class Model(ABC):
    """A model that answers batches of questions.

    The evaluation calls ``prepare`` for a batch in a background thread while the model answers the previous
    batch, then ``answer`` in its own thread. If one of them raises, the questions of the batch are asked one
    by one, so an implementation does not have to isolate a failing sample. A ``UserError`` ends the run; it
    is meant for errors that a retry cannot fix, such as an unreachable server. Answers must not depend on the
    rest of the batch. Weights should be loaded by the first ``prepare``, because a run with only stored
    answers creates the model without asking it.
    """

    name: str
    """Name in results; for a checkpoint the name of its folder. Default: the name of the class."""
    spec: str | None = None
    """``KIND[:ARG]`` of ``--model``; set by the registry."""
    convention: str = "unit"
    """Name of its convention, the point format of its answers."""
    privileged: ClassVar[bool] = False
    """Whether it reads the record (masks, ground truth); its results are marked as privileged."""
    concurrent: ClassVar[bool] = False
    """Whether ``answer`` may be called from several threads at once."""
    in_flight: int | None = None
    """Number of concurrent single questions, for adapters of servers; None: concurrent batches, one thread
    per worker."""
    tasks: ClassVar[frozenset[str] | None] = None
    """The supported tasks; None for all."""
    needs: ClassVar[frozenset[str]] = frozenset()
    """Required fields of the record; records of other builders may lack them."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Names of options of ``create`` in addition to ``max_new_tokens`` and ``seed``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if not hasattr(cls, "name"):
            cls.name = cls.__name__

    @classmethod
    def options_for(cls, argument: str | None) -> frozenset[str]:
        """The ``options`` that apply to ``KIND:ARGUMENT``."""
        return cls.options

    @classmethod
    def create(cls, argument: str | None, options: Mapping[str, Any]) -> Self:
        """Create the model of ``--model KIND:ARGUMENT``; ``options`` only contains supported names.

        Raises:
            UserError: the argument or an option is invalid.
        """
        if argument is not None:
            raise UserError(f"--model {cls.name}:{argument}: {cls.name} takes no argument")
        return cls()

    def can_answer(self, task: str) -> bool:
        """Whether ``task`` is supported; by default whether it is in ``tasks``."""
        return self.tasks is None or task in self.tasks

    def reads(self, question: Question) -> tuple[Path, ...]:
        """The files that the answer depends on; if one changes, the question is asked again.

        For privileged models they include the masks.
        """
        masks = [(question.record or {}).get(name) for name in ("ref_mask", "query_mask")]
        return (*question.images, *(file_at(mask) for mask in masks if mask))

    def prepare(self, questions: Sequence[Question]) -> Any:
        """Decode and preprocess the inputs of ``answer``. Called in advance in another thread."""
        return None

    @abstractmethod
    def answer(self, questions: Sequence[Question], prepared: Any) -> Sequence[str | Output]:
        """One answer per question, in order; ``prepared`` is the result of ``prepare``.

        Raises:
            Unanswered: there is no answer, and the question must not be asked again in this run.
        """

    def describe(self) -> dict[str, Any]:
        """Everything that affects the answers (paths, hashes, dtype, decoding), for the results file."""
        return {}

    def runtime(self) -> dict[str, Any]:
        """Settings that do not affect the answers (threads), for ``run`` in the results file."""
        return {}

    def interrupt(self) -> None:
        """Cancel running requests when the run ends early. Called from another thread, maybe repeatedly."""
        return None

    def close(self) -> None:
        """Release resources."""
        return None


def __getattr__(name: str) -> Any:
    return _moved.renamed("models.base", name)
