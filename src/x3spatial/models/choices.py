"""Choices of options of local models. This module does not import torch, so that help is fast."""

from __future__ import annotations

from dataclasses import dataclass

DTYPES = ("float32", "bfloat16", "float16")
"""Data types of weights, by their names in torch."""
ATTENTIONS = ("sdpa", "eager", "flash_attention_2")
ASPECT_MODES = ("resize", "pad", "dynamic")
"""Treatment of images that are not square by RoboRefer."""
CHAT_TEMPLATES = ("qwen2",)
"""Chat templates of RoboRefer checkpoints: the only one used in training."""
IMAGE_FORMATS = ("auto", "png", "original")
"""Encodings of the images that servers are sent, see ``models.servers.images``."""
SIZES = ("tiny", "small", "trainable", "2b")
"""Sizes of random checkpoints; ``models.roborefer.tiny`` defines their dimensions."""
FORMER_SIZES = {"learner": "trainable"}
"""Former names of sizes, still accepted → current names."""
ROTATE_HEADS = 0
"""Default number of look-back heads in a resized checkpoint."""


@dataclass(frozen=True, kw_only=True)
class TinyOptions:
    """Options of random checkpoints."""

    size: str = "tiny"
    """One of ``SIZES``."""
    seed: int = 0
    """Random seed of the weights."""
    depth: bool = True
    """Include depth tower and projector."""
    dtype: str = "float32"
    """Data type of the weights."""
    tied: bool = True
    """Whether the output head shares the embedding."""


TINY = TinyOptions()
