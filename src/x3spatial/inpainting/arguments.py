"""Checks of engines' arguments."""

from __future__ import annotations

from x3spatial.inpainting.base import EngineError


def no_argument(kind: str, argument: str | None) -> None:
    """Refuse an argument.

    Raises:
        EngineError: there is one.
    """
    if argument is not None:
        raise EngineError(f"{kind} takes no argument; write {kind}")


def needed(kind: str, argument: str | None, form: str) -> str:
    """The argument, which must not be empty.

    Raises:
        EngineError: it is missing or blank.
    """
    if argument is None or not argument.strip():
        raise EngineError(f"names nothing; write {kind}:{form}")
    return argument
