"""The values that the numbers among the options of ``x3 sft`` may have, checked before anything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from x3spatial.errors import UserError
from x3spatial.training.options import dashed

_MOST = float(2**31 - 1)
_ANY = float("inf")


@dataclass(frozen=True, slots=True)
class Range:
    """Finite numbers from ``least`` to ``most``."""

    least: float
    most: float = _MOST
    above: bool = False
    """Whether ``least`` itself is excluded."""
    below: bool = False
    """Whether ``most`` itself is excluded."""
    also: float | None = None
    """One more value, which turns the option off."""

    def __contains__(self, value: float) -> bool:
        if value == self.also:
            return True
        return (
            math.isfinite(value)
            and (self.least < value if self.above else self.least <= value)
            and (value < self.most if self.below else value <= self.most)
        )

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'at least'} {self.least:g}"
        high = f"{'below' if self.below else 'at most'} {self.most:,.10g}"
        high = "" if self.most in (_MOST, _ANY) else high
        text = f"{low} and {high}" if high else low
        return text if self.also is None else f"{text}, or {self.also:g}"


_COUNT = Range(1)
_NOT_NEGATIVE = Range(0, _ANY)
_SEED = Range(0, 2**32 - 1)  # numpy takes no larger one
_SHARE = Range(0, 1, below=True)

RANGES: Mapping[str, Range] = {
    "mm_vision_select_layer": Range(-_MOST),  # compared with the tower's layers later
    "lora_r": _COUNT,
    "lora_alpha": Range(0, _ANY, above=True),
    "lora_dropout": _SHARE,
    "eval_limit": _COUNT,
    "eval_max_new_tokens": _COUNT,
    "per_device_train_batch_size": _COUNT,
    "per_device_eval_batch_size": _COUNT,
    "gradient_accumulation_steps": _COUNT,
    "num_train_epochs": Range(0, 1e6, above=True),
    "max_steps": Range(1, also=-1),
    "learning_rate": _NOT_NEGATIVE,
    "vision_tower_lr": _NOT_NEGATIVE,
    "mm_projector_lr": _NOT_NEGATIVE,
    "depth_tower_lr": _NOT_NEGATIVE,
    "depth_projector_lr": _NOT_NEGATIVE,
    "language_model_lr": _NOT_NEGATIVE,
    "muon_lr": Range(0, _ANY, above=True),
    "warmup_steps": Range(0),
    "warmup_ratio": _SHARE,
    "weight_decay": _NOT_NEGATIVE,
    "adam_beta1": _SHARE,
    "adam_beta2": _SHARE,
    "adam_epsilon": _NOT_NEGATIVE,
    "max_grad_norm": _NOT_NEGATIVE,
    "torch_empty_cache_steps": _COUNT,
    "logging_steps": Range(0, above=True),
    "eval_steps": Range(0, above=True),
    "eval_delay": Range(0),
    "save_steps": Range(0, above=True),
    "save_total_limit": Range(0),
    "seed": _SEED,
    "data_seed": _SEED,
    "model_max_length": Range(1, _ANY),
    "dataloader_num_workers": Range(0),
    "dataloader_prefetch_factor": _COUNT,
    "ddp_bucket_cap_mb": _COUNT,
    "ddp_timeout": _COUNT,
    "local_rank": Range(0, also=-1),
    "gpus": _COUNT,
    "sample_tokens": _COUNT,
}
"""By the name of the option. Options of transformers that are refused altogether are left out."""


def check_ranges(given: Mapping[str, Any]) -> None:
    """Check the numbers among ``given`` options; None is the default of options that have no number.

    Raises:
        UserError: one is not finite or outside its range; the message names the option.
    """
    for name, range_ in RANGES.items():
        value = given.get(name)
        if isinstance(value, int | float) and value not in range_:
            raise UserError(f"--{dashed(name)} {value}: must be {range_}")
