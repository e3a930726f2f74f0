"""The first weights of a model that is trained from nothing: random, but for what costs most to find.

Places can be seen (waves), an image can be compared with the one before it (looking back), and what is in a
token can be told wherever in it it lies (sharing). All are ordinary parameters that training may change; what
each is worth was measured (docs/training-a-tiny-model.md).
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

import torch

LOOK_BACK = (2, 5, 3.0)
"""Heads, frequencies and strength of the biases with which the first layer looks one image back."""

SHORTEST_WAVE = 2.5
"""Patches; of the position embedding. The longest is twice the grid."""

_RESIDUAL = ("o_proj.", "down_proj.", "out_proj.", "fc2.")


def first_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """A parameter before the first step.

    Gains are 1 and biases 0; a matrix keeps the scale of what it is given, but the ones that write into
    a residual stream add little; and a tower's position embedding is made of waves as large as the content.
    """
    if len(shape) == 1:
        return torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
    values: torch.Tensor = torch.randn(shape, generator=generator)
    if "position_embedding" in name:
        return position_waves(*shape)
    if "embed_tokens" in name or "lm_head" in name:
        return values * 0.1
    scale = 1 / math.sqrt(math.prod(shape[1:]))
    return values * scale * (0.3 if any(end in name for end in _RESIDUAL) else 1.0)


def position_waves(patches: int, width: int) -> torch.Tensor:
    """``[patches, width]``: sines and cosines of a patch's column, then of its row, of mean square 1.

    The waves of "Attention Is All You Need" on two axes, their lengths in geometric steps between
    ``SHORTEST_WAVE`` and twice the grid. Near places look alike, so that one place teaches its neighbours;
    and they are as large as patch embeddings: with the 0.02 of large models places cannot be seen at first,
    and nothing is learned.
    """
    grid, count = math.isqrt(patches), width // 4
    steps = torch.linspace(0, 1, count, dtype=torch.float64)
    lengths = 2.0 * grid * (SHORTEST_WAVE / (2.0 * grid)) ** steps
    angles = (torch.arange(grid) + 0.5)[:, None] * (2 * math.pi / lengths)
    waves = torch.cat([angles.sin(), angles.cos()], 1) * math.sqrt(2)
    across, down = waves.expand(grid, grid, -1), waves[:, None].expand(grid, grid, -1)
    return torch.cat([across, down], -1).reshape(grid * grid, width).float()


def share_patches(weight: torch.Tensor, patches: int) -> None:
    """Let half of a projector's first layer begin by adding up the patches that are folded into a token.

    A fold puts ``patches`` side by side, and random weights read each of them in a way of its own: the same
    colour then looks different in every corner of a token, and nothing can be compared. The other half
    still tells corners apart.

    Args:
        weight: ``[units, patches * width]`` of the first linear layer; changed in place.
        patches: folded into one token.
    """
    half, width = weight.shape[0] // 2, weight.shape[1] // patches
    weight[:half] = weight[:half, :width].repeat(1, patches)


def look_back(
    tensors: MutableMapping[str, torch.Tensor], *, distance: int, width: int, theta: float
) -> None:
    """Let some heads of the first layer begin by attending to the token ``distance`` before.

    That is the same place of the image before. What two images have in common and where they differ is
    then a matter of one layer, instead of something that has to be found first. Keys get a constant bias in
    the fastest rotary frequencies, queries the same turned back by ``distance``, so that their product is
    greatest there (about 8, and 1 less one token further) whatever the tokens hold.

    Args:
        tensors: of the language model, by their stored names; the biases are changed in place.
        distance: in tokens.
        width: of a head; as many heads must have keys of their own.
        theta: base of the rotary frequencies.
    """
    heads, count, strength = LOOK_BACK
    frequencies = theta ** (-2 * torch.arange(count, dtype=torch.float64) / width)
    key, query = torch.zeros(width), torch.zeros(width)
    key[:count] = strength
    # Both are turned by their positions: a query `distance` further must agree with its key.
    query[:count] = (strength * torch.cos(-distance * frequencies)).float()
    query[width // 2 : width // 2 + count] = (strength * torch.sin(-distance * frequencies)).float()
    for name, value in (("q_proj", query), ("k_proj", key)):
        bias = tensors[f"model.layers.0.self_attn.{name}.bias"]
        bias[: heads * width] = value.repeat(heads).to(bias.dtype)
