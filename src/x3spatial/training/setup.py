"""Loading the model and processor of a run, with or without depth, and freezing parts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.integrations.deepspeed import set_hf_deepspeed_config, unset_hf_deepspeed_config
from transformers.models.qwen2.tokenization_qwen2 import Qwen2Tokenizer

from x3spatial.errors import UserError
from x3spatial.models.local.model import check_text
from x3spatial.models.local.weights import read_object
from x3spatial.models.roborefer.chat import DEPTH_TAG, IMAGE_TAG, PAD, SENTINEL, TURN_END
from x3spatial.models.roborefer.checkpoint import Checkpoint, load_model, read_checkpoint
from x3spatial.models.roborefer.images import RoboReferImageProcessor
from x3spatial.models.roborefer.layout import HF_TYPE, UPSTREAM_TYPE, locate
from x3spatial.models.roborefer.modeling import RoboReferForConditionalGeneration, layers_run
from x3spatial.models.roborefer.processing import RoboReferProcessor, load_processor
from x3spatial.models.roborefer.tiny import small_tokenizer
from x3spatial.training.arguments import ModelArguments
from x3spatial.training.options import dashed

_SIZE = re.compile(r"patch(\d+)[-_](\d+)")


def processor_for(path: Path | None, image_aspect_ratio: str) -> RoboReferProcessor:
    """A processor for checking data: of a checkpoint, of a tokenizer folder, or a built-in one.

    A plain Qwen2 tokenizer gets RoboRefer's special tokens; images are then of 448 pixels, 121 tokens.

    Raises:
        UserError: the folder is neither a checkpoint nor a tokenizer folder.
    """
    path = None if path is None else locate(path)
    for root in () if path is None else (path / "model", path):
        file = root / "config.json"
        if file.is_file() and read_object(file).get("model_type") in (UPSTREAM_TYPE, HF_TYPE):
            return load_processor(root, image_aspect_ratio=image_aspect_ratio)
    return _processor_of_tokenizer(path, image_aspect_ratio)


def _processor_of_tokenizer(path: Path | None, image_aspect_ratio: str) -> RoboReferProcessor:
    if path is None:
        tokenizer: Any = small_tokenizer()
    else:
        if not path.is_dir():
            raise UserError(f"--model-name-or-path {path}: no such folder")
        names = {file.name for file in path.iterdir()}
        if "tokenizer.json" not in names and not {"vocab.json", "merges.txt"} <= names:
            raise UserError(
                f"--model-name-or-path {path}: neither a checkpoint nor a tokenizer folder"
                " (config.json, tokenizer.json)"
            )
        try:
            tokenizer = Qwen2Tokenizer.from_pretrained(path, local_files_only=True)
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise UserError(
                f"--model-name-or-path {path}: the tokenizer cannot be read: {reason}"
            ) from None
        check_text(tokenizer, f"--model-name-or-path {path}")
        tokenizer.add_tokens(
            [t for t in (PAD, SENTINEL, IMAGE_TAG, DEPTH_TAG, TURN_END) if t not in tokenizer.get_vocab()],
            special_tokens=True,
        )  # fmt: skip
        tokenizer.pad_token = PAD
    images = RoboReferImageProcessor(image_aspect_ratio=image_aspect_ratio)
    return RoboReferProcessor(images, tokenizer, tokens_per_image=121)


def read_base(options: ModelArguments) -> Checkpoint:
    """The checkpoint a run starts from, checked against the options; no weights are read.

    Raises:
        UserError: the checkpoint does not exist, or lacks what an option needs.
    """
    path = options.model_name_or_path
    checkpoint = read_checkpoint(Path(path))
    config = checkpoint.config
    if options.enable_depth and not config.enable_depth:
        raise UserError(f"--enable-depth: {path} has no depth projector")
    if options.use_depth_tower and config.depth_config is None:
        raise UserError(f"--use-depth-tower: {path} has no depth tower")
    towers = [("vision_tower", options.vision_tower, config.vision_config)]
    if options.enable_depth and config.depth_config is not None:
        towers.append(("depth_tower", options.depth_tower, config.depth_config))
    for option, name, tower in towers:
        size = _SIZE.search(name or "")
        here = (int(tower.patch_size), int(tower.image_size))
        if size is not None and (int(size[1]), int(size[2])) != here:
            raise UserError(
                f"--{dashed(option)} {name}: the tower of {path} has patches of {here[0]} and images of"
                f" {here[1]}; name that one, or leave the option out"
            )
    if options.mm_vision_select_layer is not None:
        for tower in [
            config.vision_config,
            *([config.depth_config] if config.depth_config else []),
        ]:
            try:
                layers_run(int(tower.num_hidden_layers), options.mm_vision_select_layer)
            except ValueError as error:
                raise UserError(
                    f"--mm-vision-select-layer {options.mm_vision_select_layer}: {error}"
                ) from None
    return checkpoint


def build_model(
    checkpoint: Checkpoint, options: ModelArguments
) -> RoboReferForConditionalGeneration:
    """The model in float32, without depth where the run has none, frozen where it is not tuned.

    Relative updates of 1e-5 are below the resolution of bfloat16, so the optimizer works on float32.
    """
    model = load_model(checkpoint, dtype="float32", attention=options.attention)
    return narrowed(model, options)


def narrowed(
    model: RoboReferForConditionalGeneration, options: ModelArguments
) -> RoboReferForConditionalGeneration:
    """``model`` in place, without depth where the run has none, frozen where it is not tuned."""
    if not options.enable_depth:
        model.depth_tower = model.depth_projector = None
        model.config.enable_depth, model.config.depth_config = False, None
    elif options.use_depth_tower is False:
        model.depth_tower = None
        model.config.depth_config = None
    if options.mm_vision_select_layer is not None:
        model.config.select_layer = options.mm_vision_select_layer
    freeze(model, options.tuned())
    return model


@contextmanager
def unsharded(deepspeed: Any) -> Iterator[None]:
    """Build and read whole models, instead of sharded ones as transformers does for ZeRO-3.

    Sharding needs initialised process groups and would also apply to models that are made only for their
    shapes. DeepSpeed shards the whole model when training starts.

    Args:
        deepspeed: the training arguments' ``deepspeed_config``; None without DeepSpeed.
    """
    if deepspeed is None:
        yield
        return
    unset_hf_deepspeed_config()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        set_hf_deepspeed_config(deepspeed)  # type: ignore[no-untyped-call]


def freeze(model: RoboReferForConditionalGeneration, tuned: dict[str, bool]) -> None:
    """Freeze all parts that are not tuned.

    Layers of a tower after the selected one never get a gradient. They are frozen too, because data-parallel
    training waits for the gradient of every trainable parameter.
    """
    for name, part in model.parts().items():
        part.requires_grad_(tuned[name])
    idle = set(model.unused_parameters())
    for name, parameter in model.named_parameters():
        if name in idle:
            parameter.requires_grad_(False)


def part_of(name: str) -> str:
    """The part of RoboRefer that a parameter belongs to, by its name; PEFT's prefix does not count."""
    return name.removeprefix("base_model.model.").split(".")[0]


def parameter_counts(
    model: torch.nn.Module, part: Callable[[str], str] = part_of
) -> dict[str, dict[str, int]]:
    """Parameters of each part: all, and those that are trained.

    Args:
        model: the model.
        part: the part of a parameter, by its name.
    """
    found: dict[str, dict[str, int]] = {}
    for name, parameter in model.named_parameters():
        entry = found.setdefault(part(name), {"all": 0, "trained": 0})
        entry["all"] += parameter.numel()
        entry["trained"] += parameter.numel() if parameter.requires_grad else 0
    return found
