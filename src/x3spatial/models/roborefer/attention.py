"""``lean`` attention: eager attention without a float32 copy of the scores.

transformers' ``eager`` converts the scores to float32 for the softmax and keeps both copies for the backward
pass, although torch's softmax computes in float32 internally for any input type. ``lean`` is meant for
training in bfloat16 on a CPU, where attention is limited by memory bandwidth and the backward pass of the
fused kernel is slow.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers.integrations.sdpa_attention import repeat_kv
from transformers.masking_utils import AttentionMaskInterface, eager_mask
from transformers.modeling_utils import AttentionInterface

NAME = "lean"


def lean_attention(
    module: nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """An attention function as transformers calls it.

    Args:
        module: the attention layer; dropout is only applied in training mode.
        query: ``[B, heads, Q, D]``.
        key, value: ``[B, heads or groups of them, K, D]``.
        attention_mask: ``[B, 1, Q, K]``, added to the scores.
        scaling: scale of the scores; default ``D ** -0.5``.
        dropout: dropout probability of the attention weights.

    Returns:
        ``[B, Q, heads, D]`` and the weights ``[B, heads, Q, K]``.
    """
    groups = query.shape[1] // key.shape[1]
    key, value = repeat_kv(key, groups), repeat_kv(value, groups)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    scores = (query * scale) @ key.transpose(-1, -2)
    if attention_mask is not None:
        # In the type of the scores, which would otherwise be promoted to float32; the minimum of float32 is
        # not representable in bfloat16.
        least = torch.finfo(scores.dtype).min
        scores = scores + attention_mask.clamp(min=least).to(scores.dtype)
    weights = nn.functional.dropout(scores.softmax(dim=-1), p=dropout, training=module.training)
    return (weights @ value).transpose(1, 2).contiguous(), weights


def register() -> None:
    """Make ``attn_implementation="lean"`` known to transformers."""
    AttentionInterface.register(NAME, lean_attention)
    AttentionMaskInterface.register(NAME, eager_mask)
