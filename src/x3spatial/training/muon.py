"""Muon for hidden matrices, combined with another optimizer for the other parameters.

Muon (K. Jordan and others, 2024) orthogonalises the update of a matrix, so that directions with small
gradients are learned as fast as those with large ones. It is meant for the hidden matrices: embeddings, the
head, the patch convolution, gains and biases stay with AdamW or whatever ``--optim`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch

_RATE_OF_ADAMW = "match_rms_adamw"
"""Scales updates to the size that AdamW's have, so that both take rates of one order (Moonshot AI, 2025)."""


def is_hidden_matrix(name: str, parameter: torch.Tensor) -> bool:
    """Whether a parameter is a hidden matrix.

    Args:
        name: name in the model, from which embeddings and the head are recognised.
        parameter: the parameter.
    """
    return parameter.ndim == 2 and not any(part in name for part in ("embed", "lm_head"))


class MuonAndRest(torch.optim.Optimizer):
    """Muon and another optimizer as one: Muon for some groups of parameters, ``rest`` for the others.

    Args:
        groups: for Muon; matrices, each group with ``lr`` and ``weight_decay``.
        rest: the optimizer of all other parameters.
        momentum: of Muon.

    Raises:
        ValueError: a parameter in ``groups`` is not a matrix.
    """

    def __init__(
        self, groups: Iterable[dict[str, Any]], rest: torch.optim.Optimizer, momentum: float = 0.95
    ) -> None:
        self.rest = rest
        self.muon = torch.optim.Muon(list(groups), momentum=momentum, adjust_lr_fn=_RATE_OF_ADAMW)
        super().__init__([*self.muon.param_groups, *rest.param_groups], {})
        self._share()

    def _share(self) -> None:
        # The same group objects, so that a scheduler changes both optimizers.
        self.param_groups = [*self.muon.param_groups, *self.rest.param_groups]

    @property
    def parts(self) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        """Both optimizers; each has the state of its own parameters."""
        return self.muon, self.rest

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of both. A closure is called once, before them."""
        loss = closure() if closure is not None else None
        self.muon.step()  # type: ignore[no-untyped-call]
        self.rest.step()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The states of both, by name."""
        return {"muon": self.muon.state_dict(), "rest": self.rest.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the states from ``state_dict``."""
        self.muon.load_state_dict(state_dict["muon"])
        self.rest.load_state_dict(state_dict["rest"])
        self._share()
