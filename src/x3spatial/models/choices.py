"""What can be chosen for a local model, by name; without torch, so that help is instant."""

from __future__ import annotations

from dataclasses import dataclass

DTYPES = ("float32", "bfloat16", "float16")
"""Of weights; their names in torch."""
ATTENTIONS = ("sdpa", "eager", "flash_attention_2")
ASPECT_MODES = ("resize", "pad", "dynamic")
"""How RoboRefer sees an image that is not square."""
CHAT_TEMPLATES = ("qwen2",)
"""Of RoboRefer checkpoints; the only one they were trained with."""
SIZES = ("tiny", "small", "trainable", "2b")
"""Of random checkpoints; ``models.roborefer.tiny`` has their dimensions."""
FORMER_SIZES = {"learner": "trainable"}
"""Earlier names of sizes, still accepted → what they are now."""
ROTATE_HEADS = 0
"""How many look-back heads a checkpoint has that is resized, unless told otherwise."""


@dataclass(frozen=True, kw_only=True)
class TinyOptions:
    """What a random checkpoint is like unless told otherwise."""

    size: str = "tiny"
    """One of ``SIZES``."""
    seed: int = 0
    """Random seed of the weights."""
    depth: bool = True
    """With depth tower and projector."""
    dtype: str = "float32"
    """Type of the weights."""
    tied: bool = True
    """Whether the output head shares the embedding."""


TINY = TinyOptions()
