"""A model's folder: found on disk or in the hub's cache, and checked before anything is loaded.

Code in a folder is only run with ``--trust-remote-code``; pickled weights are read as
plain tensors only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from transformers.models.auto.configuration_auto import CONFIG_MAPPING, AutoConfig
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

from x3spatial.errors import UserError
from x3spatial.models.local.runtime import DTYPES
from x3spatial.models.local.weights import (
    check_layers,
    fingerprint_folders,
    list_tensors,
    read_object,
)

AUTO_CLASS = "AutoModelForImageTextToText"
_ROBOREFER_TYPES = ("llava_llama", "roborefer")
_TEXTS = ("*.json", "*.txt", "*.model", "*.jinja")
_SECOND_COPIES = ["*/*.safetensors", "*/*.bin", "consolidated*"]
"""Weight files for other frameworks, which duplicate those that are read."""
_LONGEST = 200
# Files in addition to JSON and text files that affect the prompt.
_ALSO_WHOLE = (".jinja", ".model", ".py")


@dataclass(frozen=True, slots=True)
class Folder:
    """A model on disk."""

    path: Path
    """The folder; for a model of the hub its snapshot in the cache."""
    given: str
    """As given by the user."""
    name: str
    """The last part of its name."""
    revision: str | None
    """The commit, for a model of the hub."""
    config: Mapping[str, Any]
    """``config.json``."""

    @property
    def model_type(self) -> str | None:
        """``model_type`` of the config, which determines the default convention."""
        value = self.config.get("model_type")
        return value if isinstance(value, str) else None

    @property
    def generation(self) -> dict[str, Any]:
        """``generation_config.json``; empty without one."""
        file = self.path / "generation_config.json"
        return read_object(file) if file.is_file() else {}

    def fingerprint(self) -> str:
        """See ``fingerprint_folders``."""
        return fingerprint_folders(self.path, [self.path], whole=_ALSO_WHOLE)

    def dtype(self) -> torch.dtype:
        """The data type of the weights: that of the config, else the most common one in the files."""
        text = self.config.get("text_config")
        for config in (self.config, text if isinstance(text, Mapping) else {}):
            named = config.get("dtype") or config.get("torch_dtype")
            if isinstance(named, str) and named.removeprefix("torch.") in DTYPES:
                return DTYPES[named.removeprefix("torch.")]
        stored = Counter(
            tensor.dtype
            for tensor in list_tensors(self.path).values()
            if tensor.dtype in DTYPES.values()
        )
        return stored.most_common(1)[0][0] if stored else torch.float32


def find_folder(given: str, *, trust_remote_code: bool) -> Folder:
    """The model ``given`` as a folder or as a name on the hub, checked but not loaded.

    A name is downloaded into the hub's cache, or found there; code of the model is only fetched with
    ``trust_remote_code``.

    Raises:
        UserError: there is no such model, a file is missing or damaged, the model does not support images, it
            needs code that may not be run, or the installed transformers does not support it.
    """
    if Path(given).is_dir():
        path, name, revision = Path(given), Path(given).resolve().name, None
    else:
        path = _from_hub(given, trust_remote_code=trust_remote_code)
        name, revision = given.rpartition("/")[2], path.name
    file = path / "config.json"
    if not file.is_file():
        adapter = (path / "adapter_config.json").is_file()
        hint = "an adapter is given with --adapter, beside its base model" if adapter else (
            "expected a model of transformers, as save_pretrained or the hub has it"
        )  # fmt: skip
        raise UserError(f"--model hf:{given}: config.json is missing; {hint}")
    folder = Folder(path, given, name, revision, read_object(file))
    # Before transformers makes a config of it, which may list the layers.
    check_layers(folder.config, file, list_tensors(path))
    _check_type(folder, trust_remote_code=trust_remote_code)
    return folder


def _from_hub(given: str, *, trust_remote_code: bool) -> Path:
    def fetch(*patterns: str) -> Path:
        return Path(
            snapshot_download(given, allow_patterns=list(patterns), ignore_patterns=_SECOND_COPIES)
        )

    if given.startswith((".", "/", "~")) or given.count("/") > 1:
        raise UserError(f"--model hf:{given}: no such folder")
    texts = (*_TEXTS, *(("*.py",) if trust_remote_code else ()))
    try:
        path = fetch(*texts, "*.safetensors")
        if not any(path.glob("*.safetensors")):
            path = fetch(*texts, "*.bin")
    except HFValidationError:
        raise UserError(
            f"--model hf:{given}: no such folder, and no name on the hub (ORG/NAME)"
        ) from None
    except LocalEntryNotFoundError:
        raise UserError(
            f"--model hf:{given}: no such folder, not in the hub's cache, and the hub cannot be"
            " reached; download it first (hf download), or name a folder"
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise UserError(
            f"--model hf:{given}: no such folder, and the hub says: {first_line(error)}"
        ) from None
    return path


def _check_type(folder: Folder, *, trust_remote_code: bool) -> None:
    """Check that transformers, or code that may be run, can load the folder as an image-text model.

    Raises:
        UserError: the model type is missing, unknown, or not an image-text model, or needs code in the
            folder.
    """
    kind, file = folder.model_type, folder.path / "config.json"
    named = f"--model hf:{folder.given}"
    if kind in _ROBOREFER_TYPES:
        raise UserError(f"{named}: a RoboRefer checkpoint; name it roborefer:{folder.given}")
    auto_map = folder.config.get("auto_map")
    own_code = set(auto_map) if isinstance(auto_map, Mapping) else set()
    if trust_remote_code and own_code:
        if AUTO_CLASS not in own_code and kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
            raise UserError(
                f"{file}: its code defines {', '.join(sorted(own_code))}; expected {AUTO_CLASS}"
            )
        return
    if folder.config.get("is_encoder_decoder"):
        raise UserError(
            f"{named}: an encoder-decoder model; expected one that continues its prompt"
        )
    if kind is None:
        raise UserError(f"{file}: field 'model_type' is missing; expected a model of transformers")
    if kind not in CONFIG_MAPPING:
        if own_code:
            raise UserError(
                f"{named}: model type {kind!r} needs code that lies in the folder; read it, and if you"
                " trust it give --trust-remote-code"
            )
        raise UserError(
            f"{named}: transformers {transformers.__version__} does not know model type {kind!r};"
            " a newer version may"
        )
    if kind not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        raise UserError(
            f"{named}: model type {kind!r} does not answer questions about images; expected a model"
            f" that {AUTO_CLASS} can load"
        )
    try:
        AutoConfig.from_pretrained(folder.path, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # each type checks its fields in its own way
        raise UserError(f"{file}: cannot be used: {first_line(error)}") from None


def first_line(error: BaseException) -> str:
    """The first line of an error message, shortened."""
    line = next((line.strip() for line in str(error).splitlines() if line.strip()), repr(error))
    return line if len(line) <= _LONGEST else line[:_LONGEST] + " ..."
