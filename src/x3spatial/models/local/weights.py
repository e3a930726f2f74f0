"""Reading of JSON and weight files of a checkpoint without running its code.

Of safetensors files only the headers are read; pickled files are read as data only.
"""

from __future__ import annotations

import hashlib
import json
import math
import pickle
import re
import struct
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from x3spatial.errors import UserError
from x3spatial.io.files import read_json

_DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool, "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "U16": torch.uint16, "U32": torch.uint32, "U64": torch.uint64,
}  # fmt: skip

MAX_DEPTH = 32
"""Largest nesting of a checkpoint's JSON files; published configs have up to 6 levels."""

_LAYERS = frozenset(
    {
        "decoder_layers", "depth", "encoder_layers", "n_layer", "n_layers", "num_decoder_layers",
        "num_encoder_layers", "num_hidden_layers", "num_layers",
    }
)  # fmt: skip
"""Names of the number of layers in configs of transformers."""

_SAMPLES, _SAMPLE_BYTES = 64, 1 << 16
_WHOLE, _SAMPLED = (".json", ".txt"), (".safetensors", ".bin")


# In torch's words about a pickle that names a function or class besides those of tensors.
_CODE = re.compile("GLOBAL|Unsupported")


@dataclass(frozen=True, slots=True)
class Tensor:
    """One stored tensor: its file, shape and data type."""

    file: Path
    shape: tuple[int, ...]
    dtype: torch.dtype


def read_object(file: Path, *, finite: bool = False) -> dict[str, Any]:
    """The JSON object in a file.

    Args:
        file: the file.
        finite: refuse numbers that are not finite, which JSON does not have but Python reads.

    Raises:
        UserError: the file is missing, is not JSON, does not contain an object, is nested deeper than
            ``MAX_DEPTH``, or has a number that is not finite.
    """
    value = read_json(file, what="checkpoint file")
    if not isinstance(value, dict):
        raise UserError(f"{file}: expected a json object, found {type(value).__name__}")
    for depth, name, entry in _walk(value):
        if depth > MAX_DEPTH:
            raise UserError(f"{file}: nested deeper than {MAX_DEPTH} levels")
        if finite and isinstance(entry, float) and not math.isfinite(entry):
            raise UserError(f"{file}: field {name!r} is {entry}; expected a finite number")
    return value


def _walk(value: Any) -> Iterator[tuple[int, str, Any]]:
    """Depth, field name and value of all entries of a JSON value, down to one level beyond ``MAX_DEPTH``."""
    waiting = [(0, "", value)]
    while waiting:
        depth, name, entry = waiting.pop()
        yield depth, name, entry
        if isinstance(entry, dict):
            waiting += [(depth + 1, str(key), inner) for key, inner in entry.items()]
        elif isinstance(entry, list):
            waiting += [(depth + 1, name, inner) for inner in entry]


def list_tensors(folder: Path) -> dict[str, Tensor]:
    """All tensors in a folder's weight files, from their headers.

    Raises:
        UserError: there are no weights, a shard is missing or damaged, or a tensor is stored twice.
    """
    tensors: dict[str, Tensor] = {}
    for file in weight_files(folder, required=True):
        for name, tensor in read_header(file).items():
            if name in tensors:
                raise UserError(f"{file}: tensor {name!r} is also in {tensors[name].file.name}")
            tensors[name] = tensor
        if file.suffix != ".bin":
            _check_layout(file)
    return tensors


def _check_layout(file: Path) -> None:
    """Check that safetensors reads the header too: that tensors neither overlap nor leave gaps.

    Raises:
        UserError: it does not.
    """
    from safetensors import safe_open

    try:
        with safe_open(file, "pt"):
            pass
    except Exception as error:
        raise UserError(f"{file}: not a readable safetensors file: {error}") from None


def weight_files(folder: Path, *, required: bool) -> list[Path]:
    """The weight files of a folder: safetensors if there are any, else pickled files.

    Raises:
        UserError: a shard in the index is missing, or there are no weights and ``required`` is set.
    """
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


def fingerprint_folders(root: Path, folders: Iterable[Path], *, whole: Iterable[str] = ()) -> str:
    """Hex SHA-256 that identifies a checkpoint without reading all of its bytes.

    It covers JSON and text files completely and, of each weight file, the name, size, header and evenly
    spaced samples. Training changes every tensor, so changes are detected in practice.

    Args:
        root: file names are relative to this folder.
        folders: folders with files; their subfolders are ignored.
        whole: further suffixes of files that are read completely.
    """
    digest = hashlib.sha256()
    small = (*_WHOLE, *whole)
    for folder in folders:
        for file in sorted(folder.iterdir()):
            if not file.is_file() or file.suffix not in (*small, *_SAMPLED):
                continue
            digest.update(f"{file.relative_to(root)}\0{file.stat().st_size}\0".encode())
            with open(file, "rb") as stream:
                if file.suffix in small:
                    digest.update(stream.read())
                    continue
                stride = max(file.stat().st_size // _SAMPLES, _SAMPLE_BYTES)
                for offset in range(0, file.stat().st_size, stride):
                    stream.seek(offset)
                    digest.update(stream.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def read_header(file: Path) -> dict[str, Tensor]:
    """The tensors in a weight file, from its header; a pickled file is loaded.

    Raises:
        UserError: the file cannot be read, is damaged, or holds anything but tensors.
    """
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
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (
        ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, struct.error,
    ):  # fmt: skip
        raise UserError(f"{file}: not a readable safetensors file (cut short or damaged)") from None
    if start + end != size:
        raise UserError(f"{file}: {size} bytes, expected {start + end} (cut short or damaged)")
    return tensors


def check_layers(config: Mapping[str, Any], file: Path, tensors: Collection[str]) -> None:
    """Check that a config does not promise more layers than there are tensors.

    Building a model of a million layers takes minutes and much memory, even without weights. Each layer has
    several tensors, so this says nothing about configs that fit.

    Args:
        config: the content of ``file``; parts of it may be configs too.
        file: for the message.
        tensors: names of all stored tensors.

    Raises:
        UserError: a number of layers is larger than the number of tensors.
    """
    for _, name, entry in _walk(config):
        whole = isinstance(entry, int) and not isinstance(entry, bool)
        if name in _LAYERS and whole and entry > len(tensors):
            raise UserError(
                f"{file}: field {name!r} is {entry}, but the weights have only {len(tensors)} tensors;"
                " config and weights are not of one model"
            )


def load_bin(file: Path) -> dict[str, torch.Tensor]:
    """Tensors of a pickled weight file, read as data only.

    Raises:
        UserError: the file is damaged, or reading it would require running code.
    """
    try:
        with open(file, "rb") as stream:
            zipped = stream.read(2) == b"PK"  # older files cannot be memory-mapped
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # about the protocol of plain pickles, which are refused
            values = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
    except Exception as error:
        raise UserError(
            f"{file}: cannot be read as plain tensors: {_pickle_fault(error)}"
        ) from None
    if not isinstance(values, dict) or not all(
        isinstance(v, torch.Tensor) for v in values.values()
    ):
        raise UserError(f"{file}: expected a dictionary of tensors")
    return values


def _pickle_fault(error: Exception) -> str:
    """Why ``torch.load`` refused a file, in words of our own: torch's advise to switch its checks off."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = str(error)
    if isinstance(error, pickle.UnpicklingError) and _CODE.search(text):
        return (
            "it holds other Python objects, which could run code when they are read; ask for the weights as"
            " safetensors"
        )
    return "cut short or damaged"
