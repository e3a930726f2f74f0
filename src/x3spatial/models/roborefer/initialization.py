"""Initial weights for training from scratch: random, except for three structured initialisations.

A sinusoidal position embedding makes positions visible, look-back heads compare an image with the previous
one, and shared projector weights make features independent of their position within a token. All are ordinary
parameters that training may change; docs/training-a-tiny-model.md reports the effect of each.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping

import torch

LOOK_BACK = (2, 5, 3.0)
"""Number of look-back heads, and number of frequencies and magnitude of their biases."""

SHORTEST_WAVE = 2.5
"""Shortest wavelength of the position embedding, in patches. The longest is twice the grid."""

_RESIDUAL = ("o_proj.", "down_proj.", "out_proj.", "fc2.")


def first_tensor(name: str, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """The initial value of a parameter.

    Gains are 1 and biases 0. Matrices preserve the scale of their input; those that write into a residual
    stream are scaled down. The position embedding of a tower is sinusoidal, see ``position_waves``.
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
    """``[patches, width]``: sines and cosines of a patch's column, then of its row, with mean square 1.

    The encoding of "Attention Is All You Need" on two axes, with wavelengths in geometric steps between
    ``SHORTEST_WAVE`` and twice the grid. Neighbouring patches get similar embeddings, which helps to
    generalise. The magnitude is that of patch embeddings: with 0.02, usual for large models, a small model
    did not learn positions at all.
    """
    grid, count = math.isqrt(patches), width // 4
    steps = torch.linspace(0, 1, count, dtype=torch.float64)
    lengths = 2.0 * grid * (SHORTEST_WAVE / (2.0 * grid)) ** steps
    angles = (torch.arange(grid) + 0.5)[:, None] * (2 * math.pi / lengths)
    waves = torch.cat([angles.sin(), angles.cos()], 1) * math.sqrt(2)
    across, down = waves.expand(grid, grid, -1), waves[:, None].expand(grid, grid, -1)
    return torch.cat([across, down], -1).reshape(grid * grid, width).float()


def share_patches(weight: torch.Tensor, patches: int) -> None:
    """Initialise half of a projector's first layer to sum over the patches that are folded into a token.

    A fold concatenates ``patches`` vectors. Independent random weights map the same colour to a different
    feature in every corner of a token, so tokens cannot be compared. The other half of the units keeps
    independent weights and distinguishes corners.

    Args:
        weight: ``[units, patches * width]`` of the first linear layer; changed in place.
        patches: folded into one token.
    """
    half, width = weight.shape[0] // 2, weight.shape[1] // patches
    weight[:half] = weight[:half, :width].repeat(1, patches)


def look_back(
    tensors: MutableMapping[str, torch.Tensor], *, distance: int, width: int, theta: float
) -> None:
    """Initialise some heads of the first layer to attend to the token ``distance`` positions earlier.

    That token is the same location in the previous image, so a single layer can compare two images. Keys get
    a constant bias in the fastest rotary frequencies, queries the same bias rotated back by ``distance``.
    Their product is largest at that token (about 8; 1 less one token further), independent of its content.

    Args:
        tensors: the language model's, by stored name; the biases are changed in place.
        distance: in tokens.
        width: of a head; there must be as many key-value heads as look-back heads.
        theta: base of the rotary frequencies.
    """
    heads, count, strength = LOOK_BACK
    frequencies = theta ** (-2 * torch.arange(count, dtype=torch.float64) / width)
    key, query = torch.zeros(width), torch.zeros(width)
    key[:count] = strength
    # Both are rotated by their positions: a query must match the key `distance` positions earlier.
    query[:count] = (strength * torch.cos(-distance * frequencies)).float()
    query[width // 2 : width // 2 + count] = (strength * torch.sin(-distance * frequencies)).float()
    for name, value in (("q_proj", query), ("k_proj", key)):
        bias = tensors[f"model.layers.0.self_attn.{name}.bias"]
        bias[: heads * width] = value.repeat(heads).to(bias.dtype)
