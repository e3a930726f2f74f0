"""A model without memory for its weights: on torch's meta device tensors have shapes and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers.models.auto.configuration_auto import AutoConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    AutoModelForImageTextToText,
)

from x3spatial.errors import UserError
from x3spatial.models.choices import TINY
from x3spatial.models.local.runtime import one_line
from x3spatial.models.local.weights import read_object
from x3spatial.models.roborefer.configuration import RoboReferConfig
from x3spatial.models.roborefer.layout import HF_TYPE, UPSTREAM_TYPE, locate
from x3spatial.models.roborefer.modeling import RoboReferForConditionalGeneration
from x3spatial.models.roborefer.tiny import SIZES, make_config, small_tokenizer
from x3spatial.training.arguments import ModelArguments
from x3spatial.training.lora import attach, with_adapters
from x3spatial.training.setup import narrowed, part_of, read_base

ROBOREFER_2B = "roborefer-2b"
"""Stands for RoboRefer's dimensions where no checkpoint is at hand."""
_VISION = ("vision", "visual", "image_encoder")
_PROJECTOR = ("projector", "merger", "connector", "resampler", "aligner", "embed_vision")


@dataclass(frozen=True, slots=True)
class Skeleton:
    """A model on the meta device, with the parts frozen that are not trained."""

    name: str
    model: Any
    text: Any
    """Config of the language model."""
    vision: Any
    """Config of the vision tower; None if it has none of its own."""
    parts: Mapping[str, str]
    """Name of a parameter → the part that it belongs to: vision_tower, mm_projector, llm, ..."""
    roborefer: bool
    """Whether ``x3 sft`` can train it."""

    def trained(self, part: str) -> bool:
        """Whether a parameter of a part is trained."""
        return any(
            parameter.requires_grad and self.parts[name] == part
            for name, parameter in self.model.named_parameters()
        )

    @property
    def outside_graph(self) -> set[str]:
        """Parameters of towers of which nothing is trained: they are run without a graph."""
        towers = {part for part in self.parts.values() if part.endswith("_tower")}
        frozen = {part for part in towers if not self.trained(part)}
        return {name for name, part in self.parts.items() if part in frozen}

    @property
    def layers(self) -> list[nn.Module]:
        """The layers of all stacks: the units that FSDP and ZeRO-3 gather one after the other."""
        return [
            layer
            for stack in self.model.modules()
            if isinstance(stack, nn.ModuleList) and len({type(layer) for layer in stack}) == 1
            if len(stack) > 1 and _holds_layers(stack)
            for layer in stack
        ]


def _holds_layers(stack: nn.ModuleList) -> bool:
    """Whether the items of a list are layers, and not parts of one, such as experts.

    In hybrid decoders only some of the layers have attention (of every four in Qwen3.5 one).
    """
    names = ("self_attn", "attn", "attention", "mixer")
    return any(hasattr(layer, name) for layer in stack for name in names)


def build_skeleton(options: ModelArguments) -> Skeleton:
    """The model of ``--model-name-or-path`` as a run with these options would train it, in float32.

    Raises:
        UserError: the model is not known or cannot be built, or an option does not fit it.
    """
    name = options.model_name_or_path
    path = Path(name)
    if name == ROBOREFER_2B and not path.exists():
        depth = options.enable_depth
        size = make_config(SIZES["2b"], small_tokenizer(), depth=depth, tied=TINY.tied)
        return _roborefer(name, size, options)
    found = locate(path)
    files = (found, found / "model" / "config.json", found / "config.json")
    file = next((one for one in files if one.is_file()), None)
    if file is None:
        reason = "has no config.json" if found.is_dir() else "no such folder"
        raise UserError(
            f"--model-name-or-path {name}: {reason}; name a checkpoint, a config.json of transformers, or"
            f" {ROBOREFER_2B}"
        )
    kind = read_object(file).get("model_type")
    if kind in (UPSTREAM_TYPE, HF_TYPE):
        return _roborefer(name, read_base(options).config, options)
    return _of_transformers(name, file, kind, options)


def _roborefer(name: str, config: RoboReferConfig, options: ModelArguments) -> Skeleton:
    with torch.device("meta"):
        model: Any = narrowed(RoboReferForConditionalGeneration(config), options)
        if options.lora_enable:
            model = attach(model, options)
    parts = {key: part_of(key) for key, _ in model.named_parameters()}
    return Skeleton(name, model, config.text_config, config.vision_config, parts, roborefer=True)


def _of_transformers(name: str, file: Path, kind: Any, options: ModelArguments) -> Skeleton:
    if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise UserError(
            f"--model-name-or-path {name}: model type {kind!r} is no image-text model of the installed"
            " transformers"
        )
    auto: Any = AutoModelForImageTextToText
    try:
        config = AutoConfig.from_pretrained(file.parent, local_files_only=True)
        with torch.device("meta"):
            model = auto.from_config(config, dtype=torch.float32)
    except Exception as error:  # each type checks its fields in its own way
        raise UserError(
            f"--model-name-or-path {name}: no model can be built: {one_line(error)}"
        ) from None
    parts = {key: _part(key) for key, _ in model.named_parameters()}
    tuned = options.tuned()
    for key, parameter in model.named_parameters():
        parameter.requires_grad_(tuned[parts[key]])
    if options.lora_enable:
        model = _adapted(model, options)
        parts = {key: _part(key) for key, _ in model.named_parameters()}
    return Skeleton(
        name,
        model,
        config.get_text_config(),
        getattr(config, "vision_config", None),
        parts,
        roborefer=False,
    )


def _adapted(model: Any, options: ModelArguments) -> Any:
    """LoRA on the language model's layers of the chosen names."""
    names = {piece.strip() for piece in options.lora_target_modules.split(",")}
    targets = [
        key
        for key, module in model.named_modules()
        if isinstance(module, nn.Linear) and key.rpartition(".")[2] in names and _part(key) == "llm"
    ]
    if not targets:
        raise UserError(f"--lora-target-modules {options.lora_target_modules}: no such layer")
    with torch.device("meta"):
        return with_adapters(model, r=options.lora_r, target_modules=targets)


def _part(name: str) -> str:
    """The part of a parameter of any model of transformers, by the names that they use."""
    pieces = name.split(".")
    if any(word in piece for piece in pieces for word in _PROJECTOR):
        return "mm_projector"
    if any(word in piece for piece in pieces for word in _VISION):
        return "vision_tower"
    return "llm"
