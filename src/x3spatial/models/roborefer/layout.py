"""Layouts of checkpoints on disk, and checks that they are complete.

Two layouts are supported. The published one (``upstream``) has a root ``config.json`` of model type
``llava_llama`` and one folder per part; training outputs may contain that tree in a subfolder ``model/``. Our
own (``hf``) is that of ``save_pretrained``. Only JSON files and tensor headers are read; no code in a
checkpoint is run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from x3spatial.errors import UserError
from x3spatial.models.local.weights import (
    Tensor,
    check_layers,
    fingerprint_folders,
    list_tensors,
    read_object,
    weight_files,
)
from x3spatial.texts import shortened

UPSTREAM_TYPE = "llava_llama"
HF_TYPE = "roborefer"

SHIPPED = "x3-tiny"
"""Name of the checkpoint in this package, accepted in place of a folder; a folder of that name has
priority."""
_SHIPPED_FOLDER = Path(__file__).with_name("x3_tiny")


def locate(path: Path) -> Path:
    """The folder of a checkpoint that the user named; it may not exist."""
    return _SHIPPED_FOLDER if str(path) == SHIPPED and not path.is_dir() else path


@dataclass(frozen=True, slots=True)
class Part:
    """One folder of the published layout."""

    name: str
    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a checkpoint on disk."""

    kind: str
    """``upstream`` or ``hf``."""
    path: Path
    """The folder named by the user, or that of the checkpoint in this package."""
    root: Path
    """The folder of ``config.json``: ``path`` or ``path/model``."""
    config: Mapping[str, Any]
    parts: Mapping[str, Part] = field(default_factory=dict)
    """The parts; published layout only."""


def find_layout(path: Path) -> Layout:
    """Find and check a checkpoint folder; weights are not read.

    Raises:
        UserError: the folder does not exist, a folder, file or field is missing, or the model type is not
            RoboRefer's.
    """
    path = locate(path)
    if not path.is_dir():
        raise UserError(
            f"{path}: no such checkpoint folder; name one with --model-name-or-path (or MODEL), or make a"
            f" small random one first: x3 model tiny {path}"
        )
    # Like upstream's loaders, the subfolder has priority.
    for root in (path / "model", path):
        if (root / "config.json").is_file():
            break
    else:
        raise UserError(
            f"{path}: config.json is missing, here and in model/; expected a checkpoint"
        )
    file = root / "config.json"
    config = read_object(file, finite=True)
    model_type = config.get("model_type")
    if model_type == HF_TYPE:
        if not weight_files(root, required=False):
            raise UserError(f"{root}: weights are missing; expected model.safetensors or its index")
        return Layout("hf", path, root, config)
    if model_type != UPSTREAM_TYPE:
        raise UserError(
            f"{file}: model_type is {model_type!r}; expected {UPSTREAM_TYPE!r} (as published) or"
            f" {HF_TYPE!r} (as saved here)"
        )
    wanted = ["llm", "vision_tower", "mm_projector"]
    if flag(config, file, "enable_depth", default=False):
        wanted.append("depth_projector")
        if flag(config, file, "use_depth_tower", default=False):
            wanted.append("depth_tower")
    return Layout(
        "upstream", path, root, config, {name: _read_part(root, name, config) for name in wanted}
    )


def flag(config: Mapping[str, Any], file: Path, name: str, *, default: bool) -> bool:
    """A boolean field.

    Raises:
        UserError: the value is not a boolean.
    """
    value = config.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise UserError(
            f"{file}: field {name!r} is {shortened(repr(value))}; expected true or false"
        )
    return value


def _read_part(root: Path, name: str, config: Mapping[str, Any]) -> Part:
    key = f"{name}_cfg"
    if not isinstance(config.get(key), dict):
        raise UserError(
            f"{root / 'config.json'}: field {key!r} is missing; expected the part's config"
        )
    folder = root / name
    if not folder.is_dir():
        raise UserError(
            f"{root}: folder {name}/ is missing; expected the part's config and weights"
        )
    if not (folder / "config.json").is_file():
        raise UserError(f"{folder}: config.json is missing; expected the part's config")
    part = read_object(folder / "config.json", finite=True)
    tensors = list_tensors(folder)
    check_layers(part, folder / "config.json", tensors)
    return Part(name, folder, part, tensors)


def stored_files(layout: Layout) -> list[Path]:
    """All weight files of the checkpoint."""
    if layout.kind == "hf":
        return weight_files(layout.root, required=True)
    tensors = (tensor for part in layout.parts.values() for tensor in part.tensors.values())
    return sorted({tensor.file for tensor in tensors})


def fingerprint(layout: Layout) -> str:
    """``fingerprint_folders`` of the checkpoint's folders."""
    names = sorted(layout.parts) if layout.kind == "upstream" else []
    return fingerprint_folders(layout.root, [layout.root, *(layout.root / name for name in names)])
