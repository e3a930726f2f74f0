"""Small random vision-language models on disk, each a folder as the Hugging Face hub has them.

``make_vlm("qwen2_5_vl", folder)`` writes config, weights, tokenizer, processor and chat template; nothing is
downloaded. The answers are noise, but noise that depends on the pictures and the words.

Families whose stock ``AutoProcessor`` works without torchvision are ``STOCK``: what other programs (such as
``transformers serve``) can load here. The others' stock processors also load one for videos, which needs
torchvision.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from safetensors.torch import load_file, save_file  # noqa: E402, F401
from tokenizers import pre_tokenizers  # noqa: E402
from transformers import (  # noqa: E402
    CLIPImageProcessorPil,
    GotOcr2ImageProcessorPil,
    Idefics3Config,
    Idefics3ForConditionalGeneration,
    Idefics3ImageProcessorPil,
    InternVLConfig,
    InternVLForConditionalGeneration,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaOnevisionConfig,
    LlavaOnevisionForConditionalGeneration,
    LlavaOnevisionImageProcessorPil,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2ForCausalLM,
    Qwen2Tokenizer,
    Qwen2VLConfig,
    Qwen2VLForConditionalGeneration,
    Qwen2VLImageProcessorPil,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)
from transformers.models.qwen2.configuration_qwen2 import Qwen2Config  # noqa: E402

from x3spatial.models.roborefer.tiny import CORPUS, learn_merges, random_tensor  # noqa: E402

torch.set_num_threads(1)

STOCK = ("idefics3", "llava")
"""Families that need no torchvision anywhere."""

_PLAIN = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_WIDTH, _LAYERS, _HEADS, _INNER = 64, 2, 4, 128
_TEXT: dict[str, Any] = {
    "hidden_size": _WIDTH,
    "num_hidden_layers": _LAYERS,
    "num_attention_heads": _HEADS,
    "num_key_value_heads": 2,
    "intermediate_size": _INNER,
    "max_position_embeddings": 8192,
    "tie_word_embeddings": False,
}
_MROPE = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 3, 3]}


def template(image: str) -> str:
    """A chat template in which every part of a turn stands where it was given."""
    return (
        "{%- for message in messages -%}{{- '<|im_start|>' + message['role'] + '\\n' -}}"
        "{%- if message['content'] is string -%}{{- message['content'] -}}{%- else -%}"
        "{%- for part in message['content'] -%}"
        "{%- if part['type'] == 'image' -%}{{- '" + image + "' -}}"
        "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}{%- endif -%}{%- endfor -%}{%- endif -%}"
        "{{- '<|im_end|>\\n' -}}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
    )


def make_vlm(family: str, out: Path, *, seed: int = 0, chat_template: bool = True) -> Path:
    """Write a model of ``family`` (a key of ``FAMILIES``); the same arguments give the same weights."""
    FAMILIES[family](out, seed)
    if not chat_template:
        (out / "chat_template.jinja").unlink()
    return out


def _tokenizer(*special: str, **named: str) -> Qwen2Tokenizer:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = learn_merges(CORPUS, 256)
    vocabulary = {symbol: number for number, symbol in enumerate(alphabet)}
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary,
        merges=merges,  # type: ignore[arg-type]
        unk_token=None,  # type: ignore[arg-type]
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        extra_special_tokens=named,
    )
    tokenizer.add_tokens([*_PLAIN, *special, *named.values()], special_tokens=True)
    tokenizer.padding_side = "right"  # as most folders have it; generation needs left
    return tokenizer


def _id(tokenizer: Qwen2Tokenizer, token: str) -> int:
    return tokenizer.get_vocab()[token]


def _ids(tokenizer: Qwen2Tokenizer) -> dict[str, Any]:
    vocabulary = tokenizer.get_vocab()
    return {
        "bos_token_id": None,  # some families' default lies outside of this vocabulary
        "eos_token_id": vocabulary["<|im_end|>"],
        "pad_token_id": vocabulary["<|endoftext|>"],
    }


def _write(
    out: Path,
    model: Any,
    tokenizer: Qwen2Tokenizer,
    images: Any,
    *,
    processor: str,
    chat: str,
    seed: int,
    settings: Mapping[str, Any] | None = None,
) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.copy_(random_tensor(name, tuple(parameter.shape), generator))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    images.save_pretrained(out)
    file = out / "preprocessor_config.json"
    config = json.loads(file.read_text()) | {"processor_class": processor}
    # Folders of the hub name the class without a backend.
    config["image_processor_type"] = config["image_processor_type"].removesuffix("Pil")
    file.write_text(json.dumps(config, indent=2))
    (out / "processor_config.json").write_text(
        json.dumps({"processor_class": processor, **(settings or {})}, indent=2)
    )
    (out / "chat_template.jinja").write_text(chat)


_VISION = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
_QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


def _qwen_ids(tokenizer: Qwen2Tokenizer) -> dict[str, Any]:
    vocabulary = tokenizer.get_vocab()
    names = ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id")
    return dict(zip(names, (vocabulary[token] for token in _VISION), strict=True))


def _qwen2_vl(out: Path, seed: int) -> None:
    tokenizer = _tokenizer(*_VISION)
    config = Qwen2VLConfig(
        text_config={**_TEXT, **_ids(tokenizer), "vocab_size": len(tokenizer), "rope_parameters": _MROPE},
        vision_config={"depth": 2, "embed_dim": 32, "hidden_size": _WIDTH, "num_heads": 2, "mlp_ratio": 2},
        **_qwen_ids(tokenizer),
    )  # fmt: skip
    _write(
        out,
        Qwen2VLForConditionalGeneration(config),
        tokenizer,
        Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=16384 * 28 * 28),
        processor="Qwen2VLProcessor",
        chat=template(_QWEN_IMAGE),
        seed=seed,
    )


def _qwen2_5_vl(out: Path, seed: int) -> None:
    tokenizer = _tokenizer(*_VISION)
    config = Qwen2_5_VLConfig(
        text_config={**_TEXT, **_ids(tokenizer), "vocab_size": len(tokenizer), "rope_parameters": _MROPE},
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2,
            "out_hidden_size": _WIDTH, "fullatt_block_indexes": [1], "window_size": 112,
        },
        **_qwen_ids(tokenizer),
    )  # fmt: skip
    _write(
        out,
        Qwen2_5_VLForConditionalGeneration(config),
        tokenizer,
        Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=16384 * 28 * 28),
        processor="Qwen2_5_VLProcessor",
        chat=template(_QWEN_IMAGE),
        seed=seed,
    )


def _qwen3_vl(out: Path, seed: int) -> None:
    tokenizer = _tokenizer(*_VISION)
    config = Qwen3VLConfig(
        text_config={
            **_TEXT, **_ids(tokenizer), "vocab_size": len(tokenizer), "head_dim": 16,
            "rope_parameters": {**_MROPE, "mrope_interleaved": True},
        },
        vision_config={
            "depth": 2, "hidden_size": 32, "intermediate_size": 64, "num_heads": 2, "patch_size": 16,
            "out_hidden_size": _WIDTH, "deepstack_visual_indexes": [0], "num_position_embeddings": 64,
        },
        **_qwen_ids(tokenizer),
    )  # fmt: skip
    _write(
        out,
        Qwen3VLForConditionalGeneration(config),
        tokenizer,
        Qwen2VLImageProcessorPil(
            size={"shortest_edge": 64 * 64, "longest_edge": 4096 * 4096},
            patch_size=16,
            image_mean=[0.5] * 3,
            image_std=[0.5] * 3,
        ),
        processor="Qwen3VLProcessor",
        chat=template(_QWEN_IMAGE),
        seed=seed,
    )


def _idefics3(out: Path, seed: int) -> None:
    rows = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer = _tokenizer(
        "<fake_token_around_image>", "<image>", "<end_of_utterance>", "<global-img>", *rows
    )
    make: Any = Idefics3Config  # the stubs lack pad_token_id
    config = make(
        text_config={
            **_TEXT, **_ids(tokenizer), "model_type": "llama", "vocab_size": len(tokenizer),
        },
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
        },
        image_token_id=_id(tokenizer, "<image>"),
        pad_token_id=tokenizer.pad_token_id,
        scale_factor=2,
    )  # fmt: skip
    _write(
        out,
        Idefics3ForConditionalGeneration(config),
        tokenizer,
        Idefics3ImageProcessorPil(size={"longest_edge": 168}, max_image_size={"longest_edge": 56}),
        processor="Idefics3Processor",
        chat=template("<image>"),
        seed=seed,
        settings={"image_seq_len": 4},
    )


def _llava(out: Path, seed: int) -> None:
    tokenizer = _tokenizer("<image>")
    config = LlavaConfig(
        text_config={
            **_TEXT, **_ids(tokenizer), "model_type": "llama", "vocab_size": len(tokenizer),
        },
        vision_config={
            "model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 3, "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
            "projection_dim": 32,
        },
        image_token_index=_id(tokenizer, "<image>"),
        image_seq_length=16,
    )  # fmt: skip
    _write(
        out,
        LlavaForConditionalGeneration(config),
        tokenizer,
        # Squeezed and not cropped: the corners of the picture stay in it.
        CLIPImageProcessorPil(size={"height": 56, "width": 56}, do_center_crop=False),
        processor="LlavaProcessor",
        chat=template("<image>\\n"),
        seed=seed,
        settings={
            "patch_size": 14,
            "vision_feature_select_strategy": "default",
            "num_additional_image_tokens": 1,
        },
    )


def _llava_onevision(out: Path, seed: int) -> None:
    tokenizer = _tokenizer("<image>", "<video>")
    vocabulary = tokenizer.get_vocab()
    grid = [[56, 112], [112, 56], [112, 112], [56, 168], [168, 56]]
    config = LlavaOnevisionConfig(
        text_config={
            **_TEXT, **_ids(tokenizer), "model_type": "qwen2", "vocab_size": len(tokenizer),
        },
        vision_config={
            "model_type": "siglip_vision_model", "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 56, "patch_size": 14,
            "vision_use_head": False,
        },
        image_token_index=vocabulary["<image>"],
        video_token_index=vocabulary["<video>"],
        image_grid_pinpoints=grid,
    )  # fmt: skip
    _write(
        out,
        LlavaOnevisionForConditionalGeneration(config),
        tokenizer,
        LlavaOnevisionImageProcessorPil(
            size={"height": 56, "width": 56}, image_grid_pinpoints=grid
        ),
        processor="LlavaOnevisionProcessor",
        chat=template("<image>\\n"),
        seed=seed,
        settings={"num_image_tokens": 16, "vision_feature_select_strategy": "full"},
    )


def _internvl(out: Path, seed: int) -> None:
    tokenizer = _tokenizer(
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    config = InternVLConfig(
        text_config={
            **_TEXT, **_ids(tokenizer), "model_type": "qwen2", "vocab_size": len(tokenizer),
        },
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": [56, 56], "patch_size": [14, 14],
        },
        image_token_id=_id(tokenizer, "<IMG_CONTEXT>"),
        image_seq_length=4,
        tie_word_embeddings=False,
    )  # fmt: skip
    _write(
        out,
        InternVLForConditionalGeneration(config),
        tokenizer,
        GotOcr2ImageProcessorPil(
            size={"height": 56, "width": 56}, crop_to_patches=True, min_patches=1, max_patches=4
        ),
        processor="InternVLProcessor",
        chat=template("<IMG_CONTEXT>\\n"),
        seed=seed,
        settings={"image_seq_length": 4},
    )


def _minicpm(out: Path, seed: int) -> None:
    from transformers import MiniCPMV4_6Config, MiniCPMV4_6ForConditionalGeneration
    from transformers.models.minicpmv4_6.image_processing_pil_minicpmv4_6 import (
        MiniCPMV4_6ImageProcessorPil,
    )

    tokenizer = _tokenizer(
        image_token="<|image_pad|>",
        video_token="<|video_pad|>",
        image_start_token="<image>",
        image_end_token="</image>",
        slice_start_token="<slice>",
        slice_end_token="</slice>",
        image_id_start_token="<image_id>",
        image_id_end_token="</image_id>",
    )
    make: Any = MiniCPMV4_6Config
    config = make(
        text_config={
            **_TEXT, **_ids(tokenizer), "model_type": "qwen2", "vocab_size": len(tokenizer),
        },
        vision_config={
            "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 2, "image_size": 112, "patch_size": 14,
        },
        insert_layer_id=0,
        image_size=112,
        image_token_id=_id(tokenizer, "<|image_pad|>"),
        video_token_id=_id(tokenizer, "<|video_pad|>"),
    )  # fmt: skip
    _write(
        out,
        MiniCPMV4_6ForConditionalGeneration(config),
        tokenizer,
        MiniCPMV4_6ImageProcessorPil(scale_resolution=112, max_slice_nums=4),
        processor="MiniCPMV4_6Processor",
        chat=template("<|image_pad|>"),
        seed=seed,
    )


def make_pointing_model(out: Path, *, seed: int = 0, side: int = 168) -> Path:
    """A stand-in for MolmoPoint, with its own code; images are squeezed to ``side`` x ``side``."""
    from helpers import pointing_model

    most = 2 * (side // 14) ** 2
    points = [f"<POINT_{number}>" for number in range(most + 1 + pointing_model.PARTS**2)]
    tokenizer = _tokenizer("<image>", *points)

    def ids(text: str) -> list[int]:
        return [*tokenizer(text)["input_ids"], _id(tokenizer, "<|im_end|>")]

    make: Any = pointing_model.PointingConfig
    config = make(
        text_config={
            **_TEXT, **_ids(tokenizer), "model_type": "llama", "vocab_size": len(tokenizer),
        },
        vision_config={
            "model_type": "clip_vision_model", "hidden_size": 32, "intermediate_size": 64,
            "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": side, "patch_size": 14,
            "projection_dim": 32,
        },
        image_token_index=_id(tokenizer, "<image>"),
        image_seq_length=(side // 14) ** 2,
        first_point_id=_id(tokenizer, points[0]),
        none_ids=ids("There are none."),
        one_ids=ids("1"),
    )  # fmt: skip
    _write(
        out,
        pointing_model.PointingModel(config),
        tokenizer,
        CLIPImageProcessorPil(size={"height": side, "width": side}, do_center_crop=False),
        processor="PointingProcessor",
        chat=template("<image>\\n"),
        seed=seed,
        settings={
            "patch_size": 14,
            "vision_feature_select_strategy": "default",
            "num_additional_image_tokens": 1,
        },
    )
    code = Path(pointing_model.__file__)
    (out / code.name).write_text(code.read_text())
    names = {"AutoConfig": "Config", "AutoModelForImageTextToText": "Model"}
    auto = {key: f"{code.stem}.Pointing{name}" for key, name in names.items()}
    for file, found in (
        ("config.json", auto),
        ("processor_config.json", {"AutoProcessor": f"{code.stem}.PointingProcessor"}),
    ):
        kept = json.loads((out / file).read_text())
        (out / file).write_text(json.dumps({**kept, "auto_map": found}))
    return out


def make_text_model(out: Path, *, seed: int = 0) -> Path:
    """A language model without a vision tower."""
    tokenizer = _tokenizer()
    torch.manual_seed(seed)
    Qwen2ForCausalLM(
        Qwen2Config(**_TEXT, **_ids(tokenizer), vocab_size=len(tokenizer))
    ).save_pretrained(out)
    tokenizer.save_pretrained(out)
    return out


FAMILIES: dict[str, Callable[[Path, int], None]] = {
    "idefics3": _idefics3,
    "internvl": _internvl,
    "llava": _llava,
    "llava_onevision": _llava_onevision,
    "qwen2_vl": _qwen2_vl,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
}
"""``model_type`` → how a folder of it is written."""
if find_spec("transformers.models.minicpmv4_6") is not None:  # newer than the oldest transformers
    FAMILIES["minicpmv4_6"] = _minicpm
