"""The sizes of random checkpoints (``tiny``). Apart from it, so that help needs no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Size:
    """Dimensions of a checkpoint; ``text`` and ``tower`` are (width, layers, heads, inner width)."""

    text: tuple[int, int, int, int]
    key_value_heads: int
    tower: tuple[int, int, int, int]
    image: int
    vocabulary: int | None = None
    """Rows of the embedding; None for one per token of the small tokenizer."""
    positions: int = 4096
    patch: int = 14
    rope_theta: float = 1e6
    learner: bool = False
    """Meant to be trained from nothing: weights as ``first_tensor`` draws them, and a tokenizer that takes
    each section of the tasks' prompts for one token."""


SIZES = {
    "tiny": Size((64, 2, 4, 128), 2, (48, 3, 4, 96), 112),
    "small": Size((256, 4, 8, 704), 4, (192, 6, 6, 512), 224),
    "2b": Size((1536, 28, 12, 8960), 2, (1152, 27, 16, 4304), 448, 151652, 32768),
    "learner": Size(
        (128, 4, 4, 384), 4, (64, 4, 2, 256), 108,
        positions=1024, patch=9, rope_theta=1e4, learner=True,
    ),
}  # fmt: skip
"""``2b`` has the dimensions of RoboRefer-2B (about 5 GB in bfloat16 with depth). ``learner`` is the one that
can be trained from nothing on a CPU: 12 x 12 patches of 9 pixels fold to 16 tokens an image, no padding."""
