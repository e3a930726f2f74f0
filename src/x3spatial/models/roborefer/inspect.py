"""A report on a checkpoint: ``x3 model inspect PATH``.

Weights are read only to find any that are not finite.
"""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path
from typing import Any

from x3spatial.models.local.finite import check_files
from x3spatial.models.local.weights import Tensor, list_tensors
from x3spatial.models.roborefer.checkpoint import Checkpoint, read_checkpoint
from x3spatial.models.roborefer.layout import fingerprint, stored_files
from x3spatial.models.roborefer.modeling import PARTS, layers_run
from x3spatial.models.roborefer.processing import load_processor
from x3spatial.models.roborefer.tensors import expected_shapes, parameter_name
from x3spatial.models.roborefer.tokens import stop_ids

TUNE_FLAGS = {
    "vision_tower": "--tune-vision-tower",
    "mm_projector": "--tune-mm-projector",
    "depth_tower": "--tune-depth-tower",
    "depth_projector": "--tune-depth-projector",
    "llm": "--tune-language-model",
}


def inspect(path: str | Path) -> dict[str, Any]:
    """A report on a checkpoint of either layout, from its JSON files and tensor headers.

    All weights are read once, one tensor at a time, to find any that are not finite.

    Raises:
        UserError: the folder is not a RoboRefer checkpoint, or is incomplete, or a weight is not finite; the
            message names what is missing or wrong.
    """
    checkpoint = read_checkpoint(Path(path))
    check_files(stored_files(checkpoint.layout))
    config = checkpoint.config
    processor = load_processor(checkpoint)
    tokenizer = processor.tokenizer
    stored = _stored(checkpoint)
    parts = {}
    for part in PARTS:
        tensors = {name: t for name, t in stored.items() if name.startswith(f"{part}.")}
        if tensors:
            parts[part] = _part(checkpoint, part, tensors)
    return {
        "path": str(path),
        "layout": checkpoint.layout.kind,
        "root": str(checkpoint.layout.root),
        "fingerprint": fingerprint(checkpoint.layout),
        "parameters": sum(part["parameters"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "dtype": str(checkpoint.dtype).removeprefix("torch."),
        "parts": parts,
        "depth": config.enable_depth,
        "select_layer": config.select_layer,
        "image_aspect_ratio": config.image_aspect_ratio,
        "tied_embeddings": config.text_config.tie_word_embeddings,
        "context": config.text_config.max_position_embeddings,
        "tokens": {
            "vocabulary": len(tokenizer),
            "embedding_rows": config.text_config.vocab_size,
            "per_image": len(processor.expand([tokenizer.convert_tokens_to_ids("<image>")])[0]),
            "image": tokenizer.convert_tokens_to_ids("<image>"),
            "depth": tokenizer.get_vocab().get("<depth>"),
            "pad": tokenizer.pad_token_id,
            "stop": stop_ids(tokenizer),
        },
        "generation_config": dict(checkpoint.generation),
    }


def _stored(checkpoint: Checkpoint) -> dict[str, Tensor]:
    if checkpoint.layout.kind == "hf":
        return list_tensors(checkpoint.layout.root)
    known = expected_shapes(checkpoint.config)
    named = {
        parameter_name(part.name, name): tensor
        for part in checkpoint.layout.parts.values()
        for name, tensor in part.tensors.items()
    }
    return {name: tensor for name, tensor in named.items() if name in known}


def _part(checkpoint: Checkpoint, part: str, tensors: dict[str, Tensor]) -> dict[str, Any]:
    config = checkpoint.config
    dtypes = Counter(str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values())
    report: dict[str, Any] = {
        "parameters": sum(prod(tensor.shape) for tensor in tensors.values()),
        "bytes": sum(prod(tensor.shape) * tensor.dtype.itemsize for tensor in tensors.values()),
        "dtype": dtypes.most_common(1)[0][0] if len(dtypes) == 1 else dict(dtypes),
        "files": len({tensor.file for tensor in tensors.values()}),
        "trained_with": TUNE_FLAGS[part],
    }
    if part.endswith("_tower"):
        tower = config.vision_config if part == "vision_tower" else config.depth_config
        assert tower is not None
        run = layers_run(tower.num_hidden_layers, config.select_layer)
        idle = [
            tensor
            for name, tensor in tensors.items()
            if "post_layernorm" in name
            or ".head." in name
            or (".layers." in name and int(name.split(".layers.")[1].split(".")[0]) >= run)
        ]
        report |= {
            "image": tower.image_size,
            "width": tower.hidden_size,
            "layers": tower.num_hidden_layers,
            "layers_used": run,
            "never_trained": sum(prod(tensor.shape) for tensor in idle),
        }
    elif part == "llm":
        text = config.text_config
        report |= {"width": text.hidden_size, "layers": text.num_hidden_layers}
    return report


def report_text(report: dict[str, Any]) -> str:
    """The report as text: one line per part, then the tokens."""
    lines = [
        f"{report['path']}: {report['layout']} layout, {report['parameters']:,} parameters,"
        f" {report['bytes'] / 2**30:.2f} GiB, {report['dtype']}",
    ]
    for name, part in report["parts"].items():
        extra = ""
        if "layers_used" in part:
            extra = (
                f", {part['image']} px, {part['layers_used']} of {part['layers']} layers used"
                f" ({part['never_trained']:,} parameters never get a gradient)"
            )
        lines.append(
            f"  {name:16}{part['parameters']:>15,}  {part['dtype']}  trained with"
            f" {part['trained_with']} True{extra}"
        )
    tokens = report["tokens"]
    lines.append(
        f"  tokens: {tokens['vocabulary']:,} in {tokens['embedding_rows']:,} rows,"
        f" {tokens['per_image']} per image, <image> {tokens['image']}, <depth> {tokens['depth']},"
        f" [PAD] {tokens['pad']}, stop {tokens['stop']}"
    )
    lines.append(
        f"  trained for {report['image_aspect_ratio']} images; context {report['context']:,};"
        f" depth {'yes' if report['depth'] else 'no'}; head"
        f" {'tied' if report['tied_embeddings'] else 'untied'}"
    )
    rules = {k: v for k, v in report["generation_config"].items() if k != "transformers_version"}
    lines.append(f"  generation_config.json (x3 eval decodes greedily all the same): {rules}")
    return "\n".join(lines)
