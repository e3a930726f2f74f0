"""Shared by all models that run in this process: types, devices, threads, memory, loading."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from transformers.utils import logging as hf_logging

from x3spatial.engine.cores import cores_per_process
from x3spatial.errors import UserError
from x3spatial.models import choices
from x3spatial.tasks.question import Question

DTYPES: dict[str, torch.dtype] = {name: getattr(torch, name) for name in choices.DTYPES}
ATTENTIONS = choices.ATTENTIONS

SMALL_MODEL = 50_000_000
"""Parameters below which torch gets one thread. Measured by generation on two cores shared with other
programs: with 1.3 M and 42 M parameters two threads took 8 and 2.6 times the CPU time of one and were slower;
with 166 M they took 1.2 times the CPU time and were faster. See also ``benchmarks/threads.py``."""

_LONGEST = 200  # characters of a third-party message

T = TypeVar("T")

_LOG = logging.getLogger(__name__)

# Fields of a generation config that are not decoding rules.
_NOT_RULES = frozenset(
    {"transformers_version", "_from_model_config", "bos_token_id", "pad_token_id"}
)


def check_numerics(*, dtype: str, attention: str, max_new_tokens: int) -> None:
    """Check the options of numerics.

    Raises:
        UserError: a value is not supported; the message names the option.
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
    """Context of ``from_pretrained``: no progress bar without a terminal, one-line errors of ``--attention``.

    Raises:
        UserError: the attention kernel is not installed, or the model does not support it.
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


def choose_threads(parameters: int, *, busy: int) -> int:
    """The number of torch threads in this process for a model on a CPU.

    ``OMP_NUM_THREADS`` has priority if it is set (torchrun sets it). Otherwise all threads of the process use
    at most its share of the usable cores, because threads that wait for a core spin, and torch waits for the
    slowest thread after every operation. Small models get one thread, because their operations are shorter
    than that wait; see ``SMALL_MODEL``.

    Args:
        parameters: number of parameters of the model.
        busy: number of workers (threads or processes) that compute at the same time.
    """
    if "OMP_NUM_THREADS" in os.environ:
        return torch.get_num_threads()
    if parameters < SMALL_MODEL:
        return 1
    return max(1, cores_per_process() - busy)


def set_threads(threads: int) -> None:
    """Set the number of torch threads.

    An unchanged number is not set again, because setting it disables MKL's choice for small matrices, which
    changes the last bits of results.
    """
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)


def choose_device(name: str) -> torch.device:
    """The torch device of a name; ``auto``: the first GPU (with a launcher that of LOCAL_RANK), else the CPU.

    Raises:
        UserError: there is no such device.
    """
    if name == "auto":
        if not torch.cuda.is_available():
            return torch.device("cpu")
        local_rank = os.environ.get("LOCAL_RANK", "0")
        # Launchers may expose one GPU per process, or start more processes than there are GPUs.
        number = int(local_rank) % torch.cuda.device_count() if local_rank.isdigit() else 0
        return torch.device(f"cuda:{number}")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: not a device of torch") from None
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UserError(f"--device {name}: {torch.cuda.device_count()} CUDA devices are here")
    return device


def run_halving(
    work: Callable[[Sequence[Question]], list[T]],
    questions: Sequence[Question],
    limit: int | None,
    on_halved: Callable[[int, int], None],
) -> list[T]:
    """Apply ``work`` to batches of at most ``limit`` questions; a batch that runs out of memory is halved.

    ``on_halved(size, limit)`` is called after each halving. A single question that does not fit raises.
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
        on_halved(len(piece), limit)
    return answers


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception means that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        text in str(error)
        for text in ("out of memory", "can't allocate memory", "not enough memory")
    )


def free_after_halving(device: torch.device, size: int, limit: int) -> None:
    """Free what the failed batch of ``size`` questions held, and log the next batch size."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    _LOG.warning("out of memory at batch size %d on %s; retrying with %d", size, device, limit)


def unused_rules(stored: Mapping[str, Any], used: Mapping[str, Any]) -> dict[str, Any]:
    """The decoding rules of a stored generation config that differ from those ``used``."""
    return {
        name: value
        for name, value in stored.items()
        if name not in _NOT_RULES
        and value not in (used.get(name), [used.get(name)])
        and not (name == "eos_token_id" and [value] == used[name])
    }


def one_line(error: BaseException) -> str:
    """The message of a third-party error as one short line; its kind if it has none."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
