"""Reading checkpoints in the published layout and in our own, with or without depth.

The meaning of the fields follows the public code of Zhoues/RoboRefer. Everything is checked before weights
are read; each error is one line with the file, the field and the expected value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers.models.qwen2.configuration_qwen2 import Qwen2Config
from transformers.models.siglip.configuration_siglip import SiglipVisionConfig

from x3spatial.errors import UserError
from x3spatial.models.local.finite import check_loaded
from x3spatial.models.local.runtime import DTYPES, loading, one_line
from x3spatial.models.local.weights import (
    check_layers,
    list_tensors,
    load_bin,
    read_object,
)
from x3spatial.models.roborefer.attention import register as register_attention
from x3spatial.models.roborefer.chat import DEPTH_TAG, IMAGE_TAG
from x3spatial.models.roborefer.configuration import PROJECTOR_TYPE, RoboReferConfig
from x3spatial.models.roborefer.images import ASPECT_MODES
from x3spatial.models.roborefer.layout import (
    Layout,
    Part,
    find_layout,
    flag,
    stored_files,
)
from x3spatial.models.roborefer.modeling import RoboReferForConditionalGeneration
from x3spatial.models.roborefer.tensors import IGNORED_ENDINGS, check_tensors, parameter_name
from x3spatial.models.roborefer.tokens import greedy, load_tokenizer
from x3spatial.texts import shortened

TOWER_TYPE = "siglip_vision_model"
TEXT_TYPE = "qwen2"
ENCODER = "BasicImageEncoder"
MAX_TILES = 256
"""Of an image in dynamic mode; published checkpoints have 12."""

_TEXT_FIELDS = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "num_key_value_heads", "vocab_size",
)  # fmt: skip
_TOWER_FIELDS = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
    "image_size", "patch_size",
)  # fmt: skip
_UNSUPPORTED_FLAGS = ("s2", "dynamic_s2", "mm_use_im_start_end", "mm_use_im_patch_token")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checked checkpoint without its weights."""

    layout: Layout
    config: RoboReferConfig
    start_tokens: str | None
    """Text whose embeddings precede those of an image; none in published checkpoints."""
    end_tokens: str | None
    """Text whose embeddings follow those of an image; a newline in published checkpoints."""
    generation: Mapping[str, Any]
    """Content of ``generation_config.json``, kept for saving; it is not used for decoding."""
    dtype: torch.dtype
    """Data type of the language model's stored weights."""

    @property
    def tokenizer_folder(self) -> Path:
        """The folder of the tokenizer's files."""
        root = self.layout.root
        return root / "llm" if self.layout.kind == "upstream" else root


def read_checkpoint(path: Path) -> Checkpoint:
    """Read and check the json files and the tensor headers of a checkpoint.

    Raises:
        UserError: a file, field or tensor is missing, or has an unsupported value or shape.
    """
    layout = find_layout(path)
    if layout.kind == "hf":
        return _read_hf(layout)
    root_file = layout.root / "config.json"
    for name in _UNSUPPORTED_FLAGS:
        if flag(layout.config, root_file, name, default=False):
            raise UserError(f"{root_file}: {name} is on; expected false (not supported)")
    parts = layout.parts
    _check_type(parts["llm"], "model_type", TEXT_TYPE)
    for name in ("vision_tower", "depth_tower"):
        if name in parts:
            _check_type(parts[name], "model_type", TOWER_TYPE)
    for name in ("mm_projector", "depth_projector"):
        if name in parts:
            _check_type(parts[name], "mm_projector_type", PROJECTOR_TYPE)
    start, end = _end_tokens(layout)
    generation_file = parts["llm"].folder / "generation_config.json"
    generation = read_object(generation_file, finite=True) if generation_file.is_file() else {}
    config = RoboReferConfig(
        text_config=_part_config(parts["llm"], Qwen2Config, _TEXT_FIELDS),
        vision_config=_part_config(parts["vision_tower"], SiglipVisionConfig, _TOWER_FIELDS),
        depth_config=(
            _part_config(parts["depth_tower"], SiglipVisionConfig, _TOWER_FIELDS)
            if "depth_tower" in parts
            else None
        ),
        enable_depth="depth_projector" in parts,
        select_layer=_select_layer(layout),
        image_aspect_ratio=_aspect_mode(layout),
        min_tiles=_integer(layout, "min_tiles", 1),
        max_tiles=_integer(layout, "max_tiles", 12),
        upstream={
            "root": dict(layout.config),
            "generation": generation,
            **{name: dict(part.config) for name, part in parts.items()},
        },
    )
    embedding = parts["llm"].tensors.get("model.embed_tokens.weight")
    dtype = torch.float32 if embedding is None else embedding.dtype
    _check_tiles(config, root_file)
    checkpoint = Checkpoint(layout, config, start, end, generation, dtype)
    check_tensors(layout, config)
    return checkpoint


def load_model(
    path: Path | Checkpoint,
    *,
    dtype: str = "auto",
    device: str | None = None,
    device_map: Any = None,
    attention: str = "sdpa",
) -> RoboReferForConditionalGeneration:
    """Load the model of either layout, in eval mode, with greedy generation defaults.

    Args:
        path: the checkpoint.
        dtype: ``auto`` (as stored), ``float32``, ``bfloat16`` or ``float16``.
        device: a torch device such as ``cpu`` or ``cuda:0``.
        device_map: used instead of ``device``, as in ``from_pretrained``.
        attention: ``sdpa``, ``eager``, ``flash_attention_2`` or ``lean`` (``models.roborefer.attention``).

    Raises:
        UserError: the folder is not a complete checkpoint, a weight is not finite, or the data type or
            attention kernel is not available.
    """
    checkpoint = path if isinstance(path, Checkpoint) else read_checkpoint(path)
    if dtype not in ("auto", *DTYPES):
        raise UserError(f"--dtype {dtype}: expected auto, {', '.join(DTYPES)}")
    kind = checkpoint.dtype if dtype == "auto" else DTYPES[dtype]
    options: dict[str, Any] = {
        "dtype": kind,
        "attn_implementation": attention,
        "device_map": device_map if device is None else {"": device},
    }
    register_attention()
    with loading(attention):
        if checkpoint.layout.kind == "hf":
            model = RoboReferForConditionalGeneration.from_pretrained(
                checkpoint.layout.root, local_files_only=True, **options
            )
        else:
            tokenizer = load_tokenizer(checkpoint.tokenizer_folder, checkpoint.config)
            config = checkpoint.config
            config.image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TAG)
            if config.enable_depth:
                config.depth_token_id = tokenizer.convert_tokens_to_ids(DEPTH_TAG)
            model = RoboReferForConditionalGeneration.from_pretrained(
                None, config=config, state_dict=read_tensors(checkpoint), **options
            )
            model.generation_config = greedy(tokenizer)
    check_loaded(model, stored_files(checkpoint.layout), named=str(checkpoint.layout.path))
    return model


def read_tensors(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """The tensors of the published layout by parameter name of the model, memory-mapped."""
    state: dict[str, torch.Tensor] = {}
    tied = checkpoint.config.text_config.tie_word_embeddings
    for part in checkpoint.layout.parts.values():
        by_file: dict[Path, list[str]] = {}
        for name, tensor in part.tensors.items():
            if not name.endswith(IGNORED_ENDINGS):
                by_file.setdefault(tensor.file, []).append(name)
        for file, wanted in by_file.items():
            if file.suffix == ".bin":
                values = load_bin(file)
                state.update({parameter_name(part.name, name): values[name] for name in wanted})
                continue
            with safe_open(file, "pt") as stored:
                state.update(
                    {parameter_name(part.name, name): stored.get_tensor(name) for name in wanted}
                )
    head = state.get("llm.lm_head.weight")
    if tied and head is not None:
        if not torch.equal(head, state["llm.model.embed_tokens.weight"]):
            raise UserError(
                f"{checkpoint.layout.parts['llm'].folder}: lm_head.weight differs from the embeddings;"
                " expected them equal, since config.json has tie_word_embeddings true"
            )
        del state["llm.lm_head.weight"]
    return state


def _read_hf(layout: Layout) -> Checkpoint:
    file = layout.root / "config.json"
    tensors = list_tensors(layout.root)
    check_layers(layout.config, file, tensors)
    try:
        config = RoboReferConfig.from_dict(dict(layout.config))
    except Exception as error:  # fields are checked by third-party code
        raise UserError(f"{file}: {one_line(error)}") from None
    _check_tiles(config, file)
    generation_file = layout.root / "generation_config.json"
    processor_file = layout.root / "processor_config.json"
    processor = read_object(processor_file, finite=True) if processor_file.is_file() else {}
    embedding = tensors.get("llm.model.embed_tokens.weight")
    if embedding is None:
        raise UserError(f"{layout.root}: tensor 'llm.model.embed_tokens.weight' is missing")
    checkpoint = Checkpoint(
        layout,
        config,
        start_tokens=processor.get("start_tokens"),
        end_tokens=processor.get("end_tokens", "\n"),
        generation=read_object(generation_file, finite=True) if generation_file.is_file() else {},
        dtype=embedding.dtype,
    )
    check_tensors(layout, config)
    return checkpoint


def _check_tiles(config: RoboReferConfig, file: Path) -> None:
    """Check the numbers of tiles, because all grids up to the largest are compared for every image."""
    low, high = config.min_tiles, config.max_tiles
    if not 1 <= low <= high <= MAX_TILES:
        raise UserError(
            f"{file}: min_tiles is {low}, max_tiles {high}; expected 1 <= min_tiles <= max_tiles <="
            f" {MAX_TILES}"
        )


def _check_type(part: Part, name: str, expected: str) -> None:
    found = part.config.get(name)
    file = part.folder / "config.json"
    if found is None:
        raise UserError(f"{file}: field {name!r} is missing; expected {expected!r}")
    if found != expected:
        raise UserError(f"{file}: {name} {found!r} is not supported; expected {expected!r}")


def _part_config(part: Part, kind: type[Any], fields: tuple[str, ...]) -> Any:
    file = part.folder / "config.json"
    for name in fields:
        value = part.config.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            state = "is missing" if value is None else f"is {shortened(repr(value))}"
            raise UserError(f"{file}: field {name!r} {state}; expected a positive integer")
    try:
        return kind.from_dict({k: v for k, v in part.config.items() if k != "torch_dtype"})
    except Exception as error:  # fields are checked by third-party code
        raise UserError(f"{file}: {one_line(error)}") from None


def _integer(layout: Layout, name: str, default: int | None) -> int:
    value = layout.config.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        state = "is missing" if value is None else f"is {shortened(repr(value))}"
        raise UserError(
            f"{layout.root / 'config.json'}: field {name!r} {state}; expected an integer"
        )
    return value


def _select_layer(layout: Layout) -> int:
    file = layout.root / "config.json"
    feature = layout.config.get("mm_vision_select_feature")
    if feature != "cls_patch":
        state = "is missing" if feature is None else f"is {feature!r}"
        # SigLIP has no class token, so "patch" would drop the first image patch.
        raise UserError(f"{file}: field 'mm_vision_select_feature' {state}; expected 'cls_patch'")
    layer = _integer(layout, "mm_vision_select_layer", None)
    for name in ("vision_tower", "depth_tower"):
        if name in layout.parts:
            layers = layout.parts[name].config.get("num_hidden_layers", 0)
            if isinstance(layers, int) and not -layers - 1 <= layer <= layers:
                raise UserError(
                    f"{file}: field 'mm_vision_select_layer' is {layer};"
                    f" expected a hidden state of the {name}'s {layers} layers"
                )
    return layer


def _aspect_mode(layout: Layout) -> str:
    mode = layout.config.get("image_aspect_ratio", "resize")
    if mode not in ASPECT_MODES:
        raise UserError(
            f"{layout.root / 'config.json'}: image_aspect_ratio {mode!r} is not supported;"
            f" expected one of {', '.join(ASPECT_MODES)}"
        )
    return str(mode)


def _end_tokens(layout: Layout) -> tuple[str | None, str | None]:
    """Start and end text of images, from the settings of the encoders (a dictionary or its JSON text)."""
    file = layout.root / "config.json"
    settings: list[tuple[str | None, str | None]] = []
    names = ["image_encoder"] + (["depth_encoder"] if "depth_projector" in layout.parts else [])
    for name in names:
        value = layout.config.get(name) or {}
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                value = None
        if not isinstance(value, dict):
            raise UserError(f"{file}: field {name!r} is not an encoder's settings")
        target = str(value.get("_target_", ENCODER)).rpartition(".")[2]
        if target != ENCODER:
            raise UserError(f"{file}: {name} {target!r} is not supported; expected {ENCODER!r}")
        settings.append((value.get("start_tokens"), value.get("end_tokens", "\n")))
    if len(set(settings)) > 1:
        raise UserError(f"{file}: image_encoder and depth_encoder differ; expected the same tokens")
    return settings[0]
