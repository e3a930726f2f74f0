"""Writing checkpoints in the published layout or in our own.

The config files of the parts use the field names of transformers 4.49, which upstream pins: it would silently
ignore newer names (``dtype``, ``rope_parameters``) and run the language model with another RoPE base.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from safetensors.torch import save_file

from x3spatial.io.files import make_dir, write_json
from x3spatial.io.opening import new_part
from x3spatial.models.roborefer.configuration import PROJECTOR_TYPE, RoboReferConfig
from x3spatial.models.roborefer.modeling import PARTS, RoboReferForConditionalGeneration
from x3spatial.models.roborefer.processing import RoboReferProcessor
from x3spatial.models.roborefer.tensors import stored_name
from x3spatial.models.roborefer.tokenizer_files import write_tokenizer

WRITTEN_FOR = "4.49.0"
MAX_SHARD_SIZE = "5GB"

_TEXT_FIELDS = (
    "attention_dropout", "bos_token_id", "eos_token_id", "hidden_act", "hidden_size",
    "initializer_range", "intermediate_size", "max_position_embeddings", "max_window_layers",
    "num_attention_heads", "num_hidden_layers", "num_key_value_heads", "rms_norm_eps",
    "tie_word_embeddings", "use_cache", "use_sliding_window", "vocab_size",
)  # fmt: skip
_TOWER_FIELDS = (
    "attention_dropout", "hidden_act", "hidden_size", "image_size", "intermediate_size",
    "layer_norm_eps", "num_attention_heads", "num_channels", "num_hidden_layers", "patch_size",
    "vision_use_head",
)  # fmt: skip


def save_upstream(
    model: RoboReferForConditionalGeneration,
    processor: RoboReferProcessor,
    out: Path,
    *,
    state_dict: Mapping[str, torch.Tensor] | None = None,
    max_shard_size: str = MAX_SHARD_SIZE,
) -> Path:
    """Write the published layout: a root config and one folder per part.

    Fields of the original checkpoint are kept if they are still valid.

    Args:
        model: the model; a tied head is not stored.
        processor: tokenizer and image settings.
        out: the output folder; existing files are replaced.
        state_dict: the parameters, if they were gathered from several processes.
        max_shard_size: in the format of ``huggingface_hub``, such as ``5GB``.

    Raises:
        UserError: the folder cannot be written.
    """
    make_dir(out, "output folder")
    state = dict(model.state_dict() if state_dict is None else state_dict)
    if model.config.text_config.tie_word_embeddings:
        state.pop("llm.lm_head.weight", None)
    dtype = state["llm.model.embed_tokens.weight"].dtype
    names = list(model.parts())
    for name in names:
        tensors = {
            stored_name(name, key): value.detach().cpu().contiguous()
            for key, value in state.items()
            if key.startswith(f"{name}.")
        }
        write_weights(out / name, tensors, max_shard_size=max_shard_size)
    write_configs(model.config, processor, out, dtype=dtype)
    return out


def write_configs(
    config: RoboReferConfig, processor: RoboReferProcessor, out: Path, *, dtype: torch.dtype
) -> None:
    """Write all files of the published layout except for the weights."""
    configs = part_configs(config, dtype)
    for name, value in configs.items():
        make_dir(out / name, "output folder")
        write_json(out / name / "config.json", value)
        if name.endswith("_tower"):
            write_json(out / name / "preprocessor_config.json", _preprocessor(processor))
    write_tokenizer(processor.tokenizer, out / "llm")
    generation = config.upstream.get("generation") or {
        "bos_token_id": config.text_config.bos_token_id,
        "eos_token_id": config.text_config.eos_token_id,
        "transformers_version": WRITTEN_FOR,
    }
    write_json(out / "llm" / "generation_config.json", generation)
    write_json(out / "config.json", _root(config, processor, configs, out, dtype))


def write_weights(
    folder: Path, tensors: dict[str, torch.Tensor], *, max_shard_size: str = MAX_SHARD_SIZE
) -> None:
    """Write ``model.safetensors`` or numbered shards with their index; existing weight files are deleted."""
    make_dir(folder, "output folder")
    plan = split_torch_state_dict_into_shards(
        tensors, filename_pattern="model{suffix}.safetensors", max_shard_size=max_shard_size
    )
    for file, names in plan.filename_to_tensors.items():
        target = folder / file
        part = new_part(target)
        save_file({name: tensors[name] for name in names}, part, {"format": "pt"})
        os.replace(part, target)
    index = folder / "model.safetensors.index.json"
    if plan.is_sharded:
        write_json(index, {"metadata": plan.metadata, "weight_map": plan.tensor_to_filename})
    else:
        index.unlink(missing_ok=True)
    for pattern in ("model*.safetensors", "pytorch_model*"):
        for old in folder.glob(pattern):
            if old.name not in plan.filename_to_tensors:
                old.unlink()


def part_configs(config: RoboReferConfig, dtype: torch.dtype) -> dict[str, dict[str, Any]]:
    """The ``config.json`` of every part of the model, by folder."""
    projector = {
        "architectures": ["MultimodalProjector"],
        "mm_projector_type": PROJECTOR_TYPE,
        "model_type": "v2l_projector",
    }
    values: dict[str, dict[str, Any]] = {
        "llm": _text(config.text_config),
        "vision_tower": _tower(config.vision_config),
        "mm_projector": projector,
    }
    if config.depth_config is not None:
        values["depth_tower"] = _tower(config.depth_config)
    if config.enable_depth:
        values["depth_projector"] = projector
    common = {"torch_dtype": _dtype_name(dtype), "transformers_version": WRITTEN_FOR}
    return {
        name: {**config.upstream.get(name, {}), **values[name], **common}
        for name in PARTS
        if name in values
    }


def _text(config: Any) -> dict[str, Any]:
    rope = dict(config.rope_parameters)
    theta = rope.pop("rope_theta")
    kind = rope.pop("rope_type", "default")
    values = {name: getattr(config, name) for name in _TEXT_FIELDS}
    values["rope_theta"] = theta
    # Both names of the kind, because older versions only read "type".
    values["rope_scaling"] = (
        None if kind == "default" else {"rope_type": kind, "type": kind, **rope}
    )
    if config.use_sliding_window:
        values["sliding_window"] = config.sliding_window
    return {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", **values}


def _tower(config: Any) -> dict[str, Any]:
    values = {name: getattr(config, name) for name in _TOWER_FIELDS}
    return {"architectures": ["SiglipVisionModel"], "model_type": "siglip_vision_model", **values}


def _preprocessor(processor: RoboReferProcessor) -> dict[str, Any]:
    images = processor.image_processor
    return {
        "do_convert_rgb": None,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": images.image_mean,
        "image_processor_type": "SiglipImageProcessor",
        "image_std": images.image_std,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": images.size,
    }


def _root(
    config: RoboReferConfig,
    processor: RoboReferProcessor,
    configs: Mapping[str, Mapping[str, Any]],
    out: Path,
    dtype: torch.dtype,
) -> dict[str, Any]:
    kept = dict(config.upstream.get("root", {}))
    encoder = {"_target_": "llava.model.encoders.BasicImageEncoder"}
    if processor.start_tokens is not None:
        encoder["start_tokens"] = processor.start_tokens
    if processor.end_tokens != "\n":
        encoder["end_tokens"] = processor.end_tokens  # type: ignore[assignment]
    defaults = {
        "chat_template": "qwen2",
        "depth_encoder": encoder,
        "image_encoder": encoder,
        "video_encoder": {"_target_": "llava.model.encoders.BasicVideoEncoder"},
        "dynamic_s2": False,
        "s2": False,
        "fps": 0.0,
        "num_video_frames": 8,
        "mm_use_im_patch_token": False,
        "mm_use_im_start_end": False,
        "version": "auto",
    }
    current = {
        "architectures": ["LlavaLlamaModel"],
        "model_type": "llava_llama",
        "enable_depth": config.enable_depth,
        "use_depth_tower": config.depth_config is not None,
        "hidden_size": config.text_config.hidden_size,
        "mm_hidden_size": config.vision_config.hidden_size,
        "mm_vision_select_feature": "cls_patch",
        "mm_vision_select_layer": config.select_layer,
        "image_aspect_ratio": config.image_aspect_ratio,
        "min_tiles": config.min_tiles,
        "max_tiles": config.max_tiles,
        "model_dtype": f"torch.{_dtype_name(dtype)}",
        "transformers_version": WRITTEN_FOR,
    }
    for name, value in configs.items():
        current[f"{name}_cfg"] = {**(kept.get(f"{name}_cfg") or {}), **value}
    # Upstream cannot load a folder whose resume_path is null; any string is accepted.
    current["resume_path"] = kept.get("resume_path") or out.name
    return {**defaults, **kept, **current}


def _dtype_name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def save_hf(
    model: RoboReferForConditionalGeneration, processor: RoboReferProcessor, out: Path
) -> Path:
    """Write our own layout, which the Auto classes of transformers can load after importing this package."""
    make_dir(out, "output folder")
    model.save_pretrained(out)
    processor.save_pretrained(out)
    return out
