"""Training stops at the first number that is not finite: losses, gradients, weights, optimizer states."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from transformers.trainer_callback import TrainerCallback

from x3spatial.errors import Diverged, UserError
from x3spatial.models.local.finite import is_finite

MOST_SKIPPED = 50
"""Steps in a row that the gradient scaler of float16 may skip: it halves its factor at each, so a healthy run
needs a dozen."""


def not_finite(tensors: Iterable[tuple[str, Any]]) -> Iterator[str]:
    """Names of the floating-point tensors that hold a NaN or an infinity; of FSDP the local shards."""
    for name, tensor in tensors:
        held = tensor.detach()
        held = held.to_local() if hasattr(held, "to_local") else held
        if not is_finite(held):
            yield name


def finite_logs(logs: Mapping[str, Any]) -> dict[str, Any]:
    """``logs`` without values that JSON does not have; ``not_finite`` counts those that are left out."""
    kept = {
        name: value
        for name, value in logs.items()
        if not isinstance(value, float) or math.isfinite(value)
    }
    left_out = len(logs) - len(kept)
    return {**kept, "not_finite": left_out} if left_out else kept


def gradient_norm(model: torch.nn.Module) -> torch.Tensor | None:
    """The norm of all gradients in this process; None if there are none (DeepSpeed keeps them itself)."""
    found = [p.grad.detach() for p in model.parameters() if p.grad is not None]
    found = [grad.to_local() if hasattr(grad, "to_local") else grad for grad in found]
    if not found:
        return None
    norms = torch.stack([torch.linalg.vector_norm(grad.float()) for grad in found])
    total: torch.Tensor = torch.linalg.vector_norm(norms)
    return total


class FiniteGuard(TrainerCallback):
    """Checks the gradients before each optimizer step, and what was loaded before a run is continued.

    Args:
        kept: which checkpoint a message names as the last one.
        skipped: whether the last optimizer step was skipped; only the scaler of float16 does that, and to it
            gradients that overflow are no failure.
    """

    def __init__(self, kept: Callable[[], str], skipped: Callable[[], bool]) -> None:
        self._kept = kept
        self._skipped = skipped
        self._in_a_row = 0
        self.clipped_norm: Any = None
        """The norm before clipping, which may set gradients to zero; None without clipping."""

    def on_train_begin(
        self,
        args: Any,
        state: Any,
        control: Any,
        model: Any = None,
        optimizer: Any = None,
        **_: Any,
    ) -> None:
        """Check weights and optimizer state of a run that is continued.

        Raises:
            UserError: one is not finite.
        """
        if not state.global_step:
            return
        states = getattr(optimizer, "state", {})
        moments = (
            (f"optimizer state {key!r}", value)
            for entry in states.values()
            if isinstance(entry, Mapping)
            for key, value in entry.items()
            if isinstance(value, torch.Tensor)
        )
        for name in (*not_finite(model.named_parameters()), *not_finite(moments)):
            raise UserError(f"{self._kept()}, and {name} in it is not finite; {DELETE_IT}")

    def on_pre_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """Check the gradients.

        Raises:
            Diverged: their norm is not finite.
        """
        norm, self.clipped_norm = self.clipped_norm, None
        if args.fp16:
            return
        if norm is None:
            norm = gradient_norm(model)
        if norm is not None and not math.isfinite(float(norm)):
            raise Diverged(
                f"step {state.global_step + 1}: the norm of the gradients is {float(norm):g};"
                f" {self._kept()}; lower --learning-rate"
            )

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Count the steps that the scaler of float16 skips.

        Raises:
            Diverged: too many in a row.
        """
        self._in_a_row = self._in_a_row + 1 if args.fp16 and self._skipped() else 0
        if self._in_a_row > MOST_SKIPPED:
            raise Diverged(
                f"step {state.global_step + 1}: the gradients of {self._in_a_row} steps in a row are not"
                f" finite in float16; {self._kept()}; use --bf16 True, or lower --learning-rate"
            )


DELETE_IT = "delete that folder, then the same command continues from the checkpoint before it"
