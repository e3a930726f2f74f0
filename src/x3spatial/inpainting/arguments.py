"""Checks of engines' arguments."""

from __future__ import annotations

from x3spatial.errors import UserError
from x3spatial.inpainting.base import OPTION


def no_argument(kind: str, argument: str | None) -> None:
    """Refuse an argument.

    Raises:
        UserError: there is one.
    """
    if argument is not None:
        raise UserError(f"{OPTION} {kind}:{argument}: {kind} takes no argument; write {kind}")


def needed(kind: str, argument: str | None, form: str) -> str:
    """The argument, which must not be empty.

    Raises:
        UserError: it is missing or blank.
    """
    if argument is None or not argument.strip():
        raise UserError(f"{OPTION} {kind}: names nothing; write {kind}:{form}")
    return argument
