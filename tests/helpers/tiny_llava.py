"""A tiny random LLaVA with its processor, for trainers that read our exports. Nothing is downloaded.

Imported by scripts in environments of other trainers too, so it needs transformers only.
"""

from __future__ import annotations

import string
from typing import Any

IMAGE_TOKENS = 4
"""Tokens of each image."""


def tiny_llava(processor: Any) -> Any:
    """A random model of two layers that fits ``tiny_processor``."""
    import transformers

    tokenizer = processor.tokenizer
    sizes: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2,
             "num_attention_heads": 2}  # fmt: skip
    return transformers.LlavaForConditionalGeneration(
        transformers.LlavaConfig(
            vision_config=transformers.CLIPVisionConfig(**sizes, image_size=28, patch_size=14),
            text_config=transformers.LlamaConfig(
                **sizes, vocab_size=len(tokenizer), num_key_value_heads=2,
                pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
            ),
            image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
            vision_feature_layer=-1,
        )
    )  # fmt: skip


def tiny_processor() -> Any:
    """A LLaVA processor that needs no download: a vocabulary of characters, 28x28 images."""
    import tokenizers
    import transformers

    special = ["<unk>", "<pad>", "</s>", "<image>"]
    vocabulary = {text: number for number, text in enumerate([*special, *string.printable])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Split("", "isolated")
    chat = (
        "{% for m in messages %}{% if m['content'] is string %}{{ m['content'] }}{% else %}"
        "{% for c in m['content'] %}{% if c['type'] == 'image' %}<image>{% else %}{{ c['text'] }}"
        "{% endif %}{% endfor %}{% endif %}{% if m['role'] == 'assistant' %}{{ '</s>' }}{% endif %}"
        "{% endfor %}"
    )
    # The class on Pillow; before transformers 5.18 it had the short name.
    kind: Any = getattr(transformers, "CLIPImageProcessorPil", transformers.CLIPImageProcessor)
    return transformers.LlavaProcessor(
        image_processor=kind(
            size={"height": 28, "width": 28}, crop_size={"height": 28, "width": 28}
        ),
        tokenizer=transformers.PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            unk_token="<unk>",
            pad_token="<pad>",
            eos_token="</s>",
            additional_special_tokens=["<image>"],
            chat_template=chat,
        ),
        patch_size=14,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=chat,
        image_token="<image>",
    )
