"""Names and shapes of stored tensors: what a config expects, and what the files have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from x3spatial.errors import UserError
from x3spatial.models.local.runtime import one_line
from x3spatial.models.local.weights import Tensor, list_tensors
from x3spatial.models.roborefer.configuration import RoboReferConfig
from x3spatial.models.roborefer.layout import Layout
from x3spatial.models.roborefer.modeling import RoboReferForConditionalGeneration

IGNORED_ENDINGS = ("position_ids", "rotary_emb.inv_freq")
"""Buffers that some versions of transformers stored with the parameters."""


def parameter_name(part: str, stored: str) -> str:
    """The parameter name in the model of a tensor in a part's file.

    The files of the towers have a prefix ``vision_model.``, which the class in transformers no longer has.
    """
    return f"{part}.{stored.removeprefix(_level(part))}"


def stored_name(part: str, parameter: str) -> str:
    """The name of a model parameter in the part's file; the inverse of ``parameter_name``."""
    return _level(part) + parameter.removeprefix(f"{part}.")


def _level(part: str) -> str:
    return "vision_model." if part.endswith("_tower") else ""


def expected_shapes(config: RoboReferConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every parameter of a model with this configuration; no memory is allocated."""
    with torch.device("meta"):
        model = RoboReferForConditionalGeneration(config)
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def _shapes_by_config(config: RoboReferConfig, root: Path) -> dict[str, tuple[int, ...]]:
    """``expected_shapes`` of a config that was read from the folder ``root``.

    Raises:
        UserError: no model has these sizes.
    """
    try:
        return expected_shapes(config)
    except Exception as error:  # sizes that are zero, do not divide, or overflow
        raise UserError(
            f"{root}: no model can be built with the sizes in its config.json files: {one_line(error)}"
        ) from None


def check_tensors(layout: Layout, config: RoboReferConfig) -> None:
    """Check names and shapes of all stored tensors against the config.

    Raises:
        UserError: a tensor is missing, has no place in the model, or has another shape.
    """
    expected = _shapes_by_config(config, layout.root)
    if layout.kind == "hf":
        _check_group(list_tensors(layout.root), expected, config, layout.root, part="")
    for part in layout.parts.values():
        mine = {name: shape for name, shape in expected.items() if name.startswith(part.name + ".")}
        _check_group(part.tensors, mine, config, part.folder, part=part.name)


def _check_group(
    tensors: Mapping[str, Tensor],
    expected: dict[str, tuple[int, ...]],
    config: RoboReferConfig,
    folder: Path,
    *,
    part: str,
) -> None:
    """``check_tensors`` of one part in its folder, or of the whole model (``part`` is empty)."""
    weights = min((tensor.file for tensor in tensors.values()), default=folder)
    for name, tensor in tensors.items():
        if name.endswith(IGNORED_ENDINGS):
            continue
        shape = expected.pop(parameter_name(part, name) if part else name, None)
        if shape is None:
            raise UserError(
                f"{tensor.file}: tensor {name!r} has no place in a {part or 'RoboRefer model'}"
            )
        if shape != tensor.shape:
            raise UserError(
                f"{tensor.file}: tensor {name!r} has shape {list(tensor.shape)};"
                f" expected {list(shape)} by the config.json"
            )
    if config.text_config.tie_word_embeddings:
        expected.pop("llm.lm_head.weight", None)
    for name, shape in expected.items():
        raise UserError(
            f"{weights}: tensor {(stored_name(part, name) if part else name)!r} is missing;"
            f" expected shape {list(shape)}"
        )
