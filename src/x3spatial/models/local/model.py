"""Base class of models that run in this process: lazy loading, batches that fit, greedy decoding."""

from __future__ import annotations

import string
import threading
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

import torch
from transformers.generation.configuration_utils import GenerationConfig

from x3spatial.errors import UserError
from x3spatial.models.base import Model, Output
from x3spatial.models.local.runtime import (
    choose_threads,
    free_after_halving,
    run_halving,
    set_threads,
)
from x3spatial.tasks.question import Question

_PREPARING = 1
"""Number of threads that decode the next batch during inference."""


@dataclass(slots=True)
class PreparedBatch:
    """The result of ``prepare``, used by ``answer``."""

    failures: dict[str, Exception] = field(default_factory=dict)
    """Question id → why it could not be prepared; ``answer`` raises for it."""


_PLAIN = string.ascii_letters + string.digits + string.punctuation

P = TypeVar("P", bound=PreparedBatch)


class LocalModel(Model, Generic[P]):
    """A model that generates in this process.

    Weights are loaded on first use. Decoding is greedy, regardless of the checkpoint's
    ``generation_config.json``. A batch that does not fit in memory is halved, and so are later ones.

    Args:
        device: the torch device.
        decoding: the generation config.
    """

    def __init__(self, device: torch.device, decoding: GenerationConfig) -> None:
        self.device = device
        self.decoding = decoding
        self.torch_threads: int | None = None
        """Number of torch threads during inference, chosen when the weights are loaded."""
        self._threads_before: int | None = None
        self._limit: int | None = None
        """The most questions of a batch; None: no limit so far."""
        self._loading = threading.Lock()

    @abstractmethod
    def load(self) -> Any:
        """The model with its weights.

        Raises:
            UserError: the weights are missing, damaged or do not match the config, or the attention kernel is
                not available.
        """

    @abstractmethod
    def prepare(self, questions: Sequence[Question]) -> P:
        """See ``Model.prepare``; a sample that cannot be prepared is recorded in ``failures``."""

    @abstractmethod
    def generate(self, questions: Sequence[Question], prepared: P) -> Sequence[str | Output]:
        """One answer per question, in order; all questions form one batch."""

    @classmethod
    def own_options(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        """The given ``options`` that ``__init__`` accepts."""
        known = cls.options | {"max_new_tokens"}
        return {
            name: value for name, value in options.items() if value is not None and name in known
        }

    @cached_property
    def _model(self) -> Any:
        model = self.load()
        self.torch_threads = choose_threads(
            sum(parameter.numel() for parameter in model.parameters()), busy=_PREPARING
        )
        # generate() fills missing fields from the config of the model, so both must be the same.
        model.generation_config = self.decoding
        return model

    @property
    def model(self) -> Any:
        """The model, loaded on first use; ``prepare`` and ``answer`` run in different threads.

        Raises:
            UserError: it cannot be loaded.
        """
        with self._loading:
            return self._model

    def answer(self, questions: Sequence[Question], prepared: Any) -> list[str | Output]:
        """One answer per question, in order.

        Raises:
            ValueError: a sample could not be prepared; the message names it.
        """
        ready: P = self.prepare(questions) if prepared is None else prepared
        if self.torch_threads is not None and self.torch_threads != torch.get_num_threads():
            self._threads_before = self._threads_before or torch.get_num_threads()
            set_threads(self.torch_threads)
        for question in questions:
            if question.id in ready.failures:
                error = ready.failures[question.id]
                raise ValueError(f"{question.id}: {error}") from error

        def on_halved(size: int, limit: int) -> None:
            self._limit = limit
            free_after_halving(self.device, size, limit)

        return run_halving(
            lambda part: list(self.generate(part, ready)), questions, self._limit, on_halved
        )

    def rules(self) -> dict[str, Any]:
        """The decoding rules in use, for ``describe``."""
        return {
            "do_sample": False,
            "num_beams": 1,
            "repetition_penalty": 1.0,
            "max_new_tokens": self.decoding.max_new_tokens,
            "eos_token_id": self.decoding.eos_token_id,
        }

    def runtime(self) -> dict[str, Any]:
        """The number of torch threads."""
        return {"torch_threads": self.torch_threads or torch.get_num_threads()}

    def close(self) -> None:
        """Free the model's memory and restore torch's number of threads."""
        self.__dict__.pop("_model", None)
        if self._threads_before is not None:
            set_threads(self._threads_before)
            self._threads_before = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def greedy_rules(tokenizer: Any, ends: Sequence[int], max_new_tokens: int) -> GenerationConfig:
    """Greedy decoding up to one of the ids ``ends``; all other decoding rules are switched off."""
    return GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,
        max_new_tokens=max_new_tokens,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=list(ends) or None,
        pad_token_id=tokenizer.pad_token_id,
    )


def check_text(tokenizer: Any, named: object) -> None:
    """Check that a tokenizer has tokens for the text of questions and answers.

    A vocabulary that lacks a character drops it without an error, and an empty one drops everything.

    Args:
        tokenizer: the tokenizer.
        named: the folder or model that it is from, for the message.

    Raises:
        UserError: a letter, digit or bracket gives no token.
    """
    lost = [
        character
        for character in _PLAIN
        if not tokenizer(character, add_special_tokens=False)["input_ids"]
    ]
    if lost:
        raise UserError(
            f"{named}: the tokenizer has no token for {len(lost)} of {len(_PLAIN)} plain characters"
            f" ({lost[0]!r} first); its vocabulary is empty or incomplete"
        )
