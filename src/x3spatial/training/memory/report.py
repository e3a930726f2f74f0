"""The estimate of ``x3 sft --memory``, as a table and as JSON."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.trainer import Trainer

from x3spatial.errors import UserError
from x3spatial.models.local.runtime import one_line
from x3spatial.models.roborefer.modeling import layers_run
from x3spatial.models.roborefer.processing import load_processor
from x3spatial.tables import Table, Tabular
from x3spatial.texts import counted
from x3spatial.training.arguments import Arguments
from x3spatial.training.data_module import make_supervised_data_module
from x3spatial.training.lora import core
from x3spatial.training.memory.activations import decoder_of, head, tower_of
from x3spatial.training.memory.plans import Plan, plans, weights_of
from x3spatial.training.memory.skeleton import ROBOREFER_2B, Skeleton, build_skeleton
from x3spatial.training.muon import MuonAndRest, is_hidden_matrix
from x3spatial.training.setup import parameter_counts, read_base

IMAGES = 2
"""Images of a sample where no data are given: the two views of a Task1 pair."""
TEXT_TOKENS = 200
"""Tokens of its text: prompt and answer of Task1 have fewer."""
OTHER_TOKENS = 1024
"""Tokens of a sample of other models, whose images have as many as they are large."""
_PIXELS = 448
"""Side of an image where the config does not say."""


@dataclass(frozen=True, slots=True, repr=False)
class MemoryReport(Tabular):
    """What a run needs of every GPU."""

    model: str
    gpus: int
    batch: int
    tokens: int
    tokens_from: str
    bf16: bool
    lora: bool
    optimizer: str
    checkpointing: bool
    """Whether the run recomputes activations."""
    accumulation: int
    parameters: dict[str, dict[str, int]]
    """Part → parameters: all, and those that are trained."""
    plans: tuple[Plan, ...]
    activations: dict[bool, int]
    """With and without gradient checkpointing → bytes."""
    notes: tuple[str, ...]

    def table(self) -> Table:
        """A row per plan; activations and total with and without gradient checkpointing."""
        rows = tuple(
            (
                plan.name,
                *map(_gib, (plan.weights, plan.gradients, plan.optimizer, plan.buffers)),
                *(
                    _gib(value)
                    for way in (True, False)
                    for value in (self.activations[way], plan.states + self.activations[way])
                ),
            )
            for plan in self.plans
        )
        columns = (
            "GiB", "weights", "gradients", "optimizer", "buffers", "activations", "total",
            "activations *", "total *",
        )  # fmt: skip
        every = sum(part["all"] for part in self.parameters.values())
        tuned = sum(part["trained"] for part in self.parameters.values())
        of_parts = ", ".join(
            f"{name} {part['trained']:,} of {part['all']:,}"
            for name, part in self.parameters.items()
        )
        computed = "bfloat16" if self.bf16 else "float32"
        return Table(
            f"Memory per GPU, {self.model} on {counted(self.gpus, 'GPU')}: {self.batch} x"
            f" {self.tokens:,} tokens each ({self.tokens_from}), {computed}, {self.optimizer}",
            columns,
            rows,
            (
                "* without gradient checkpointing",
                f"trained: {tuned:,} of {every:,} parameters: {of_parts}",
                *self.notes,
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """The report as ``x3 sft --memory --json`` prints it; sizes in bytes."""
        return {
            "model": self.model,
            "gpus": self.gpus,
            "batch": self.batch,
            "tokens": self.tokens,
            "tokens_from": self.tokens_from,
            "dtype": "bfloat16" if self.bf16 else "float32",
            "lora": self.lora,
            "optimizer": self.optimizer,
            "gradient_checkpointing": self.checkpointing,
            "gradient_accumulation_steps": self.accumulation,
            "parameters": self.parameters,
            "plans": [
                {
                    "plan": plan.name,
                    "weights": plan.weights,
                    "gradients": plan.gradients,
                    "optimizer": plan.optimizer,
                    "buffers": plan.buffers,
                    "activations": self.activations[self.checkpointing],
                    "total": plan.states + self.activations[self.checkpointing],
                    "activations_with_checkpointing": self.activations[True],
                    "activations_without_checkpointing": self.activations[False],
                }
                for plan in self.plans
            ],
            "notes": list(self.notes),
        }


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f}" if size >= 2**30 / 100 else f"{size / 2**30:.2g}"


def memory_report(chosen: Arguments) -> MemoryReport:
    """The memory of a run with these options.

    Raises:
        UserError: the model or the data cannot be used, or the state of ``--optim`` is not known.
    """
    training = chosen.training
    logging.getLogger("transformers").setLevel(logging.ERROR)
    skeleton = build_skeleton(chosen.model)
    tokens, source = _tokens(chosen, skeleton)
    weights = weights_of(skeleton.model, skeleton.layers, skeleton.outside_graph)
    largest = max(
        (sum(p.numel() for p in layer.parameters()) for layer in skeleton.layers), default=0
    )
    optimizer_of = _optimizer(chosen, skeleton)
    found = plans(weights, largest, chosen.memory.gpus, optimizer_of, bf16=training.bf16)
    muon = training.muon_lr is not None
    notes = [
        "GPUs need about 1 GiB more for CUDA and for gaps between tensors. The total has gradients and"
        " activations at once, as gradient accumulation does; without it the peak is lower."
    ]
    if muon:
        found = found[:1]
        notes.append("--muon-lr needs whole matrices: no FSDP, no DeepSpeed")
    if chosen.model.lora_enable and skeleton.roborefer:
        found = [plan for plan in found if plan.name in ("DDP", "ZeRO-2")]
        notes.append("--lora-enable: x3 sft does not divide adapted weights: no FSDP, no ZeRO-3")
    if not skeleton.roborefer:
        notes.append("x3 sft trains RoboRefer only: use x3 export and a trainer of this model")
    return MemoryReport(
        model=skeleton.name,
        gpus=chosen.memory.gpus,
        batch=training.per_device_train_batch_size,
        tokens=tokens,
        tokens_from=source,
        bf16=bool(training.bf16),
        lora=chosen.model.lora_enable,
        optimizer=f"Muon and {training.optim_name}" if muon else training.optim_name,
        checkpointing=bool(training.gradient_checkpointing),
        accumulation=training.gradient_accumulation_steps,
        parameters=parameter_counts(skeleton.model, skeleton.parts.__getitem__),
        plans=tuple(found),
        activations={way: _activations(chosen, skeleton, tokens, way) for way in (True, False)},
        notes=tuple(notes),
    )


def _tokens(chosen: Arguments, skeleton: Skeleton) -> tuple[int, str]:
    """Tokens of a sample, and where the number is from."""
    if chosen.memory.sample_tokens is not None:
        return chosen.memory.sample_tokens, "--sample-tokens"
    data = chosen.data
    if not skeleton.roborefer:
        return OTHER_TOKENS, "assumed, see --sample-tokens"
    if data.data_path or data.data_mixture:
        if chosen.model.model_name_or_path == ROBOREFER_2B and not Path(ROBOREFER_2B).exists():
            option = "--data-path" if data.data_path else "--data-mixture"
            raise UserError(
                f"{option}: {ROBOREFER_2B} has sizes but no tokenizer to count tokens with; name a checkpoint"
                f" with --model-name-or-path, or leave {option} out and say --sample-tokens N"
            )
        processor = load_processor(
            read_base(chosen.model), image_aspect_ratio=data.image_aspect_ratio
        )
        module = make_supervised_data_module(
            processor,
            data,
            model_max_length=chosen.training.model_max_length,
            enable_depth=chosen.model.enable_depth,
        )
        return max(module.train_dataset.lengths or [1]), "the longest sample"
    images = IMAGES * (2 if chosen.model.enable_depth else 1)
    return images * core(skeleton.model).config.tokens_per_image + TEXT_TOKENS, "a Task1 pair"


def _optimizer(chosen: Arguments, skeleton: Skeleton) -> Any:
    training = chosen.training
    try:
        kind, options = Trainer.get_optimizer_cls_and_kwargs(training, skeleton.model)
    except (ImportError, ValueError) as error:  # a package is missing
        raise UserError(f"--optim {training.optim_name}: {one_line(error)}") from None
    if issubclass(kind, torch.optim.Adam | torch.optim.AdamW):
        options = {**options, "fused": False, "foreach": False}

    def make(named: Sequence[tuple[str, torch.Tensor]]) -> torch.optim.Optimizer:
        matrices: list[torch.Tensor] = []
        rest: list[torch.Tensor] = []
        for name, parameter in named:
            hidden = training.muon_lr is not None and is_hidden_matrix(name, parameter)
            (matrices if hidden else rest).append(parameter)
        try:
            optimizer: torch.optim.Optimizer = kind(rest, **options)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"--optim {training.optim_name}: {one_line(error)}") from None
        if matrices:
            return MuonAndRest([{"params": matrices, "lr": 1.0, "weight_decay": 0.0}], optimizer)
        return optimizer

    return make


def _activations(chosen: Arguments, skeleton: Skeleton, tokens: int, checkpointing: bool) -> int:
    """Bytes of the activations of a batch."""
    compute = 2 if chosen.training.bf16 else 4
    eager = chosen.model.attention == "eager"
    adapted = sum(
        module.in_features
        for name, module in skeleton.model.named_modules()
        if hasattr(module, "lora_A") and ".layers.0." in name
    )
    text = decoder_of(skeleton.text, adapted)
    sample = text.kept(tokens, compute, eager=eager, checkpointing=checkpointing)
    sample += head(tokens, int(skeleton.text.vocab_size), compute)
    if skeleton.trained("vision_tower") and skeleton.vision is not None:
        config = skeleton.vision
        layers = int(getattr(config, "num_hidden_layers", None) or config.depth)
        if skeleton.roborefer:
            layers = layers_run(layers, skeleton.model.config.select_layer)
        tower = tower_of(config, layers)
        side = getattr(config, "image_size", None) or _PIXELS
        side = side[0] if isinstance(side, list | tuple) else side
        patches = (int(side) // int(config.patch_size)) ** 2
        sample += IMAGES * tower.kept(patches, compute, eager=eager, checkpointing=checkpointing)
    return chosen.training.per_device_train_batch_size * sample
