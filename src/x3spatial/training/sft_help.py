"""The help of ``x3 sft``: its own options in groups, and those of the transformers Trainer on request."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterable
from typing import Any

import transformers

from x3spatial.training.arguments import (
    REFUSED,
    ModelArguments,
    SftArguments,
)
from x3spatial.training.data_arguments import DataArguments
from x3spatial.training.memory.options import MemoryArguments
from x3spatial.training.options import QUIET_HELP, Formatter, dashed

GROUPS: dict[str, tuple[str, ...]] = {
    "Model": (
        "model_name_or_path", "attention", "enable_depth", "use_depth_tower", "vision_tower",
        "depth_tower", "mm_vision_select_layer",
    ),
    "Trained parts": (
        "tune_vision_tower", "tune_mm_projector", "tune_language_model", "tune_depth_tower",
        "tune_depth_projector", "vision_tower_lr", "mm_projector_lr", "language_model_lr",
        "depth_tower_lr", "depth_projector_lr",
    ),
    "LoRA": (
        "lora_enable", "lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_save",
    ),
    "Data": (
        "data_path", "data_mixture", "data_registry", "image_folder", "image_root", "depth_path",
        "image_aspect_ratio", "model_max_length", "long_samples", "text_samples",
        "group_by_length", "dataloader_num_workers",
    ),
    "Optimisation": (
        "num_train_epochs", "per_device_train_batch_size", "gradient_accumulation_steps",
        "learning_rate", "lr_scheduler_type", "warmup_ratio", "weight_decay", "max_grad_norm",
        "muon_lr", "bf16", "gradient_checkpointing",
    ),
    "Evaluation": (
        "eval_data_path", "eval_strategy", "eval_limit", "eval_max_new_tokens",
        "per_device_eval_batch_size",
    ),
    "Output": (
        "output_dir", "save_steps", "save_total_limit", "save_dtype", "logging_steps",
        "logging_nan_inf_filter", "report_to",
    ),
    "Memory": ("memory", "gpus", "sample_tokens", "json"),
}  # fmt: skip
"""The own options by group."""
FIXED = (
    "chat_template", "mm_projector", "depth_projector", "mm_vision_select_feature",
    "mm_use_im_start_end", "mm_use_im_patch_token",
)  # fmt: skip
"""Options of RoboRefer's training command that have a single supported value."""

_EXAMPLES = """\
examples:
  x3 sft --model-name-or-path runs/train/RoboRefer-2B-Depth-Align \\
      --data-path tasks/t1_train_multi.json --output-dir runs/train/t1
  torchrun --nproc-per-node 2 -m x3spatial.training.commands sft \\
      --data-registry configs/mixtures.yaml --data-mixture everything"""


def own_fields() -> dict[str, dataclasses.Field[Any]]:
    """The options that ``x3 sft`` defines itself, by name."""
    found = {
        f.name: f
        for kind in (ModelArguments, DataArguments, MemoryArguments)
        for f in dataclasses.fields(kind)
    }
    fields = {field.name: field for field in dataclasses.fields(SftArguments)}
    return found | {name: fields[name] for name in SftArguments.__annotations__}


def sft_help(*, everything: bool = False) -> str:
    """The help text; with ``everything`` the options of the transformers Trainer too."""
    parser = argparse.ArgumentParser(
        prog="x3 sft",
        usage="x3 sft [OPTIONS]",
        description="Fine-tune a RoboRefer checkpoint on task files (docs/training.md). The same\n"
        "command continues a run that was stopped. Options may be written with dashes\n"
        "or underscores; BOOL is True or False.",
        epilog=_EXAMPLES,
        formatter_class=Formatter,
        add_help=False,
    )
    own = own_fields()
    for title, names in GROUPS.items():
        _add(parser.add_argument_group(title), (own[name] for name in names))
    group = parser.add_argument_group("Help and output")
    group.add_argument("-h", "--help", action="store_true", help="show this text")
    group.add_argument("-q", "--quiet", action="store_true", help=QUIET_HELP)
    group.add_argument(
        "--help-all", action="store_true", help="also all options of the transformers Trainer"
    )
    if everything:
        _add(
            parser.add_argument_group(
                "With one supported value", "accepted because RoboRefer's own scripts give them"
            ),
            (own[name] for name in FIXED),
        )
        title = f"Of the transformers Trainer ({transformers.__version__})"
        rest = (field for field in dataclasses.fields(SftArguments) if field.init)
        _add(
            parser.add_argument_group(title),
            (field for field in rest if field.name not in own and field.name not in REFUSED),
        )
    return parser.format_help()


def _add(group: Any, fields: Iterable[dataclasses.Field[Any]]) -> None:
    for field in fields:
        text = " ".join(str(field.metadata.get("help", "")).split())
        default = field.default
        if default not in (None, "", dataclasses.MISSING):
            text = f"{text} [default: {getattr(default, 'value', default)}]"
        group.add_argument(
            f"--{dashed(field.name)}", metavar=_metavar(field.type), help=text.replace("%", "%%")
        )


def _metavar(kind: Any) -> str:
    name = kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))
    for word, shown in (("bool", "BOOL"), ("float", "X"), ("int", "N")):
        if name.startswith((word, f"typing.Optional[{word}", f"Optional[{word}")):
            return shown
    return "TEXT"
