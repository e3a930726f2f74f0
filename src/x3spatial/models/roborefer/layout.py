"""Where the pieces of a checkpoint lie on disk, and whether they are all there.

Two layouts are read. The published one (``upstream``) has a root ``config.json`` of model type
``llava_llama`` and one folder per part; trained folders may hold that tree one level down in
``model/``. Our own (``hf``) is what ``save_pretrained`` writes. Only json and tensor headers are read
here; no code of a checkpoint is ever run.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from x3spatial.data.files import read_json
from x3spatial.errors import UserError

UPSTREAM_TYPE = "llava_llama"
HF_TYPE = "roborefer"

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip

_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16


@dataclass(frozen=True, slots=True)
class Tensor:
    """One stored tensor: the file it is in, its shape and type."""

    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype


@dataclass(frozen=True, slots=True)
class Part:
    """One folder of the published layout."""

    name: str
    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True)
class Layout:
    """A checkpoint found on disk."""

    kind: str
    """``upstream`` or ``hf``."""
    path: Path
    """As the user named it."""
    root: Path
    """Where ``config.json`` lies: ``path`` or ``path/model``."""
    config: Mapping[str, Any]
    parts: Mapping[str, Part] = field(default_factory=dict)
    """Published layout only."""


def find_layout(path: Path) -> Layout:
    """Find and check a checkpoint folder; weights are not read.

    Raises:
        UserError: nothing there, a folder, file or field is missing, or the model type is another's.
    """
    if not path.is_dir():
        raise UserError(f"{path}: no such checkpoint folder")
    # Upstream's own loaders look one level down first; so a folder that has both means the inner.
    for root in (path / "model", path):
        if (root / "config.json").is_file():
            break
    else:
        raise UserError(
            f"{path}: config.json is missing, here and in model/; expected a checkpoint"
        )
    file = root / "config.json"
    config = read_object(file)
    model_type = config.get("model_type")
    if model_type == HF_TYPE:
        if not _weight_index(root, required=False):
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
    """A boolean field. Raises: UserError if it is something else."""
    value = config.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise UserError(f"{file}: field {name!r} is {value!r}; expected true or false")
    return value


def read_object(file: Path) -> dict[str, Any]:
    """A json file that holds an object. Raises: UserError."""
    value = read_json(file, what="checkpoint file")
    if not isinstance(value, dict):
        raise UserError(f"{file}: expected a json object, found {type(value).__name__}")
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
    return Part(name, folder, read_object(folder / "config.json"), list_tensors(folder))


def list_tensors(folder: Path) -> dict[str, Tensor]:
    """Every tensor of a folder's weight files, from their headers.

    Raises:
        UserError: no weights, a shard is missing or damaged, or a tensor is stored twice.
    """
    tensors: dict[str, Tensor] = {}
    for file in _weight_index(folder, required=True):
        for name, tensor in _read_header(file).items():
            if name in tensors:
                raise UserError(f"{file}: tensor {name!r} is also in {tensors[name].file.name}")
            tensors[name] = tensor
    return tensors


def _weight_index(folder: Path, *, required: bool) -> list[Path]:
    for stem, suffix in (("model", "safetensors"), ("pytorch_model", "bin")):
        whole = folder / f"{stem}.{suffix}"
        index = folder / f"{stem}.{suffix}.index.json"
        if index.is_file():
            weight_map = read_object(index).get("weight_map")
            if not isinstance(weight_map, dict) or not weight_map:
                raise UserError(f"{index}: field 'weight_map' is missing; expected tensor -> shard")
            names = sorted({str(name) for name in weight_map.values()})
            for name in names:
                if Path(name).name != name:
                    raise UserError(f"{index}: shard {name!r} is not a plain file name")
                if not (folder / name).is_file():
                    raise UserError(f"{folder}: shard {name} is missing; {index.name} lists it")
            return [folder / name for name in names]
        if whole.is_file():
            return [whole]
    if required:
        raise UserError(
            f"{folder}: weights are missing; expected model.safetensors, model.safetensors.index.json"
            " or pytorch_model.bin"
        )
    return []


def fingerprint(layout: Layout) -> str:
    """Hex SHA-256 that tells checkpoints apart without reading all of their bytes.

    Covers every json and tokenizer file whole and, of each weight file, its name, size, header and
    evenly spaced samples: training changes every tensor, so no change stays unseen in practice.
    """
    digest = hashlib.sha256()
    names = sorted(layout.parts) if layout.kind == "upstream" else []
    for folder in [layout.root, *(layout.root / name for name in names)]:
        for file in sorted(folder.iterdir()):
            if not file.is_file() or file.suffix not in (".json", ".txt", ".safetensors", ".bin"):
                continue
            digest.update(f"{file.relative_to(layout.root)}\0{file.stat().st_size}\0".encode())
            with open(file, "rb") as stream:
                if file.suffix in (".json", ".txt"):
                    digest.update(stream.read())
                    continue
                stride = max(file.stat().st_size // _SAMPLES, _SAMPLE_BYTES)
                for offset in range(0, file.stat().st_size, stride):
                    stream.seek(offset)
                    digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _read_header(file: Path) -> dict[str, Tensor]:
    if file.suffix == ".bin":
        values = load_bin(file)
        return {
            name: Tensor(file, tuple(value.shape), value.dtype) for name, value in values.items()
        }
    try:
        with open(file, "rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(min(length, 100 << 20)))
            start, size = 8 + length, file.stat().st_size
        tensors = {
            name: Tensor(file, tuple(entry["shape"]), _DTYPES[entry["dtype"]])
            for name, entry in header.items()
            if name != "__metadata__"
        }
        end = max(
            (entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"),
            default=0,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error):
        raise UserError(f"{file}: not a readable safetensors file (cut short or damaged)") from None
    if start + end != size:
        raise UserError(f"{file}: {size} bytes, expected {start + end} (cut short or damaged)")
    return tensors


def load_bin(file: Path) -> dict[str, torch.Tensor]:
    """Tensors of a pickled weight file, read as data only.

    Raises:
        UserError: it cannot be read so; a file that needs code to run is refused.
    """
    try:
        values = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(f"{file}: cannot be read as plain tensors: {reason}") from None
    if not isinstance(values, dict) or not all(
        isinstance(v, torch.Tensor) for v in values.values()
    ):
        raise UserError(f"{file}: expected a dictionary of tensors")
    return values
