"""LoRA on the language model, with PEFT: attach, save, restore, merge."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn

from x3spatial.errors import UserError
from x3spatial.models.roborefer.modeling import RoboReferForConditionalGeneration
from x3spatial.training.arguments import ModelArguments

ADAPTER = "adapter"
"""Folder of a checkpoint that holds the adapter, in PEFT's layout."""
ADAPTER_WEIGHTS = "adapter_model.safetensors"


def attach(model: RoboReferForConditionalGeneration, options: ModelArguments) -> Any:
    """The model as a ``PeftModel``: adapters on the language model's linear layers, everything else frozen.

    Raises:
        UserError: PEFT is not installed, or a named layer does not exist.
    """
    names = [name.strip() for name in options.lora_target_modules.split(",") if name.strip()]
    layers = {
        name.rpartition(".")[2]
        for name, module in model.llm.named_modules()
        if isinstance(module, nn.Linear)
    } - {"lm_head"}
    for name in names or [""]:
        if name not in layers:
            raise UserError(
                f"--lora-target-modules {options.lora_target_modules}: no layer {name!r};"
                f" the language model has {', '.join(sorted(layers))}"
            )
    # PEFT writes it into adapter_config.json as the name of the base.
    model.name_or_path = str(Path(options.model_name_or_path).absolute())
    return with_adapters(
        model,
        r=options.lora_r,
        lora_alpha=options.lora_alpha,
        lora_dropout=options.lora_dropout,
        # The towers have layers of the same names.
        target_modules=rf"llm\..*\.({'|'.join(names)})",
    )


def with_adapters(model: Any, **settings: Any) -> Any:
    """The model as a ``PeftModel``; ``settings`` are those of ``LoraConfig``.

    Raises:
        UserError: PEFT is not installed.
    """
    try:
        from peft import LoraConfig, get_peft_model
    except ModuleNotFoundError:
        raise UserError(
            '--lora-enable: the package peft is not installed; run: pip install "x3spatial[train]"'
        ) from None
    with warnings.catch_warnings():
        # PEFT reads a name that newer transformers have renamed.
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        return get_peft_model(model, LoraConfig(**settings))


def is_adapted(model: Any) -> bool:
    """Whether the model was returned by ``attach``."""
    return hasattr(model, "peft_config") and hasattr(model, "base_model")


def core(model: Any) -> RoboReferForConditionalGeneration:
    """The RoboRefer model inside a PeftModel, including its adapters."""
    inner: RoboReferForConditionalGeneration = (
        model.base_model.model if is_adapted(model) else model
    )
    return inner


def merged_state(model: Any) -> dict[str, torch.Tensor]:
    """The state of a plain RoboRefer model with the adapters merged; the model is not changed.

    Merged weights are on the CPU: a GPU that holds an adapted model may not hold the language model twice.
    """
    inner = core(model)
    state: dict[str, torch.Tensor] = {}
    adapted = {
        name: module
        for name, module in inner.named_modules()
        if hasattr(module, "get_delta_weight") and hasattr(module, "base_layer")
    }
    for name, value in inner.state_dict().items():
        if ".lora_" in name:
            continue
        state[name.replace(".base_layer.", ".")] = value
    for name, module in adapted.items():
        with torch.no_grad():
            weight = module.base_layer.weight
            state[f"{name}.weight"] = (weight + module.get_delta_weight("default")).cpu()
    return state


def save_adapter(model: Any, folder: Path) -> None:
    """Write ``adapter_config.json`` and ``adapter_model.safetensors``."""
    model.save_pretrained(folder)


def restore_adapter(model: Any, folder: Path) -> None:
    """Load the weights of a saved adapter.

    Raises:
        UserError: the adapter does not fit the model.
    """
    from peft import set_peft_model_state_dict

    result: Any = set_peft_model_state_dict(model, load_file(folder / ADAPTER_WEIGHTS))
    if result.unexpected_keys:
        raise UserError(
            f"{folder}: adapter weight {result.unexpected_keys[0]} does not fit the model"
        )
