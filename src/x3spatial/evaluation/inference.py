"""Inference in batches; a failing sample does not affect the other samples of its batch."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from x3spatial.engine.local import map_unordered
from x3spatial.engine.ordered import map_ordered
from x3spatial.errors import UserError
from x3spatial.evaluation.questions import Questions
from x3spatial.formats.typed_json import finite
from x3spatial.models.base import Model, Output, Unanswered, as_output
from x3spatial.tasks.question import Question, Size

_LOG = logging.getLogger("x3spatial")
_TRIES_ALONE = 2
"""Attempts per sample after its batch failed: alone, and once more."""
BATCHES_AHEAD = 2
"""Batches that are prepared while the model answers another one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one sample: a text, or the reason why there is none."""

    text: str | None
    error: str | None = None
    seen: str | None = None
    """State of the image files at the time of the answer, see ``questions.files_state``."""
    sizes: tuple[Size, ...] = ()
    """As in ``models.base.Output``."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """As in ``models.base.Output``."""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Reply:
        """The inverse of ``to_json``."""
        return cls(
            value.get("text"),
            value.get("error"),
            value.get("seen"),
            tuple((int(width), int(height)) for width, height in value.get("sizes", ())),
            value.get("details", {}),
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values for ``from_json``; empty fields are omitted."""
        if self.error is not None:
            return {"error": self.error}
        value: dict[str, Any] = {"text": self.text, "seen": self.seen}
        if self.sizes:
            value["sizes"] = [list(size) for size in self.sizes]
        return value | ({"details": dict(self.details)} if self.details else {})


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions that are asked together, with what ``prepare`` made of them."""

    questions: tuple[Question, ...]
    prepared: Any = None
    failure: Exception | None = None
    """The exception raised by ``prepare``."""


def ask(
    model: Model, questions: Sequence[Question], *, batch_size: int, workers: int
) -> Generator[dict[str, Reply], None, None]:
    """Yield the replies of each batch by id.

    A question with a missing image file is not asked. ``prepare`` runs in another thread, up to two batches
    ahead. A concurrent model answers whole batches in ``workers`` threads, or single questions in
    ``in_flight`` threads.

    Raises:
        UserError: the model raised it, because a retry cannot succeed.
    """
    askable, unaskable = with_images(questions)
    if unaskable:
        yield unaskable
    if model.concurrent and model.in_flight is not None:
        batch_size, workers = 1, model.in_flight
    batches = in_batches(askable, batch_size)
    prepare = partial(prepare_batch, model)
    if model.concurrent:
        work = lambda batch: answer_batch(model, prepare(batch))  # noqa: E731
        yield from map_unordered(work, batches, workers, interrupt=model.interrupt)
        return
    for batch in map_ordered(prepare, batches, workers=1, ahead=BATCHES_AHEAD):
        yield answer_batch(model, batch)


def missing_image(question: Question) -> Path | None:
    """The first image file of ``question`` that does not exist."""
    return next((path for path in question.images if not path.exists()), None)


def with_images(
    questions: Sequence[Question],
) -> tuple[Sequence[Question], dict[str, Reply]]:
    """The questions whose image files exist, and the replies to the others."""
    unaskable = {
        question.id: Reply(None, f"{missing}: file is missing")
        for question in questions
        if (missing := missing_image(question)) is not None
    }
    if not unaskable:
        return questions, {}
    if isinstance(questions, Questions):
        return questions.without(unaskable), unaskable
    return [question for question in questions if question.id not in unaskable], unaskable


def in_batches(questions: Sequence[Question], size: int) -> Iterator[tuple[Question, ...]]:
    """The questions in order, ``size`` at a time; the last batch may be smaller."""
    for start in range(0, len(questions), size):
        yield tuple(questions[start : start + size])


def prepare_batch(model: Model, questions: tuple[Question, ...]) -> Batch:
    """``model.prepare``, whose failure is kept for ``answer_batch``.

    Raises:
        UserError: the model raised it, because a retry cannot succeed.
    """
    try:
        return Batch(questions, model.prepare(questions))
    except UserError:
        raise
    except Exception as error:
        return Batch(questions, failure=error)


def answer_batch(model: Model, batch: Batch) -> dict[str, Reply]:
    """All replies of a batch; if the batch fails, its samples are asked one by one.

    Raises:
        UserError: the model raised it, because a retry cannot succeed.
    """
    if batch.failure is None:
        try:
            return _texts(model, batch.questions, batch.prepared)
        except UserError:
            raise
        except Exception as error:
            if isinstance(error, Unanswered) and len(batch.questions) == 1:
                return {batch.questions[0].id: Reply(None, storable(str(error)))}
            # Asked again below; a second failure is recorded.
    replies: dict[str, Reply] = {}
    for question in batch.questions:
        replies |= _answer_alone(model, question)
    return replies


def _answer_alone(model: Model, question: Question) -> dict[str, Reply]:
    message = ""
    for _ in range(_TRIES_ALONE):
        try:
            return _texts(model, (question,), model.prepare((question,)))
        except UserError:
            raise
        except Unanswered as error:
            return {question.id: Reply(None, storable(str(error)))}
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
            _LOG.debug("%s: %s", question.id, message, exc_info=True)
    return {question.id: Reply(None, storable(message))}


def _texts(model: Model, questions: tuple[Question, ...], prepared: Any) -> dict[str, Reply]:
    answers = model.answer(questions, prepared)
    if len(answers) != len(questions):
        raise TypeError(f"{model.name} gave {len(answers)} answers to {len(questions)} questions")
    return {
        question.id: _reply(answer) for question, answer in zip(questions, answers, strict=True)
    }


def _reply(answer: str | Output) -> Reply:
    output = as_output(answer)
    return Reply(storable(output.text), sizes=output.sizes, details=finite(output.details))


def storable(text: str) -> str:
    """``text`` with escapes for what UTF-8 cannot encode: lone surrogates from a faulty decoder."""
    if text.isascii():
        return text
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
