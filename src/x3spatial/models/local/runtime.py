"""What every model that runs in this process shares: types, devices, memory, loading."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from transformers.utils import logging as hf_logging

from x3spatial.errors import UserError
from x3spatial.models import choices
from x3spatial.tasks.question import Question

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in choices.DTYPES}
ATTENTIONS = choices.ATTENTIONS

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

# What a generation config says besides decoding rules.
_NOT_RULES = frozenset(
    {"transformers_version", "_from_model_config", "bos_token_id", "pad_token_id"}
)


def check_numerics(*, dtype: str, attention: str, max_new_tokens: int) -> None:
    """Refuse what no model can be run with.

    Raises:
        UserError: it is refused; the message names the file or option.
    """
    for option, value, known in (
        ("--attention", attention, ATTENTIONS),
        ("--dtype", dtype, ("auto", *DTYPES)),
    ):
        if value not in known:
            raise UserError(f"{option} {value}: expected one of {', '.join(known)}")
    if max_new_tokens < 1:
        raise UserError(f"--max-new-tokens {max_new_tokens}: must be at least 1")


@contextmanager
def loading(attention: str) -> Iterator[None]:
    """Around ``from_pretrained``: no bar where nobody watches, and errors of ``--attention`` in a line.

    Raises:
        UserError: the attention kernel is not installed, or not there for this model.
    """
    quiet = hf_logging.is_progress_bar_enabled() and not sys.stderr.isatty()
    if quiet:
        hf_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    except ImportError as error:
        raise UserError(f"--attention {attention}: {str(error).splitlines()[0]}") from None
    except ValueError as error:
        if attention in str(error) and "attention" in str(error).lower():
            raise UserError(f"--attention {attention}: {str(error).splitlines()[0]}") from None
        raise
    finally:
        if quiet:
            hf_logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def choose_device(name: str) -> torch.device:
    """``auto``: the first GPU, under torchrun or accelerate that of LOCAL_RANK, else the CPU.

    Raises:
        UserError: no such device here.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        local_rank = os.environ.get("LOCAL_RANK", "0")
        # A launcher may also show each process one GPU only, or start more of them than there are.
        number = int(local_rank) % torch.cuda.device_count() if local_rank.isdigit() else 0
        return torch.device(f"cuda:{number}")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: not a device of torch") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {name}: {torch.cuda.device_count()} CUDA devices are here")
    return device


def halving(
    work: Callable[[Sequence[Question]], list[T]],
    questions: Sequence[Question],
    limit: int | None,
    lowered: Callable[[int, int], None],
) -> list[T]:
    """``work`` over pieces of at most ``limit`` questions; a piece that runs out of memory is halved.

    ``lowered(size, limit)`` is told of each halving. A single question that does not fit raises.
    """
    answers: list[T] = []
    limit = limit or max(len(questions), 1)
    while len(answers) < len(questions):
        piece = questions[len(answers) : len(answers) + limit]
        try:
            answers += work(piece)
            continue
        except (RuntimeError, MemoryError) as error:
            if len(piece) == 1 or not is_out_of_memory(error):
                raise
        # Outside the handler: the exception's traceback would hold the failed step's tensors.
        limit = len(piece) // 2
        lowered(len(piece), limit)
    return answers


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        text in str(error)
        for text in ("out of memory", "can't allocate memory", "not enough memory")
    )


def free_after_halving(device: torch.device, size: int, limit: int) -> None:
    """Give back what the failed batch of ``size`` questions held, and say what comes next."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    _LOG.warning("out of memory at batch size %d on %s; retrying with %d", size, device, limit)


def unused_rules(stored: Mapping[str, Any], used: Mapping[str, Any]) -> dict[str, Any]:
    """The decoding rules of a stored generation config that a run with those ``used`` does not follow."""
    return {
        name: value
        for name, value in stored.items()
        if name not in _NOT_RULES
        and value not in (used.get(name), [used.get(name)])
        and not (name == "eos_token_id" and [value] == used[name])
    }
