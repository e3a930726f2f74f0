"""Estimate of the activations that a forward pass keeps for the backward pass.

The tensors that autograd saves are counted layer by layer, as in V. Korthikanti and others, "Reducing
Activation Recomputation in Large Transformer Models" (arXiv 2205.05198, section 4.1), for what these models
differ in from the paper's: no dropout, attention that keeps no matrix of scores (sdpa, flash), gated MLPs,
fewer heads for keys and values, and mixed precision, in which the residual stream and the norms are float32.
Per token and layer, in bytes, with c = 2 (bfloat16) or 4 (float32), width h, queries q, keys k, inner width
f:

- decoder: 16 h (two norms, input and result of each) + c (2 h (inputs of attention and MLP) + 2 q (queries,
  result) + 2 k (keys, values) + 4 f (gate, up, activated gate, product));
- tower: 8 h (inputs of two norms) + c (6 h + 2 f);
- eager attention: + (4 + c) a s for a heads and s tokens; in float32 + 4 a s;
- LoRA: + (1 + c) bytes of each input of an adapted layer (mask of the dropout, values after it).

The head keeps c + 8 bytes per token and entry of the vocabulary (logits, float32 logits, their softmax; 8 in
float32). With gradient checkpointing a layer keeps only its input, 4 h, and one layer at a time is computed
again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_FLOAT32 = 4


@dataclass(frozen=True, slots=True)
class Stack:
    """The dimensions of a stack of transformer layers."""

    layers: int
    width: int
    inner: int
    heads: int
    queries: int
    """Width of all queries together."""
    keys: int
    """Width of all keys together; the values have the same."""
    gated: bool
    adapted: int = 0
    """Width of all inputs of adapted layers together, per layer."""

    def layer(self, tokens: int, compute: int, *, eager: bool) -> int:
        """Bytes that one layer keeps for one sequence.

        Args:
            tokens: length of the sequence.
            compute: bytes of a number in the type of computation.
            eager: whether attention keeps its scores.
        """
        if self.gated:
            each = 4 * _FLOAT32 * self.width
            each += compute * (2 * self.width + 2 * self.queries + 2 * self.keys + 4 * self.inner)
        else:
            each = 2 * _FLOAT32 * self.width
            each += compute * (3 * self.width + self.queries + 2 * self.keys + 2 * self.inner)
        each += (1 + compute) * self.adapted
        if eager:
            scores = _FLOAT32 + (compute if compute < _FLOAT32 else 0)
            each += scores * self.heads * tokens
        return tokens * each

    def kept(self, tokens: int, compute: int, *, eager: bool, checkpointing: bool) -> int:
        """Bytes that all layers keep for one sequence."""
        one = self.layer(tokens, compute, eager=eager)
        if not checkpointing:
            return self.layers * one
        return self.layers * _FLOAT32 * self.width * tokens + one


def decoder_of(config: Any, adapted: int = 0) -> Stack:
    """The dimensions of a language model.

    Args:
        config: of transformers.
        adapted: see ``Stack``.
    """
    heads = int(config.num_attention_heads)
    size = int(getattr(config, "head_dim", None) or config.hidden_size // heads)
    keys = int(getattr(config, "num_key_value_heads", None) or heads)
    # Of a mixture of experts each token is computed by a few.
    experts = int(getattr(config, "num_experts_per_tok", None) or 1)
    inner = int(getattr(config, "moe_intermediate_size", None) or config.intermediate_size)
    return Stack(
        layers=int(config.num_hidden_layers),
        width=int(config.hidden_size),
        inner=experts * inner,
        heads=heads,
        queries=heads * size,
        keys=keys * size,
        gated=True,
        adapted=adapted,
    )


def tower_of(config: Any, layers: int) -> Stack:
    """The dimensions of a vision tower of which ``layers`` layers are run."""
    width = int(getattr(config, "embed_dim", None) or config.hidden_size)
    heads = int(getattr(config, "num_attention_heads", None) or config.num_heads)
    ratio = getattr(config, "mlp_ratio", None)
    inner = int(width * ratio if ratio else config.intermediate_size)
    return Stack(layers, width, inner, heads, width, width, gated=False)


def head(tokens: int, vocabulary: int, compute: int) -> int:
    """Bytes of the logits and their softmax for one sequence."""
    return tokens * vocabulary * (2 * _FLOAT32 + (compute if compute < _FLOAT32 else 0))
