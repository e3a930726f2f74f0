"""The conventions by name, and the convention of each checkpoint type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from x3spatial.conventions.base import Convention
from x3spatial.conventions.boxes import (
    DEEPSEEK,
    GEMINI_BOX,
    INTERNVL_BOX,
    MINICPM_BOX,
    QWEN2_BOX,
    QWEN3_BOX,
    QWEN25_BOX,
)
from x3spatial.conventions.brackets import (
    FRACTION,
    INTERNVL,
    PERCENT,
    PIXEL,
    QWEN2,
    THOUSAND,
)
from x3spatial.conventions.json_points import GEMINI, QWEN3, QWEN25
from x3spatial.conventions.markup import MOLMO, MOLMO2
from x3spatial.conventions.molmo_point import MOLMO_POINT
from x3spatial.conventions.qwen_variants import (
    QWEN2_PICTURES,
    QWEN3_PICTURES,
    QWEN3_XML,
    QWEN25_PICTURES,
    QWEN25_XML,
)
from x3spatial.conventions.tagged import MINICPM, UI_TARS, UI_TARS_15
from x3spatial.conventions.unit import UNIT
from x3spatial.errors import UserError

_ALL: tuple[Convention, ...] = (
    UNIT,
    FRACTION,
    PERCENT,
    THOUSAND,
    PIXEL,
    QWEN2,
    QWEN25,
    QWEN3,
    INTERNVL,
    MOLMO,
    MOLMO2,
    GEMINI,
    MOLMO_POINT,
    MINICPM,
    UI_TARS,
    UI_TARS_15,
    QWEN25_XML,
    QWEN3_XML,
    QWEN2_PICTURES,
    QWEN25_PICTURES,
    QWEN3_PICTURES,
    QWEN2_BOX,
    QWEN25_BOX,
    QWEN3_BOX,
    INTERNVL_BOX,
    MINICPM_BOX,
    DEEPSEEK,
    GEMINI_BOX,
)
_CONVENTIONS: dict[str, Convention] = {convention.name: convention for convention in _ALL}
CONVENTIONS: Mapping[str, Convention] = MappingProxyType(_CONVENTIONS)
"""Every convention by name."""

_BY_MODEL_TYPE: dict[str, str] = {
    "roborefer": "unit",
    # RoboRefer as published; RoboPoint and LLaVA checkpoints of that type use fractions too.
    "llava_llama": "unit",
    "qwen2_vl": "qwen2-1000",
    "qwen2_5_vl": "qwen2.5-px",
    "qwen3_vl": "qwen3-1000",
    "qwen3_vl_moe": "qwen3-1000",
    # Relative to 1000 according to its authors: QwenLM/Qwen3.8-Flash-Next, issue 4.
    "qwen3_5": "qwen3-1000",
    "qwen3_5_moe": "qwen3-1000",
    "internvl": "internvl-1000",
    "internvl_chat": "internvl-1000",
    "molmo": "molmo-100",
    "molmo2": "molmo2-1000",
    "molmo_point": "molmo-point",
    # As published with their own code, and as transformers has them. Boxes are the other form they know.
    "minicpmv": "minicpm-1000",
    "minicpmo": "minicpm-1000",
    "minicpmv4_6": "minicpm-1000",
    "minicpmv4_7": "minicpm-1000",
    # Answers with boxes only.
    "deepseek_vl_v2": "deepseek-vl2-box-999",
}
BY_MODEL_TYPE: Mapping[str, str] = MappingProxyType(_BY_MODEL_TYPE)
"""``model_type`` of a checkpoint's ``config.json`` → the convention its family was trained with. Families
without a published point format are not listed: they require ``--convention``."""


def register(convention: Convention, *, model_types: Iterable[str] = ()) -> None:
    """Add a convention of another package, and the ``model_type`` of checkpoints that use it.

    Raises:
        ValueError: the name or one of the types is already registered.
    """
    types = tuple(model_types)
    taken = [name for name in types if name in _BY_MODEL_TYPE]
    if convention.name in _CONVENTIONS or taken:
        raise ValueError(
            f"convention {convention.name}: {(taken or [convention.name])[0]} is taken"
        )
    _CONVENTIONS[convention.name] = convention
    _BY_MODEL_TYPE.update(dict.fromkeys(types, convention.name))


def unregister(name: str) -> None:
    """Remove a convention and its model types.

    Raises:
        KeyError: no convention has this name.
    """
    del _CONVENTIONS[name]
    for model_type in [key for key, value in _BY_MODEL_TYPE.items() if value == name]:
        del _BY_MODEL_TYPE[model_type]


def find_convention(name: str) -> Convention:
    """The convention ``name``.

    Raises:
        UserError: no convention has this name.
    """
    if name not in CONVENTIONS:
        raise UserError(f"--convention {name}: unknown; known are {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def choose_convention(chosen: str | None, model_type: str | None, *, model: str) -> Convention:
    """The convention ``chosen`` by the user, else that of the checkpoint's type.

    Names and paths of models are not used (``model`` only appears in the message), because fine-tuning keeps
    a model's type, not its name.

    Raises:
        UserError: the name is unknown, or there is no name and the type has no convention.
    """
    if chosen is not None:
        return find_convention(chosen)
    if model_type is not None and model_type in BY_MODEL_TYPE:
        return CONVENTIONS[BY_MODEL_TYPE[model_type]]
    why = "nothing says" if model_type is None else f"no entry for model type {model_type!r} says"
    raise UserError(
        f"--convention: {why} how {model} writes a point; name one of {', '.join(CONVENTIONS)}"
    )
