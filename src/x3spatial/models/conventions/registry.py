"""The conventions by name, and which one a checkpoint's type writes."""

from __future__ import annotations

from x3spatial.errors import UserError
from x3spatial.models.conventions.base import Convention
from x3spatial.models.conventions.unit import Unit

CONVENTIONS: dict[str, Convention] = {convention.name: convention for convention in (Unit(),)}

BY_MODEL_TYPE: dict[str, str] = {}
"""``model_type`` of a checkpoint's ``config.json`` → the convention its family was trained with."""


def find_convention(name: str) -> Convention:
    """The convention ``name``. Raises: UserError."""
    if name not in CONVENTIONS:
        raise UserError(f"--convention {name}: unknown; known are {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def choose_convention(chosen: str | None, model_type: str | None) -> Convention:
    """The convention ``chosen`` by the user, else that of the checkpoint's type.

    Names and paths of models are never looked at: a fine-tuned model keeps its type, not its name.

    Raises:
        UserError: an unknown name, or no name and no type in the table.
    """
    if chosen is not None:
        return find_convention(chosen)
    if model_type in BY_MODEL_TYPE:
        return CONVENTIONS[BY_MODEL_TYPE[model_type]]
    why = "nothing says" if model_type is None else f"no entry for model type {model_type!r} says"
    raise UserError(
        f"--convention: {why} how this model writes a point; name one of {', '.join(CONVENTIONS)}"
    )
