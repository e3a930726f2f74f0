"""What can be chosen for a local model, by name. Apart from the code that needs torch, so that help is instant."""

from __future__ import annotations

DTYPES = ("float32", "bfloat16", "float16")
"""Of weights; their names in torch."""
ATTENTIONS = ("sdpa", "eager", "flash_attention_2")
ASPECT_MODES = ("resize", "pad", "dynamic")
"""How RoboRefer sees an image that is not square."""
CHAT_TEMPLATES = ("qwen2",)
"""Of RoboRefer checkpoints; the only one they were trained with."""
