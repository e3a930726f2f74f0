"""Bytes per GPU of weights, gradients and optimizer state for each way to divide a training run.

What is divided among n GPUs (S. Rajbhandari and others, "ZeRO", arXiv 1910.02054; the code of torch and of
DeepSpeed):

- DDP: nothing. Weights are float32, as ``x3 sft`` trains.
- FSDP: everything, row by row. Of a tensor with d rows the first GPU has ceil(d / n); its bytes are given.
- ZeRO-2: gradients and optimizer state. With bfloat16 the weights are bfloat16, and float32 copies of the
  trained ones are part of the optimizer state. Gradients are bfloat16, and once more float32 in the step.
- ZeRO-3: as ZeRO-2, and the weights too.

Buffers are DDP's buckets, which hold the gradients once more, and the bfloat16 copies that autocast makes of
weights; what FSDP and ZeRO-3 gather: all that lies outside of layers, and two layers, of which one is
computed while the next one comes, and with FSDP their gradients before they are divided; DeepSpeed's buckets
for gradients, of 5e8 numbers unless its configuration says otherwise, two with ``overlap_comm`` (ZeRO-2).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from math import ceil, prod

import torch
from torch import nn

from x3spatial.errors import UserError

_FLOAT32 = 4
_BUCKET = 500_000_000
"""DeepSpeed's ``reduce_bucket_size``."""
_LIVE = 1_000_000_000
"""DeepSpeed's ``stage3_max_live_parameters``."""

Shape = tuple[int, ...]
OptimizerOf = Callable[[Sequence[tuple[str, torch.Tensor]]], torch.optim.Optimizer]
"""Makes the run's optimizer for named parameters."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A parameter."""

    name: str
    shape: Shape
    trained: bool
    in_layer: bool
    """Whether it is part of a layer, and not of what lies outside of all layers."""
    in_graph: bool
    """Whether gradients pass it, to itself or to what comes before it."""

    @property
    def count(self) -> int:
        """Number of its values."""
        return prod(self.shape)

    def rows(self, gpus: int) -> Shape:
        """The shape of its piece on the first of so many GPUs."""
        first, *rest = self.shape or (1,)
        return (ceil(first / gpus), *rest)


@dataclass(frozen=True, slots=True)
class Plan:
    """A way to divide a run, and the bytes on a GPU."""

    name: str
    weights: int
    gradients: int
    optimizer: int
    buffers: int

    @property
    def states(self) -> int:
        """All but activations."""
        return self.weights + self.gradients + self.optimizer + self.buffers


def weights_of(
    model: nn.Module, layers: Iterable[nn.Module], outside_graph: Collection[str]
) -> list[Weight]:
    """All parameters of a model, those that two modules share once.

    Args:
        model: the model.
        layers: the layers of its stacks.
        outside_graph: names of parameters that no gradient passes.
    """
    inside = {id(parameter) for layer in layers for parameter in layer.parameters()}
    return [
        Weight(
            name,
            tuple(parameter.shape),
            trained=parameter.requires_grad,
            in_layer=id(parameter) in inside,
            in_graph=name not in outside_graph,
        )
        for name, parameter in model.named_parameters()
    ]


def state_bytes(shapes: Iterable[tuple[str, Shape]], optimizer_of: OptimizerOf) -> int:
    """Bytes of an optimizer's state, counted after a step on the meta device.

    Args:
        shapes: name and shape of what it trains.
        optimizer_of: makes the optimizer.

    Raises:
        UserError: the optimizer needs real values.
    """
    named = [(name, nn.Parameter(torch.empty(shape, device="meta"))) for name, shape in shapes]
    for _, parameter in named:
        parameter.grad = torch.empty_like(parameter)
    optimizer = optimizer_of(named)
    try:
        optimizer.step()
    except Exception as error:  # whatever an optimizer of another package does with the values
        kind = type(optimizer).__name__
        raise UserError(
            f"--optim: the state of {kind} is only known once it trains ({error})"
        ) from None
    return sum(
        value.numel() * value.element_size()
        for part in getattr(optimizer, "parts", [optimizer])
        for state in part.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    )


def plans(
    weights: Sequence[Weight],
    largest_layer: int,
    gpus: int,
    optimizer_of: OptimizerOf,
    *,
    bf16: bool,
) -> list[Plan]:
    """The four ways.

    Args:
        weights: all parameters.
        largest_layer: number of values in the largest layer.
        gpus: number of GPUs.
        optimizer_of: makes the run's optimizer.
        bf16: whether the run computes in bfloat16.

    Raises:
        UserError: the size of the optimizer's state is not known.
    """
    compute = 2 if bf16 else _FLOAT32
    trained = [weight for weight in weights if weight.trained]
    every, tuned = sum(w.count for w in weights), sum(w.count for w in trained)
    outside = sum(w.count for w in weights if not w.in_layer)
    cast = sum(w.count for w in weights if w.in_graph)
    together = min(outside + 2 * largest_layer, every)

    ddp = Plan(
        "DDP",
        weights=_FLOAT32 * every,
        gradients=_FLOAT32 * tuned,
        optimizer=state_bytes(((w.name, w.shape) for w in trained), optimizer_of),
        buffers=(_FLOAT32 * tuned if gpus > 1 else 0) + (compute * cast if bf16 else 0),
    )
    fsdp = Plan(
        "FSDP",
        weights=_FLOAT32 * sum(prod(w.rows(gpus)) for w in weights),
        gradients=_FLOAT32 * sum(prod(w.rows(gpus)) for w in trained),
        optimizer=state_bytes(((w.name, w.rows(gpus)) for w in trained), optimizer_of),
        buffers=2 * compute * together,
    )
    share = ceil(tuned / gpus)
    state = _FLOAT32 * share + state_bytes([("share", (share,))], optimizer_of)
    divided = (compute + (_FLOAT32 if bf16 else 0)) * share
    bucket = compute * min(_BUCKET, tuned)
    zero2 = Plan("ZeRO-2", compute * every, divided, state, 2 * bucket)
    zero3 = Plan(
        "ZeRO-3",
        compute * ceil(every / gpus),
        divided,
        state,
        bucket + compute * min(together, _LIVE),
    )
    return [ddp, fsdp, zero2, zero3]
