"""Loading a model's weights, with or without a LoRA adapter."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers.models.auto.modeling_auto import AutoModelForImageTextToText
from transformers.utils import logging as hf_logging

from x3spatial.errors import UserError
from x3spatial.models.huggingface.folder import Folder, first_line
from x3spatial.models.local.finite import check_loaded
from x3spatial.models.local.runtime import is_out_of_memory, loading
from x3spatial.models.local.weights import (
    fingerprint_folders,
    read_header,
    read_object,
    weight_files,
)

ADAPTER_WEIGHTS = "adapter_model.safetensors"
SPREAD = "spread"
"""``--device`` that lets accelerate place the layers on all GPUs, then on the CPU."""


def load_model(
    folder: Folder,
    *,
    dtype: torch.dtype,
    device: str,
    attention: str,
    trust_remote_code: bool,
    adapter: Path | None = None,
) -> Any:
    """The model in eval mode, on its device.

    Args:
        folder: a checked folder.
        dtype: data type of the weights.
        device: a torch device, or ``spread``.
        attention: ``sdpa``, ``eager`` or ``flash_attention_2``.
        trust_remote_code: whether code in the folder may be run.
        adapter: a LoRA adapter's folder, checked with ``check_adapter``.

    Raises:
        UserError: the weights do not match the config, do not fit in memory or are not finite, or the
            attention kernel or adapter cannot be used.
    """
    auto: Any = AutoModelForImageTextToText  # the return type depends on an argument
    with loading(attention), _no_reports():
        try:
            model, report = auto.from_pretrained(
                folder.path,
                dtype=dtype,
                device_map="auto" if device == SPREAD else {"": device},
                attn_implementation=attention,
                trust_remote_code=trust_remote_code,
                local_files_only=True,
                weights_only=True,
                ignore_mismatched_sizes=True,  # reported below with the names of the weights
                output_loading_info=True,
            )
        except Exception as error:  # third-party code; a retry would not help
            message = str(error).lower()
            if attention in message or "flash" in message:
                raise  # explained by loading()
            if is_out_of_memory(error):
                raise UserError(
                    f"--device {device}: the weights of hf:{folder.given} do not fit in its memory;"
                    " try --dtype bfloat16, or --device spread"
                ) from None
            raise UserError(
                f"--model hf:{folder.given}: cannot be loaded: {first_line(error)}"
            ) from None
    # transformers initialises these randomly.
    odd = sorted({*report["missing_keys"], *(entry[0] for entry in report["mismatched_keys"])})
    if odd:
        raise UserError(
            f"--model hf:{folder.given}: {len(odd)} weights are missing or of another size, {odd[0]}"
            " first; the folder is not complete, or not what its config.json says"
        )
    files = weight_files(folder.path, required=False)
    if adapter is not None:
        with _no_reports():
            _attach(model, adapter)
        files.append(adapter / ADAPTER_WEIGHTS)
    check_loaded(model, files, named=f"hf:{folder.given}")
    model.eval()
    return model


@contextmanager
def _no_reports() -> Iterator[None]:
    """Silence the tables of mismatched weights that transformers logs; mismatches are errors here."""
    before = hf_logging.get_verbosity()
    hf_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        hf_logging.set_verbosity(before)


def check_adapter(adapter: Path) -> None:
    """Check that a folder is a LoRA adapter in PEFT's layout, with weights in safetensors.

    Raises:
        UserError: a file of the adapter is missing or damaged, it is not a LoRA adapter, or PEFT is not
            installed.
    """
    file = adapter / "adapter_config.json"
    if not file.is_file():
        raise UserError(
            f"--adapter {adapter}: adapter_config.json is missing; expected PEFT's layout"
        )
    kind = read_object(file).get("peft_type")
    if kind != "LORA":
        raise UserError(f"--adapter {adapter}: peft_type is {kind!r}; expected 'LORA'")
    if not (adapter / ADAPTER_WEIGHTS).is_file():
        raise UserError(f"--adapter {adapter}: {ADAPTER_WEIGHTS} is missing")
    read_header(adapter / ADAPTER_WEIGHTS)
    try:
        import peft  # noqa: F401
    except ModuleNotFoundError:
        raise UserError(
            '--adapter: the package peft is not installed; run: pip install "x3spatial[hf]"'
        ) from None


def describe_adapter(adapter: Path) -> dict[str, Any]:
    """Path and fingerprint of an adapter, for the results."""
    return {"path": str(adapter), "fingerprint": fingerprint_folders(adapter, [adapter])}


def _attach(model: Any, adapter: Path) -> None:
    """Add the adapter's layers to ``model``, in place.

    Loaded through transformers instead of PEFT, because transformers maps former names of layers.

    Raises:
        UserError: the adapter does not match the model.
    """
    try:
        report = model.load_adapter(
            str(adapter), use_safetensors=True, adapter_kwargs={"local_files_only": True}
        )
    except (ValueError, RuntimeError, OSError) as error:
        raise UserError(
            f"--adapter {adapter}: does not fit this model: {first_line(error)}"
        ) from None
    # transformers only logs mismatches, and the answers would be those of the base model.
    odd = sorted(map(str, {*report.missing_keys, *report.unexpected_keys, *report.mismatched_keys}))
    if odd:
        base = read_object(adapter / "adapter_config.json").get("base_model_name_or_path")
        raise UserError(
            f"--adapter {adapter}: does not fit this model: {len(odd)} weights have no place or are"
            f" missing, {odd[0]} first; it was trained on {base}"
        )
